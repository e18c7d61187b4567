"""`data check` finds each planted fault, and nothing in the clean set."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from edge_seq.data import readers
from edge_seq.data.audit.audit import Audit, audit
from edge_seq.data.audit.facts import anchors_of
from edge_seq.data.audit.giveaway import cross_validated_recall
from edge_seq.data.audit.plots import draw_plots
from edge_seq.data.guess import guess_source
from edge_seq.data.readers.formats import csv_file
from edge_seq.data.readers.text import rows as text_rows
from edge_seq.data.source import load_source, parse_source
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.pipeline.data_check import check_data
from edge_seq.support.errors import ConfigError, DataError, ToolError

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

RATE = 25.0
LABELS = ("parked", "smooth", "rough")
AXES = ("ax", "ay", "az")


@dataclasses.dataclass
class Take:
    """A recording into which a test plants faults."""

    name: str
    group: str
    label: str
    time: np.ndarray
    xyz: np.ndarray
    split: str = ""


Takes = list[Take]


def clean(number: int = 36, seed: int = 0) -> Takes:
    """Make recordings of six cars in random order, with gravity on z, a tilt for each car, and some seconds of rest."""
    rng = np.random.default_rng(seed)
    takes = []
    pairs = [(f"car{k % 6}", label) for k in range(number // 3) for label in LABELS]
    for index, position in enumerate(rng.permutation(number)):
        car, label = pairs[position]
        samples = int(rng.integers(500, 900))
        amplitude = {"parked": 0.002, "smooth": 0.05, "rough": 0.3}[label] * np.ones(samples)
        amplitude[:100] = 0.002  # the car waits before it starts
        tilt = 0.1 * rng.normal(size=3)
        gravity = np.array([0.0, 0.0, 1.0]) + tilt
        gravity /= np.linalg.norm(gravity)
        shake = rng.normal(size=(samples, 3)) * amplitude[:, None]
        time = (np.arange(samples) + 0.02 * rng.normal(size=samples)) / RATE
        takes.append(Take(f"take_{index:02d}", car, label, time, gravity + shake))
    return takes


def write(takes: Takes, folder: Path, **changes: Any) -> dict[str, Any]:
    columns = "take,car,t,ax,ay,az,label" + (",split" if takes[0].split else "")
    lines = [columns]
    for take in takes:
        end = f",{take.label}" + (f",{take.split}" if take.split else "")
        lines += [
            f"{take.name},{take.group},{t:.6f},{x:.5f},{y:.5f},{z:.5f}{end}"
            for t, (x, y, z) in zip(take.time, take.xyz, strict=True)
        ]
    (folder / "takes.csv").write_text("\n".join(lines) + "\n")
    return {
        "name": "takes",
        "path": "takes.csv",
        "recording_column": "take",
        "group_column": "car",
        "time_column": "t",
        "sample_rate_hz": RATE,
        "window_length": 50,
        "window_stride": 25,
        "channels": [{"name": axis, "unit": "g", "counts_per_unit": 4096, "full_scale": 8} for axis in AXES],
        **({"split_column": "split"} if takes[0].split else {}),
        **changes,
    }


def check(takes: Takes, folder: Path, **changes: Any) -> Audit:
    return audit(parse_source(write(takes, folder, **changes), where="test"), base=folder)


def found(result: Audit, *severities: str) -> set[str]:
    return {one.check for one in result.findings if one.severity in severities}


def split_by_car(takes: Takes) -> Takes:
    sides = {"car4": "validation", "car5": "test"}
    return [dataclasses.replace(take, split=sides.get(take.group, "train")) for take in takes]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_found_in_a_clean_set(tmp_path, seed):
    result = check(clean(seed=seed), tmp_path)
    assert result.is_usable
    assert found(result, "error", "warning", "note") == set()
    assert found(check(split_by_car(clean(seed=seed)), tmp_path), "error", "warning", "note") == set()


def edit(position: int | None = None, **functions: Callable[[Take], Any]) -> Callable[[Takes], Takes]:
    """Plant a fault in one recording or in all; each function computes a field from the recording."""

    def plant(takes: Takes) -> Takes:
        return [
            dataclasses.replace(take, **{name: f(take) for name, f in functions.items()})
            if position in (None, index)
            else take
            for index, take in enumerate(takes)
        ]

    return plant


def with_axis(take: Take, axis: int, values: Any) -> np.ndarray:
    xyz = take.xyz.copy()
    xyz[:, axis] = values
    return xyz


def jump(take: Take) -> np.ndarray:
    time = take.time.copy()
    time[300:] += 3.0
    return time


def stuck(take: Take) -> np.ndarray:
    xyz = take.xyz.copy()
    xyz[150:400, 1] = xyz[150, 1]
    return xyz


def hole(take: Take) -> np.ndarray:
    xyz = take.xyz.copy()
    xyz[7, 2] = np.nan
    return xyz


def wild(take: Take) -> np.ndarray:
    xyz = take.xyz.copy()
    xyz[7, 1] = 1e39
    return xyz


def copy_into_other_car(takes: Takes) -> Takes:
    old = next(take for take in takes if take.label == "rough" and take.group == "car0")
    return [*takes, dataclasses.replace(old, name="take_99", group="car1", time=old.time[37:], xyz=old.xyz[37:])]


def long_ones_are_rough(take: Take) -> int:
    return {"parked": 520, "smooth": 650, "rough": 780}[take.label] + int(take.name[-2:]) % 30


def cut(take: Take, field: str) -> np.ndarray:
    rng = np.random.default_rng(int(take.name[-2:]))
    length = long_ones_are_rough(take)
    if field == "time":
        return np.arange(length) / RATE
    return take.xyz[rng.integers(0, len(take.xyz), size=length)]


def morning_and_evening(take: Take) -> np.ndarray:
    hour = {"parked": 6, "smooth": 12, "rough": 18}[take.label]
    day = int(take.name[-2:])
    return take.time + 1.7e9 + 86400 * day + 3600 * hour + 60 * (day % 50)


def in_blocks(takes: Takes) -> Takes:
    ordered = sorted(takes, key=lambda take: take.label)
    return [dataclasses.replace(take, name=f"rec_{index:03d}") for index, take in enumerate(ordered)]


FAULTS: dict[str, tuple[str, str, Callable[[Takes], Takes], str]] = {
    "one rate": ("rate", "error", edit(3, time=lambda t: t.time / 2), "1 of 36 recordings were sampled at 50"),
    "every rate": ("rate", "error", edit(time=lambda t: t.time * 2), r"36 of 36 .* at 12\.\d+ Hz.*resample = "),
    "jitter": (
        "jitter",
        "warning",
        edit(4, time=lambda t: np.cumsum(np.where(np.arange(len(t.time)) % 2, 0.4, 1.6)) / RATE),
        r"varies by up to .* of a period in 1 recording",
    ),
    "gap": ("gaps", "error", edit(5, time=jump), r"1 gap in 1 recording \(take_05\), the longest 3\.0"),
    "order": ("time order", "error", edit(2, time=lambda t: t.time[::-1]), "do not follow the one before in time"),
    "missing": ("missing values", "error", edit(2, xyz=hole), r"1 value is missing .*take_02"),
    "clipping": (
        "clipping",
        "warning",
        lambda takes: [dataclasses.replace(t, xyz=np.clip(t.xyz, -2, 1.6)) for t in takes],
        r"1 channel stays at the largest values .*\(az at .* the sensor saturated",
    ),
    "hard clipping": (
        "clipping",
        "error",
        lambda takes: [dataclasses.replace(t, xyz=np.clip(t.xyz, -0.2, 1.1)) for t in takes],
        r"channels stay at the largest values for up to .*\(ax at .*; az at .*: the sensor saturated",
    ),
    "one wild value": (
        "full scale",
        "warning",
        edit(4, xyz=wild),
        r"channel ay: 1e\+39 g is more than 10 times full_scale 8 g, .* in 1 recording \(take_04\)",
    ),
    "dead": ("dead axis", "error", edit(7, xyz=lambda t: with_axis(t, 1, 0.0)), "channel ay never changes in 1 of 36"),
    "stuck": ("dead axis", "error", edit(1, xyz=stuck), r"channel ay is constant for up to 9\.\d+ s while other"),
    "swapped": (
        "swapped axes",
        "error",
        edit(8, xyz=lambda t: t.xyz[:, [2, 1, 0]]),
        "it fits if ax/ay/az are read as az/ay/ax: take_08",
    ),
    "upside down": ("swapped axes", "error", edit(9, xyz=lambda t: t.xyz * [1, -1, -1]), "take_09"),
    "one unit": (
        "unit",
        "error",
        edit(6, xyz=lambda t: t.xyz * 9.80665),
        r"length of gravity in m/s\^2, not in g \(set column_unit .*\) in 1 of 36 recordings \(take_06\)",
    ),
    "milli": ("unit", "error", edit(xyz=lambda t: t.xyz * 1000), "length of gravity in mg, not in g"),
    "range": (
        "unit",
        "error",
        edit(xyz=lambda t: t.xyz / 2),
        r"about 0\.5 g long, expected 1 g: the full scale is wrong by a power of two \(correct",
    ),
    "no gravity": (
        "unit",
        "warning",
        edit(xyz=lambda t: t.xyz - t.xyz.mean(axis=0)),
        "no gravity in the data: it was removed, or the unit is wrong",
    ),
    "copy": ("duplicates", "error", copy_into_other_car, "of different groups share samples"),
    "copy in a group": (
        "duplicates",
        "error",
        lambda takes: [*takes, dataclasses.replace(takes[0], name="take_99")],
        "recordings of one group hold the same samples",
    ),
    "shared windows": (
        "shared windows",
        "error",
        lambda takes: split_by_car(
            [*takes, *(dataclasses.replace(t, name="take_99", group="car5") for t in takes if t.group == "car0")][:37]
        ),
        r"on different sides of the split share samples",
    ),
    "torn group": (
        "split",
        "error",
        lambda takes: edit(0, split=lambda t: "validation" if t.split == "train" else "train")(split_by_car(takes)),
        r"1 group is on several sides of the split \(car\d\)",
    ),
    "a side without a class": (
        "split",
        "error",
        lambda takes: [t for t in split_by_car(takes) if not (t.split == "test" and t.label == "rough")],
        r"test has no window of \['rough'\]",
    ),
    "length": (
        "giveaway",
        "error",
        edit(time=lambda t: cut(t, "time"), xyz=lambda t: cut(t, "xyz")),
        "the length of the recording alone tells the class",
    ),
    "time of day": ("giveaway", "error", edit(time=morning_and_evening), "the time of day alone tells the class"),
    "file name": ("giveaway", "error", in_blocks, "the number in the name alone tells the class"),
    "words": (
        "giveaway",
        "error",
        edit(name=lambda t: {"parked": "mon", "smooth": "tue", "rough": "wed"}[t.label] + t.name),
        "the words in the name alone tells the class",
    ),
    "one class": ("labels", "error", edit(label=lambda t: "parked"), "there is one class only, 'parked'"),
    "spelling": ("labels", "error", edit(0, label=lambda t: t.label.title()), "seem to be one, spelled differently"),
    "no labels": ("labels", "error", edit(label=lambda t: ""), "no sample has a label"),
    "rare": (
        "balance",
        "warning",
        lambda takes: [
            *(t for t in takes if t.label != "rough"),
            *(
                dataclasses.replace(t, time=t.time[100:160], xyz=t.xyz[100:160])
                for t in takes
                if t.label == "rough" and t.group in ("car0", "car1", "car2")
            ),
        ][:30],
        r"class 'rough' has \d of \d+ windows",
    ),
    "one car": (
        "groups",
        "error",
        lambda takes: [t for t in takes if t.label != "rough" or t.group == "car0"],
        r"class 'rough' is in 1 of 6 groups \(car0\); train, validation and test need one each",
    ),
    "group is class": (
        "groups",
        "warning",
        edit(group=lambda t: f"{t.label}{int(t.name[-2:]) % 4}"),
        "each group holds one class only",
    ),
    "few groups": ("groups", "warning", edit(group=lambda t: f"car{int(t.name[-2:]) % 3}"), "3 groups in all"),
    "short": (
        "length",
        "error",
        edit(3, time=lambda t: t.time[:40], xyz=lambda t: t.xyz[:40]),
        r"1 of 36 recordings are shorter than a window of 50 samples \(take_03\)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_said_what_to_do(tmp_path, fault):
    name, severity, plant, message = FAULTS[fault]
    result = check(plant(clean()), tmp_path)
    assert (name, severity) in {(one.check, one.severity) for one in result.findings}
    assert result.is_usable == ("error" not in {one.severity for one in result.findings})
    texts = [one.message for one in result.findings if one.check == name]
    assert any(re.search(message, text) for text in texts), texts


def test_a_wrong_full_scale_is_found(tmp_path):
    channels = [{"name": axis, "unit": "g", "counts_per_unit": 32000, "full_scale": 1} for axis in AXES]
    assert "full scale" in found(check(clean(), tmp_path, channels=channels), "error")


def test_a_rate_that_linear_resampling_refuses_is_an_error(tmp_path):
    result = check(edit(time=lambda t: t.time / 2)(clean()), tmp_path, resample="linear")
    (one,) = [finding for finding in result.findings if finding.check == "rate"]
    assert one.severity == "error"
    assert 'would alias vibration there. Set resample = "lowpass"' in one.message


@pytest.mark.parametrize(
    ("companding", "step", "message"),
    [
        (4, "difference", None),
        (11, "difference", r"next to no effect\. Give a value near [78], or leave companding out"),
        (13, "difference", r"2\^13 = 8,192 counts, .* no effect, and differences below 4 counts are lost\. Give"),
        (13, "none", None),  # of values around 4,096 counts
    ],
)
def test_a_logarithm_far_above_the_data_is_a_warning(tmp_path, companding, step, message):
    takes = clean()
    if step == "none":
        takes = [dataclasses.replace(take, xyz=take.xyz + 1.0) for take in takes]
    table = write(takes, tmp_path, preprocessing={"step": step, "companding": companding})
    (tmp_path / "takes.toml").write_text(tomli_w.dumps(table))
    texts = [one.message for one in check_data(tmp_path / "takes.toml").found.findings if one.check == "companding"]
    assert len(texts) == (message is not None)
    assert all(re.search(message, text) for text in texts), texts


def test_what_was_asked_for_is_a_note(tmp_path):
    takes = edit(time=lambda t: t.time * 2)(clean())
    takes = edit(5, time=jump)(takes)
    result = check(takes, tmp_path, resample="linear", on_gap="split")
    assert found(result, "error", "warning") == set()
    assert found(result, "note") == {"rate", "gaps"}


def test_a_protocol_of_fixed_order_is_a_warning(tmp_path):
    takes = clean(12)
    rows = "take,car,t,ax,ay,az,label\n"
    for take in takes:
        for part, label in enumerate(LABELS):
            for k in range(150):
                x, y, z = take.xyz[part * 150 + k]
                rows += f"{take.name},{take.name},{(part * 150 + k) / RATE},{x:.5f},{y:.5f},{z:.5f},{label}\n"
    fields = write(takes, tmp_path)
    (tmp_path / "takes.csv").write_text(rows)
    result = audit(parse_source({**fields, "group_column": "take"}, where="test"), base=tmp_path)
    (one,) = [finding for finding in result.findings if finding.check == "giveaway"]
    assert one.severity == "warning"
    assert "the place in the recording alone tells the class" in one.message


def test_files_that_cannot_be_read_are_findings_and_the_others_are_looked_at(tmp_path):
    for index in range(4):
        rows = "".join(f"{k / RATE},{np.sin(k + index):.4f},{np.cos(k):.4f},1.0\n" for k in range(100))
        (tmp_path / f"walk_{index}.csv").write_text("t,ax,ay,az\n" + rows)
    (tmp_path / "walk_1.csv").write_text("t,ax,ay,az\n0,a,b,c\n")
    fields = write(clean(3), tmp_path / "..", path=".", label_from="file_name", on_constant_axis="allow")
    for column in ("recording_column", "group_column"):
        del fields[column]
    result = audit(parse_source(fields, where="test"), base=tmp_path)
    assert len(result.facts) == 3
    assert "column 'ax' holds 'a', not a number" in result.findings[0].message


def test_anchors_do_not_depend_on_where_samples_lie():
    rng = np.random.default_rng(0)
    counts = rng.integers(-100, 100, size=(500, 3)).astype(np.int16)
    whole, part = set(anchors_of(counts).tolist()), set(anchors_of(counts[101:400]).tolist())
    assert 20 < len(part) < 60
    assert part <= whole
    assert not set(anchors_of(counts[:, [1, 0, 2]]).tolist()) & whole
    assert len(anchors_of(np.zeros((500, 3), dtype=np.int16))) == 0
    assert len(anchors_of(counts[:5])) == 0


def test_a_feature_that_tells_the_group_only_is_no_giveaway():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(10)], 20)
    y = np.repeat(rng.permutation([0, 1] * 5), 20)
    by_group = np.repeat(rng.permutation(10), 20)[:, None].astype(float)
    reached = cross_validated_recall(by_group, y, groups)
    assert reached is not None
    assert reached < 0.8
    assert cross_validated_recall(y[:, None].astype(float), y, groups) == 1.0
    assert cross_validated_recall(by_group, y, np.array(["a"] * 200)) is None


def test_a_file_is_looked_at_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 20_000)
    read_whole: list[Path] = []
    whole = dataclasses.replace(csv_file.READER, read=lambda path, options: read_whole.append(path))
    monkeypatch.setattr(readers, "READERS", (whole,))
    result = check(clean(), tmp_path)
    assert (len(result.facts), result.findings, read_whole) == (36, (), [])


def test_recordings_whose_rows_lie_apart_are_looked_at_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", 20_000)
    fields = write(clean(), tmp_path)
    expected = audit(parse_source(fields, where="test"), base=tmp_path)
    header, *lines = (tmp_path / "takes.csv").read_text().splitlines()
    by_time = sorted(lines, key=lambda line: float(line.split(",")[2]))
    (tmp_path / "takes.csv").write_text("\n".join([header, *by_time]) + "\n")
    result = audit(parse_source(fields, where="test"), base=tmp_path)
    assert result.is_usable
    assert sum(one.samples for one in result.facts) == sum(one.samples for one in expected.facts)
    assert {one.name for one in result.facts} == {one.name for one in expected.facts}


@pytest.mark.parametrize("part_bytes", [1 << 20, 4_000])
@pytest.mark.parametrize("rows_apart", [200, 4])
def test_intervals_of_recordings_whose_rows_lie_apart(tmp_path, monkeypatch, part_bytes, rows_apart):
    """No part holds a whole recording, so an interval may have no sample in a part."""
    monkeypatch.setattr(text_rows, "BLOCK_CHARACTERS", part_bytes)
    rng = np.random.default_rng(0)
    lines = ["take,t,ax,ay,az"]
    for piece in range(4):
        for k in range(piece // 2 * rows_apart, (piece // 2 + 1) * rows_apart):
            x, y, z = rng.normal(size=3)
            lines.append(f"{'ab'[piece % 2]},{k / RATE},{x:.4f},{y:.4f},{z:.4f}")
    half, end = rows_apart / RATE, 2 * rows_apart / RATE
    (tmp_path / "takes.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "spans.csv").write_text(
        "recording,start,end,label\n" + "".join(f"{name},0,{half},rest\n{name},{half},{end},drive\n" for name in "ab")
    )
    fields = write(clean(3), tmp_path / "..", label_from="intervals", intervals="spans.csv")
    for column in ("label_column", "group_column", "split_column"):
        fields.pop(column, None)
    result = audit(parse_source(fields, where="test"), base=tmp_path)
    assert not [finding for finding in result.findings if finding.check in ("reading", "names")]
    assert {one.name: one.labels for one in result.facts} == {
        name: {"rest": rows_apart, "drive": rows_apart} for name in "ab"
    }


# The command's function


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "takes.toml"
    path.write_text(tomli_w.dumps(write(clean(), tmp_path)))
    return path


def test_the_summary_is_json_and_the_pictures_are_drawn(source_file, tmp_path):
    pytest.importorskip("matplotlib")
    for kind in ("png", "svg"):
        summary = check_data(source_file, plots=tmp_path / "plots", plot_format=kind)
        assert summary.usable
        assert json.loads(json.dumps(summary.to_dict()))["labels"]["rough"]["groups"] == 6
        assert summary.found.still_gravity_g == pytest.approx(1.0, abs=0.01)
        names = [file.name for file in summary.plots]
        assert names == [f"{name}.{kind}" for name in ("labels", "clock", "amplitudes", "gravity", "examples")]
        assert all(file.stat().st_size > 5000 for file in summary.plots)


def test_names_in_pictures_are_no_formulas(tmp_path):
    pytest.importorskip("matplotlib")
    takes = [dataclasses.replace(take, group=f"a${take.group}$", label=rf"$\foo {take.label}") for take in clean(6)]
    axes = [
        {"name": f"${axis}$", "column": axis, "unit": "g", "counts_per_unit": 4096, "full_scale": 8} for axis in AXES
    ]
    result = audit(parse_source(write(takes, tmp_path, channels=axes), where="test"), base=tmp_path)
    for kind in ("png", "svg"):
        files = {path.name: path for path in draw_plots(result, tmp_path / "plots", kind=kind)}
    labels, amplitudes = files["labels.svg"].read_text(), files["amplitudes.svg"].read_text()
    assert all(f">{text}</text>" in labels for text in ("a$car0$", r"$\foo parked"))
    assert ">$ax$ (+-8 g)</text>" in amplitudes
    assert "mathdefault" not in amplitudes


def test_without_matplotlib_it_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ToolError, match="data check --plots needs matplotlib, and it is not installed; pip install"):
        check_data(tmp_path / "gone.csv", plots=tmp_path / "plots")
    assert not (tmp_path / "plots").exists()


def test_pictures_leave_out_what_there_is_not(tmp_path):
    pytest.importorskip("matplotlib")
    fields = write(clean(6), tmp_path, channels=[{"name": "ax", "unit": "g", "counts_per_unit": 1000, "full_scale": 8}])
    result = audit(parse_source(fields, where="test"), base=tmp_path)
    assert "gravity.png" not in [path.name for path in draw_plots(result, tmp_path / "plots")]


def test_a_source_is_guessed_written_and_read_again(tmp_path):
    write(clean(), tmp_path)
    target = tmp_path / "guessed.toml"
    summary = check_data(tmp_path / "takes.csv", write=target)
    assert "'t' is the time in s: a step of" in " ".join(summary.assumptions)
    guessed = load_source(target)
    assert (guessed.sample_rate_hz, guessed.label_column) == (RATE, "label")
    assert [(c.name, c.unit) for c in guessed.channels] == [(axis, "g") for axis in AXES]
    assert check_data(target).found.recordings == summary.found.recordings == 36  # the column `take`
    with pytest.raises(ConfigError, match=r"guessed.toml exists; give another --write"):
        check_data(tmp_path / "takes.csv", write=target)
    with pytest.raises(ConfigError, match="is a data source already; leave --write out"):
        check_data(target, write=tmp_path / "other.toml")


def test_guesses_of_units_folders_and_splits(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("walk", "run"):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(3):
            rows = "".join(
                f"{20 * k},{x:.3f},{y:.3f},{9.8 + z:.3f},{50 * x:.2f},{50 * y:.2f},{50 * z:.2f}\n"
                for k, (x, y, z) in enumerate(rng.normal(size=(200, 3)))
            )
            (tmp_path / "set" / label / f"{number}.csv").write_text("timestamp,ax,ay,az,gx,gy,gz\n" + rows)
    guess = guess_source(tmp_path / "set")
    assert guess.source.label_from == "folder"
    assert (guess.source.time_unit, guess.source.sample_rate_hz) == ("ms", 50.0)
    assert [c.unit for c in guess.source.channels] == ["m/s^2"] * 3 + ["deg/s"] * 3
    (tmp_path / "parts").mkdir()
    for side in ("train", "test"):
        (tmp_path / "parts" / f"{side}.csv").write_text("t,ax,ay,az,label\n0,1,2,3,walk\n0.1,1,2,3,walk\n")
    assert guess_source(tmp_path / "parts").source.split_files == {"train": "train.csv", "test": "test.csv"}


def test_guesses_of_windows_and_acquisitions(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "w.npz", X=rng.normal(size=(4, 20, 3)), y=[0, 1, 0, 1], subject=[1, 1, 2, 2])
    source = guess_source(tmp_path / "w.npz").source
    assert (source.window_length, source.label_column, source.group_column) == (20, "y", "subject")
    sensors = [{"name": axis, "units": "m/s2"} for axis in AXES]
    payload = {"interval_ms": 16, "sensors": sensors, "values": rng.normal(size=(50, 3)).tolist()}
    (tmp_path / "walk.1.json").write_text(json.dumps({"payload": payload}))
    source = guess_source(tmp_path / "walk.1.json").source
    assert (source.sample_rate_hz, source.channels[0].unit) == (62.5, "m/s^2")


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ({}, "nowhere", r"nowhere does not exist; give a folder, a file of recordings or a data source"),
        ({"a.md": "x"}, ".", "no file that ends in"),
        ({"a.csv": "name,label\nx,y\n"}, "a.csv", "no column of numbers"),
        ({"a.csv": "t\n", "b.npz": ""}, ".", "files of several formats"),
        ({"b.npz": "x"}, "b.npz", "cannot be read as NPZ"),
    ],
)
def test_what_cannot_be_guessed_is_said(tmp_path, files, path, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        guess_source(tmp_path / path)


def test_options_that_do_not_fit_are_refused(source_file, tmp_path):
    with pytest.raises(ConfigError, match="plot format 'gif' is unknown"):
        check_data(source_file, plots=tmp_path, plot_format="gif")  # type: ignore[arg-type]


def test_data_for_another_model_are_found(source_file):
    source = load_source(source_file)
    fitting = audit(source, base=source_file.parent, model_contract=source.contract)
    assert found(fitting, "error") == set()
    other = SensorContract(50.0, (Channel("ax", "g", 4096.0, 8.0),), 50, 25)
    result = audit(source, base=source_file.parent, model_contract=other)
    (one,) = [finding for finding in result.findings if finding.check == "contract"]
    assert "sample_rate_hz: model 50, data 25" in one.message
