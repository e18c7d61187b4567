"""What a report shows, gathered from the files of a run or a comparison. Nothing is computed anew but counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from edge_seq.data.recording import SIDES
from edge_seq.errors import ConfigError, DataError, EdgeSeqError
from edge_seq.ir.model import model_hash
from edge_seq.workflow.folder import (
    RunFolder,
    load_json,
    load_run_config,
    load_run_float,
    load_windows,
    open_run,
)
from edge_seq.workflow.inspect import describe

COMPARISON, COMPARISON_FORMAT = "comparison.json", "edge_seq.compare/1"
SIGNAL_BINS = 400
TIMELINES = 3


@dataclass(frozen=True)
class SideFigures:
    """Windows of a side of the split: how many, of which groups, how many of each class [K]."""

    name: str
    windows: int
    groups: tuple[str, ...]
    per_class: tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """A class that holds from ``start_s`` to ``end_s``; K is unknown, below 0 is none."""

    start_s: float
    end_s: float
    label: int


@dataclass(frozen=True)
class RecordingTimeline:
    """One recording as a stream.

    Attributes:
        name: of the recording.
        seconds: how long.
        right_share: share of labelled samples at which the decision shown last is right.
        lanes: ``labels`` and classifiers, to their segments.
        signals: channel to (least, largest) in its unit over equal stretches of time; empty where not readable.
    """

    name: str
    seconds: float
    right_share: float
    lanes: dict[str, tuple[Segment, ...]]
    signals: dict[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True)
class RunFigures:
    """All of a run. Tables are as the commands wrote them; None where the step was not done (see ``missing``).

    Attributes:
        name: of the run's folder.
        path: as given.
        model: the integer model, else the float model, as ``edge-seq inspect`` describes it.
        config: resolved.
        sides: windows by side.
        training, quantization, metrics, decision, stream, robustness, verify, measure: the tables of these steps.
        timelines: recordings of the test part; the worst, the median and the best.
        hashes: of data and models.
        missing: section to the command that makes it.
        stale: sections that are of another model than the run's, in words.
        commands: that make the run and this report again.
    """

    name: str
    path: str
    model: dict[str, Any]
    config: dict[str, Any]
    sides: tuple[SideFigures, ...]
    training: dict[str, Any] | None
    quantization: dict[str, Any] | None
    metrics: dict[str, Any] | None
    decision: dict[str, Any] | None
    stream: dict[str, Any] | None
    robustness: dict[str, Any] | None
    verify: dict[str, Any] | None
    measure: dict[str, Any] | None
    timelines: tuple[RecordingTimeline, ...]
    hashes: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonFigures:
    """A comparison: its folder's name and comparison.json, whose ``fields`` say what is what."""

    name: str
    table: dict[str, Any]


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What a table lacks, or holds in another form than its command writes, becomes one message.

    Raises:
        DataError: naming the table.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(
            f"reading {name}: not as its command writes it ({type(error).__name__}: {error}); make it again"
        ) from error


def gather(path: Path) -> RunFigures | ComparisonFigures:
    """Figures of a run's folder, a comparison's folder or a comparison.json.

    Raises:
        ConfigError: where it is neither.
        DataError, ModelError: a file of it is damaged.
    """
    table = path / COMPARISON if path.is_dir() else path
    if table.name == COMPARISON and table.is_file():
        return gather_comparison(table)
    if not (path / "config.toml").is_file():
        raise ConfigError(
            f"{path} is neither the folder of a run (config.toml) nor of a comparison ({COMPARISON}). Make one with "
            "edge-seq train or edge-seq compare"
        )
    return gather_run(open_run(path))


def gather_comparison(path: Path) -> ComparisonFigures:
    """Read comparison.json.

    Raises:
        DataError: damaged, or of another format.
    """
    table = load_json(path)
    if table.get("format") != COMPARISON_FORMAT:
        raise DataError(
            f"reading {path.name}: format {table.get('format')!r}, expected {COMPARISON_FORMAT!r}; make it again with "
            "edge-seq compare"
        )
    return ComparisonFigures(path.absolute().parent.name, table)


def gather_run(run: RunFolder) -> RunFigures:
    """Read what a run holds.

    Raises:
        ConfigError: training did not finish.
        DataError, ModelError: a file is damaged.
    """
    from edge_seq.ir.serialize import load_int_model

    float_model = load_run_float(run)
    int_model = load_int_model(run.int_model) if run.int_model.is_file() else None
    shown = describe(int_model or float_model)
    files = {
        "training": (run.training, run.command("train")),
        "quantization": (run.quantization, run.command("quantize")),
        "metrics": (run.metrics("test"), run.command("evaluate")),
        "decision": (run.decision, run.command("decide")),
        "stream": (run.stream_metrics("test"), f"{run.command('evaluate')} --stream"),
        "robustness": (run.reports / "robustness.test.json", run.command("robustness")),
        "verify": (run.reports / "verify.json", run.command("verify")),
        "measure": (run.reports / "measure.json", f"{run.command('measure')} --target cortex_m4"),
    }
    tables = {name: load_json(path) if path.is_file() else None for name, (path, _) in files.items()}
    missing = {name: files[name][1] for name, table in tables.items() if table is None}
    hashes = {"float model": model_hash(float_model)}
    if int_model is not None:
        hashes["integer model"] = model_hash(int_model)
    if run.data_hashes.is_file():
        hashes |= {f"data: {name}": str(value) for name, value in load_json(run.data_hashes).items()}
    sides = []
    for side in SIDES:
        if run.windows(side).is_file():
            windows = load_windows(run.windows(side), num_classes=float_model.num_classes)
            counts = np.bincount(windows.labels, minlength=float_model.num_classes)
            groups = tuple(sorted(set(windows.groups.tolist())))
            sides.append(SideFigures(side, len(windows.labels), groups, tuple(counts.tolist())))
    return RunFigures(
        name=run.path.absolute().name,
        path=str(run.path),
        model=shown,
        config=load_run_config(run).model_dump(mode="json"),
        sides=tuple(sides),
        **tables,
        timelines=_timelines(run, shown),
        hashes=hashes,
        missing=missing,
        stale=_stale(tables, hashes),
        commands=_commands(run, tables),
    )


def _stale(tables: dict[str, dict[str, Any] | None], hashes: dict[str, str]) -> tuple[str, ...]:
    """Sections of another model than the run now holds."""
    expected = {"metrics": "float model", "stream": "integer model", "robustness": "integer model"}
    expected |= {"verify": "integer model"}
    lines = []
    for name, kind in expected.items():
        table = tables[name]
        if table is not None and kind in hashes and table.get("model_hash") != hashes[kind]:
            found = str(table.get("model_hash"))[:16]
            lines.append(f"{name}: of model {found}, the run now holds {hashes[kind][:16]}; do this step again")
    return tuple(lines)


def _commands(run: RunFolder, tables: dict[str, dict[str, Any] | None]) -> tuple[str, ...]:
    """From the configuration to this report."""
    lines = [run.command("train"), run.command("quantize")]
    lines += [run.command("decide")] if tables["decision"] else []
    lines += [run.command("evaluate"), f"{run.command('evaluate')} --stream"]
    lines += [run.command("export"), run.command("verify")]
    targets = [table["target"] for table in (tables["measure"] or {}).get("targets", [])] or ["cortex_m4"]
    lines.append(f"{run.command('measure')} {' '.join(f'--target {name}' for name in targets)}")
    return (*lines, run.command("robustness"), run.command("report"))


def _timelines(run: RunFolder, model: dict[str, Any]) -> tuple[RecordingTimeline, ...]:
    """The worst, the median and the best recording of the test part, with their signals where they can be read."""
    path = run.stream_timelines("test")
    if not path.is_file():
        return ()
    rate = float(model["contract"]["sample_rate_hz"])
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (safetensors.SafetensorError, ValueError) as error:
        raise DataError(f"reading {path.name}: damaged ({error}); run edge-seq evaluate --stream again") from error
    with reading(path.name):
        by_name: dict[str, dict[str, Any]] = {}
        for key, value in tensors.items():
            name, lane = key.rsplit("/", 1)
            by_name.setdefault(name, {})[lane] = value
        shares = {name: _right_share(lanes) for name, lanes in by_name.items()}
        ranked = sorted(shares, key=lambda name: (shares[name], name))
        places = sorted({0, len(ranked) // 2, len(ranked) - 1})[:TIMELINES]
        signals = _signals(run, {ranked[place] for place in places})
        return tuple(
            RecordingTimeline(
                name=name,
                seconds=len(by_name[name]["labels"]) / rate,
                right_share=shares[name],
                lanes={lane: _segments(values, rate) for lane, values in sorted(by_name[name].items())},
                signals=signals.get(name, {}),
            )
            for name in (ranked[place] for place in places)
        )


def _right_share(lanes: dict[str, Any]) -> float:
    best = next(name for name in ("int_decided", "int", "float") if name in lanes)
    known = lanes["labels"] >= 0
    return float((lanes[best] == lanes["labels"])[known].mean()) if known.any() else 0.0


def _segments(values: Any, rate: float) -> tuple[Segment, ...]:
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return tuple(Segment(a / rate, b / rate, int(values[a])) for a, b in pairwise(edges))


def _signals(run: RunFolder, names: set[str]) -> dict[str, dict[str, tuple[tuple[float, float], ...]]]:
    """Envelopes of the channels; nothing where the recordings are gone or changed, for the timeline stands without."""
    from edge_seq.workflow.streams import load_recordings

    try:
        recordings = load_recordings(run, "test").recordings
    except (EdgeSeqError, OSError):
        return {}
    channels = load_run_float(run).contract.channels
    found: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {}
    for recording in recordings:
        if recording.name in names:
            parts = np.array_split(recording.counts, min(SIGNAL_BINS, len(recording.counts)))
            found[recording.name] = {
                f"{one.name}, {one.unit}": tuple(
                    (float(p[:, c].min()) / one.counts_per_unit, float(p[:, c].max()) / one.counts_per_unit)
                    for p in parts
                )
                for c, one in enumerate(channels)
            }
    return found


def limits_of(run: RunFigures) -> list[str]:
    """What the model is not for, as far as its own figures tell."""
    contract, lines = run.model["contract"], list(run.stale)
    lines.append(
        f"Only for signals as in the sensor contract: {contract['sample_rate_hz']:g} Hz, "
        "the same axes, units and range."
    )
    if run.config["data"]["source"] == "car_states":
        lines.append("Trained on simulated recordings alone: nothing here is a figure of a real car.")
    if run.config["training"]["augmentation"]["rotation"] == "none":
        lines.append("Trained for one mounting: turn the sensor, and it has not seen such signals.")
    test = next((side for side in run.sides if side.name == "test"), None)
    if test is not None:
        lines.append(f"Scored on {test.windows:,} windows of {len(test.groups)} groups; others may differ more.")
        few = [n for n, count in zip(run.model["labels"], test.per_class, strict=True) if count < 100]
        lines += [f"Fewer than 100 test windows: {', '.join(few)}; their figures are uncertain."] if few else []
    if run.metrics is not None:
        lines += _limits_of_metrics(run.metrics)
    if run.decision is None or run.decision.get("stage") is None:
        lines.append("No decision stage: each window gets one of the classes, also where it is none of them.")
    lines += _limits_of_robustness(run.robustness)
    if run.verify is not None and any(one["verdict"] == "failed" for one in run.verify["rungs"]):
        lines.append("PARITY FAILED: an export does not compute what was scored. Do not deploy it.")
    lines += [f"OVER BUDGET {text}" for one in (run.measure or {}).get("targets", []) for text in one["over_budget"]]
    return lines


def _limits_of_metrics(metrics: dict[str, Any]) -> list[str]:
    shown = metrics.get("int", metrics["float"])
    lines = [str(metrics["warning"])] if "warning" in metrics else []
    weak = [one for one in shown["classes"] if one["recall"] is not None]
    if weak:
        worst = min(weak, key=lambda one: one["recall"])
        lines.append(f"Weakest on {worst['label']}: {100 * worst['recall']:.1f} % of its windows are found.")
    return lines


def _limits_of_robustness(robustness: dict[str, Any] | None) -> list[str]:
    """Where a disturbance first costs 5 points of accuracy."""
    lines = []
    for sweep in (robustness or {}).get("sweeps", []):
        score = {one["value"]: one.get("int", one["float"])["accuracy"]["value"] for one in sweep["points"]}
        nominal = score[sweep["nominal"]]
        bad = [value for value in score if score[value] < nominal - 0.05]
        if bad:
            first = min(bad, key=lambda value: abs(value - sweep["nominal"]))
            lines.append(
                f"{sweep['quantity']}: at {first:g} accuracy is {100 * score[first]:.1f} %, "
                f"{100 * nominal:.1f} % as trained."
            )
    return lines


def summary_rows(run: RunFigures) -> list[list[str]]:
    """A few lines for the terminal and the head of the page."""
    layers = ", ".join(f"{one['cell']} of {one['hidden_size']} units" for one in run.model["layers"])
    rows = [["model", layers], ["classes", ", ".join(run.model["labels"])]]
    if run.metrics is not None:
        for name, title in (("int", "integer model, test"), ("float", "float model, test")):
            if name in run.metrics:
                a, f = run.metrics[name]["accuracy"], run.metrics[name]["macro_f1"]
                rows.append([title, f"{estimate(a)} right, macro-F1 {estimate(f)}"])
    if run.quantization is not None:
        rows.append(["weights in flash", f"{run.quantization['deployed_bytes']:,} bytes"])
    if run.verify is not None:
        tally = Counter(one["verdict"] for one in run.verify["rungs"])
        rows.append(["parity", ", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items()))])
    for one in (run.measure or {}).get("targets", []):
        if one["status"] == "measured":
            rows.append([one["target"], f"{one['flash_bytes']:,} bytes of flash, {one['ram_bytes']:,} of RAM"])
    return rows


def estimate(value: dict[str, Any]) -> str:
    """A score in percent with its interval."""
    if value["low"] is None:
        return f"{100 * value['value']:.1f} %"
    return f"{100 * value['value']:.1f} % [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
