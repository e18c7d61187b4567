"""What a report shows, gathered from the files of a run or a comparison. Nothing is computed anew but counts."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES
from edge_seq.errors import ConfigError, DataError
from edge_seq.ir.model import FloatModel, IntModel, model_hash, without_decision
from edge_seq.ir.serialize import load_int_model
from edge_seq.score_text import estimate, percent
from edge_seq.workflow.folder import (
    RunFolder,
    load_json,
    load_run_config,
    load_run_float,
    load_windows,
    open_run,
)
from edge_seq.workflow.inspect import describe
from edge_seq.workflow.streams import SIGNALS
from edge_seq.workflow.verify_c import TARGET_RUNG
from firmware_export.target import target_names

COMPARISON, COMPARISON_FORMAT = "comparison.json", "edge_seq.compare/1"
TITLES = {"int": "integer model", "float": "float model"}
STREAM_TITLES = {
    **{"int": "integer", "int_decided": "integer, decided"},
    **{"float": "float", "float_decided": "float, decided"},
}
MAX_SEGMENTS = 600  # of a lane; what changes more often is drawn in steps, or a page of hours would be of megabytes


Signals = dict[str, tuple[tuple[float, float], ...]]  # channel to (least, largest) of equal stretches of time


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
        rank: which it is, by ``right_share``.
        seconds: how long.
        right_share: share of labelled samples at which the decision shown last is right.
        step_s: 0, or where segments are the most frequent label of equal steps, how long a step is.
        lanes: ``labels`` and classifiers, to their segments.
        signals: channel to (least, largest) in its unit over equal stretches of time.
    """

    name: str
    rank: str
    seconds: float
    right_share: float
    step_s: float
    lanes: dict[str, tuple[Segment, ...]]
    signals: Signals


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
        versions: of what trained it, and of what made the report.
        files: section to the name of its table.
        steps: section to the command that makes it.
        missing: the sections that were not made yet, to the command that makes them.
        stale: section to what is of another model than the run's, in words; a CI can tell by it and by exit code 1.
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
    versions: dict[str, str]
    files: dict[str, str]
    steps: dict[str, str]
    missing: dict[str, str]
    stale: dict[str, str]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class ComparisonFigures:
    """A comparison: its folder's name and its comparison.json, whose ``fields`` say what is what."""

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
    float_model = load_run_float(run)
    int_model = load_int_model(run.int_model) if run.int_model.is_file() else None
    shown = describe(int_model or float_model)
    paths = _paths(run)
    tables = {name: load_json(path) if path.is_file() else None for name, path in paths.items()}
    steps = _steps(run)
    return RunFigures(
        name=run.path.absolute().name,
        path=str(run.path),
        model=shown,
        config=load_run_config(run).model_dump(mode="json"),
        sides=_sides(run, float_model.num_classes),
        **tables,
        timelines=_timelines(run, shown["contract"]),
        hashes=_hashes(run, float_model, int_model, tables),
        versions=_versions(run, tables),
        files={name: path.name for name, path in paths.items()},
        steps=steps,
        missing={name: command for name, command in steps.items() if tables[name] is None},
        stale=_stale(run, tables, float_model, int_model),
        commands=_commands(run, tables),
    )


def _versions(run: RunFolder, tables: dict[str, dict[str, Any] | None]) -> dict[str, str]:
    with reading(run.training.name):
        trained = {name: str(version) for name, version in (tables["training"] or {}).get("versions", {}).items()}
    return {**trained, "edge_seq, of this page": importlib.metadata.version("edge-seq")}


def _paths(run: RunFolder) -> dict[str, Path]:
    """Section to the table that its step writes."""
    return {
        "training": run.training,
        "quantization": run.quantization,
        "metrics": run.metrics("test"),
        "decision": run.decision,
        "stream": run.stream_metrics("test"),
        "robustness": run.reports / "robustness.test.json",
        "verify": run.reports / "verify.json",
        "measure": run.reports / "measure.json",
    }


def _steps(run: RunFolder) -> dict[str, str]:
    """Section to the command that makes it; without those that this run cannot have."""
    steps = {
        "training": run.command("train"),
        "quantization": run.command("quantize"),
        "metrics": run.command("evaluate"),
        "decision": run.command("decide"),
        "stream": f"{run.command('evaluate')} --stream",
        "robustness": run.command("robustness"),
        "verify": f"{run.command('export')} && {run.command('verify')}",
        "measure": f"{run.command('measure')} --target cortex_m4",
    }
    if not run.windows("validation").is_file():
        del steps["decision"]  # it is chosen on validation recordings
    return steps


def _sides(run: RunFolder, num_classes: int) -> tuple[SideFigures, ...]:
    sides = []
    for side in SIDES:
        if run.windows(side).is_file():
            windows = load_windows(run.windows(side), num_classes=num_classes)
            counts = np.bincount(windows.labels, minlength=num_classes)
            groups = tuple(sorted(set(windows.groups.tolist())))
            sides.append(SideFigures(side, len(windows.labels), groups, tuple(counts.tolist())))
    return tuple(sides)


def _hashes(
    run: RunFolder, float_model: FloatModel, int_model: IntModel | None, tables: dict[str, dict[str, Any] | None]
) -> dict[str, str]:
    hashes = {"float model": model_hash(float_model)}
    if int_model is not None:
        hashes["integer model"] = model_hash(int_model)
    if tables["verify"] is not None:
        hashes["inputs of the parity ladder"] = str(tables["verify"].get("input_hash"))
    if run.data_hashes.is_file():
        hashes |= {f"data: {name}": str(value) for name, value in load_json(run.data_hashes).items()}
    return hashes


def _stale(
    run: RunFolder, tables: dict[str, dict[str, Any] | None], float_model: FloatModel, int_model: IntModel | None
) -> dict[str, str]:
    """Sections of another model than the run now holds.

    The labels of an integer model do not depend on its decision stage, so what scores labels is not stale by it.
    """
    of_float = model_hash(float_model)
    exact = of_float if int_model is None else model_hash(int_model)
    labels = exact if int_model is None else model_hash(without_decision(int_model))
    expected: list[tuple[str, str, tuple[str | None, ...]]] = [
        ("metrics", "model_hash", (of_float,)),
        ("metrics", "int_model_hash", (labels, None)),
        ("quantization", "float_model_hash", (of_float,)),
        ("quantization", "model_hash", (labels,)),
        ("robustness", "model_hash", (exact, labels)),
        *((name, "model_hash", (exact,)) for name in ("decision", "stream", "verify", "measure")),
    ]
    lines: dict[str, str] = {}
    steps = _steps(run)
    for name, key, allowed in expected:
        table = tables[name]
        if table is not None and table.get(key) not in allowed:
            found = f"model {str(table[key])[:16]}" if table.get(key) else "a model that it does not name"
            again = steps.get(name, run.command("decide"))
            lines[name] = f"{name} is of {found}, the run now holds {str(allowed[0])[:16]}; do it again: {again}"
    return lines


def _commands(run: RunFolder, tables: dict[str, dict[str, Any] | None]) -> tuple[str, ...]:
    """From the configuration to this report, with the options that tables tell of."""
    lines = [run.command("train"), run.command("quantize")]
    paths = _paths(run)
    with reading(paths["decision"].name):
        decision = tables["decision"]
        if decision is not None and decision.get("stage") is not None:
            options = f" --max-extra-delay-s {decision['max_extra_delay_s']:g}"
            options += " --allow-unknown" if decision.get("allow_unknown") else ""
            if decision.get("unknown_margin") is not None:
                options += f" --unknown-margin {decision['unknown_margin']:g}"
            lines.append(run.command("decide") + options)
    lines += [run.command("evaluate"), f"{run.command('evaluate')} --stream", run.command("export")]
    with reading(paths["verify"].name):
        climbed = [one["name"].removeprefix(TARGET_RUNG) for one in (tables["verify"] or {}).get("rungs", [])]
        targets = [name for name in climbed if name in target_names()]
        lines.append(run.command("verify") + _options("--target", targets))
    with reading(paths["measure"].name):
        measured = (tables["measure"] or {}).get("targets", [])
        targets = [one["target"] for one in measured] or ["cortex_m4"]
        limits = [set(one["budgets"].items()) for one in measured]
        budgets = sorted(set.intersection(*limits)) if limits else []  # of all targets: so they were given
        given = "".join(f" --{name.replace('_', '-')} {limit}" for name, limit in budgets)
        lines.append(run.command("measure") + _options("--target", targets) + given)
    return (*lines, run.command("robustness"), run.command("report"))


def _options(name: str, values: Sequence[str]) -> str:
    return "".join(f" {name} {shlex.quote(value)}" for value in values)


def _timelines(run: RunFolder, contract: dict[str, Any]) -> tuple[RecordingTimeline, ...]:
    """The worst, the median and the best recording of the test part."""
    path = run.stream_timelines("test")
    if not path.is_file():
        return ()
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
    except (safetensors.SafetensorError, ValueError) as error:
        again = f"{run.command('evaluate')} --stream"
        raise DataError(f"reading {path.name}: damaged ({error}); run {again} again") from error
    with reading(path.name):
        by_name: dict[str, dict[str, NDArray[np.int16]]] = {}
        for key, value in tensors.items():
            name, lane = key.rsplit("/", 1)
            by_name.setdefault(name, {})[lane] = value
        signals = {name: _signals(lanes.pop(SIGNALS), contract) for name, lanes in by_name.items()}
        shares = {name: _right_share(lanes) for name, lanes in by_name.items()}
        ranks = _ranks(sorted(shares, key=lambda name: (shares[name], name)))
        rate = float(contract["sample_rate_hz"])
        return tuple(
            _timeline(name, rank, by_name[name], rate, shares[name], signals[name]) for name, rank in ranks.items()
        )


def _ranks(ranked: Sequence[str]) -> dict[str, str]:
    """Of names from the worst to the best: the worst, the median, the best, as far as there are three."""
    count = len(ranked)
    if count == 0:
        return {}
    if count == 1:
        return {ranked[0]: "the only one"}
    chosen = {0: "worst", count // 2: "median", count - 1: "best"}
    return {ranked[place]: f"the {rank} of {count}" for place, rank in chosen.items()}


def _timeline(
    name: str, rank: str, lanes: dict[str, NDArray[np.int16]], rate: float, right_share: float, signals: Signals
) -> RecordingTimeline:
    samples = len(lanes["labels"])
    long = max(np.count_nonzero(np.diff(values)) for values in lanes.values()) >= MAX_SEGMENTS
    step = -(-samples // MAX_SEGMENTS) if long else 1
    segments = {lane: _segments(_most_frequent(values, step), step, samples, rate) for lane, values in lanes.items()}
    return RecordingTimeline(
        name=name,
        rank=rank,
        seconds=samples / rate,
        right_share=right_share,
        step_s=step / rate if long else 0.0,
        lanes=dict(sorted(segments.items())),
        signals=signals,
    )


def _most_frequent(values: NDArray[np.int16], step: int) -> NDArray[np.int64]:
    """The most frequent value of each ``step`` values: [T] to [ceil(T / step)]; of equally frequent ones the lowest."""
    parts = (values[start : start + step].astype(np.int64) for start in range(0, len(values), step))
    return np.array([np.bincount(part - part.min()).argmax() + part.min() for part in parts], dtype=np.int64)


def _right_share(lanes: dict[str, Any]) -> float:
    best = next(name for name in ("int_decided", "int", "float") if name in lanes)
    known = lanes["labels"] >= 0
    return float((lanes[best] == lanes["labels"])[known].mean()) if known.any() else 0.0


def _segments(values: NDArray[np.int64], step: int, samples: int, rate: float) -> tuple[Segment, ...]:
    """Runs of equal values, each of ``step`` samples."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return tuple(Segment(a * step / rate, min(b * step, samples) / rate, int(values[a])) for a, b in pairwise(edges))


def _signals(envelope: NDArray[np.int16], contract: dict[str, Any]) -> Signals:
    """Counts [2, bins, C] as each channel's (least, largest), in its unit."""
    return {
        f"{one['name']}, {one['unit']}": tuple(
            (float(low), float(high)) for low, high in (envelope[:, :, index] / one["counts_per_unit"]).T
        )
        for index, one in enumerate(contract["channels"])
    }


def limits_of(run: RunFigures) -> list[str]:
    """What the model is not for, as far as its own figures tell."""
    contract, lines = run.model["contract"], [f"STALE: {line}" for line in run.stale.values()]
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
        lines += [f"Fewer than 100 test windows: {some_of(few)}; their figures are uncertain."] if few else []
    if run.metrics is not None:
        lines += _limits_of_metrics(run.metrics)
    stage = run.model["readout"].get("decision")
    if stage is None:
        lines.append("No decision stage: each window gets one of the classes, also where it is none of them.")
    elif not stage["unknown_margin"]:
        lines.append("Its decisions are never unknown: each is one of the classes, also where it is none of them.")
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
    """The figures in short, for the terminal and the head of the page."""
    layers = ", ".join(f"{one['cell']} of {one['hidden_size']} units" for one in run.model["layers"])
    rows = [["model", layers], ["classes", some_of(run.model["labels"])]]
    rows.append(["windows", ", ".join(f"{side.windows:,} {side.name}" for side in run.sides) or "none kept"])
    found = run.metrics or {}
    for name, title in (*TITLES.items(), ("random_forest", "random forest")):
        if name in found:
            a, f = found[name]["accuracy"], found[name]["macro_f1"]
            rows.append([f"{title}, test", f"{estimate(a)} right, macro-F1 {estimate(f)}"])
    for name, one in found.get("reliability", {}).get("models", {}).items():
        before, after = (one[when]["expected_calibration_error"] for when in ("before", "after"))
        rows.append([f"{TITLES[name]}, calibration error", f"{percent(after)}, {percent(before)} before"])
    for name, title in list(STREAM_TITLES.items())[: 2 if "int" in (run.stream or {}) else None]:
        if (scores := (run.stream or {}).get(name)) is not None:
            rows.append([f"{title}, as a stream", stream_words(scores)])
    if run.quantization is not None:
        rows.append(["weights in flash", f"{run.quantization['deployed_bytes']:,} bytes"])
    if run.verify is not None:
        tally = Counter(one["verdict"] for one in run.verify["rungs"])
        rows.append(["parity", "rungs: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items()))])
    for one in (run.measure or {}).get("targets", []):
        if one["status"] == "measured":
            over = ", OVER BUDGET" if one["over_budget"] else ""
            rows.append([one["target"], f"{one['flash_bytes']:,} bytes of flash, {one['ram_bytes']:,} of RAM{over}"])
    return rows


def stream_words(scores: dict[str, Any]) -> str:
    """Scores of whole recordings in a line."""
    alarms, delay = scores["false_alarms_per_hour"]["value"], scores["delay_median_s"]["value"]
    late = "nothing hit" if delay is None else f"median delay {delay:.1f} s"
    return f"event macro-F1 {estimate(scores['event_f1'])}, {alarms:,.0f} false alarms an hour, {late}"


def some_of(names: Sequence[str], most: int = 12) -> str:
    """Names, the first of them where they are many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
