"""The page of a search."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from edge_seq.report.charts import chart, percent_axis
from edge_seq.report.figures import SearchFigures
from edge_seq.report.markup import bullets, code_block, facts, figures, join, table, tag
from edge_seq.report.page import Section, page
from edge_seq.tuning.result import Point, SearchResult


def search_page(search: SearchFigures) -> str:
    """Make the page of a search.

    Raises:
        ToolError: matplotlib is not installed.
    """
    found = search.table
    axes: list[tuple[str, Callable[[Point], int]]] = [
        (f"{found.unit} of a window", lambda one: one.cost.instructions),
        ("bytes of flash", lambda one: one.cost.flash_bytes),
    ]
    drawn = figures(
        chart(f"macro-F1 over {name}", partial(_draw, found=found, name=name, cost=cost)) for name, cost in axes
    )
    front = table(found.title, found.columns, found.rows(), class_="many")
    work = facts(
        [
            ("candidates", found.candidates),
            ("scored on all folds", found.complete),
            ("trainings", found.trials),
            ("budget", _budget(found)),
            *found.versions.items(),
        ]
    )
    parts = (
        ("choice", "Choice", tag("p", found.choice.why, class_="verdict")),
        ("front", "Front of score and cost", join([drawn, front, bullets(found.notes())])),
        ("work", "Work and versions", work),
        ("reproduce", "Command", code_block([found.execution.command])),
    )
    return page(f"{search.name}: which network?", f"data: {found.source}", [Section(*one) for one in parts])


def _budget(found: SearchResult) -> str:
    budget = found.config["budget"]
    return f"{budget['trials']} trials" if budget["seconds"] is None else f"{budget['seconds'] / 60:g} min"


def _draw(axes: Any, *, found: SearchResult, name: str, cost: Callable[[Point], int]) -> None:
    """Draw the points with their intervals, and the other classifiers as lines across."""
    for one in found.points:
        score = one.macro_f1
        low, high = score.low or score.value, score.high or score.value
        chosen = one.number == found.choice.number
        axes.errorbar(
            cost(one),
            score.value,
            yerr=[[max(0.0, score.value - low)], [max(0.0, high - score.value)]],
            fmt="s" if chosen else "o",
            color="C1" if chosen else "C0",
            label="choice" if chosen else None,
            linewidth=1,
        )
        axes.annotate(str(one.number), (cost(one), score.value), textcoords="offset points", xytext=(5, 4))
    for index, reference in enumerate(found.references):
        if reference.macro_f1 is not None:
            axes.axhline(reference.macro_f1.value, color=f"C{index + 2}", linestyle="--", label=reference.name)
    axes.set(xlabel=name, ylabel="macro-F1, integer model", xscale="log")
    percent_axis(axes.yaxis)
