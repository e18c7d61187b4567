"""Budgets: limits of what a model may cost on a target."""

from __future__ import annotations

from pydantic import Field

from edge_seq.support.tables import StrictTable


class Budgets(StrictTable):
    """Limits for one model on one target. None means no limit.

    Attributes:
        max_flash, max_ram, max_stack: largest size, bytes.
        max_instructions: largest number of instructions per window.
    """

    max_flash: int | None = Field(default=None, gt=0)
    max_ram: int | None = Field(default=None, gt=0)
    max_stack: int | None = Field(default=None, gt=0)
    max_instructions: int | None = Field(default=None, gt=0)


def first_of(*budgets: Budgets) -> Budgets:
    """Merge budgets. The first one that gives a limit decides it.

    >>> first_of(Budgets(max_ram=100), Budgets(max_ram=200, max_flash=5000)).max_flash
    5000
    """
    merged: dict[str, int] = {}
    for one in reversed(budgets):
        merged.update(one.model_dump(exclude_none=True))
    return Budgets(**merged)
