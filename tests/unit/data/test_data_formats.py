"""Formats: Edge Impulse, phone loggers, windows, intervals, folders; conversion of units and rates."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest

from edge_seq.data.recording import UNLABELLED
from edge_seq.support.errors import ConfigError, ContractError, DataError
from tests.unit.data.data_builders import rows_csv

AXES = ("ax", "ay")


def channels(**more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "unit": "g", "counts_per_unit": 100, "full_scale": 4, **more} for name in AXES]


def acquisition(count: int = 8, units: str = "m/s2", interval_ms: float = 100, **payload: Any) -> dict[str, Any]:
    """Make an acquisition file of Edge Impulse in which ax rises by 1 g / 100 per sample and ay falls."""
    return {
        "protected": {"ver": "v1", "alg": "HS256", "iat": 1564128599},
        "signature": "b0ee",
        "payload": {
            "device_name": "ac:87",
            "device_type": "BOARD",
            "interval_ms": interval_ms,
            "sensors": [{"name": "ax", "units": units}, {"name": "ay", "units": units}],
            "values": [[i * 0.0980665, -i * 0.0980665] for i in range(count)],
            **payload,
        },
    }


def json_file(**changes: Any) -> str:
    return json.dumps(acquisition(**changes))


# Edge Impulse


def test_an_acquisition_in_json_is_converted_by_the_units_it_says(read):
    dataset = read({"walk.3fa1.json": json_file()}, label_from="file_name")
    (one,) = dataset.recordings
    assert one.counts.tolist() == [[i, -i] for i in range(8)]
    assert dataset.labels == ("walk",)
    assert one.details == {"device_name": "ac:87", "device_type": "BOARD", "signature": "b0ee"}
    assert dataset.notes == (
        "ax, ay: m/s^2 converted to g (1 of 1 recording)",
        "signature of the file kept, not verified (1 of 1 recording)",
    )


def test_an_acquisition_in_cbor_reads_the_same(read):
    cbor2 = pytest.importorskip("cbor2")
    files = {"walk.1.json": json_file(), "walk.2.cbor": cbor2.dumps(acquisition())}
    first, second = read(files, label_from="file_name", group_column="device_name").recordings
    assert (first.counts == second.counts).all()
    assert (first.group, second.group) == ("ac:87", "ac:87")


@pytest.mark.parametrize(("tag", "kind"), [(85, "<f4"), (81, ">f4"), (86, "<f8")])
def test_cbor_may_hold_values_as_a_typed_array(read, tag, kind):
    cbor2 = pytest.importorskip("cbor2")
    values = np.array(acquisition()["payload"]["values"])
    whole = cbor2.dumps(acquisition(values=cbor2.CBORTag(tag, values.astype(kind).tobytes())))
    rows = cbor2.dumps(acquisition(values=[cbor2.CBORTag(tag, row.astype(kind).tobytes()) for row in values]))
    for one in read({"walk.1.cbor": whole, "walk.2.cbor": rows}, label_from="file_name").recordings:
        assert one.counts.tolist() == [[i, -i] for i in range(8)]


def test_one_sensor_may_have_a_flat_list(read):
    content = json_file(sensors=[{"name": "ax", "units": "g"}], values=[i / 100 for i in range(8)])
    (one,) = read({"walk.1.json": content}, label_from="file_name", channels=channels()[:1]).recordings
    assert one.counts[:, 0].tolist() == list(range(8))


@pytest.mark.parametrize(
    ("content", "changes", "error", "message"),
    [
        ("{", {}, DataError, r"walk.1.json: cannot be read as JSON"),
        ("[1]", {}, DataError, "no payload; expected an acquisition file of Edge Impulse"),
        (json_file(sensors=[]), {}, DataError, r"sensors is \[\]; expected a list of name and units"),
        (json_file(values=[[1, 2], [3]]), {}, DataError, "values are not a table of numbers"),
        (json_file(values=[[1, 2, 3]] * 8), {}, DataError, r"values have the shape \[8, 3\]; expected a row of 2"),
        (json_file(values=[]), {}, DataError, r"values have the shape \[0\]"),
        (json_file(interval_ms=0), {}, DataError, "interval_ms is 0; expected the positive time"),
        (json_file(interval_ms=True), {}, DataError, "interval_ms is True"),
        (json_file(interval_ms=20), {}, ContractError, r"sampled at 50 Hz .* says 10 Hz .* resample = .lowpass"),
        (json_file(units="mV"), {}, ContractError, r"'ax' \(as its file says\): unit 'mV' is unknown; give one of"),
        (json_file(units="deg/s"), {}, ContractError, r"in deg/s, the channel in g, with no factor between"),
        (
            json_file(),
            {"channels": channels(column_unit="g")},
            ContractError,
            "the file says 'm/s2', column_unit .* 'g'",
        ),
        (json_file(), {"label_from": "column"}, DataError, r"holds no column \['label'\] of text"),
        (json_file(), {"time_column": "t"}, ConfigError, "time_column does not apply to the format edge_impulse_json"),
        (json_file(sensors=[{"name": "x"}, {"name": "ay"}]), {}, ContractError, r"columns \['ax'\] are missing"),
    ],
)
def test_what_is_wrong_with_an_acquisition_is_named(read, content, changes, error, message):
    with pytest.raises(error, match=message):
        read({"walk.1.json": content}, **{"label_from": "file_name", **changes})


def test_what_is_wrong_with_cbor_is_named(read):
    cbor2 = pytest.importorskip("cbor2")
    cut = cbor2.dumps(acquisition())[:-3]
    with pytest.raises(DataError, match=r"walk.1.cbor: cannot be read as CBOR"):
        read({"walk.1.cbor": cut}, label_from="file_name")
    strange = cbor2.dumps(acquisition(values=cbor2.CBORTag(99, b"1234")))
    with pytest.raises(DataError, match="values have the CBOR tag 99"):
        read({"walk.1.cbor": strange}, label_from="file_name")
    short = cbor2.dumps(acquisition(values=cbor2.CBORTag(85, struct.pack("<f", 1.0)[:3])))
    with pytest.raises(DataError, match="values are cut off"):
        read({"walk.1.cbor": short}, label_from="file_name")


def test_a_unit_that_the_file_does_not_know_may_be_given(read):
    content = json_file(units="N/A")
    (one,) = read({"walk.1.json": content}, label_from="file_name", channels=channels(column_unit="m/s2")).recordings
    assert one.counts[3].tolist() == [3, -3]


def edge_impulse_csv(step_ms: int = 100, first: str = "timestamp") -> str:
    return f"{first},ax,ay\n" + "".join(f"{i * step_ms},{i / 100},{-i / 100}\n" for i in range(8))


def test_edge_impulse_csv_has_its_time_first_in_milliseconds(read):
    source = {"format": "edge_impulse_csv", "label_from": "file_name"}
    (one,) = read({"walk.1.csv": edge_impulse_csv()}, **source).recordings
    assert one.counts.tolist() == [[i, -i] for i in range(8)]
    with pytest.raises(ContractError, match="sampled at 50 Hz"):
        read({"walk.1.csv": edge_impulse_csv(step_ms=20)}, **source)
    with pytest.raises(DataError, match=r"the first column is 'time'; expected 'timestamp'"):
        read({"walk.1.csv": edge_impulse_csv(first="time")}, **source)
    with pytest.raises(ConfigError, match="index_column does not apply to the format edge_impulse_csv"):
        read({"walk.1.csv": edge_impulse_csv()}, **source, index_column="i")


# Phone loggers


@pytest.mark.parametrize(
    ("header", "ticks"),
    [
        ("time", [f"{1_700_000_000_000_000_000 + i * 100_000_000}" for i in range(8)]),
        ("seconds_elapsed", [f"{i / 10}" for i in range(8)]),
        ("Time (s)", [f"{i / 10}" for i in range(8)]),
        ("timestamp (ms)", [f"{i * 100}" for i in range(8)]),
        ("elapsed_ns", [f"{i * 100_000_000}" for i in range(8)]),
        ("t", [f"{1_700_000_000 + i / 10:.3f}" for i in range(8)]),
    ],
)
def test_the_time_of_a_phone_is_found_by_name_and_size(read, header, ticks):
    rows = "".join(f"{tick},{i / 100},{-i / 100}\n" for i, tick in enumerate(ticks))
    (one,) = read({"walk_1.csv": f"{header},ax,ay\n{rows}"}, format="phone_csv", label_from="file_name").recordings
    assert one.counts.tolist() == [[i, -i] for i in range(8)]


def test_the_unit_in_a_header_is_the_unit_of_its_column(read):
    text = "Time (s),Acceleration x (m/s^2),Acceleration y (m/s^2)\n"
    text += "".join(f"{i / 10},{i * 0.0980665},{-i * 0.0980665}\n" for i in range(8))
    named = [
        {**one, "column": f"Acceleration {axis} (m/s^2)"} for one, axis in zip(channels(), ("x", "y"), strict=True)
    ]
    (one,) = read({"walk.csv": text}, format="phone_csv", label_from="file_name", channels=named).recordings
    assert one.counts.tolist() == [[i, -i] for i in range(8)]


def test_a_time_that_is_neither_and_none_at_all_are_refused(read):
    source = {"format": "phone_csv", "label_from": "file_name"}
    milliseconds = "time,ax,ay\n" + "".join(f"{i * 100},{i / 100},{-i / 100}\n" for i in range(8))
    with pytest.raises(DataError, match="'time' goes up by 100 per sample, which is neither seconds nor nanoseconds"):
        read({"walk.csv": milliseconds}, **source)
    with pytest.raises(DataError, match=r"no column of times; looked for .* in \['when', 'ax', 'ay'\]"):
        read({"walk.csv": milliseconds.replace("time", "when")}, **source)


# Windows


def npz_file(**arrays: Any) -> bytes:
    content = io.BytesIO()
    x = np.arange(6 * 4 * 2).reshape(6, 4, 2) / 100
    np.savez(content, **{"X": x, "y": np.array([0, 1] * 3), "who": np.array(["a", "a", "b", "b", "c", "c"]), **arrays})
    return content.getvalue()


NPZ = {"label_column": "y", "label_names": {"0": "walk", "1": "run"}}


def test_windows_are_recordings_of_their_own(read):
    dataset = read({"w.npz": npz_file()}, **NPZ, group_column="who")
    assert [(r.name, r.group) for r in dataset.recordings[:3]] == [("w#0", "a"), ("w#1", "a"), ("w#2", "b")]
    assert dataset.recordings[1].counts.tolist() == [[8, 9], [10, 11], [12, 13], [14, 15]]
    assert [int(r.labels[0]) for r in dataset.recordings] == [1, 0] * 3
    assert dataset.labels == ("run", "walk")


def test_windows_without_groups_are_one_group(read):
    assert {r.group for r in read({"w.npz": npz_file()}, **NPZ).recordings} == {"w"}


def test_columns_of_windows_are_named_in_the_order_of_the_last_axis(read):
    content = npz_file(X=np.arange(6 * 4 * 3).reshape(6, 4, 3) / 100)
    names = {"column_names": ["ay", "temperature", "ax"]}
    assert read({"w.npz": content}, **NPZ, **names).recordings[0].counts[0].tolist() == [2, 0]
    with pytest.raises(ContractError, match=r"X has 3 columns, 2 are named .*name all of them with column_names"):
        read({"w.npz": content}, **NPZ)


@pytest.mark.parametrize(
    ("arrays", "changes", "error", "message"),
    [
        ({"y": np.array([None] * 6)}, {}, DataError, r"holds Python objects \(pickle\), which run code"),
        ({}, {"windows_array": "x"}, ContractError, r"arrays \['x'\] are missing; the file has \['X', 'y', 'who'\]"),
        ({"X": np.zeros(6)}, {}, DataError, r"X is float64 \[6\]; expected numbers \[windows, samples, chann"),
        ({"y": np.zeros(5, dtype=int)}, {}, DataError, r"y is int64 \[5\]; expected one whole number or text .* of 6"),
        ({"y": np.full(6, 0.5)}, {}, DataError, r"y is float64 \[6\]"),
        ({}, {"recording_column": "who"}, ConfigError, "recording_column does not apply to the format npz"),
    ],
)
def test_what_is_wrong_with_windows_is_named(read, arrays, changes, error, message):
    with pytest.raises(error, match=message):
        read({"w.npz": npz_file(**arrays)}, **NPZ, **changes)


def test_a_file_that_is_no_npz_is_named(read):
    with pytest.raises(DataError, match=r"w.npz: cannot be read as NPZ"):
        read({"w.npz": npz_file()[:100]}, **NPZ)


# Labels from folders and intervals


def test_a_folder_for_each_label_and_in_it_one_for_each_group(read):
    plain = rows_csv("t,ax,ay")
    files = {"walk/1.csv": plain, "walk/ann/2.csv": plain, "run/ann/2.csv": plain}
    dataset = read(files, label_from="folder")
    found = [(r.name, r.group, dataset.labels[r.labels[0]]) for r in dataset.recordings]
    assert found == [("run/ann/2", "ann", "run"), ("walk/1", "walk/1", "walk"), ("walk/ann/2", "ann", "walk")]
    with pytest.raises(DataError, match=r"file 1: lies in no folder below path, but label_from = .folder."):
        read({"1.csv": plain}, label_from="folder")


LONG = rows_csv("t,ax,ay", count=20)  # 2 s at 10 Hz
INTERVALS = {"label_from": "intervals", "intervals": "labels.csv", "path": "long.csv", "time_column": "t"}


def labels_of(dataset: Any, recording: int = 0) -> list[str]:
    return [dataset.labels[k] if k != UNLABELLED else "-" for k in dataset.recordings[recording].labels]


def test_a_long_recording_is_labelled_by_intervals(read):
    table = "start,end,label\n0.2,0.5,walk\n0.5,1.0,run\n"
    dataset = read({"long.csv": LONG, "labels.csv": table}, **INTERVALS)
    assert labels_of(dataset) == ["-"] * 2 + ["walk"] * 3 + ["run"] * 5 + ["-"] * 10


def test_intervals_in_samples_and_from_the_start(read):
    late = LONG.replace("\n0.", "\n100.").replace("\n1.", "\n101.")
    expected = ["-"] * 5 + ["walk"] * 5 + ["-"] * 10
    for table, how in (
        ("start,end,label\n5,10,walk\n", {"interval_unit": "samples"}),
        ("start,end,label\n500,1000,walk\n", {"interval_unit": "ms", "interval_origin": "start"}),
        ("start,end,label\n100.5,101,walk\n", {}),
    ):
        assert labels_of(read({"long.csv": late, "labels.csv": table}, **INTERVALS, **how)) == expected


def test_intervals_of_several_recordings_name_them(read):
    table = "recording,start,end,label\nb,0,1,walk\na,1,2,run\n"
    files = {"set/a.csv": LONG, "set/b.csv": LONG, "set/labels.csv": table}
    dataset = read(files, **{**INTERVALS, "path": "set"})
    assert labels_of(dataset, 0) == ["-"] * 10 + ["run"] * 10
    assert labels_of(dataset, 1) == ["walk"] * 10 + ["-"] * 10


def studio(regions: list[dict[str, Any]], **task: Any) -> list[dict[str, Any]]:
    result = [{"value": region, "type": "timeserieslabels"} for region in regions]
    return [{"id": 7, "data": {"csv": "/up/1/1a2b3c4d-long.csv"}, "annotations": [{"result": result}], **task}]


WALK = {"start": 0, "end": 1, "instant": False, "timeserieslabels": ["walk"]}


@pytest.mark.parametrize(
    "tasks",
    [
        studio([WALK, {"choices": ["good"]}]),
        studio([WALK], data={"csv_url": "s3://x/long.csv"}),
        studio([], annotations=[{"was_cancelled": True, "result": []}, {"result": [{"value": WALK}]}]),
        [{"id": 7, "csv": "/up/1/1a2b3c4d-long.csv", "label": [WALK]}],
    ],
)
def test_label_studio_is_read_from_its_json_and_json_min(read, tasks):
    files = {"long.csv": LONG, "labels.json": json.dumps(tasks)}
    dataset = read(files, **{**INTERVALS, "intervals": "labels.json"})
    assert labels_of(dataset) == ["walk"] * 10 + ["-"] * 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.csv", "start,end\n0,1\n", r"columns \['start', 'end'\]; expected start, end, label"),
        (
            "labels.csv",
            "start,end,label\n0,1,walk, fast\n",
            r"line 2: \[' fast'\] are more cells than the header names",
        ),
        ("labels.csv", "start,end,label\n", "no interval; expected start, end and label"),
        ("labels.csv", "start,end,label\n0,x,walk\n", r"line 2: start '0' and end 'x'; expected numbers"),
        ("labels.csv", "start,end,label\n1,1,walk\n", "the interval 1 to 1 does not end after it starts"),
        ("labels.csv", "start,end,label\n0,1,\n", "the interval 0 to 1 has no label"),
        ("labels.csv", "start,end,label\n5,9,walk\n", "holds no sample of recording long, which lasts from 0 to 1.9"),
        (
            "labels.csv",
            "start,end,label\n0,1,walk\n0.5,1,run\n",
            r"\(run\) of recording long overlaps with one of walk",
        ),
        ("labels.csv", "recording,start,end,label\nlang,0,1,walk\n", r"is of 'lang'; expected one of \['long'\]"),
        ("labels.json", "{", "cannot be read as JSON"),
        ("labels.json", "{}", "expected a list of tasks, as Label Studio exports it"),
        ("labels.json", json.dumps(studio([{**WALK, "timeserieslabels": ["a", "b"]}])), r"a region has the labels \["),
        (
            "labels.json",
            json.dumps(studio([], annotations=[{"result": []}] * 2)),
            "task 7: 2 annotations, and it is not",
        ),
        ("labels.json", json.dumps(studio([{**WALK, "start": "2024-01-01"}])), "Label Studio writes dates if timeF"),
    ],
)
def test_what_is_wrong_with_intervals_is_named(read, name, content, message):
    with pytest.raises(DataError, match=message):
        read({"long.csv": LONG, name: content}, **{**INTERVALS, "intervals": name})


def test_intervals_that_are_missing_or_of_nobody_are_named(read):
    with pytest.raises(DataError, match=r"intervals: file .*labels.csv does not exist"):
        read({"long.csv": LONG}, **INTERVALS)
    files = {"set/a.csv": LONG, "set/b.csv": LONG, "set/labels.csv": "start,end,label\n0,1,walk\n"}
    with pytest.raises(DataError, match="names no recording, and there are several"):
        read(files, **{**INTERVALS, "path": "set"})


# Units and rates


@pytest.mark.parametrize(
    ("more", "factor"),
    [
        ({"column_unit": "mg"}, 1000.0),
        ({"column_unit": "m/s2"}, 9.80665),
        ({"column_unit": "counts", "column_full_scale": 2.0}, 32768 / 2),
        ({"column_unit": "LSB", "column_full_scale": 2.0, "column_bits": 12}, 2048 / 2),
        ({}, 1.0),
    ],
)
def test_a_column_in_another_unit_is_converted_by_name(read, more, factor):
    text = "ax,ay,label\n" + "".join(f"{i * factor / 100},{-i * factor / 100},walk\n" for i in range(8))
    dataset = read({"walk.csv": text}, channels=channels(**more))
    assert dataset.recordings[0].counts.tolist() == [[i, -i] for i in range(8)]
    assert bool(dataset.notes) == bool(more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"column_unit": "furlong"}, "column_unit 'furlong' is unknown; give one of"),
        ({"column_unit": "counts"}, "column_full_scale go together"),
        ({"column_full_scale": 2}, "column_full_scale go together"),
    ],
)
def test_units_that_cannot_be_right_are_refused(read, more, message):
    with pytest.raises(ValueError, match=message):
        read({}, channels=channels(**more))


def test_counts_without_a_worth_and_a_worth_without_counts_are_refused(read):
    counts = [{**one, "unit": "counts", "counts_per_unit": 1, "column_unit": "g"} for one in channels()]
    with pytest.raises(ContractError, match=r"in g, the channel in counts.*Give the channel a physical unit"):
        read({"a.csv": rows_csv("ax,ay,label")}, channels=counts)
    with pytest.raises(ContractError, match=r"in counts, the channel in g.*Give column_full_scale"):
        read({"a.1.json": json_file(units="counts")}, path="a.1.json", label_from="file_name")


def sine(rate_hz: float, *, seconds: float = 20.0, hz: float = 0.5) -> str:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    rows = (f"{t:.6f},{np.sin(2 * np.pi * hz * t):.6f},{t / 100:.6f},{'run' if t >= 10 else 'walk'}\n" for t in times)
    return "t,ax,ay,label\n" + "".join(rows)


@pytest.mark.parametrize(("rate", "method"), [(50.0, "lowpass"), (8.0, "lowpass"), (8.0, "linear"), (12.5, "linear")])
def test_another_rate_is_resampled_only_when_asked_and_is_on_record(read, rate, method):
    files = {"a.csv": sine(rate)}
    with pytest.raises(ContractError, match=rf"sampled at {rate:g} Hz .* ask for resampling .*resample = "):
        read(files, time_column="t")
    dataset = read(files, time_column="t", resample=method)
    (one,) = dataset.recordings
    times = np.arange(len(one.counts)) / 10
    assert np.abs(one.counts[10:-10, 0] - 100 * np.sin(np.pi * times[10:-10])).max() <= 4
    assert (one.labels == (times < 10 - 1e-9)).all()
    assert dataset.notes == (f"resampled from {rate:.3g} Hz to 10 Hz, method {method} (1 of 1 recording)",)


def test_the_lowpass_removes_what_would_fold_and_linear_refuses(read):
    fast = sine(50.0, hz=9.0)  # at 10 Hz it would look like 1 Hz
    (one,) = read({"a.csv": fast}, time_column="t", resample="lowpass").recordings
    assert np.abs(one.counts[20:-20, 0]).max() <= 1
    with pytest.raises(ContractError, match=r'= "linear" from 50 Hz to 10 Hz would alias vibration above 5 Hz'):
        read({"a.csv": fast}, time_column="t", resample="linear")


def test_recordings_without_times_have_the_rate_that_is_said(read):
    text = "\n".join(line.split(",", 1)[1] for line in sine(50.0).splitlines())
    (one,) = read({"a.csv": text}, recorded_rate_hz=50.0, resample="lowpass").recordings
    assert len(one.counts) == 200
    with pytest.raises(ContractError, match="sampled at 50 Hz"):
        read({"a.csv": text}, recorded_rate_hz=50.0)


def test_resampling_does_not_reach_over_a_gap(read):
    lines = sine(50.0).splitlines()
    text = "\n".join(lines[:300] + lines[500:])
    with pytest.raises(ContractError, match=r"1 gap longer than 0\.2 s"):
        read({"a.csv": text}, time_column="t", resample="lowpass")
    parts = read({"a.csv": text}, time_column="t", resample="lowpass", on_gap="split").recordings
    assert [(one.name, len(one.counts)) for one in parts] == [("a#1", 60), ("a#2", 101)]
