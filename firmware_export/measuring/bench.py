"""The bench: cost of the reference models on every target, compared with other engines and with limits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_seq.ir.kind_names import CellName
from edge_seq.ir.model import IntModel, weight_bytes
from edge_seq.support.errors import ToolError
from edge_seq.support.results import Result, to_plain
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.bench_reference import BenchReference
from firmware_export.measuring.measure import Measurement, measure
from firmware_export.measuring.reference_models import CELLS, SHAPES, USUAL_SHAPES, reference_counts, reference_model
from firmware_export.toolchain.sources import hash_of_sources
from firmware_export.toolchain.target import MissingToolError, Target


@dataclass(frozen=True)
class BenchRow(Result):
    """Cost of a reference model on a target. What was not measured is None.

    Attributes:
        model: name of the shape.
        cell: recurrent cell.
        target: name of the target.
        instructions, cycles: executed in a window; one of them is None.
        instructions_per_mac: instructions for each multiply-accumulate.
        code_bytes, table_bytes, weight_bytes, ram_bytes: of the linked image, without its harness.
        stack_bytes: worst case along the call graph.
        instructions_by_function: instructions (or cycles) of a window, the most costly function first.
        sources: see :func:`firmware_export.toolchain.sources.hash_of_sources`; empty if it is not known.
    """

    model: str
    cell: CellName
    target: str
    instructions: int | None
    cycles: int | None
    instructions_per_mac: float | None
    code_bytes: int | None
    table_bytes: int | None
    weight_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    instructions_by_function: dict[str, int]
    sources: str = ""

    @property
    def code_and_tables(self) -> int | None:
        """Bytes of code and tables."""
        return None if self.code_bytes is None or self.table_bytes is None else self.code_bytes + self.table_bytes


@dataclass(frozen=True)
class Check(Result):
    """A limit and the measured value.

    Attributes:
        what: name of the limited quantity.
        must: limit; a larger value fails.
        aim: goal, a tighter limit that may be missed; None if there is none.
        found: measured value; None if it could not be measured.
        note: reason why it could not be measured.
    """

    what: str
    must: int
    aim: int | None
    found: int | None
    note: str = ""

    derived = ("met", "aim_met")

    @property
    def met(self) -> bool | None:
        """True if the limit is met, None if it was not measured."""
        return None if self.found is None else self.found <= self.must

    @property
    def aim_met(self) -> bool | None:
        """True if the goal is met, None if it was not measured or there is no goal."""
        return None if self.found is None or self.aim is None else self.found <= self.aim


@dataclass(frozen=True)
class Bench:
    """Results of the bench.

    Attributes:
        rows: one row per model, cell and target.
        checks: limits with measured values.
        skipped: targets, or models on targets, that were not measured, with the reason.
        reference: figures of other engines, and limits; None if there was nothing to compare with.
        kept: number of rows that were not measured again, as their sources are those of an earlier call.
    """

    rows: tuple[BenchRow, ...]
    checks: tuple[Check, ...]
    skipped: tuple[str, ...]
    reference: BenchReference | None = None
    kept: int = 0

    @property
    def holds(self) -> bool:
        """True if every limit that was measured is met."""
        return all(check.met is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The results, ready for JSON."""
        results = {"holds": self.holds, "rows": self.rows, "checks": self.checks, "skipped": self.skipped}
        return {key: to_plain(value) for key, value in results.items()}


def bench_row(model: str, cell: CellName, found: Measurement, sources: str) -> BenchRow:
    """One row of the table of results."""
    macs = SHAPES[model].macs(cell)
    sizes = found.sizes
    return BenchRow(
        model=model,
        cell=cell,
        target=found.target,
        instructions=found.instructions,
        cycles=found.cycles,
        instructions_per_mac=None if found.instructions is None else round(found.instructions / macs, 3),
        code_bytes=None if sizes is None else sizes.code,
        table_bytes=None if sizes is None else sizes.tables,
        weight_bytes=None if sizes is None else sizes.weights,
        ram_bytes=None if sizes is None else sizes.ram,
        stack_bytes=found.stack_bytes,
        instructions_by_function=dict(found.steps.by_function.most_common()) if found.steps else {},
        sources=sources,
    )


def run_bench(
    targets: Sequence[Target],
    *,
    models: Sequence[str] = USUAL_SHAPES,
    cells: Sequence[CellName] = CELLS,
    reference: BenchReference | None = None,
    known: Collection[BenchRow] = (),
    row_done: Callable[[Bench], None] = lambda _so_far: None,
    progress: Callable[..., None] = lambda *_args: None,
) -> Bench:
    """Build and measure the reference models.

    Args:
        targets: targets to measure on.
        models: names of shapes, keys of ``SHAPES``.
        cells: any of ``ALL_CELLS``.
        reference: limits and figures of other engines; None compares with nothing.
        known: rows of an earlier call. Those of the same sources are not measured again.
        row_done: called after each row that was measured, with the results so far.
        progress: called with the number of measurements done, their total, and a name.

    Raises:
        ToolError: a model does not compile, for another reason than its size.
    """
    rows: list[BenchRow] = []
    skipped: list[str] = []
    kept = 0
    pairs = [(name, cell) for name in models for cell in cells]
    of_sources = {(row.target, row.model, row.cell, row.sources): row for row in known}
    with tempfile.TemporaryDirectory() as folder:
        exported = {pair: _export(Path(folder), *pair) for pair in pairs}

        def so_far(further: Sequence[Check] = ()) -> Bench:
            return Bench(tuple(rows), (*_checks(reference, rows, exported), *further), tuple(skipped), reference, kept)

        for index, target in enumerate(targets):
            for at, pair in enumerate(pairs):
                progress(index * len(pairs) + at, len(targets) * len(pairs), f"{target.name} {' '.join(pair)}")
                model, export = exported[pair]
                try:
                    sources = hash_of_sources(export, target)
                    row = of_sources.get((target.name, *pair, sources))
                    if row is not None:
                        rows.append(row)
                        kept += 1
                        continue
                    found = measure(export, model, target, steps=1)
                except MissingToolError as error:
                    skipped.append(f"{target.name}: {error}")
                    break
                except ToolError as error:
                    if not _is_too_large(error):
                        raise
                    skipped.append(f"{target.name}: {' '.join(pair)} does not fit its memory")
                    continue
                if found.steps is None:
                    skipped.append(f"{target.name}: {found.notes[0]}")
                    break
                rows.append(bench_row(*pair, found, sources))
                row_done(so_far())
        if reference is not None and (subject := _byte_subject(reference, targets, exported)):
            return so_far(_builds_for_checks(reference, subject, Path(folder), rows))
        return so_far()


_Exported = dict[tuple[str, CellName], tuple[IntModel, Path]]


def _checks(reference: BenchReference | None, rows: Sequence[BenchRow], exported: _Exported) -> list[Check]:
    """Checks that need no further builds."""
    if reference is None:
        return []
    weights = {pair: weight_bytes(model) for pair, (model, _) in exported.items()}
    return [*_instruction_checks(reference, rows), *_byte_checks(reference, rows, weights)]


def _export(folder: Path, name: str, cell: CellName) -> tuple[IntModel, Path]:
    model = reference_model(name, cell)
    output = folder / f"{name}_{cell}"
    export_c(model, make_golden(model, reference_counts(SHAPES[name], windows=1)), output)
    return model, output


def _is_too_large(error: ToolError) -> bool:
    """True if the error comes from a linker or assembler that found the model too large."""
    text = str(error)
    return any(words in text for words in ("overflowed by", "will not fit in region", "end beyond the first 64 kB"))


def find_row(rows: Sequence[BenchRow], model: str, cell: str, target: str) -> BenchRow | None:
    """Find the row of a model on a target; None if it was not measured."""
    return next((row for row in rows if (row.model, row.cell, row.target) == (model, cell, target)), None)


def _instruction_checks(reference: BenchReference, rows: Sequence[BenchRow]) -> list[Check]:
    checks = []
    for limit in reference.limits:
        model, cell, target = limit.model, limit.cell, limit.target
        row = find_row(rows, model, cell, target)
        found = None if row is None else row.instructions
        note = "not measured" if found is None else ""
        what = f"{target} {model} {cell}: instructions of a window"
        checks.append(Check(what, limit.must, limit.aim, found, note))
    return checks


def _byte_checks(
    reference: BenchReference, rows: Sequence[BenchRow], weights: dict[tuple[str, CellName], int]
) -> list[Check]:
    limits = reference.bytes
    target, model = limits.target, limits.model
    checks = []
    for cell in CELLS:
        row = find_row(rows, model, cell, target)
        if row is None:
            continue
        needed = weights[model, cell]
        checks += [
            Check(
                f"{target} {model} {cell}: bytes of code and tables",
                limits.code_and_tables,
                limits.code_and_tables_aim,
                row.code_and_tables,
            ),
            Check(f"{target} {model} {cell}: bytes of RAM", limits.ram, None, row.ram_bytes),
            Check(
                f"{target} {model} {cell}: bytes of weights (the model's weights and biases have {needed:,})",
                int(needed * (1 + limits.weights_over)),
                None,
                row.weight_bytes,
            ),
        ]
    return checks


@dataclass(frozen=True)
class _Subject:
    target: Target
    model: str
    exported: dict[CellName, tuple[IntModel, Path]]


def _byte_subject(reference: BenchReference, targets: Sequence[Target], exported: _Exported) -> _Subject | None:
    limits = reference.bytes
    target = next((one for one in targets if one.name == limits.target), None)
    of_cell = {cell: found for (name, cell), found in exported.items() if name == limits.model}
    return None if target is None or not of_cell else _Subject(target, limits.model, of_cell)


def _builds_for_checks(
    reference: BenchReference, subject: _Subject, folder: Path, rows: Sequence[BenchRow]
) -> list[Check]:
    """Checks that need additional builds: with -Os, and with a window twice as long."""
    limits, checks = reference.bytes, []
    small = subject.target.model_copy(update={"optimization": "-Os"})
    for cell, (model, exported) in subject.exported.items():
        row = find_row(rows, subject.model, cell, subject.target.name)
        if row is None or row.ram_bytes is None:
            continue
        where = f"{subject.target.name} {subject.model} {cell}"
        sizes = measure(exported, model, small, steps=1).sizes
        both = sizes.code + sizes.tables if sizes else None
        checks.append(Check(f"{where}: bytes of code and tables, -Os", limits.code_and_tables_os, None, both))
        shape = replace(SHAPES[subject.model], time_steps=2 * SHAPES[subject.model].time_steps)
        longer = reference_model(subject.model, cell, shape=shape)
        output = folder / f"{subject.model}_{cell}_longer"
        export_c(longer, make_golden(longer, reference_counts(shape, windows=1)), output)
        sizes = measure(output, longer, subject.target, steps=1).sizes
        what = f"{where}: bytes of RAM, window twice as long"
        checks.append(Check(what, row.ram_bytes, None, sizes.ram if sizes else None))
    return checks
