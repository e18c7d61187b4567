"""edge-seq run."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from edge_seq.cli.output import BaudOption, print_line, print_stderr_line, print_stderr_warning
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader

    import numpy as np
    from numpy.typing import NDArray

    from edge_seq.ir.contract import SensorContract
    from edge_seq.live.engine import Engine
    from edge_seq.live.run import Decision
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
EngineOption = Annotated[
    Literal["c", "onnx"] | None,
    typer.Option(
        help="What computes the labels: c (the integer model's C, built for this computer once) or onnx (ONNX "
        "Runtime). Both give the same labels. Default: c for the integer model of a run folder, if there is a C "
        "compiler or the C was built before; else onnx.",
        show_default=False,
    ),
]


def _print_decisions(
    engine: Engine, samples: Iterable[NDArray[np.int16] | Gap | Start], *, most: int | None, as_json: bool
) -> None:
    from edge_seq.live.run import RunStats, decide_blocks
    from edge_seq.live.samples import Gap, Start

    stats, recording = RunStats(), dict[str, str]()  # the name of the recording, if the source tells them apart
    shown = _json_of if as_json else _text_of
    try:
        for item in decide_blocks(engine, at_most(samples, most), stats):
            if isinstance(item, Gap):
                print_stderr_warning(f"{item}; the window starts again")
                if as_json:
                    print_line(json_text({"gap_before_sample": item.sample, "lost": item.lost}, indent=None))
            elif isinstance(item, Start):
                recording = {"recording": item.recording}
                if not as_json:
                    print_line(f"recording {item.recording}: {item.samples:,} samples")
            else:
                print_line("\n".join([shown(decision, recording) for decision in item]))
            sys.stdout.flush()
    finally:
        print_stderr_line(f"edge-seq: {stats}" + (f" ({engine.described})" if stats.samples else ""))


def _json_of(decision: Decision, recording: dict[str, str]) -> str:
    decided = {} if decision.decision is None else {"decision": decision.decision}
    shown = {
        **recording,
        "sample": decision.sample,
        "time_s": decision.time_s,
        "label": decision.label,
        "probabilities": decision.probabilities,
        **decided,
    }
    try:
        return json.dumps(shown, allow_nan=False)  # a tenth of the time of json_text, which looks into each value
    except ValueError:
        return json_text(shown, indent=None)


def _text_of(decision: Decision, _: dict[str, str]) -> str:
    shares = "  ".join(f"{label} {share:.3f}" for label, share in decision.probabilities.items())
    decided = "" if decision.decision is None else f"{decision.decision:<20} "
    return f"{decision.time_s:10.2f} s  {decided}{decision.label:<20} {shares}"


def _run_port(model: Engine, port: str, baud: int, **options: Any) -> None:
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
    engine: EngineOption = None,
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
    """Run an exported model on a stream, sample by sample, and print a label whenever one is due.

    A file or folder is read as the run's data source says: any format, columns, units, rate. The model starts anew at
    each recording, whose name comes before its labels (with --json, as "recording" beside each). What is read is
    printed on stderr. Without a data source (standard input, a model file, a run on simulated data) a CSV with the
    names and units of the model's channels is read.

    The stream must match the sensor contract. A constant axis gives a warning. A gap in a file is an error, unless the
    data source cuts recordings at gaps; a gap on a serial port is printed, and the window starts again. With a decision
    stage, its decision is printed before the label.

    The integer model is computed by its C, which is built for this computer once and kept in the user's cache, or by
    ONNX Runtime; see --engine. The model's speed on this computer, in samples per second, is printed on stderr at the
    end. Neither torch nor the run's data are needed.

    Example: edge-seq run runs/demo/lstm --source drive.csv --json

    Example: edge-seq run runs/walks --source new_recordings/

    Example: edge-seq run runs/demo/lstm/exports/onnx/int_step.onnx --source /dev/ttyACM0
    """
    from edge_seq.live.samples import is_port
    from edge_seq.workflow.export import open_engine
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
    opened = open_engine(model, kind=kind, engine=engine, building=say_building)
    most = None if duration_s is None else round(duration_s * opened.contract.sample_rate_hz)
    if is_port(source):
        _run_port(opened, source, baud, most=most, as_json=as_json)
        return
    said = data_file_for(model, CONTRACT if by_contract else data)
    with ExitStack() as stack:
        options: dict[str, Any] = {"raw_counts": counts, "time_column": time_column, "warn": print_stderr_warning}
        label_every = opened.label_every
        samples = samples_of_source(stack, source, opened.contract, said, label_every=label_every, **options)
        _print_decisions(opened, samples, most=most, as_json=as_json)


def say_building() -> None:
    """Say that the C of a model is built."""
    print_stderr_line("edge-seq: building the model's C for this computer; the next run takes it from the cache")
    sys.stderr.flush()


def at_most(
    samples: Iterable[NDArray[np.int16] | Gap | Start], most: int | None
) -> Iterable[NDArray[np.int16] | Gap | Start]:
    """Yield at most ``most`` samples, or all if it is None. Samples lost in a gap count."""
    from edge_seq.live.samples import Gap, Start

    left = most
    for item in samples:
        if left is None or isinstance(item, Start):
            yield item
        elif isinstance(item, Gap):
            left -= item.lost or 0
            if left < 0:
                return
            yield item
        else:
            yield item[:left]
            left -= min(left, len(item))
        if left == 0:
            return


def samples_of_source(
    stack: ExitStack,
    source: str,
    contract: SensorContract,
    data: DataFile | None,
    *,
    raw_counts: bool = False,
    time_column: str | None = None,
    label_every: int = 1,
    warn: Warn,
) -> Iterator[NDArray[np.int16] | Start]:
    """Open a file, a folder or standard input (``-``) as a source of samples, and say on stderr how it is read.

    Args:
        stack: keeps the file open.
        source: path, or ``-``.
        contract: sensor contract of the model that takes the samples.
        data: data source that says how the file is written; None reads a CSV with the names of the model's channels.
        raw_counts, time_column, label_every, warn: see :func:`edge_seq.live.csv_stream.read_samples`.

    Raises:
        DataError, ContractError: the source does not exist, or does not fit the model.
    """
    from edge_seq.live.csv_lines import line_blocks
    from edge_seq.live.csv_stream import read_samples
    from edge_seq.live.samples import samples_of_recordings

    if data is not None and source != "-":
        from edge_seq.data.readers.for_model import other_recordings

        recordings = other_recordings(Path(source), data.source, data.file, contract, labels=None)
        print_stderr_line(f"edge-seq: {source} is {recordings.described()}")
        return samples_of_recordings(recordings, contract, name=Path(source).name, warn=warn)
    if source == "-":
        stream, name = cast("BufferedReader", sys.stdin.buffer), "standard input"
    else:
        stream, name = stack.enter_context(_open_text(source)), Path(source).name
    blocks = line_blocks(stream, name)
    options: dict[str, Any] = {"raw_counts": raw_counts, "time_column": time_column, "label_every": label_every}
    return read_samples(blocks, contract, name=name, warn=warn, **options)


def _open_text(source: str) -> BufferedReader:
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
    return path.open("rb")
