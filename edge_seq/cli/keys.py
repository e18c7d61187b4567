"""Single key presses in a terminal, read without waiting."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

LABEL_KEYS = "123456789abcdefghijklmnoprstuvwxyz"  # q ends the recording; 0 and the space bar mean no label
QUIT, NONE = "q", "0 "


@contextmanager
def key_presses() -> Iterator[Callable[[], str]]:
    """Yield a function that returns the keys pressed since its last call, without waiting.

    The terminal's settings are restored at the end. Ctrl-C still interrupts.
    """
    if sys.platform == "win32":
        import msvcrt

        def pressed_on_windows() -> str:
            keys = ""
            while msvcrt.kbhit():
                keys += msvcrt.getwch()
            return keys

        yield pressed_on_windows
        return
    import select
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def pressed() -> str:
        keys = b""
        while select.select([terminal], [], [], 0)[0] and (more := os.read(terminal, 64)):
            keys += more
        return keys.decode("utf-8", "ignore")

    try:
        tty.setcbreak(terminal)
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


class LabelKeys:
    """Label that was last chosen by a key.

    Args:
        labels: Labels of the keys 1, 2, ..., 9, then letters.
        pressed: Function that returns the keys pressed since its last call.
    """

    def __init__(self, labels: Sequence[str], pressed: Callable[[], str]) -> None:
        self._by_key = dict(zip(LABEL_KEYS, labels, strict=False))
        self._pressed = pressed
        self.label: str | None = ""

    def __call__(self) -> str | None:
        """Return the current label. It is empty for no label, and None once the end key was pressed."""
        for key in self._pressed().lower():
            if key == QUIT:
                self.label = None
            elif self.label is not None:
                self.label = "" if key in NONE else self._by_key.get(key, self.label)
        return self.label

    @property
    def help(self) -> str:
        """Line that names the label of each key."""
        return "  ".join([*(f"{key} {label}" for key, label in self._by_key.items()), "0 none", "q end"])
