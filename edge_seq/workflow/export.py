"""edge-seq export: the models of a run as ONNX and as C99."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import FORMS
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.data.recording import SIDES
from edge_seq.ir.model import IntModel
from edge_seq.support.files import write_atomically
from edge_seq.workflow.folder import RunFolder, load_run_float, load_run_int, load_windows
from firmware_export.emission.emit import MANIFEST, emit, runtime_files
from firmware_export.emission.golden import make_golden

GOLDEN_WINDOWS = 4


def export_run(run: RunFolder) -> dict[str, int]:
    """Write all exports of a run.

    Returns:
        Bytes of each file by its path in the run folder.

    Raises:
        ConfigError, ModelError, ExportError: as the steps say; then nothing is written.
    """
    files = {**render_onnx(run), **render_c(run, load_run_int(run))}
    # The manifest last: a folder with a manifest is complete.
    for name in sorted(files, key=lambda name: (name.endswith(MANIFEST), name)):
        write_atomically(run.path / name, files[name])
    return {name: len(files[name]) for name in sorted(files)}


def render_onnx(run: RunFolder) -> dict[str, bytes]:
    """The ONNX files of a run: content by path in the run folder."""
    float_model, int_model = load_run_float(run), load_run_int(run)
    files = {}
    for form in FORMS:
        for kind, proto in (
            ("float", export_onnx_float(float_model, form=form)),
            ("int", export_onnx_int(int_model, form=form)),
        ):
            path = run.onnx(kind, form).relative_to(run.path).as_posix()
            files[path] = proto.SerializeToString(deterministic=True)
    return files


def render_c(run: RunFolder, model: IntModel) -> dict[str, bytes]:
    """The C files of a run, generated ones and the runtime: content by path in the run folder."""
    folder = run.c_dir.relative_to(run.path).as_posix()
    texts = {**emit(model, make_golden(model, _golden_counts(run))), **runtime_files()}
    return {f"{folder}/{name}": text.encode("utf-8") for name, text in texts.items()}


def _golden_counts(run: RunFolder) -> NDArray[np.int16]:
    """A few windows for the self-test, of different classes where there are."""
    side = next(side for side in ("validation", "test", *SIDES) if run.windows(side).is_file())
    windows = load_windows(run.windows(side))
    _, first_of_class = np.unique(windows.labels, return_index=True)
    others = np.setdiff1d(np.arange(len(windows.labels)), first_of_class)
    chosen = np.concatenate([first_of_class, others])[:GOLDEN_WINDOWS]
    return np.ascontiguousarray(windows.counts[chosen])
