"""Base class for tables of TOML files. Tables are frozen, and unknown keys and texts for numbers are refused."""

from __future__ import annotations

from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class StrictTable(BaseModel):
    """A table whose values cannot be changed.

    Unknown keys, NaN and infinity are refused. Where a number is expected, ``true`` and ``"10"`` are refused too;
    pydantic alone would read them as 1 and 10.

    >>> class Sensor(StrictTable):
    ...     rate_hz: float
    >>> Sensor(rate_hz=50).rate_hz
    50.0
    >>> Sensor(rate_hz=True)
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
