"""edge-seq measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_table, progress
from edge_seq.support.figure_text import FUNCTION_COLUMNS, function_rows, latency_text

COLUMNS = ("target", "code", "tables", "weights", "flash", "RAM", "stack", "seen", "window", "latency (estimate)")


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def measure_row(table: dict[str, Any]) -> list[str]:
    """One target of a report as a row of COLUMNS."""
    bytes_of = ("code_bytes", "table_bytes", "weight_bytes", "flash_bytes", "ram_bytes", "stack_bytes")
    cycles = table.get("cycles_per_window")
    window = f"{cycles:,} cycles" if cycles else _number(table.get("instructions_per_window"))
    sizes = [_number(table.get(name)) for name in (*bytes_of, "stack_bytes_seen")]
    return [table["target"], *sizes, window, latency_text(table.get("latency_estimate"))]


def step_lines(table: dict[str, Any]) -> list[str]:
    """What else there is to say of a target: steps, assumption of the latency, notes."""
    lines = []
    if table.get("steps_counted"):
        of_class = [
            "{} {:,} to {:,}".format(*one.values()) if len(set(one.values())) == 3 else "{} {:,}".format(*one.values())
            for one in table["step_classes"]
        ]
        verdict = "the same whatever the data" if table["constant_time"] else "depends on the data"
        lines.append(f"a step ({table['steps_counted']:,} counted): {'; '.join(of_class)}: {verdict}")
    if table.get("latency_estimate"):
        lines.append(f"latency is an estimate {table['latency_estimate']['assumption']}")
    if table["unchecked"]:
        lines.append(f"not checked: {', '.join(table['unchecked'])}")
    return [f"{table['target']}: {line}" for line in (*lines, *table["notes"])]


def command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    target: Annotated[
        list[str], typer.Option(help="Emulated target (again for several), or all. A file of firmware_export/targets/.")
    ],
    max_flash: Annotated[int | None, typer.Option(min=1, help="Budget: bytes of code, tables and weights.")] = None,
    max_ram: Annotated[int | None, typer.Option(min=1, help="Budget: bytes of static RAM.")] = None,
    max_stack: Annotated[int | None, typer.Option(min=1, help="Budget: bytes of the deepest stack.")] = None,
    max_instructions: Annotated[int | None, typer.Option(min=1, help="Budget: instructions of a window.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps to count at least, on random and extreme counts.")] = 10_000,
    functions: Annotated[bool, typer.Option("--functions", help="Show where the instructions of a window go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure what a model costs on a chip: flash, RAM, stack, instructions of a step and a window.

    Everything is of the linked firmware image without its harness. Budgets may also stand in the run's configuration
    ([budgets]) or in the target's file. Writes reports/measure.json into the run. Exit code 1 where a budget is
    exceeded; a target whose tools are not on this machine is skipped, and the report says what installs them.

    Example: edge-seq measure runs/hapt --target cortex_m4 --max-ram 400 --json
    """
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.measure import measure_run
    from firmware_export.toolchain.budgets import Budgets
    from firmware_export.toolchain.target import choose_targets

    targets = choose_targets(target)
    limits = Budgets(max_flash=max_flash, max_ram=max_ram, max_stack=max_stack, max_instructions=max_instructions)
    with progress("measuring", len(targets), quiet=as_json) as update:
        report = measure_run(open_run(run), targets, limits, steps=steps, progress=update)
    if as_json:
        print_json(report.to_dict())
    else:
        rows = [measure_row(table) for table in report.targets]
        print_table(f"{run.name}: bytes, and instructions of a window", COLUMNS, rows)
        for table in report.targets:
            if functions and table.get("instructions_by_function"):
                print_table(f"{table['target']}: a window", FUNCTION_COLUMNS, function_rows(table))
            for line in step_lines(table):
                print_line(line)
        for overrun in report.overruns:
            print_line(f"OVER BUDGET {overrun}")
    if not report.holds:
        raise typer.Exit(CHECK_FAILED)
