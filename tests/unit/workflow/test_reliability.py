"""What runs say of their temperature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.pipeline.learning.record import TrainingSummary
from edge_seq.pipeline.learning.train import with_temperature
from edge_seq.pipeline.logits import float_logits
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.reliability import reliability
from edge_seq.scores.temperature import Temperature
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import RunFolder, temperature_of_run
from tests.zoo import random_counts, random_float_model, spec


def test_without_validation_windows_there_is_none_and_it_is_said() -> None:
    model = random_float_model(spec("rnn", 3))
    same, temperature = with_temperature(model, None)
    assert same is model
    assert (temperature.value, temperature.windows) == (1.0, 0)
    assert "validation_fraction above 0" in temperature.note


def test_before_is_what_the_model_gave_before_it_was_folded() -> None:
    model = random_float_model(spec("rnn", 3, window_length=4), amplitude=4.0)
    counts = random_counts(60, 4, 3, sigma=300)
    labels = np.random.default_rng(0).integers(0, 4, 60).astype(np.int16)
    folded, temperature = with_temperature(model, Windows(counts, labels, np.array(["a", "b"] * 30)))
    assert (temperature.windows, temperature.groups) == (60, 2)
    before, after = float_logits(model, counts), float_logits(folded, counts)
    result = reliability(labels, temperature, {"float": after}).models["float"]
    plain = reliability(labels, Temperature(), {"float": before}).models["float"]
    assert result.before.negative_log_likelihood == pytest.approx(plain.after.negative_log_likelihood)
    assert result.after.negative_log_likelihood < result.before.negative_log_likelihood
    assert len(result.after.bins) == 15


def test_runs_without_a_record_and_damaged_ones(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert "the run holds no record of its training" in temperature_of_run(run).note
    summary = TrainingSummary(
        dataset="car",
        reading=(),
        note=SplitNote("group"),
        leak=None,
        windows={},
        groups={},
        best_epoch=1,
        optimiser_steps=1,
        temperature=Temperature(2.0, 9, 3),
        training_accuracy=0.5,
        history=(),
        seed=0,
        seconds=1.0,
        versions={},
    )
    save_json(run.training, summary)
    assert temperature_of_run(run) == Temperature(2.0, 9, 3)
    save_json(run.training, {**summary.to_dict(), "temperature": {"value": "hot"}})
    with pytest.raises(DataError, match=r"training.json: not as its command writes it .*'hot'.*make it again"):
        temperature_of_run(run)
