"""Whole recordings of a run as streams: what float and integer model give, sample after sample, and how it scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_LIMIT, FINE_LIMIT, LOGIT_FRAC_BITS
from edge_seq.backends.decision import StageNumbers, decide_stream, excess_of
from edge_seq.backends.reference_float import run_float_stream
from edge_seq.backends.reference_int import NO_LABEL, head_operands, run_stream
from edge_seq.data.recording import SIDES, Recording
from edge_seq.data.splits import check_split_kind, split_by_group
from edge_seq.data.windows import make_windows
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import FloatModel, IntModel, model_hash, stage_to_dict
from edge_seq.ir.rows import is_coarse
from edge_seq.pipeline.prepare import load_data, split_note
from edge_seq.scores.streaming import StreamMetrics, Timeline, hold, score_streams
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import write_atomically
from edge_seq.workflow.folder import (
    RunFolder,
    load_json,
    load_run_config,
    load_run_float,
    load_run_int,
    save_json,
    windows_hash,
)
from edge_seq.workflow.reliability import BATCH

STREAMS_AT_ONCE = 16
STREAM_STEPS = 3
SIGNALS = "signals"  # beside labels and classifiers, in the file of timelines
ENVELOPE_BINS = 400

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class LabelStream:
    """What a model gave over one recording, from a reset.

    Attributes:
        recording: that it ran over.
        due: int64 [L], the samples after which a label was due.
        logits: int64 [L, K], Q16.
        labels: int64 [L], the label of each.
        operands: int16 [L, H], what the head saw, fine units Q15 and coarse ones Q7.
    """

    recording: Recording
    due: NDArray[np.int64]
    logits: NDArray[np.int64]
    labels: NDArray[np.int64]
    operands: NDArray[np.int16]

    @property
    def truth(self) -> NDArray[np.integer[Any]]:
        """[L], the recording's label at the sample of each; below 0 where it has none."""
        return self.recording.labels[self.due]


def decisions_of_stages(stages: Sequence[DecisionStage], stream: LabelStream) -> NDArray[np.int64]:
    """Decisions int64 [N, L] of N stages, which have one distance or none, on one stream."""
    distance = stages[0].unknown_distance
    logits = np.broadcast_to(stream.logits, (len(stages), *stream.logits.shape))
    if distance is None:
        return decide_stream(StageNumbers.of(*stages), logits)
    excess = excess_of(distance, stream.operands.astype(np.int64), stream.labels)
    return decide_stream(StageNumbers.of(*stages), logits, np.broadcast_to(excess, logits.shape[:2]))


@dataclass(frozen=True)
class SideRecordings:
    """Recordings of one side of a split, and the share of a window that its label must cover."""

    recordings: tuple[Recording, ...]
    minimum_share: float


def load_recordings(run: RunFolder, side: str) -> SideRecordings:
    """The recordings of one side of a run's split, read or simulated again, and seen to be those of the training.

    Raises:
        ConfigError: no such side, or a split that leaves no whole recording on a side.
        DataError: the side has no recordings, or the data are others than those the run was trained with.
    """
    if side not in SIDES:
        raise ConfigError(f"run {run.path.name}: side {side!r} is unknown; give one of {list(SIDES)}")
    config = load_run_config(run)
    data = config.data
    if check_split_kind(data.split) != "group":
        raise ConfigError(
            f"run {run.path.name}: split = {data.split!r} has parts of each recording on every side, so there is no "
            "stream to score; train with split = 'group'"
        )
    dataset, minimum_share = load_data(data)
    split = split_by_group(
        dataset,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=data.split_seed,
        minimum_share=minimum_share,
    )
    recordings: tuple[Recording, ...] = getattr(split, side)
    if not recordings:
        raise DataError(
            f"run {run.path.name} has no {side} recordings; train it with data.{side}_fraction above 0, or give "
            "another side"
        )
    contract = dataset.contract
    stride = (data.training_stride or contract.window_stride) if side == "train" else contract.window_stride
    windows = make_windows(recordings, length=contract.window_length, stride=stride, minimum_share=minimum_share)
    expected = load_json(run.data_hashes).get(side) if run.data_hashes.is_file() else None
    if expected is not None and windows_hash(windows) != expected:
        raise DataError(
            f"run {run.path.name}: the {side} recordings are others than those it was trained with (SHA-256 of their "
            f"windows {windows_hash(windows)[:16]}..., {run.data_hashes.name} says {str(expected)[:16]}...); restore "
            "them, or train again"
        )
    return SideRecordings(recordings, minimum_share)


def _batches(recordings: Sequence[Recording]) -> Iterator[tuple[list[Recording], NDArray[np.int16]]]:
    """Recordings of like length side by side, int16 [B, T, C], the shorter ones held at their last sample."""
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
) -> LabelStream:
    """Without what was only padding."""
    inside = due < len(recording.labels)
    return LabelStream(recording, due[inside], logits[inside], labels[inside], operands[inside])


def int_streams(model: IntModel, recordings: Sequence[Recording]) -> list[LabelStream]:
    """Run the integer reference over whole recordings, each from a reset, carrying or resetting as the model says."""
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
        streams += [_cut(r, np.array(due), *(values[i] for values in given)) for i, r in enumerate(part)]
    return streams


def float_streams(model: FloatModel, recordings: Sequence[Recording]) -> list[LabelStream]:
    """The same of the float reference; its logits are rounded to Q16, what its head saw to an integer model's operands,
    its labels are those before."""
    streams: list[LabelStream] = []
    window = model.contract.window_length
    for part, counts in _batches(recordings):
        missing = -counts.shape[1] % window
        whole = np.pad(counts, ((0, 0), (0, missing), (0, 0)), mode="edge")
        each = model.readout.label_every == "sample"
        due = np.arange(0 if each else window - 1, whole.shape[1], 1 if each else window)
        logits, seen = (values[:, due] for values in _float_streams(model, whole))
        fixed = np.rint(logits * 2.0**LOGIT_FRAC_BITS).astype(np.int64)
        one = np.where(is_coarse(seen.shape[2]), COARSE_LIMIT, FINE_LIMIT)
        operands = np.clip(np.rint(seen * one), -one, one - 1).astype(np.int16)
        streams += [_cut(r, due, fixed[i], logits[i].argmax(axis=1), operands[i]) for i, r in enumerate(part)]
    return streams


def _float_streams(model: FloatModel, counts: NDArray[np.int16]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits float64 [B, n T, K] and what the head sees, [B, n T, H], of int16 [B, n T, C].

    The reference keeps every value of every step, so where windows begin from zero it is given some of them at a time;
    a stream that carries its states goes through it alone.
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


def timeline_of(stream: LabelStream, given: NDArray[np.int64]) -> Timeline:
    """What is decided at each sample of a recording, where ``given`` [L] came with the labels that were due."""
    recording = stream.recording
    return Timeline(recording.group, recording.labels, hold(stream.due, given, len(recording.labels)))


def tolerance_of(model: FloatModel | IntModel) -> float:
    """A window's length in seconds: so late may a label be about what was."""
    return model.contract.window_length / model.contract.sample_rate_hz


def evaluate_streams(
    run: RunFolder,
    side: str = "test",
    *,
    tolerance_s: float | None = None,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Score the models of a run on whole recordings; definitions in :mod:`edge_seq.scores.streaming`.

    Args:
        run: folder of the run.
        side: ``train``, ``validation`` or ``test``.
        tolerance_s: how far an event reaches beyond its end; a window's length where None.
        progress: called with steps done, steps in all, and what is being done.

    Returns:
        What was written to stream.<side>.json: name of the classifier to its scores. The timelines themselves are in
        reports/stream.<side>.safetensors.

    Raises:
        ConfigError, DataError, ModelError: as the steps say.
    """
    model = load_run_float(run)
    quantized = load_run_int(run) if run.int_model.is_file() else None
    config = load_run_config(run)
    contract = model.contract
    tolerance = tolerance_of(model) if tolerance_s is None else tolerance_s
    progress(0, STREAM_STEPS, "reading recordings")
    recordings = load_recordings(run, side).recordings

    def score(timelines: list[Timeline]) -> dict[str, Any]:
        metrics: StreamMetrics = score_streams(
            timelines,
            label_names=model.labels,
            sample_rate_hz=contract.sample_rate_hz,
            tolerance_s=tolerance,
            seed=config.training.seed,
        )
        return metrics.to_dict()

    progress(1, STREAM_STEPS, "float model")
    streams = {"float": float_streams(model, recordings)}
    progress(2, STREAM_STEPS, "integer model")
    if quantized is not None:
        streams["int"] = int_streams(quantized, recordings)
    results: dict[str, Any] = {
        "side": side,
        **split_note(config),
        "model_hash": model_hash(quantized if quantized is not None else model),
        "labels": model.labels,
    }
    timelines = {name: [timeline_of(s, s.labels) for s in made] for name, made in streams.items()}
    stage = None if quantized is None else quantized.readout.decision
    if stage is not None:
        results["stage"] = stage_to_dict(asdict(stage))
        for name, made in streams.items():
            timelines[f"{name}_decided"] = [timeline_of(s, decisions_of_stages([stage], s)[0]) for s in made]
    results |= {name: score(lines) for name, lines in timelines.items()}
    _save_timelines(run.stream_timelines(side), streams, timelines)
    save_json(run.stream_metrics(side), results)
    progress(STREAM_STEPS, STREAM_STEPS, "done")
    return results


def _save_timelines(path: Path, streams: dict[str, list[LabelStream]], timelines: dict[str, list[Timeline]]) -> None:
    """What a report draws: ``<recording>/labels`` and ``<recording>/<classifier>``, int16 [T] each, and
    ``<recording>/signals`` from :func:`envelope`.

    As in :class:`Timeline`: labels below 0 are none, decisions are -1 before the first and K where unknown.
    """
    tensors: dict[str, NDArray[np.int16]] = {}
    for recording in {stream.recording.name: stream.recording for made in streams.values() for stream in made}.values():
        tensors[f"{recording.name}/labels"] = recording.labels.astype(np.int16)
        tensors[f"{recording.name}/{SIGNALS}"] = envelope(recording.counts)
    for name, lines in timelines.items():
        for stream, line in zip(streams[name.removesuffix("_decided")], lines, strict=True):
            tensors[f"{stream.recording.name}/{name}"] = line.decisions.astype(np.int16)
    write_atomically(path, safetensors.numpy.save(tensors))


def envelope(counts: NDArray[np.int16]) -> NDArray[np.int16]:
    """int16 [2, bins, C]: the least and the largest of at most ``ENVELOPE_BINS`` equal stretches of int16 [T, C].

    >>> envelope(np.arange(800, dtype=np.int16)[:, None])[:, :3, 0].tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    parts = np.array_split(counts, min(ENVELOPE_BINS, len(counts)))
    return np.stack([[part.min(axis=0) for part in parts], [part.max(axis=0) for part in parts]])
