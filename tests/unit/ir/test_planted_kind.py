"""A fifth kind, planted into a copy of the sources: mypy names every place that has to know it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("edge_seq", "firmware_export")
DECLARED = {"edge_seq/ir/kind_names.py", "edge_seq/ir/kinds.py"}
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
def planted(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.[chS]"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    replaced(tmp_path / "edge_seq/ir/kind_names.py", '"fastgrnn"]', '"fastgrnn", "planted"]')
    kinds = tmp_path / "edge_seq/ir/kinds.py"
    replaced(kinds, "\nLayer = Rnn[Rows] |", f"{CLASS}Layer = Planted[Rows] | Rnn[Rows] |")
    return tmp_path


def files_that_name(pattern: str) -> set[str]:
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if re.search(pattern, file.read_text(encoding="utf-8")):
                found.add(file.relative_to(ROOT).as_posix())
    return found


@pytest.mark.slow
def test_mypy_names_every_place(planted: Path) -> None:
    pytest.importorskip("mypy")
    run = subprocess.run([sys.executable, "-m", "mypy"], cwd=planted, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    lines = [line for line in run.stdout.splitlines() if ": error: " in line]
    named = {line.split(":")[0] for line in lines}
    # Each complaint is of a match that misses the new kind.
    assert all("Planted" in line or "planted" in line for line in lines), run.stdout
    # What knows the newest kind by its class or its name, apart from where kinds are declared, has to know this one.
    assert named == files_that_name(r"\bFastGrnn\(\)|\"fastgrnn\"") - DECLARED | {"edge_seq/ir/kinds.py"}
    print("\n".join(lines))  # noqa: T201  # shown by pytest -s
    assert {
        "edge_seq/backends/onnx/float_export.py",
        "edge_seq/backends/onnx/int_cells.py",
        "edge_seq/backends/reference_float.py",
        "edge_seq/backends/reference_int.py",
        "edge_seq/frontends/from_torch.py",
        "edge_seq/ir/kinds.py",
        "edge_seq/ir/range_proof.py",
        "edge_seq/training/modules.py",
        "firmware_export/emission/layout.py",
    } == named
