"""Cross-validation by group, and what a split by window is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.splits import split_by_fold
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.pipeline import leak as leak_module
from edge_seq.pipeline.config import load_config, quote
from edge_seq.pipeline.leak import measure_leak, try_to_measure_leak
from edge_seq.pipeline.prepare import LEAK_WARNING, prepare, split_note
from edge_seq.pipeline.simulate import simulate_to_file
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json
from tests.unit.data.data_builders import make_dataset

MIXED = {f"d{d}": [0, 1, 0, 1] for d in range(10)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twelve drives in a file, as an override of data.source."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("drives")
    simulate_to_file(folder / "drives.csv", drives=12, duration_s=120.0, sample_rate_hz=10.0, seed=0)
    return f"data.source={quote(str(folder / 'drives.toml'))}"


@pytest.fixture(autouse=True)
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak_module, "TREES", 15)


def names(recordings: tuple[Recording, ...]) -> set[str]:
    return {one.group for one in recordings}


@pytest.mark.parametrize("seed", [0, 1])
def test_every_group_is_tested_once(seed: int) -> None:
    dataset = make_dataset(MIXED)
    splits = [split_by_fold(dataset, folds=5, fold=fold, seed=seed, validation_fraction=0.25) for fold in range(1, 6)]
    tested = [group for split in splits for group in names(split.test)]
    assert sorted(tested) == sorted(MIXED)
    for split in splits:
        assert names(split.train) | names(split.validation) | names(split.test) == set(MIXED)
        assert len(names(split.test)) == 2
        assert len(names(split.validation)) == 2


def test_other_seeds_give_other_folds() -> None:
    dataset = make_dataset(MIXED)
    first, second = (split_by_fold(dataset, folds=5, fold=1, seed=seed) for seed in (0, 1))
    assert names(first.test) != names(second.test)


def test_a_test_part_of_the_source_takes_no_part() -> None:
    sides = {group: "test" if group in ("d0", "d1") else "train" for group in MIXED}
    splits = [split_by_fold(make_dataset(MIXED, splits=sides), folds=4, fold=k, seed=0) for k in range(1, 5)]
    for split in splits:
        assert not {"d0", "d1"} & (names(split.train) | names(split.test))


@pytest.mark.parametrize(("folds", "fold"), [(1, 1), (5, 0), (5, 6)])
def test_folds_out_of_range_are_refused(folds: int, fold: int) -> None:
    with pytest.raises(ConfigError, match=rf"fold {fold} of {folds}; give at least 2 folds"):
        split_by_fold(make_dataset(MIXED), folds=folds, fold=fold, seed=0)


def test_too_few_groups_for_the_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"at least 5 groups, one for each of \['fold 1', .*found class0 in 3"):
        split_by_fold(make_dataset({f"d{d}": [0, 1] for d in range(3)}), folds=5, fold=1, seed=0)


@pytest.mark.parametrize("override", ["data.folds=1", "data.fold=2"])
def test_a_configuration_of_folds_that_cannot_be_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="give at least 2 folds, and a fold from 1 to folds"):
        load_config(None, [override])
    with pytest.raises(ConfigError, match="folds have no effect with split"):
        load_config(None, ["data.folds=5", "data.split=window_leaking_groups"])


def test_a_run_of_a_fold_tests_that_fold(source: str) -> None:
    tested = []
    for fold in (1, 2, 3):
        prepared = prepare(load_config(None, [source, "data.folds=3", f"data.fold={fold}"]))
        assert prepared.test is not None
        tested.append(set(prepared.test.groups.tolist()))
    assert len(set.union(*tested)) == sum(len(one) for one in tested) == 12


def leaky(groups: int = 12, *, of_group: float) -> Dataset:
    """Windows whose offset tells the group, and so the label of the group, but nothing of another group's."""
    rng = np.random.default_rng(0)
    contract = SensorContract(10.0, (Channel("ax", "g", 100.0, 300.0),), window_length=10, window_stride=10)
    recordings = []
    for group in range(groups):
        labels = np.repeat(rng.integers(0, 2, size=1), 200).astype(np.int16)
        labels[:20] = 1 - labels[0]  # both classes in each group
        noise = rng.normal(size=(200, 1)) * 20 + labels[:, None] * 20 + of_group * rng.normal()
        recordings.append(Recording(f"r{group}", f"g{group}", noise.astype(np.int16), labels))
    return Dataset("leaky", contract, ("a", "b"), tuple(recordings))


def test_the_leak_is_measured_and_is_about_none_where_groups_are_alike() -> None:
    pytest.importorskip("sklearn")
    leak = measure_leak(leaky(of_group=2000.0), seed=0, minimum_share=0.6)
    assert leak.gap.value > 0.1
    assert leak.gap.low > 0.0
    assert leak.by_window.accuracy.low is not None
    assert "split by window and" in leak.text
    assert "the leak is" in leak.text
    none = measure_leak(leaky(of_group=0.0), seed=0, minimum_share=0.6)
    assert abs(none.gap.value) < 0.1


def test_a_leak_that_cannot_be_measured_says_why() -> None:
    found = try_to_measure_leak(leaky(1, of_group=0.0), seed=0, minimum_share=0.6)
    assert found.leak is None
    reason = "cannot be measured: cannot split by group: each class needs windows in at least 2 groups"
    assert reason in found.leak_text


def test_the_warning_carries_what_was_measured() -> None:
    config = load_config(None, ["data.split=window_leaking_groups"])
    assert split_note(config).warning == LEAK_WARNING
    assert split_note(config, "12 points").warning == f"{LEAK_WARNING}; 12 points"
    assert split_note(load_config(None), "12 points").to_dict() == {"split": "group"}


def test_a_run_split_by_window_warns_with_the_gap(source: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.quantize import quantize_run
    from edge_seq.workflow.train import train_run

    config = load_config(
        None,
        [
            "data.split=window_leaking_groups",
            source,
            "training.epochs=1",
            "training.hidden_size=4",
        ],
    )
    summary = train_run(tmp_path / "run", config)
    assert summary.note.warning is not None
    assert "split by group" in summary.note.warning
    assert summary.leak is not None
    assert summary.leak.leak is not None
    assert set(summary.leak.leak.to_dict()["gap"]) == {"value", "low", "high"}
    assert quantize_run(open_run(tmp_path / "run")).split_note == summary.note


def test_a_cross_validation_pools_its_folds_and_resumes(source: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from edge_seq.workflow.cross_validate import cross_validate

    config = load_config(None, [source, "training.epochs=1", "training.hidden_size=4"])
    result = cross_validate(tmp_path, config, folds=2, repeats=2)
    for model in (result.models.float_model, result.models.int_model):
        first, second = model.repeats
        assert first.num_groups == second.num_groups == 12
        assert first.accuracy.low < first.accuracy.high
        assert model.summary.macro_f1.standard_deviation >= 0
    assert result.differences is None
    assert set(load_json(tmp_path / "cross_validation.json")) == {"folds", "repeats", "split", "float", "int"}
    assert cross_validate(tmp_path, config, folds=2, repeats=2) == result
    with pytest.raises(ConfigError, match="1 folds, 1 repeats; give at least 2 folds"):
        cross_validate(tmp_path, config, folds=1)
    leaking = load_config(None, ["data.split=window_leaking_groups"])
    with pytest.raises(ConfigError, match="split is 'window_leaking_groups'; folds are by group or by blocks of time"):
        cross_validate(tmp_path, leaking, folds=2)
