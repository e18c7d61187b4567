"""Boundary of the Python interface: errors name arguments, where those of the commands name options."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from edge_seq.support.errors import EdgeSeqError

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def in_python(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """Let the errors of a function say what a caller in Python does next; see :class:`EdgeSeqError`."""

    @wraps(function)
    def called(*args: _Given.args, **named: _Given.kwargs) -> _Made:
        try:
            return function(*args, **named)
        except EdgeSeqError as error:
            if error.in_python is None:
                raise
            raise type(error)(error.in_python) from error

    return called
