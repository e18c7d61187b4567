"""edge-seq export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line, print_table


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
    onnx: Annotated[
        Literal["portable"] | None,
        typer.Option(
            "--onnx",
            help="portable: also write the integer window graph for runtimes that have no Scan or compute integers in "
            "float32, such as OpenVINO or Apache TVM. The step graph is always portable.",
            show_default=False,
        ),
    ] = None,
    blob: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the model as a blob that a firmware loads while it runs, for processors of this byte "
            "order: little (nearly all) or big. May be given twice.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the models of a run as ONNX (float and integer, window and step) and as C99.

    A package is a folder exports/packages/NAME with the runtime, the model, an example that runs, and a README with the
    sensor contract and the memory. Packages of several models can be copied over each other; they share the runtime. A
    package that the run already has is written again. A runtime that has no Scan takes the step graph, or the window
    graph of --onnx portable; for windows of more than 512 samples that has a Loop. ONNX Runtime before 1.19 refuses the
    graphs that it would compute wrongly.

    A blob is a file exports/blob/NAME_little.blob. edge-seq device load sends it to a board.

    Files of an earlier export that are not written now, such as those of a model with another name, are removed and
    named, unless somebody changed them.

    Example: edge-seq export runs/hapt
    Example: edge-seq export runs/hapt --package arduino --package cmake
    Example: edge-seq export runs/hapt --blob little
    """
    from edge_seq.workflow.export import export_run
    from edge_seq.workflow.folder import open_run

    exported = export_run(open_run(run), package or [], blob or [], portable=onnx == "portable")
    if as_json:
        print_json(exported)
        return
    single, packages = split_packages(exported.files)
    print_table(f"exports of {run.name}", ["file", "bytes"], [[name, str(size)] for name, size in single.items()])
    if packages:
        rows = [[folder, str(len(sizes)), str(sum(sizes))] for folder, sizes in packages.items()]
        print_table("packages; each has a README beside the model", ["folder", "files", "bytes"], rows)
    if exported.removed:
        print_line(f"removed, as this export has them no more: {', '.join(exported.removed)}")
    if exported.left:
        print_line(f"not of this export, but changed since an earlier one and left: {', '.join(exported.left)}")


def split_packages(files: Mapping[str, int]) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Split exported files into single ones with their sizes, and packages with the sizes of their files.

    >>> split_packages({"exports/c/car.c": 7, "exports/packages/plain/car.c": 7, "exports/packages/plain/car.h": 2})
    ({'exports/c/car.c': 7}, {'exports/packages/plain': [7, 2]})
    """
    single: dict[str, int] = {}
    packages: dict[str, list[int]] = {}
    for name, size in files.items():
        parts = name.split("/")
        if parts[1] == "packages":
            packages.setdefault("/".join(parts[:3]), []).append(size)
        else:
            single[name] = size
    return single, packages
