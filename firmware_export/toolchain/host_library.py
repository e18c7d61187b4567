"""Run exported C at full speed: a shared library in this process that reads counts directly from numpy arrays.

:mod:`firmware_export.toolchain.host` runs a separate program and records every state of every step. This module returns
only the labels that are due, and copies nothing.
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

# Use every instruction of this machine except 512-bit copies: gcc places them right after states were stored in parts,
# and such a copy stalls until all stores are done. AVX-512's registers and dot products are used at 256 bits.
_NO_WIDE_COPIES = ("-mprefer-vector-width=256",) if platform.machine().lower() in ("x86_64", "amd64") else ()
FAST_FLAGS = ("-std=c99", "-O3", "-march=native", *_NO_WIDE_COPIES)
_HASH_BYTES = 32
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_ARGUMENTS = (_POINTER, _SIZE, _SIZE, _POINTER, _SIZE, _POINTER, _POINTER)
_STEPS_ARGUMENTS = (_POINTER, _POINTER, _SIZE, _POINTER, _POINTER, _POINTER, _POINTER)


@dataclass(frozen=True)
class HostLibrary:
    """A loaded library that contains one model.

    Attributes:
        name: name of the model in the export.
        model: the model in the library.
        library: the library as loaded by ctypes.
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
        folder, output, compiler, flags: see :func:`build_host_library`.
        model: the exported model; its hash must equal the hash in the export.

    Raises:
        ToolError, ExportError: see :func:`build_host_library` and :func:`open_host_library`.
        ParityError: the export contains another model.
    """
    build_host_library(folder, output, compiler=compiler, flags=flags)
    return open_host_library(output, model, name=str(read_manifest(folder)["name"]))


def build_host_library(
    folder: Path, output: Path, *, compiler: Compiler | None = None, flags: Sequence[str] = FAST_FLAGS
) -> None:
    """Compile an export for this machine into a shared library.

    Args:
        folder: export folder, written by :func:`firmware_export.emission.emit.export_c`.
        output: library to create. Give each build its own path, as a loaded file must not be overwritten.
        compiler: compiler to use; None takes the preferred one.
        flags: options for the compiler; by default optimised for exactly this machine.

    Raises:
        ToolError: there is no compiler, or it fails; the message holds its output.
        ExportError: the folder is not an export.
    """
    manifest = read_manifest(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    table = output.with_name(f"{output.name}_models.c")
    table.write_text(models_table([str(manifest["name"])]), encoding="utf-8")
    build_program(
        compiler or find_compiler(),
        [*(folder / source for source in manifest["sources"]), RUNTIME_FOLDER / "port" / "host_library.c", table],
        output,
        root=folder,
        flags=[*flags, "-fPIC"],
        link_flags=["-shared"],
        include_folders=[*(folder / part for part in manifest["include_folders"]), folder / "runtime" / "src"],
    )


def open_host_library(path: Path, model: IntModel, *, name: str) -> HostLibrary:
    """Load a library that :func:`build_host_library` made.

    Args:
        path: the library.
        model: the model in it.
        name: name of the model in the export, for messages.

    Raises:
        ToolError: the library cannot be loaded on this machine.
        ParityError: the library contains another model.
    """
    try:
        library = ctypes.CDLL(str(path.resolve()))
    except OSError as error:
        raise ToolError(
            f"loading {path.name}, built of {name}: {error}; expected a library of this machine. Build it "
            "with a compiler of this machine"
        ) from error
    library.es_library_hash.restype = ctypes.POINTER(ctypes.c_uint8)
    library.es_library_bytes.restype = ctypes.c_size_t
    library.es_library_windows.argtypes = _ARGUMENTS
    library.es_library_begin.argtypes = (_POINTER, _SIZE)
    library.es_library_steps.argtypes = _STEPS_ARGUMENTS
    library.es_library_steps.restype = _SIZE
    require_same_model(model, bytes(library.es_library_hash()[:_HASH_BYTES]).hex(), where="the host")
    return HostLibrary(name, model, library)


def infer_windows(library: HostLibrary, counts: NDArray[np.int16]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Classify windows, each from a reset.

    Args:
        library: library from :func:`load_host_library`.
        counts: raw counts, int16 [B, T, C], read in place if contiguous. A label must be due after T samples.

    Returns:
        Logits int32 [B, K] in Q16, and labels int32 [B]; both equal the integer reference after the last sample.

    Raises:
        ParityError: the counts do not fit, or no label is due after T samples.
        ToolError: the library refuses to run.
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


@dataclass(frozen=True)
class HostLabels:
    """The labels that were due in a block of samples; all arrays are int64.

    Attributes:
        due: index of the sample in the block after which each label was due, [L].
        logits: Q16, [L, K].
        labels: class index, [L].
        decisions: output of the decision stage, -1 for unknown, [L]; the label if there is no decision stage.
    """

    due: NDArray[np.int64]
    logits: NDArray[np.int64]
    labels: NDArray[np.int64]
    decisions: NDArray[np.int64]


class HostStream:
    """A stream of samples through the model of a library, from a reset.

    Args:
        library: library from :func:`load_host_library` or :func:`open_host_library`.

    Raises:
        ToolError: the library refuses to run.
    """

    def __init__(self, library: HostLibrary) -> None:
        self._library = library
        self._memory = np.zeros(library.library.es_library_bytes() // 8 + 1, dtype=np.int64)
        self._address = self._memory.ctypes.data
        self._room = 0
        none = np.zeros(0, dtype=np.int64)
        self._none_due = HostLabels(none, np.zeros((0, library.model.num_classes), dtype=np.int64), none, none)
        self.reset()

    def reset(self) -> None:
        """Start again: zero states, a new window."""
        status = self._library.library.es_library_begin(self._address, self._memory.nbytes)
        if status:
            raise ToolError(
                f"running {self._library.name} on the host: es_init gives status {status}, expected 0; build it again"
            )

    def push(self, counts: NDArray[np.int16]) -> HostLabels:
        """Continue with samples.

        Args:
            counts: raw counts, int16 [n, C], n at least 1, read in place if contiguous.

        Raises:
            ParityError: the counts do not fit.
        """
        model = self._library.model
        steps = len(counts)
        if counts.dtype != np.int16 or counts.shape != (steps, model.num_channels) or not steps:
            raise ParityError(
                f"running {model.name} on the host: counts are {counts.dtype} {list(counts.shape)}; expected int16 "
                f"[steps, {model.num_channels}] with at least one step"
            )
        counts = np.ascontiguousarray(counts)
        if steps > self._room:
            logits = np.empty((steps, model.num_classes), dtype=np.int32)
            self._results = (np.empty(steps, dtype=np.int64), logits, *np.empty((2, steps), dtype=np.int32))
            self._pointers, self._room = [array.ctypes.data for array in self._results], steps
        library = self._library.library
        found = library.es_library_steps(self._address, counts.ctypes.data, steps, *self._pointers)
        return HostLabels(*(array[:found].astype(np.int64) for array in self._results)) if found else self._none_due
