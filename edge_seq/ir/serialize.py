"""Models on disk: one safetensors file, with arrays as tensors and everything else as JSON in its header. No pickle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.ir.contract import Normalisation, contract_from_dict, contract_to_dict
from edge_seq.ir.front import Conv, FrontLayer, TimePool, settings_of
from edge_seq.ir.kind_names import KIND_NAMES
from edge_seq.ir.kinds import Dense, Layer, kind_named, kind_of
from edge_seq.ir.model import (
    FloatFormat,
    FloatModel,
    IntFormat,
    IntModel,
    SequenceModel,
    canonical_json,
    model_hash,
    named_arrays,
    readout_from_dict,
    readout_to_dict,
)
from edge_seq.ir.rows import FloatRows, IntRows
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ContractError, ModelError
from edge_seq.support.files import write_atomically
from edge_seq.support.opening import parse_json, parse_tensors, read_bytes

FORMAT_VERSION = 1
_KEY = "edge_seq"


def save_model(model: FloatModel | IntModel, path: Path) -> None:
    """Verify a model and write it to a file, completely or not at all.

    Raises:
        ModelError: the model breaks an invariant.
    """
    verify(model)
    header = {
        "format_version": FORMAT_VERSION,
        "kind": "int" if isinstance(model.number_format, IntFormat) else "float",
        "name": model.name,
        "labels": model.labels,
        "contract": contract_to_dict(model.contract),
        "cells": [kind_of(cell).name for cell in model.layers],
        **({"front": [settings_of(layer) for layer in model.front]} if model.front else {}),
        **({"dense": [layer.activation for layer in model.dense]} if model.dense else {}),
        **({"backward": model.backward} if model.backward else {}),
        "readout": readout_to_dict(model.readout),
        "number_format": dataclasses.asdict(model.number_format),
        "sha256": model_hash(model),
    }
    contiguous = {name: np.ascontiguousarray(array) for name, array in named_arrays(model).items()}
    write_atomically(path, safetensors.numpy.save(contiguous, metadata={_KEY: canonical_json(header)}))


def load_model(path: Path) -> FloatModel | IntModel:
    """Read a model, verify it and check its hash.

    Raises:
        ModelError: the file is missing, truncated, changed, not an edge_seq model, or has another format version.
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
        expected = str(header["sha256"])
    except ContractError as error:
        raise ModelError(f"loading {path.name}: {error}; the file was changed. Save the model again") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"loading {path.name}: its header does not describe its tensors ({type(error).__name__}: {error}); "
            "the file was changed or written by something else. Save the model again"
        ) from error
    verify(model)
    found = model_hash(model)
    if found != expected:
        raise ModelError(
            f"loading {path.name}: content has SHA-256 {found[:16]}..., its header says {expected[:16]}...: "
            "the file was changed after it was saved. Save the model again"
        )
    return model


def load_float_model(path: Path) -> FloatModel:
    """Like :func:`load_model`, for a float model only."""
    model = load_model(path)
    if not isinstance(model.number_format, FloatFormat):
        raise ModelError(
            f"loading {path.name}: it holds an integer model; expected a float model (model.float.safetensors)"
        )
    return model


def load_int_model(path: Path) -> IntModel:
    """Like :func:`load_model`, for an integer model only."""
    model = load_model(path)
    if not isinstance(model.number_format, IntFormat):
        raise ModelError(
            f"loading {path.name}: it holds a float model; expected an integer model. Run edge-seq quantize"
        )
    return model


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the tensors and the header of a file, or raise an error that says what the file is instead."""
    if not path.is_file():
        raise ModelError(f"loading {path.name}: there is no such file in {path.parent.name or 'this folder'}")
    try:
        content = read_bytes(path)
    except OSError as error:
        raise ModelError(f"loading {path.name}: {error.strerror or error}; give a model file") from error
    if content[:4] == b"PK\x03\x04" or (content[:1] == b"\x80" and content[8:9] != b"{"):
        raise ModelError(
            f"loading {path.name}: this is a Python pickle (as torch.save writes), which can run code when it is read; "
            "edge_seq never loads one. Save the weights as safetensors and convert them with from_torch"
        )
    try:
        tensors, metadata = parse_tensors(content)
    except ValueError as error:
        raise ModelError(
            f"loading {path.name}: {error}; it was truncated or is something else. Copy or save it again"
        ) from error
    if _KEY not in metadata:
        raise ModelError(f"loading {path.name}: a safetensors file without an edge_seq header; expected a saved model")
    try:
        header = parse_json(metadata[_KEY])
    except ValueError as error:
        raise ModelError(
            f"loading {path.name}: its edge_seq header is not JSON ({error}); save the model again"
        ) from error
    if not isinstance(header, dict):
        raise ModelError(
            f"loading {path.name}: its edge_seq header is a JSON {type(header).__name__}; expected an object. "
            "Save the model again"
        )
    return tensors, header


def _rows(tensors: dict[str, NDArray[Any]], prefix: str, rows_type: type[Any]) -> Any:
    """Build rows from tensors, removing them from ``tensors``."""
    return rows_type(**{field.name: tensors.pop(f"{prefix}.{field.name}") for field in dataclasses.fields(rows_type)})


def _build(tensors: dict[str, NDArray[Any]], header: dict[str, Any]) -> FloatModel | IntModel:
    rows_type: type[Any] = {"int": IntRows, "float": FloatRows}[header["kind"]]
    unread = dict(tensors)  # tensors that no field has used yet
    layers: list[Layer[Any]] = []
    for index, name in enumerate(header["cells"]):
        if name not in KIND_NAMES:
            raise ValueError(f"layer {index} is a {name!r}; expected one of {list(KIND_NAMES)}")
        kind = kind_named(name)
        rows = {group.name: _rows(unread, f"layer{index}.{group.name}", rows_type) for group in kind.rows}
        constants = {constant.name: unread.pop(f"layer{index}.{constant.name}") for constant in kind.constants}
        layers.append(kind.layer(**rows, **constants))
    front: list[FrontLayer[Any]] = []
    for index, settings in enumerate(header.get("front", [])):
        kind = settings["layer"]
        values = {key: value for key, value in settings.items() if key != "layer"}
        if kind == "conv":
            rows = _rows(unread, f"front{index}", rows_type)
            front.append(
                Conv(rows, **{**values, "pad": tuple(values["pad"]), "zeros": tuple(values.get("zeros", (0, 0)))})
            )
        elif kind == "pool":
            front.append(TimePool(**values))
        else:
            raise ValueError(f"front layer {index} is a {kind!r}; expected 'conv' or 'pool'")
    dense = [
        Dense(_rows(unread, f"dense{index}", rows_type), activation)
        for index, activation in enumerate(header.get("dense", []))
    ]
    head = _rows(unread, "head", rows_type)
    if unread:
        raise ValueError(f"tensors {sorted(unread)} belong to no field")
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
        head=head,
        readout=readout_from_dict(header["readout"]),
        dense=tuple(dense),
        front=tuple(front),
        backward=tuple(header.get("backward", ())),
        number_format=cast(Any, number_format),  # one of the two, as `kind` says; verify() checks that it fits the rows
    )
