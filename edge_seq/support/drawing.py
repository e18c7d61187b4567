"""Settings of matplotlib for every plot. Text is never read as a formula, and equal figures give equal files."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_seq.support.errors import ToolError
from edge_seq.support.files import replace_when_done

# Plots show names of classes, groups, channels and files, and any of them may hold a "$".
_PLAIN = {"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "edge_seq"}


def has_matplotlib() -> bool:
    """True if matplotlib is installed. It is not imported."""
    return importlib.util.find_spec("matplotlib") is not None


def require_matplotlib(what: str, *, instead: str = "") -> None:
    """Check that matplotlib is installed. Call this before the work whose result is drawn.

    Args:
        what: name of the command or option that draws; begins the message.
        instead: another way out, which the message offers too.

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
    """Give matplotlib's ``Figure`` class. Make, draw and save figures inside the ``with`` block.

    Args:
        style: more matplotlib settings (rcParams).

    >>> with plain_figures() as new_figure:
    ...     figure = new_figure(figsize=(4, 3))
    ...     _ = figure.subplots().set_title("$ of a name")
    ...     save(figure, Path("name.png"), dpi=110)
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**_PLAIN, **(style or {})}), warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes in a PNG. In a page, the browser finds a font that has them.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield Figure


def plain_log_ticks(figure: Any) -> None:
    """Write tick labels of logarithmic axes as plain text. matplotlib writes them as formulas by default."""
    from matplotlib.ticker import LogFormatter, LogFormatterMathtext

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
                axis.set_major_formatter("{x:g}")
            if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))  # labels them on short axes only


def save(figure: Any, path: Path, *, dpi: int) -> None:
    """Write a figure as PNG or SVG, whichever the suffix of the path says."""
    kind = path.suffix.removeprefix(".")
    plain_log_ticks(figure)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi, metadata={"Date" if kind == "svg" else "Software": None})
