"""How scores are written, in a terminal and on a page."""

from __future__ import annotations

from typing import Any


def percent(value: float | None) -> str:
    """A share for a table; ``-`` where there is none.

    >>> percent(0.5), percent(None)
    ('50.0 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"


def estimate(value: dict[str, Any]) -> str:
    """A score with its interval, from :class:`edge_seq.metrics.Estimate` as a table.

    >>> estimate({"value": 0.5, "low": 0.25, "high": 0.75})
    '50.0 % [25.0, 75.0]'
    """
    if value["low"] is None:
        return percent(value["value"])
    return f"{percent(value['value'])} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
