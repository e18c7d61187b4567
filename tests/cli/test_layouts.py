"""Recordings as people have them, through every command: what each ends with, and its key figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_export.toolchain.target import MissingToolError, find_emulator, find_target_compiler, load_target
from tests.cli.conftest import edge_seq, ok
from tests.unit.data.door_cases import CASES, G, motion, put, table, texts

TARGET = "cortex_m4"
TINY = (
    *("--cell", "gru", "--hidden-size", "4", "--epochs", "2", "--name", "tiny"),
    *("--set", "quantization.min_agreement_rate=0.5", "--set", "quantization.max_macro_f1_loss=1"),
)
SET_TINY = (
    *("--set", "training.cell=gru", "--set", "training.hidden_size=4", "--set", "training.epochs=1"),
    *("--set", "quantization.min_agreement_rate=0.5", "--set", "quantization.max_macro_f1_loss=1"),
)
# Cases of a user's first hour that are about models and exports, not about recordings; their tests are elsewhere.
OTHER_CASES = ("arduino_layout", "onnx_of_another_length", "torch_relu_rnn")
ALL_CASES, TRAINED = 25, 20


def a_class_in_each_file(folder: Path) -> Path:
    """Two files, each one long recording of one class: the commonest layout of a first try."""
    for label in ("idle", "wave"):
        seconds, acceleration, _ = motion(label, 0, 3000)
        put(
            folder / "data" / f"{label}.csv",
            table("t,ax,ay,az", [[f"{one:.4f}" for one in seconds], *texts(acceleration * G)]),
        )
    return folder / "data"


@dataclass(frozen=True)
class Layout:
    """A layout, and what is known about it.

    Attributes:
        build: writes the files and returns the path to check.
        classes: right classes.
        channels: number of channels.
        weak: True if the split is by blocks of time, which every result has to say.
        source: what ``run`` is given, below the folder.
        one_window: True if each recording is one window, so that no slower rate can be tried.
        folds: False if there is too little for a cross-validation by time, which says so.
    """

    build: Callable[[Path], Path]
    classes: tuple[str, ...]
    channels: int
    weak: bool
    source: str
    one_window: bool = False
    folds: bool = True


LAYOUTS = {
    "one class a file": Layout(a_class_in_each_file, ("idle", "wave"), 3, True, "data/wave.csv"),
    "one session": Layout(
        CASES["interval_table"].build, ("idle", "rinse", "spin"), 3, True, "data/long_recording.csv", folds=False
    ),
    "six axes": Layout(CASES["six_axis_104hz"].build, ("drill", "lift", "rest"), 6, False, "data/imu.csv"),
    "gestures": Layout(CASES["gestures_blank_line_apart"].build, ("run", "walk"), 6, False, "data/walk.csv", True),
    "NPZ": Layout(CASES["npz_channels_first"].build, ("0", "1", "2"), 3, False, "data.npz", True),
}


def has_target() -> bool:
    try:
        find_target_compiler(load_target(TARGET))
        find_emulator(load_target(TARGET))
    except MissingToolError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_goes_through_every_command(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    folder, run, source = layout.build(tmp_path), tmp_path / "run", tmp_path / "source.toml"

    checked = ok("data", "check", folder, "--write", source, "--json").json
    assert checked["usable"]
    assert set(checked["labels"]) == set(layout.classes)
    assert ("weaker evidence" in str(checked["assumptions"])) == layout.weak
    again = ok("data", "check", source, "--json").json
    assert again["labels"] == checked["labels"]

    ok("train", "--data", source, "--out", run, *TINY)
    assert ok("quantize", run, "--json").json["weight_bytes"] > 0
    scores = ok("evaluate", run, "--json").json
    assert scores["int"]["num_windows"] > 0
    assert ("weaker evidence" in str(scores.get("warning"))) == layout.weak
    for commands in ((), ("decide",)):
        for command in commands:
            assert ok(command, run, "--json").json["tried"] > 0
        streams = ok("evaluate", run, "--stream", "--json").json
        assert streams["int"]["recordings"] > 0
        assert streams["labels"] == list(layout.classes)
    assert "exports/onnx/int_step.onnx" in ok("export", run).out
    verified = ok("verify", run, "--json").json
    assert verified["holds"]
    assert {rung["verdict"] for rung in verified["rungs"]} <= {"holds", "skipped"}
    if has_target():
        assert ok("measure", run, "--target", TARGET, "--json").json["targets"][0]["flash_bytes"] > 0
    sweeps = {one["name"]: one for one in ok("robustness", run, "--no-plot", "--json").json["sweeps"]}
    assert list(sweeps) == ["mounting_angle", "noise", "rate", "full_scale"]
    assert [bool(one["skipped"]) for one in sweeps.values()] == [False, False, layout.one_window, False]
    ok("report", run)
    page = (run / "reports" / "report.html").read_text()
    assert all(label in page for label in layout.classes)
    assert ("weaker evidence" in page) == layout.weak

    source_file = tmp_path / layout.source
    lines = [json.loads(line) for line in ok("run", run, "--source", source_file, "--json").out.splitlines()]
    assert {line["label"] for line in lines} <= set(layout.classes)
    seen = ok("monitor", "--source", source_file, "--model", run, "--speed", "100000", "--json").json
    assert seen["next_decision"] == len(lines) > 0
    contract = ok("inspect", run, "--json").json["contract"]
    assert len(contract["channels"]) == layout.channels

    validated = edge_seq(
        "cross-validate", "--data", source, "--out", tmp_path / "folds", "--folds", "2", *SET_TINY, "--json"
    )
    assert validated.code == (0 if layout.folds else 2), validated.err
    if layout.folds:
        assert ("weaker evidence" in str(validated.json.get("warning"))) == layout.weak
        assert (validated.json["folds"], validated.json["int"]["repeats"][0]["num_windows"] > 0) == (2, True)
    else:
        assert "cannot split by time: validation gets no window" in validated.err
    compared = ok(
        *("compare", source, "--out", tmp_path / "compared", "--cell", "gru", "--hidden-size", "4", "--seeds", "2"),
        *("--window-length", contract["window_length"], "--target", "none", "--set", "training.epochs=1", "--json"),
    ).json
    assert compared["task"]


def test_at_least_twenty_cases_are_to_be_trained_on_without_an_edit() -> None:
    assert len(CASES) + len(OTHER_CASES) == ALL_CASES
    assert sum(case.trains for case in CASES.values()) >= TRAINED


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_case_is_trained_on_without_an_edit(name: str, tmp_path: Path) -> None:
    """``data check --write`` and ``train`` as a user types them; what does not train ends with one clear message."""
    case, source, run = CASES[name], tmp_path / "source.toml", tmp_path / "run"
    (tmp_path / "recordings").mkdir()
    folder = case.build(tmp_path / "recordings")
    checked = edge_seq("data", "check", folder, "--write", source)
    result = edge_seq("train", "--data", source, "--out", run, *TINY)
    assert (checked.code, result.code) == ((0, 0) if case.trains else (1, 2)), (checked.err, checked.out, result.err)
    if not case.trains:
        assert "all recordings are of one class" in result.err
        assert "Traceback" not in result.err
        assert not run.exists()
