"""Names that a model may not have, because its C files and symbols begin with it."""

from __future__ import annotations

_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
)
_STANDARD_HEADERS = (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype"
)
_HEADERS_OF_PORTS = "arduino arm_mve arm_neon eeprom fcntl immintrin poll termios unistd"
_HEADERS_OF_C_LIBRARIES = "alloca endian features newlib strings"  # included by their standard headers
# A model's header with such a name would replace the system's header, as the export's folder is searched first.
SYSTEM_HEADERS = frozenset(f"{_STANDARD_HEADERS} {_HEADERS_OF_PORTS} {_HEADERS_OF_C_LIBRARIES}".split())
_KEYWORD_SET = frozenset(_KEYWORDS.split())
_WINDOWS = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))])


def why_reserved(name: str) -> str | None:
    """Reason why C files of a model cannot have this name; None if they can.

    >>> why_reserved("string"), why_reserved("car")
    ("string.h is the name of a system's header, which the runtime or that system includes", None)
    """
    if name.startswith("es_") or name in ("es", "edge_seq") or name.endswith("_golden"):
        return "names that begin with es_ or end with _golden, es and edge_seq are those of other files"
    if name in SYSTEM_HEADERS:
        return f"{name}.h is the name of a system's header, which the runtime or that system includes"
    if name == "main":
        return "main.c is the name of a firmware's own file"
    if name in _WINDOWS:
        return f"Windows takes {name}.c for a device"
    return None


def is_awkward(name: str) -> bool:
    """True for names that are reserved, and for words of C that would read badly as a file name.

    >>> is_awkward("int"), is_awkward("model"), is_awkward("car")
    (True, True, False)
    """
    return name in _KEYWORD_SET or name == "model" or why_reserved(name) is not None
