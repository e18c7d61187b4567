"""C as text. The only module that knows C syntax; it knows nothing of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

_LINE_WIDTH = 116
_INDENT = "    "


def string_literal(text: str) -> str:
    """A C string literal of UTF-8 bytes; what is not plain ASCII is an octal escape, and no trigraph can arise.

    >>> string_literal('a "b"\\n')
    '"a \\\\"b\\\\"\\\\012"'
    """
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode("utf-8")) + '"'


def comment(text: str) -> str:
    """A comment of one or more lines; ``*/`` inside cannot end it."""
    return "/* " + text.replace("*/", "* /").replace("\n", "\n * ") + " */\n"


def macro_name(text: str) -> str:
    """Upper case, with everything that no macro name has replaced by ``_``.

    >>> macro_name("normal road-2")
    'NORMAL_ROAD_2'
    """
    return re.sub(r"[^A-Z0-9_]", "_", text.upper())


def define(name: str, value: str) -> str:
    """A macro without arguments."""
    return f"#define {name} {value}\n"


def unsigned(value: int) -> str:
    """An unsigned literal."""
    return f"{value}u"


def _integer(value: int, c_type: str) -> str:
    """A literal that has no sign trouble: the lowest 32-bit value is no literal of C."""
    if c_type == "int32_t" and value == -(2**31):
        return "(-2147483647 - 1)"
    return f"0x{value:08X}u" if c_type == "uint32_t" else str(value)


def _wrapped(items: Sequence[str]) -> str:
    lines: list[str] = []
    line = ""
    for item in items:
        if line and len(line) + len(item) + 2 > _LINE_WIDTH - len(_INDENT):
            lines.append(line)
            line = ""
        line += (" " if line else "") + item + ","
    return "".join(f"{_INDENT}{text}\n" for text in [*lines, line] if text)


def array(
    c_type: str,
    name: str,
    values: Iterable[int],
    *,
    shape: str = "",
    rom: bool = False,
    word_aligned: bool = False,
    public: bool = False,
) -> str:
    """A constant array of integers.

    Args:
        c_type: type of an element.
        name: of the array.
        values: at least one.
        shape: what the axes are, for the reader.
        rom: whether the port's qualifier of large tables applies.
        word_aligned: whether it begins at a multiple of four bytes.
        public: with external linkage; otherwise of the file only.
    """
    items = [_integer(int(value), c_type) for value in values]
    linkage = "" if public else "static "
    qualifier = "const ES_ROM" if rom else "const"
    aligned = " ES_WORD_ALIGNED" if word_aligned else ""
    note = comment(shape) if shape else ""
    return f"{note}{linkage}{qualifier} {c_type} {name}[{len(items)}]{aligned} = {{\n{_wrapped(items)}}};\n"


def text_array(name: str, texts: Sequence[str], *, shape: str) -> str:
    """A constant array of texts, of the file only."""
    items = [string_literal(text) for text in texts]
    return f"{comment(shape)}static const char *const {name}[{len(items)}] = {{\n{_wrapped(items)}}};\n"


def _initialiser(fields: Mapping[str, str]) -> str:
    return "".join(f"{_INDENT}.{field} = {value},\n" for field, value in fields.items())


def struct(c_type: str, name: str, fields: Mapping[str, str], *, public: bool = True) -> str:
    """A constant structure, by designated initialisers; values are C expressions; of the file only, unless public."""
    return f"{'' if public else 'static '}const {c_type} {name} = {{\n{_initialiser(fields)}}};\n"


def struct_array(
    c_type: str, name: str, elements: Sequence[Mapping[str, str]], *, shape: str, rom: bool = False
) -> str:
    """A constant array of structures, of the file only; an element on one line if it fits."""
    qualifier = "const ES_ROM" if rom else "const"
    text = ""
    for element in elements:
        fields = [f".{field} = {value}" for field, value in element.items()]
        line = f"{_INDENT}{{{', '.join(fields)}}},\n"
        long = f"{_INDENT}{{\n" + "".join(f"{_INDENT * 2}{field},\n" for field in fields) + f"{_INDENT}}},\n"
        text += line if len(line) <= _LINE_WIDTH else long
    return f"{comment(shape)}static {qualifier} {c_type} {name}[{len(elements)}] = {{\n{text}}};\n"


def braces(values: Iterable[int], c_type: str = "int32_t") -> str:
    """A nested initialiser of integers.

    >>> braces([1, -2])
    '{1, -2}'
    """
    return "{" + ", ".join(_integer(int(value), c_type) for value in np.asarray(list(values)).tolist()) + "}"


def extern(c_type: str, name: str) -> str:
    """Declaration of a constant that another file holds."""
    return f"extern const {c_type} {name};\n"


def memory_union(name: str, context_type: str, bytes_macro: str) -> str:
    """A type that has the size and the alignment of a context's memory."""
    return (
        f"typedef union {name} {{\n{_INDENT}{context_type} alignment;\n{_INDENT}unsigned char bytes[{bytes_macro}];\n"
        f"}} {name}_t;\n"
    )


def include(file: str) -> str:
    """Inclusion of a header of the project."""
    return f'#include "{file}"\n'


def header(guard: str, includes: Sequence[str], body: str) -> str:
    """A header that may be read twice and by C++."""
    linkage = '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
    end = "\n#ifdef __cplusplus\n}\n#endif\n"
    included = "".join(include(file) for file in includes)
    return f"#ifndef {guard}\n#define {guard}\n\n{included}\n{linkage}{body}{end}\n#endif\n"


def self_test_program(name: str) -> str:
    """A program that runs a model's golden vectors and says where they are not met."""
    return (
        "#include <stdio.h>\n"
        + include(f"{name}.h")
        + include(f"{name}_golden.h")
        + f"""
int main(void)
{{
    static {name}_memory_t memory;
    es_place_t place = {{0, 0}};
    const es_status_t status = es_self_test(&{name}_golden, &memory, sizeof memory, &place);
    if (status != ES_OK) {{
        printf("%s, window %u, time step %u\\n", es_status_text(status), (unsigned)place.window, (unsigned)place.step);
    }}
    return status != ES_OK;
}}
"""
    )
