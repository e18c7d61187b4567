"""Models of one class: what they learn from, their distance and threshold, their scores, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge_seq as es
from edge_seq.backends.reference_float import run_float
from edge_seq.data.readers.for_model import other_recordings
from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.source import load_source
from edge_seq.data.window_file import load_windows
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.pipeline.config import DataConfig, OneClassConfig, QuantizationConfig, load_config
from edge_seq.pipeline.learning.train import train_model
from edge_seq.pipeline.logits import float_logits, real_logits
from edge_seq.pipeline.one_class.changes import CHANGES, changed_windows
from edge_seq.pipeline.one_class.fit import FLOOR, OneClassFit, distance_rows, distances_of, least_threshold
from edge_seq.pipeline.prepare import prepare_dataset, split_recordings
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.scores.one_class import OtherClasses, auroc, detections
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.training.config import TrainingConfig
from edge_seq.workflow.cross_validate import cross_validate
from edge_seq.workflow.evaluate import class_names, evaluate_recordings, evaluate_run
from edge_seq.workflow.folder import load_run_config, load_run_float, load_torch_weights, open_run
from edge_seq.workflow.streams import evaluate_streams
from edge_seq.workflow.train import train_run

CONTRACT = SensorContract(20.0, tuple(Channel(axis, "g", 4096.0, 8.0) for axis in ("ax", "ay", "az")), 20, 10)
LABELS = ("broken", "healthy", "loose")


def _dataset(split: bool = False) -> Dataset:
    """Eight machines: healthy, then broken in the same recording; the last two are loose too, another one always."""
    rng = np.random.default_rng(0)
    recordings = []
    for machine in range(9):
        states = [1] * 200 + [0] * 60 + [-1] * 20 + [2] * 60 * (machine > 5)
        labels = np.array(states if machine < 8 else [2] * 100, dtype=np.int16)
        scale = np.where(labels == 1, 300.0, 1500.0)[:, None]
        wave = np.sin(np.arange(len(labels)) * 0.9)[:, None] * [1.0, 0.5, 0.2]
        counts = np.rint(scale * (wave + rng.normal(0, 0.2, (len(labels), 3)))).astype(np.int16)
        side = None if not split else "test" if machine in (6, 7) else "train"
        recordings.append(Recording(f"r{machine}", f"machine {machine}", counts, labels, side))
    return Dataset("machines", CONTRACT, LABELS, tuple(recordings))


ONE = OneClassConfig(normal="healthy", false_alarms=0.1)
PREPARED = prepare_dataset(_dataset(), DataConfig(one_class=ONE), QuantizationConfig(), minimum_share=0.6)


def test_training_and_validation_see_normal_samples_only() -> None:
    assert PREPARED.dataset.labels == ("healthy", "anomaly")
    assert PREPARED.validation is not None
    assert PREPARED.test is not None
    assert PREPARED.one_class is not None
    for windows in (PREPARED.train, PREPARED.validation):
        assert not windows.labels.any()
        assert np.abs(windows.counts).max() < 1000  # the other states are five times as strong
    assert np.abs(PREPARED.calibration).max() < 1000
    groups = [set(side.groups.tolist()) for side in (PREPARED.train, PREPARED.validation, PREPARED.test)]
    assert groups[0] | groups[1] | groups[2] == {f"machine {machine}" for machine in range(9)}
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert "machine 8" in groups[2]  # it was never healthy
    classes = PREPARED.one_class.classes
    assert classes.names == LABELS
    assert set(classes.windows) >= {0, 1, 2}
    assert [int(of != 1) for of in classes.windows] == PREPARED.test.labels.tolist()


@pytest.mark.parametrize(
    ("split", "options", "tested"),
    [
        (True, {}, {6, 7}),  # of the machines without healthy windows, those of the source's train part are not used
        (False, {"test_fraction": 0.0}, {8}),
    ],
)
def test_the_test_part_has_whole_recordings(split: bool, options: dict[str, float], tested: set[int]) -> None:
    found = split_recordings(_dataset(split), DataConfig(one_class=ONE, **options), 0.6)  # type: ignore[arg-type]
    assert {one.group for one in found.test} == {f"machine {machine}" for machine in tested}
    whole = {one.name: one for one in _dataset(split).recordings}
    assert all((one.labels == whole[one.name].labels).all() for one in found.test)
    assert {int(label) for one in (*found.train, *found.validation) for label in one.labels} == {1}


def test_folds_leave_out_the_test_part_of_the_source() -> None:
    scored: set[str] = set()
    for fold in (1, 2, 3):
        found = split_recordings(_dataset(split=True), DataConfig(one_class=ONE, folds=3, fold=fold), 0.6)
        scored |= {one.group for one in found.test}
    assert scored == {f"machine {machine}" for machine in range(6)}


def test_blocks_of_time_have_all_other_classes_in_the_test_part() -> None:
    found = split_recordings(_dataset(), DataConfig(one_class=ONE, split="time_blocks"), 0.6)
    assert {int(label) for one in (*found.train, *found.validation) for label in one.labels} == {1}
    others = [one for one in found.test if one.labels[0] != 1]
    assert len(others) == 8 + 3  # each broken stretch, two loose ones, and the loose machine
    assert all((one.labels == one.labels[0]).all() for one in found.test)


def test_changed_windows_keep_their_groups_and_differ() -> None:
    windows = PREPARED.train
    changed = changed_windows(windows)
    count = len(windows.labels)
    assert changed.counts.shape == (len(CHANGES) * count, 20, 3)
    assert (changed.counts[:count] == windows.counts).all()
    assert changed.labels.tolist() == [label for label in range(len(CHANGES)) for _ in range(count)]
    assert (changed.groups.reshape(len(CHANGES), count) == windows.groups).all()
    ways = changed.counts.reshape(len(CHANGES), count, -1).astype(int)
    assert all((ways[a] != ways[b]).any(axis=1).all() for a in range(len(CHANGES)) for b in range(a))
    extreme = changed_windows(replace(windows, counts=np.full((1, 20, 3), -(2**15), dtype=np.int16)))
    assert (extreme.counts == -(2**15)).all()


def test_the_distance_is_in_deviations_along_the_directions_of_the_states() -> None:
    rng = np.random.default_rng(1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    states = rng.normal(0, [2.0, 1.0, 0.5], (20_000, 3)) @ turn.T + [1.0, -2.0, 3.0]
    rows = distance_rows(states)
    away = states.mean(axis=0) + 3 * np.diag([2.0, 1.0, 0.5]) @ turn.T  # three deviations along each direction
    outputs = np.maximum(away @ rows.weight_input.T + rows.bias, 0)
    assert outputs.sum(axis=1) == pytest.approx([3.0] * 3, abs=0.2)
    still = distance_rows(np.zeros((5, 2)))
    assert np.abs(still.weight_input).max() == pytest.approx(1 / np.sqrt(FLOOR))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_at_most_the_share_lies_beyond_the_threshold(share: float) -> None:
    distances = np.random.default_rng(2).normal(5, 1, 199)
    threshold = least_threshold(distances, share)
    beyond = int((distances > threshold).sum())
    assert beyond == int(share * 199)


def test_areas_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    normal, other = rng.integers(0, 9, 50).astype(float), rng.integers(3, 12, 30).astype(float)
    pairs = other[:, None] - normal
    expected = ((pairs > 0) + (pairs == 0) / 2).mean()
    assert auroc(normal, other) == pytest.approx(expected)


def test_scores_by_class() -> None:
    logits = np.array([[1, 0], [0, 1], [0, 3], [2, 0], [0, 2]], dtype=float)
    classes = OtherClasses(("bad", "good", "never"), (1, 1, 0, 0, 0))
    good, bad = detections(logits, classes, np.array(["a", "b", "a", "a", "b"]), "good")
    assert (good.label, good.windows, good.groups, good.called.value, good.auroc) == ("good", 2, 2, 0.5, None)
    assert (bad.label, bad.called.value) == ("bad", pytest.approx(2 / 3))
    assert bad.auroc == pytest.approx(4 / 6)
    assert bad.called.low is not None
    with pytest.raises(DataError, match=r"5 windows, classes of 2 and groups of 5; expected one of each"):
        detections(logits, replace(classes, windows=(1, 0)), np.array(["a"] * 5), "good")


def test_a_model_of_one_class_from_end_to_end() -> None:
    pytest.importorskip("torch")
    from edge_seq.training.loop import logits_of_weights

    config = TrainingConfig(cell="gru", hidden_size=4, pooling="mean", epochs=2, input_gain=2.0)
    trained = train_model(PREPARED, config, name="machine", at_window_end="reset")
    model, one = trained.model, trained.one_class
    assert one is not None
    assert model.labels == ("healthy", "anomaly")
    assert model.dense_sizes == (8,)
    assert PREPARED.validation is not None
    assert PREPARED.test is not None
    counts = PREPARED.validation.counts
    distances = distances_of(model, counts, one.threshold)
    assert one.found == pytest.approx((distances > one.threshold).mean())
    assert 0 < one.found <= 0.1
    outputs = run_float(model, counts).values["dense0"][:, -1]
    assert distances == pytest.approx(outputs.sum(axis=1), rel=1e-3)

    network, normalisation = trained.result.config, model.number_format.normalisation
    torch_logits = logits_of_weights(trained.weights, network, model.contract, 2, normalisation, counts)
    assert torch_logits == pytest.approx(float_logits(model, counts), abs=2e-4)

    data = es.Data(PREPARED)
    chip = es.quantize(es.TrainedModel(model, trained), calibration=data, quiet=True)
    assert (real_logits(chip.model, counts).argmax(axis=1) == float_logits(model, counts).argmax(axis=1)).mean() > 0.95
    scores = es.evaluate(chip, data).one_class
    assert scores is not None
    called = {found.label: found.called.value for found in scores.classifiers["machine"]}
    assert called["healthy"] < 0.4 < 0.9 < min(called["broken"], called["loose"])
    assert es.evaluate(chip, data, side="validation").one_class is not None
    assert "these are false alarms, for which the threshold was set to 10 %" in scores.table("test").title


def test_python_takes_windows_of_one_class() -> None:
    pytest.importorskip("torch")
    counts = np.concatenate([PREPARED.train.counts] * 2)
    groups = np.arange(len(counts)) % 7
    labels = np.where(np.arange(len(counts)) % 5, "fine", "odd").tolist()
    data = es.windows(counts, labels, groups, CONTRACT, one_class="fine", false_alarms=0.2)
    assert data.labels == ("fine", "anomaly")
    with pytest.raises(ConfigError, match=r"es.train: .*training.dense cannot be set so: the distance is made of a"):
        es.train(data, config=TrainingConfig(dense=(4,)), quiet=True)
    alone = es.windows(counts, ["fine"] * len(counts), groups, CONTRACT, one_class="fine", validation_fraction=0.0)
    with pytest.raises(DataError, match=r"set on normal validation windows, and there are none; load the data with"):
        es.train(alone, epochs=1, quiet=True)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.one_class.normal=anomaly"], r"so the normal class cannot have that name; name it otherwise"),
        (["data.one_class.false_alarms=1.5"], r"data.one_class.false_alarms: Input should be less than 1"),
        (["data.split=window_leaking_groups"], r"which split = 'window_leaking_groups' has none of; take split"),
        (["data.source=x.toml", "data.storage=disk"], r"one_class needs the recordings in memory; leave storage"),
        (["start_from=runs/a"], r"start_from cannot be set so: a training of one class begins with random weights"),
        (["teacher=runs/a"], r"teacher cannot be set so: a training of one class has no labels"),
        (["training.taught_by=forest"], r"training.taught_by cannot be set so: there are no labels that others could"),
        (["training.dense=[8]"], r"training.dense cannot be set so: the distance is made of a dense layer of its own"),
        (["training.label_every=sample"], r"label_every cannot be set so: the distance is that of a whole window"),
        (["training.pooling=flatten"], r"pooling cannot be set so: a distance of all states of a window is too large"),
    ],
)
def test_what_does_not_go_with_one_class_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, ["data.one_class.normal=parked", *overrides])


def test_a_run_and_other_classifiers_do_not_teach_together() -> None:
    with pytest.raises(ConfigError, match=r"teacher is a run and training.taught_by is 'forest'; set one of them"):
        load_config(None, ["teacher=runs/a", "training.taught_by=forest"])


def test_a_forest_beside_one_class_is_refused(tmp_path: Path) -> None:
    config = load_config(None, ["data.one_class.normal=parked"])
    with pytest.raises(ConfigError, match=r"other classifiers learn all classes, but data.one_class learns one alone"):
        cross_validate(tmp_path, config, folds=2, forest=True)


def test_a_class_that_is_not_there_is_refused() -> None:
    wanted = DataConfig(one_class=OneClassConfig(normal="rusty"))
    with pytest.raises(ConfigError, match=r"no sample of machines is labelled 'rusty'; give one of \['broken'"):
        split_recordings(_dataset(), wanted, 0.6)


def test_too_few_groups_are_refused() -> None:
    few = replace(_dataset(), recordings=_dataset().recordings[:2])
    with pytest.raises(DataError, match=r"each class needs windows in at least 3 groups.*found healthy in 2"):
        split_recordings(few, DataConfig(one_class=ONE), 0.6)


def test_few_validation_windows_are_warned_of() -> None:
    fit = OneClassFit("fine", 0.01, 0.0, windows=99, groups=1, threshold=1.0, changes=())
    assert "99 normal validation windows of 1 group say little about 1 % of false alarms" in (fit.warning() or "")
    assert replace(fit, windows=100, groups=2).warning() is None


def test_a_run_of_one_class_is_scored_on_its_own_and_on_other_recordings(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edge_seq.training.loop import logits_of_weights

    simulate_to_file(tmp_path / "drives.csv", drives=12, duration_s=120.0, sample_rate_hz=10.0, seed=3)
    options = [f'data.source="{tmp_path / "drives.toml"}"', "data.one_class.normal=normal_road"]
    training = ["training.cell=rnn", "training.hidden_size=2", "training.epochs=1"]
    summary = train_run(tmp_path / "run", load_config(None, [*options, *training]))
    assert summary.one_class is not None
    assert summary.optimiser_steps == -(-len(CHANGES) * summary.windows["train"] // 128)
    run = open_run(tmp_path / "run")
    config, model, windows = load_run_config(run), load_run_float(run), load_windows(run.windows("test"))
    weights = load_torch_weights(run)
    assert weights is not None
    normalisation = model.number_format.normalisation
    logits = logits_of_weights(weights, config.network, model.contract, 2, normalisation, windows.counts)
    assert logits == pytest.approx(float_logits(model, windows.counts), abs=2e-4)

    scores = evaluate_run(run)
    assert (scores.random_forest, scores.advice) == (None, None)
    assert scores.one_class is not None
    found = scores.one_class.classifiers["float model"]
    assert found[0].label == "normal_road"
    assert {one.label for one in found} <= {"parked", "normal_road", "bumpy_road", "skid"}
    assert sum(one.windows for one in found) == scores.float_model.num_windows
    assert load_result(run.metrics("test"), type(scores)) == scores
    called = scores.float_model.confusion[0][1] / sum(scores.float_model.confusion[0])
    assert found[0].called.value == pytest.approx(called)
    of_validation = evaluate_run(run, "validation").one_class
    assert of_validation is not None
    (only,) = of_validation.classifiers["float model"]
    assert only.called.value == pytest.approx(summary.one_class.found)

    streams = evaluate_streams(run)
    assert streams.labels == ("normal_road", "anomaly")
    source = load_source(tmp_path / "drives.toml")
    contract = load_run_float(run).contract
    file = tmp_path / "drives.toml"
    recordings = other_recordings(tmp_path / "drives.csv", source, file, contract, labels=class_names(run))
    others = evaluate_recordings(run, recordings)
    assert others.one_class is not None
    assert len(others.one_class.classifiers["float model"]) == 4

    classes = load_result(run.other_classes, OtherClasses)
    for changed, message in (
        (
            replace(classes, windows=classes.windows[1:]),
            rf"class of {len(windows.labels) - 1} windows, and the test part",
        ),
        (
            replace(classes, names=("a", "b", "c", "d")),
            r"names the classes \['a', .*normal class is 'normal_road'; train",
        ),
    ):
        save_json(run.other_classes, changed)
        with pytest.raises(DataError, match=message):
            evaluate_run(run)
    run.other_classes.write_text('{"names": ["normal_road"], "windows": [0, 7]}')
    with pytest.raises(DataError, match=r"reading classes.json: .*a window has class 7; expected 0 to 0"):
        evaluate_run(run)
