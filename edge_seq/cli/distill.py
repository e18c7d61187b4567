"""edge-seq distill."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import (
    JsonOption,
    SetOption,
    print_json,
    print_line,
    print_tables,
    print_warning,
    progress,
)
from edge_seq.ir.kind_names import CELL_NAMES, one_of


def command(
    teacher: Annotated[Path, typer.Argument(help="Folder of a run, trained or imported, whose model is learnt from.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new run. An interrupted training resumes.")],
    hidden_size: Annotated[int, typer.Option(help="Hidden size of each layer of the new model.")] = 16,
    cell: Annotated[
        str | None,
        typer.Option(help=f"Recurrent cell: {one_of(CELL_NAMES)}. Default: that of the run's configuration."),
    ] = None,
    layers: Annotated[int, typer.Option(help="Number of recurrent layers of the new model.")] = 1,
    epochs: Annotated[
        int | None, typer.Option(help="Number of passes over the training windows. Default: that of the run.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training's random numbers.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the new model. Default: that of the run.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Emulated target on which both models are measured, for example cortex_m4.")
    ] = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small network on the labels and on the answers of a large one, and compare the two.

    The loss is half that of the labels and half the divergence from the answers of the large model, both softened. The
    new run is quantized, and both integer models are scored on the same windows. The comparison is written to
    distillation.json of the new run.

    Example: edge-seq distill runs/imported --hidden-size 16 --target cortex_m4 --out runs/small
    """
    from edge_seq.pipeline.config import load_config, quote
    from edge_seq.workflow.distilling.distill import distill_run, distillation_options
    from edge_seq.workflow.folder import open_run
    from firmware_export.toolchain.target import load_target

    chosen = None if target is None else load_target(target)
    config, defaults = distillation_options(open_run(teacher))
    options = {
        "training.hidden_size": hidden_size,
        "training.num_layers": layers,
        "training.cell": cell,
        "training.epochs": epochs,
        "training.seed": seed,
        "name": None if name is None else quote(name),
    }
    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    resolved = load_config(config, [*defaults, *given, *(override or [])])
    with progress("distilling", 1, quiet=as_json) as update:
        result = distill_run(
            out,
            resolved,
            target=chosen,
            progress=lambda what: update(1, 1, note=what),
            epoch_progress=lambda done, epochs, record: update(done, epochs, note=record.note(done)),
        )
    if as_json:
        print_json({"run": str(out), **result.to_dict()})
        return
    print_tables(result.tables(), name=out.name)
    print_warning(result.note.warning)
    for line in result.lines():
        print_line(line)
    print_line(f"next: edge-seq export {shlex.quote(str(out))}")
