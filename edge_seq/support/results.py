"""Results as frozen dataclasses, and the same results as plain values for JSON.

:func:`to_plain` writes, :func:`from_plain` reads. Both follow one set of rules:

- A field becomes a key of the same name, in the order of the class. ``field(metadata=written("other"))`` gives the key
  another name.
- ``written(unless_none=True)`` leaves the key out while the field is None. Any other field that is None becomes null.
- ``written(unless_false=True)`` leaves the key out while the field is False.
- ``written(inline=True)`` puts the keys of a nested dataclass where its own key would be; None puts none.
- The properties that a class names in ``derived`` follow the fields. They are not read back.
- NaN and infinity, which JSON does not know, become null; null is read back as NaN where a number must be.
- Tuples become lists, paths become texts, configurations become tables, and flags become the list of their names in
  lower case.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, Union, get_args, get_origin, runtime_checkable

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Written:
    """How a field is written. See :func:`written`."""

    key: str = ""
    inline: bool = False
    unless_none: bool = False
    unless_false: bool = False


def written(
    key: str = "", *, inline: bool = False, unless_none: bool = False, unless_false: bool = False
) -> dict[str, Written]:
    """Metadata of a dataclass field that is not written under its own name, or not always.

    Args:
        key: key to write; the name of the field if not given.
        inline: write the keys of the field's dataclass instead of one key that holds them.
        unless_none: leave the key out while the field is None.
        unless_false: leave the key out while the field is False.
    """
    return {"written": Written(key, inline, unless_none, unless_false)}


@runtime_checkable
class Configuration(Protocol):
    """A table of a configuration, which pydantic writes. The class is not named here, as it takes long to import."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Give the table as plain values."""


class Result:
    """Base of the frozen dataclasses that the library returns.

    >>> @dataclass(frozen=True)
    ... class Score(Result):
    ...     derived = ("points",)
    ...     share: float
    ...     note: str | None = dataclasses.field(default=None, metadata=written(unless_none=True))
    ...     @property
    ...     def points(self) -> float:
    ...         return 100 * self.share
    >>> Score(0.5).to_dict()
    {'share': 0.5, 'points': 50.0}
    """

    derived: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain values, ready for JSON. The module documents the rules."""
        return _plain_fields(self)


def to_plain(value: Any) -> Any:
    """Turn a value, and all that it holds, into dictionaries, lists, texts, numbers, booleans and None.

    >>> to_plain({"share": float("nan"), "of": (1, 2), "file": Path("a/b")})
    {'share': None, 'of': [1, 2], 'file': 'a/b'}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain_fields(value)
    match value:
        case dict():
            return {key: to_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case enum.Flag():
            return [str(one.name).lower() for one in type(value) if one in value]
        case Path():
            return str(value)
        case Configuration():
            return value.model_dump(mode="json")
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def _plain_fields(value: Any) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        how, item = _how(field), getattr(value, field.name)
        if (item is None and (how.unless_none or how.inline)) or (item is False and how.unless_false):
            continue
        if how.inline:
            table |= to_plain(item)
        else:
            table[how.key or field.name] = to_plain(item)
    return table | {name: to_plain(getattr(value, name)) for name in getattr(value, "derived", ())}


def _how(field: dataclasses.Field[Any]) -> Written:
    how = field.metadata.get("written", Written())
    assert isinstance(how, Written)
    return how


def from_plain(kind: type[_Kind], value: Any) -> _Kind:
    """Read what :func:`to_plain` wrote. Keys that the class does not know are ignored.

    A key that is missing takes the default of its field.

    Args:
        kind: dataclass to make.
        value: plain value, for example from a JSON file that another release wrote.

    Raises:
        KeyError: a key is missing.
        TypeError: a value is of another type.

    >>> from_plain(Written, {"key": "k"})
    Written(key='k', inline=False, unless_none=False, unless_false=False)
    """
    made: _Kind = _read(kind, value)
    return made


def _read(kind: Any, value: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value)
    if origin is Literal:
        if value not in arguments:
            raise TypeError(f"{value!r}, expected one of {list(arguments)}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is ...:
            return tuple(_read(arguments[0], item) for item in value)
        if len(arguments) == len(value):
            return tuple(_read(one, item) for one, item in zip(arguments, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {key: _read(arguments[1], item) for key, item in value.items()}
    if kind is float and (value is None or (isinstance(value, int) and not isinstance(value, bool))):
        return math.nan if value is None else float(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(kind, type) and isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise TypeError(f"{value!r}, expected {getattr(kind, '__name__', kind)}")


def _read_union(choices: tuple[Any, ...], value: Any) -> Any:
    """Read the first type of a union that fits. None fits only where the union has it."""
    if value is None and type(None) in choices:
        return None
    errors = []
    for choice in choices:
        try:
            return _read(choice, value)
        except (KeyError, TypeError) as error:
            errors.append(error)
    raise errors[0]


def _read_fields(kind: Any, table: Any) -> Any:
    if not isinstance(table, dict):
        raise TypeError(f"{table!r}, expected the fields of {kind.__name__}")
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        how = _how(field)
        key = how.key or field.name
        if how.inline:
            absent = type(None) in get_args(hints[field.name]) and not _has_a_key(hints[field.name], table)
            values[field.name] = None if absent else _read(hints[field.name], table)
        elif key in table:
            values[field.name] = _read(hints[field.name], table[key])
        elif how.unless_none:
            values[field.name] = None
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise KeyError(key)
    return kind(**values)


def _has_a_key(kind: Any, table: dict[str, Any]) -> bool:
    """True if a table has a key of the dataclass in ``kind``, which is a union with None."""
    classes = [one for one in get_args(kind) if dataclasses.is_dataclass(one)]
    return any((_how(field).key or field.name) in table for one in classes for field in dataclasses.fields(one))
