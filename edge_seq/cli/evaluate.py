"""edge-seq evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_seq.cli.output import (
    JsonOption,
    estimate,
    percent,
    print_json,
    print_reliability,
    print_table,
    print_warning,
    progress,
)
from edge_seq.support.errors import ConfigError
from edge_seq.support.figure_text import CLASSIFIERS

if TYPE_CHECKING:
    from edge_seq.workflow.folder import RunFolder


def metrics_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a classifier: accuracy, balanced accuracy, macro-F1 with intervals, calibration error."""
    return [
        [
            title,
            estimate(results[key]["accuracy"]),
            estimate(results[key]["balanced_accuracy"]),
            estimate(results[key]["macro_f1"]),
            percent(results[key]["expected_calibration_error"]),
        ]
        for key, title in CLASSIFIERS.items()
        if key in results
    ]


STREAM_CLASSIFIERS = {
    "float": "float model",
    "int": "integer model",
    "float_decided": "float, decided",
    "int_decided": "integer, decided",
}


def _number(value: dict[str, Any] | None, digits: int = 1) -> str:
    """A score that is no share, with its interval."""
    if value is None:
        return "-"
    shown = f"{value['value']:.{digits}f}"
    return shown if value["low"] is None else f"{shown} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"


def stream_rows(results: dict[str, Any]) -> list[list[str]]:
    """One row a classifier, from :func:`edge_seq.workflow.streams.evaluate_streams`."""
    return [
        [
            title,
            estimate(found["event_f1"]),
            estimate(found["recall"]),
            _number(found["false_alarms_per_hour"]),
            _number(found["fragments_per_hit"], 2),
            _number(found["delay_median_s"]),
            _number(found["delay_p95_s"]),
            _number(found["flicker_per_minute"], 2),
            percent(found["unknown_share"]),
        ]
        for key, title in STREAM_CLASSIFIERS.items()
        if (found := results.get(key)) is not None
    ]


def _class_rows(results: dict[str, Any]) -> list[list[str]]:
    def text(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    return [
        [
            one["label"],
            title,
            *(str(one[name]) for name in ("events", "hits", "misses", "false_alarms")),
            f"{one['false_alarms_per_hour']:.1f}",
            *(text(one[name]) for name in ("fragments_per_hit", "delay_median_s", "delay_p95_s")),
        ]
        for index in range(len(results["labels"]))
        for key, title in STREAM_CLASSIFIERS.items()
        if key in results
        for one in [results[key]["classes"][index]]
    ]


def _evaluate_streams(run: RunFolder, side: str, tolerance_s: float | None, *, as_json: bool) -> None:
    from edge_seq.workflow.streams import evaluate_streams

    with progress("evaluating streams", 1, quiet=as_json) as update:
        results = evaluate_streams(run, side, tolerance_s=tolerance_s, progress=update)
    if as_json:
        print_json(results)
        return
    shown = results["float"]
    print_table(
        f"{run.path.name}, {side}: {shown['recordings']} recordings of {shown['groups']} groups, {shown['hours']:.2f} "
        f"hours; the truth changes {shown['true_changes_per_minute']:.2f} times a minute",
        [
            *("classifier", "event macro-F1", "events hit", "false alarms/h", "fragments a hit", "median delay s"),
            *("95 % delay s", "changes/min", "unknown"),
        ],
        stream_rows(results),
    )
    print_warning(results)
    print_table(
        f"by class; an event reaches {shown['tolerance_s']:g} s beyond its end",
        [
            *("class", "classifier", "events", "hits", "misses", "false alarms", "an hour", "fragments a hit"),
            *("median delay s", "95 % delay s"),
        ],
        _class_rows(results),
    )


def command(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    side: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines", help="Score the majority guess and the random forest too; kept once scored."
        ),
    ] = True,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Score whole recordings instead of windows: events, false alarms, delays, flicker."
        ),
    ] = False,
    tolerance_s: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="With --stream: how far an event reaches beyond its end, in seconds. If not given: a window's length.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score float and integer model on a side of the split, beside the majority guess and a random forest.

    Intervals are 95 %, by bootstrap over groups. Needs no torch.

    Example: edge-seq evaluate runs/hapt --side validation
    """
    from edge_seq.workflow.evaluate import evaluate_run
    from edge_seq.workflow.folder import open_run

    opened = open_run(run)
    if stream:
        _evaluate_streams(opened, side, tolerance_s, as_json=as_json)
        return
    if tolerance_s is not None:
        raise ConfigError("evaluate: --tolerance-s is about events, which only --stream has; give both or none")
    with progress("evaluating", 1, quiet=as_json) as update:
        results = evaluate_run(opened, side, baselines=baselines, progress=update)
    if as_json:
        print_json(results)
        return
    metrics = results["float"]
    print_table(
        f"{run.name}, {side}: {metrics['num_windows']} windows of {metrics['num_groups']} groups",
        ["classifier", "accuracy", "balanced accuracy", "macro-F1", "calibration error"],
        metrics_rows(results),
    )
    print_warning(results)
    print_reliability(results["reliability"], side=side)
    shown = "int" if "int" in results else "float"
    labels = [score["label"] for score in results[shown]["classes"]]
    rows = [[label, *map(str, row)] for label, row in zip(labels, results[shown]["confusion"], strict=True)]
    print_table(f"confusion of the {CLASSIFIERS[shown]}: label down, prediction across", ["", *labels], rows)
