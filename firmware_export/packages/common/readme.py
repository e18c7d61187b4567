"""The README of a packaged model: how to install it, its contract, its memory; and that of the runtime."""

from __future__ import annotations

import html
import re

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files


def readme(exported: ExportedC, *, system: str, install: str, example: str) -> str:
    """Text of a README in Markdown.

    Args:
        exported: the export.
        system: name of the build system.
        install: how to add the libraries to a project.
        example: how to build and run the example.
    """
    return exported.text(
        "README.md",
        system=system,
        install=install.strip(),
        example=example.strip(),
        runtime=RUNTIME,
        hash=str(exported.manifest["model_hash"]),
        labels=", ".join(in_markdown(str(label)) for label in exported.manifest["labels"]),
        contract=_contract(exported),
        **{name: f"{size:,}" for name, size in exported.manifest["bytes"].items()},
    )


def runtime_texts(exported: ExportedC) -> Files:
    """README and licence of the runtime's library, which are the same for every model."""
    text = (
        f"# {RUNTIME} {exported.version}\n\n"
        "Runtime of models that edge_seq exported: integers only, no heap, no globals, no calls of a C library. It "
        "serves any number of models.\n`edge_seq.h` documents its functions. A model's README says how to use it.\n"
        "`es_load.h` and `es_update.h` load models that come later, as blobs; what is not called is not linked.\n"
    )
    return {"README.md": text, "LICENSE": exported.text("LICENSE")}


def in_markdown(text: str) -> str:
    """Text that Markdown shows as it stands, also in a table.

    >>> in_markdown("normal_road, _a|b_")
    'normal_road, &#95;a&#124;b&#95;'
    """
    escaped = html.escape(text).translate({ord(mark): f"&#{ord(mark)};" for mark in "|\\`*[]~@"})
    return re.sub(r"(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9])", "&#95;", escaped)  # inside a word it is a plain letter


def _contract(exported: ExportedC) -> str:
    contract, readout = exported.manifest["contract"], exported.manifest["readout"]
    rows = [
        f"| {index} | {in_markdown(channel['name'])} | {in_markdown(channel['unit'])} | {channel['counts_per_unit']:g} "
        f"| ±{channel['full_scale']:g} |"
        for index, channel in enumerate(contract["channels"])
    ]
    length, rate = contract["window_length"], contract["sample_rate_hz"]
    when = "each sample" if readout["label_every"] == "sample" else f"{length} samples ({length / rate:g} s)"
    at_end = "kept" if readout["at_window_end"] == "carry" else "set to zero"
    return "\n".join(
        [
            f"- {rate:g} samples a second. An answer is due after {when}.",
            f"- A window has {length} samples; at its end the states are {at_end}.",
            f"- A sample is {len(rows)} raw counts of type `int16_t`, in this order:",
            "",
            "| index | channel | unit | counts per unit | full scale |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
