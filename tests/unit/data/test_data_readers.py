"""Whole data sets from files: usual layouts, and a clear error for each fault."""

from __future__ import annotations

import gzip
import sys
from typing import Any

import numpy as np
import pytest

from edge_seq.data.readers import READERS, load_dataset
from edge_seq.data.recording import UNLABELLED
from edge_seq.support.errors import ContractError, DataError, ToolError
from tests.unit.data.data_builders import rows_csv, source_fields

ONE_WALK = rows_csv("t,ax,ay,label")


def with_row(text: str, row: int, **values: str) -> str:
    """Replace values in data row ``row`` (from 0) of a CSV text."""
    lines = text.splitlines()
    cells = dict(zip(lines[0].split(","), lines[row + 1].split(","), strict=True))
    lines[row + 1] = ",".join({**cells, **values}.values())
    return "\n".join(lines) + "\n"


# Usual layouts


def test_one_csv_file_is_one_recording_in_counts(read):
    dataset = read({"walk.csv": ONE_WALK}, path="walk.csv", time_column="t")
    (walk,) = dataset.recordings
    assert (walk.name, walk.group, walk.split) == ("walk", "walk", None)
    assert dataset.labels == ("walk",)
    assert walk.counts.dtype == np.int16
    assert walk.counts.tolist() == [[10 * i, -5 * i] for i in range(8)]
    assert walk.labels.tolist() == [0] * 8


def test_counts_saturate_at_full_scale(read):
    text = with_row(ONE_WALK, 2, ax="7.5", ay="-4.2")
    (walk,) = read({"walk.csv": text}, path="walk.csv", max_saturated_share=0.2).recordings
    assert walk.counts[2].tolist() == [400, -400]


def test_gzipped_csv_reads_the_same(read):
    plain = read({"walk.csv": ONE_WALK}, path="walk.csv")
    zipped = read({"walk.csv.gz": gzip.compress(ONE_WALK.encode())}, path="walk.csv.gz")
    assert zipped.recordings[0].name == plain.recordings[0].name
    assert (zipped.recordings[0].counts == plain.recordings[0].counts).all()


def test_columns_are_found_by_name_whatever_their_order(read):
    shuffled = rows_csv("ay,label,t,ax")
    files = {"a.csv": ONE_WALK, "b.csv": shuffled}
    first, second = read(files, time_column="t").recordings
    assert (first.counts == second.counts).all()


def test_channels_are_in_the_order_of_the_contract(read):
    channels = [
        {"name": name, "column": column, "unit": "g", "counts_per_unit": 100, "full_scale": 4}
        for name, column in (("vertical", "ay"), ("forward", "ax"))
    ]
    dataset = read({"walk.csv": ONE_WALK}, channels=channels)
    assert dataset.contract.channel_names == ("vertical", "forward")
    assert dataset.recordings[0].counts[3].tolist() == [-15, 30]


def test_a_recording_column_and_a_group_column(read):
    text = ONE_WALK.replace("label", "label,rec,person").replace("walk", "walk,w1,ann")
    text += rows_csv("t,ax,ay,label,rec,person", rec="w2", person="bob", label="run").split("\n", 1)[1]
    dataset = read({"all.csv": text}, recording_column="rec", group_column="person", time_column="t")
    assert [(r.name, r.group) for r in dataset.recordings] == [("w1", "ann"), ("w2", "bob")]
    assert dataset.labels == ("run", "walk")
    assert [r.labels[0] for r in dataset.recordings] == [1, 0]


def test_mixed_rows_of_two_recordings_are_taken_apart_by_time_and_refused_without(read):
    first = rows_csv("t,ax,ay,label,rec", rec="b").splitlines()
    second = rows_csv("t,ax,ay,label,rec", rec="a").splitlines()[1:]
    mixed = "\n".join([first[0], *(line for pair in zip(first[1:], second, strict=True) for line in pair)])
    dataset = read({"all.csv": mixed}, recording_column="rec", time_column="t")
    assert [(r.name, len(r.counts)) for r in dataset.recordings] == [("b", 8), ("a", 8)]
    with pytest.raises(DataError, match="recording b: its rows are mixed with those of others"):
        read({"all.csv": mixed}, recording_column="rec")


def test_one_file_per_recording_with_the_label_in_its_name(read):
    plain = rows_csv("t,ax,ay")
    files = {"normal_road_01.csv": plain, "normal_road_02.csv": plain, "skid-7.csv": plain, "notes.txt": "no data"}
    dataset = read(files, label_from="file_name")
    assert dataset.labels == ("normal_road", "skid")
    assert [r.name for r in dataset.recordings] == ["normal_road_01", "normal_road_02", "skid-7"]
    assert [r.labels[0] for r in dataset.recordings] == [0, 0, 1]
    assert [r.group for r in dataset.recordings] == ["normal_road_01", "normal_road_02", "skid-7"]


def test_a_pattern_takes_label_and_group_from_folders_and_names(read):
    plain = rows_csv("ax,ay")
    files = {"walk/ann_1.csv": plain, "walk/bob_1.csv": plain, "run/ann_1.csv": plain, ".cache/x.csv": plain}
    pattern = r"^(?P<label>\w+)/(?P<group>[a-z]+)_"
    dataset = read(files, label_from="file_name", file_pattern=pattern)
    found = [(r.name, r.group, dataset.labels[r.labels[0]]) for r in dataset.recordings]
    assert found == [("run/ann_1", "ann", "run"), ("walk/ann_1", "ann", "walk"), ("walk/bob_1", "bob", "walk")]


def test_a_manifest_tells_label_group_and_split(read):
    plain = rows_csv("ax,ay")
    manifest = "file,label,group,split\ndata/1.csv,walk,ann,train\ndata/2.csv,run,bob,test\n"
    files = {"list.csv": manifest, "data/1.csv": plain, "data/2.csv": plain, "data/3.csv": "not listed, not read"}
    dataset = read(files, label_from="manifest", manifest="list.csv")
    found = [(r.name, r.group, r.split, dataset.labels[r.labels[0]]) for r in dataset.recordings]
    assert found == [("data/1", "ann", "train", "walk"), ("data/2", "bob", "test", "run")]


def test_a_manifest_may_tell_the_label_only(read):
    files = {"list.csv": "file,label\n1.csv,walk\n", "1.csv": rows_csv("ax,ay")}
    (only,) = read(files, label_from="manifest", manifest="list.csv").recordings
    assert (only.group, only.split) == ("1", None)


def test_split_files_and_a_split_column(read):
    other = rows_csv("t,ax,ay,label")
    by_file = read({"a.csv": ONE_WALK, "b.csv": other}, split_files={"train": "a.csv", "test": "b.csv"})
    assert [(r.name, r.split) for r in by_file.recordings] == [("a", "train"), ("b", "test")]
    by_column = read({"a.csv": rows_csv("t,ax,ay,label,side", side="validation")}, path="a.csv", split_column="side")
    assert by_column.recordings[0].split == "validation"


def test_codes_become_names_and_listed_values_and_empty_ones_unlabelled(read):
    text = rows_csv("ax,ay,label", label="1")
    for row, value in ((0, "0"), (1, ""), (2, "7"), (5, "2")):
        text = with_row(text, row, label=value)
    dataset = read(
        {"a.csv": text}, labels=["walk", "run"], label_names={"1": "walk", "2": "run"}, unlabelled_values=[0, "7"]
    )
    assert dataset.labels == ("walk", "run")
    none = UNLABELLED
    assert dataset.recordings[0].labels.tolist() == [none, none, none, 0, 0, 1, 0, 0]


def test_spaces_around_names_do_not_make_new_classes(read):
    text = with_row(ONE_WALK, 3, label=" walk")
    assert read({"a.csv": text}).labels == ("walk",)


def test_a_headerless_semicolon_file(read):
    text = ONE_WALK.split("\n", 1)[1].replace(",", ";")
    dataset = read({"a.csv": text}, column_names=["t", "ax", "ay", "label"], delimiter=";", time_column="t")
    assert dataset.recordings[0].counts[3].tolist() == [30, -15]


def test_a_column_may_be_named_by_a_number(read):
    channels = [{"name": "ax", "column": "1", "unit": "g", "counts_per_unit": 100, "full_scale": 4}]
    dataset = read({"a.csv": rows_csv("ax,label").replace("ax", "1")}, channels=channels)
    assert dataset.recordings[0].counts[:3].tolist() == [[0], [10], [20]]


def test_a_byte_order_mark_and_blank_lines_at_the_end_do_not_matter(read):
    dataset = read({"a.csv": "\ufeff" + rows_csv("ax,ay,label") + "\n\n"})
    assert len(dataset.recordings[0].counts) == 8


def test_an_index_counts_samples(read):
    text = rows_csv("i,ax,ay,label")
    assert len(read({"a.csv": text}, index_column="i").recordings) == 1
    lost = "\n".join(line for line in text.splitlines() if not line.startswith(("3,", "4,")))
    with pytest.raises(ContractError, match=r"1 gap longer than 0.2 s at 10 Hz \(first at t=0.2 s, longest 0.3 s\)"):
        read({"a.csv": lost}, index_column="i")


def test_time_in_milliseconds(read):
    text = "\n".join(["t,ax,ay,label"] + [f"{100 * i},{i / 10},{i / 5},walk" for i in range(8)])
    assert len(read({"a.csv": text}, time_column="t", time_unit="ms").recordings) == 1
    with pytest.raises(ContractError, match=r"sampled at 0.01 Hz .* or time_unit"):
        read({"a.csv": text}, time_column="t")


def test_a_recording_may_be_cut_at_its_gaps_and_short_pieces_skipped(read, caplog):
    lines = with_row(rows_csv("t,ax,ay,label", count=20), 14, label="run").splitlines()
    text = "\n".join(line for line in lines if not line.startswith(("0.5,", "0.6,", "0.9,", "1.0,", "1.1,")))
    dataset = read({"a.csv": text}, time_column="t", on_gap="split", on_short="skip")
    assert [(r.name, len(r.counts)) for r in dataset.recordings] == [("a#1", 5), ("a#3", 8)]
    assert dataset.recordings[1].counts[0].tolist() == [120, -60]
    assert dataset.labels == ("run", "walk")
    assert [r.labels.tolist() for r in dataset.recordings] == [[1] * 5, [1, 1, 0, 1, 1, 1, 1, 1]]
    assert "left out 1 recording shorter than a window" in caplog.text
    assert "(a#2: 2)" in caplog.text
    with pytest.raises(ContractError, match="recording a#2: 2 samples"):
        read({"a.csv": text}, time_column="t", on_gap="split")


def parquet(columns: dict[str, Any]) -> bytes:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


AXES = {"ax": np.arange(8, dtype=np.float32) / 10, "ay": np.arange(8, dtype=np.int32) // 3}


def test_parquet_reads_with_integer_labels_and_groups(read):
    content = parquet({**AXES, "label": np.array([3] * 4 + [4] * 4, dtype=np.uint8), "who": [7] * 8})
    dataset = read({"a.parquet": content}, group_column="who", label_names={"3": "walk", "4": "run"})
    (only,) = dataset.recordings
    assert only.group == "7"
    assert dataset.labels == ("run", "walk")
    assert only.labels.tolist() == [1] * 4 + [0] * 4
    assert only.counts[5].tolist() == [50, 100]


def test_a_null_label_is_unlabelled(read):
    dataset = read({"a.parquet": parquet({**AXES, "label": ["walk", None] * 4})})
    assert dataset.labels == ("walk",)
    assert dataset.recordings[0].labels.tolist() == [0, UNLABELLED] * 4


def test_parquet_timestamps_are_a_time(read):
    pa = pytest.importorskip("pyarrow")
    times = pa.array(np.arange(8) * 100 + 10**12, type=pa.timestamp("ms"))
    content = parquet({**AXES, "label": ["walk"] * 8, "t": times})
    assert len(read({"a.parquet": content}, time_column="t").recordings) == 1
    with pytest.raises(ContractError, match=r"sampled at 10 Hz .* says 20 Hz"):
        read({"a.parquet": content}, time_column="t", sample_rate_hz=20)


def test_a_folder_may_mix_formats_and_format_may_choose_one(read):
    files = {"a.parquet": parquet({**AXES, "label": ["walk"] * 8}), "b.csv": ONE_WALK}
    assert [r.name for r in read(files).recordings] == ["a", "b"]
    assert [r.name for r in read(files, format="csv").recordings] == ["b"]


def test_a_named_format_reads_a_file_of_any_name(read):
    dataset = read({"walk.txt": ONE_WALK}, path="walk.txt", format="csv")
    assert dataset.recordings[0].name == "walk"


def test_reader_names_are_the_formats_of_a_data_source():
    from typing import get_args

    from edge_seq.data.source import DataSource

    formats = get_args(DataSource.model_fields["format"].annotation)
    assert tuple(reader.name for reader in READERS) == tuple(f for f in formats if f != "auto")


def test_load_dataset_goes_by_the_folder_of_the_toml_file(tmp_path, monkeypatch):
    import tomli_w

    (tmp_path / "sets").mkdir()
    (tmp_path / "walk.csv").write_text(ONE_WALK)
    toml = tmp_path / "sets" / "walks.toml"
    toml.write_text(tomli_w.dumps(source_fields(path="../walk.csv")))
    monkeypatch.chdir("/")
    assert load_dataset(toml).name == "walks"


# Faults


@pytest.mark.parametrize(
    ("text", "changes", "error", "message"),
    [
        ("", {}, DataError, "a.csv: the file is empty"),
        ("\n\n", {}, DataError, "a.csv: the file is empty"),
        ("ax,ay,label\n", {}, DataError, r"a.csv: there is a header \(.*\) but no row"),
        (rows_csv("ax,label"), {}, ContractError, r"columns \['ay'\] are missing; the file has \['ax', 'label'\]"),
        (rows_csv("AX,ay,label"), {}, ContractError, "'ax' may be 'AX'"),
        (rows_csv("ax,ay,ay,label"), {}, DataError, r"column names \['ay'\] occur more than once"),
        (
            ONE_WALK.split("\n", 1)[1].replace("walk", "1"),
            {},
            DataError,
            "holds only numbers and no line before .* no header",
        ),
        (with_row(ONE_WALK, 4, ay="broken"), {}, DataError, r"1 of 8 rows .*line 6: column 'ay' holds 'broken'"),
        (with_row(ONE_WALK, 4, ay=""), {}, DataError, r"recording a: 1 value is missing .*row 4, channel ay, nan"),
        (with_row(ONE_WALK, 4, ay="  "), {}, DataError, r"recording a: 1 value is missing .*row 4, channel ay, nan"),
        (with_row(ONE_WALK, 4, ay='" "'), {}, DataError, r"recording a: 1 value is missing .*row 4, channel ay, nan"),
        (with_row(ONE_WALK, 4, ay=" NA "), {}, DataError, r"recording a: 1 value is missing .*row 4, channel ay, nan"),
        (with_row(ONE_WALK, 4, ay="nan"), {}, DataError, r"row 4, channel ay, nan"),
        (with_row(ONE_WALK, 4, ax="-inf"), {}, DataError, r"row 4, channel ax, -inf"),
        (with_row(ONE_WALK, 4, t=""), {"time_column": "t"}, DataError, "the time at row 4 is missing"),
        (with_row(ONE_WALK, 4, t="0.3"), {"time_column": "t"}, DataError, "row 4: t=0.3 s has the same time as"),
        (with_row(ONE_WALK, 4, t="0.1"), {"time_column": "t"}, DataError, "row 4: t=0.1 s has an earlier time than"),
        (with_row(ONE_WALK, 7, t="2.6"), {"time_column": "t"}, ContractError, "1 gap longer than 0.2 s"),
        (ONE_WALK, {"time_column": "t", "sample_rate_hz": 50}, ContractError, "sampled at 10 Hz .* says 50 Hz"),
        (ONE_WALK, {"index_column": "t"}, DataError, "index_column 't' holds 0.1 at row 1; expected whole numbers"),
        (ONE_WALK, {"window_length": 9}, ContractError, "8 samples .*, too short for one window of 9 samples"),
        (ONE_WALK, {"window_length": 9, "on_short": "skip"}, DataError, "every recording is shorter than a window"),
        (ONE_WALK, {"labels": ["run"]}, DataError, r"unknown labels \['walk'\]"),
        (rows_csv("ax,ay,label", label=""), {}, DataError, "no sample has a label"),
        (ONE_WALK, {"group_column": "t"}, DataError, "column 't' holds .*name a recording_column"),
        (
            rows_csv("ax,ay,label,rec", rec=""),
            {"recording_column": "rec"},
            DataError,
            "row 1 has no value in recording_",
        ),
        (rows_csv("ax,ay,label,side", side="trian"), {"split_column": "side"}, DataError, "split 'trian' is unknown"),
        (
            with_row(ONE_WALK, 4, ay="1,2"),
            {},
            DataError,
            r"1 of 8 rows are torn .*line 6: 5 of 4 columns\); at most 1.0%",
        ),
        (ONE_WALK, {"column_names": ["ax", "t", "ay", "label"]}, DataError, "has a header .*in another order than"),
        (ONE_WALK, {"column_names": ["t", "ax", "ay", "label"]}, DataError, "has a header .*in the same order as"),
        ("1,2\n", {"column_names": ["ax", "ay", "label"]}, DataError, "rows have 2 columns, column_names .* has 3"),
        (b"ax,ay,label\n\xff\xfe,1,2\n", {}, DataError, "a.csv"),
    ],
)
def test_one_clear_error_for_each_thing_that_is_wrong_with_a_csv_file(read, text, changes, error, message):
    with pytest.raises(error, match=message):
        read({"a.csv": text}, **changes)


def test_a_constant_axis_is_an_error_unless_allowed(read):
    text = "\n".join(["ax,ay,label"] + [f"{i / 10},0.98,walk" for i in range(8)])
    with pytest.raises(ContractError, match="recording a: constant in all 8 samples: ay = 98 counts"):
        read({"a.csv": text})
    assert len(read({"a.csv": text}, on_constant_axis="allow").recordings) == 1


def test_a_wrong_unit_is_an_error(read):
    text = "\n".join(["ax,ay,label"] + [f"{i / 10},{9.81 + i / 10},walk" for i in range(8)])
    with pytest.raises(ContractError, match=r"100\.0% of channel ay lies beyond full scale.*Check the unit"):
        read({"a.csv": text})


def test_a_group_in_two_splits_is_an_error(read):
    files = {"a.csv": rows_csv("ax,ay,label,who", who="ann"), "b.csv": rows_csv("ax,ay,label,who", who="ann")}
    with pytest.raises(DataError, match="group 'ann' is both in split 'train' and in 'test'"):
        read(files, group_column="who", split_files={"train": "a.csv", "test": "b.csv"})


def test_two_splits_inside_a_recording_are_an_error(read):
    text = with_row(rows_csv("ax,ay,label,side", side="train"), 5, side="test")
    with pytest.raises(DataError, match=r"column 'side' holds \['train', 'test'\]; expected one value"):
        read({"a.csv": text}, split_column="side")


def test_a_recording_in_two_files_is_an_error(read):
    text = rows_csv("ax,ay,label,rec", rec="w1")
    with pytest.raises(DataError, match="recording w1 is in two files of data source"):
        read({"a.csv": text, "b.csv": text}, recording_column="rec")


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        ({}, {"path": "nowhere"}, "nowhere does not exist; path is relative to the folder of the TOML file"),
        ({"notes.md": "x"}, {}, r"holds no file that ends in \['.csv', '.csv.gz', '.parquet', '.json'"),
        ({"a.xlsx": "x"}, {"path": "a.xlsx"}, "a.xlsx: no reader for its suffix; known are"),
        ({"a.csv": ONE_WALK}, {"split_files": {"test": "b.csv"}}, r"split_files.test: file .*b.csv does not exist"),
        ({"a.csv": ONE_WALK}, {"path": "a.csv", "split_files": {"test": "a.csv"}}, "a.csv is a file; with split_files"),
        ({"01.csv": ONE_WALK}, {"label_from": "file_name"}, "file 01: its name does not match file_pattern"),
    ],
)
def test_files_that_are_not_there_or_not_known(read, files, changes, message):
    with pytest.raises(DataError, match=message):
        read(files, **changes)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("file,label\n", "list.csv: lists no file"),
        ("", "list.csv: lists no file"),
        ("name,label\n1.csv,walk\n", r"columns \['name', 'label'\]; expected file and label"),
        ("file,label,colour\n1.csv,walk,red\n", "expected file and label, and optionally group and split"),
        ("file,label\n1.csv\n", "line 2: has fewer values than the header"),
        ("file,label\n1.csv,walk,ann\n", "expected file and label"),
        ("file,label\n1.csv,walk\n2.csv,walk\n", r"list.csv, line 3: file .*2.csv does not exist"),
        (b"file,label\n\xff,walk\n", "list.csv: cannot be read as CSV"),
    ],
)
def test_a_manifest_that_is_not_usable(read, manifest, message):
    files = {"list.csv": manifest, "1.csv": rows_csv("ax,ay")}
    with pytest.raises(DataError, match=message):
        read(files, label_from="manifest", manifest="list.csv")


@pytest.mark.parametrize("escape", ["../outside.csv", "{absolute}", "sub/../../outside.csv"])
def test_a_manifest_cannot_name_files_elsewhere(read, tmp_path, escape):
    outside = tmp_path / "outside.csv"
    outside.write_text(ONE_WALK, encoding="utf-8")
    listed = escape.replace("{absolute}", str(outside))
    with pytest.raises(DataError, match=r"list.csv, line 2: file '.*outside.csv' is outside the source's path"):
        read({"list.csv": f"file,label\n{listed},walk\n"}, label_from="manifest", manifest="list.csv")


def test_a_missing_manifest(read):
    with pytest.raises(DataError, match=r"manifest: file .*list.csv does not exist"):
        read({"1.csv": ONE_WALK}, label_from="manifest", manifest="list.csv")


@pytest.mark.parametrize("keep", [0, 5, 30, -4])
def test_a_truncated_gzip_file(read, keep):
    noise = np.random.default_rng(0).normal(size=(3000, 2)).astype(str)
    text = "ax,ay,label\n" + "\n".join(f"{a},{b},walk" for a, b in noise)
    content = gzip.compress(text.encode())[:keep]
    with pytest.raises(DataError, match=r"a.csv.gz: (the file is empty|cannot be read as CSV)"):
        read({"a.csv.gz": content})


def test_a_file_that_is_not_gzip_or_not_parquet(read):
    with pytest.raises(DataError, match=r"a.csv.gz: is not a text file"):
        read({"a.csv.gz": bytes(range(256))}, path="a.csv.gz")
    with pytest.raises(DataError, match=r"b.parquet: cannot be read as Parquet"):
        read({"b.parquet": ONE_WALK}, path="b.parquet")
    with pytest.raises(DataError, match=r"c.parquet: the file is empty"):
        read({"c.parquet": ""}, path="c.parquet")
    whole = parquet({**AXES, "label": ["walk"] * 8})
    with pytest.raises(DataError, match=r"d.parquet: cannot be read as Parquet"):
        read({"d.parquet": whole[:-20]}, path="d.parquet")


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"ax": AXES["ax"], "label": ["walk"] * 8}, ContractError, r"columns \['ay'\] are missing"),
        (
            {**AXES, "ay": ["0"] * 7 + ["x"], "label": ["walk"] * 8},
            DataError,
            "'ay' must hold numbers, but row 8 .*'x'",
        ),
        ({**AXES, "ay": [0.5, None] * 4, "label": ["walk"] * 8}, DataError, "row 1, channel ay, nan"),
        ({"ax": [1.0][:0], "ay": [1.0][:0], "label": ["walk"][:0]}, DataError, "but no row"),
    ],
)
def test_what_is_wrong_with_a_parquet_file(read, columns, error, message):
    with pytest.raises(error, match=message):
        read({"a.parquet": parquet(columns)})


def test_a_missing_pyarrow_says_what_to_install(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ToolError, match=r"pyarrow is missing. Install it with: pip install edge-seq\[data\]"):
        read({"a.csv": ONE_WALK})


# Refused names: terminal control sequences, marks that turn the direction of text, halves of surrogate pairs


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        (
            {"a.csv": rows_csv("ax,ay,label", label="w\x1b[2J")},
            {},
            r"recording a: label 'w\\x1b\[2J': holds U\+001B;",
        ),
        ({"a.csv": rows_csv("ax,ay,label", label="\u202eklaw")}, {}, r"label '\\u202eklaw': holds U\+202E"),
        ({"a.csv": rows_csv("ax,ay,label", label='"two\nlines"')}, {}, r"8 of 8 rows|16 of 16 rows are torn"),
        ({"a.csv": rows_csv("ax,ay,label", label=256 * "w")}, {}, r"label 'w{40}\.\.\.': has 256 characters; expected"),
        ({"a.csv": rows_csv("ax,ay,label,g", g="\x07")}, {"group_column": "g"}, r"recording a: group '\\x07': holds"),
        (
            {"a.csv": rows_csv("ax,ay,label,r", r="\x7f1")},
            {"recording_column": "r"},
            r"a.csv: recording '\\x7f1'",
        ),
        ({"a\x1b.csv": ONE_WALK}, {}, r"file 'a\\x1b': holds U\+001B; .* Rename the file"),
        ({"a\udcff.csv": ONE_WALK}, {}, r"file 'a\\udcff': holds U\+DCFF"),
        (
            {"1.csv": rows_csv("ax,ay"), "list.csv": "file,label\n1\x1b.csv,walk\n"},
            {"label_from": "manifest", "manifest": "list.csv"},
            r"manifest list.csv, line 2: file '1\\x1b.csv': holds U\+001B; .* Correct the line",
        ),
        (
            {"1.csv": rows_csv("ax,ay"), "list.csv": "file,label\n1.csv,wa\u2028lk\n"},
            {"label_from": "manifest", "manifest": "list.csv"},
            r"recording 1: label 'wa\\u2028lk': holds U\+2028; .* Rename it in the data",
        ),
        (
            {"a.csv": rows_csv("ax,ay"), "labels.csv": "start,end,label\n0,0.4,wa\x1blk\n"},
            {"label_from": "intervals", "intervals": "labels.csv"},
            r"intervals labels.csv, line 2: label 'wa\\x1blk': holds U\+001B; .* Rename it in the table",
        ),
    ],
)
def test_names_that_cannot_be_printed_are_refused(read, files, changes, message):
    with pytest.raises(DataError, match=message):
        read(files, **changes)


def test_names_of_any_script_are_taken(read):
    dataset = read({"größe $x$.csv": rows_csv("ax,ay,label", label="静止 <b>&\\n")})
    assert dataset.labels == ("静止 <b>&\\n",)
    assert dataset.recordings[0].name == "größe $x$"


# Accepted names: a zero-width non-joiner, a zero-width joiner, special spaces, an emoji of several characters


@pytest.mark.parametrize("label", ["می\u200cرود", "क्\u200dष", "a\u00a0b", "a\u3000b", "👩\u200d🚗"])
def test_names_with_joiners_and_spaces_are_taken(read, label):
    assert read({"a.csv": rows_csv("ax,ay,label", label=label)}).labels == (label,)


@pytest.mark.parametrize("label", ["a\u200eb", "a\u200bb", "a\u2066b", "a\tb"])
def test_other_marks_without_a_shape_are_not(read, label):
    with pytest.raises(DataError, match=r"holds U\+"):
        read({"a.csv": rows_csv("ax,ay,label", label=label)})


@pytest.mark.parametrize("manifest", [False, True])
def test_a_path_may_be_longer_than_a_name(read, manifest):
    name = "/".join(["d" * 100] * 3) + "/a"
    files = {f"{name}.csv": rows_csv("ax,ay,label")}
    changes = {}
    if manifest:
        files["list.csv"] = f"file,label\n{name}.csv,walk\n"
        changes = {"label_from": "manifest", "manifest": "list.csv"}
    (one,) = read(files, **changes).recordings
    assert (one.name, one.group) == (name, name)


def test_a_part_of_a_path_is_as_long_as_a_name(read):
    files = {"list.csv": f"file,label\nd/{'a' * 256}.csv,walk\n"}
    with pytest.raises(DataError, match=r"line 2: file 'a{40}\.\.\.': has 260 characters; expected"):
        read(files, label_from="manifest", manifest="list.csv")
