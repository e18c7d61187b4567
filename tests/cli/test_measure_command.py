"""`edge-seq measure` and `edge-seq bench`: tables, JSON, budgets and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.support.errors import DataError
from edge_seq.support.results import from_plain
from firmware_export.measuring.bench import Bench, BenchRow, Check
from firmware_export.measuring.bench_files import completed
from firmware_export.measuring.measure import Latency
from firmware_export.measuring.report import latency_text
from firmware_export.measuring.sizes import measure_sizes
from firmware_export.toolchain.image import build_image
from firmware_export.toolchain.target import (
    TARGETS_FOLDER,
    MissingToolError,
    find_emulator,
    find_target_compiler,
    load_target,
    target_names,
)
from tests.cli.conftest import Small, edge_seq, ok

REFERENCE = Path(__file__).parents[2] / "docs" / "results" / "bench_reference.toml"

ROW = {
    "model",
    "cell",
    "target",
    "instructions",
    "cycles",
    "instructions_per_mac",
    "code_bytes",
    "table_bytes",
    "weight_bytes",
    "ram_bytes",
    "stack_bytes",
    "instructions_by_function",
    "sources",
}


@pytest.fixture
def run(small: Small, tmp_path: Path) -> Path:
    """A copy of the small run, to be changed."""
    return Path(shutil.copytree(small.run, tmp_path / "run"))


def need(name: str) -> None:
    try:
        find_target_compiler(load_target(name))
        find_emulator(load_target(name))
    except MissingToolError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_every_target_has_a_row(run: Path) -> None:
    report = ok("measure", run, "--target", "all", "--steps", "60", "--json").json
    assert [row["target"] for row in report["targets"]] == list(target_names())
    assert report["holds"] is True
    assert report["model_hash"] == json.loads((run / "exports" / "c" / "manifest.json").read_text())["model_hash"]
    for row in report["targets"]:
        if row["status"] == "measured":
            assert row["flash_bytes"] == row["code_bytes"] + row["table_bytes"] + row["weight_bytes"]
            assert (row["instructions_per_window"] or row["cycles_per_window"]) > 0
            assert row["steps_counted"] >= 60
        elif row["status"] == "counted":
            assert row["instructions_per_window"] > 0
            assert row["notes"], row
        else:
            assert row["notes"], row
    assert json.loads((run / "reports" / "measure.json").read_text()) == report


@pytest.mark.parametrize("target", ["cortex_m4", pytest.param("cortex_m55", marks=pytest.mark.slow)])
def test_where_the_instructions_go(target: str, run: Path) -> None:
    need(target)
    (row,) = ok("measure", run, "--target", target, "--steps", "50", "--json").json["targets"]
    found = row["instructions_by_function"]
    assert sum(found.values()) == row["instructions_per_window"]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert next(iter(found)).startswith(("es_gru", "es_lstm", "es_rnn", "es_mve"))
    out = ok("measure", run, "--target", target, "--steps", "50", "--functions").out
    name, most = next(iter(found.items()))
    assert f"{name} " in out
    assert f"{most:,}" in out


def test_figures_are_those_of_the_linked_image(run: Path, tmp_path: Path) -> None:
    need("cortex_m4")
    file = TARGETS_FOLDER / "cortex_m4.toml"
    found = ok("measure", run, "--target", file, "--steps", "50", "--json").json
    assert found["options"] == ["--target", str(file), "--steps", "50"]
    (row,) = found["targets"]
    image = build_image(run / "exports" / "c", tmp_path / "built", load_target("cortex_m4"))
    sizes = measure_sizes(image.content, image.names)
    assert (row["flash_bytes"], row["ram_bytes"]) == (sizes.flash, sizes.ram)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Latency(1000.0, 2000.0, ""), "1.00 to 2.00 ms"),
        (Latency(1000.0, 1001.0, ""), "1.00 ms"),
        (None, "-"),
    ],
)
def test_a_latency_is_a_range_where_its_ends_differ(estimate: Latency | None, text: str) -> None:
    assert latency_text(estimate) == text


def test_the_table_says_what_the_latency_rests_on(run: Path) -> None:
    need("cortex_m4")
    out = ok("measure", run, "--target", "cortex_m4", "--steps", "50").out
    assert "latency is an estimate at 80 MHz, 1.5 to 2.5 cycles an instruction" in out
    assert "the same whatever the data" in out


@pytest.mark.parametrize(
    "budget", ["flash", "instructions", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ram", "stack"))]
)
def test_over_budget_ends_with_1_and_names_the_costliest(budget: str, run: Path) -> None:
    need("cortex_m4")
    result = edge_seq("measure", run, "--target", "cortex_m4", "--steps", "50", f"--max-{budget}", "7", "--json")
    assert result.code == 1
    (text,) = result.json["targets"][0]["over_budget"]
    assert text.startswith(f"cortex_m4: max_{budget} is 7, found ")
    assert " costs most; reduce hidden_size" in text
    assert result.json["holds"] is False


@pytest.mark.slow
def test_a_budget_of_the_configuration_counts_and_an_option_goes_first(run: Path) -> None:
    need("cortex_m4")
    config = run / "config.toml"
    assert "[budgets]\n" in config.read_text()
    config.write_text(config.read_text().replace("[budgets]\n", "[budgets]\nmax_ram = 8\n"))
    result = edge_seq("measure", run, "--target", "cortex_m4", "--steps", "50")
    assert result.code == 1
    assert "OVER BUDGET cortex_m4: max_ram is 8, found " in result.out
    ok("measure", run, "--target", "cortex_m4", "--steps", "50", "--max-ram", "4000")


def test_a_stale_export_is_not_measured(run: Path) -> None:
    manifest = run / "exports" / "c" / "manifest.json"
    table = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(table | {"model_hash": "0" * 64}))
    result = edge_seq("measure", run, "--target", "cortex_m4")
    assert result.code == 2
    assert "measuring run: c/manifest.json: not what this release of edge_seq makes from the run's models" in result.err
    assert "Run edge-seq export again" in result.err


def test_a_missing_emulator_is_skipped_and_its_budget_not_checked(run: Path) -> None:
    code = (
        "import sys, importlib.util, shutil\n"
        "find, which = importlib.util.find_spec, shutil.which\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'unicorn' else find(name, *a)\n"
        "shutil.which = lambda name, *a, **k: None if 'qemu' in name else which(name, *a, **k)\n"
        f"sys.argv = ['edge-seq', 'measure', {str(run)!r}, '--target', 'cortex_m4', '--max-ram', '1', '--json']\n"
        "from edge_seq.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["targets"]
    assert row["status"] == "skipped"
    assert row["unchecked"] == ["max_ram"]
    assert "Install with: " in row["notes"][0]


def test_bench_writes_the_table_that_the_repository_keeps(tmp_path: Path) -> None:
    need("cortex_m4")
    asked = ("--target", "cortex_m4", "--model", "car", "--cell", "rnn")
    result = ok("bench", *asked, "--reference", REFERENCE, "--out", tmp_path, "--json")
    (row,) = result.json["rows"]
    assert set(row) == ROW
    assert (row["model"], row["cell"], row["target"]) == ("car", "rnn", "cortex_m4")
    assert row["instructions"] <= 90_000
    assert sum(row["instructions_by_function"].values()) == row["instructions"]
    assert json.loads((tmp_path / "bench.json").read_text()) == result.json
    text = (tmp_path / "BENCH.md").read_text()
    assert f"| cortex_m4 | car | rnn | {row['instructions']:,} |" in text
    assert f"| cortex_m4 | car | rnn | NNoM int8 | 269,000 | {row['instructions']:,} |" in text
    what = "cortex_m4 car rnn: instructions of a window"
    (limit,) = [check for check in result.json["checks"] if check["what"] == what]
    assert (limit["must"], limit["found"], limit["met"]) == (90_000, row["instructions"], True)


def test_without_a_reference_the_bench_compares_with_nothing() -> None:
    need("cortex_m4")
    result = ok("bench", "--target", "cortex_m4", "--model", "car", "--cell", "rnn")
    assert "cortex_m4" in result.out
    assert "limit" not in result.out


def test_the_tables_of_the_repository_are_those_of_its_json() -> None:
    from firmware_export.measuring.bench_reference import load_reference
    from firmware_export.measuring.bench_report import bench_markdown

    kept = json.loads(REFERENCE.with_name("bench.json").read_text())
    fields = ("what", "must", "aim", "found", "note")
    checks = tuple(Check(**{name: check[name] for name in fields}) for check in kept["checks"])
    rows = tuple(from_plain(BenchRow, row) for row in kept["rows"])
    bench = Bench(rows, checks, tuple(kept["skipped"]), load_reference(REFERENCE))
    assert bench.to_dict() == kept
    assert bench_markdown(bench) == REFERENCE.with_name("BENCH.md").read_text(encoding="utf-8")


def test_a_part_of_the_bench_leaves_the_other_rows(tmp_path: Path) -> None:
    kept = json.loads(REFERENCE.with_name("bench.json").read_text())
    table = {**kept, "skipped": ["cortex_m4: big gru does not fit its memory", "host: not measured", "mine: no gcc"]}
    (tmp_path / "bench.json").write_text(json.dumps(table))
    rows = [from_plain(BenchRow, row) for row in kept["rows"]]
    old = next(row for row in rows if (row.target, row.model, row.cell) == ("cortex_m4", "car", "gru"))
    again = replace(old, instructions=1)
    new = replace(again, target="mine")
    what = "cortex_m4 car {}: instructions of a window".format
    checks = (Check(what("gru"), 5, None, 1), Check(what("rnn"), 7, None, None, "not measured"))
    whole = completed(Bench((again, new), checks, ("atmega328p: no avr-gcc",)), tmp_path)
    assert len(whole.rows) == len(rows) + 1
    others = [row for row in rows if (row.target, row.model, row.cell) != ("cortex_m4", "car", "gru")]
    assert [row for row in whole.rows if row not in (again, new)] == others, "in their order"
    assert again in whole.rows
    assert whole.rows.index(new) > whole.rows.index(again)
    found = {check.what: (check.must, check.found) for check in whole.checks}
    before = {check["what"]: check["found"] for check in kept["checks"]}
    assert found[what("gru")] == (5, 1)
    assert found[what("rnn")] == (7, before[what("rnn")])
    assert isinstance(found[what("rnn")][1], int), "written as it was"
    assert len(found) == len(before)
    assert whole.skipped == (
        "cortex_m4: big gru does not fit its memory",
        "host: not measured",
        "atmega328p: no avr-gcc",
    )
    (tmp_path / "bench.json").write_text('{"rows": [1]}')
    with pytest.raises(DataError, match=r"reading bench\.json: not as its command writes it"):
        completed(whole, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "does not exist; give a TOML file, such as docs/results/bench_reference.toml"),
        (lambda text: "source = ", "cannot be read as TOML: "),
        (lambda text: text.replace("must = 330_000", 'must = "many"'), "limits.0.must: "),
        (lambda text: text.replace("[bytes]", "[octets]"), "bytes: Field required"),
    ],
)
def test_a_reference_that_is_not_usable_is_refused(
    tmp_path: Path, change: Callable[[str], str] | None, message: str
) -> None:
    path = tmp_path / "reference.toml"
    if change is not None:
        path.write_text(change(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
    result = edge_seq("bench", "--target", "cortex_m4", "--reference", path)
    assert result.code == 2
    assert message in result.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "cars"),
            "bench: model 'cars' is not a reference model; give one of: car, har, big, h64, h100, h128",
        ),
        (("--cell", "mlp"), "bench: cell 'mlp' is not a reference cell; give one of: lstm, gru, rnn, fastgrnn"),
        (("--target", "cortex_m5"), "cortex_m4"),
    ],
)
def test_what_the_bench_does_not_have_is_refused(arguments: tuple[str, ...], message: str) -> None:
    result = edge_seq("bench", *arguments)
    assert result.code == 2
    assert message in result.err
