"""Builds the program that drives a simulated AVR with ``libsimavr`` (``runtime/port/simavr/es_simavr.c``)."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from edge_seq.support.errors import ToolError
from firmware_export.toolchain.build import compile_c, find_compiler

SOURCE = Path(__file__).parents[1] / "runtime" / "port" / "simavr" / "es_simavr.c"
_LIBRARIES = ("-lsimavr",)
_PROBE = "#include <simavr/sim_avr.h>\nint main(void) { return avr_make_mcu_by_name(0) != 0; }\n"


@cache
def has_simavr() -> bool:
    """True if this machine has libsimavr with its header, and a compiler that links it."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "probe.c"
        source.write_text(_PROBE, encoding="utf-8")
        try:
            compile_c(find_compiler(), [source], source.with_suffix(""), libraries=_LIBRARIES)
        except ToolError:
            return False
    return True


def build_driver(output: Path) -> Path:
    """Compile the driver program to ``output``.

    Raises:
        ToolError: there is no compiler or no libsimavr; the message holds the compiler's output.
    """
    return compile_c(find_compiler(), [SOURCE], output, flags=["-std=c99", "-O2"], libraries=_LIBRARIES)
