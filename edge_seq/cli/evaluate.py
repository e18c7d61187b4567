"""edge-seq evaluate."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_seq.cli.output import (
    JsonOption,
    print_json,
    print_line,
    print_stderr_line,
    print_stderr_warning,
    print_tables,
    print_warning,
    progress,
)
from edge_seq.cli.run import DataOption
from edge_seq.support.errors import ConfigError

if TYPE_CHECKING:
    from edge_seq.data.readers.for_model import OtherRecordings
    from edge_seq.scores.evaluation import Evaluation, StreamEvaluation
    from edge_seq.workflow.folder import RunFolder


def _print_streams(results: StreamEvaluation, name: str) -> None:
    overall, *others = results.tables()
    print_tables([overall], name=name)
    print_warning(results.note.warning)
    print_tables(others)
    for sentence in results.sentences():
        print_line(sentence)


def _print_windows(results: Evaluation, name: str) -> None:
    scores, *others, confusion = results.tables()
    print_tables([scores], name=name)
    print_warning(results.note.warning)
    print_tables(others)
    if results.reliability is not None:
        print_line(results.reliability.temperature_text())
    print_tables([confusion])
    for line in results.advice or ():
        print_line(line)


def _other_recordings(run: RunFolder, source: Path, data: str | None) -> OtherRecordings:
    """Recordings that are not of the run, read by its data source or another."""
    from edge_seq.data.readers.for_model import other_recordings
    from edge_seq.workflow.evaluate import class_names
    from edge_seq.workflow.folder import data_file_for, load_run_float

    model = load_run_float(run)
    found = data_file_for(run.path, data)
    if found is None:
        raise ConfigError(
            f"evaluate: {source} needs a data source, which says where its labels are, and the run has none"
            f"{'' if data is None else ' with --data contract'}; make one: edge-seq data check "
            f"{shlex.quote(str(source))} --write data.toml, and give it with --data data.toml"
        )
    return other_recordings(source, found.source, found.file, model.contract, labels=class_names(run))


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[
        str | None,
        typer.Option(help="Side of the split to score: train, validation or test. Default: test.", show_default=False),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(help="Score other recordings instead: a file or a folder of labelled ones.", show_default=False),
    ] = None,
    data: DataOption = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Also score the majority guess and a random forest. Scores that exist for the same windows are kept.",
        ),
    ] = True,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Score whole recordings instead of windows: events, false alarms, delays and flicker."
        ),
    ] = False,
    tolerance_s: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds after the end of an event in which a detection still counts. Needs --stream. Default: the "
            "window length.",
            show_default=False,
        ),
    ] = None,
    adapt: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Score a head that learns on the device instead: each group before and after this many of its windows "
            "were labelled. Nothing is written.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score the float and the integer model on one side of the split, beside a majority guess and a random forest.

    With --source other recordings are scored, which are read as the run's data source says; nothing is written then.
    Intervals are 95 % bootstrap intervals over groups. torch is not needed.

    Example: edge-seq evaluate runs/hapt --side validation

    Example: edge-seq evaluate runs/hapt --adapt 10

    Example: edge-seq evaluate runs/walks --source new_recordings/ --stream
    """
    from edge_seq.pipeline.adapting.lessons import Adaptation
    from edge_seq.scores.evaluation import StreamEvaluation
    from edge_seq.workflow.evaluate import adapt_recordings, adapt_run, evaluate_recordings, evaluate_run
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.streams import evaluate_other_streams, evaluate_streams

    opened = open_run(run)
    if tolerance_s is not None and not stream:
        raise ConfigError("evaluate: --tolerance-s is for events, which are scored with --stream only; add --stream")
    if adapt is not None and stream:
        raise ConfigError("evaluate: --adapt labels windows, --stream scores whole recordings; give one of the two")
    if source is None and data is not None:
        raise ConfigError("evaluate: --data says how other recordings are written; give them with --source")
    if source is not None and side is not None:
        raise ConfigError(f"evaluate: --side {side} is of the run's own recordings, --source of others; give one")
    others = None if source is None else _other_recordings(opened, source, data)
    if others is not None:
        print_stderr_line(f"edge-seq: {source} is {others.described()}")
    results: Evaluation | StreamEvaluation | Adaptation
    with progress("evaluating", 1, quiet=as_json) as update:
        if adapt is not None and others is None:
            results = adapt_run(opened, adapt, side or "test", progress=update)
        elif adapt is not None and others is not None:
            results = adapt_recordings(opened, others, adapt, progress=update)
        elif others is None and stream:
            results = evaluate_streams(opened, side or "test", tolerance_s=tolerance_s, progress=update)
        elif others is None:
            results = evaluate_run(opened, side or "test", baselines=baselines, progress=update)
        elif stream:
            results = evaluate_other_streams(opened, others, tolerance_s=tolerance_s, progress=update)
        else:
            results = evaluate_recordings(opened, others, baselines=baselines, progress=update)
    for note in () if others is None else others.reading():
        print_stderr_line(f"edge-seq: while reading: {note}")
    if others is not None and (constant := others.constant()) is not None:
        print_stderr_warning(constant)
    if as_json:
        print_json(results)
    elif isinstance(results, StreamEvaluation):
        _print_streams(results, run.name)
    elif isinstance(results, Adaptation):
        print_tables(results.tables(), name=run.name)
        print_warning(results.warned())
    else:
        _print_windows(results, run.name)
