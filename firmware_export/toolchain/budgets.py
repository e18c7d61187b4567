"""What a model may cost on a target."""

from __future__ import annotations

from pydantic import Field

from edge_seq.support.tables import StrictTable


class Budgets(StrictTable):
    """Limits of one model on one target; None is no limit.

    Attributes:
        max_flash, max_ram, max_stack: bytes.
        max_instructions: of one window.
    """

    max_flash: int | None = Field(default=None, gt=0)
    max_ram: int | None = Field(default=None, gt=0)
    max_stack: int | None = Field(default=None, gt=0)
    max_instructions: int | None = Field(default=None, gt=0)


def first_of(*budgets: Budgets) -> Budgets:
    """For each limit the first that is given.

    >>> first_of(Budgets(max_ram=100), Budgets(max_ram=200, max_flash=5000)).max_flash
    5000
    """
    merged: dict[str, int] = {}
    for one in reversed(budgets):
        merged.update(one.model_dump(exclude_none=True))
    return Budgets(**merged)
