"""The layout of libraries that Arduino and PlatformIO share: sources in ``src``, sketches in ``examples``."""

from __future__ import annotations

from firmware_export.packages.common.exported import ExportedC, Files, placed, port_files
from firmware_export.packages.common.readme import runtime_texts

SKETCHES = ("replay", "stream", "board")


def runtime_library(exported: ExportedC) -> Files:
    """The runtime, the loader of blobs, the wire protocol and its port; what a sketch does not use is not linked."""
    return {
        **placed(
            "src",
            {**exported.include, **exported.sources, **exported.load, **exported.wire, **port_files("arduino")},
        ),
        **runtime_texts(exported),
    }


def model_library(exported: ExportedC) -> Files:
    """The model with its golden vectors and sketches."""
    return {
        **placed("src", {**exported.model, **exported.golden}),
        **{f"examples/{sketch}/{sketch}.ino": exported.text(f"{sketch}.ino") for sketch in SKETCHES},
    }
