"""Produces C text. This is the only module that knows C syntax, and it knows nothing about models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

_LINE_WIDTH = 116
_INDENT = "    "


def string_literal(text: str) -> str:
    """A C string literal in UTF-8. Bytes that are not plain ASCII become octal escapes, and no trigraph can occur.

    >>> string_literal('a "b"\\n')
    '"a \\\\042b\\\\042\\\\012"'
    """
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode("utf-8")) + '"'


def comment(text: str) -> str:
    """A comment of one or more lines. A ``*/`` inside cannot end it, and a ``/*`` gives no warning.

    >>> comment("/*/ axis")
    '/* / * / axis */\\n'
    """
    apart = text.replace("/*", "/ *").replace("*/", "* /")
    return "/* " + apart.replace("\n", "\n * ") + " */\n"


def macro_name(text: str) -> str:
    """Name of a macro: upper case, with every character that is not allowed replaced by ``_``.

    >>> macro_name("normal road-2")
    'NORMAL_ROAD_2'
    """
    return re.sub(r"[^A-Z0-9_]", "_", text.upper())


def define(name: str, value: str) -> str:
    """Definition of a macro without parameters."""
    return f"#define {name} {value}\n"


def unsigned(value: int) -> str:
    """An unsigned literal."""
    return f"{value}u"


def integer(value: int, c_type: str) -> str:
    """An integer literal. The lowest 32-bit value needs an expression, as C has no literal for it."""
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
    """Definition of a constant array of integers.

    Args:
        c_type: type of an element.
        name: name of the array.
        values: values, at least one.
        shape: text of a comment that describes the axes.
        rom: True to add the port's qualifier for large tables.
        word_aligned: True to align it to four bytes.
        public: True for external linkage; False for ``static``.
    """
    items = [integer(int(value), c_type) for value in values]
    linkage = "" if public else "static "
    qualifier = "const ES_ROM" if rom else "const"
    aligned = " ES_WORD_ALIGNED" if word_aligned else ""
    note = comment(shape) if shape else ""
    return f"{note}{linkage}{qualifier} {c_type} {name}[{len(items)}]{aligned} = {{\n{_wrapped(items)}}};\n"


def number(c_type: str, name: str, value: int, *, rom: bool = False) -> str:
    """Definition of a public constant."""
    return f"{'const ES_ROM' if rom else 'const'} {c_type} {name} = {integer(value, c_type)};\n"


def text_array(name: str, texts: Sequence[str], *, shape: str) -> str:
    """Definition of a static constant array of texts."""
    items = [string_literal(text) for text in texts]
    return f"{comment(shape)}static const char *const {name}[{len(items)}] = {{\n{_wrapped(items)}}};\n"


def _initialiser(fields: Mapping[str, str]) -> str:
    return "".join(f"{_INDENT}.{field} = {value},\n" for field, value in fields.items())


def struct(c_type: str, name: str, fields: Mapping[str, str], *, public: bool = True) -> str:
    """Definition of a constant structure by designated initialisers. Values are C expressions; static unless public."""
    return f"{'' if public else 'static '}const {c_type} {name} = {{\n{_initialiser(fields)}}};\n"


def struct_array(
    c_type: str, name: str, elements: Sequence[Mapping[str, str]], *, shape: str, rom: bool = False
) -> str:
    """Definition of a static constant array of structures. An element is on one line if it fits."""
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
    return "{" + ", ".join(integer(int(value), c_type) for value in np.asarray(list(values)).tolist()) + "}"


def extern(c_type: str, name: str) -> str:
    """Declaration of a constant that is defined in another file."""
    return f"extern const {c_type} {name};\n"


def memory_union(name: str, context_type: str, bytes_macro: str) -> str:
    """Definition of a type with the size and the alignment of a context's memory."""
    return (
        f"typedef union {name} {{\n{_INDENT}{context_type} alignment;\n{_INDENT}unsigned char bytes[{bytes_macro}];\n"
        f"}} {name}_t;\n"
    )


def include(file: str) -> str:
    """An include directive for a header of the project."""
    return f'#include "{file}"\n'


def header(guard: str, includes: Sequence[str], body: str) -> str:
    """A header with an include guard, usable from C++."""
    linkage = '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
    end = "\n#ifdef __cplusplus\n}\n#endif\n"
    included = "".join(include(file) for file in includes)
    return f"#ifndef {guard}\n#define {guard}\n\n{included}\n{linkage}{body}{end}\n#endif\n"


def self_test_program(name: str) -> str:
    """A program that runs a model's golden vectors and prints the first mismatch."""
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
    if (status == ES_ERROR_SELF_TEST && place.window == ES_CONSTANTS) {{
        puts("the constants differ from their checksum");
    }} else if (status != ES_OK) {{
        printf("%s, window %u, time step %u\\n", es_status_text(status), (unsigned)place.window, (unsigned)place.step);
    }}
    return status != ES_OK;
}}
"""
    )
