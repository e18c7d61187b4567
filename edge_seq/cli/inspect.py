"""edge-seq inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_tables


def command(
    path: Annotated[Path, typer.Argument(help="Folder of a run, a saved model (.safetensors) or an export (.onnx).")],
    as_json: JsonOption = False,
) -> None:
    """Show a model: sensor contract, layers, sizes, hash and range proof.

    Example: edge-seq inspect runs/demo/lstm
    """
    from edge_seq.ir.describe import range_table
    from edge_seq.workflow.export import inspect_path

    description = inspect_path(path)
    if as_json:
        print_json(description)
        return
    print_line(f"{description.name}: {description.kind} model, hash {description.model_hash[:16]}")
    print_line(f"labels: {', '.join(description.labels)}")
    print_tables(description.details())
    if description.readout.decision is not None:
        print_line(f"decision stage: {description.readout.decision.text()}")
    for title, size in description.sizes().items():
        print_line(f"{title}: {size}")
    if description.range_proof is not None:
        print_tables([range_table(description.range_proof)])
