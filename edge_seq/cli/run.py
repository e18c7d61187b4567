"""edge-seq run."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edge_seq.cli.output import BaudOption, print_line, print_stderr_line, print_stderr_warning
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from edge_seq.backends.onnx.run import OnnxModel
    from edge_seq.live.samples import Gap, Start, Warn
    from edge_seq.workflow.folder import DataFile

NO_CSV = (".parquet", ".npz", ".npy", ".mat", ".h5", ".hdf5", ".gz", ".zip", ".json", ".cbor")

DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data source (TOML) that says how a file is written, or `contract` for a CSV with the names and units of "
        "the model's channels. Default: the data source that the run was trained with, if there is one.",
        show_default=False,
    ),
]


def _print_decisions(
    model: OnnxModel, samples: Iterable[NDArray[np.int16] | Gap | Start], *, most: int | None, as_json: bool
) -> None:
    from edge_seq.live.run import RunStats, decide
    from edge_seq.live.samples import Gap, Start

    stats, recording = RunStats(), dict[str, str]()  # the name of the recording, if the source tells them apart
    try:
        for decision in decide(model, at_most(samples, most), stats):
            if isinstance(decision, Gap):
                print_stderr_warning(f"{decision}; the window starts again")
                if as_json:
                    print_line(json_text({"gap_before_sample": decision.sample, "lost": decision.lost}, indent=None))
            elif isinstance(decision, Start):
                recording = {"recording": decision.recording}
                if not as_json:
                    print_line(f"recording {decision.recording}: {decision.samples:,} samples")
            elif as_json:
                shown = {name: value for name, value in asdict(decision).items() if (name, value) != ("decision", None)}
                print_line(json_text({**recording, **shown}, indent=None))
            else:
                shares = "  ".join(f"{label} {share:.3f}" for label, share in decision.probabilities.items())
                decided = "" if decision.decision is None else f"{decision.decision:<20} "
                print_line(f"{decision.time_s:10.2f} s  {decided}{decision.label:<20} {shares}")
            sys.stdout.flush()
    finally:
        print_stderr_line(f"edge-seq: {stats}")


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
        str,
        typer.Option(
            help="Source of samples: a file or folder of recordings, - for CSV on standard input, or a serial port."
        ),
    ] = "-",
    data: DataOption = None,
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

    A file or folder is read as the run's data source says: any format, columns, units, rate. The model starts anew at
    each recording, whose name comes before its labels (with --json, as "recording" beside each). What is read is
    printed on stderr. Without a data source (standard input, a model file, a run on simulated data) a CSV with the
    names and units of the model's channels is read.

    The stream must match the sensor contract. A constant axis gives a warning. A gap in a file is an error, unless the
    data source cuts recordings at gaps; a gap on a serial port is printed, and the window starts again. With a decision
    stage, its decision is printed before the label.

    The model's speed on this computer, in samples per second, is printed on stderr at the end. Neither torch nor the
    run's data are needed.

    Example: edge-seq run runs/demo/lstm --source drive.csv --json

    Example: edge-seq run runs/walks --source new_recordings/

    Example: edge-seq run runs/demo/lstm/exports/onnx/int_step.onnx --source /dev/ttyACM0
    """
    from edge_seq.live.samples import is_port
    from edge_seq.workflow.export import open_step_model
    from edge_seq.workflow.folder import CONTRACT, data_file_for

    if is_port(source) and (counts or time_column is not None or data is not None):
        raise ConfigError(
            f"run: --counts, --time-column and --data are for files, but {source} is a serial port; leave them out"
        )
    by_contract = counts or time_column is not None
    if by_contract and data not in (None, CONTRACT):
        raise ConfigError(
            f"run: --counts and --time-column are for a CSV with the channels of the model, but {data} says units and "
            "times itself; leave them out, or leave --data out"
        )
    opened = open_step_model(model, kind=kind)
    most = None if duration_s is None else round(duration_s * opened.contract.sample_rate_hz)
    if is_port(source):
        _run_port(opened, source, baud, most=most, as_json=as_json)
        return
    said = data_file_for(model, CONTRACT if by_contract else data)
    with ExitStack() as stack:
        samples = samples_of_source(
            stack, source, opened, said, raw_counts=counts, time_column=time_column, warn=print_stderr_warning
        )
        _print_decisions(opened, samples, most=most, as_json=as_json)


def at_most(
    samples: Iterable[NDArray[np.int16] | Gap | Start], most: int | None
) -> Iterable[NDArray[np.int16] | Gap | Start]:
    """Yield at most ``most`` samples, or all if it is None. Samples lost in a gap count."""
    from edge_seq.live.samples import Gap, Start

    left = most
    for item in samples:
        if left is not None and not isinstance(item, Start):
            left -= (item.lost or 0) if isinstance(item, Gap) else 1
            if left < 0:
                return
        yield item
        if left == 0:
            return


def samples_of_source(
    stack: ExitStack,
    source: str,
    model: OnnxModel,
    data: DataFile | None,
    *,
    raw_counts: bool = False,
    time_column: str | None = None,
    warn: Warn,
) -> Iterator[NDArray[np.int16] | Start]:
    """Open a file, a folder or standard input (``-``) as a source of samples, and say on stderr how it is read.

    Args:
        stack: keeps the file open.
        source: path, or ``-``.
        model: model that takes the samples.
        data: data source that says how the file is written; None reads a CSV with the names of the model's channels.
        raw_counts, time_column, warn: see :func:`edge_seq.live.run.read_samples`.

    Raises:
        DataError, ContractError: the source does not exist, or does not fit the model.
    """
    from edge_seq.live.run import read_samples
    from edge_seq.live.samples import samples_of_recordings

    if data is not None and source != "-":
        from edge_seq.data.readers.for_model import other_recordings

        recordings = other_recordings(Path(source), data.source, data.file, model.contract, labels=None)
        print_stderr_line(f"edge-seq: {source} is {recordings.described()}")
        return samples_of_recordings(recordings, model.contract, name=Path(source).name, warn=warn)
    if source == "-":
        stream, name = sys.stdin, "standard input"
    else:
        stream, name = stack.enter_context(_open_text(source)), Path(source).name
    options = {"raw_counts": raw_counts, "time_column": time_column}
    return read_samples(stream, model.contract, name=name, warn=warn, **options)  # type: ignore[arg-type]


def _open_text(source: str) -> TextIO:
    """Open the text of a recording.

    Raises:
        DataError: there is no such file, it is a folder, or its suffix is not that of a text.
    """
    path = Path(source)
    how = (
        f"make a data source, which says how it is written: edge-seq data check {shlex.quote(source)} --write "
        "data.toml, and give it with --data data.toml"
    )
    if path.is_dir():
        raise DataError(f"source {source} is a folder; {how}. Without one, give a CSV file, a port, or -")
    if not path.is_file():
        raise DataError(
            f"source {source} does not exist; give a file, a folder, a port such as /dev/ttyACM0 or COM3, or - for "
            "standard input"
        )
    if path.suffix.lower() in NO_CSV:
        raise DataError(f"source {source} is no CSV; {how}")
    return path.open(encoding="utf-8-sig", newline="")
