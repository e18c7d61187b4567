"""Costs of a model on targets, with budgets, as a result and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.figure_text import percent
from edge_seq.support.results import Result, written
from firmware_export.measuring.measure import Latency, Measurement

COLUMNS = ("target", "code", "tables", "weights", "flash", "RAM", "stack", "seen", "window", "latency (estimate)")
FUNCTION_COLUMNS = ("function", "instructions", "share")


@dataclass(frozen=True)
class Measured(Result):
    """Figures of a target that was tried. A figure is None if it was not measured; a note gives the reason.

    Attributes:
        model, target: names of the model and the target.
        status: ``measured``; ``counted`` if only instructions could be counted; ``not measured`` without either.
        detail: compiler and emulator.
        code_bytes, table_bytes, weight_bytes, flash_bytes, ram_bytes: sizes of the linked image without the harness.
        stack_bytes: worst-case stack, or the largest stack seen if the worst case is not known.
        stack_bytes_seen: largest stack seen.
        stack_path: functions along the deepest stack, with the bytes of each.
        instructions_per_window, cycles_per_window: cost of a window.
        instructions_by_function: cost of a window by function, the most costly first.
        steps_counted: number of steps that were counted.
        constant_time: True if a step takes the same whatever the data.
        step_classes: name, least and largest cost of each class of steps.
        latency_estimate: estimated time to process a window.
        notes: what was not measured, with the reason.
    """

    model: str
    target: str
    status: Literal["measured", "counted", "not measured"]
    detail: str
    code_bytes: int | None
    table_bytes: int | None
    weight_bytes: int | None
    flash_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    stack_bytes_seen: int | None
    stack_path: tuple[tuple[str, int], ...]
    instructions_per_window: int | None
    cycles_per_window: int | None
    instructions_by_function: dict[str, int]
    steps_counted: int
    constant_time: bool | None
    step_classes: tuple[dict[str, str | int], ...]
    latency_estimate: Latency | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Skipped(Result):
    """A target that could not be tried: its tools are not installed."""

    model: str
    target: str
    status: Literal["skipped"]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TargetReport(Result):
    """Cost of a model on one target, beside its budgets.

    Attributes:
        found: figures, or why there are none.
        budgets: largest allowed values, by the name of the budget.
        over_budget: budgets that are exceeded, in words.
        unchecked: budgets that could not be checked.
    """

    found: Measured | Skipped = field(metadata=written(inline=True))
    budgets: dict[str, int]
    over_budget: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def measured(self) -> Measured | None:
        """The figures; None if the target was skipped."""
        return self.found if isinstance(self.found, Measured) else None

    def row(self) -> list[str]:
        """The target as a row of COLUMNS."""
        one = self.measured
        if one is None:
            return [self.found.target, *("-" for _ in COLUMNS[1:])]
        sizes = (
            *(one.code_bytes, one.table_bytes, one.weight_bytes, one.flash_bytes, one.ram_bytes),
            *(one.stack_bytes, one.stack_bytes_seen),
        )
        window = f"{one.cycles_per_window:,} cycles" if one.cycles_per_window else _number(one.instructions_per_window)
        return [one.target, *map(_number, sizes), window, latency_text(one.latency_estimate)]

    def functions(self, most: int | None = None) -> Table | None:
        """Instructions of a window by function, the most costly first; None if they were not counted.

        Args:
            most: largest number of rows; None gives all.
        """
        one = self.measured
        if one is None or not one.instructions_by_function:
            return None
        whole = sum(one.instructions_by_function.values())
        counts = list(one.instructions_by_function.items())[:most]
        rows = [[name, f"{count:,}", percent(count / whole)] for name, count in counts]
        return Table(f"{one.target}: a window", FUNCTION_COLUMNS, rows)

    def lines(self) -> list[str]:
        """Further remarks: steps, assumption of the latency, unchecked budgets, notes."""
        lines, one = [], self.measured
        if one is not None and one.steps_counted:
            of_class = [_step_class(*step.values()) for step in one.step_classes]
            verdict = "the same whatever the data" if one.constant_time else "depends on the data"
            lines.append(f"a step ({one.steps_counted:,} counted): {'; '.join(of_class)}: {verdict}")
        if one is not None and one.latency_estimate is not None:
            lines.append(f"latency is an estimate {one.latency_estimate.assumption}")
        if self.unchecked:
            lines.append(f"not checked: {', '.join(self.unchecked)}")
        return [f"{self.found.target}: {line}" for line in (*lines, *self.found.notes)]


@dataclass(frozen=True)
class MeasureReport(Result, ShownAsTables):
    """Costs on all targets, and whether all budgets hold.

    Attributes:
        model_hash: hash of the integer model that was measured; None in files that do not name it.
        holds: True if no budget is exceeded.
        targets: one entry for each target.
        c_sha256: hash of the exported C that was measured; None in files that do not name it.
        options: options of ``edge-seq measure`` that are not those it has by itself, besides budgets, and targets if
            all have a name; None if there are none.
    """

    model_hash: str | None = field(metadata=written(unless_none=True))
    holds: bool
    targets: tuple[TargetReport, ...]
    c_sha256: str | None = field(default=None, metadata=written(unless_none=True))
    options: tuple[str, ...] | None = field(default=None, metadata=written(unless_none=True))

    @property
    def overruns(self) -> list[str]:
        """Exceeded budgets, in words."""
        return [text for one in self.targets for text in one.over_budget]

    def tables(self) -> Sequence[Table]:
        """One row for each target."""
        return [
            Table("cost on targets: bytes, and instructions of a window", COLUMNS, [one.row() for one in self.targets])
        ]


def measured_figures(measurement: Measurement) -> Measured:
    """Turn a measurement into the figures of a report."""
    sizes, steps, stack = measurement.sizes, measurement.steps, measurement.stack
    classes: tuple[dict[str, str | int], ...] = ()
    if steps is not None:
        classes = tuple(
            {"class": one.name, f"{steps.unit}_min": one.minimum, f"{steps.unit}_max": one.maximum}
            for one in steps.classes
        )
    return Measured(
        model=measurement.model,
        target=measurement.target,
        status="measured" if sizes else "counted" if steps else "not measured",
        detail=measurement.detail,
        code_bytes=None if sizes is None else sizes.code,
        table_bytes=None if sizes is None else sizes.tables,
        weight_bytes=None if sizes is None else sizes.weights,
        flash_bytes=None if sizes is None else sizes.flash,
        ram_bytes=None if sizes is None else sizes.ram,
        stack_bytes=measurement.stack_bytes,
        stack_bytes_seen=None if steps is None else steps.stack_bytes,
        stack_path=tuple(stack.path) if stack else (),
        instructions_per_window=measurement.instructions,
        cycles_per_window=measurement.cycles,
        instructions_by_function=dict(steps.by_function.most_common()) if steps else {},
        steps_counted=steps.steps if steps else 0,
        constant_time=steps.constant if steps else None,
        step_classes=classes,
        latency_estimate=measurement.latency,
        notes=measurement.notes,
    )


def latency_text(estimate: Latency | None) -> str:
    """Format a latency estimate in ms, and None as ``-``.

    >>> latency_text(Latency(1000.0, 2000.0, "")), latency_text(Latency(9.0, 9.0, "")), latency_text(None)
    ('1.00 to 2.00 ms', '0.01 ms', '-')
    """
    if estimate is None:
        return "-"
    ends = dict.fromkeys(f"{end / 1000:.2f}" for end in (estimate.lowest_us, estimate.highest_us))
    return f"{' to '.join(ends)} ms"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _step_class(name: str | int, least: str | int, most: str | int) -> str:
    return f"{name} {least:,}" if least == most else f"{name} {least:,} to {most:,}"
