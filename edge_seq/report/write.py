"""Figures to a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_seq.compare.text import COMPARISON
from edge_seq.report.comparison_page import comparison_page
from edge_seq.report.figures import ComparisonFigures, RunFigures, gather
from edge_seq.report.run_page import run_page
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import write_atomically
from edge_seq.workflow.folder import check_can_write, reading


def write_report(path: Path, out: Path | None = None) -> tuple[RunFigures | ComparisonFigures, Path]:
    """Gather, draw, write; gives the figures and where the page is.

    Raises:
        ConfigError: no run and no comparison, or a path that cannot be written.
        DataError, ModelError: a damaged file.
        ToolError: matplotlib is not installed.
    """
    if out is not None and out.is_dir():
        raise ConfigError(
            f"report: cannot write to {out}, which is a folder; give the name of a page, such as {out}/car.html"
        )
    figures = gather(path)
    if isinstance(figures, RunFigures):
        place, page = out or path / "reports" / "report.html", run_page(figures)
    else:
        folder = path if path.is_dir() else path.parent
        place = out or folder / "report.html"
        with reading(COMPARISON):
            page = comparison_page(figures)
    check_can_write(place.parent)
    write_atomically(place, page)
    return figures, place


def to_dict(figures: RunFigures | ComparisonFigures) -> dict[str, Any]:
    """Ready for JSON."""
    return {"kind": "run" if isinstance(figures, RunFigures) else "comparison", **asdict(figures)}
