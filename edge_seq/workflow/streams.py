"""edge-seq evaluate --stream: scores of the float and the integer model on whole recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_seq.data.recording import SIDES, Recording
from edge_seq.data.splits import check_split_kind
from edge_seq.data.window_file import hash_of_training, windows_hash
from edge_seq.data.windows import make_windows
from edge_seq.ir.model import model_hash
from edge_seq.pipeline.one_class.recordings import as_one_class, normal_index, recording_as_one_class
from edge_seq.pipeline.prepare import load_data, split_recordings
from edge_seq.pipeline.streams import (
    LabelStream,
    decisions_of_stages,
    float_streams,
    int_streams,
    timeline_of,
    tolerance_of,
    warm_up,
)
from edge_seq.pipeline.timelines import save_timelines
from edge_seq.scores.evaluation import SplitNote, StreamEvaluation
from edge_seq.scores.streaming import StreamMetrics, Timeline, score_streams
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.evaluate import as_run_labels, note_of_others
from edge_seq.workflow.folder import (
    RunFolder,
    load_run_config,
    load_run_float,
    load_run_int,
    note_of_run,
    writes_to_run,
)

if TYPE_CHECKING:
    from edge_seq.data.readers.for_model import OtherRecordings

STREAM_STEPS = 3

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SideRecordings:
    """Recordings of one side of a split.

    Attributes:
        recordings: the recordings.
        minimum_share: share of a window that its label must cover, 0 to 1.
    """

    recordings: tuple[Recording, ...]
    minimum_share: float


def load_recordings(run: RunFolder, side: str) -> SideRecordings:
    """Read or simulate the recordings of one side of a run again, and check that they are those of the training.

    Raises:
        ConfigError: there is no such side, or the split leaves no whole recording on a side.
        DataError: the side has no recordings, or the recordings changed since the training.
    """
    if side not in SIDES:
        raise ConfigError(f"run {run.path.name}: side {side!r} is unknown; give one of {list(SIDES)}")
    config = load_run_config(run)
    data = config.data
    if check_split_kind(data.split) == "window_leaking_groups":
        raise ConfigError(
            f"run {run.path.name}: with split = {data.split!r} every side has parts of each recording, so there is no "
            "whole recording to score; train with split = 'group'"
        )
    dataset, minimum_share = load_data(data)
    split = split_recordings(dataset, data, minimum_share)
    recordings: tuple[Recording, ...] = getattr(split, side)
    if not recordings:
        raise DataError(
            f"run {run.path.name} has no {side} recordings; train it with data.{side}_fraction above 0, or give "
            "another side"
        )
    contract = dataset.contract
    stride = (data.training_stride or contract.window_stride) if side == "train" else contract.window_stride
    windows = make_windows(recordings, length=contract.window_length, stride=stride, minimum_share=minimum_share)
    if data.one_class is not None:
        normal = normal_index(dataset, data.one_class)
        windows = as_one_class(windows, normal)
        recordings = tuple(recording_as_one_class(one, normal) for one in recordings)
    expected = hash_of_training(run.data_hashes, side)
    if expected is not None and windows_hash(windows) != expected:
        raise DataError(
            f"run {run.path.name}: the {side} recordings are not those that the run was trained with (SHA-256 of "
            f"their windows {windows_hash(windows)[:16]}..., {run.data_hashes.name} says {expected[:16]}...); "
            "restore them, or train again"
        )
    return SideRecordings(recordings, minimum_share)


@writes_to_run
def evaluate_streams(
    run: RunFolder,
    side: str = "test",
    *,
    tolerance_s: float | None = None,
    progress: Progress = lambda *_: None,
) -> StreamEvaluation:
    """Score the models of a run on whole recordings; definitions in :mod:`edge_seq.scores.streaming`.

    Args:
        run: folder of the run.
        side: ``train``, ``validation`` or ``test``.
        tolerance_s: time after the end of an event in which a detection still counts; None takes the window length.
        progress: called with steps done, steps in all, and what is being done.

    Returns:
        The scores, which are also written to stream.<side>.json. The timelines are in
        reports/stream.<side>.safetensors.

    Raises:
        ConfigError, DataError, ModelError: as the steps say.
    """
    progress(0, STREAM_STEPS, "reading recordings")
    recordings = load_recordings(run, side).recordings
    results, streams, timelines = _evaluate(
        run, recordings, side=side, note=note_of_run(run, side), tolerance_s=tolerance_s, progress=progress
    )
    save_timelines(run.stream_timelines(side), streams, timelines)
    save_json(run.stream_metrics(side), results)
    progress(STREAM_STEPS, STREAM_STEPS, "done")
    return results


def evaluate_other_streams(
    run: RunFolder,
    recordings: OtherRecordings,
    *,
    tolerance_s: float | None = None,
    progress: Progress = lambda *_: None,
) -> StreamEvaluation:
    """Score the models of a run on other whole recordings. Nothing is written.

    Args:
        run: folder of the run.
        recordings: labelled recordings, read for the float model of the run.
        tolerance_s: see :func:`evaluate_streams`.
        progress: called with steps done, steps in all, and what is being done.

    Raises:
        ConfigError, DataError, ContractError, ModelError: as the steps say.
    """
    progress(0, STREAM_STEPS, "reading recordings")
    found = as_run_labels(run, recordings)
    contract = load_run_float(run).contract
    windows = make_windows(
        found,
        length=contract.window_length,
        stride=contract.window_stride,
        minimum_share=recordings.source.minimum_share,
    )
    note, side = note_of_others(run, windows), recordings.source.path
    results, _, _ = _evaluate(run, found, side=side, note=note, tolerance_s=tolerance_s, progress=progress)
    progress(STREAM_STEPS, STREAM_STEPS, "done")
    return results


def _evaluate(
    run: RunFolder,
    recordings: Sequence[Recording],
    *,
    side: str,
    note: SplitNote,
    tolerance_s: float | None,
    progress: Progress,
) -> tuple[StreamEvaluation, dict[str, list[LabelStream]], dict[str, list[Timeline]]]:
    """Score the models of a run on recordings; returns the scores, and streams and timelines by model."""
    model = load_run_float(run)
    quantized = load_run_int(run) if run.int_model.is_file() else None
    config = load_run_config(run)
    contract = model.contract
    tolerance = tolerance_of(model) if tolerance_s is None else tolerance_s

    def score(timelines: list[Timeline]) -> StreamMetrics:
        return score_streams(
            timelines,
            label_names=model.labels,
            sample_rate_hz=contract.sample_rate_hz,
            tolerance_s=tolerance,
            seed=config.training.seed,
        )

    progress(1, STREAM_STEPS, "float model")
    streams = {"float": float_streams(model, recordings)}
    progress(2, STREAM_STEPS, "integer model")
    if quantized is not None:
        streams["int"] = int_streams(quantized, recordings)
    timelines = {name: [timeline_of(s, s.labels) for s in made] for name, made in streams.items()}
    stage = None if quantized is None else quantized.readout.decision
    if stage is not None:
        for name, made in streams.items():
            timelines[f"{name}_decided"] = [timeline_of(s, decisions_of_stages([stage], s)[0]) for s in made]
    scores = {name: score(lines) for name, lines in timelines.items()}
    results = StreamEvaluation(
        side=side,
        note=note,
        model_hash=model_hash(quantized or model),
        labels=model.labels,
        stage=stage,
        float_model=scores["float"],
        int_model=scores.get("int"),
        float_decided=scores.get("float_decided"),
        int_decided=scores.get("int_decided"),
        warm_up=None if quantized is None else warm_up(quantized, streams["int"]),
        sample_rate_hz=contract.sample_rate_hz,
    )
    return results, streams, timelines
