"""edge-seq run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from edge_seq.cli.output import print_line, print_stderr_warning
from edge_seq.errors import DataError
from edge_seq.files import json_text

if TYPE_CHECKING:
    from edge_seq.backends.onnx_run import OnnxModel


def _print_decisions(
    model: OnnxModel, stream: TextIO, *, name: str, raw_counts: bool, time_column: str | None, as_json: bool
) -> None:
    from edge_seq.workflow.run import decide, read_samples

    samples = read_samples(
        stream, model.contract, raw_counts=raw_counts, name=name, time_column=time_column, warn=print_stderr_warning
    )
    for decision in decide(model, samples):
        if as_json:
            shown = {name: value for name, value in asdict(decision).items() if (name, value) != ("decision", None)}
            print_line(json_text(shown, indent=None))
        else:
            shares = "  ".join(f"{label} {share:.3f}" for label, share in decision.probabilities.items())
            decided = "" if decision.decision is None else f"{decision.decision:<20} "
            print_line(f"{decision.time_s:10.2f} s  {decided}{decision.label:<20} {shares}")
        sys.stdout.flush()


def command(
    model: Annotated[Path, typer.Argument(help="Folder of an exported run, or a step model (.onnx).")],
    source: Annotated[str, typer.Option(help="CSV file with a header, or - for standard input.")] = "-",
    kind: Annotated[
        str | None, typer.Option(help="Of a run folder: the int (if not given) or the float model.", show_default=False)
    ] = None,
    counts: Annotated[
        bool, typer.Option("--counts", help="Values are raw counts, not in the contract's units.")
    ] = False,
    time_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the time in seconds, to check rate and gaps. If not given: t or time, where there is "
            "one. '' checks none.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run an exported ONNX model over a stream, sample by sample, and print a label whenever one is due.

    The stream must hold to the sensor contract: its rate and full scale are checked on the first window, gaps all the
    way. Needs neither torch nor the run's data. Stops at the end of the stream. With a decision stage, what it decides
    stands before the label.

    Example: edge-seq run runs/demo/lstm --source drive.csv --json
    """
    from edge_seq.workflow.run import open_step_model

    opened = open_step_model(model, kind=kind)
    if source == "-":
        _print_decisions(
            opened, sys.stdin, name="standard input", raw_counts=counts, time_column=time_column, as_json=as_json
        )
        return
    path = Path(source)
    if path.is_dir():
        raise DataError(f"source {source} is a folder; give one CSV file with a header, or - for standard input")
    if not path.is_file():
        raise DataError(f"source {source} does not exist; give a CSV file with a header, or - for standard input")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        _print_decisions(opened, stream, name=path.name, raw_counts=counts, time_column=time_column, as_json=as_json)
