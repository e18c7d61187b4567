"""Loads and checks exported ONNX files, and runs them in ONNX Runtime on one thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edge_seq.backends.onnx.check import check_graph, check_labels
from edge_seq.backends.onnx.graph import FORMS, OPSET, Form
from edge_seq.backends.onnx.int_cells import GATES
from edge_seq.backends.onnx.int_export import TRACE, export_onnx_int
from edge_seq.backends.onnx.metadata import COUNTS, FORMAT_VERSION, PREFIX, SEAL, content_hash
from edge_seq.backends.onnx.session import new_session
from edge_seq.backends.onnx.window import NEXT
from edge_seq.backends.preprocess import check_counts
from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.contract import SensorContract, contract_from_dict
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import FloatModel, IntModel, Readout, model_hash, readout_from_dict
from edge_seq.support.errors import ContractError, DataError, ModelError, ParityError
from edge_seq.support.opening import parse_json, read_bytes

Arrays = dict[str, NDArray[Any]]
Kind = Literal["float", "int"]
KINDS: dict[str, Kind] = {"float": "float", "int": "int"}
FORM_OF: dict[str, Form] = {form: form for form in FORMS}


@dataclass(frozen=True)
class OnnxModel:
    """An exported model, checked and ready to run.

    Attributes:
        proto: ONNX model.
        session: session of ONNX Runtime with one thread.
        kind: ``float`` or ``int``.
        form: ``window`` or ``step``.
        labels: class names, [K].
        contract: sensor contract of the input.
        readout: pooling, and when labels are due.
        model_sha256: hash of the model that was exported.
    """

    proto: onnx.ModelProto
    session: Any
    kind: Kind
    form: Form
    labels: tuple[str, ...]
    contract: SensorContract
    readout: Readout
    model_sha256: str

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(output.name for output in self.session.get_outputs())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Compute all outputs, by name.

        Raises:
            ModelError: ONNX Runtime cannot: the values take more than the limit of the memory, or do not fit.
        """
        try:
            computed = self.session.run(self.outputs, dict(inputs))
        except Exception as error:  # its error classes are in a private module
            words = " ".join(str(error).split())[:300]
            raise ModelError(
                f"running ONNX: ONNX Runtime cannot compute it ({words}). Give fewer windows or streams at once, or "
                "export the model again"
            ) from error
        return dict(zip(self.outputs, computed, strict=True))


def load_onnx(path: Path) -> OnnxModel:
    """Read and check an exported file.

    Raises:
        ModelError: the file is missing, truncated, not ONNX, not from edge_seq, has another operator set, was changed
            after the export, or is refused by ONNX Runtime.
    """
    if not path.is_file():
        raise ModelError(
            f"loading {path.name}: there is no such file in {path.parent.name or 'this folder'}; run edge-seq export"
        )
    try:
        proto = onnx.load_model_from_string(read_bytes(path))
    except OSError as error:
        raise ModelError(f"loading {path.name}: {error.strerror or error}; give an ONNX file") from error
    except DecodeError as error:
        raise ModelError(
            f"loading {path.name}: not a whole ONNX file ({error}); it was truncated or is something else. Export it "
            "again"
        ) from error
    return open_onnx(proto, what=path.name)


def open_onnx(proto: onnx.ModelProto, *, what: str = "ONNX model") -> OnnxModel:
    """Check an exported model and open it. Raises the errors of :func:`load_onnx`, which call the model ``what``."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    if f"{PREFIX}kind" not in metadata:
        raise ModelError(
            f"loading {what}: no edge_seq metadata in it; it was truncated, emptied, or exported by something else. "
            "Expected a file of edge-seq export"
        )
    opsets = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        raise ModelError(
            f"loading {what}: it has operator set {opsets}; expected ai.onnx {OPSET}, which edge_seq writes. "
            "Export it again"
        )
    version = metadata.get(f"{PREFIX}format_version")
    if version != str(FORMAT_VERSION):
        raise ModelError(
            f"loading {what}: metadata of format {version}; this release reads {FORMAT_VERSION}. Export it again"
        )
    if metadata.get(SEAL) != content_hash(proto):
        raise ModelError(
            f"loading {what}: content has SHA-256 {content_hash(proto)[:16]}..., its metadata say "
            f"{str(metadata.get(SEAL))[:16]}...: it was changed after it was exported. Export it again"
        )
    return _read_metadata(proto, metadata, what)


def _read_metadata(proto: onnx.ModelProto, metadata: Mapping[str, str], what: str) -> OnnxModel:
    try:
        kind = KINDS[metadata[f"{PREFIX}kind"]]
        form = FORM_OF[metadata[f"{PREFIX}form"]]
        labels = check_labels(parse_json(metadata[f"{PREFIX}labels"]), what)
        contract = contract_from_dict(parse_json(metadata[f"{PREFIX}contract"]))
        readout = readout_from_dict(parse_json(metadata[f"{PREFIX}readout"]))
        model_sha256 = metadata[f"{PREFIX}model_sha256"]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, ContractError) as error:
        raise ModelError(
            f"loading {what}: its metadata cannot be read ({type(error).__name__}: {error}); expected kind, form, "
            "labels, contract, readout and hash as edge-seq export writes them. Export it again"
        ) from error
    check_graph(proto, what, form=form, labels=labels, contract=contract, readout=readout)
    return OnnxModel(proto, _session(proto, what), kind, form, labels, contract, readout, model_sha256)


def _session(proto: onnx.ModelProto, what: str) -> Any:
    """Create a session; see :func:`edge_seq.backends.onnx.session.new_session`."""
    import onnxruntime

    try:
        return new_session(proto.SerializeToString())
    except Exception as error:  # its error classes are in a private module
        raise ModelError(
            f"loading {what}: ONNX Runtime {onnxruntime.__version__} refuses it ({error}). Export it again, or "
            f"install a release that runs operator set {OPSET}"
        ) from error


def require_made_from(onnx_model: OnnxModel, model: FloatModel | IntModel, *, what: str = "ONNX model") -> None:
    """Check that an export was made from a model.

    Raises:
        ParityError: the hashes differ, so the export is stale.
    """
    expected = model_hash(model)
    if onnx_model.model_sha256 != expected:
        raise ParityError(
            f"{what} was exported from a model with SHA-256 {onnx_model.model_sha256[:16]}..., this model has "
            f"{expected[:16]}...: the export is stale. Run edge-seq export again"
        )


def _check(onnx_model: OnnxModel, form: Form, counts: NDArray[np.int16]) -> None:
    if onnx_model.form != form:
        raise ModelError(f"running ONNX: this is a {onnx_model.form} model; load the {form} model of the export")
    check_counts(counts, onnx_model.contract.num_channels, "running ONNX")
    length = onnx_model.session.get_inputs()[0].shape[1]
    if form == "window" and isinstance(length, int) and counts.shape[1] != length:
        raise DataError(
            f"running ONNX: windows of {counts.shape[1]} samples, but the model takes windows of {length}; cut the "
            "samples into such windows, or give them to the step model one by one"
        )


def run_window(onnx_model: OnnxModel, counts: NDArray[np.int16]) -> Arrays:
    """Run windows, each from a reset.

    Args:
        onnx_model: model of form ``window``.
        counts: raw counts, int16 [B, T, C].

    Returns:
        Outputs by name. :mod:`edge_seq.backends.onnx.int_export` and :mod:`edge_seq.backends.onnx.float_export` list
        their shapes.

    Raises:
        ModelError: the model has the other form.
        DataError: the counts are not int16 [B, T, C] with the window length T of the model.
    """
    _check(onnx_model, "window", counts)
    return onnx_model.run({COUNTS: counts})


def initial_states(onnx_model: OnnxModel, batch: int) -> Arrays:
    """States of a step model after a reset, by name: all zero."""
    dtypes = {"tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(bool)": np.bool_}
    return {
        port.name: np.zeros((batch, port.shape[1]), dtype=dtypes[port.type])
        for port in onnx_model.session.get_inputs()
        if port.name != COUNTS
    }


def run_steps_onnx(onnx_model: OnnxModel, counts: NDArray[np.int16]) -> Iterator[Arrays]:
    """Run streams sample by sample, carrying the states.

    Args:
        onnx_model: model of form ``step``.
        counts: raw counts of B streams from a reset, int16 [B, T, C].

    Yields:
        The outputs of each time step by name; states are named ``<state>.next``.

    Raises:
        ModelError: the model has the other form.
        DataError: the counts are not int16 [B, T, C] with at least one step.
    """
    _check(onnx_model, "step", counts)
    states = initial_states(onnx_model, len(counts))
    for t in range(counts.shape[1]):
        outputs = onnx_model.run({COUNTS: counts[:, t], **states})
        states = {name: outputs[name + NEXT] for name in states}
        yield outputs


def run_trace_onnx(model: IntModel, counts: NDArray[np.int16]) -> Trace:
    """Run the integer window graph with every value as an output.

    Args:
        model: integer model.
        counts: raw counts, int16 [B, T, C]. T may be any length; windows follow each other.

    Returns:
        Trace of int64 arrays [B, T, N], comparable with the reference's.
    """
    return trace_of(model, open_onnx(export_onnx_int(model, form="window", trace=True)), counts)


def trace_of(model: IntModel, onnx_model: OnnxModel, counts: NDArray[np.int16]) -> Trace:
    """Run a graph that was exported with ``trace=True``, and return its outputs as a trace."""
    outputs = run_window(onnx_model, counts)
    values = {name.removeprefix(TRACE): array for name, array in outputs.items() if name.startswith(TRACE)}
    for index, cell in enumerate(model.layers):
        stacked = values.pop(f"layer{index}.{GATES}")
        names = [name for name in kind_of(cell).gate_names if f"layer{index}.{name}" not in values]
        columns = np.split(stacked, len(names), axis=2)
        values |= {f"layer{index}.{name}": column for name, column in zip(names, columns, strict=True)}
    return Trace({name: values[name].astype(np.int64) for name in trace_names(model)})
