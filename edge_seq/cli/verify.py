"""edge-seq verify."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, BaudOption, JsonOption, print_json, print_line, print_table, progress
from edge_seq.device.transport import DEFAULT_BAUD

if TYPE_CHECKING:
    pass


def command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    windows: Annotated[int, typer.Option(min=1, help="How many held-out windows to compare, at most.")] = 500,
    extreme: Annotated[int, typer.Option(min=0, help="How many windows of random and extreme counts to add.")] = 100,
    side: Annotated[str, typer.Option(help="Whose windows: train, validation or test.")] = "test",
    target: Annotated[
        list[str] | None,
        typer.Option(help="Run the C on this emulated target too (again for several), or all. A file of targets/."),
    ] = None,
    port: Annotated[
        str | None, typer.Option(help="Run it on the board on this serial port too.", show_default=False)
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    port_steps: Annotated[int, typer.Option(min=1, help="Steps to run on the board, at least.")] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Verify the exports: torch, float reference, float ONNX; then exactly: integer reference, integer ONNX, C.

    With --target the C export is also compiled for each target, and run in its emulator. A target whose compiler or
    emulator is not on this machine is skipped, and the report says what installs it.

    With --port the board's model and contract are compared first; a board with others is refused before a sample is
    sent. Then its self-test is run, and every step and state compared; counted cost and free stack are in the report.

    Compares what `edge-seq export` wrote, every time step, every state. Writes reports/verify.json and
    reports/verify.xml (JUnit) into the run. Exit code 1 where a rung fails.

    Example: edge-seq verify runs/hapt --target cortex_m4 --target cortex_m0 --json
    Example: edge-seq verify runs/hapt --port /dev/ttyACM0
    """
    from edge_seq.device.client import open_device
    from edge_seq.parity.ladder import LADDER_TITLE
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.verify import verify_run
    from firmware_export.toolchain.target import choose_targets

    targets = choose_targets(target or [])
    opened = open_run(run)
    device = None if port is None else open_device(port, baud=baud)
    try:
        with progress("verifying", 1, quiet=as_json) as update:
            ladder = verify_run(
                opened,
                side=side,
                max_windows=windows,
                extreme_windows=extreme,
                targets=targets,
                device=device,
                device_steps=port_steps,
                progress=update,
            )
    finally:
        if device is not None:
            device.close()
    if as_json:
        print_json(ladder.to_dict())
    else:
        print_table(f"{run.name}: {LADDER_TITLE}", *ladder.table())
        print_line(ladder.verdict)
        print_line(f"as a page, with all else of the run: edge-seq report {shlex.quote(str(run))}")
    if not ladder.holds:
        raise typer.Exit(CHECK_FAILED)
