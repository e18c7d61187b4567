"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """One thing to know of a data set.

    Attributes:
        check: name of the check, for example ``gaps``.
        severity: an ``error`` would spoil a training or stop it; a ``warning`` may; a ``note`` is to be known.
        message: what was found, what was expected, what to do.
        recordings: names of those it is about; all, where there are none.
    """

    check: str
    severity: Severity
    message: str
    recordings: tuple[str, ...] = ()


def some(names: tuple[str, ...] | list[str]) -> str:
    """Names for a message, the first few of them.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
