"""mypy names every place that has to know a kind: one that nothing knows yet, and one that a single place forgot."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("edge_seq", "firmware_export", "datasets")  # what mypy checks
DECLARED = {"edge_seq/ir/kind_names.py", "edge_seq/ir/kinds.py"}
# Which cells a search tries unless it is told: a choice, in which a kind may be missing.
CHOICES = {"edge_seq/tuning/config.py"}
CLASS = '''
@dataclass(frozen=True)
class Planted(Generic[Rows]):
    """A kind that nothing else knows."""

    hidden: Rows


'''


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name}: {old!r} is there {text.count(old)} times"
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.[chS]"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def planted(copied: Path) -> Path:
    """A copy of the sources with one more kind."""
    tmp_path = copied
    replaced(tmp_path / "edge_seq/ir/kind_names.py", '"fastgrnn"]', '"fastgrnn", "planted"]')
    kinds = tmp_path / "edge_seq/ir/kinds.py"
    replaced(kinds, "\nLayer = Rnn[Rows] |", f"{CLASS}Layer = Planted[Rows] | Rnn[Rows] |")
    return tmp_path


def mypy_errors(folder: Path) -> list[str]:
    pytest.importorskip("mypy")
    run = subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert run.returncode == bool(lines), run.stdout + run.stderr
    return lines


def is_of_fastgrnn(case: ast.match_case) -> bool:
    match case.pattern:
        case ast.MatchClass(cls=ast.Name(id=name)):
            return name == "FastGrnn"
        case ast.MatchValue(value=ast.Constant(value=value)):
            return bool(value == "fastgrnn")
    return False


def places(source: str) -> list[tuple[ast.Match, ast.match_case]]:
    """Matches of a source that have a case of FastGRNN, with the case."""
    if "fastgrnn" not in source.lower():
        return []
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Match)]
    return [(one, case) for one in found for case in one.cases if is_of_fastgrnn(case)]


def without(source: str, case: ast.match_case) -> str:
    lines = source.splitlines(keepends=True)
    return "".join(lines[: case.pattern.lineno - 1] + lines[case.body[-1].end_lineno :])


def files_that_name(pattern: str) -> set[str]:
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if re.search(pattern, file.read_text(encoding="utf-8")):
                found.add(file.relative_to(ROOT).as_posix())
    return found


PLACES = [
    (path.relative_to(ROOT).as_posix(), index)
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    for index in range(len(places(path.read_text(encoding="utf-8"))))
]


@pytest.mark.parametrize(("file", "index"), PLACES)
def test_every_match_over_kinds_ends_with_what_takes_no_kind(file: str, index: int) -> None:
    """Without it mypy would not name a place that forgot a kind. The range proof refuses by name."""
    last = places((ROOT / file).read_text(encoding="utf-8"))[index][0].cases[-1]
    assert isinstance(last.pattern, ast.MatchAs)
    assert last.pattern.pattern is None
    assert [ast.unparse(line).replace("_refuse", "assert_never") for line in last.body] == [
        f"assert_never({last.pattern.name})"
    ]


@pytest.mark.slow
def test_mypy_names_the_one_place_that_forgot_a_kind(copied: Path) -> None:
    assert mypy_errors(copied) == []
    for file, index in PLACES:
        path = copied / file
        whole = path.read_text(encoding="utf-8")
        path.write_text(without(whole, places(whole)[index][1]), encoding="utf-8")
        errors = mypy_errors(copied)
        path.write_text(whole, encoding="utf-8")
        assert {error.split(":")[0] for error in errors} == {file}, errors
        assert any('expected "Never"' in error and "fastgrnn" in error.lower() for error in errors), errors


@pytest.mark.slow
def test_mypy_names_every_place(planted: Path) -> None:
    lines = mypy_errors(planted)
    named = {line.split(":")[0] for line in lines}
    # Each complaint is of a match that misses the new kind.
    assert all("Planted" in line or "planted" in line for line in lines), lines
    # What knows the newest kind by its class or its name, apart from where kinds are declared, has to know this one.
    assert named == files_that_name(r"\bFastGrnn\(\)|\"fastgrnn\"") - DECLARED - CHOICES | {"edge_seq/ir/kinds.py"}
    print("\n".join(lines))  # noqa: T201  # shown by pytest -s
    assert {
        "edge_seq/backends/onnx/float_export.py",
        "edge_seq/backends/onnx/int_cells.py",
        "edge_seq/backends/reference_float.py",
        "edge_seq/backends/reference_int.py",
        "edge_seq/frontends/from_torch.py",
        "edge_seq/frontends/to_torch.py",
        "edge_seq/ir/kinds.py",
        "edge_seq/ir/range_proof.py",
        "edge_seq/training/modules.py",
        "firmware_export/emission/blob.py",
        "firmware_export/emission/layout.py",
    } == named
