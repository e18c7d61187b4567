"""When kept baselines are taken again, what an evaluation shows, and how it is read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.scores.evaluation import Evaluation, SplitNote, StreamEvaluation
from edge_seq.scores.metrics import evaluate_predictions
from edge_seq.scores.reliability import reliability
from edge_seq.scores.streaming import Timeline, score_streams
from edge_seq.scores.temperature import Temperature
from edge_seq.support.errors import DataError
from edge_seq.support.files import json_text
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.workflow.evaluate import _same_baselines, _scored_before, sklearn_version
from edge_seq.workflow.folder import RunFolder

LABELS = np.array([0, 1, 0, 1])
METRICS = evaluate_predictions(
    LABELS, np.eye(2)[[0, 1, 1, 1]], np.array(["a", "a", "b", "b"]), label_names=("<no>", "yes"), bootstrap=50
)
EVALUATION = Evaluation(
    side="test",
    note=SplitNote("group"),
    model_hash="0" * 64,
    float_model=METRICS,
    reliability=reliability(LABELS, Temperature(2.0, 4, 2), {"float": np.eye(2)[LABELS]}),
    baselines_of="key",
    baselines_by="1.4.0",
)
LINE = Timeline("a", np.array([0, 0, 0, 1, 1, 1]), np.array([-1, 0, 0, 0, 1, 1]))
STREAMS = StreamEvaluation(
    side="test",
    note=SplitNote("group"),
    model_hash="0" * 64,
    labels=("no", "yes"),
    float_model=score_streams([LINE], label_names=("no", "yes"), sample_rate_hz=1.0, tolerance_s=0.0),
)


@pytest.mark.parametrize(
    ("key", "installed", "taken"),
    [("key", "1.4.0", True), ("key", "1.5.0", False), ("other", "1.4.0", False), ("key", None, True)],
)
def test_a_forest_of_another_scikit_learn_is_grown_anew(key: str, installed: str | None, taken: bool) -> None:
    assert _same_baselines(EVALUATION, key, installed) is taken


def test_the_version_is_that_of_the_package() -> None:
    sklearn = pytest.importorskip("sklearn")
    assert sklearn_version() == sklearn.__version__


def test_what_was_not_scored_is_not_written() -> None:
    table = EVALUATION.to_dict()
    assert list(table) == [
        *("side", "split", "model_hash", "float", "reliability", "baselines_of", "baselines_by_scikit_learn")
    ]
    whole = replace(EVALUATION, note=SplitNote("group", "it leaks"), int_model=METRICS, int_model_hash="1" * 64)
    assert list(whole.to_dict())[:6] == ["side", "split", "warning", "model_hash", "float", "int_model_hash"]


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    for found in (EVALUATION, STREAMS):
        save_json(tmp_path / "result.json", found)
        assert load_result(tmp_path / "result.json", type(found)) == found


def test_a_table_that_lacks_a_score_is_damaged_and_scored_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    table = json.loads(json_text(EVALUATION))
    del table["float"]["macro_f1"]
    save_json(run.metrics("test"), table)
    with pytest.raises(DataError, match=r"reading metrics.test.json: not as its command writes it .*macro_f1.* again"):
        load_result(run.metrics("test"), Evaluation)
    assert _scored_before(run, "test") == []


def test_an_evaluation_shows_its_scores_calibration_and_confusion() -> None:
    text, page = str(EVALUATION), EVALUATION._repr_html_()
    for shown in (text, page):
        assert "test: 4 windows of 2 groups" in shown
        assert str(METRICS.accuracy) in shown
        assert "confusion of the" in shown
    assert "&lt;no&gt;" in page
    assert "<no>" not in page
    assert [table.title for table in EVALUATION.tables()][1] == "calibration on test windows"


def test_an_evaluation_of_streams_shows_events_by_class() -> None:
    assert "test: 1 recordings of 1 groups" in str(STREAMS)
    overall, *_, by_class = STREAMS.tables()
    assert overall.rows[0][:2] == ["float model", "100.0 %"]
    assert [row[0] for row in by_class.rows] == ["no", "yes"]
