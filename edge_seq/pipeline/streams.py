"""Float and integer models on whole recordings as streams, sample after sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_LIMIT, FINE_LIMIT, LOGIT_FRAC_BITS
from edge_seq.backends.decision import StageNumbers, decide_stream, excess_of
from edge_seq.backends.reference_float import run_float_stream
from edge_seq.backends.reference_int import NO_LABEL, head_operands, run_stream
from edge_seq.data.recording import Recording
from edge_seq.data.windows import spread
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.rows import is_coarse
from edge_seq.pipeline.logits import BATCH
from edge_seq.scores.streaming import Timeline, hold
from edge_seq.scores.warm_up import WarmUp, warm_up_of

STREAMS_AT_ONCE = 16


@dataclass(frozen=True)
class LabelStream:
    """Labels of a model on one recording, run from a reset.

    Attributes:
        recording: the recording.
        due: int64 [L], index of each sample after which a label was due.
        logits: int64 [L, K], Q16, logits of each label.
        labels: int64 [L], class of each label.
        operands: int16 [L, N], inputs of the head for each label; fine units Q15, coarse units Q7.
        parts: number of values that the head sees of each unit; N is ``parts * H``.
    """

    recording: Recording
    due: NDArray[np.int64]
    logits: NDArray[np.int64]
    labels: NDArray[np.int64]
    operands: NDArray[np.int16]
    parts: int = 1

    @property
    def truth(self) -> NDArray[np.integer[Any]]:
        """True class [L] of the recording at the sample of each label; below 0 if the sample has none."""
        return self.recording.labels[self.due]


def decisions_of_stages(stages: Sequence[DecisionStage], stream: LabelStream) -> NDArray[np.int64]:
    """Compute the decisions int64 [N, L] of N stages on one stream. All stages have the same distance, or none."""
    distance = stages[0].unknown_distance
    logits = np.broadcast_to(stream.logits, (len(stages), *stream.logits.shape))
    if distance is None:
        return decide_stream(StageNumbers.of(*stages), logits)
    excess = excess_of(distance, stream.operands.astype(np.int64), stream.labels, stream.parts)
    return decide_stream(StageNumbers.of(*stages), logits, np.broadcast_to(excess, logits.shape[:2]))


def _batches(recordings: Sequence[Recording]) -> Iterator[tuple[list[Recording], NDArray[np.int16]]]:
    """Batch recordings of similar length to int16 [B, T, C]. Shorter ones are padded with their last sample."""
    ordered = sorted(recordings, key=lambda recording: len(recording.labels))
    for start in range(0, len(ordered), STREAMS_AT_ONCE):
        part = ordered[start : start + STREAMS_AT_ONCE]
        longest = len(part[-1].labels)
        yield part, np.stack([np.pad(r.counts, ((0, longest - len(r.labels)), (0, 0)), mode="edge") for r in part])


def _cut(
    recording: Recording,
    due: NDArray[np.int64],
    logits: NDArray[np.int64],
    labels: NDArray[np.int64],
    operands: NDArray[np.int16],
    *,
    parts: int,
) -> LabelStream:
    """Make the stream of one recording, without the labels in the padding."""
    inside = due < len(recording.labels)
    return LabelStream(recording, due[inside], logits[inside], labels[inside], operands[inside], parts)


def int_streams(model: IntModel, recordings: Sequence[Recording]) -> list[LabelStream]:
    """Run the integer reference on whole recordings, each from a reset.

    At the end of a window the state is carried or reset, as the model says.
    """
    streams: list[LabelStream] = []
    for part, counts in _batches(recordings):
        due, logits, labels, operands = [], [], [], []
        for t, values in enumerate(run_stream(model, counts)):
            if values["label"][0, 0] != NO_LABEL:
                due.append(t)
                logits.append(values["logits"])
                labels.append(values["label"][:, 0])
                operands.append(head_operands(model, values).astype(np.int16))
        if not due:
            continue
        given = [np.stack(values, axis=1) for values in (logits, labels, operands)]  # [B, L, ...] each
        _, parts = model.dense_inputs[-1]
        streams += [_cut(r, np.array(due), *(values[i] for values in given), parts=parts) for i, r in enumerate(part)]
    return streams


def float_streams(model: FloatModel, recordings: Sequence[Recording]) -> list[LabelStream]:
    """Run the float reference on whole recordings, each from a reset.

    Logits are rounded to Q16, and inputs of the head to the operands of an integer model. Labels come from the logits
    before rounding.
    """
    streams: list[LabelStream] = []
    window = model.contract.window_length
    for part, counts in _batches(recordings):
        missing = -counts.shape[1] % window
        whole = np.pad(counts, ((0, 0), (0, missing), (0, 0)), mode="edge")
        each = model.readout.label_every == "sample"
        due = np.arange(0 if each else window - 1, whole.shape[1], 1 if each else window)
        logits, seen = (values[:, due] for values in _float_streams(model, whole))
        fixed = np.rint(logits * 2.0**LOGIT_FRAC_BITS).astype(np.int64)
        units, parts = model.dense_inputs[-1]
        one = np.where(is_coarse(units, parts), COARSE_LIMIT, FINE_LIMIT)[: seen.shape[2]]  # none are kept of all steps
        operands = np.clip(np.rint(seen * one), -one, one - 1).astype(np.int16)
        streams += [
            _cut(r, due, fixed[i], logits[i].argmax(axis=1), operands[i], parts=parts) for i, r in enumerate(part)
        ]
    return streams


def _float_streams(model: FloatModel, counts: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute logits float64 [B, n T, K] and inputs of the head float64 [B, n T, N] of int16 [B, n T, C].

    The reference keeps every value of every step in memory. So windows that start from a reset are run in batches, and
    streams that carry their states are run one at a time.
    """
    resets = model.readout.at_window_end == "reset"
    parts = counts.reshape(-1, model.contract.window_length, counts.shape[2]) if resets else counts
    at_once = BATCH if resets else 1
    logits, seen = [], []
    for start in range(0, len(parts), at_once):
        values = run_float_stream(model, parts[start : start + at_once], head_input=True).values
        logits.append(values["logits"].astype(np.float64))
        seen.append(values["head_input"].astype(np.float64))
    shape = (*counts.shape[:2], -1)
    return np.concatenate(logits).reshape(shape), np.concatenate(seen).reshape(shape)


RESTARTS = 200  # places at which a stream is reset, spread over all recordings
_HORIZON_WINDOWS = 4


def warm_up(model: IntModel, streams: Sequence[LabelStream]) -> WarmUp | None:
    """Measure how long a model's stream differs after a reset from the same stream without one.

    The places are spread evenly over all recordings, from the second window of each on. At each, the integer reference
    starts again; its labels are compared with those that the stream showed at the same samples.

    Args:
        model: integer model.
        streams: its streams on whole recordings, from :func:`int_streams`.

    Returns:
        The figures; None if no recording is long enough.
    """
    window = model.contract.window_length
    horizon = _HORIZON_WINDOWS * window
    lengths = np.array([len(stream.recording.labels) for stream in streams], dtype=np.int64)
    places = np.maximum(lengths - horizon - window + 1, 0)  # of each recording
    ends = np.cumsum(places)
    if not len(ends) or not ends[-1]:
        return None
    chosen = []
    for number in spread(int(ends[-1]), RESTARTS).tolist():
        index = int(np.searchsorted(ends, number, side="right"))
        chosen.append((streams[index], number - int(ends[index] - places[index]) + window))
    counts = np.stack([stream.recording.counts[at : at + horizon] for stream, at in chosen])
    shown = np.stack(
        [hold(stream.due, stream.labels, len(stream.recording.labels))[at : at + horizon] for stream, at in chosen]
    )
    waits = np.zeros(len(chosen), dtype=np.int64)
    for after, values in enumerate(run_stream(model, counts)):
        labels = values["label"][:, 0]
        waits[(waits == 0) & (labels != NO_LABEL) & (labels == shown[:, after])] = after + 1
        if waits.all():
            break
    return warm_up_of(waits, horizon)


def timeline_of(stream: LabelStream, given: NDArray[np.int64]) -> Timeline:
    """Make the timeline of a recording from decisions ``given`` [L] at its due labels; each holds until the next."""
    recording = stream.recording
    return Timeline(recording.group, recording.labels, hold(stream.due, given, len(recording.labels)))


def tolerance_of(model: FloatModel | IntModel) -> float:
    """Length of a window in seconds. A label can refer to the past by at most this time."""
    return model.contract.window_length / model.contract.sample_rate_hz
