"""What a name may be: of a class, group, recording, channel. Names end in terminals, C, HTML and models as they are."""

from __future__ import annotations

import unicodedata

MAX_CHARACTERS = 255
_JOINERS = "\u200c\u200d"  # in the spelling of Persian and Hindi words, and inside emoji


def check_name(name: str, error: type[Exception], *, what: str, remedy: str) -> None:
    r"""Check that a name can be printed and is not too long.

    Args:
        name: as it was found.
        error: to raise.
        what: whose name it is; begins the message.
        remedy: what to do about it; ends the message.

    Raises:
        error: naming the first character that cannot be printed (:func:`is_printable`): line ends and other control
            characters, marks that turn the direction of text, half of a surrogate pair.

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


def is_printable(character: str) -> bool:
    """By :meth:`str.isprintable`; and spaces of any width, and the marks that join letters or keep them apart."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
