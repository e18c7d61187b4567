"""Docstrings as Markdown, for the API reference.

The docstrings of this project are written to be read in an editor. Markdown would take ``[K][H]``, a shape, for a link,
and an interpreter's prompt for a quotation; and one entry for two parameters has no counterpart in a table.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class DocstringsAsMarkdown(Extension):
    """Rewrites each docstring before it is parsed."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    r"""The docstring as Markdown.

    >>> as_markdown("See :func:`run` on [K][H].")
    'See `run` on [K]\\[H].'
    >>> print(as_markdown("Args:\n    a, b: sides."))
    Args:
        a: see `b`.
        b: sides.
    """
    text = re.sub(r":(?:func|class|mod|meth|data|attr|exc):(?=`)", "", text)
    parts = re.split(r"^([ ]*>>> .*(?:\n(?!\s*$).+)*)", text, flags=re.MULTILINE)
    return "".join(_fenced(part) if part.lstrip().startswith(">>> ") else _prose(part) for part in parts)


def _prose(text: str) -> str:
    text = text.replace("][", "]\\[")
    return re.sub(r"^( +)((?:\*{0,2}\w+, )+)(\w+): ", _one_by_one, text, flags=re.MULTILINE)


def _one_by_one(match: re.Match[str]) -> str:
    indent, earlier, last = match.groups()
    lines = [f"{indent}{name}: see `{last}`.\n" for name in earlier.removesuffix(", ").split(", ")]
    return "".join(lines) + f"{indent}{last}: "


def _fenced(example: str) -> str:
    indent = " " * (len(example) - len(example.lstrip()))
    return f"{indent}```pycon\n{example}\n{indent}```"
