"""The rung of the cost of integers, from shares given by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.parity import cost
from edge_seq.parity.ladder import Rung
from tests.unit.parity.small import FLOAT, MODEL


def cost_of(monkeypatch: pytest.MonkeyPatch, changed: int, windows: int, *, wrong: int, **limits: float) -> Rung:
    """Of so many windows of two classes, the float model is right about all; the integer model changes some labels,
    the first ``wrong`` of them of class 0, the others of class 1."""
    labels = (np.arange(windows) % 2).astype(np.int16)
    shares = np.where(labels[:, None] == np.arange(2), 0.75, 0.25)
    ours = shares.copy()
    places = [*np.flatnonzero(labels == 0)[:wrong], *np.flatnonzero(labels == 1)[: changed - wrong]]
    ours[places] = ours[places, ::-1]
    given = {id(FLOAT): shares, id(MODEL): ours}
    monkeypatch.setattr(cost, "probabilities_of", lambda model, _: given[id(model)])
    monkeypatch.setattr(cost, "macro_f1", lambda table: np.trace(table) / table.sum())
    side = Windows(np.zeros((windows, 7, 3), dtype=np.int16), labels, np.array(["g"] * windows))
    return cost.cost_rung("cost", FLOAT, MODEL, side, **limits)


def test_the_cost_of_integers_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = cost_of(monkeypatch, 4, 1024, wrong=2)
    assert (rung.name, rung.kind, rung.verdict, rung.comparison) == ("cost", "cost", "holds", None)
    assert rung.detail == (
        "same label 99.61 % (at least 99 %), macro-F1 loss 0.39 points (at most 0.5); 4 of 1024 labels changed, mean "
        "difference of probabilities 0.0020"
    )
    assert rung.figures is not None
    assert rung.figures["macro_f1_float"] == 1.0
    assert rung.figures["macro_f1_int"] == rung.figures["agreement_rate"] == 1020 / 1024
    assert cost_of(monkeypatch, 6, 1024, wrong=2).verdict == "failed"  # macro-F1 loses 0.59 points
    assert cost_of(monkeypatch, 4, 1024, wrong=2, max_macro_f1_loss=4 / 1024).verdict == "holds"
    assert cost_of(monkeypatch, 4, 1024, wrong=2, max_macro_f1_loss=3.9 / 1024).verdict == "failed"
    assert cost_of(monkeypatch, 8, 800, wrong=2, max_macro_f1_loss=0.02).verdict == "holds"  # exactly 99 %
    assert cost_of(monkeypatch, 9, 800, wrong=2, max_macro_f1_loss=0.02).verdict == "failed"
    assert cost_of(monkeypatch, 9, 800, wrong=2, max_macro_f1_loss=0.02, min_agreement_rate=0.98).verdict == "holds"


def test_one_changed_label_of_few_windows_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = cost_of(monkeypatch, 1, 50, wrong=0)
    assert (rung.verdict, rung.kind) == ("skipped", "cost")
    assert rung.detail.endswith("0.0100: too few windows for a verdict")
    assert rung.figures is not None
    assert cost_of(monkeypatch, 2, 50, wrong=1).verdict == "failed"
    assert cost_of(monkeypatch, 1, 500, wrong=0).verdict == "holds"
