"""Plots of robustness sweeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.pipeline.robustness import Robustness, SweepScores
from edge_seq.scores import words
from edge_seq.scores.metrics import Estimate, MainScores
from edge_seq.support.drawing import plain_figures, save


def draw_sweep(axes: Any, sweep: SweepScores) -> None:
    """Draw accuracy and macro-F1 over a sweep, with 95 % intervals.

    If there is an integer model, the float model's line is dashed.
    """
    points = sweep.points
    places = list(range(len(points)))  # by rank, because the values are not evenly spaced
    _draw_score(axes, sweep, lambda scores: scores.accuracy, colour="tab:blue", title=words.ACCURACY)
    _draw_score(axes, sweep, lambda scores: scores.macro_f1, colour="tab:orange", title=words.MACRO_F1)
    axes.axvline([point.value for point in points].index(sweep.nominal), color="grey", linewidth=0.8)
    axes.set_xticks(places, [f"{point.value:g}" for point in points], fontsize=8)
    axes.set_xlabel(sweep.quantity)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def _draw_score(
    axes: Any, sweep: SweepScores, score: Callable[[MainScores], Estimate], *, colour: str, title: str
) -> None:
    shown = [score(point.shown) for point in sweep.points]
    places = list(range(len(shown)))
    axes.plot(places, [one.value for one in shown], color=colour, marker="o", markersize=4, label=title)
    # A score without an interval (None) becomes NaN, which leaves a gap.
    low, high = (np.array(ends, dtype=np.float64) for ends in zip(*((one.low, one.high) for one in shown), strict=True))
    axes.fill_between(places, low, high, color=colour, alpha=0.15)
    if sweep.points[0].int_model is not None:
        floats = [score(point.float_model).value for point in sweep.points]
        label = f"{title}, {words.FLOAT_MODEL}"
        axes.plot(places, floats, color=colour, linestyle="--", linewidth=1, label=label)


def draw(results: Robustness, path: Path) -> None:
    """Draw a panel for each sweep."""
    with plain_figures() as new_figure:
        figure = new_figure(figsize=(4.2 * len(results.sweeps), 3.6), layout="constrained")
        panels = figure.subplots(1, len(results.sweeps), squeeze=False)[0]
        for axes, sweep in zip(panels, results.sweeps, strict=True):
            draw_sweep(axes, sweep)
        panels[0].legend(fontsize=7)
        save(figure, path, dpi=110)
