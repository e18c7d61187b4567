"""Executions of all fuzzing so far, in a table that runs with ``--counts`` add to.

``python -m tests.fuzz.counts`` writes the tables of ``docs/results/attacks.md`` again from it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.run import Fuzzed

ROOT = Path(__file__).parents[2]
COUNTS = ROOT / "docs" / "results" / "fuzz_counts.json"
PAGE = ROOT / "docs" / "results" / "attacks.md"
PARTS = ("Python", "C")
HEADER = "| target | executions | a second | read | findings |\n|---|---:|---:|---:|---:|\n"


@dataclass
class Count:
    """All executions of a target.

    Attributes:
        runs: number of runs; the next one begins at other random numbers.
        executions: inputs.
        timed: how many of them ``seconds`` belongs to.
        seconds: processor time.
        read: how many were not refused; None where that is not counted.
        findings: inputs that raised a wrong error, one for each place in the code.
    """

    runs: int = 0
    executions: int = 0
    timed: int = 0
    seconds: float = 0.0
    read: int | None = 0
    findings: int = 0

    def row(self, name: str) -> str:
        """Row of the table."""
        rate = f"{self.timed / self.seconds:,.0f}" if self.seconds else "not measured"
        share = "" if self.read is None else f"{100 * self.read / max(1, self.executions):.0f} %"
        return f"| {name} | {self.executions:,} | {rate} | {share} | {self.findings} |\n"


def part_of(name: str) -> str:
    """The table that a target belongs to, of :data:`PARTS`."""
    return "C" if name.startswith("fuzz_") else "Python"


def load(file: Path = COUNTS) -> dict[str, Count]:
    """Counts of each target; nothing if there is no file."""
    return {name: Count(**one) for name, one in json.loads(file.read_text("utf-8")).items()} if file.is_file() else {}


def add(found: Fuzzed, file: Path = COUNTS) -> None:
    """Add a run to the counts of its target."""
    counts = load(file)
    one = counts.setdefault(found.name, Count())
    one.runs += 1
    one.executions += found.executions
    one.timed += found.executions
    one.seconds = round(one.seconds + found.seconds, 3)
    one.read = None if one.read is None or found.read < 0 else one.read + found.read
    one.findings += len(found.findings)
    table = {name: asdict(counts[name]) for name in sorted(counts)}
    file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def tables(counts: dict[str, Count]) -> dict[str, str]:
    """The tables of the page, by part."""
    rows = {part: [one.row(name) for name, one in counts.items() if part_of(name) == part] for part in PARTS}
    return {part: HEADER + "".join(rows[part]) for part in PARTS}


def written(page: str, counts: dict[str, Count]) -> str:
    """The page with its tables made of counts."""
    for part, table in tables(counts).items():
        begin, end = f"<!-- counts of {part} -->\n", "<!-- end of counts -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"the page has no place for the counts of {part}; expected {begin.strip()} and {end}")
        page = f"{before}{begin}{table}{end}{after}"
    return page


def main() -> int:
    """Run from the command line; see the module."""
    PAGE.write_text(written(PAGE.read_text("utf-8"), load()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
