"""Models on disk: one safetensors file, arrays as tensors and everything else as JSON in its header. No pickle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.errors import ModelError
from edge_seq.files import write_atomically
from edge_seq.ir.cells import Cell, Gru, Lstm, Rnn, cell_name, gates
from edge_seq.ir.contract import Normalisation, contract_from_dict, contract_to_dict
from edge_seq.ir.model import FloatFormat, FloatModel, IntFormat, IntModel, Readout, SequenceModel, model_hash
from edge_seq.ir.rows import FloatRows, IntRows
from edge_seq.ir.verify import verify

FORMAT_VERSION = 1
_KEY = "edge_seq"
_CELLS: dict[str, type] = {"rnn": Rnn, "gru": Gru, "lstm": Lstm}


def save_model(model: FloatModel | IntModel, path: Path) -> None:
    """Verify and write a model; whole or not at all.

    Raises:
        ModelError: where the model breaks an invariant.
    """
    verify(model)
    tensors: dict[str, NDArray[Any]] = {}
    for index, cell in enumerate(model.layers):
        for gate, rows in gates(cell).items():
            tensors |= {f"layer{index}.{gate}.{field}": array for field, array in vars(rows).items()}
    tensors |= {f"head.{field}": array for field, array in vars(model.head).items()}
    header = {
        "format_version": FORMAT_VERSION,
        "kind": "int" if isinstance(model.number_format, IntFormat) else "float",
        "name": model.name,
        "labels": model.labels,
        "contract": contract_to_dict(model.contract),
        "cells": [cell_name(cell) for cell in model.layers],
        "readout": dataclasses.asdict(model.readout),
        "number_format": dataclasses.asdict(model.number_format),
        "sha256": model_hash(model),
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_atomically(path, safetensors.numpy.save(contiguous, metadata={_KEY: json.dumps(header, sort_keys=True)}))


def load_model(path: Path) -> FloatModel | IntModel:
    """Read, verify and check the hash of a model.

    Raises:
        ModelError: where the file is missing, no edge_seq model, truncated, tampered with, or of a newer format.
    """
    tensors, header = _read(path)
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"loading {path.name}: format version {version}; this release reads {FORMAT_VERSION}. "
            "Use the release that wrote it, or quantize and save again"
        )
    try:
        model = _build(tensors, header)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"loading {path.name}: its header does not describe its tensors ({type(error).__name__}: {error}); "
            "the file was changed or written by something else. Save the model again"
        ) from error
    verify(model)
    if model_hash(model) != header["sha256"]:
        raise ModelError(
            f"loading {path.name}: content has SHA-256 {model_hash(model)[:16]}..., its header says "
            f"{str(header['sha256'])[:16]}...: the file was changed after it was saved. Save the model again"
        )
    return model


def load_float_model(path: Path) -> FloatModel:
    """:func:`load_model`, for a float model only."""
    model = load_model(path)
    if not isinstance(model.number_format, FloatFormat):
        raise ModelError(
            f"loading {path.name}: it holds an integer model; expected a float model (model.float.safetensors)"
        )
    return model  # type: ignore[return-value]  # the format decides which of the two it is


def load_int_model(path: Path) -> IntModel:
    """:func:`load_model`, for an integer model only."""
    model = load_model(path)
    if not isinstance(model.number_format, IntFormat):
        raise ModelError(
            f"loading {path.name}: it holds a float model; expected an integer model. Run edge-seq quantize"
        )
    return model  # type: ignore[return-value]  # the format decides which of the two it is


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Tensors and header of a file, or an error that says what the file is instead."""
    if not path.is_file():
        raise ModelError(f"loading {path.name}: there is no such file in {path.parent.name or 'this folder'}")
    content = path.read_bytes()
    if content[:4] == b"PK\x03\x04" or (content[:1] == b"\x80" and content[8:9] != b"{"):
        raise ModelError(
            f"loading {path.name}: this is a Python pickle (as torch.save writes), which can run code when it is read; "
            "edge_seq never loads one. Save the weights as safetensors and convert them with from_torch"
        )
    try:
        tensors = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError) as error:
        raise ModelError(
            f"loading {path.name}: not a whole safetensors file ({error}); it was truncated or is something else. "
            "Copy or save it again"
        ) from error
    if _KEY not in metadata:
        raise ModelError(f"loading {path.name}: a safetensors file without an edge_seq header; expected a saved model")
    try:
        header = json.loads(metadata[_KEY])
    except ValueError as error:
        raise ModelError(
            f"loading {path.name}: its edge_seq header is not JSON ({error}); save the model again"
        ) from error
    return tensors, header


def _rows(tensors: dict[str, NDArray[Any]], prefix: str, rows_type: type[Any]) -> Any:
    return rows_type(**{field.name: tensors[f"{prefix}.{field.name}"] for field in dataclasses.fields(rows_type)})


def _build(tensors: dict[str, NDArray[Any]], header: dict[str, Any]) -> FloatModel | IntModel:
    rows_type: type[Any] = {"int": IntRows, "float": FloatRows}[header["kind"]]
    layers: list[Cell[Any]] = []
    for index, name in enumerate(header["cells"]):
        cell_type = _CELLS[name]
        layers.append(
            cell_type(
                **{
                    field.name: _rows(tensors, f"layer{index}.{field.name}", rows_type)
                    for field in dataclasses.fields(cell_type)
                }
            )
        )
    number_format: FloatFormat | IntFormat
    if rows_type is IntRows:
        number_format = IntFormat(**{key: tuple(value) for key, value in header["number_format"].items()})
    else:
        values = header["number_format"]["normalisation"]
        number_format = FloatFormat(Normalisation(tuple(values["mean"]), tuple(values["scale"])))
    return SequenceModel(
        name=header["name"],
        labels=tuple(header["labels"]),
        contract=contract_from_dict(header["contract"]),
        layers=tuple(layers),
        head=_rows(tensors, "head", rows_type),
        readout=Readout(**header["readout"]),
        number_format=number_format,  # type: ignore[arg-type]  # one of the two, as `kind` says; verify() checks it
    )
