"""How matplotlib is used wherever something is drawn: text is text, never a formula; equal figures are equal files."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_seq.support.errors import ToolError
from edge_seq.support.files import replace_when_done

# Names of classes, groups, channels and files are drawn, and any of them may hold a "$".
_PLAIN = {"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "edge_seq"}


def has_matplotlib() -> bool:
    """Whether something can be drawn; matplotlib is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def require_matplotlib(what: str, *, instead: str = "") -> None:
    """See that something can be drawn, before the work that leads to it.

    Args:
        what: needs it.
        instead: what else can be done, for the message.

    Raises:
        ToolError: matplotlib is not installed.
    """
    if not has_matplotlib():
        raise ToolError(
            f"{what} needs matplotlib, and it is not installed; pip install 'edge-seq[data]'"
            + (f", or {instead}" if instead else "")
        )


@contextmanager
def plain_figures(style: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """matplotlib's ``Figure``, for figures that are made, drawn and saved inside.

    Args:
        style: further settings of matplotlib.

    >>> with plain_figures() as new_figure:  # doctest: +SKIP
    ...     figure = new_figure(figsize=(4, 3))
    ...     figure.subplots().set_title("$ of a name")
    ...     save(figure, Path("name.png"), dpi=110)
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**_PLAIN, **(style or {})}), warnings.catch_warnings():
        # A script that the font lacks is drawn as boxes; in a page the browser's font has it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield Figure


def plain_log_ticks(figure: Any) -> None:
    """Numbers at logarithmic axes as plain text; matplotlib's own are formulas."""
    from matplotlib.ticker import LogFormatter, LogFormatterMathtext

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter("{x:g}")
            if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))  # only where there are few others


def save(figure: Any, path: Path, *, dpi: int) -> None:
    """Write a figure as what the path's end says, PNG or SVG."""
    kind = path.suffix.removeprefix(".")
    plain_log_ticks(figure)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi, metadata={"Date" if kind == "svg" else "Software": None})
