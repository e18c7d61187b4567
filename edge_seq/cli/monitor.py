"""edge-seq monitor."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import BaudOption, JsonOption, print_json, print_line, print_stderr_line
from edge_seq.cli.run import DataOption, samples_of_source, say_building
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError

if TYPE_CHECKING:
    from edge_seq.live.engine import Engine
    from edge_seq.live.monitor import MonitorState
    from edge_seq.workflow.folder import DataFile

REDRAW_S = 0.2
Watch = Callable[[threading.Event], None]


def _open_model(model: Path | None) -> Engine | None:
    from edge_seq.workflow.export import open_engine

    return None if model is None else open_engine(model, building=say_building)


def _open_source(
    stack: ExitStack,
    port: str | None,
    source: str | None,
    model: Engine | None,
    data: DataFile | None,
    baud: int,
    speed: float,
) -> tuple[MonitorState, Watch]:
    """Open the board or the file. Return the monitor's state and the function that fills it until it is stopped."""
    from edge_seq.device.client import open_device
    from edge_seq.live import monitor

    if port is not None:
        device = stack.enter_context(open_device(port, baud=baud))
        state = monitor.state_of_board(device, model)
        return state, lambda stop: monitor.watch_board(device, state, stop, model)
    assert source is not None
    assert model is not None  # the command checked both
    of_file = monitor.state_of_file(Path(source).name, model)
    samples = samples_of_source(stack, source, model.contract, data, warn=of_file.say)
    return of_file, lambda stop: monitor.watch_samples(samples, of_file, stop, model, speed=speed)


class _Watcher(threading.Thread):
    """Thread that fills the monitor's state and keeps the error that ended it."""

    def __init__(self, watch: Watch, state: MonitorState) -> None:
        super().__init__(name="edge-seq monitor: source", daemon=True)
        self._watch, self._state = watch, state
        self.stop_asked = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._watch(self.stop_asked)
            self._state.ended = "the end of the recording"
        except Exception as error:  # noqa: BLE001 - the command raises it again in its own thread
            self.error = error
            self._state.ended = "an error"
            self._state.say(str(error))

    def stop(self) -> None:
        self.stop_asked.set()
        if self.is_alive():  # not if an error came before it was started
            self.join(timeout=5)


def _show(state: MonitorState, running: Callable[[], bool], *, plain: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from edge_seq.cli.monitor_view import view

    console = Console(file=sys.stdout, highlight=False)
    if plain or not console.is_terminal:
        while running():
            time.sleep(REDRAW_S)
        return
    about = state.about()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while running():
            live.update(view(about, state.snapshot(), width=console.width), refresh=True)
            time.sleep(REDRAW_S)
    console.print(view(about, state.snapshot(), width=console.width))


def command(
    port: Annotated[
        str | None,
        typer.Option(
            help="Serial port of a board, such as /dev/ttyACM0, COM3 or socket://host:port.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="File or folder of recordings to play instead of a board. Needs --model.", show_default=False
        ),
    ] = None,
    data: DataOption = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Run folder or step model (.onnx) that is run on this computer. Default: the board's own decisions "
            "are shown."
        ),
    ] = None,
    web: Annotated[bool, typer.Option("--web", help="Show a web page instead. Its address is printed.")] = False,
    web_port: Annotated[int, typer.Option(help="TCP port of the web page; 0 takes a free one.", min=0, max=65535)] = 0,
    speed: Annotated[
        float, typer.Option(help="Playing speed of a file as a multiple of the recorded speed.", min=0.01)
    ] = 1.0,
    duration_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds after which the monitor ends. Default: it ends with the recording or with Ctrl-C.",
            min=0,
            show_default=False,
        ),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    as_json: JsonOption = False,
) -> None:
    """Watch a board or a recording live: signals, probabilities, decisions, and lost samples.

    A recording is read as the data source of the model's run says; see edge-seq run.

    The monitor runs in the terminal, or with --web as a page that only this computer can open. With --json nothing is
    drawn, and the result is printed at the end.

    Example: edge-seq monitor --port /dev/ttyACM0

    Example: edge-seq monitor --source drive.csv --model runs/demo/lstm --speed 10 --web
    """
    from edge_seq.workflow.folder import data_file_for

    if (port is None) == (source is None):
        raise ConfigError("monitor: give one of --port (a board) and --source (a recording)")
    if source is not None and model is None:
        raise ConfigError("monitor: --source needs a model that classifies the recording; give --model RUN")
    if port is not None and data is not None:
        raise ConfigError("monitor: --data says how a file is written, but --port is a board; leave it out")
    said = data_file_for(model, data) if source is not None and model is not None else None
    with ExitStack() as stack:
        state, watch = _open_source(stack, port, source, _open_model(model), said, baud, speed)
        watcher = _Watcher(watch, state)
        stack.callback(watcher.stop)
        until = None if duration_s is None else time.monotonic() + duration_s

        def running() -> bool:
            return watcher.is_alive() and (until is None or time.monotonic() < until)

        if web:
            from edge_seq.live.monitor_web import MonitorServer

            server = stack.enter_context(MonitorServer(state, port=web_port))
            print_stderr_line(f"edge-seq: the monitor is at {server.url} (this computer only; Ctrl-C ends it)")
            sys.stderr.flush()
        watcher.start()
        with suppress(KeyboardInterrupt):  # Ctrl-C is the usual end
            _show(state, running, plain=as_json or web)
            if web and source is not None and watcher.error is None:
                _stay(until)
        watcher.stop()
    _report(state, watcher.error, as_json=as_json)


def _stay(until: float | None) -> None:
    """Keep the page of a finished recording open until Ctrl-C or the end of the duration."""
    while until is None or time.monotonic() < until:
        time.sleep(REDRAW_S)


def _report(state: MonitorState, error: BaseException | None, *, as_json: bool) -> None:
    if error is not None:
        raise error
    snapshot = state.snapshot()
    if as_json:
        print_json({**state.about().to_dict(), **snapshot.to_dict()})
        return
    print_line(
        f"{snapshot.samples:,} samples, {snapshot.next_decision:,} decisions, {snapshot.frame_errors} frame "
        f"errors, {snapshot.gaps} gaps, {snapshot.lost} samples lost"
    )
