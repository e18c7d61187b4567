"""Report of cppcheck's MISRA C:2012 add-on about exported C, with the project's list of deviations."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.results import Result
from firmware_export.emission.emit import RUNTIME_FOLDER

DEVIATIONS = RUNTIME_FOLDER.parent / "misra_suppressions.txt"
REASONS = RUNTIME_FOLDER.parent / "MISRA.md"
_TIMEOUT_S = 1200


@dataclass(frozen=True)
class MisraReport(Result):
    """Findings of the add-on.

    Attributes:
        tool: version of cppcheck; None if it was not run.
        files: C files that were read.
        by_deviation: number of findings under each listed deviation, ``rule`` or ``rule:file``.
        others: findings that no deviation covers, ``rule file``.
        note: why it was not run; empty if it was.
    """

    tool: str | None
    files: tuple[str, ...]
    by_deviation: dict[str, int]
    others: tuple[str, ...]
    note: str = ""


def find_cppcheck() -> str | None:
    """Path of cppcheck; None if it is not installed."""
    return shutil.which("cppcheck")


def check_misra(folder: Path, sources: tuple[str, ...], program: str | None) -> MisraReport:
    """Run cppcheck's MISRA add-on on exported C, built with the plain C.

    Args:
        folder: folder of the exported C.
        sources: paths of the C files in it.
        program: path of cppcheck; None gives a report that says that it was not run.
    """
    if program is None:
        return MisraReport(None, (), {}, (), "cppcheck is not installed; apt-get install cppcheck")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    done = subprocess.run(
        [
            *(program, "--std=c99", "-DES_KERNEL=0", "--addon=misra", "--quiet", "--template={id} {file}"),
            *("-I.", *(f"-Iruntime/{part}" for part in ("include", "src", "load", "wire")), *sources),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode or any("misra" in line.lower() and "not found" in line.lower() for line in lines):
        return MisraReport(None, (), {}, (), f"{version} runs without its MISRA add-on; install a complete cppcheck")
    return sort_findings(version, sources, [line for line in lines if line.startswith("misra-")])


def sort_findings(version: str, sources: tuple[str, ...], lines: list[str]) -> MisraReport:
    """Sort findings ``rule file`` under the deviations that cover them.

    >>> sort_findings("Cppcheck 2.10", ("a.c",), ["misra-c2012-15.5 a.c", "misra-c2012-17.7 a.c"]).others
    ('misra-c2012-17.7 a.c',)
    """
    deviations = [line for line in DEVIATIONS.read_text(encoding="utf-8").splitlines() if line and line[0] != "/"]
    counts: Counter[str] = Counter()
    others: set[str] = set()
    for line in lines:
        rule, _, file = line.partition(" ")
        for deviation in deviations:
            allowed, _, where = deviation.partition(":")
            if rule == allowed and file.endswith(where.removeprefix("*")):
                counts[deviation] += 1
                break
        else:
            others.add(line)
    return MisraReport(version, sources, dict(sorted(counts.items())), tuple(sorted(others)))
