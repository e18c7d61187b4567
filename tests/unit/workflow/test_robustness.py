"""Sweeps: names, the same draw at every value, the plot, what is refused."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_seq.data.recording import Recording, Windows
from edge_seq.pipeline.robustness import (
    SWEEP_NAMES,
    SWEEPS,
    Robustness,
    SweepPoint,
    SweepScores,
    choose_sweeps,
    disturbed_windows,
)
from edge_seq.report.sweeps import draw
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import Estimate, MainScores
from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.support.files import json_text
from edge_seq.support.results import from_plain
from edge_seq.workflow import robustness
from edge_seq.workflow.folder import RunFolder
from edge_seq.workflow.robustness import run_robustness
from tests.zoo import random_counts, random_float_model, spec

_PLAIN = random_float_model(spec("rnn", 3)).contract
_NAMES = ("ax", "ay", "az")
CONTRACT = replace(
    _PLAIN, channels=tuple(replace(c, name=name) for c, name in zip(_PLAIN.channels, _NAMES, strict=True))
)


def _recordings(lengths: tuple[int, ...] = (60, 80)) -> list[Recording]:
    return [
        Recording(f"r{i}", f"g{i}", random_counts(1, n, 3, seed=i, sigma=300)[0], np.zeros(n, dtype=np.int16))
        for i, n in enumerate(lengths)
    ]


def _found(name: str, value: float, lengths: tuple[int, ...]) -> Windows | None:
    sweep = next(sweep for sweep in SWEEPS if sweep.name == name)
    return disturbed_windows(_recordings(lengths), CONTRACT, sweep, value, minimum_share=0.6, seed=0)


def _windows(name: str, value: float, lengths: tuple[int, ...] = (60, 80)) -> np.ndarray:
    found = _found(name, value, lengths)
    assert found is not None
    return found.counts


def test_all_sweeps_or_those_named() -> None:
    assert choose_sweeps(()) == SWEEPS
    assert [sweep.name for sweep in choose_sweeps(["rate", "noise"])] == ["noise", "rate"]
    with pytest.raises(ConfigError, match=r"no sweep 'colour'; give any of \['mounting_angle', 'noise', 'rate'"):
        choose_sweeps(["colour"])


def test_each_sweep_holds_its_nominal_value_and_begins_or_turns_there() -> None:
    for sweep in SWEEPS:
        assert sweep.nominal in sweep.values
        assert len(set(sweep.values)) == len(sweep.values)
    plain = _windows("noise", 0)
    for name in SWEEP_NAMES:
        assert np.array_equal(_windows(name, next(s.nominal for s in SWEEPS if s.name == name)), plain)


def test_noise_grows_and_does_not_change_otherwise() -> None:
    plain = _windows("noise", 0).astype(float)
    little, much = _windows("noise", 0.001) - plain, _windows("noise", 0.01) - plain
    assert np.corrcoef(little.ravel(), much.ravel())[0, 1] > 0.99
    assert np.array_equal(_windows("mounting_angle", 30), _windows("mounting_angle", 30))


def test_recordings_that_become_too_short_are_left_out() -> None:
    assert len(_windows("rate", 0.5, (12, 80))) == len(_windows("rate", 0.5, (80,)))
    assert _found("rate", 0.5, (12,)) is None


def test_values_without_a_window_are_skipped_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Recordings of one window each, such as gestures: a slower sensor gives none, all else is scored."""
    model = random_float_model(spec("rnn", 3))
    length = model.contract.window_length
    run = RunFolder(tmp_path)
    monkeypatch.setattr(robustness, "load_run_float", lambda _run: model)
    monkeypatch.setattr(robustness, "load_run_config", lambda _run: SimpleNamespace(training=SimpleNamespace(seed=0)))
    monkeypatch.setattr(robustness, "note_of_run", lambda _run, _side: SplitNote("group"))
    recordings = {"test": _recordings((length, length)), "validation": _recordings((length - 1,))}
    monkeypatch.setattr(robustness, "load_recordings", lambda _run, side: SimpleNamespace(
        recordings=recordings[side], minimum_share=0.6))  # fmt: skip
    (sweep,) = run_robustness(run, names=["rate"], plot=False).sweeps
    assert sweep.skipped == (0.5, 0.7, 0.8, 0.9, 0.95)
    assert [point.value for point in sweep.points] == [1, 1.05, 1.1, 1.25, 1.5, 2]
    assert str(sweep.note()).startswith("sample rate, times the contract's: 0.5, 0.7, 0.8, 0.9, 0.95 skipped")
    assert json.loads((run.reports / "robustness.test.json").read_text())["sweeps"][0]["skipped"] == list(sweep.skipped)
    with pytest.raises(DataError, match=r"no recording of the validation side is as long as a window .*another --side"):
        run_robustness(run, "validation", names=["rate"], plot=False)


def _robustness() -> Robustness:
    scores = MainScores(Estimate(0.9, 0.8, 0.95), Estimate(0.8, 0.7, 0.9))
    points = tuple(SweepPoint(value, 9, scores, scores) for value in (0.5, 1.0))
    sweep = SweepScores("rate", "rate", 1.0, points)
    return Robustness("test", SplitNote("group"), "0" * 64, 3, (sweep, sweep))


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(_robustness(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_it_shows_itself_and_is_read_back() -> None:
    found = _robustness()
    assert "1 (as trained)" in str(found)
    assert "90.0 % [80.0, 95.0]" in found._repr_html_()
    table = json.loads(json_text(found))
    assert list(table) == ["side", "split", "model_hash", "recordings", "sweeps"]
    assert list(table["sweeps"][0]["points"][0]) == ["value", "windows", "float", "int"]
    assert from_plain(Robustness, table) == found
    del table["sweeps"][0]["points"][0]["int"]
    assert from_plain(Robustness, table).sweeps[0].points[0].int_model is None


def test_without_matplotlib_it_is_said_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ToolError, match=r"pip install 'edge-seq.data.', or give --no-plot"):
        run_robustness(RunFolder(tmp_path))
