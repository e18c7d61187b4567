"""Formatting of figures, the same for a terminal and for a page."""

from __future__ import annotations

PARAMETERS_NOTE = "a gate's two biases, which torch keeps, are summed and count once"


def percent(value: float | None) -> str:
    """Format a share as a percentage, and None as ``-``.

    >>> percent(0.5), percent(None)
    ('50.0 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"
