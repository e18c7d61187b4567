"""The page of a comparison of cells."""

from __future__ import annotations

from functools import partial

from edge_seq.compare.plots import WHEN, draw_gradients, draw_scores, longest_window
from edge_seq.compare.result import CandidateFigures, Comparison
from edge_seq.compare.text import LEGEND, columns, notes, rows_of_size
from edge_seq.report.charts import chart
from edge_seq.report.figures import ComparisonFigures
from edge_seq.report.markup import Html, bullets, code_block, facts, figures, join, table, tag
from edge_seq.report.page import Section, page


def comparison_page(comparison: ComparisonFigures) -> str:
    """Make the page of a comparison.

    Raises:
        ToolError: matplotlib is not installed.
    """
    c = comparison.table
    first, *others = c.verdicts
    verdict = join([tag("p", first.why, class_="verdict"), bullets([f"{v.scope}: {v.why}" for v in others])])
    tables = [table(size.name, columns(c), rows_of_size(c, size), class_="many") for size in c.sizes]
    versions = facts(list(c.versions.items()))
    parts = (
        ("verdict", "Verdict", verdict),
        ("scores", "Score over window length", _scores(c)),
        ("gradients", "How far back the gradient reaches", _gradients(c)),
        ("figures", "All figures and cost", join([*tables, tag("p", LEGEND, class_="note"), bullets(notes(c))])),
        ("rules", "Rules of the verdict", bullets(c.rules)),
        ("reproduce", "Versions and command", join([versions, code_block([c.execution.command])])),
    )
    return page(f"{comparison.name}: RNN, GRU or LSTM?", f"data: {c.task}", [Section(*one) for one in parts])


def _sizes(c: Comparison) -> list[tuple[str, list[CandidateFigures]]]:
    """List the sizes that have finished trainings, with their candidates."""
    return [(size.name, chosen) for size in c.sizes if (chosen := c.at(size))]


def _scores(c: Comparison) -> Html:
    title = f"mean and 95 % interval over {c.config['seeds']} seeds"
    return figures(
        chart(f"{name}: {title}", partial(draw_scores, result=c, chosen=chosen)) for name, chosen in _sizes(c)
    )


def _gradients(c: Comparison) -> Html:
    return figures(
        chart(
            f"{name}, T = {longest_window(chosen)}, {when} the training",
            partial(draw_gradients, chosen=chosen, when=when),
        )
        for name, chosen in _sizes(c)
        for when in WHEN
    )
