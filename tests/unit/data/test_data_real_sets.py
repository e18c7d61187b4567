"""The data sources in datasets/ read the real recordings. Skipped if those are not on the machine."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.audit.audit import audit
from edge_seq.data.readers import load_dataset
from edge_seq.data.recording import Dataset
from edge_seq.data.source import DataSource, load_source
from edge_seq.data.splits import split_by_group
from edge_seq.data.windows import make_windows

DATASETS = Path(__file__).parents[3] / "datasets"
NAMES = ("fan_vibration", "hapt", "road_surface_tartu")


@cache
def load(name: str) -> Dataset:
    pytest.importorskip("pyarrow")
    path = DATASETS / f"{name}.toml"
    folder = path.parent / load_source(path).path
    if not folder.is_dir():
        pytest.skip(f"the recordings of {name} are not here ({folder}); datasets/{name}.md says how to get them")
    return load_dataset(path)


def windows_per_class(dataset: Dataset, split: str) -> list[int]:
    recordings = [recording for recording in dataset.recordings if recording.split == split]
    source = load_source(DATASETS / f"{dataset.name}.toml")
    windows = make_windows(
        recordings, length=source.window_length, stride=source.window_stride, minimum_share=source.minimum_share
    )
    return [int(n) for n in np.bincount(windows.labels, minlength=len(dataset.labels))]


def samples_per_class(dataset: Dataset, split: str) -> list[int]:
    labels = np.concatenate([recording.labels for recording in dataset.recordings if recording.split == split])
    return [int(n) for n in np.bincount(labels[labels >= 0], minlength=len(dataset.labels))]


@pytest.mark.parametrize("name", NAMES)
def test_each_source_validates_and_has_a_description(name):
    assert load_source(DATASETS / f"{name}.toml").name == name
    text = (DATASETS / f"{name}.md").read_text(encoding="utf-8")
    for heading in ("Licence", "How to get it"):
        assert heading in text


def test_hapt_gives_the_published_windows_of_the_official_split():
    dataset = load("hapt")
    assert sum(len(recording.labels) for recording in dataset.recordings) == 797484 + 325288
    assert windows_per_class(dataset, "train") == [1226, 1073, 987, 1293, 1423, 1413]  # 7415
    assert windows_per_class(dataset, "test") == [496, 471, 420, 508, 556, 545]  # 2996
    test_subjects = {recording.group for recording in dataset.recordings if recording.split == "test"}
    assert test_subjects == {"2", "4", "9", "10", "12", "13", "18", "20", "24"}


def test_hapt_validation_subjects_come_from_the_training_subjects():
    dataset = load("hapt")
    split = split_by_group(dataset, validation_fraction=0.2, test_fraction=0.2, seed=0, minimum_share=1.0)
    groups = [{recording.group for recording in side} for side in (split.train, split.validation, split.test)]
    assert [len(side) for side in groups] == [21 - len(groups[1]), len(groups[1]), 9]
    assert 3 <= len(groups[1]) <= 6
    assert not groups[1] & (groups[0] | groups[2])


def test_tartu_gives_the_published_samples_and_blocks():
    dataset = load("road_surface_tartu")
    assert samples_per_class(dataset, "train") == [10026, 10615, 8721]
    assert samples_per_class(dataset, "test") == [3309, 1104, 2205]
    for split, sessions, blocks in (("train", 62, 39), ("test", 18, 16)):
        recordings = [recording for recording in dataset.recordings if recording.split == split]
        assert (len(recordings), len({recording.group for recording in recordings})) == (sessions, blocks)


def test_fan_gives_the_published_recordings_by_speed():
    dataset = load("fan_vibration")
    for split, speeds in (
        ("train", {"20", "25", "40", "45", "60", "65", "80", "85", "100"}),
        ("test", {"30", "50", "70", "90"}),
    ):
        recordings = [recording for recording in dataset.recordings if recording.split == split]
        assert {recording.group for recording in recordings} == speeds
        assert [len(recording.labels) for recording in recordings] == [3000] * 3 * len(speeds)


def test_the_readme_describes_every_field():
    text = (DATASETS / "README.md").read_text(encoding="utf-8")
    assert [name for name in DataSource.model_fields if f"`{name}`" not in text] == []


def test_the_example_of_the_readme_runs(monkeypatch):
    load("road_surface_tartu")  # skips if the recordings are missing
    monkeypatch.chdir(DATASETS.parent)
    example = re.search(r"```python\n(.*?)```", (DATASETS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    variables: dict[str, object] = {}
    exec(example.group(1), variables)
    assert variables["train"].counts.shape[1:] == (50, 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fan_vibration", {("warning", "clipping"), ("note", "unit")}),  # it clips at 8 g, and the fan never rests
        ("road_surface_tartu", {("warning", "unit")}),  # the phone removed gravity
        ("hapt", {("warning", "giveaway")}),  # all recordings follow the same order
    ],
)
def test_data_check_says_what_is_known_of_the_real_sets(name, expected):
    pytest.importorskip("sklearn")
    load(name)  # skips if the recordings are missing
    path = DATASETS / f"{name}.toml"
    result = audit(load_source(path), base=path.parent)
    assert result.is_usable
    assert {(one.severity, one.check) for one in result.findings} == expected
