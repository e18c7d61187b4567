"""Result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """One result of a check of a data set.

    Attributes:
        check: name of the check, for example ``gaps``.
        severity: an ``error`` would spoil or stop a training, a ``warning`` may do so, a ``note`` is information.
        message: text that says what was found, what was expected and what to do.
        recordings: names of the recordings concerned; empty if the finding concerns the whole data set.
    """

    check: str
    severity: Severity
    message: str
    recordings: tuple[str, ...] = ()


def some(names: tuple[str, ...] | list[str]) -> str:
    """List the first few names, for a message.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
