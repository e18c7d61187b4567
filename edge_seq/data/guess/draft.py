"""A data source in the making."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_seq.data.guess.channels import Chosen
from edge_seq.data.guess.clues.columns import (
    ColumnRole,
)
from edge_seq.data.guess.files import Found
from edge_seq.data.guess.look import (
    Look,
)


@dataclass
class Draft:
    """A data source in the making."""

    found: Found
    fields: dict[str, Any]
    looks: list[Look] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    roles: dict[str, ColumnRole] = field(default_factory=dict)
    rate: str = ""
    header: str = ""
    stretches: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # of each class, in samples
    sensor: tuple[str, str] | None = None  # column that names the sensor of a row, and the one with the clock
    classes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    gaps: bool = False

    def take(self, column: str, role: Any, detail: str, reason: str) -> None:
        """Note what a column was taken for."""
        self.roles[column] = ColumnRole(column, role, detail, reason)

    def use(self, chosen: Chosen) -> None:
        """Take over channels, with what is said about them."""
        self.fields["channels"] = chosen.channels
        self.said += chosen.said
        self.problems += chosen.problems
        for one in chosen.roles:
            self.roles.setdefault(one.column, one)


def distinct(draft: Draft, name: str) -> set[str]:
    """Distinct texts of a column in all files; whole numbers are written without a point."""
    found: set[str] = set()
    for look in draft.looks:
        if name in look.distinct:
            found |= look.distinct[name]
        elif name in look.numbers:
            found |= {f"{value:g}" for value in np.unique(look.numbers[name][np.isfinite(look.numbers[name])])[:5000]}
    return found


def is_fraction(draft: Draft, name: str) -> bool:
    """True if a column of numbers holds fractions in some file."""
    return any(
        name in look.numbers and bool((np.nan_to_num(look.numbers[name]) % 1 != 0).any()) for look in draft.looks
    )
