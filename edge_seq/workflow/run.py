"""edge-seq run: an exported step model over a stream of samples, one at a time, the state carried along. No torch."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx_run import OnnxModel, initial_states, load_onnx
from edge_seq.backends.onnx_window import NEXT
from edge_seq.data.checks import check_finite
from edge_seq.errors import ContractError, DataError
from edge_seq.ir.contract import SensorContract, to_counts
from edge_seq.workflow.folder import RunFolder


@dataclass(frozen=True)
class Decision:
    """A label for the samples so far.

    Attributes:
        sample: index of the sample after which it was given, from 0.
        time_s: its time from the start of the stream, by the contract's rate.
        label: name of the class.
        probabilities: by class name.
    """

    sample: int
    time_s: float
    label: str
    probabilities: dict[str, float]


def open_step_model(path: Path, *, kind: str = "int") -> OnnxModel:
    """The step model of a run folder, or the one in an ONNX file.

    Raises:
        ModelError: where there is none, or it is no step model.
    """
    if path.is_dir():
        path = RunFolder(path).onnx(kind, "step")
    return load_onnx(path)


def decide(model: OnnxModel, samples: Iterable[NDArray[np.int16]]) -> Iterator[Decision]:
    """Feed samples int16 [C] one by one; yields where the readout gives a label."""
    states = initial_states(model, 1)
    names = [output.name for output in model.session.get_outputs()]
    for index, counts in enumerate(samples):
        outputs = dict(zip(names, model.session.run(names, {"counts": counts[np.newaxis], **states}), strict=True))
        states = {name: outputs[name + NEXT] for name in states}
        label = int(outputs["label"][0])
        if label >= 0:
            probabilities = _probabilities(outputs)
            yield Decision(
                sample=index,
                time_s=index / model.contract.sample_rate_hz,
                label=model.labels[label],
                probabilities=dict(zip(model.labels, probabilities, strict=True)),
            )


def _probabilities(outputs: dict[str, NDArray[Any]]) -> list[float]:
    if "probabilities" in outputs:
        values = outputs["probabilities"][0]
    else:
        from edge_seq.metrics import softmax
        from edge_seq.quant.fixed_point import LOGIT_FRAC_BITS

        values = softmax(outputs["logits"][0].astype(np.float64) / 2.0**LOGIT_FRAC_BITS)
    return [round(float(value), 6) for value in values]


def read_samples(
    lines: Iterable[str], contract: SensorContract, *, raw_counts: bool, name: str
) -> Iterator[NDArray[np.int16]]:
    """Samples int16 [C] from the lines of a CSV with a header; columns are found by the channels' names.

    Args:
        lines: header first.
        contract: whose units the values are in.
        raw_counts: whether they are raw counts instead.
        name: of the stream, for messages.

    Raises:
        ContractError: where a channel has no column.
        DataError: where a line is short, a value no number or not finite, or a raw count beyond 16 bits.
    """
    reader = csv.reader(lines)
    header = next(reader, None)
    if header is None:
        raise DataError(f"stream {name} is empty; expected a header with the channels {list(contract.channel_names)}")
    columns = [column.strip() for column in header]
    missing = [channel for channel in contract.channel_names if columns.count(channel) != 1]
    if missing:
        raise ContractError(
            f"stream {name}: the header {columns} must hold each channel of the model once; {missing} it does not. "
            "Rename the columns"
        )
    positions = [columns.index(channel) for channel in contract.channel_names]
    for row in reader:
        if not row:
            continue
        try:
            values = np.array([[float(row[position]) for position in positions]])
        except (IndexError, ValueError) as error:
            raise DataError(
                f"stream {name}, line {reader.line_num}: {row} does not hold a number for each of "
                f"{list(contract.channel_names)} ({error})"
            ) from error
        check_finite(values, name=f"{name}, line {reader.line_num}", channel_names=contract.channel_names)
        if not raw_counts:
            yield to_counts(values, contract)[0]
            continue
        if np.abs(values).max() > 2**15 - 1 or (values != np.rint(values)).any():
            raise DataError(
                f"stream {name}, line {reader.line_num}: {values[0].tolist()} are no raw counts; expected whole "
                "numbers of 16 bits. Leave --counts away for values in the contract's units"
            )
        yield values[0].astype(np.int16)
