"""Static analysis of an exported car model, by cppcheck with its MISRA C:2012 add-on and by gcc's -fanalyzer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_seq.evidence.misra import MisraReport, check_misra, find_cppcheck
from firmware_export.emission.emit import RUNTIME_FOLDER, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c
from tests.zoo import quantized_model, random_counts, spec

DEVIATIONS = RUNTIME_FOLDER.parent / "misra_suppressions.txt"
DOCUMENT = RUNTIME_FOLDER.parent / "MISRA.md"


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with the size of the car model, with preprocessing and mean pooling."""
    folder = tmp_path_factory.mktemp("car")
    model = quantized_model(spec("lstm", 32, window_length=50, step="difference", pooling="mean"), name="car", seed=1)
    export_c(model, make_golden(model, random_counts(1, 50, 3)), folder)
    return folder


def _sources(car: Path) -> list[str]:
    manifest = json.loads((car / "manifest.json").read_text())
    return [*manifest["sources"], *manifest["golden_sources"]]


def _violations(folder: Path, sources: list[str], *options: str) -> set[str]:
    """Findings "rule file:line" of the MISRA add-on, for the build with only plain C."""
    done = subprocess.run(
        [
            "cppcheck", "--std=c99", "-DES_KERNEL=0", "--addon=misra", "--quiet", "--template={id} {file}:{line}",
            "-I.", *options, *sources,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    said = set((done.stdout + done.stderr).splitlines())
    if any("misra" in line and "not found" in line.lower() for line in said):
        pytest.skip("this cppcheck comes without its MISRA add-on")
    return said


def _deviations() -> list[tuple[str, str]]:
    """Rule and the end of a file's name, or "" for all files."""
    lines = [line for line in DEVIATIONS.read_text().splitlines() if not line.startswith("//")]
    return [(rule, where.removeprefix("*")) for rule, _, where in (line.partition(":") for line in lines)]


@pytest.fixture(scope="module")
def cppcheck() -> None:
    if not shutil.which("cppcheck"):
        pytest.skip("cppcheck is not on this machine; sudo apt-get install cppcheck")


@pytest.fixture(scope="module")
def report(car: Path, cppcheck: None) -> MisraReport:
    """Findings in all C of the export together, as a folder of evidence has them."""
    sources = sorted(path.relative_to(car).as_posix() for path in car.rglob("*.c"))
    assert {*_sources(car), "runtime/load/es_load.c", "runtime/wire/es_wire.c"} <= set(sources)
    found = check_misra(car, tuple(sources), find_cppcheck())
    if found.tool is None:
        pytest.skip("this cppcheck comes without its MISRA add-on")
    return found


def test_misra_but_for_the_deviations(report: MisraReport) -> None:
    assert report.others == ()


def test_every_deviation_is_needed_and_the_add_on_works(report: MisraReport) -> None:
    assert set(report.by_deviation) == {f"{rule}:*{where}" if where else rule for rule, where in _deviations()}


@pytest.mark.usefixtures("cppcheck")
def test_a_required_rule_that_is_broken_is_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text(
        "int f(int a);\nint f(int a)\n{\n    if (a) {\n        return 017;\n    }\n    return 1;\n}\n"
    )
    said = " ".join(_violations(tmp_path, ["bad.c"], f"--suppressions-list={DEVIATIONS}"))
    assert "misra-c2012-14.4 bad.c:4" in said
    assert "misra-c2012-7.1 bad.c:5" in said


def test_every_deviation_has_its_reason() -> None:
    reasons = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    for rule, where in _deviations():
        number = rule.removeprefix("misra-c2012-")
        assert any(re.search(rf"(^\| |, ){re.escape(number)}(,| \|)", line) and where in line for line in reasons), rule


def test_gcc_analyzer(car: Path, tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not on this machine; sudo apt-get install gcc")
    for source in _sources(car):
        compile_c(
            Compiler("gcc", ("gcc",)),
            [car / source],
            tmp_path / "x.o",
            flags=[*STRICT_FLAGS, "-O2", "-fanalyzer", "-c"],
            include_folders=[car, car / "runtime" / "include", car / "runtime" / "src"],
        )
