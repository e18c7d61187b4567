"""edge-seq inspect: description of a model file, a run or an exported ONNX file."""

from __future__ import annotations

from pathlib import Path

from edge_seq.ir.describe import ModelDescription, describe
from edge_seq.ir.serialize import load_model
from edge_seq.support.errors import ModelError
from edge_seq.workflow.folder import RunFolder


def inspect_path(path: Path) -> ModelDescription:
    """Describe a run folder (its integer model, else its float model), a saved model or an exported ONNX file.

    Raises:
        ModelError: the path holds none of them, or the file is damaged.
    """
    if path.is_dir():
        run = RunFolder(path)
        candidates = [run.int_model, run.float_model]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is None:
            raise ModelError(f"inspecting {path.name}: the folder has no model; give the folder of a trained run")
        return describe(load_model(found))
    if path.suffix == ".onnx":
        from edge_seq.backends.onnx.run import load_onnx

        exported = load_onnx(path)
        return ModelDescription(
            name=path.stem,
            kind=f"{exported.kind} ONNX, {exported.form}",
            model_hash=exported.model_sha256,
            labels=exported.labels,
            contract=exported.contract,
            readout=exported.readout,
        )
    return describe(load_model(path))
