"""edge-seq export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_table


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a quantized run.")],
    as_json: JsonOption = False,
) -> None:
    """Write the models of a run as ONNX (float and integer, window and step) and as C99.

    Example: edge-seq export runs/hapt
    """
    from edge_seq.workflow.export import export_run
    from edge_seq.workflow.folder import open_run

    files = export_run(open_run(run))
    if as_json:
        print_json({"files": files})
        return
    print_table(f"exports of {run.name}", ["file", "bytes"], [[name, str(size)] for name, size in files.items()])
