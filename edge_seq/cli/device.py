"""edge-seq device: list, ping, info, selftest, load, adapt, emulate."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    BaudOption,
    JsonOption,
    KeyOption,
    print_error,
    print_json,
    print_line,
    print_table,
    print_tables,
    progress,
)
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError, ModelError, ToolError

PortOption = Annotated[
    str, typer.Option("--port", help="Serial port of the board, such as /dev/ttyACM0, COM3 or socket://host:port.")
]
TimeoutOption = Annotated[float, typer.Option(min=0.01, help="Longest wait for an answer, in seconds.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Find a board on a serial port, query it, send it a model, or emulate one.",
    epilog="Start with: edge-seq device emulate RUN.",
)


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the serial ports of this machine.

    Example: edge-seq device list --json
    """
    from edge_seq.device.transport import list_ports

    ports = list_ports()
    if as_json:
        print_json(ports)
    elif ports:
        rows = [[port["port"], port["description"], port["hardware_id"]] for port in ports]
        print_table("serial ports", ["port", "description", "hardware"], rows)
    else:
        print_line("no serial port found. Plug in a board, or emulate one: edge-seq device emulate RUN")


@app.command("ping")
def ping_command(
    port: PortOption,
    count: Annotated[int, typer.Option(min=1, help="Number of requests to send.")] = 5,
    baud: BaudOption = DEFAULT_BAUD,
    timeout: TimeoutOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Check whether a board answers, and how fast. The exit code is 1 if an answer is missing, 2 if none came.

    Example: edge-seq device ping --port /dev/ttyACM0
    """
    from edge_seq.workflow.device import ping

    result = ping(port, baud=baud, count=count, timeout_s=timeout)
    if as_json:
        print_json(result)
    else:
        print_line(
            f"{result.board} on {port}: {result.answered} of {result.sent} answers, {result.lowest_ms:.1f} to "
            f"{result.highest_ms:.1f} ms, mean {result.mean_ms:.1f} ms; {result.frame_errors} frame errors"
        )
    if result.answered < result.sent:
        raise typer.Exit(CHECK_FAILED)


@app.command("info")
def info_command(
    port: PortOption, baud: BaudOption = DEFAULT_BAUD, timeout: TimeoutOption = 1.0, as_json: JsonOption = False
) -> None:
    """Print the description that a board sends: model, sensor contract, memory, free stack and measured cost.

    Example: edge-seq device info --port /dev/ttyACM0 --json
    """
    from edge_seq.workflow.device import describe

    info = describe(port, baud=baud, timeout_s=timeout)
    if as_json:
        print_json(info)
    else:
        print_tables(info.tables())


@app.command("selftest")
def selftest_command(
    port: PortOption, baud: BaudOption = DEFAULT_BAUD, timeout: TimeoutOption = 1.0, as_json: JsonOption = False
) -> None:
    """Run a board's self-test: checksums of the constants, golden vectors. The exit code is 1 if a value differs.

    Example: edge-seq device selftest --port /dev/ttyACM0
    """
    from edge_seq.workflow.device import self_test

    result = self_test(port, baud=baud, timeout_s=timeout)
    if as_json:
        print_json(result)
    elif result.passed:
        print_line(f"{result.board} on {port}: the constants are whole, the golden vectors are met")
    else:
        print_line(
            f"{result.board} on {port}: THE SELF-TEST FAILED, status {result.result.status}, {result.result.fault}: "
            "the flash is damaged or the build is wrong"
        )
    if not result.passed:
        raise typer.Exit(CHECK_FAILED)


@app.command("load")
def load_command(
    blob: Annotated[Path, typer.Argument(help="Model from edge-seq export RUN --blob little.")],
    port: PortOption,
    any_contract: Annotated[
        bool, typer.Option(help="Load it also if its sample rate, channels or labels are not those of the firmware.")
    ] = False,
    key: KeyOption = None,
    baud: BaudOption = DEFAULT_BAUD,
    timeout: TimeoutOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Send a model to a board whose firmware can load models. The board runs it from its next start on.

    The board checks the model and runs its self-test first; until then it keeps the old one. If the connection or the
    power is lost, run the command again: it goes on where it was interrupted.

    With --key, a blob that is not the signed file is not sent, and the exit code is 1.

    Example: edge-seq device load runs/demo/lstm/exports/blob/lstm_little.blob --port /dev/ttyACM0
    """
    from edge_seq.evidence.signing import check_file
    from edge_seq.workflow.device import load_model

    if key is not None and (fault := check_file(blob, key)) is not None:
        print_error(ModelError(f"loading {blob.name}: {fault}. Nothing was sent"), as_json=as_json)
        raise typer.Exit(CHECK_FAILED)
    loaded = load_model(blob, port, any_contract=any_contract, baud=baud, timeout_s=timeout)
    if as_json:
        print_json(loaded)
    else:
        print_line(
            f"{loaded.board} on {port} holds model {loaded.model_hash[:16]}... ({loaded.sent_bytes:,} of "
            f"{loaded.blob_bytes:,} bytes sent). It passed its self-test and runs from the next start of the board on"
        )


@app.command("adapt")
def adapt_command(
    port: PortOption,
    label: Annotated[
        str | None,
        typer.Option(help="Class of what the board's sensor sees now; the board learns it.", show_default=False),
    ] = None,
    windows: Annotated[int, typer.Option(min=1, help="Number of labels of the board that are learned so.")] = 1,
    use: Annotated[
        str | None,
        typer.Option(
            help="factory: labels are those of the factory again. learned: what was learned is used. forget: it is "
            "erased.",
            show_default=False,
        ),
    ] = None,
    restore: Annotated[
        Path | None, typer.Option(help="File from --save, which the board takes first.", show_default=False)
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="File to which what was learned is written.", show_default=False)
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    timeout: TimeoutOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Teach a board whose head learns: its labels then fit this person or machine better. Without options: its status.

    While the board learns, its sensor must see what --label says. A wrong label can be undone by right ones, or by
    --use forget. What was learned is lost at the next start of the board, unless its firmware keeps it or you do.

    Example: edge-seq device adapt --port /dev/ttyACM0 --label walking --windows 5 --save mine.bin
    """
    from edge_seq.device.messages import HeadUse
    from edge_seq.workflow.device import adapt_device

    wanted = {one.name.lower(): one for one in HeadUse}
    if use is not None and use not in wanted:
        raise ConfigError(f"device adapt: --use {use} is unknown; give one of {', '.join(wanted)}")
    with progress("learning", windows, quiet=as_json or label is None) as update:
        adapted = adapt_device(
            port,
            label=label,
            windows=windows,
            use=None if use is None else wanted[use],
            restore=restore,
            save=save,
            baud=baud,
            timeout_s=timeout,
            progress=lambda done, of: update(done, of, "labels"),
        )
    if as_json:
        print_json(adapted)
    else:
        print_line(adapted.text())


def _what_ends() -> list[signal.Signals]:
    """Signals that end `emulate`, so that it leaves no process and no file behind."""
    ends = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        ends.append(signal.SIGHUP)  # sent when the terminal is closed
    return ends


@app.command("emulate")
def emulate_command(
    run: Annotated[Path, typer.Argument(help="Folder of an exported run.")],
    board: Annotated[
        str, typer.Option(help="Kind of board: qemu (an emulated Cortex-M4) or posix (a process of this machine).")
    ] = "qemu",
    rate: Annotated[
        float | None,
        typer.Option(
            help="Sample rate of the board's sensor in Hz. Default: the rate of the sensor contract.",
            show_default=False,
        ),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(
            help="Clock of qemu. instructions: time follows the executed instructions, so measured costs are the same "
            "in every run. host: time follows this machine, so the sensor also keeps a high rate. Default: "
            "instructions up to 200 Hz, host above.",
            show_default=False,
        ),
    ] = None,
    link: Annotated[
        Path | None,
        typer.Option(help="Path at which a symbolic link to the port is made. Default: no link.", show_default=False),
    ] = None,
    flash: Annotated[
        Path | None,
        typer.Option(
            help="File that stands for flash, in which a posix board keeps models that edge-seq device load sends. "
            "Default: the board takes no models.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build the firmware of a run, start it on an emulated board, and print the board's port.

    The emulated sensor plays held-out windows of the run in a loop. The board ends with this command (Ctrl-C, SIGTERM,
    a closed terminal).

    Example: edge-seq device emulate runs/demo/lstm --link board
    """
    from edge_seq.workflow.device import emulate
    from edge_seq.workflow.folder import open_run
    from firmware_export.running.board import choose_board, choose_clock

    opened, kind = open_run(run), choose_board(board)
    time_of = None if clock is None else choose_clock(clock)
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, stop) for number in _what_ends()}
    try:
        with emulate(
            opened,
            kind=kind,
            rate_hz=rate,
            clock=time_of,
            link=link,
            flash=flash,
            progress=lambda text: None if as_json else print_line(f"{text} ..."),
        ) as running:
            if as_json:
                print_json({"port": running.port, "board": kind, "process": running.process.pid}, one_line=True)
            else:
                print_line(
                    f"port: {running.port}\nCtrl-C ends the board. In another terminal: edge-seq device info --port "
                    f"{running.port}"
                )
            sys.stdout.flush()
            while not asked.wait(0.1):
                if running.process.poll() is not None:
                    raise ToolError(
                        f"the emulated board on {running.port} ended by itself with exit code "
                        f"{running.process.returncode}; start it again"
                    )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
