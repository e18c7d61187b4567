"""edge-seq train."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import (
    JsonOption,
    SetOption,
    percent,
    print_json,
    print_line,
    print_table,
    print_warning,
    progress,
)
from edge_seq.ir.kind_names import CELL_NAMES, one_of

if TYPE_CHECKING:
    from edge_seq.pipeline.config import RunConfig
    from edge_seq.pipeline.learning.record import TrainingSummary


def command(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration (TOML). Default: built-in values and simulated car states.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run. An interrupted training resumes in it.")
    ] = Path("runs/run"),
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Data source (TOML, see datasets/README.md). Sets data.source of the configuration."
        ),
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(help=f"Recurrent cell: {one_of(CELL_NAMES)}. Sets training.cell of the configuration."),
    ] = None,
    hidden_size: Annotated[
        int | None,
        typer.Option(help="Hidden size of each layer. Sets training.hidden_size of the configuration."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of passes over the training windows; 0 makes 40, or as many as give 1,000 optimiser steps. "
            "Sets training.epochs of the configuration."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the training's random numbers. Sets training.seed of the configuration."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the model, a C identifier in lower case. Sets name of the configuration."),
    ] = None,
    one_class: Annotated[
        str | None,
        typer.Option(
            "--one-class",
            metavar="NORMAL",
            help="Learn this class alone, and call whatever differs from it an anomaly. Other classes are only "
            "measured with. Sets data.one_class.normal of the configuration.",
            show_default=False,
        ),
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            help="With --one-class: share of the normal validation windows that may be called anomalies. Default: "
            "0.01. Sets data.one_class.false_alarms of the configuration.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of a run, imported or trained. The training begins with its weights, its configuration and a "
            "learning rate of 0.001. Or folder of a search: a point of it is trained.",
            show_default=False,
        ),
    ] = None,
    point: Annotated[
        int | None,
        typer.Option(help="Number of the point of the search. Default: the one that the search chose.", min=1),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(help="Number of trainings with other seeds, each a run of its own: OUT/seed_0 and so on.", min=1),
    ] = 1,
    override: SetOption = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the complete configuration with all keys and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier on recordings and write it to a run folder.

    The recordings are split by group. The epoch with the best score on the validation groups is kept, and then the
    network is trained again on these groups too: --set training.learn_from=train leaves that out. The same command
    resumes an interrupted training.

    Example: edge-seq train --data datasets/hapt.toml --cell gru --hidden-size 32 --out runs/hapt
    Example: edge-seq train --from runs/imported --epochs 10 --out runs/tuned
    Example: edge-seq train --data fan.toml --one-class healthy --false-alarms 0.01 --out runs/fan
    Example: edge-seq train --from runs/search --point 3 --seeds 3 --out runs/found
    """
    from edge_seq.pipeline.config import config_to_dict, dump_config, load_config, quote
    from edge_seq.support.errors import ConfigError

    if false_alarms is not None and one_class is None and config is None and not override:
        raise ConfigError(
            f"training: --false-alarms {false_alarms:g} is of a training on one class; name that class with --one-class"
        )
    options = {
        "data.source": None if data is None else quote(str(data)),
        "data.one_class.normal": None if one_class is None else quote(one_class),
        "data.one_class.false_alarms": false_alarms,
        "training.cell": cell,
        "training.hidden_size": hidden_size,
        "training.epochs": epochs,
        "training.seed": seed,
        "name": None if name is None else quote(name),
    }
    overrides = [f"{key}={value}" for key, value in options.items() if value is not None] + (override or [])
    config, defaults = _start(start, point, config)
    overrides = [*defaults, *overrides]
    resolved = load_config(config, overrides)
    if show_config and as_json:
        print_json(config_to_dict(resolved))
        return
    if show_config:
        print_line(dump_config(resolved).rstrip())
        return

    from edge_seq.workflow.train import train_seeds

    with progress("training", seeds, quiet=as_json) as update:
        made = train_seeds(
            out,
            resolved,
            seeds,
            data_progress=lambda done, total: update(done, total, note="simulating drives"),
            epoch_progress=lambda runs, done, epochs, record: update(
                runs * epochs + done,
                epochs * seeds,
                note=record.note(done),
            ),
        )
    if as_json:
        shown = [{"run": str(path), **summary.to_dict()} for path, summary in made.items()]
        print_json(shown[0] if seeds == 1 else {"runs": shown})
        return
    for path, summary in made.items():
        _print_summary(path, resolved, summary)


def _start(start: Path | None, point: int | None, config: Path | None) -> tuple[Path | None, list[str]]:
    """Configuration and first overrides of a training that begins with a run or a search."""
    from edge_seq.support.errors import ConfigError

    if start is None:
        if point is not None:
            raise ConfigError(f"training: --point {point} is of a search; give its folder with --from")
        return config, []
    if config is not None:
        raise ConfigError(f"training from {start}: its configuration is taken; leave {config} out, and use --set")
    from edge_seq.tuning.points import is_study, point_config

    if is_study(start) or point is not None:
        return point_config(start, point), []
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.train import fine_tuning_options

    return fine_tuning_options(open_run(start))


def _print_summary(out: Path, resolved: RunConfig, summary: TrainingSummary) -> None:
    from edge_seq.pipeline.advice import few_steps_warning, mixing_note

    rows = [[side, str(summary.windows[side]), str(summary.groups[side])] for side in summary.windows]
    print_table(f"{summary.dataset}: windows by side of the split", ["side", "windows", "groups"], rows)
    for note in summary.reading:
        print_line(f"while reading: {note}")
    print_warning(summary.note.warning)
    best = summary.best
    if summary.one_class is not None:
        print_warning(summary.one_class.warning())
        print_line(
            f"{resolved.training.cell} with {resolved.training.hidden_size} units, epoch {summary.best_epoch} kept: it "
            f"tells {len(summary.one_class.changes)} ways of changing a window apart, "
            f"{percent(best.validation_accuracy)} right on validation windows"
        )
        print_line(summary.one_class.text())
    else:
        print_line(
            f"{resolved.training.cell} with {resolved.training.hidden_size} units, epoch {summary.best_epoch} kept: "
            f"validation accuracy {percent(best.validation_accuracy)}, macro-F1 {percent(best.validation_macro_f1)}"
        )
    if summary.again is not None:
        print_line(f"then {summary.again.text()}")
    warning = few_steps_warning(summary.optimiser_steps, resolved)
    print_line(f"{summary.optimiser_steps:,} optimiser steps{mixing_note(summary.mixup, resolved)}")
    print_warning(warning)
    print_line(f"next: edge-seq quantize {shlex.quote(str(out))}")
