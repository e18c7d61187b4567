"""edge-seq record."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    BaudOption,
    JsonOption,
    print_json,
    print_line,
    print_stderr_line,
    print_stderr_warning,
)
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError

if TYPE_CHECKING:
    from edge_seq.ir.contract import SensorContract
    from edge_seq.live.record import Capture


@contextmanager
def _labels_by_key(labels: tuple[str, ...]) -> Iterator[Callable[[], str | None]]:
    from edge_seq.cli.keys import LABEL_KEYS, LabelKeys, key_presses

    if not sys.stdin.isatty():
        raise ConfigError("record: labels are chosen by key, but standard input is not a terminal; give --label")
    if len(labels) > len(LABEL_KEYS):
        raise ConfigError(
            f"record: {len(labels)} labels are more than the {len(LABEL_KEYS)} keys; give fewer with --labels"
        )
    with key_presses() as pressed:
        keys = LabelKeys(labels, pressed)
        print_stderr_line(f"keys: {keys.help}")
        yield keys


class _Progress:
    """Progress line on stderr, rewritten at most four times a second; none if stderr is not a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._last_s = 0.0
        self._wrote = False

    def __call__(self, capture: Capture, label: str) -> None:
        now_s = time.monotonic()
        if not self._shown or now_s - self._last_s < 0.25:
            return
        self._last_s, self._wrote = now_s, True
        line = progress_line(capture, label)
        sys.stderr.write(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    def warn(self, text: str) -> None:
        self.end()
        print_stderr_warning(text)

    def end(self) -> None:
        if self._wrote:
            sys.stderr.write("\n")
            self._wrote = False


def progress_line(capture: Capture, label: str) -> str:
    """Describe the state of a recording in one line: duration, samples, rate, gaps, frame errors, label."""
    rate = "measuring" if capture.rate_hz is None else f"{capture.rate_hz:,.1f} Hz"
    gaps = f"{capture.num_gaps} gaps, {capture.lost} lost" if capture.num_gaps else "no gaps"
    return (
        f"{capture.samples / capture.expected_hz:8.1f} s  {capture.samples:,} samples  "
        f"{rate} of {capture.expected_hz:g}  {gaps}  {capture.frame_errors} frame errors  label: {label or '(none)'}"
    )


_VERDICTS = {
    True: "the recording is complete",
    False: "THE RECORDING HAS GAPS OR ANOTHER RATE, see above",
    None: "no sample is missing, but the recording is too short to measure its rate: record two seconds or more",
}


def _print_summary(capture: Capture, path: Path) -> None:
    rate = "not measured" if capture.mean_rate_hz is None else f"{capture.mean_rate_hz:,.2f} Hz"
    print_line(f"{path}: {capture.samples:,} samples, {capture.samples / capture.expected_hz:.2f} s")
    print_line(f"  rate    {rate}, contract: {capture.expected_hz:g} Hz")
    for label, samples in sorted(capture.by_label.items()):
        print_line(f"  label   {label or '(none)'}: {samples:,} samples")
    restarts = f", {capture.restarts} restarts of the board" if capture.restarts else ""
    dropped = f" ({capture.dropped} of them on the board)" if capture.dropped else ""
    print_line(f"  gaps    {capture.num_gaps}, {capture.lost} samples lost{dropped}{restarts}")
    print_line(f"  wire    {capture.frame_errors} frame errors, {capture.reconnects} reconnects")
    if capture.beyond_full_scale:
        print_line(
            f"  beyond full scale: {capture.beyond_full_scale:,} samples; they are clipped when the file is read"
        )
    print_line(_VERDICTS[capture.whole])


def _contract_of_run(run: Path) -> tuple[SensorContract, tuple[str, ...]]:
    from edge_seq.ir.serialize import load_int_model
    from edge_seq.workflow.folder import open_run

    model = load_int_model(open_run(run).int_model)
    return model.contract, model.labels


def command(
    port: Annotated[
        str, typer.Option(help="Serial port of the board, such as /dev/ttyACM0, COM3 or socket://host:port.")
    ],
    out: Annotated[Path, typer.Option(help="CSV file to write. Its data source (.toml) is written beside it.")],
    label: Annotated[
        str | None,
        typer.Option(help="Label of all samples. Default: labels are chosen by key.", show_default=False),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels to choose from, separated by commas. Default: the board's labels.", show_default=False
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a run. The board must have its sensor contract, and its labels are used. Default: the "
            "board's own."
        ),
    ] = None,
    duration_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds of samples after which the recording ends. Default: it ends with q or Ctrl-C.",
            min=0,
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    baud: BaudOption = DEFAULT_BAUD,
    as_json: JsonOption = False,
) -> None:
    """Record a board's sensor with labels to a CSV file, which `edge-seq train --data FILE.toml` reads.

    Labels are chosen by key during the recording (1, 2, ... as shown; 0 for none; q ends), or with --label. Samples are
    written as they come, so a crash or a pulled plug costs at most the last second. The column lost_before marks gaps,
    and readers cut the recording there. The exit code is 1 if samples are missing or the measured rate differs from
    the contract.

    Example: edge-seq record --port /dev/ttyACM0 --out drive_07.csv --labels parked,normal_road,skid

    Example: edge-seq record --port socket://localhost:7000 --out walk.csv --label walk --duration-s 60 --json
    """
    from edge_seq.device.client import open_device
    from edge_seq.live.record import Capture, check_target, choose_labels, record

    check_target(out, force=force)
    contract, of_run = (None, ()) if run is None else _contract_of_run(run)
    progress, capture = _Progress(quiet=as_json), Capture(1.0)
    with open_device(port, baud=baud) as device:
        told = of_run or device.contract().labels
        classes = choose_labels(told, labels.split(",") if labels is not None else (), label)
        by_key = nullcontext(lambda: label) if label is not None else _labels_by_key(classes)
        with by_key as label_now:
            # Ctrl-C is the usual end of a recording without a duration.
            with suppress(KeyboardInterrupt):
                record(
                    device,
                    out,
                    label_now=label_now,
                    labels=classes,
                    contract=contract,
                    duration_s=duration_s,
                    force=force,
                    warn=progress.warn,
                    progress=lambda now: progress(now, (label if label is not None else label_now()) or ""),
                    capture=capture,
                )
            progress.end()
    if as_json:
        print_json({"file": str(out), **capture.to_dict()})
    else:
        _print_summary(capture, out)
    if capture.whole is False:
        raise typer.Exit(CHECK_FAILED)
