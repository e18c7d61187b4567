"""edge-seq inspect: what is in a model file, a run or an exported ONNX file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import (
    FloatModel,
    IntFormat,
    IntModel,
    deployed_bytes,
    model_hash,
    num_parameters,
    readout_to_dict,
    weight_bytes,
)
from edge_seq.ir.range_proof import range_bounds
from edge_seq.ir.serialize import load_model
from edge_seq.support.errors import ModelError
from edge_seq.workflow.folder import RunFolder


def inspect_path(path: Path) -> dict[str, Any]:
    """Describe a run folder (its integer model, else its float model), a saved model or an exported ONNX file.

    Raises:
        ModelError: where the path holds none of them, or a damaged one.
    """
    if path.is_dir():
        run = RunFolder(path)
        candidates = [run.int_model, run.float_model]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is None:
            raise ModelError(f"inspecting {path.name}: a folder without a model; expected the folder of a trained run")
        return describe(load_model(found))
    if path.suffix == ".onnx":
        from edge_seq.backends.onnx.run import load_onnx

        exported = load_onnx(path)
        return {
            "name": path.stem,
            "kind": f"{exported.kind} ONNX, {exported.form}",
            "model_hash": exported.model_sha256,
            "labels": exported.labels,
            "contract": contract_to_dict(exported.contract),
            "readout": readout_to_dict(exported.readout),
        }
    return describe(load_model(path))


def describe(model: FloatModel | IntModel) -> dict[str, Any]:
    """Contract, layers, sizes, hash; for an integer model its bytes and the range proof."""
    summary: dict[str, Any] = {
        "name": model.name,
        "kind": "int" if isinstance(model.number_format, IntFormat) else "float",
        "model_hash": model_hash(model),
        "labels": model.labels,
        "contract": contract_to_dict(model.contract),
        "readout": readout_to_dict(model.readout),
        "number_format": asdict(model.number_format),
        "layers": [
            {"cell": kind_of(cell).name, "hidden_size": size, "gates": [group.name for group in kind_of(cell).rows]}
            for cell, size in zip(model.layers, model.hidden_sizes, strict=True)
        ],
    }
    if isinstance(model.number_format, IntFormat):
        summary["weight_bytes"] = weight_bytes(model)
        summary["deployed_bytes"] = deployed_bytes(model)
        bounds = range_bounds(model)
        summary["range_proof"] = [{**asdict(bound), "slack": bound.slack} for bound in bounds]
    else:
        summary["parameters"] = num_parameters(model)
    return summary
