"""edge-seq verify."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    BaudOption,
    JsonOption,
    KeyOption,
    TimeoutOption,
    print_json,
    print_line,
    print_tables,
    progress,
)
from edge_seq.device.transport import DEFAULT_BAUD


def command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    windows: Annotated[int, typer.Option(min=1, help="Largest number of held-out windows to compare.")] = 500,
    extreme: Annotated[
        int, typer.Option(min=0, help="Number of additional windows with random and extreme sensor counts.")
    ] = 100,
    side: Annotated[
        str, typer.Option(help="Side of the split that gives the windows: train, validation or test.")
    ] = "test",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Emulated target on which the C is run too: its name, the path of its TOML file, or all. May be given "
            "several times. Default: the C is run on this machine only."
        ),
    ] = None,
    timeout: TimeoutOption = None,
    port: Annotated[
        str | None,
        typer.Option(help="Serial port of a board on which the C is run too. Default: no board.", show_default=False),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    port_steps: Annotated[int, typer.Option(min=1, help="Least number of time steps to run on the board.")] = 10_000,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the exports of a run with the models, rung by rung.

    The float rungs compare torch, the float reference and float ONNX within budgets. The integer rungs compare the
    integer reference, integer ONNX and C exactly: every time step and every state. ONNX and C are the files that
    `edge-seq export` wrote. The results are written to reports/verify.json and reports/verify.xml (JUnit) in the run.
    The exit code is 1 if a rung fails.

    With --target the C is also compiled for each target and run in its emulator. A target whose compiler or emulator is
    not installed is skipped, and the report says how to install it.

    With --port the board must have the same model and contract; otherwise it is refused before a sample is sent. Then
    its self-test is run, and every time step and state is compared. The report has its measured cost and free stack.

    Example: edge-seq verify runs/hapt --target cortex_m4 --target cortex_m0 --json
    Example: edge-seq verify runs/hapt --port /dev/ttyACM0
    """
    from edge_seq.device.client import open_device
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.verify import verify_run
    from firmware_export.toolchain.target import choose_targets

    targets = choose_targets(target or [], timeout_s=timeout)
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
                public_key=key,
                device=device,
                device_steps=port_steps,
                progress=update,
            )
    finally:
        if device is not None:
            device.close()
    if as_json:
        print_json(ladder)
    else:
        print_tables(ladder.tables(), name=run.name)
        print_line(ladder.verdict)
        print_line(f"the whole run as a page: edge-seq report {shlex.quote(str(run))}")
    if not ladder.holds:
        raise typer.Exit(CHECK_FAILED)
