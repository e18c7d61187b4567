"""``import edge_seq``: every example in its docstrings, what it refuses, and what it costs to import."""

from __future__ import annotations

import doctest
import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import edge_seq as es
from edge_seq.api.data import counts_of
from edge_seq.ir.contract import to_counts
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import deployed_bytes, model_hash
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.pipeline.streams import decisions_of_stages, int_streams
from edge_seq.support.errors import ConfigError, ContractError, DataError, EdgeSeqError, ExportError, ModelError
from edge_seq.workflow.folder import load_run_int
from edge_seq.workflow.folder import open_run as open_folder
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

pytest.importorskip("torch")
MODULES = (
    "edge_seq",
    *(f"edge_seq.api.{name}" for name in ("checks", "data", "models", "evaluation", "exports", "verification", "runs")),
)
NOTEBOOKS = sorted((Path(__file__).parents[3] / "docs" / "notebooks").glob("*.ipynb"))


@dataclass(frozen=True)
class Made:
    """Drives, a run, and what Python makes of them; in one folder."""

    folder: Path
    data: es.Data
    model: es.TrainedModel
    chip: es.QuantizedModel


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("api")
    simulate_to_file(folder / "drives.csv", drives=12, duration_s=120.0, sample_rate_hz=10.0, seed=3)
    training = ("training.cell=gru", "training.hidden_size=5", "training.epochs=2")
    train_run(folder / "run", load_config(None, [f'data.source="{folder / "drives.toml"}"', *training]))
    quantize_run(open_folder(folder / "run"))
    data = es.load(folder / "drives.toml")
    model = es.train(data, cell="gru", hidden_size=5, epochs=2, name="small", quiet=True)
    return Made(folder, data, model, es.quantize(model, calibration=data, quiet=True))


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(made: Made, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.folder)
    shutil.rmtree(made.folder / "out", ignore_errors=True)
    names = {"data": made.data, "model": made.model, "chip": made.chip}
    found = doctest.testmod(importlib.import_module(module), extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_public_name_is_there_and_documented() -> None:
    for name in es.__all__:
        value = getattr(es, name)
        assert value.__doc__, name
        assert name in dir(es)
    for name in (
        "check",
        "evaluate",
        "export_c",
        "export_onnx",
        "export_page",
        "load",
        "open_run",
        "quantize",
        "train",
        "verify",
        "windows",
    ):
        text = getattr(es, name).__doc__
        for part in ("Args:", "Raises:", "Example:", ">>> "):
            assert part in text, (name, part)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'fit'; it has .*train"):
        es.fit  # noqa: B018


def test_the_same_training_as_that_of_a_run(made: Made) -> None:
    run = es.open_run(made.folder / "run")
    again = es.train(made.data, cell="gru", hidden_size=5, epochs=2, name="car_states", quiet=True)
    assert model_hash(again.model) == model_hash(run.float_model)
    assert run.model is not None
    assert model_hash(es.quantize(again, calibration=made.data, quiet=True).model) == model_hash(run.model)


def test_units_and_counts_give_the_same_labels(made: Made) -> None:
    contract = made.data.contract
    counts = made.data.side("test").counts[:8]
    units = counts / np.array([channel.counts_per_unit for channel in contract.channels])
    assert np.array_equal(counts_of(units, contract), to_counts(units, contract))
    from_counts, from_units = made.chip.predict(counts), made.chip.predict(units)
    assert from_counts.labels == from_units.labels
    assert np.array_equal(from_counts.probabilities, from_units.probabilities)
    assert made.chip.predict(units[0]).labels == from_units.labels[:1]


def test_a_stream_gives_the_labels_of_its_windows(made: Made) -> None:
    run = es.open_run(made.folder / "run")
    counts = made.data.side("test").counts[:3]
    stream = run.stream()
    given = [stream.push(sample) for sample in counts.reshape(-1, 3)]
    due = [one for one in given if one is not None]
    assert [one.sample for one in due] == [49, 99, 149]
    assert tuple(one.label for one in due) == run.predict(counts).labels
    stream.reset()
    first = [stream.push(sample) for sample in counts[0]][-1]
    assert first == due[0]


def test_a_stream_learns(made: Made) -> None:
    run = es.open_run(made.folder / "run")
    window = made.data.side("test").counts[0]
    stream = run.stream(examples=5)
    with pytest.raises(es.EdgeSeqError, match="there is no label to learn from"):
        stream.adapt(run.labels[0])

    def label() -> str:
        found = [stream.push(sample) for sample in window][-1]
        assert found is not None
        return found.label

    right = label()
    wrong = next(name for name in run.labels if name != right)
    with pytest.raises(es.EdgeSeqError, match="label 'swimming' is unknown; give one of"):
        stream.adapt("swimming")
    for _ in range(5):  # until the label follows, and further
        stream.adapt(wrong)
        with pytest.raises(es.EdgeSeqError, match="push samples until"):
            stream.adapt(wrong)
        if (now := label()) == wrong:
            break
    assert now == wrong
    saved = stream.save_learned()
    stream.use_learned(False)
    assert label() == right
    stream.forget()
    stream.use_learned(True)
    assert label() == right
    stream.restore_learned(saved)
    assert label() == wrong
    with pytest.raises(es.EdgeSeqError, match="its head does not learn; begin the stream with room"):
        run.stream().adapt(right)


def test_results_show_themselves_as_tables(made: Made) -> None:
    shown = (made.data, made.model, made.chip, es.evaluate(made.chip, made.data))
    for one in shown:
        assert json.loads(json.dumps(one.to_dict()))
    for one in (*shown, made.chip.predict(made.data.side("test").counts[:9])):
        assert "━" in str(one)
        assert one._repr_html_().startswith("<table>")


def test_windows_from_arrays_by_index_and_by_name(made: Made) -> None:
    test = made.data.side("test")
    groups = [f"g{index % 12}" for index in range(len(test.labels))]
    names = [made.data.labels[index] for index in test.labels]
    by_index = es.windows(test.counts, test.labels, groups, made.data.contract, label_names=made.data.labels)
    by_name = es.windows(test.counts, names, groups, made.data.contract, label_names=made.data.labels)
    assert np.array_equal(by_index.train.counts, by_name.train.counts)
    assert np.array_equal(by_index.train.labels, by_name.train.labels)
    sides = [by_index.side(side) for side in ("train", "validation", "test")]
    assert sum(len(one.labels) for one in sides) == len(test.labels)
    split = [set(one.groups.tolist()) for one in sides]
    assert len(split[0] | split[1] | split[2]) == sum(map(len, split))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((4, 50, 2))}, r"float64 \[4, 50, 2\]; expected .* 3 channels on the last axis"),
        ({"values": np.zeros((4, 49, 3))}, r"values are \[4, 49, 3\]; expected \[B, T, C\] with T = 50"),
        ({"values": np.full((4, 50, 3), np.nan)}, "some are not finite"),
        ({"values": np.full((4, 50, 3), 40_000)}, "integers from 40000 to 40000 do not fit 16 bits"),
        ({"labels": ["a", "b"]}, r"4 windows, labels \[2\], groups \[4\]"),
        ({"labels": [0, 1, 0, 1]}, "labels are class indices; give the names of the classes as label_names"),
        ({"labels": [0, 1, 0, 2], "label_names": ["a", "b"]}, "labels run from 0 to 2; expected 0 to 1"),
        ({"labels": ["a", "b", "a", "c"], "label_names": ["a", "b"]}, "label 'c' is not among label_names"),
        ({"values": [[1.0, 2.0], [3.0]]}, "they are no array .*give windows of equal length"),
        ({"labels": [0.0, 1.0, 0.0, 1.0]}, "labels are float64; expected class names"),
        ({"labels": [None, "b", "a", "b"]}, "labels are object; expected class names"),
        ({"labels": ["", "b", "", "b"]}, "different names, none of them empty"),
        ({"labels": [0, 1, 0, 1], "label_names": ["a", "a"]}, "different names, none of them empty"),
        ({"labels": [0, 1, 0, 1], "label_names": "ab"}, "expected a list of different names"),
        ({"groups": [1.0, 2.0, float("nan"), 4.0]}, "a group is missing"),
    ],
)
def test_windows_that_do_not_fit_are_refused(made: Made, change: dict[str, object], message: str) -> None:
    given = {"values": np.zeros((4, 50, 3)), "labels": ["a", "b", "a", "b"], "groups": [1, 2, 3, 4]} | change
    with pytest.raises(DataError, match=message):
        es.windows(contract=made.data.contract, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", [{"validation_fraction": 2}, {"test_fraction": -0.1}, {"seed": -1}])
def test_a_split_that_is_out_of_range_is_refused(made: Made, option: dict[str, object]) -> None:
    test = made.data.side("test")
    given = {"label_names": made.data.labels, **option}
    with pytest.raises(ConfigError, match=r"es\.windows: (validation_fraction|test_fraction|split_seed): Input"):
        es.windows(test.counts, test.labels, test.groups, made.data.contract, **given)  # type: ignore[arg-type]


def test_counts_given_as_floats_are_refused(made: Made) -> None:
    """They would be clipped to full scale, and nothing would be left of them."""
    test = made.data.side("test")
    as_floats = test.counts.astype(np.float32)
    message = "of channel a[xyz] lies beyond full scale .*, or give raw counts as integers"
    with pytest.raises(ContractError, match=message):
        es.windows(as_floats, test.labels, test.groups, made.data.contract, label_names=made.data.labels)
    with pytest.raises(ContractError, match=message):
        made.chip.predict(as_floats)


def test_labels_of_a_table_are_taken(made: Made) -> None:
    """Tables hold texts as Python objects."""
    test = made.data.side("test")
    names = np.array([made.data.labels[index] for index in test.labels], dtype=object)
    groups = [f"g{index % 12}" for index in range(len(names))]
    assert es.windows(test.counts, names, groups, made.data.contract).labels == tuple(sorted(set(names.tolist())))


def changed(data: es.Data, **changes: object) -> es.Data:
    dataset = replace(data.prepared.dataset, **changes)  # type: ignore[arg-type]
    return es.Data(replace(data.prepared, dataset=dataset))


@pytest.mark.parametrize(
    ("field", "value"),
    [("sample_rate_hz", 20.0), ("window_length", 40), ("preprocessing", es.Preprocessing("none"))],
)
def test_data_of_another_contract_are_refused(made: Made, field: str, value: object) -> None:
    other = changed(made.data, contract=replace(made.data.contract, **{field: value}))  # type: ignore[arg-type]
    message = f"another sensor contract: {field} of the data"
    with pytest.raises(ContractError, match=f"quantizing small: .*{message}"):
        es.quantize(made.model, calibration=other, quiet=True)
    with pytest.raises(ContractError, match=f"evaluating small: .*{message}"):
        es.evaluate(made.chip, other)
    with pytest.raises(ContractError, match=f"verifying small: .*{message}"):
        es.verify(made.chip, other, quiet=True)


def test_weights_of_4_bits_take_fewer_bytes(made: Made) -> None:
    halves = es.quantize(made.model, calibration=made.data, weight_bits=4, quiet=True)
    assert deployed_bytes(halves.model) < deployed_bytes(made.chip.model)


def test_data_of_other_labels_are_refused(made: Made) -> None:
    other = changed(made.data, labels=made.data.labels[::-1])
    with pytest.raises(DataError, match=r"evaluating small: labels of the data are .*same in the same order"):
        es.evaluate(made.model, other)
    with pytest.raises(DataError, match=r"verifying small: labels of the data are .*same in the same order"):
        es.verify(made.chip, other, quiet=True)


def test_a_model_of_the_wrong_step_is_refused(made: Made) -> None:
    with pytest.raises(ModelError, match=r"exporting C: found a TrainedModel; expected an integer model: es\.quantize"):
        es.export_c(made.model, made.folder / "float")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="writing a page: found a TrainedModel; expected an integer model"):
        es.export_page(made.model, made.folder / "page.html")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="only integer models have portable graphs; quantize this one"):
        es.export_onnx(made.model, made.folder / "a.onnx", portable=True)
    with pytest.raises(ModelError, match="verifying: found a TrainedModel"):
        es.verify(made.model, made.data)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="quantizing: found a QuantizedModel; expected a float model"):
        es.quantize(made.chip, calibration=made.data)  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused(made: Made) -> None:
    with pytest.raises(DataError, match=r"expected \[B, 50, 3\], or one window \[50, 3\]"):
        made.chip.predict(np.zeros((2, 40, 3)))
    with pytest.raises(DataError, match="side 'all' is unknown"):
        es.evaluate(made.chip, made.data, side="all")
    with pytest.raises(ConfigError, match=r"es\.train: cell: Input should be 'rnn', .*\(found 'mlp'\)$"):
        es.train(made.data, cell="mlp", quiet=True)
    with pytest.raises(ExportError, match="form"):
        es.export_onnx(made.chip, made.folder / "a.onnx", form="stream")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is a folder; give the name of a file"):
        es.export_onnx(made.chip, made.folder)
    with pytest.raises(ConfigError, match=r"writing a page: .* is a folder; give the name of a file, such as .*html"):
        es.export_page(made.chip, made.folder)
    with pytest.raises(ConfigError, match="cortex_m5"):
        es.verify(made.chip, made.data, targets=["cortex_m5"], quiet=True)
    with pytest.raises(ConfigError, match=r"targets is the text 'cortex_m4'; give a list, \['cortex_m4'\]"):
        es.verify(made.chip, made.data, targets="cortex_m4", quiet=True)
    with pytest.raises(ConfigError, match="max_windows is 0, extreme_windows 5; give at least 1 and at least 0"):
        es.verify(made.chip, made.data, max_windows=0, extreme_windows=5, quiet=True)
    with pytest.raises(ConfigError, match="timeout_s is 0; give a positive number of seconds"):
        es.verify(made.chip, made.data, timeout_s=0, quiet=True)
    with pytest.raises(ConfigError, match="seed is -1; give a whole number from 0"):
        es.evaluate(made.chip, made.data, seed=-1)
    with pytest.raises(DataError, match="expected one sample"):
        es.open_run(made.folder / "run").stream().push(np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        es.open_run(made.folder)


def test_errors_name_arguments_and_no_options(made: Made, tmp_path: Path) -> None:
    test = made.data.side("test")
    few = {"labels": test.labels[:8], "groups": ["one", "two"] * 4, "label_names": made.data.labels}
    source = made.folder / "drives.toml"
    for call, message in (
        (
            lambda: es.windows(test.counts[:8], contract=made.data.contract, **few),  # type: ignore[arg-type]
            r"cannot split by group: .*validation_fraction=0, and train with config=es\.TrainingConfig\(keep='last'\)",
        ),
        (lambda: es.load(source, validation_fraction=2), "es.load: validation_fraction: Input .* less than 1"),
        (lambda: es.train(made.data, epochs=-1), "es.train: epochs: Input .* greater than or equal to 0 .found -1.$"),
        (lambda: es.train(made.data, name="Car"), "es.train: name: Value error, model name 'Car'"),
        (lambda: es.TrainingConfig(hidden_size=0), "TrainingConfig: hidden_size: Input"),
    ):
        with pytest.raises(EdgeSeqError, match=message) as caught:
            call()
        assert "--" not in str(caught.value)
        assert "edge-seq " not in str(caught.value)


def test_a_source_that_asks_for_a_split_by_time_gets_it(made: Made, tmp_path: Path) -> None:
    shutil.copy(made.folder / "drives.csv", tmp_path)
    (tmp_path / "one.toml").write_text('split = "time_blocks"\n' + (made.folder / "drives.toml").read_text())
    assert es.load(tmp_path / "one.toml").note.split == "time_blocks"


def test_the_first_rung_is_torch_where_the_model_came_from_it(made: Made) -> None:
    few = {"max_windows": 4, "extreme_windows": 1, "quiet": True}
    ladder = es.verify(made.chip, made.data, **few)  # type: ignore[arg-type]
    assert (ladder.rungs[0].name, ladder.rungs[0].verdict) == ("torch = float reference", "holds")
    assert ladder.holds
    without = es.verify(replace(made.chip, trained=None), made.data, **few)  # type: ignore[arg-type]
    assert [rung.name for rung in without.rungs] == [rung.name for rung in ladder.rungs[1:]]


def test_a_decision_stage_decides_a_stream_and_is_named_where_it_plays_no_part(made: Made, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.folder / "run", tmp_path / "run"))
    stage = DecisionStage(smoothing_shift=1, unknown_margin=1 << 12)
    decided = load_run_int(open_folder(copy))
    save_model(replace(decided, readout=replace(decided.readout, decision=stage)), open_folder(copy).int_model)
    run = es.open_run(copy)
    assert run.model is not None
    prediction = run.predict(made.data.side("test").counts[:4])
    assert "the model has a decision stage" in str(prediction.warned())
    assert "WARNING: the model has a decision stage" in str(prediction)
    assert es.open_run(made.folder / "run").predict(made.data.side("test").counts[:4]).warned() is None

    recording = made.data.prepared.dataset.recordings[0]
    (whole,) = int_streams(run.model, [recording])
    expected = decisions_of_stages([stage], whole)[0]
    stream = run.stream()
    given = [stream.push(sample) for sample in recording.counts]
    decided = [one.decision for one in given if one is not None]
    assert decided == [(*run.labels, "unknown")[index] for index in expected]


def test_a_split_by_time_warns_with_its_data_and_its_scores(made: Made) -> None:
    data = es.load(made.folder / "drives.toml", split="time_blocks")
    scores = es.evaluate(made.chip, data)
    for shown in (data, scores):
        assert "WARNING: the split is by blocks of time" in str(shown)
        assert "<p>WARNING: the split is by blocks of time" in shown._repr_html_()
        assert shown.to_dict()["split"] == "time_blocks"
        assert "weaker evidence" in shown.to_dict()["warning"]
    assert "WARNING" not in str(made.data)
    with pytest.raises(ConfigError, match=r"split = 'session' is unknown; give one of \['group', 'time_blocks'"):
        es.load(made.folder / "drives.toml", split="session")


def test_scores_of_learnt_validation_windows_are_said_to_be_too_good(made: Made) -> None:
    for model in (made.model, made.chip):
        assert "learn_from = 'all'" in str(es.evaluate(model, made.data, side="validation").warned())
        assert es.evaluate(model, made.data).warned() is None
    config = es.TrainingConfig(cell="gru", hidden_size=3, epochs=1, learn_from="train")
    first = es.train(made.data, config=config, quiet=True)
    assert es.evaluate(first, made.data, side="validation").warned() is None
    assert "trained again on training and validation windows together" in str(made.model)
    assert ("again" in made.model.to_dict(), "again" in first.to_dict()) == (True, False)


def test_a_side_that_is_empty_is_named(made: Made) -> None:
    whole = es.load(made.folder / "drives.toml", test_fraction=0.0)
    with pytest.raises(DataError, match=r"the split has no test windows; give one of \['train', 'validation'\]"):
        whole.side("test")


def test_a_run_that_is_not_quantized_predicts_in_float(made: Made, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.folder / "run", tmp_path / "run"))
    (copy / "model.int.safetensors").unlink()
    run = es.open_run(copy)
    counts = made.data.side("test").counts[:4]
    assert run.predict(counts).probabilities.shape == (4, 4)
    with pytest.raises(DataError, match="holds no integer model; run edge-seq quantize"):
        run.stream()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), "stored without outputs"
    source = "\n".join("".join(cell["source"]) for cell in cells)
    assert len([line for line in source.splitlines() if line.strip()]) < 20
    names: dict[str, object] = {}
    exec(compile(source, path.name, "exec"), names)
    ladder = names["ladder"]
    assert isinstance(ladder, es.Ladder)
    assert ladder.holds


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


def test_import_loads_nothing_else() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nimport edge_seq\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['edge_seq']"


def test_no_torch_before_a_training() -> None:
    names = [name for name in es.__all__ if name != "TrainingConfig"]
    code = f"import sys, edge_seq as es\n[getattr(es, name) for name in {names!r}]\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_results_show_themselves_at_a_prompt(made: Made) -> None:
    for one in (made.data, made.model, made.chip, es.evaluate(made.chip, made.data)):
        assert repr(one) == str(one)
        assert len(repr(one).splitlines()) < 30


def test_the_folder_of_another_models_c_is_refused(made: Made, tmp_path: Path) -> None:
    es.export_c(made.chip, tmp_path / "c")
    es.export_c(made.chip, tmp_path / "c")  # the same model again
    other = replace(made.chip, model=replace(made.chip.model, name="other"))
    with pytest.raises(ConfigError, match=r"holds the export of model 'small', not of 'other'; give another folder"):
        es.export_c(other, tmp_path / "c")


def test_c_as_a_package(made: Made, tmp_path: Path) -> None:
    """Two models share a folder; a package that does not exist is refused before anything is written."""
    with pytest.raises(ConfigError, match=r"package 'make' does not exist\. Packages: arduino, cmake, "):
        es.export_c(made.chip, tmp_path / "none", package="make")
    assert not (tmp_path / "none").exists()
    other = replace(made.chip, model=replace(made.chip.model, name="other"))
    for chip in (made.chip, other):
        assert es.export_c(chip, tmp_path / "out", package="cmake") == tmp_path / "out"
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {"edge_seq", "edge_seq_small", "edge_seq_other"}
