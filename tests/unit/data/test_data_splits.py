from __future__ import annotations

import re

import numpy as np
import pytest

from edge_seq.data.recording import SIDES, Recording
from edge_seq.data.splits import (
    Split,
    check_split_kind,
    split_by_group,
    split_by_time_block,
    split_by_time_blocks,
    split_by_time_fold,
    split_by_window_leaking_groups,
)
from edge_seq.support.errors import ConfigError, DataError
from tests.unit.data.data_builders import make_dataset


def groups_of(recordings: tuple[Recording, ...]) -> set[str]:
    return {recording.group for recording in recordings}


def classes_of(recordings: tuple[Recording, ...]) -> set[int]:
    return set(np.concatenate([recording.labels for recording in recordings]).tolist())


def check_sides(split: Split, num_classes: int) -> None:
    sides = [split.train, split.validation, split.test]
    for i, first in enumerate(sides):
        assert classes_of(first) == set(range(num_classes))
        for second in sides[i + 1 :]:
            assert not groups_of(first) & groups_of(second)


MIXED = {f"drive{d}": [0] * (3 + d % 4) + [1] * 2 + [2] * (d % 3) for d in range(30)}


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_two_sides_and_every_class_is_on_every_side(seed):
    dataset = make_dataset(MIXED)
    split = split_by_group(dataset, validation_fraction=0.2, test_fraction=0.2, seed=seed)
    check_sides(split, 3)
    assert sorted(r.name for side in SIDES for r in getattr(split, side)) == sorted(r.name for r in dataset.recordings)


def test_sizes_are_close_to_the_fractions():
    split = split_by_group(make_dataset(MIXED), validation_fraction=0.1, test_fraction=0.3, seed=1)
    total = sum(map(len, MIXED.values()))
    for side, fraction in ((split.train, 0.6), (split.validation, 0.1), (split.test, 0.3)):
        assert sum(len(MIXED[g]) for g in groups_of(side)) / total == pytest.approx(fraction, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_shared_out_as_asked(seed):
    split = split_by_group(make_dataset(MIXED), validation_fraction=0.2, test_fraction=0.2, seed=seed)
    for label in range(3):
        total = sum(classes.count(label) for classes in MIXED.values())
        for side, fraction in ((split.train, 0.6), (split.validation, 0.2), (split.test, 0.2)):
            share = sum(MIXED[group].count(label) for group in groups_of(side)) / total
            assert share == pytest.approx(fraction, abs=0.06)


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    dataset = make_dataset(MIXED)
    first, again, other = (
        split_by_group(dataset, validation_fraction=0.2, test_fraction=0.2, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert groups_of(first.test) != groups_of(other.test)


def test_a_rare_class_in_just_three_groups_gets_onto_every_side():
    rare = {f"d{d}": [0, 0, 0] + ([1] if d in (4, 11, 17) else []) for d in range(20)}
    split = split_by_group(make_dataset(rare), validation_fraction=0.15, test_fraction=0.15, seed=0)
    check_sides(split, 2)


def test_several_recordings_of_a_group_stay_together():
    dataset = make_dataset(MIXED)
    pairs = tuple(
        Recording(r.name, f"g{number // 2}", r.counts, r.labels) for number, r in enumerate(dataset.recordings)
    )
    dataset = type(dataset)(dataset.name, dataset.contract, dataset.labels, pairs)
    split = split_by_group(dataset, validation_fraction=0.2, test_fraction=0.2, seed=0)
    check_sides(split, 3)
    assert sum(len(getattr(split, side)) for side in SIDES) == len(pairs)


def test_a_class_in_too_few_groups_is_an_error_that_names_it():
    few = {"a": [0, 1], "b": [0, 1], "c": [0], "d": [0]}
    with pytest.raises(DataError, match=r"class1 in 2 of 4 groups"):
        split_by_group(make_dataset(few), validation_fraction=0.25, test_fraction=0.25, seed=0)
    split = split_by_group(make_dataset(few), validation_fraction=0.5, test_fraction=0.0, seed=0)
    assert split.test == ()
    assert classes_of(split.train) == classes_of(split.validation) == {0, 1}


def test_classes_are_counted_in_windows_not_in_samples():
    dataset = make_dataset({"a": [0, 1], "b": [0, 1], "c": [0, 1]})
    too_short = tuple(Recording(r.name, r.group, r.counts[:3], r.labels[:3]) for r in dataset.recordings)
    dataset = type(dataset)(dataset.name, dataset.contract, dataset.labels, too_short)
    with pytest.raises(DataError, match="class1 in 0 of 3 groups"):
        split_by_group(dataset, validation_fraction=0.3, test_fraction=0.3, seed=0)


def test_when_no_assignment_exists_the_error_says_so():
    # Class 0 keeps a, b, e apart and class 1 keeps a, b, c apart, so c and e share a side; class 2 keeps c, d, e apart.
    dataset = make_dataset({"a": [0, 1], "b": [0, 1], "c": [1, 2], "d": [2], "e": [0, 2]})
    with pytest.raises(DataError, match="no assignment of 5 groups"):
        split_by_group(dataset, validation_fraction=0.3, test_fraction=0.3, seed=0)


def test_the_split_of_the_source_is_kept_and_validation_comes_from_train():
    splits = {group: "test" if group in ("drive1", "drive2", "drive5") else "train" for group in MIXED}
    dataset = make_dataset(MIXED, splits=splits)
    split = split_by_group(dataset, validation_fraction=0.2, test_fraction=0.9 - 0.2, seed=0)
    assert groups_of(split.test) == {"drive1", "drive2", "drive5"}
    check_sides(split, 3)
    assert 3 <= len(split.validation) <= 8


def test_a_source_with_all_three_sides_is_taken_as_it_is():
    splits = {group: SIDES[number % 3] for number, group in enumerate(MIXED)}
    everything = {group: [0, 1, 2] for group in MIXED}
    split = split_by_group(make_dataset(everything, splits=splits), validation_fraction=0.2, test_fraction=0.2, seed=0)
    for side in SIDES:
        assert groups_of(getattr(split, side)) == {group for group, s in splits.items() if s == side}


def test_a_source_whose_test_part_lacks_a_class_is_refused():
    groups = {"a": [0, 1], "b": [0, 1], "c": [0]}
    dataset = make_dataset(groups, splits={"a": "train", "b": "train", "c": "test"})
    with pytest.raises(DataError, match=r"test \(1 recording\) has no window of \['class1'\]"):
        split_by_group(dataset, validation_fraction=0.5, test_fraction=0.1, seed=0)


def test_a_source_without_a_train_part_is_refused():
    dataset = make_dataset({"a": [0]}, splits={"a": "test"})
    with pytest.raises(DataError, match="no group for train"):
        split_by_group(dataset, validation_fraction=0.0, test_fraction=0.0, seed=0)


def test_a_group_with_two_splits_is_refused():
    dataset = make_dataset({"a": [0], "b": [0]}, splits={"a": "train", "b": "test"})
    same = tuple(Recording(r.name, "a", r.counts, r.labels, r.split) for r in dataset.recordings)
    dataset = type(dataset)(dataset.name, dataset.contract, dataset.labels, same)
    with pytest.raises(DataError, match="group 'a' is both in split 'train' and in 'test'"):
        split_by_group(dataset, validation_fraction=0.2, test_fraction=0.2, seed=0)


@pytest.mark.parametrize(
    ("validation", "test", "message"),
    [(-0.1, 0.2, "validation_fraction is -0.1"), (0.1, 1.0, "test_fraction is 1.0"), (0.5, 0.5, "leave nothing to")],
)
def test_fractions_out_of_range_are_refused(validation, test, message):
    dataset = make_dataset(MIXED)
    for split in (split_by_group, split_by_window_leaking_groups):
        with pytest.raises(ConfigError, match=message):
            split(dataset, validation_fraction=validation, test_fraction=test, seed=0)


def test_the_leaking_split_puts_groups_on_several_sides_but_each_window_on_one():
    dataset = make_dataset({f"d{d}": [0, 1] * 10 for d in range(5)})
    train, validation, test = split_by_window_leaking_groups(
        dataset, validation_fraction=0.2, test_fraction=0.3, seed=0
    )
    assert (len(train.labels), len(validation.labels), len(test.labels)) == (50, 20, 30)
    assert set(train.groups) & set(test.groups)
    starts = [set(part.counts[:, 0, 0].tolist()) for part in (train, validation, test)]
    assert len(set.union(*starts)) == 100
    for part in (train, validation, test):
        assert (part.sample_labels == part.labels[:, None]).all()


def test_the_configuration_cannot_ask_for_a_leak_without_saying_so():
    assert check_split_kind("group") == "group"
    assert check_split_kind("window_leaking_groups") == "window_leaking_groups"
    with pytest.raises(ConfigError, match=r'"window" is refused.*split = "window_leaking_groups"'):
        check_split_kind("window")
    with pytest.raises(
        ConfigError, match=r"split = 'subject' is unknown; give one of \['group', 'time_blocks', 'window_leaking"
    ):
        check_split_kind("subject")


# One session: classes of some length after each other, again and again; counts are the time.
SESSION = {"only": ([0] * 30 + [1] * 20 + [2] * 10) * 4}


def times_of(recording: Recording) -> np.ndarray:
    return np.asarray(recording.counts)[:, 0].astype(int)


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("groups", [SESSION, {"a": [0] * 60 + [1] * 40, "b": [1] * 50 + [0] * 30}])
def test_blocks_of_time_are_a_window_apart_and_hold_every_class(groups, length):
    dataset = make_dataset(groups, length=length)
    split = split_by_time_blocks(dataset, validation_fraction=0.2, test_fraction=0.2)
    for side in SIDES:
        assert classes_of(getattr(split, side)) == set(range(len(dataset.labels)))
        for recording in getattr(split, side):
            assert (np.diff(times_of(recording)) == 1).all(), "a piece is contiguous"
    for first in SIDES:
        for second in SIDES:
            if first != second:
                gaps = [
                    np.abs(times_of(a)[:, None] - times_of(b)[None, :]).min()
                    for a in getattr(split, first)
                    for b in getattr(split, second)
                    if a.group == b.group
                ]
                assert min(gaps) > length
    sizes = {side: sum(len(r.labels) for r in getattr(split, side)) for side in SIDES}
    total = sum(len(recording.labels) for recording in dataset.recordings)
    assert sizes["train"] / total == pytest.approx(0.6, abs=0.05)
    assert 0.1 < sizes["test"] / total <= 0.2


def test_the_test_comes_after_the_training_in_time():
    dataset = make_dataset({"only": [0] * 100 + [1] * 100}, length=2)
    split = split_by_time_blocks(dataset, validation_fraction=0.2, test_fraction=0.2)
    for label in (0, 1):
        last_of_training = max(int(r.counts[r.labels == label].max()) for r in split.train if (r.labels == label).any())
        first_of_test = min(int(r.counts[r.labels == label].min()) for r in split.test if (r.labels == label).any())
        assert last_of_training < first_of_test


def test_a_fraction_of_0_leaves_a_side_empty():
    split = split_by_time_blocks(make_dataset(SESSION), validation_fraction=0.0, test_fraction=0.25)
    assert split.validation == ()
    assert split.test


@pytest.mark.parametrize(
    ("groups", "splits", "message"),
    [
        ({"a": [0] * 20 + [1]}, None, r"cannot split by time: train gets no window of|validation gets no window of"),
        ({"a": [0, 1] * 20}, {"a": "train"}, r"the source gives parts of its own \(train\); set data.split=group"),
    ],
)
def test_what_cannot_be_split_by_time_is_refused(groups, splits, message):
    with pytest.raises(DataError, match=message):
        split_by_time_blocks(make_dataset(groups, splits=splits))


def test_every_class_of_a_side_that_gets_no_time_is_named():
    dataset = make_dataset({"a": [0] * 4 + [1] * 4}, length=10)
    with pytest.raises(DataError, match=r"validation gets no window of " + re.escape(str(list(dataset.labels)))):
        split_by_time_blocks(dataset, validation_fraction=0.2, test_fraction=0.0)


def test_too_few_groups_name_the_split_by_time():
    with pytest.raises(DataError, match=r"cannot split by group: .*--set data\.split=time_blocks"):
        split_by_group(make_dataset({"one": [0, 1] * 20}), validation_fraction=0.2, test_fraction=0.2, seed=0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_time_is_tested_once_by_folds_of_time(seed):
    dataset = make_dataset(SESSION)
    splits = [
        split_by_time_fold(dataset, folds=4, fold=fold, seed=seed, validation_fraction=0.2) for fold in (1, 2, 3, 4)
    ]
    tested = np.concatenate([times_of(piece) for split in splits for piece in split.test])
    assert len(set(tested.tolist())) == len(tested), "no time is in two folds"
    total = sum(len(recording.labels) for recording in dataset.recordings)
    assert len(tested) > 0.7 * total, "only the gaps are lost"
    for number, split in enumerate(splits, start=1):
        assert {piece.group for piece in split.test} == {f"block {number}"}
        assert {piece.group for piece in (*split.train, *split.validation)} == {"only"}
        for side in SIDES:
            assert classes_of(getattr(split, side)) == set(range(len(dataset.labels)))
        test = np.concatenate([times_of(piece) for piece in split.test])
        rest = np.concatenate([times_of(piece) for piece in (*split.train, *split.validation)])
        assert np.abs(test[:, None] - rest[None, :]).min() > dataset.contract.window_length


def test_other_seeds_begin_the_blocks_at_other_times():
    dataset = make_dataset(SESSION)
    first, second = (split_by_time_fold(dataset, folds=3, fold=2, seed=seed) for seed in (0, 1))
    assert [piece.name for piece in first.test] != [piece.name for piece in second.test]
    blocks = [split_by_time_block(dataset, scored_fraction=0.3, seed=seed) for seed in range(4)]
    assert len({tuple(piece.name for piece in block.validation) for block in blocks}) == 4
    assert [block.validation[0].group for block in blocks] == [f"block {seed}" for seed in range(4)]
    assert all(block.test == () for block in blocks)
    again = split_by_time_block(dataset, scored_fraction=0.3, seed=0)
    assert [piece.name for piece in again.train] == [piece.name for piece in blocks[0].train]


@pytest.mark.parametrize(("folds", "fold"), [(1, 1), (3, 4), (3, 0)])
def test_a_fold_of_time_out_of_range_is_refused(folds, fold):
    with pytest.raises(ConfigError, match=f"fold {fold} of {folds}; give at least 2 folds"):
        split_by_time_fold(make_dataset(SESSION), folds=folds, fold=fold, seed=0)
