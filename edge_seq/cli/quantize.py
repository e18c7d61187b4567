"""edge-seq quantize."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    JsonOption,
    percent,
    print_json,
    print_line,
    print_table,
    print_tables,
    print_warning,
    progress,
)
from edge_seq.support.figure_text import PARAMETERS_NOTE

if TYPE_CHECKING:
    from edge_seq.pipeline.quantization import QuantizationSummary


def print_summary(summary: QuantizationSummary) -> None:
    """Print size, cost, calibration, saturation and the tightest bounds of an integer model."""
    cost = summary.cost.cost
    print_line(
        f"{summary.parameters} parameters ({PARAMETERS_NOTE}): {summary.weight_bytes} bytes of weights and "
        f"biases, {summary.deployed_bytes} bytes in flash with padding and multipliers"
    )
    if summary.weight_bits is not None:
        print_line(f"bits of the recurrent layers' weights on states: {', '.join(map(str, summary.weight_bits))}")
    print_warning(summary.split_note.warning)
    print_line(
        f"float and integer model give the same label on "
        f"{percent(cost.agreement_rate)} of {cost.windows} {summary.cost.side} windows; difference of probabilities: "
        f"mean {cost.mean_abs_probability_error:.4f}, max {cost.max_abs_probability_error:.4f}"
    )
    found = summary.reliability.reliability
    print_tables([found.table(summary.reliability.side, summary.reliability.by)])
    print_line(found.temperature_text())
    rows = [[s.name, str(s.saturated), str(s.values), percent(s.share)] for s in summary.saturation]
    print_table("saturation on the calibration streams", ["value", "saturated", "of", "share"], rows)
    tightest = sorted(summary.range_proof, key=lambda bound: bound.slack)[:5]
    rows = [[b.name, f"{b.magnitude:,}", f"{b.limit:,}", f"{b.slack:.2f}"] for b in tightest]
    print_table("range proof: tightest bounds", ["accumulator or intermediate", "can reach", "limit", "slack"], rows)


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    weight_bits: Annotated[
        list[int] | None,
        typer.Option(
            "--weight-bits",
            metavar="8|4",
            help="Bits of the recurrent layers' weights on states: once for all layers, or once for each, from the "
            "input up. With 4 they take half of the flash. Default: quantization.weight_bits of the run, which is 8.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Quantize the float model of a run to an integer model, and prove that no input can make it overflow.

    The exit code is 1 if the two models give the same label on fewer validation windows than
    quantization.min_agreement_rate asks for (99 %); the errors by layer and gate are shown then. The integer model is
    written in any case.

    Example: edge-seq quantize runs/hapt
    """
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.quantize import quantize_run

    opened = open_run(run)
    with progress("quantizing", 1, quiet=as_json) as update:
        summary = quantize_run(opened, weight_bits=weight_bits or (), progress=update)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)
        if summary.note is not None:
            print_line(summary.note)
        if summary.warning is not None:
            _print_errors(summary)
        print_warning(summary.warning)
        print_line(f"next: edge-seq export {shlex.quote(str(run))}")
    if summary.warning is not None:
        raise typer.Exit(CHECK_FAILED)


def _print_errors(summary: QuantizationSummary) -> None:
    """Where the labels that differ come from: values with the largest errors for their size first."""
    shares = {one.name: one.rms_error / one.rms if one.rms else 0.0 for one in summary.by_gate}
    rows = [
        [one.name, percent(shares[one.name]), f"{one.rms_error:.5f}", f"{one.max_abs_error:.5f}"]
        for one in sorted(summary.by_gate, key=lambda one: -shares[one.name])
    ]
    columns = ["value", "error, share of its size", "error, rms", "largest error"]
    print_table("errors of the integer model by layer and gate, on calibration streams", columns, rows)
