"""edge-seq page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a quantized run.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="HTML file to write. Default: reports/page.html in the run.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page that runs the model: open a CSV, or use a phone's own sensor, and watch it decide.

    The page holds the exported C as WebAssembly and runs its self-test first. It needs no network. It reads CSV files
    with the names and units of the model's channels, and those that the run was trained on, if they are plain CSV; it
    says what it took each column for, and refuses the rest. A browser gives a phone's sensor only to a page that comes
    from an https:// address.

    The compiler is a wheel: pip install "edge-seq[compiler]".

    Example: edge-seq page runs/demo/lstm --out demo.html
    """
    from edge_seq.workflow.export import write_page
    from edge_seq.workflow.folder import open_run

    place = write_page(open_run(run), out)
    if as_json:
        print_json({"page": str(place), "bytes": place.stat().st_size})
    else:
        print_line(f"page: {place}, {place.stat().st_size:,} bytes; open it in a browser, or put it on a web server")
