"""Plots of a comparison as PNG and SVG: score over the window length, and norms of gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from edge_seq.compare.points import Candidate
from edge_seq.compare.result import CandidateFigures, Comparison, SizeFigures
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.support.drawing import plain_figures, save

# Okabe & Ito (2008): colour-blind readers can tell these apart. The line style shows the kind of initial weights.
_PALETTE = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
COLOURS: dict[str, str] = dict(zip(CELL_NAMES, _PALETTE, strict=False))  # a test checks that every kind has one
LINES = {"default": "--", "forget_bias": ":", "orthogonal": "-", "chrono": "-"}
WIDTHS = {"last": 1.5, "max": 2.2, "mean": 3.0, "mean_max": 4.0}  # line width by readout
MARKERS = {"default": "o", "forget_bias": "^", "orthogonal": "s", "chrono": "s"}
FORMATS = ("png", "svg")
When = Literal["before", "after"]  # of the training
WHEN: tuple[When, ...] = get_args(When)


def draw_comparison(result: Comparison, out: Path) -> list[str]:
    """Draw the result of :func:`edge_seq.compare.run.compare_cells`.

    Returns:
        Names of the files in ``out``.
    """
    names = []
    for index, size in enumerate(result.sizes):
        chosen = result.at(size)
        if not chosen:
            continue
        suffix = "" if index == 0 else f"_{size.size.value}_{size.size.kind}"
        with plain_figures() as new_figure:
            for name, draw in (("scores", _draw_scores), ("gradients", _draw_gradients)):
                figure = new_figure(layout="constrained")
                draw(figure, result, size, chosen)
                for ending in FORMATS:
                    save(figure, out / f"{name}{suffix}.{ending}", dpi=120)
                    names.append(f"{name}{suffix}.{ending}")
    return names


def _series(chosen: list[CandidateFigures]) -> dict[str, list[CandidateFigures]]:
    """Group candidates by cell, units, initial weights and readout, each sorted by window length, under a label."""
    series: dict[str, list[CandidateFigures]] = {}
    for one in sorted(chosen, key=lambda one: one.candidate.time_steps):
        name = f"{one.candidate.cell} {one.candidate.hidden_size}, {one.candidate.how}"
        series.setdefault(name, []).append(one)
    return series


def _style(one: Candidate) -> dict[str, Any]:
    return {
        "color": COLOURS[one.cell],
        "linestyle": LINES[one.first_weights],
        "linewidth": WIDTHS[one.readout],
    }


def _draw_scores(figure: Any, result: Comparison, size: SizeFigures, chosen: list[CandidateFigures]) -> None:
    figure.set_size_inches(7, 4.5)
    axes = figure.subplots()
    draw_scores(axes, result, chosen)
    axes.set_title(f"{result.task}, {size.name}: mean and 95 % interval over {result.config['seeds']} seeds")
    axes.legend(fontsize="small")


def draw_scores(axes: Any, result: Comparison, chosen: list[CandidateFigures]) -> None:
    """Draw the scores of candidates with their intervals over the window length."""
    from matplotlib.ticker import NullLocator, ScalarFormatter

    series = _series(chosen)
    for index, (label, ones) in enumerate(series.items()):
        shift = 1.0 + 0.012 * (index - len(series) / 2)  # keeps error bars from hiding each other
        values = [100 * one.interval.value for one in ones]
        low = [v - 100 * _or(one.interval.low, v / 100) for v, one in zip(values, ones, strict=True)]
        high = [100 * _or(one.interval.high, v / 100) - v for v, one in zip(values, ones, strict=True)]
        axes.errorbar(
            [shift * one.candidate.time_steps for one in ones],
            values,
            yerr=[[max(0.0, x) for x in low], [max(0.0, x) for x in high]],
            **_style(ones[0].candidate),
            marker=MARKERS[ones[0].candidate.first_weights],
            markersize=4,
            elinewidth=1.5,
            capsize=2,
            label=label,
        )
    majority = 100 * chosen[0].majority
    if result.config["score"] == "accuracy":
        axes.axhline(majority, color="grey", linewidth=0.8)
        axes.annotate("constant guess", (1.0, majority), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({one.candidate.time_steps for one in chosen}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("window length T, samples")
    axes.set_ylabel(f"{result.config['score'].replace('_', ' ')}, %")
    axes.grid(alpha=0.3)


def _draw_gradients(figure: Any, result: Comparison, size: SizeFigures, chosen: list[CandidateFigures]) -> None:
    """Draw the norms of gradients before and after the training."""
    figure.set_size_inches(9, 4.2)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, when in zip(panels, WHEN, strict=True):
        draw_gradients(axes, chosen, when)
        axes.set_title(f"{when} the training")
    panels[1].set_ylabel("")
    panels[1].legend(fontsize="small")
    of = f"{result.task}, {size.name}, T = {longest_window(chosen)}"
    figure.suptitle(f"{of}: effect of the input k steps back on the loss")


def longest_window(chosen: list[CandidateFigures]) -> int:
    """Longest window length T of the candidates, at which gradients are drawn."""
    return max(one.candidate.time_steps for one in chosen)


def draw_gradients(axes: Any, chosen: list[CandidateFigures], when: When) -> None:
    """Draw the norm of the gradient with respect to the input k steps back, ``before`` or ``after`` the training."""
    longest = longest_window(chosen)
    for label, ones in _series([c for c in chosen if c.candidate.time_steps == longest]).items():
        norms = ones[0].gradient.before if when == "before" else ones[0].gradient.after
        axes.plot(norms, **_style(ones[0].candidate), label=label)
    axes.set_yscale("log")
    axes.set_ylim(bottom=1e-12)
    axes.set_xlabel("k, steps back from the newest sample")
    axes.set_ylabel("mean norm of dL / dx[T - 1 - k]")
    axes.grid(alpha=0.3)


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
