"""Plots of robustness sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_seq.support.drawing import plain_figures, save


def draw_sweep(axes: Any, sweep: dict[str, Any]) -> None:
    """Accuracy and macro-F1 of the integer model over a sweep with 95 % intervals, the float model dashed."""
    points = sweep["points"]
    places = list(range(len(points)))  # by rank, as the values are far from evenly spaced
    for score, colour, title in (("accuracy", "tab:blue", "accuracy"), ("macro_f1", "tab:orange", "macro-F1")):
        main = "int" if "int" in points[0] else "float"
        shown = [point[main][score] for point in points]
        axes.plot(places, [one["value"] for one in shown], color=colour, marker="o", markersize=4, label=title)
        if shown[0]["low"] is not None:
            low, high = [one["low"] for one in shown], [one["high"] for one in shown]
            axes.fill_between(places, low, high, color=colour, alpha=0.15)
        if main == "int":
            floats = [point["float"][score]["value"] for point in points]
            axes.plot(places, floats, color=colour, linestyle="--", linewidth=1, label=f"{title}, float model")
    axes.axvline([point["value"] for point in points].index(sweep["nominal"]), color="grey", linewidth=0.8)
    axes.set_xticks(places, [f"{point['value']:g}" for point in points], fontsize=8)
    axes.set_xlabel(sweep["quantity"])
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def draw(results: dict[str, Any], path: Path) -> None:
    """A panel a sweep."""
    sweeps = results["sweeps"]
    with plain_figures() as new_figure:
        figure = new_figure(figsize=(4.2 * len(sweeps), 3.6), layout="constrained")
        panels = figure.subplots(1, len(sweeps), squeeze=False)[0]
        for axes, sweep in zip(panels, sweeps, strict=True):
            draw_sweep(axes, sweep)
        panels[0].legend(fontsize=7)
        save(figure, path, dpi=110)
