"""edge-seq export: the models of a run as ONNX and as C99."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx_float import export_onnx_float
from edge_seq.backends.onnx_graph import FORMS
from edge_seq.backends.onnx_int import export_onnx_int
from edge_seq.backends.onnx_metadata import save_onnx
from edge_seq.data.recording import Windows
from edge_seq.workflow.folder import SIDES, RunFolder, load_run_float, load_run_int, load_windows
from firmware_export.emit import export_c
from firmware_export.golden import make_golden

GOLDEN_WINDOWS = 4


def export_run(run: RunFolder) -> dict[str, int]:
    """Write all exports of a run.

    Returns:
        Bytes of each file by its path in the run folder.

    Raises:
        ConfigError, ModelError, ExportError: as the steps say.
    """
    float_model = load_run_float(run)
    int_model = load_run_int(run)
    for form in FORMS:
        save_onnx(export_onnx_float(float_model, form=form), run.onnx("float", form))
        save_onnx(export_onnx_int(int_model, form=form), run.onnx("int", form))
    golden = make_golden(int_model, _golden_counts(run))
    paths = [*run.onnx_dir.glob("*.onnx"), *export_c(int_model, golden, run.c_dir)]
    return {str(path.relative_to(run.path)): path.stat().st_size for path in sorted(paths)}


def _golden_counts(run: RunFolder) -> NDArray[np.int16]:
    """A few windows for the self-test, of different classes where there are."""
    side = next(side for side in ("validation", "test", *SIDES) if run.windows(side).is_file())
    windows: Windows = load_windows(run.windows(side))
    classes, first = np.unique(windows.labels, return_index=True)
    order = np.concatenate([first, np.setdiff1d(np.arange(len(windows.labels)), first)])
    del classes
    return np.ascontiguousarray(windows.counts[order[:GOLDEN_WINDOWS]])
