"""edge-seq export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_table


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a quantized run.")],
    package: Annotated[
        list[str] | None,
        typer.Option(
            help="Also arrange the C for a build system: arduino, cmake, cmsis-pack, esp-idf, plain (all files in one "
            "folder), platformio, stm32cube, wasm or zephyr. May be given several times.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the models of a run as ONNX (float and integer, window and step) and as C99.

    A package is a folder exports/packages/NAME with the runtime, the model, an example that runs, and a README with the
    sensor contract and the memory. Packages of several models can be copied over each other; they share the runtime. A
    package that the run already has is written again.

    Example: edge-seq export runs/hapt
    Example: edge-seq export runs/hapt --package arduino --package cmake
    """
    from edge_seq.workflow.export import export_run
    from edge_seq.workflow.folder import open_run

    files = export_run(open_run(run), package or [])
    if as_json:
        print_json({"files": files})
        return
    print_table(f"exports of {run.name}", ["file", "bytes"], [[name, str(size)] for name, size in files.items()])
