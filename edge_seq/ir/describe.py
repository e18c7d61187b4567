"""Describes a model as plain data: contract, layers, sizes, hash and range proof."""

from __future__ import annotations

from dataclasses import asdict
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


def describe(model: FloatModel | IntModel) -> dict[str, Any]:
    """Contract, layers, sizes and hash of a model; for an integer model also its bytes and its range proof."""
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
