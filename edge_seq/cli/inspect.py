"""edge-seq inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_seq.cli.output import PARAMETERS_NOTE, JsonOption, print_json, print_line, print_table
from edge_seq.support.figure_text import stage_text


def print_contract(contract: dict[str, Any]) -> None:
    """The sensor contract as a table."""
    rows = [[c["name"], c["unit"], f"{c['counts_per_unit']:g}", f"{c['full_scale']:g}"] for c in contract["channels"]]
    title = (
        f"sensor contract: {contract['sample_rate_hz']:g} Hz, window {contract['window_length']} samples, "
        f"stride {contract['window_stride']}, preprocessing {contract['preprocessing']['step']}"
    )
    print_table(title, ["channel", "unit", "counts a unit", "full scale"], rows)


def command(
    path: Annotated[Path, typer.Argument(help="Folder of a run, a saved model (.safetensors) or an export (.onnx).")],
    as_json: JsonOption = False,
) -> None:
    """Show what a model is: sensor contract, layers, sizes, hash, range proof.

    Example: edge-seq inspect runs/demo/lstm
    """
    from edge_seq.workflow.inspect import inspect_path

    summary = inspect_path(path)
    if as_json:
        print_json(summary)
        return
    print_line(f"{summary['name']}: {summary['kind']} model, hash {summary['model_hash'][:16]}")
    print_line(f"labels: {', '.join(summary['labels'])}")
    print_contract(summary["contract"])
    if "layers" in summary:
        rows = [[str(i), layer["cell"], str(layer["hidden_size"])] for i, layer in enumerate(summary["layers"])]
        print_table("layers", ["layer", "cell", "hidden size"], rows)
    if (stage := summary["readout"].get("decision")) is not None:
        print_line(f"decision stage: {stage_text(stage)}")
    for name, title in (
        ("parameters", f"parameters ({PARAMETERS_NOTE})"),
        ("weight_bytes", "bytes of weights and biases"),
        ("deployed_bytes", "bytes as deployed, with padding and multipliers"),
    ):
        if name in summary:
            print_line(f"{title}: {summary[name]}")
    if "range_proof" in summary:
        rows = [
            [b["name"], str(b["row"]), f"{b['magnitude']:,}", f"{b['limit']:,}", f"{b['slack']:.2f}"]
            for b in summary["range_proof"]
        ]
        columns = ["accumulator or intermediate", "row", "can reach", "limit", "slack"]
        print_table("range proof: what any input can bring about", columns, rows)
