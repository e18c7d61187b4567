"""Formatting of figures, the same for a terminal and for a page."""

from __future__ import annotations

from typing import Any

FUNCTION_COLUMNS = ("function", "instructions", "share")
# Key in the metrics, and name, of each classifier that is scored on windows. The first two are the models of a run.
CLASSIFIERS = {
    "float": "float model",
    "int": "integer model",
    "random_forest": "random forest",
    "majority": "majority guess",
}


def percent(value: float | None) -> str:
    """Format a share as a percentage, and None as ``-``.

    >>> percent(0.5), percent(None)
    ('50.0 %', '-')
    """
    return "-" if value is None else f"{100 * value:.1f} %"


def estimate(value: dict[str, Any]) -> str:
    """Format a score and its interval, given as the dictionary of an :class:`edge_seq.scores.metrics.Estimate`.

    >>> estimate({"value": 0.5, "low": 0.25, "high": 0.75})
    '50.0 % [25.0, 75.0]'
    """
    if value["low"] is None:
        return percent(value["value"])
    return f"{percent(value['value'])} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def stage_text(stage: dict[str, Any]) -> str:
    """Describe the settings of a decision stage in one sentence."""
    distance = stage.get("unknown_distance")
    beyond = ""
    if distance is not None:
        radii = [radius / 128 for radius in distance["radii"]]
        beyond = f" or beyond its label's radius, {min(radii):.2f} to {max(radii):.2f}"
    return (
        f"smoothing by 1/{2 ** stage['smoothing_shift']}, hysteresis {stage['hysteresis'] / 65536:g} logits, at least "
        f"{stage['min_labels']} labels, unknown below {stage['unknown_margin'] / 65536:g} logits{beyond}"
    )


def latency_text(estimate: dict[str, float] | None) -> str:
    """Format a latency estimate of reports/measure.json in ms, and None as ``-``.

    >>> latency_text({"lowest_us": 1000.0, "highest_us": 2000.0}), latency_text({"lowest_us": 9.0, "highest_us": 9.0})
    ('1.00 to 2.00 ms', '0.01 ms')
    """
    if estimate is None:
        return "-"
    ends = dict.fromkeys(f"{estimate[key] / 1000:.2f}" for key in ("lowest_us", "highest_us"))
    return f"{' to '.join(ends)} ms"


def function_rows(measured: dict[str, Any], most: int | None = None) -> list[list[str]]:
    """Rows of a table of instructions by function, for one window on one target of reports/measure.json.

    The columns are FUNCTION_COLUMNS. The function with the most instructions comes first.

    Args:
        measured: entry of the target.
        most: largest number of rows; None gives all.
    """
    counts = measured["instructions_by_function"]
    whole = sum(counts.values())
    return [[name, f"{count:,}", percent(count / whole)] for name, count in list(counts.items())[:most]]
