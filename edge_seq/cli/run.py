"""edge-seq run."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edge_seq.cli.output import BaudOption, print_line, print_stderr_warning
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from edge_seq.backends.onnx.run import OnnxModel
    from edge_seq.live.samples import Gap


def _print_decisions(
    model: OnnxModel, samples: Iterable[NDArray[np.int16] | Gap], *, most: int | None, as_json: bool
) -> None:
    from edge_seq.live.run import RunStats, decide
    from edge_seq.live.samples import Gap

    stats = RunStats()
    try:
        for decision in decide(model, at_most(samples, most), stats):
            if isinstance(decision, Gap):
                print_stderr_warning(f"{decision}; the window starts again")
                if as_json:
                    print_line(json_text({"gap_before_sample": decision.sample, "lost": decision.lost}, indent=None))
            elif as_json:
                shown = {name: value for name, value in asdict(decision).items() if (name, value) != ("decision", None)}
                print_line(json_text(shown, indent=None))
            else:
                shares = "  ".join(f"{label} {share:.3f}" for label, share in decision.probabilities.items())
                decided = "" if decision.decision is None else f"{decision.decision:<20} "
                print_line(f"{decision.time_s:10.2f} s  {decided}{decision.label:<20} {shares}")
            sys.stdout.flush()
    finally:
        sys.stderr.write(f"edge-seq: {stats}\n")


def _run_text(
    model: OnnxModel, stream: TextIO, *, name: str, raw_counts: bool, time_column: str | None, **options: Any
) -> None:
    from edge_seq.live.run import read_samples

    samples = read_samples(
        stream, model.contract, raw_counts=raw_counts, name=name, time_column=time_column, warn=print_stderr_warning
    )
    _print_decisions(model, samples, **options)


def _run_port(model: OnnxModel, port: str, baud: int, **options: Any) -> None:
    from edge_seq.device.client import open_device
    from edge_seq.live.samples import samples_of

    with open_device(port, baud=baud) as device:
        samples = samples_of(device, model.contract, warn=print_stderr_warning)
        with closing(samples):
            _print_decisions(model, samples, **options)


def command(
    model: Annotated[Path, typer.Argument(help="Folder of an exported run, or a step model (.onnx).")],
    source: Annotated[
        str, typer.Option(help="Source of samples: a CSV file with a header, - for standard input, or a serial port.")
    ] = "-",
    kind: Annotated[
        str | None,
        typer.Option(
            help="Model of a run folder: int (integer) or float. Not for a model file. Default: int.",
            show_default=False,
        ),
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="The values are raw sensor counts, not in the contract's units.")
    ] = False,
    time_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the time in seconds, from which rate and gaps are checked. '' checks nothing. Default: "
            "t or time, if there is one.",
            show_default=False,
        ),
    ] = None,
    duration_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds of samples, at the contract's rate, after which the run stops. Default: end of the stream.",
            min=0,
            show_default=False,
        ),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")] = False,
) -> None:
    """Run an exported ONNX model on a stream, sample by sample, and print a label whenever one is due.

    The stream must match the sensor contract. Its rate is checked in every window, its full scale in the first one. A
    constant axis gives a warning. A gap in a file is an error; a gap on a serial port is printed, and the window starts
    again. With a decision stage, its decision is printed before the label.

    The model's speed on this computer, in samples per second, is printed on stderr at the end. Neither torch nor the
    run's data are needed.

    Example: edge-seq run runs/demo/lstm --source drive.csv --json

    Example: edge-seq run runs/demo/lstm/exports/onnx/int_step.onnx --source /dev/ttyACM0
    """
    from edge_seq.live.samples import is_port
    from edge_seq.workflow.export import open_step_model

    if is_port(source) and (counts or time_column is not None):
        raise ConfigError(
            f"run: --counts and --time-column are for CSV text, but {source} is a serial port; leave them out"
        )
    opened = open_step_model(model, kind=kind)
    most = None if duration_s is None else round(duration_s * opened.contract.sample_rate_hz)
    text: dict[str, Any] = {"raw_counts": counts, "time_column": time_column, "most": most, "as_json": as_json}
    if is_port(source):
        _run_port(opened, source, baud, most=most, as_json=as_json)
    elif source == "-":
        _run_text(opened, sys.stdin, name="standard input", **text)
    else:
        with open_source_file(source) as stream:
            _run_text(opened, stream, name=Path(source).name, **text)


def at_most(samples: Iterable[NDArray[np.int16] | Gap], most: int | None) -> Iterable[NDArray[np.int16] | Gap]:
    """Yield at most ``most`` samples, or all if it is None. Samples lost in a gap count."""
    from edge_seq.live.samples import Gap

    left = most
    for item in samples:
        if left is not None:
            left -= (item.lost or 0) if isinstance(item, Gap) else 1
            if left < 0:
                return
        yield item
        if left == 0:
            return


def open_source_file(source: str) -> TextIO:
    """Open the text of a recording.

    Raises:
        DataError: there is no such file, or it is a folder.
    """
    path = Path(source)
    if path.is_dir():
        raise DataError(
            f"source {source} is a folder; give one CSV file with a header, a port, or - for standard input"
        )
    if not path.is_file():
        raise DataError(
            f"source {source} does not exist; give a CSV file with a header, a port such as /dev/ttyACM0 or COM3, or - "
            "for standard input"
        )
    return path.open(encoding="utf-8-sig", newline="")
