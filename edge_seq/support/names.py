"""Rules for names of classes, groups, recordings and channels.

Names are written unchanged to terminals, C, HTML and models, so control characters are refused.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 255
_JOINERS = "\u200c\u200d"  # needed to spell Persian and Hindi words, and inside emoji


def check_name(name: str, error: type[Exception], *, what: str, remedy: str) -> None:
    r"""Check that a name can be printed and is not too long.

    Args:
        name: name to check.
        error: class of the error to raise.
        what: kind of thing that has the name; begins the message.
        remedy: advice to the user; ends the message.

    Raises:
        error: the name is too long, or has a character that :func:`is_printable` refuses. The message names the first
            one. Line ends and other control characters, marks that turn the direction of text, and halves of surrogate
            pairs are refused.

    >>> check_name("Straße 静止", ValueError, what="label", remedy="")
    >>> check_name("a\x1b[2J", ValueError, what="label", remedy="Rename it.")
    Traceback (most recent call last):
    ValueError: label 'a\x1b[2J': holds U+001B; expected printable characters, at most 255. Rename it.
    """
    if len(name) > MAX_CHARACTERS:
        shown, found = name[:40] + "...", f"has {len(name)} characters"
    elif not all(map(is_printable, name)):
        shown, found = name, f"holds U+{next(ord(one) for one in name if not is_printable(one)):04X}"
    else:
        return
    raise error(f"{what} {shown!r}: {found}; expected printable characters, at most {MAX_CHARACTERS}. {remedy}")


def visible(text: str) -> str:
    r"""Write control characters out, as a terminal would obey them; ends of lines and tabs stay.

    >>> visible("caf\u00e9\n\x1b[2J"), visible("a\u202eb")
    ('café\n\\x1b[2J', 'a\\u202eb')
    """
    if text.replace("\n", "").replace("\t", "").isprintable():  # at once, as it is nearly always so
        return text
    return "".join(one if one in "\n\t" or is_printable(one) else repr(one)[1:-1] for one in text)


def is_printable(character: str) -> bool:
    """True for what :meth:`str.isprintable` accepts, spaces of any width, and zero-width joiners and non-joiners."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``s10`` after ``s9``.

    >>> sorted(["s10", "s9"], key=natural_key)
    ['s9', 's10']
    """
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text) if part)
