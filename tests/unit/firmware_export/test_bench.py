"""The bench goes on where it was interrupted, and measures again only what has changed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ConfigError, DataError
from firmware_export.measuring import bench as bench_module
from firmware_export.measuring import bench_files
from firmware_export.measuring.measure import Measurement
from firmware_export.measuring.reference_models import SHAPES, Shape
from firmware_export.measuring.step_counts import StepCounts
from firmware_export.toolchain.sources import hash_of_sources
from firmware_export.toolchain.target import MissingToolError, Target, load_target

TARGET = "cortex_m4"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was measured: a counter stands for the emulator and gives 100, 101, ... instructions, so that it is seen."""
    try:
        hash_of_sources(Path(), load_target(TARGET))
    except MissingToolError as error:
        pytest.skip(str(error))
    called: list[str] = []

    def measure(folder: Path, model: IntModel, target: Target, *, steps: int) -> Measurement:
        called.append(folder.name)
        cost = np.array([99 + len(called)])
        counted = StepCounts("instructions", cost, cost, steps, Counter({"es_step": int(cost[0])}))
        return Measurement(model.name, target.name, "", None, None, counted, None)

    monkeypatch.setattr(bench_module, "measure", measure)
    monkeypatch.setitem(SHAPES, "car", Shape(3, 4, 5, 2))  # quick to quantize
    return called


def run(out: Path, *, again: bool = False, stop_before: str = "") -> dict[str, int | None]:
    """Instructions of the three cells."""

    def progress(_done: int, _total: int, name: str) -> None:
        if stop_before and name.endswith(stop_before):
            raise KeyboardInterrupt

    found = bench_files.bench([TARGET], ["car"], [], out=out, again=again, progress=progress)
    return {row.cell: row.instructions for row in found.rows}


def rows_of(out: Path) -> dict[str, int]:
    return {row["cell"]: row["instructions"] for row in json.loads((out / "bench.json").read_text())["rows"]}


def test_an_interrupted_bench_goes_on(measured: list[str], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_before="rnn")
    assert rows_of(tmp_path) == {"lstm": 100, "gru": 101}, "written as soon as they were measured"
    assert "| cortex_m4 | car | gru | 101 |" in (tmp_path / "BENCH.md").read_text()
    assert run(tmp_path) == {"lstm": 100, "gru": 101, "rnn": 102}
    assert measured == ["car_lstm", "car_gru", "car_rnn"]
    assert rows_of(tmp_path) == {"lstm": 100, "gru": 101, "rnn": 102}
    found = bench_files.bench([TARGET], ["car"], ["lstm"], out=tmp_path)
    assert (found.kept, len(found.rows)) == (1, 1)
    assert rows_of(tmp_path) == {"lstm": 100, "gru": 101, "rnn": 102}, "what was not asked for stays"
    assert bench_files.bench([TARGET], ["car"], ["gru"], out=tmp_path, again=True).kept == 0
    assert rows_of(tmp_path) == {"lstm": 100, "gru": 103, "rnn": 102}


def test_a_row_of_other_sources_is_measured_again(measured: list[str], tmp_path: Path) -> None:
    run(tmp_path)
    table = json.loads((tmp_path / "bench.json").read_text())
    assert len({row["sources"] for row in table["rows"]}) == 3, "each model has a hash of its own"
    table["rows"][1]["sources"] = "0" * 16
    del table["rows"][2]["sources"]
    (tmp_path / "bench.json").write_text(json.dumps(table))
    assert run(tmp_path) == {"lstm": 100, "gru": 103, "rnn": 104}
    assert measured[3:] == ["car_gru", "car_rnn"]


@pytest.mark.usefixtures("measured")
def test_a_folder_that_is_not_usable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"rows": [1]}')
    with pytest.raises(DataError, match=r"reading bench\.json: not as its command writes it"):
        run(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot write to .*: .*bench\.json is a file; give another path"):
        run(tmp_path / "bench.json")


@pytest.mark.usefixtures("measured")
def test_what_the_hash_knows(tmp_path: Path) -> None:
    source, golden = tmp_path / "runtime" / "src" / "es_lstm.c", tmp_path / "car_golden.c"
    source.parent.mkdir(parents=True)
    source.write_text("int one;\n")
    golden.write_text("int golden;\n")
    target = load_target(TARGET)
    before = hash_of_sources(tmp_path, target)
    golden.write_text("int other;\n")
    assert hash_of_sources(tmp_path, target.model_copy(update={"title": "a new title", "timeout_s": 7.0})) == before
    assert target.memory is not None
    for changed in (
        {"optimization": "-O1"},
        {"defines": ("ES_KERNEL=ES_KERNEL_PLAIN",)},
        {"memory": target.memory.model_copy(update={"ram_bytes": 4096 * 16})},
        {"compilers": tuple(one.model_copy(update={"flags": (*one.flags, "-g")}) for one in target.compilers)},
    ):
        assert hash_of_sources(tmp_path, target.model_copy(update=changed)) != before, changed
    source.write_text("int two;\n")
    assert hash_of_sources(tmp_path, target) != before
