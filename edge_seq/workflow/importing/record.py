"""Reading of the record of an import in a run folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge_seq.frontends.imports import Imported
from edge_seq.frontends.lower import Lowered
from edge_seq.frontends.originals import Original
from edge_seq.ir.contract import Normalisation
from edge_seq.ir.model import FloatModel
from edge_seq.parity.imported import ImportSummary
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import load_result
from edge_seq.workflow.folder import RunFolder


def load_imported(run: RunFolder, model: FloatModel) -> Imported | None:
    """Load what the ladder needs of an imported network; None if the run was trained here.

    Raises:
        DataError: import.json is damaged, or the network's file is missing or was changed.
    """
    if not run.imported.is_file():
        return None
    summary = load_result(run.imported, ImportSummary)
    stored = run.path / Path(summary.stored).name
    if not stored.is_file() or hashlib.sha256(stored.read_bytes()).hexdigest() != summary.sha256:
        raise DataError(
            f"reading {stored.name}: it is missing, or is not the file that was imported (SHA-256 "
            f"{summary.sha256[:16]}...); import it again: {summary.command}"
        )
    lowered = Lowered(model, summary.output, summary.class_order, summary.layer_outputs, summary.notes)
    original = Original(summary.format, stored, summary.input_axes, summary.layer_outputs, summary.layers)
    return Imported(lowered, original, Normalisation(summary.mean, summary.scale))
