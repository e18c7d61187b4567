"""Metadata of an ONNX file (``metadata_props``), and the seal that reveals changes.

The metadata contain no time and no path, so the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import get_args

import onnx

from edge_seq.backends.onnx.graph import FIRST_ONNXRUNTIME, FORMS, OPSET, Form
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import FloatModel, IntFormat, IntModel, model_hash, readout_to_dict
from edge_seq.support.errors import ExportError
from edge_seq.support.files import write_atomically

COUNTS, LOGITS, PROBABILITIES, LABEL, DECISION = "counts", "logits", "probabilities", "label", "decision"
PREFIX = "edge_seq."
SEAL = f"{PREFIX}content_sha256"
FORMAT_VERSION = 1


def require_form(form: str) -> None:
    """Refuse a form that is neither ``window`` nor ``step``.

    Raises:
        ExportError: the form is another; the message names the two.
    """
    if form not in get_args(Form):
        raise ExportError(f"exporting ONNX: there is no form {form!r}; ask for one of {list(FORMS)}")


def metadata_of(model: FloatModel | IntModel, *, form: Form) -> dict[str, str]:
    """Contract, labels, readout, hash and versions as strings; structured values are JSON."""
    values = {
        "format_version": str(FORMAT_VERSION),
        "kind": "int" if isinstance(model.number_format, IntFormat) else "float",
        "form": form,
        "name": model.name,
        "labels": json.dumps(model.labels),
        "contract": json.dumps(contract_to_dict(model.contract), sort_keys=True),
        "readout": json.dumps(readout_to_dict(model.readout), sort_keys=True),
        "model_sha256": model_hash(model),
        "version": importlib.metadata.version("edge-seq"),
        "opset": str(OPSET),
        "min_onnxruntime": FIRST_ONNXRUNTIME,
    }
    return {PREFIX + key: value for key, value in values.items()}


def content_hash(proto: onnx.ModelProto) -> str:
    """SHA-256 over the whole file except the seal itself, as hexadecimal digits.

    The hash of the model cannot be computed from a graph. This hash can, so it reveals whether a file was changed after
    the export.
    """
    unsealed = onnx.ModelProto()
    unsealed.CopyFrom(proto)
    del unsealed.metadata_props[:]
    unsealed.metadata_props.extend(entry for entry in proto.metadata_props if entry.key != SEAL)
    return hashlib.sha256(unsealed.SerializeToString(deterministic=True)).hexdigest()


def content_hash_of_bytes(content: bytes) -> str:
    """Return :func:`content_hash` for the bytes of a file."""
    return content_hash(onnx.ModelProto.FromString(content))


def seal(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Append the content hash to the metadata of ``proto``, and return ``proto``."""
    digest = content_hash(proto)
    proto.metadata_props.add(key=SEAL, value=digest)
    return proto


def save_onnx(proto: onnx.ModelProto, path: Path) -> None:
    """Write a model to a file, completely or not at all. The same model gives the same bytes."""
    write_atomically(path, proto.SerializeToString(deterministic=True))
