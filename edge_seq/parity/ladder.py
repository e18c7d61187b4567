"""Results of the parity ladder: the rungs, the verdict, and how they are shown and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from edge_seq.parity.compare import Comparison
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.files import write_atomically
from edge_seq.support.results import Result, written

LADDER_TITLE = "the ladder of neighbours"

Verdict = Literal["holds", "failed", "skipped"]


Kind = Literal["exact", "budget", "cost"]


@dataclass(frozen=True)
class Rung:
    """Result of one rung of the ladder.

    Attributes:
        name: name of the rung, for example ``integer reference = integer ONNX, window``.
        kind: ``exact``, ``budget`` (floats within a tolerance) or ``cost`` (a figure to report, with a limit).
        verdict: ``holds``, ``failed``, or ``skipped`` if the rung was not run.
        detail: what was compared, or the reason why the rung was skipped or failed.
        comparison: result of the comparison, for exact and budget rungs.
        figures: measured values by name, for the rungs of the cost and of a board.
    """

    name: str
    kind: Kind
    verdict: Verdict
    detail: str
    comparison: Comparison | None = None
    figures: dict[str, float] | None = None


def comparison_rung(name: str, comparison: Comparison, *, tolerance: float = 0.0, detail: str = "") -> Rung:
    """Make a rung from a comparison. It holds if something was compared and nothing differed."""
    return Rung(
        name=name,
        kind="budget" if tolerance else "exact",
        verdict="holds" if comparison.holds else "failed",
        detail=detail if comparison.first is None else str(comparison.first),
        comparison=comparison,
    )


@dataclass(frozen=True)
class Ladder(Result, ShownAsTables):
    """All rungs of one verification.

    Attributes:
        model_hash: hash of the integer model.
        input_hash: SHA-256 of the compared windows.
        rungs: results of the rungs, from torch to the last C build.
        c_sha256: hash of the exported C that was compared; None if it is not known.
        options: options of ``edge-seq verify`` that are not those it has by itself, besides targets if all have a
            name; None if there are none.
    """

    derived = ("holds", "skipped")

    model_hash: str
    input_hash: str
    rungs: tuple[Rung, ...]
    c_sha256: str | None = field(default=None, metadata=written(unless_none=True))
    options: tuple[str, ...] | None = field(default=None, metadata=written(unless_none=True))

    @property
    def holds(self) -> bool:
        """True if no rung failed and at least one exact rung holds."""
        held = any(rung.kind == "exact" and rung.verdict == "holds" for rung in self.rungs)
        return held and all(rung.verdict != "failed" for rung in self.rungs)

    @property
    def skipped(self) -> int:
        """Number of rungs that were not run."""
        return sum(rung.verdict == "skipped" for rung in self.rungs)

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        skipped = f", {self.skipped} of {len(self.rungs)} rungs skipped" if self.skipped else ""
        return ("it holds" if self.holds else "IT DOES NOT HOLD") + skipped

    def tables(self) -> Sequence[Table]:
        """One table with a row for each rung."""
        rows = []
        for rung in self.rungs:
            compared = rung.comparison
            steps = "-" if compared is None else f"{compared.steps:,}"
            values = "-" if compared is None else f"{compared.values:,}"
            rows.append([rung.name, rung.kind, steps, values, rung.verdict, rung.detail])
        return [Table(LADDER_TITLE, ["rung", "kind", "steps", "values", "verdict", "detail"], rows)]

    def closing(self) -> str:
        """The verdict in words."""
        return self.verdict


def write_junit(ladder: Ladder, path: Path) -> None:
    """Write the ladder as JUnit XML with one test case per rung, for the test view of a CI server."""
    counts = {verdict: sum(rung.verdict == verdict for rung in ladder.rungs) for verdict in ("failed", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        name="edge-seq verify",
        tests=str(len(ladder.rungs)),
        failures=str(counts["failed"]),
        errors="0",
        skipped=str(counts["skipped"]),
    )
    for rung in ladder.rungs:
        case = ElementTree.SubElement(suite, "testcase", classname=f"parity.{rung.kind}", name=rung.name)
        if rung.verdict != "holds":
            tag = "failure" if rung.verdict == "failed" else "skipped"
            ElementTree.SubElement(case, tag, message=rung.detail)
    ElementTree.indent(suite)
    write_atomically(path, ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")
