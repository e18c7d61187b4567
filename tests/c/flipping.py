"""Text for flip_constants.c: the names of all constants in a model's generated C."""

from __future__ import annotations

import re

# Golden vectors and the texts of the contract have no checksum; a flipped number of the golden vectors is a mismatch.
UNCHECKED = ("_golden", "_channels", "_contract")


def constants_of(name: str, text: str) -> list[tuple[str, str]]:
    """C expressions of a model's constants: (what, lvalue) of each array, and of each number in a structure."""
    found: list[tuple[str, str]] = []
    definition = re.compile(r"^(?:static )?const (?:ES_ROM )?(\w+) (\w+)(\[\d+\])?[^=\n]*= \{\n(.*?)^\};", re.M | re.S)
    for c_type, array, is_array, body in definition.findall(text):
        if array.endswith(UNCHECKED) or c_type == "char":
            continue
        if is_array and not re.search(r"\.\w+ = [a-z&]", body):  # without pointers, so the whole memory is numbers
            found.append((array, array))
            continue
        elements = re.split(r"^    \{", body, flags=re.M)[1:] if is_array else [body]
        for index, element in enumerate(elements):
            place = f"{array}[{index}]" if is_array else array
            numbers = re.findall(r"\.(\w+) = (?:\d|0x|-|ES_)", element)
            found += [(f"{place}.{field}", f"{place}.{field}") for field in numbers]
    return found


def flip_header(name: str, text: str, golden: str, *, labels: int, stride: int = 1) -> str:
    """Text of ``flip_model.h``.

    Args:
        name: name of the model.
        text: its generated source.
        golden: source of its golden vectors.
        labels: number of classes.
        stride: flip every so many bits.
    """
    regions = "".join(f'{{"{what}", &{value}, sizeof {value}}}, ' for what, value in constants_of(name, text))
    texts = " ".join(
        f'{{ region_t text = {{"label", {name}_labels[{k}], sizeof label{k}}}; flip(&text, stride); }}'
        for k in range(labels)
    )
    listed = re.search(rf"{name}_labels\[\d+\] = {{\n(.*?)}};", text, re.S)
    assert listed is not None
    literals = re.findall(r'"[^"]*"', listed[1])
    assert len(literals) == labels
    variables = "".join(f"static char label{k}[] = {literal};\n" for k, literal in enumerate(literals))
    pointers = ", ".join(f"label{k}" for k in range(labels))
    writable = text.replace(listed[1], f"{pointers}\n")  # text literals cannot be written
    macros = {
        "FLIP_MODEL": f"{name}_model",
        "FLIP_CONSTANTS": f"{name}_constants",
        "FLIP_GOLDEN": f"{name}_golden",
        "FLIP_STRIDE": f"{stride}u",
        "FLIP_REGIONS": regions,
        "FLIP_TEXTS(stride)": texts,
    }
    defined = "".join(f"#define {macro} {value}\n" for macro, value in macros.items())
    body = f"{variables}{writable}\n{golden}\nstatic {name}_memory_t flip_memory;\n{defined}"
    return f"#ifndef FLIP_MODEL_H\n#define FLIP_MODEL_H\n{body}#endif\n"
