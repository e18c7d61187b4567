"""edge-seq measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, TimeoutOption, print_json, print_line, print_tables, progress


def command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    target: Annotated[
        list[str],
        typer.Option(help="Emulated target: its name, the path of its TOML file, or all. May be given several times."),
    ],
    max_flash: Annotated[
        int | None, typer.Option(min=1, help="Budget of flash in bytes: code, tables and weights. Default: no limit.")
    ] = None,
    max_ram: Annotated[
        int | None, typer.Option(min=1, help="Budget of static RAM in bytes. Default: no limit.")
    ] = None,
    max_stack: Annotated[
        int | None, typer.Option(min=1, help="Budget of the deepest stack in bytes. Default: no limit.")
    ] = None,
    max_instructions: Annotated[
        int | None, typer.Option(min=1, help="Budget of instructions per window. Default: no limit.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Least number of time steps to count, on random and extreme sensor counts. Default: 10,000; some "
            "targets stop after 400 where the cost of a step turns out to depend on the data, and say so.",
            show_default=False,
        ),
    ] = None,
    functions: Annotated[
        bool, typer.Option("--functions", help="Also show the instructions of a window by function.")
    ] = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the cost of a model on a chip: flash, RAM, stack, instructions of a time step and of a window.

    All figures are those of the linked firmware image without its test harness. Budgets can also be set in the run's
    configuration (its section budgets) or in the target's file. The result is written to reports/measure.json in the
    run. A target whose tools are not installed is skipped, and the report says how to install them. The exit code is 1
    if a budget is exceeded.

    Example: edge-seq measure runs/hapt --target cortex_m4 --max-ram 400 --json
    """
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.measure import measure_run
    from firmware_export.toolchain.budgets import Budgets
    from firmware_export.toolchain.target import choose_targets

    targets = choose_targets(target, timeout_s=timeout)
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
