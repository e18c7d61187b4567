"""Exported C on this machine at full speed: a shared library in this process, which reads windows where numpy has them.

:mod:`firmware_export.toolchain.host` runs a program of its own and sees every state of every step; this gives what a
window ends with, and nothing is copied.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ParityError, ToolError
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.emission.words import require_same_model, require_usable_counts
from firmware_export.toolchain.build import Compiler, build_program, find_compiler
from firmware_export.toolchain.host import models_table, read_manifest

# All that this machine has, but for copies in 512 bits: gcc makes them right after states were stored in parts, and the
# copy waits for all stores. AVX-512's registers and dot products on 256 bits are used.
_NO_WIDE_COPIES = ("-mprefer-vector-width=256",) if platform.machine().lower() in ("x86_64", "amd64") else ()
FAST_FLAGS = ("-std=c99", "-O3", "-march=native", *_NO_WIDE_COPIES)
_HASH_BYTES = 32
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_ARGUMENTS = (_POINTER, _SIZE, _SIZE, _POINTER, _SIZE, _POINTER, _POINTER)


@dataclass(frozen=True)
class HostLibrary:
    """A loaded library with one model in it.

    Attributes:
        name: of the model, as the export has it.
        model: that is in it.
        library: as ctypes loaded it.
    """

    name: str
    model: IntModel
    library: ctypes.CDLL


def load_host_library(
    folder: Path,
    model: IntModel,
    output: Path,
    *,
    compiler: Compiler | None = None,
    flags: Sequence[str] = FAST_FLAGS,
) -> HostLibrary:
    """Compile an export for this machine into a shared library, and load it.

    Args:
        folder: written by :func:`firmware_export.emission.emit.export_c`.
        model: that the export is to hold; its hash is compared.
        output: the library. A file that is loaded already must not be built again: give each build a path of its own.
        compiler: of this machine, or the preferred one.
        flags: for the compiler; by default all that this machine has.

    Raises:
        ToolError: where there is no compiler, with the words of one that fails, or where the library cannot be loaded.
        ExportError: where the folder is not an export.
        ParityError: where the export is of another model.
    """
    manifest = read_manifest(folder)
    name = str(manifest["name"])
    output.parent.mkdir(parents=True, exist_ok=True)
    table = output.with_name(f"{output.name}_models.c")
    table.write_text(models_table([name]), encoding="utf-8")
    build_program(
        compiler or find_compiler(),
        [*(folder / source for source in manifest["sources"]), RUNTIME_FOLDER / "port" / "host_library.c", table],
        output,
        root=folder,
        flags=[*flags, "-fPIC"],
        link_flags=["-shared"],
        include_folders=[*(folder / part for part in manifest["include_folders"]), folder / "runtime" / "src"],
    )
    try:
        library = ctypes.CDLL(str(output.resolve()))
    except OSError as error:
        raise ToolError(
            f"loading {output.name}, built of {folder.name}: {error}; expected a library of this machine. Build it "
            "with a compiler of this machine"
        ) from error
    library.es_library_hash.restype = ctypes.POINTER(ctypes.c_uint8)
    library.es_library_bytes.restype = ctypes.c_size_t
    library.es_library_windows.argtypes = _ARGUMENTS
    require_same_model(model, bytes(library.es_library_hash()[:_HASH_BYTES]).hex(), where="the host")
    return HostLibrary(name, model, library)


def infer_windows(library: HostLibrary, counts: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Run windows, each from a reset.

    Args:
        library: from :func:`load_host_library`.
        counts: int16 [B, T, C], raw counts, read in place if they are contiguous. A label must be due after T samples.

    Returns:
        logits int32 [B, K], Q16, and labels int32 [B], those of the integer reference after the last sample.

    Raises:
        ParityError: where the counts do not fit, or no label is due after T samples.
        ToolError: where the library refuses to run.
    """
    model = library.model
    require_usable_counts(model, counts, (library.name,), where="the host")
    counts = np.ascontiguousarray(counts)
    windows, steps, _ = counts.shape
    logits = np.zeros((windows, model.num_classes), dtype=np.int32)
    labels = np.zeros(windows, dtype=np.int32)
    memory = np.zeros(library.library.es_library_bytes() // 8 + 1, dtype=np.int64)
    room = (memory.ctypes.data, memory.nbytes)
    results = (logits.ctypes.data, labels.ctypes.data)
    status = library.library.es_library_windows(counts.ctypes.data, windows, steps, *room, *results)
    if status:
        raise ToolError(f"running {model.name} on the host: es_init gives status {status}, expected 0; build it again")
    if (labels < 0).any():
        raise ParityError(
            f"running {model.name} on the host: windows of {steps} samples end without a label; expected "
            f"{model.contract.window_length} samples, or a multiple"
        )
    return logits, labels
