"""Names for the columns of a file without a header, by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.guess.clues.labels import class_among
from edge_seq.data.guess.clues.scale import is_gravity, mean_lengths
from edge_seq.data.guess.clues.times import counts_by_one, rises
from edge_seq.data.guess.look import Look
from edge_seq.data.readers.clock import is_date
from edge_seq.data.readers.text.dialect import CLOCK

_SHORTEST_RUN = 4  # rows of a class, on average
_SHORTEST_RISE = 20  # rows from one start of a clock to the next, on average
_RUNS = 50  # a column whose value stays for so many rows on average says who or what, not how it moves


def _pamap2() -> list[str]:
    """Names of the 54 columns of PAMAP2 (Reiss and Stricker, 2012), by its description of the files."""
    of_sensor = [
        "temperature",
        *(f"acc16_{axis}" for axis in "xyz"),
        *(f"acc6_{axis}" for axis in "xyz"),
        *(f"gyro_{axis}" for axis in "xyz"),
        *(f"mag_{axis}" for axis in "xyz"),
        *(f"orientation_{n}" for n in range(4)),
    ]
    return [
        "timestamp",
        "activity",
        "heart_rate",
        *(f"{at}_{one}" for at in ("hand", "chest", "ankle") for one in of_sensor),
    ]


PAMAP2 = _pamap2()


def names_of_columns(look: Look) -> tuple[list[str], list[str]]:
    """Names of all columns, in order, and why.

    Texts with few values are classes, or dates; numbers that rise are times; whole numbers that hardly change are
    groups; the other numbers are axes, where there are three, six or nine of them.
    """
    if len(look.columns) == len(PAMAP2) and rises(look.numbers.get(look.columns[0], np.zeros(1))):
        return list(PAMAP2), [
            "54 columns of which the first rises, as in the data set PAMAP2; activity 0 is none there"
        ]
    names, reasons = [], []
    moving = [name for name in look.columns if _moves(look, name)]
    axes = dict(zip(moving, _axes(look, moving), strict=True)) if len(moving) in (3, 6, 9) else {}
    words = [
        name
        for name in look.columns
        if name in look.texts and 1 < len(look.distinct[name]) <= 256 and not is_date(look.texts[name][0])
        and has_runs(look.texts[name])
    ]  # fmt: skip
    told = class_among({name: look.distinct[name] - {""} for name in words}) if len(words) > 1 else None
    label, person = told or (words[0] if len(words) == 1 else None, None)
    times = [name for name in look.columns if name not in moving and _is_time(look, name)]
    steady = [name for name in look.columns if name in look.numbers and name not in moving and name not in times]
    for name in look.columns:
        if name == CLOCK:
            names.append(name)
        elif name in axes:
            names.append(axes[name])
        elif name == label:
            names.append("label")
            reasons.append(f"the words of column {look.columns.index(name) + 1} are classes")
        elif name == person:
            names.append("group")
            reasons.append(f"the words of column {look.columns.index(name) + 1} are persons or sessions")
        elif times and name == times[0]:
            counts = counts_by_one(look.numbers[name]) if name in look.numbers else False
            names.append("index" if counts else "time")
            reasons.append(f"column {look.columns.index(name) + 1} " + ("counts by 1" if counts else "rises"))
        elif person is None and steady and name == steady[0] and _is_group(look, name):
            names.append("group")
            reasons.append(
                f"column {look.columns.index(name) + 1} keeps its value for long, as a person or session does"
            )
        else:
            names.append(name)
    if axes:
        by_gravity = (
            ", the three that measure gravity the accelerometer's" if moving and axes[moving[0]] != "ax" else ""
        )
        reasons.append(f"{len(axes)} columns that move are the axes, in this order{by_gravity}")
    return names, reasons


def has_runs(texts: Sequence[str]) -> bool:
    """True if a text stays for some rows, as a class does and a checksum or a message does not.

    >>> has_runs(["walk"] * 30 + ["run"] * 30), has_runs(["*60", "*61", "*5F"] * 20)
    (True, False)
    """
    changes = sum(one != other for one, other in pairwise(texts))
    return changes * _SHORTEST_RUN < len(texts)


def _axes(look: Look, moving: list[str]) -> list[str]:
    """Axes of three, six or nine columns: the accelerometer's come first, unless other three alone measure gravity."""
    triples = [moving[n : n + 3] for n in range(0, len(moving), 3)]
    heavy = [n for n, one in enumerate(triples) if _is_heavy(look, one)]
    order = ["a", "g", "m"][: len(triples)]
    if len(heavy) == 1:
        order.insert(heavy[0], order.pop(0))
    return [f"{sensor}{axis}" for sensor in order for axis in "xyz"]


def _is_heavy(look: Look, triple: list[str]) -> bool:
    return is_gravity(mean_lengths([np.stack([look.numbers[name] for name in triple], axis=1)]), surely=True)


def _moves(look: Look, name: str) -> bool:
    if name not in look.numbers:
        return False
    values = look.numbers[name][np.isfinite(look.numbers[name])]
    return (
        len(values) > 2 and not _is_time(look, name) and not _is_group(look, name) and bool((values != values[0]).any())
    )


def _is_time(look: Look, name: str) -> bool:
    if name in look.texts:
        return is_date(look.texts[name][0])
    values = look.numbers[name]
    falls = np.flatnonzero(np.diff(values) < 0)
    first = values[: int(falls[0]) + 1] if falls.size else values
    return len(first) > _SHORTEST_RISE and rises(first) and falls.size * _SHORTEST_RISE <= len(values)


def _is_group(look: Look, name: str) -> bool:
    return keeps_value(look.numbers[name]) and len(np.unique(look.numbers[name])) <= 1000


def keeps_value(values: NDArray[np.float64]) -> bool:
    """True if values [N] are whole numbers that stay for many rows, as a person, a session or a class does.

    >>> keeps_value(np.repeat([1.0, 2.0], 100)), keeps_value(np.arange(200.0)), keeps_value(np.full(200, 0.5))
    (True, False, False)
    """
    changes = int((np.diff(values) != 0).sum())
    return bool((np.nan_to_num(values) % 1 == 0).all()) and changes * _RUNS < len(values)
