"""Each command: what it prints for people and for machines, and its exit codes."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from typer.testing import CliRunner

from edge_seq.cli.app import app
from edge_seq.ir.model import model_hash
from edge_seq.ir.serialize import load_int_model
from edge_seq.pipeline.advice import agreement_warning
from edge_seq.pipeline.exports import render_blobs
from tests.cli.conftest import Small, edge_seq, ok

COMMANDS = (
    "demo",
    "simulate",
    "train",
    "import",
    "distill",
    "evaluate",
    "quantize",
    "decide",
    "export",
    "verify",
    "measure",
    "bench",
    "robustness",
    "compare",
    "search",
    "report",
    "run",
    "record",
    "monitor",
    "inspect",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    text = ok(command, "--help").out
    assert f"Example: edge-seq {command}" in " ".join(text.split()).replace("│ ", "")
    assert "--json" in text


def test_help_names_every_command() -> None:
    text = ok("--help").out
    assert [command for command in COMMANDS if command in text] == list(COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["train", "--hidden-size", "many"], ["teach"], ["train", "--units", "3"]])
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    assert edge_seq(*arguments).code == 2


def test_an_error_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    result = edge_seq("quantize", tmp_path / "nothing")
    assert result.code == 2
    assert result.err.startswith("edge-seq: error: ")
    assert "is not the folder of a run" in result.err
    assert "Traceback" not in result.err


def test_an_error_is_json_where_json_was_asked_for(tmp_path: Path) -> None:
    result = edge_seq("verify", tmp_path, "--json")
    assert result.code == 2
    assert result.json["error"] == "ConfigError"
    assert "config.toml" in result.json["message"]


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "train --help",
        "inspect RUN",
        "quantize RUN",
        "export RUN",
        "evaluate RUN",
        "report RUN",
        "run --help",
        "record --help",
    ],
)
def test_what_does_not_train_imports_no_torch(command: str, small: Small) -> None:
    arguments = [str(small.run) if word == "RUN" else word for word in command.split()]
    code = (
        f"import sys; sys.argv = ['edge-seq', *{arguments!r}]\n"
        "from edge_seq.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_evaluate_scores_models_and_baselines(small: Small) -> None:
    results = ok("evaluate", small.run, "--side", "validation", "--json").json
    assert set(results) >= {"float", "int", "majority", "random_forest"}
    quantization = json.loads((small.run / "quantization.json").read_text())
    assert results["model_hash"] == quantization["float_model_hash"]
    assert results["int_model_hash"] == quantization["model_hash"]
    assert results["float"]["num_windows"] == sum(map(sum, results["float"]["confusion"]))


def test_train_without_torch_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else real(name, *a)\n"
        f"sys.argv = ['edge-seq', 'train', '--out', {str(tmp_path / 'run')!r}]\n"
        "from edge_seq.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "pip install 'edge-seq[train]'" in done.stderr
    assert not (tmp_path / "run").exists(), "nothing is written before the check"


def test_evaluate_prints_every_classifier_and_the_confusion(small: Small) -> None:
    text = ok("evaluate", small.run).out
    for title in ("float model", "integer model", "random forest", "majority guess", "confusion", "skid"):
        assert title in text


def test_a_temperature_was_fitted_on_validation_windows_and_mends_them(small: Small) -> None:
    temperature = json.loads((small.run / "training.json").read_text())["temperature"]
    assert temperature["windows"] > temperature["groups"] > 0
    for result in (
        ok("evaluate", small.run, "--side", "validation", "--json").json,
        ok("quantize", small.run, "--json").json,
    ):
        assert result["reliability"]["temperature"] == temperature
        for model in ("float", "int"):
            before, after = (result["reliability"]["models"][model][when] for when in ("before", "after"))
            if temperature["value"] == 1.0:  # so few windows and epochs do not determine it
                assert temperature["note"].startswith("not applied: ")
                assert after == before
            else:
                assert after["negative_log_likelihood"] < before["negative_log_likelihood"]
            assert len(after["bins"]) == 15
    assert "validation windows" in ok("evaluate", small.run).out


def test_evaluate_scores_whole_recordings(small: Small) -> None:
    results = ok("evaluate", small.run, "--stream", "--json").json
    assert json.loads((small.run / "stream.test.json").read_text()) == results
    for model in ("float", "int"):
        assert results[model]["recordings"] == results[model]["groups"] > 1
        assert results[model]["hours"] == pytest.approx(results[model]["recordings"] * 120 / 3600, rel=0.01)
        assert results[model]["tolerance_s"] == 5.0
        assert sum(one["events"] for one in results[model]["classes"]) > 0
    lines = safetensors.numpy.load((small.run / "reports" / "stream.test.safetensors").read_bytes())
    recordings = {name.split("/")[0] for name in lines}
    assert len(recordings) == results["int"]["recordings"]
    for name in recordings:
        truth, decided = lines[f"{name}/labels"], lines[f"{name}/int"]
        assert truth.shape == decided.shape == (1200,)
        assert (decided[:49] == -1).all()  # no label before the end of the first window of 50
        assert (decided[49:] >= 0).all()
    text = ok("evaluate", small.run, "--stream", "--tolerance-s", "0").out
    assert "an event reaches 0 s beyond its end" in text
    alone = edge_seq("evaluate", small.run, "--tolerance-s", "3")
    assert (alone.code, "which are scored with --stream only" in alone.err) == (2, True)


def test_a_decision_stage_is_chosen_exported_verified_and_taken_out_again(small: Small, tmp_path: Path) -> None:
    options = ("--max-extra-delay-s", "20", "--unknown-margin", "0.002", "--unknown-distance", "0.3")
    learnt = edge_seq("decide", small.run, *options)  # its last training learns the validation recordings
    assert (learnt.code, "train it with --set training.learn_from=train" in " ".join(learnt.err.split())) == (2, True)
    run = tmp_path / "run"
    trained = ok("train", small.run / "config.toml", "--out", run, "--set", "training.learn_from=train").out
    assert re.search(r"\d+ optimiser steps; windows are not mixed below 1,000 steps", trained)
    ok("quantize", run)
    summary = ok("decide", run, *options, "--json").json
    assert json.loads((run / "decision.json").read_text()) == summary
    assert summary["stage"]["unknown_margin"] == 131
    assert summary["decisions"]["unknown_of_right"] <= 0.3
    assert len(summary["stage"]["unknown_distance"]["radii"]) == 4
    streams = ok("evaluate", run, "--stream", "--json").json
    assert {"float_decided", "int_decided"} <= set(streams)
    assert streams["stage"] == summary["stage"]
    assert ok("inspect", run, "--json").json["readout"]["decision"] == summary["stage"]
    inspected = ok("inspect", run).out
    assert re.search(
        r"decision stage: smoothing by 1/\d+, .*unknown below [\d.]+ logits or beyond its label", inspected
    )
    ok("export", run)
    ladder = ok("verify", run, "--windows", "20", "--extreme", "8", "--json").json
    traced = next(rung for rung in ladder["rungs"] if rung["name"].endswith("ONNX, traced"))
    assert traced["comparison"]["names"][-3:] == ["scores", "excess", "decision"]
    lines = ok("run", run, "--json", stdin=_first_windows(small, 4)).out.splitlines()
    labels = {*_labels_of(run), "unknown"}
    assert {json.loads(line)["decision"] for line in lines} <= labels
    assert "taken out" in ok("decide", run, "--remove").out
    assert "the decision stage was part of the earlier integer model" in ok("quantize", run).out
    assert "decision" not in ok("inspect", run, "--json").json["readout"]


def _labels_of(run: Path) -> list[str]:
    from edge_seq.ir.serialize import load_int_model

    return list(load_int_model(run / "model.int.safetensors").labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--remove", "--allow-unknown"], "--remove takes the stage out and searches none"),
        (["--allow-unknown", "--unknown-margin", "1"], "give one of the two"),
        (["--unknown-margin", "9"], "unknown_margin is 9.0; give 0 to 8 logits"),
        (["--unknown-distance", "1"], "unknown_distance is 1.0; give a share of 0 to below 1"),
        (["--remove", "--unknown-distance", "0.1"], "--remove takes the stage out and searches none"),
        (["--max-extra-delay-s", "-1"], "max_extra_delay_s is -1.0; give 0 or more seconds"),
    ],
)
def test_decide_refuses_what_does_not_go_together(options: list[str], message: str, small: Small) -> None:
    result = edge_seq("decide", small.run, *options)
    assert (result.code, message in result.err) == (2, True), result.err


def test_robustness_sweeps_disturbed_recordings(small: Small) -> None:
    results = ok("robustness", small.run, "--sweep", "full_scale", "--no-plot", "--json").json
    assert json.loads((small.run / "reports" / "robustness.test.json").read_text()) == results
    (sweep,) = results["sweeps"]
    as_trained = next(point for point in sweep["points"] if point["value"] == sweep["nominal"])
    scored = ok("evaluate", small.run, "--no-baselines", "--json").json
    for model in ("float", "int"):
        assert as_trained[model]["accuracy"] == scored[model]["accuracy"]
    result = edge_seq("robustness", small.run, "--sweep", "colour")
    assert (result.code, "there is no sweep 'colour'" in result.err) == (2, True)


def test_streams_of_other_recordings_are_refused(small: Small, tmp_path: Path) -> None:
    run = shutil.copytree(small.run, tmp_path / "run")
    hashes = json.loads((run / "data" / "hashes.json").read_text())
    (run / "data" / "hashes.json").write_text(json.dumps({**hashes, "validation": "0" * 64}))
    result = edge_seq("evaluate", run, "--stream", "--side", "validation")
    assert result.code == 2
    assert "the validation recordings are not those that the run was trained with" in result.err


def test_evaluate_scores_a_head_that_learns(small: Small) -> None:
    results = ok("evaluate", small.run, "--adapt", "2", "--json").json
    assert results["lessons"] == 2
    assert {"before", "after", "after_wrong", "gain", "gain_wrong"} <= set(results)
    assert all(0 <= one["after"] <= 1 for one in results["groups"])
    both = edge_seq("evaluate", small.run, "--adapt", "2", "--stream")
    assert (both.code, "--adapt labels windows, --stream scores" in both.err) == (2, True)


@pytest.mark.slow
def test_evaluate_scores_a_head_that_learns_on_other_recordings(small: Small) -> None:
    assert "10% of the labels wrong" in ok("evaluate", small.run, "--adapt", "2").out
    many = edge_seq("evaluate", small.run, "--adapt", "5000")
    assert (many.code, "Give fewer labelled windows" in many.err) == (2, True)
    others = ok("evaluate", small.run, "--adapt", "2", "--source", small.drives, "--json").json
    assert others["split"] == "other recordings"


def test_evaluate_refuses_an_unknown_side(small: Small) -> None:
    result = edge_seq("evaluate", small.run, "--side", "holdout")
    assert result.code == 2
    assert "'holdout' is unknown" in result.err


def test_quantize_ends_with_1_where_the_models_disagree_too_often(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    few = agreement_warning(0.9788, 0.99, side="validation")
    monkeypatch.setattr("edge_seq.pipeline.quantization.agreement_warning", lambda *_, **__: few)
    done = CliRunner().invoke(app, ["quantize", str(run)])
    assert done.exit_code == 1
    assert "WARNING: the integer model gives the label of the float model on 97.88 %" in " ".join(done.output.split())
    stored = json.loads((run / "quantization.json").read_text())
    assert stored["warning"].endswith("let edge-seq search choose")
    _, title, shown = done.output.partition("errors of the integer model by layer and gate")
    assert title
    shares = {one["name"]: one["rms_error"] / one["rms"] for one in stored["by_gate"]}
    places = [shown.index(f" {name} ") for name in sorted(shares, key=lambda name: -shares[name])]
    assert places == sorted(places)
    assert "errors of the integer model" not in ok("quantize", run).out
    assert (run / "model.int.safetensors").is_file()


def test_quantize_takes_the_bits_of_weights_from_the_run_or_the_command(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    whole = json.loads((run / "quantization.json").read_text())
    halves = edge_seq("quantize", run, "--weight-bits", "4", "--json").json
    assert (halves["weight_bits"], "weight_bits" in whole) == ([4], False)
    assert halves["deployed_bytes"] < whole["deployed_bytes"]
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("weight_bits = [\n    8,\n]", "weight_bits = 4"))
    shown = edge_seq("quantize", run).out
    assert "bits of the recurrent layers' weights on states: 4" in shown
    refused = edge_seq("quantize", run, "--weight-bits", "4", "--weight-bits", "8")
    assert (refused.code, "weight_bits is [4, 8] for 1 recurrent layers" in refused.err) == (2, True)


def test_quantize_reports_cost_saturation_and_proof(small: Small) -> None:
    summary = ok("quantize", small.run, "--json").json
    assert summary["cost"]["windows"] > 0
    assert {entry["name"] for entry in summary["saturation"]} >= {"features", "layer0.reset_gate"}
    assert all(bound["magnitude"] <= bound["limit"] for bound in summary["range_proof"])


def test_inspect_shows_a_run_a_model_and_an_export(small: Small) -> None:
    of_run = ok("inspect", small.run, "--json").json
    of_file = ok("inspect", small.run / "model.int.safetensors", "--json").json
    assert of_run == of_file
    assert of_run["layers"] == [
        {
            "cell": "gru",
            "hidden_size": 5,
            "gates": ["reset_gate", "update_gate", "new_gate_input", "new_gate_hidden"],
        }
    ]
    of_onnx = ok("inspect", small.run / "exports" / "onnx" / "int_step.onnx", "--json").json
    assert of_onnx["model_hash"] == of_run["model_hash"]
    text = ok("inspect", small.run).out
    assert "range proof" in text
    assert "10 Hz" in text


def test_inspect_says_that_a_file_is_a_blob_and_what_to_inspect(small: Small, tmp_path: Path) -> None:
    model = load_int_model(small.run / "model.int.safetensors")
    (content,) = render_blobs(model, np.zeros((1, model.contract.window_length, 3), np.int16), ("big",)).values()
    blob = tmp_path / "of_a_run.bin"
    blob.write_bytes(content)
    result = edge_seq("inspect", blob)
    assert result.code == 2
    assert (
        f"inspecting of_a_run.bin: it is a blob of the model {model_hash(model)[:16]}, for big-endian processors"
        in result.err
    )
    assert "edge-seq inspect RUN" in result.err
    blob.write_bytes(content[:-1])
    assert "it is damaged or cut" in edge_seq("inspect", blob).err


def test_inspect_refuses_a_folder_without_a_model(tmp_path: Path) -> None:
    result = edge_seq("inspect", tmp_path)
    assert result.code == 2
    assert "the folder has no model" in result.err


def test_train_again_resumes_and_refuses_another_configuration(small: Small) -> None:
    source = small.drives.with_suffix(".toml")
    result = edge_seq("train", "--data", source, "--out", small.run, "--name", "small", "--cell", "lstm")
    assert result.code == 2
    assert "a run of another configuration" in result.err


def test_show_config_prints_every_key_and_trains_nothing(tmp_path: Path) -> None:
    text = ok("train", "--show-config", "--cell", "rnn", "--out", tmp_path / "run").out
    assert 'cell = "rnn"' in text
    assert "[training.augmentation]" in text
    assert not (tmp_path / "run").exists()


def test_simulated_recordings_survive_the_file(small: Small) -> None:
    from edge_seq.data.readers import load_dataset
    from edge_seq.data.simulator import CarStatesOptions, simulate_car_states

    simulated = simulate_car_states(CarStatesOptions(drives=12, drive_duration_s=120, seed=3))
    read = load_dataset(small.drives.with_suffix(".toml"))
    assert read.labels == simulated.labels
    for a, b in zip(read.recordings, simulated.recordings, strict=True):
        assert a.group == b.group
        assert (a.counts == b.counts).all()
        assert (a.labels == b.labels).all()


def test_simulate_refuses_other_endings(tmp_path: Path) -> None:
    result = edge_seq("simulate", "--out", tmp_path / "drives.xlsx")
    assert result.code == 2
    assert ".csv or .parquet" in result.err
    assert list(tmp_path.iterdir()) == []


def _first_windows(small: Small, windows: int) -> str:
    """A CSV stream of the first windows of the first drive."""
    with small.drives.open() as file:
        rows = list(csv.DictReader(file))[: 50 * windows]
    return "az,t,ax,ay\n" + "".join(f"{row['az']},{row['t']},{row['ax']},{row['ay']}\n" for row in rows)


def test_run_gives_the_reference_labels_for_a_stream(small: Small, tmp_path: Path) -> None:
    from edge_seq.backends.reference_int import run_reference
    from edge_seq.data.readers import load_dataset
    from edge_seq.ir.serialize import load_int_model

    stream = _first_windows(small, 4)
    decisions = [json.loads(line) for line in ok("run", small.run, "--json", stdin=stream).out.splitlines()]
    model = load_int_model(small.run / "model.int.safetensors")
    recording = load_dataset(small.drives.with_suffix(".toml")).recordings[0]
    labels = run_reference(model, recording.counts[None, :200]).values["label"][0, :, 0]
    assert [model.labels[label] for label in labels if label >= 0] == [d["label"] for d in decisions]
    assert [d["sample"] for d in decisions] == [49, 99, 149, 199]
    assert all(abs(sum(d["probabilities"].values()) - 1) < 1e-4 for d in decisions)

    (tmp_path / "stream.csv").write_text(stream)
    text = ok("run", small.run, "--kind", "float", "--source", tmp_path / "stream.csv").out
    assert text.splitlines()[0] == "recording stream: 200 samples"
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("stream", "arguments", "message"),
    [
        ("", [], "is empty"),
        ("ax,ay\n1,2\n", [], "['az'] it does not"),
        ("ax,ay,az,ax\n1,2,3,4\n", [], "['ax'] it does not"),
        ("ax,ay,az\n1,2\n", [], "line 2"),
        ("ax,ay,az\n1,2,three\n", [], "line 2"),
        ("ax,ay,az\n1,2,nan\n", [], "line 2"),
        ("ax,ay,az\n1,2,3.5\n", ["--counts"], "are not raw counts"),
        ("ax,ay,az\n1,2,70000\n", ["--counts"], "are not raw counts"),
        ("ax,ay,az\n1,2,-32769\n", ["--counts"], "are not raw counts"),
        ("ax,ay,az\n1,2,\x00\n", [], "line 2"),
        ("t,ax,ay,az\n" + "".join(f"{i / 50},{i % 3},0,9\n" for i in range(60)), [], "sampled at 50 Hz"),
        ("s,ax,ay,az\n0,1,2,3\n0.02,1,2,3\n", ["--time-column", "s"], "sampled at 50 Hz"),
        ("time,ax,ay,az\n0,1,2,3\n0.1,1,2,3\n0.5,1,2,3\n", [], "line 4: 0.4 s after the sample before"),
        ("t,ax,ay,az\n0,1,2,3\n0.1,1,2,3\n0.1,1,2,3\n", [], "line 4: t = 0.1 s is not later"),
        ("t,ax,ay,az\nnoon,1,2,3\n", [], "holds no time in seconds"),
        ("t,ax,ay,az\nnan,1,2,3\n", [], "is not finite"),
        ("t,ax,ay,az\n0,1,2,3\n", ["--time-column", "ms"], "must hold the time column 'ms' once"),
        ("ax,ay,az\n" + "981,0,0\n" * 60, [], "of channel ax lies beyond full scale"),
    ],
)
def test_run_refuses_a_bad_stream(stream: str, arguments: list[str], message: str, small: Small) -> None:
    result = edge_seq("run", small.run, *arguments, stdin=stream)
    assert result.code == 2
    assert message in result.err


def test_run_takes_the_lowest_count_and_unchecked_times(small: Small) -> None:
    stream = "t,ax,ay,az\n" + "0,1,2,-32768\n" + "0,1,2,3\n" * 49
    result = ok("run", small.run, "--counts", "--time-column", "", "--json", stdin=stream)
    assert json.loads(result.out)["sample"] == 49


def test_run_warns_once_of_saturation_that_begins_later(small: Small) -> None:
    stream = "ax,ay,az\n" + "1,0,9\n2,1,8\n" * 25 + "981,0,9\n982,1,8\n" * 50
    result = ok("run", small.run, "--json", stdin=stream)
    assert len(result.out.splitlines()) == 3
    assert result.err.count("warning") == 1
    assert "up to line 101: 100.0% of channel ax lies beyond full scale" in result.err


def test_run_warns_once_of_an_axis_that_stands_still(small: Small) -> None:
    stream = "ax,ay,az\n" + "1,0,9\n2,1,8\n" * 25 + "1,0,9\n2,0,8\n" * 50
    result = ok("run", small.run, "--json", stdin=stream)
    assert len(result.out.splitlines()) == 3
    assert result.err.count("warning") == 1
    assert "up to line 101: channel ay is 0 in all of the last 50 samples. Is the axis dead" in result.err


def test_run_sees_a_rate_that_doubles_after_the_first_window(small: Small) -> None:
    times = [i / 10 for i in range(50)] + [5 + i / 20 for i in range(50)]
    stream = "t,ax,ay,az\n" + "".join(f"{t},{i % 3},{i % 2},9.{i % 5}\n" for i, t in enumerate(times))
    result = edge_seq("run", small.run, "--json", stdin=stream)
    assert result.code == 2
    assert len(result.out.splitlines()) == 2, "a label of the first window, an error in place of the second"
    assert "lines 52 to 101: sampled at 20 Hz" in result.err


def test_run_takes_a_jitter_of_the_median_in_a_later_window(small: Small) -> None:
    steps = np.where(np.arange(50) % 10 == 5, 0.19, 0.09)  # a median of 0.09 s, a mean of 0.1 s
    times = [i / 10 for i in range(50)] + (4.91 + np.cumsum(steps)).tolist()
    stream = "t,ax,ay,az\n" + "".join(f"{t},{i % 3},{i % 2},9.{i % 5}\n" for i, t in enumerate(times))
    assert len(ok("run", small.run, "--json", stdin=stream).out.splitlines()) == 2


def test_run_says_how_many_samples_a_second_it_takes(small: Small) -> None:
    result = ok("run", small.run, stdin=_first_windows(small, 2))
    assert "edge-seq: 100 samples, 2 labels; the model takes " in result.err


def test_run_stops_after_a_duration(small: Small) -> None:
    result = ok("run", small.run, "--duration-s", "7.5", stdin=_first_windows(small, 2))
    assert "edge-seq: 75 samples, 1 labels" in result.err


def test_run_reads_a_file_with_a_byte_order_mark(small: Small, tmp_path: Path) -> None:
    stream = _first_windows(small, 1)
    (tmp_path / "stream.csv").write_text(stream, encoding="utf-8-sig")
    from_stdin = ok("run", small.run, "--json", stdin="\ufeff" + stream).json
    by_contract = ok("run", small.run, "--source", tmp_path / "stream.csv", "--data", "contract", "--json").json
    by_data_source = ok("run", small.run, "--source", tmp_path / "stream.csv", "--json").json
    assert from_stdin == by_contract
    assert {"recording": "stream", **from_stdin} == by_data_source


def test_run_refuses_text_in_another_encoding(small: Small, tmp_path: Path) -> None:
    (tmp_path / "stream.csv").write_bytes("ax,ay,az,straße\n1,2,3,ü\n".encode("latin-1"))
    result = edge_seq("run", small.run / "exports/onnx/int_step.onnx", "--source", tmp_path / "stream.csv")
    assert result.code == 2
    assert "not text in UTF-8" in result.err
    assert "Traceback" not in result.err


def test_run_refuses_what_it_would_have_to_ignore(small: Small, tmp_path: Path) -> None:
    exports = small.run / "exports" / "onnx"
    (tmp_path / "a.npz").touch()
    for arguments, message in (
        ([exports / "int_window.onnx"], "this is a window model, which takes whole windows; give the step model"),
        ([exports / "int_step.onnx", "--kind", "float"], "chooses an export of a run folder"),
        ([small.run, "--kind", "double"], "kind 'double' is unknown; give one of ['float', 'int']"),
        ([exports / "int_step.onnx", "--source", tmp_path], "is a folder; make a data source, which says how it is"),
        ([exports / "int_step.onnx", "--source", tmp_path / "a.npz"], "is no CSV; make a data source"),
        ([small.run, "--source", tmp_path, "--data", "x.toml", "--counts"], "x.toml says units and times itself"),
        ([small.run, "--source", "socket://x:1", "--data", "x.toml"], "are for files, but socket://x:1 is a serial"),
    ):
        result = edge_seq("run", *arguments)
        assert result.code == 2, result
        assert message in result.err


def test_run_as_json_gives_an_error_as_one_line(small: Small) -> None:
    stream = _first_windows(small, 1) + "1,2\n"
    result = edge_seq("run", small.run, "--json", stdin=stream)
    assert result.code == 2
    decision, error = (json.loads(line) for line in result.out.splitlines())
    assert decision["sample"] == 49
    assert error["error"] == "DataError"
    usage = edge_seq("run", small.run, "--fast", "--json")
    assert (usage.code, usage.json["error"]) == (2, "UsageError")


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["train", "--out", tmp_path / "file" / "run"], ["simulate", "--out", tmp_path / "file" / "x.csv"]):
        result = edge_seq(*command)
        assert result.code == 2
        assert f"{tmp_path / 'file'} is a file" in result.err
        assert "Traceback" not in result.err


def test_what_the_system_refuses_is_one_message() -> None:
    result = edge_seq("simulate", "--drives", "1", "--duration-s", "10", "--out", "/proc/edge_seq/x.csv")
    assert result.code == 2
    assert "/proc/edge_seq" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("option", [("--windows", "-1"), ("--windows", "0"), ("--extreme", "-5")])
def test_verify_refuses_counts_out_of_range(option: tuple[str, str], small: Small) -> None:
    result = edge_seq("verify", small.run, *option, "--json")
    assert result.code == 2
    assert result.json["error"] == "UsageError"
    assert option[0] in result.json["message"]


def test_verify_names_the_sides_there_are(small: Small) -> None:
    result = edge_seq("verify", small.run, "--side", "holdout")
    assert result.code == 2
    assert "'holdout' is unknown; give one of ['train', 'validation', 'test']" in result.err


def test_show_config_as_json_is_json() -> None:
    table = ok("train", "--show-config", "--json", "--cell", "rnn").json
    assert table["training"]["cell"] == "rnn"


def test_run_refuses_a_missing_source(small: Small) -> None:
    result = edge_seq("run", small.run, "--source", "none.csv")
    assert result.code == 2
    assert "none.csv does not exist" in result.err


def test_a_stream_shorter_than_a_window_is_said(small: Small) -> None:
    result = ok("run", small.run, "--json", stdin="ax,ay,az\n" + "1,0,9\n" * 20)
    assert result.out == ""
    assert "has 20 samples, a window has 50" in result.err


def test_other_calibration_streams_are_refused(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "a run"))
    path = run / "data" / "calibration.safetensors"
    counts = safetensors.numpy.load(path.read_bytes())["counts"]
    for other, message in (
        (counts.astype(np.int32), "expected int16 counts [B, T, C]"),
        (np.zeros_like(counts), "not the calibration streams that the run was trained with"),
    ):
        path.write_bytes(safetensors.numpy.save({"counts": other}))
        result = edge_seq("quantize", run)
        assert result.code == 2
        assert message in result.err


def test_damaged_torch_weights_fail_their_rung(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    weights = run / "weights.torch.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    result = edge_seq("verify", run, "--json")
    assert result.code == 1
    rung = next(rung for rung in result.json["rungs"] if rung["verdict"] == "failed")
    assert rung["name"] == "torch = float reference"
    assert rung["kind"] == "budget"
    assert "not a whole safetensors file" in rung["detail"]


def test_what_to_do_next_can_be_pasted(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "a run"))
    (run / "model.int.safetensors").unlink()
    result = edge_seq("export", run)
    assert result.code == 2
    assert f"run edge-seq quantize '{run}'" in result.err
    (run / "model.float.safetensors").unlink()
    assert f"edge-seq train '{run / 'config.toml'}' --out '{run}'" in edge_seq("quantize", run).err


def test_a_defect_is_no_failed_check() -> None:
    code = (
        "import sys, edge_seq.workflow.folder as folder\n"
        "def open_run(path):\n    raise ZeroDivisionError('planted')\n"
        "folder.open_run = open_run\n"
        "sys.argv = ['edge-seq', 'export', 'x', '--json']\n"
        "from edge_seq.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 70
    assert "ZeroDivisionError: planted" in json.loads(done.stdout)["message"]
    assert "Traceback" in done.stderr
