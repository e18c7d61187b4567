"""The page of a comparison of cells."""

from __future__ import annotations

from typing import Any

from edge_seq.workflow.compare.text import LEGEND, columns, notes, rows_of_size
from edge_seq.workflow.report.figures import ComparisonFigures
from edge_seq.workflow.report.markup import Html, bullets, code_block, facts, join, table, tag
from edge_seq.workflow.report.page import Section, page
from edge_seq.workflow.report.svg import Axis, Series, line_chart


def comparison_page(comparison: ComparisonFigures) -> str:
    """The whole page of a comparison."""
    c = comparison.table
    first, *others = c["verdicts"]
    verdict = join([tag("p", first["why"], class_="verdict"), bullets([f"{v['scope']}: {v['why']}" for v in others])])
    tables = [table(size["name"], columns(c), rows_of_size(c, size)) for size in c["sizes"]]
    parts = (
        ("verdict", "Verdict", verdict),
        ("scores", "Score over window length", _charts(c, _score_chart)),
        ("gradients", "How far back the gradient reaches", _charts(c, _gradient_chart)),
        ("figures", "All figures and cost", join([*tables, tag("p", LEGEND, class_="note"), bullets(notes(c))])),
        ("rules", "Rules of the verdict", bullets(c["rules"])),
        ("reproduce", "Versions and command", join([facts(list(c["versions"].items())), code_block([c["command"]])])),
    )
    return page(f"{comparison.name}: RNN, GRU or LSTM?", f"data: {c['task']}", [Section(*one) for one in parts])


def _charts(c: dict[str, Any], draw: Any) -> Html:
    return tag("div", *(draw(c, size) for size in c["sizes"]), class_="figures")


def _chosen(c: dict[str, Any], size: dict[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in sorted(c["candidates"], key=lambda one: one["time_steps"]):
        if size["name"] in one["sizes"]:
            found.setdefault((one["cell"], one["first_weights"]), []).append(one)
    return found


def _score_chart(c: dict[str, Any], size: dict[str, Any]) -> Html:
    cells = c["config"]["cells"]
    series = [
        Series(
            f"{cell}, {weights}",
            [p["time_steps"] for p in points],
            [p["interval"]["value"] for p in points],
            [p["interval"]["low"] for p in points],
            [p["interval"]["high"] for p in points],
            cells.index(cell),
            int(weights != "default"),
            True,
        )
        for (cell, weights), points in _chosen(c, size).items()
    ]
    lengths = Axis("window length T, samples", log=True, ticks=[(t, str(t)) for t in c["config"]["window_lengths"]])
    return line_chart(size["name"], series, lengths, Axis("score", limits=(0, 1), percent=True))


def _gradient_chart(c: dict[str, Any], size: dict[str, Any]) -> Html:
    series = []
    for (cell, weights), points in _chosen(c, size).items():
        norms = points[-1]["gradient"]["after"]
        y = [value if value > 0 else None for value in norms]
        series.append(
            Series(
                f"{cell}, {weights}",
                list(range(len(norms))),
                y,
                colour=c["config"]["cells"].index(cell),
                dash=int(weights != "default"),
            )
        )
    title = f"{size['name']}, longest window, after the training"
    return line_chart(title, series, Axis("steps back, k"), Axis("norm of the gradient", log=True))
