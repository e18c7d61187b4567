"""Base class for tables of TOML files. Tables are frozen, and unknown keys and texts for numbers are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from edge_seq.support.errors import ConfigError


class StrictTable(BaseModel):
    """A table whose values cannot be changed.

    Unknown keys, NaN and infinity are refused. Where a number is expected, ``true`` and ``"10"`` are refused too;
    pydantic alone would read them as 1 and 10.

    Raises:
        ConfigError: a value is missing, unknown or out of range; the message names each.

    >>> class Sensor(StrictTable):
    ...     rate_hz: float
    >>> Sensor(rate_hz=50).rate_hz
    50.0
    >>> Sensor(rate_hz=True)
    Traceback (most recent call last):
    ...
    edge_seq.support.errors.ConfigError: Sensor: rate_hz: Value error, true is neither a number nor a text; ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(f"{type(self).__name__}: {problems_in(error, type(self))}") from error

    # pydantic's own mark: tables in tables, and tables from TOML, are still checked whole, with one error for all keys.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_from_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = _leaves(cls.model_fields[str(info.field_name)].annotation)
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, bool) and bool not in wanted:
                raise ValueError(f"{str(item).lower()} is neither a number nor a text; give a value of this key's kind")
            if isinstance(item, str) and str not in wanted and wanted & {int, float}:
                raise ValueError(f"the text {item!r} is no number; write the number without quotes")
        return value


def _leaves(annotation: Any) -> set[Any]:
    """Types that an annotation consists of. A Literal counts as the types of its values."""
    if get_origin(annotation) is None:
        return {annotation}
    arguments = get_args(annotation)
    return set().union(*(_leaves(type(one) if isinstance(one, str | int) else one) for one in arguments))


def problems_in(error: ValidationError, root: type[BaseModel], *, top: str = "table") -> str:
    """Describe all problems that pydantic found in a table. For an unknown key, the allowed keys are named.

    Args:
        error: What pydantic raised.
        root: Class of the table.
        top: Name of the table itself, for problems that are not of a single key.
    """
    return "; ".join(_problem(one, root, top) for one in error.errors(include_url=False))


def _problem(problem: Any, root: type[BaseModel], top: str) -> str:
    location, found = problem["loc"], problem["input"]
    key = ".".join(map(str, location)) or top
    if problem["type"] == "extra_forbidden":
        table = _table_at(root, location[:-1])
        of_table = f"keys of {'.'.join(map(str, location[:-1]))}" if location[:-1] else "keys at the top"
        known = "" if table is None else f"; {of_table}: {', '.join(table.model_fields)}"
        return f"{key}: unknown key (found {found!r}){known}"
    shown = "" if isinstance(found, dict | BaseModel) else f" (found {found!r})"
    return f"{key}: {problem['msg']}{shown}"


def _table_at(root: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """Class of the table at a place in ``root``; None where there may be one of several."""
    table = root
    for part in location:
        if part in table.model_fields:  # others are positions in lists, and names of the kinds of a union
            leaves = _leaves(table.model_fields[str(part)].annotation)
            tables = [one for one in leaves if isinstance(one, type) and issubclass(one, BaseModel)]
            if len(tables) != 1:
                return None
            table = tables[0]
    return table
