"""An integer model as C in this process: built for this machine once, and kept in the user's cache."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.live.engine import DueLabels, probabilities_of_logits, samples_per_label
from edge_seq.support.cache import cache_key, find_kept, hash_of_files, keep
from edge_seq.support.errors import ParityError, ToolError
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import find_compiler
from firmware_export.toolchain.host_library import (
    FAST_FLAGS,
    HostLibrary,
    HostStream,
    build_host_library,
    open_host_library,
)

LIBRARIES = "libraries"
MOST_LIBRARIES = 32  # some 100 kB each
_SOURCES = ("runtime/**/*.[ch]", "emission/*.py", "toolchain/*.py")


def load_model_library(model: IntModel, *, building: Callable[[], None] = lambda: None) -> HostLibrary:
    """Load the C of a model, built for this machine. It is built once and then taken from the user's cache.

    Args:
        model: integer model; its name must be one that can be exported.
        building: called before a build, which takes some seconds.

    A library that was just built is compared with the integer reference on two windows before it is kept.

    Raises:
        ToolError: there is no such library yet, and no compiler that makes one that this machine can load.
        ExportError: the model cannot be exported.
        ParityError: the library's results differ from the reference.
    """
    key = library_key(model)
    kept = find_kept(LIBRARIES, key)
    if kept is not None:
        try:
            return open_host_library(kept, model, name=model.name)
        except ToolError:  # it was damaged; it is built again
            kept.unlink(missing_ok=True)
    find_compiler()
    building()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows cannot delete a loaded library
        # the library holds no golden vectors, so any window will do for them
        export_c(model, make_golden(model, _some_counts(model)[:, : model.contract.window_length]), Path(folder) / "c")
        output = Path(folder) / "library.so"
        build_host_library(Path(folder) / "c", output)
        library = open_host_library(output, model, name=model.name)
        _compare(library)
        keep(LIBRARIES, key, output.read_bytes(), most=MOST_LIBRARIES)
    return library


def library_key(model: IntModel) -> str:
    """Key of a model's library in the cache."""
    return cache_key([model_hash(model), model.name, _identity()])


def _some_counts(model: IntModel) -> NDArray[np.int16]:
    """A stream of two windows, the second at full scale: int16 [1, 2 T, C]."""
    rng = np.random.default_rng(0)
    low, high = (rng.integers(-(2**15) >> shift, 2**15 >> shift, (model.contract.window_length, model.num_channels))
                 for shift in (4, 0))  # fmt: skip
    return np.concatenate([low, high])[np.newaxis].astype(np.int16)


def _compare(library: HostLibrary) -> None:
    """Compare the labels of two windows with those of the integer reference.

    Raises:
        ParityError: they differ.
    """
    model, counts = library.model, _some_counts(library.model)
    found = HostStream(library).push(counts[0])
    values = {name: value[0] for name, value in run_reference(model, counts).values.items()}
    due = np.flatnonzero(values["label"][:, 0] >= 0)
    expected = [due, values["logits"][due], values["label"][due, 0], values.get("decision", values["label"])[due, 0]]
    decisions = np.where(found.decisions < 0, model.num_classes, found.decisions)
    if not all(map(np.array_equal, [found.due, found.logits, found.labels, decisions], expected)):
        raise ParityError(
            f"building the C of {model.name} for this machine: its labels differ from those of the integer reference. "
            "The compiler or this release is at fault: run edge-seq verify, which locates the gate; edge-seq run "
            "--engine onnx does without C",
            in_python=f"building the C of {model.name} for this machine: its labels differ from those of the integer "
            "reference. The compiler or this release is at fault: call es.verify, which locates the gate",
        )


@cache
def _identity() -> str:
    """What a library depends on besides the model: the sources, the options and the machine."""
    package = RUNTIME_FOLDER.parent
    sources = hash_of_files(path for pattern in _SOURCES for path in package.glob(pattern))
    return cache_key(
        [sources, importlib.metadata.version("edge-seq"), *FAST_FLAGS, sys.platform, platform.machine(), _processor()]
    )


def _processor() -> str:
    """Features of the processor, for which a library is built."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    features = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part", "isa"))]
    return "\n".join(sorted(set(features))) or platform.processor()


class HostEngine:
    """The C of an integer model on one stream of samples; an :class:`edge_seq.live.engine.Engine`.

    Args:
        library: library from :func:`load_model_library`.
    """

    kind = "int"
    described = "C"

    def __init__(self, library: HostLibrary) -> None:
        model = library.model
        self.labels, self.contract, self.model_sha256 = model.labels, model.contract, model_hash(model)
        self.label_every = samples_per_label(model.readout, model.contract)
        self._decides = model.readout.decision is not None
        self._stream = HostStream(library)
        none = np.zeros(0, dtype=np.int64)
        self._none_due = DueLabels(none, none, np.zeros((0, model.num_classes)), none if self._decides else None)

    def reset(self) -> None:
        """Start again: zero states, a new window."""
        self._stream.reset()

    def push(self, counts: NDArray[np.int16]) -> DueLabels:
        """Continue with samples, raw counts int16 [n, C]."""
        found = self._stream.push(counts)
        if not len(found.due):
            return self._none_due
        decisions = np.where(found.decisions < 0, len(self.labels), found.decisions) if self._decides else None
        return DueLabels(found.due, found.labels, probabilities_of_logits(found.logits), decisions)
