"""`edge-seq import`: a network of another framework becomes a run on which the other commands work."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edge_seq.data.window_file import load_windows
from edge_seq.frontends.imports import _warn_of_order
from edge_seq.ir.kinds import Gru
from edge_seq.parity.original_rung import ORIGINAL_RUNG, original_rung
from edge_seq.report.run_page import run_page
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.export import export_run
from edge_seq.workflow.folder import RunFolder, load_run_float
from edge_seq.workflow.importing.record import load_imported
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.report import gather_run
from edge_seq.workflow.verify import verify_run
from tests.cli.conftest import Small, edge_seq, ok
from tests.unit.frontends.onnx_case import plain
from tests.unit.frontends.test_torch_weights import HEAD, layer

CONTRACT = """
sample_rate_hz = 10.0
window_length = 50
window_stride = 25
channels = [
    { name = "ax", unit = "m/s^2", counts_per_unit = 800, full_scale = 40 },
    { name = "ay", unit = "m/s^2", counts_per_unit = 800, full_scale = 40 },
    { name = "az", unit = "m/s^2", counts_per_unit = 800, full_scale = 40 },
]
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "Net-1.onnx"
    path.write_bytes(plain("GRU").SerializeToString())
    return path


@pytest.fixture(scope="module")
def imported(network: Path, small: Small) -> RunFolder:
    """The network as a run, on the recordings of the small run; quantized and exported."""
    run = RunFolder(network.parent / "run")
    source = small.drives.with_suffix(".toml")
    found = ok("import", network, "--data", source, "--scale", "1.5", "--out", run.path, "--json").json
    assert found["check"]["verdict"] == "holds"
    assert found["scale"] == pytest.approx([1.5 * 835.3515216715189] * 3)
    assert any("gets the channels ax [m/s^2], ay [m/s^2], az [m/s^2]" in note for note in found["notes"])
    assert any("has the preprocessing 'difference'" in warning for warning in found["warnings"])
    quantize_run(run)
    export_run(run)
    return run


def test_recordings_that_stay_on_the_disk_give_the_same(
    imported: RunFolder, network: Path, small: Small, tmp_path: Path
) -> None:
    source, run = small.drives.with_suffix(".toml"), RunFolder(tmp_path / "run")
    ok("import", network, "--data", source, "--scale", "1.5", "--set", "data.storage=disk", "--out", run.path)
    assert run.float_model.read_bytes() == imported.float_model.read_bytes()
    accuracies = [json.loads(one.imported.read_text())["training_accuracy"] for one in (run, imported)]
    assert accuracies[0] == accuracies[1] > 0


def test_the_ladder_begins_with_the_network_itself(imported: RunFolder) -> None:
    ladder = verify_run(imported, max_windows=6, extreme_windows=2)
    by_name = {rung.name: rung for rung in ladder.rungs}
    first = by_name[ORIGINAL_RUNG]
    assert (first.verdict, first.kind) == ("holds", "budget")
    assert first.detail.startswith("ONNX Runtime")
    assert "states of 1 of 1 layers at every step" in first.detail
    assert first.comparison is not None
    assert first.comparison.values == 6 * 50 * 5 + 6 * 4
    assert "torch = float reference" not in by_name
    assert by_name["integer reference = C on the host"].verdict == "holds"


def test_scores_and_report_say_that_it_was_imported(imported: RunFolder) -> None:
    scores = evaluate_run(imported, baselines=False)
    assert scores.advice is None, "its training had none of the options that advice names"
    assert scores.reliability.temperature.note == "the model was imported as it is; no temperature was fitted"
    figures = gather_run(imported)
    assert figures.commands[0].startswith("edge-seq import ")
    assert "training" not in figures.steps
    page = run_page(figures)
    assert "Imported from Net-1.onnx (onnx): the recordings that it was trained on are not known here" in page
    assert "compared with the float model" in page


def test_a_fault_is_located_by_layer_and_step(imported: RunFolder) -> None:
    model = load_run_float(imported)
    gru = model.layers[0]
    assert isinstance(gru, Gru)
    swapped = dataclasses.replace(gru, reset_gate=gru.update_gate, update_gate=gru.reset_gate)
    wrong = load_imported(imported, dataclasses.replace(model, layers=(swapped,)))
    assert wrong is not None
    rung = original_rung(ORIGINAL_RUNG, wrong, load_windows(imported.windows("test")).counts[:4])
    assert rung.verdict == "failed"
    assert "time step 0, layer 0, hidden_state[" in rung.detail


def test_where_the_framework_is_missing_the_rung_is_skipped(
    imported: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load_imported(imported, load_run_float(imported))
    assert found is not None
    of_keras = dataclasses.replace(found, original=dataclasses.replace(found.original, format="keras"))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "keras" else real(name, *rest))
    rung = original_rung(ORIGINAL_RUNG, of_keras, load_windows(imported.windows("test")).counts[:4])
    assert rung.verdict == "skipped"
    assert "Keras is not installed; pip install keras" in rung.detail


def test_a_changed_network_is_noticed(imported: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path / "run")
    copy.path.mkdir()
    copy.imported.write_bytes(imported.imported.read_bytes())
    (copy.path / "original.onnx").write_bytes(b"other")
    with pytest.raises(DataError, match=r"is not the file that was imported .* import it again: edge-seq import "):
        load_imported(copy, load_run_float(imported))


def test_without_recordings_the_run_holds_the_float_model_alone(network: Path, tmp_path: Path) -> None:
    contract, run = tmp_path / "contract.toml", tmp_path / "run"
    contract.write_text(CONTRACT)
    without_labels = edge_seq("import", network, "--contract", contract, "--out", run)
    assert without_labels.code == 2
    assert "give them with --labels, in the order of the network's outputs" in without_labels.err
    options = ("--mean", "0.1,0,9.80665123456", "--set", "quantization.weight_bits=[4]", "--set", "data.split_seed=7")
    given = ("--contract", contract, "--labels", "a,b,c,d", "--out", run, "--name", "net", *options)
    text = ok("import", network, *given).out
    assert "next: edge-seq inspect" in text
    assert load_run_float(RunFolder(run)).labels == ("a", "b", "c", "d")
    assert json.loads((run / "import.json").read_text())["check"] is None
    for step in (quantize_run, evaluate_run):
        with pytest.raises(
            ConfigError, match="imported with a contract alone, so it has no recordings; import the net"
        ):
            step(RunFolder(run))
    again = edge_seq("import", network, "--contract", contract, "--labels", "a,b,c,d", "--out", run)
    assert again.code == 2
    assert "exists and is not empty; give another --out" in again.err
    (run / "model.float.safetensors").unlink()  # it is written last: the import was interrupted before
    (run / ".model.float.safetensors.left").write_bytes(b"half")
    before = {name: (run / name).read_bytes() for name in ("config.toml", "import.json")}
    ok(*shlex.split(json.loads(before["import.json"])["command"])[1:])  # the recorded command makes the same
    assert {name: (run / name).read_bytes() for name in before} == before
    assert load_run_float(RunFolder(run)).labels == ("a", "b", "c", "d")
    for name in ("own/data/mine.csv", "own/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
        foreign = edge_seq("import", network, "--contract", contract, "--labels", "a,b", "--out", tmp_path / "own")
        assert "exists and is not empty" in foreign.err


@pytest.mark.slow  # tests/unit/frontends/test_torch_weights.py is its short sibling
def test_weights_of_torch_with_their_layers(small: Small, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(safetensors.numpy.save({**layer("gru", 3, 5), **HEAD}))
    scaler = tmp_path / "scaler.json"
    scaler.write_text('{"mean": [0, 0, 0], "scale": [2, 2, 2]}')
    source = small.drives.with_suffix(".toml")
    options = ("--layers", "gru,mean,fc", "--data", source, "--scaler", scaler, "--out", tmp_path / "run")
    text = ok("import", weights, *options).out
    if importlib.util.find_spec("torch") is not None:
        assert f"{ORIGINAL_RUNG}: holds; PyTorch" in text
    assert load_run_float(RunFolder(tmp_path / "run")).readout.pooling == "mean"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --data SOURCE.toml, or --contract CONTRACT.toml"),
        (("--contract", "a", "--mean", "0", "--scaler", "s.json"), "--scaler and --mean or --scale exclude each other"),
    ],
)
def test_options_that_do_not_fit_end_with_2(options: Sequence[str], message: str, network: Path) -> None:
    found = edge_seq("import", network, *options)
    assert found.code == 2
    assert message in found.err


def test_another_order_of_the_classes_is_a_warning_with_numbers(imported: RunFolder) -> None:
    found = load_imported(imported, load_run_float(imported))
    assert found is not None
    labels = np.repeat(np.arange(4), 25)
    turned = np.array([1, 0, 2, 3])[labels]  # what the network calls the first class is the second
    warning = _warn_of_order(turned, labels, found.lowered, 0.5)
    assert warning is not None
    assert "100.0 % of the labels right, instead of 50.0 %" in warning
    assert warning.endswith("give: --labels normal_road,parked,bumpy_road,skid")
    assert _warn_of_order(labels, labels, found.lowered, 1.0) is None


@pytest.mark.slow  # tests/unit/frontends/test_to_torch.py is its short sibling
def test_an_imported_network_is_trained_further(imported: RunFolder, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    found = ok("train", "--from", imported.path, "--epochs", "2", "--out", tuned, "--json").json
    before, after = (load_run_float(RunFolder(path)) for path in (imported.path, tuned))
    assert after.number_format == before.number_format
    assert [type(layer) for layer in after.layers] == [Gru]
    assert found["history"][0]["learning_rate"] <= 0.001
    assert "Its training began with the model of" in run_page(gather_run(RunFolder(tuned)))
    other = edge_seq("train", "--from", imported.path, "--hidden-size", "9", "--out", tmp_path / "other")
    assert other.code == 2
    assert "training.hidden_size is 9, the model has 5; leave it as the model has it" in other.err
    both = edge_seq("train", tuned / "config.toml", "--from", imported.path, "--out", tmp_path / "other")
    assert "its configuration is taken; leave" in both.err
