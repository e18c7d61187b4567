"""Recordings as streams: the same labels as the references, padding cut, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.data.recording import Recording
from edge_seq.pipeline.config import load_config
from edge_seq.pipeline.streams import float_streams, int_streams, timeline_of, tolerance_of, warm_up
from edge_seq.support.errors import ConfigError
from edge_seq.workflow.folder import RunFolder, save_run_config
from edge_seq.workflow.streams import load_recordings
from tests.zoo import quantized_model, random_counts, random_float_model, spec

READOUTS = [("window", "reset"), ("sample", "reset"), ("window", "carry"), ("sample", "carry")]


def _recordings() -> list[Recording]:
    lengths = (23, 40, 17)
    return [
        Recording(f"r{i}", f"g{i}", random_counts(1, n, 3, seed=i, sigma=300)[0], np.zeros(n, dtype=np.int16))
        for i, n in enumerate(lengths)
    ]


@pytest.mark.parametrize(("label_every", "at_window_end"), READOUTS)
def test_the_integer_reference_over_each_recording(label_every: str, at_window_end: str) -> None:
    model = quantized_model(spec("gru", 5, label_every=label_every, at_window_end=at_window_end))  # type: ignore[arg-type]
    for stream in int_streams(model, _recordings()):
        alone = run_reference(model, stream.recording.counts[None]).values
        due = np.flatnonzero(alone["label"][0, :, 0] >= 0)
        assert np.array_equal(stream.due, due)
        assert np.array_equal(stream.labels, alone["label"][0, due, 0])
        assert np.array_equal(stream.logits, alone["logits"][0, due])
        hidden = alone["layer0.hidden_state"][0, due]
        assert np.array_equal(stream.operands[:, [0, 1, 4]], hidden[:, [0, 1, 4]])
        assert np.array_equal(stream.operands[:, 2:4], (hidden[:, 2:4] + 128) >> 8)


@pytest.mark.parametrize(("label_every", "at_window_end"), READOUTS)
def test_float_streams_give_labels_at_the_same_samples(label_every: str, at_window_end: str) -> None:
    shape = spec("lstm", 5, label_every=label_every, at_window_end=at_window_end)  # type: ignore[arg-type]
    floats = {s.recording.name: s for s in float_streams(random_float_model(shape), _recordings())}
    for stream in int_streams(quantized_model(shape), _recordings()):
        other = floats[stream.recording.name]
        assert np.array_equal(stream.due, other.due)
        assert np.abs(stream.operands[:, :2].astype(int) - other.operands[:, :2]).mean() < 2**15 / 20
        assert np.abs(stream.operands[:, 2:4].astype(int) - other.operands[:, 2:4]).mean() < 2**7 / 20
        assert (other.operands != 0).any(axis=1).all()
        if at_window_end == "reset":
            window = stream.recording.counts[None, :7]
            first = run_float(random_float_model(shape), window).logits[0]
            assert np.abs(other.logits[other.due == 6] / 2**16 - first).max() < 1e-4


@pytest.mark.parametrize(("label_every", "at_window_end"), READOUTS)
def test_the_warm_up_is_that_of_streams_begun_anew(label_every: str, at_window_end: str) -> None:
    model = quantized_model(spec("gru", 5, label_every=label_every, at_window_end=at_window_end), amplitude=3.0)  # type: ignore[arg-type]
    recordings = [r for r in _recordings() if len(r.labels) == 40]
    (stream,) = int_streams(model, recordings)
    found = warm_up(model, [stream])
    assert found is not None
    waits = []
    for at in range(7, 40 - 28 + 1):
        again = run_reference(model, recordings[0].counts[None, at : at + 28]).values["label"][0, :, 0]
        shown = timeline_of(stream, stream.labels).decisions[at : at + 28]
        same = np.flatnonzero((again >= 0) & (again == shown))
        waits.append(int(same[0]) + 1 if len(same) else 0)
    right = [wait for wait in waits if wait]
    assert (found.restarts, found.horizon) == (6, 28)
    assert found.never == 1 - len(right) / len(waits)
    assert found.median == (float(np.median(right)) if right else None)
    assert found.worst == (max(right) if len(right) == len(waits) else None)
    assert warm_up(model, int_streams(model, [r for r in _recordings() if len(r.labels) < 35])) is None


def test_what_is_decided_holds_until_the_next_label() -> None:
    stream = int_streams(quantized_model(spec("rnn", 4)), _recordings())[0]
    line = timeline_of(stream, stream.labels)
    assert (line.group, len(line.decisions)) == (stream.recording.group, 17)
    assert (line.decisions[:6] == -1).all()
    assert (line.decisions[6:13] == stream.labels[0]).all()
    assert tolerance_of(quantized_model(spec("rnn", 4))) == 0.7


def test_a_side_or_a_split_without_streams_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(ConfigError, match="side 'holdout' is unknown"):
        load_recordings(run, "holdout")
    save_run_config(run, load_config(None, ["data.split=window_leaking_groups"]))
    with pytest.raises(ConfigError, match="every side has parts of each recording"):
        load_recordings(run, "test")
