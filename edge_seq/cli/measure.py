"""edge-seq measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_tables, progress


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
        print_json(report)
    else:
        print_tables(report.tables(), name=run.name)
        for one in report.targets:
            if functions and (table := one.functions()) is not None:
                print_tables([table])
            for line in one.lines():
                print_line(line)
        for overrun in report.overruns:
            print_line(f"OVER BUDGET {overrun}")
    if not report.holds:
        raise typer.Exit(CHECK_FAILED)
