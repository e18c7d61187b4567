"""Formatting of figures, the same for a terminal and for a page."""

from __future__ import annotations

PARAMETERS_NOTE = "a gate's two biases, which torch keeps, are summed and count once"


def percent(value: float | None) -> str:
    """Format a share as a percentage, and None as ``-``.

    >>> percent(0.5), percent(None)
    ('50.0 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun, and with a verb where one follows.

    >>> counted(1, "group"), counted(2000, "group"), counted(1, "class has", "classes have")
    ('1 group', '2,000 groups', '1 class has')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
