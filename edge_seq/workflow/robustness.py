"""edge-seq robustness: what a model scores where the installation is not that of the training."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.data.axes import axis_triples
from edge_seq.data.disturb import at_rate, mounted_at, with_full_scale, with_noise
from edge_seq.data.recording import Recording, Windows
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel, model_hash
from edge_seq.pipeline.prepare import split_note
from edge_seq.scores.metrics import evaluate_predictions, softmax
from edge_seq.support.drawing import plain_figures, require_matplotlib, save
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, load_run_int, save_json
from edge_seq.workflow.quantize import real_logits
from edge_seq.workflow.reliability import float_logits
from edge_seq.workflow.streams import load_recordings

Progress = Callable[[int, int, str], None]
Disturb = Callable[[Recording, SensorContract, float, np.random.Generator], Recording]


@dataclass(frozen=True)
class Sweep:
    """One disturbance, from none to severe.

    Attributes:
        name: as in the results.
        quantity: what its values are, with their unit, for an axis.
        values: with ``nominal`` among them.
        nominal: that changes nothing.
        disturb: a recording, under a contract, by a value, with a source of randomness.
    """

    name: str
    quantity: str
    values: tuple[float, ...]
    nominal: float
    disturb: Disturb


SWEEPS: tuple[Sweep, ...] = (
    Sweep("mounting_angle", "mounting angle, degrees", (0, 5, 10, 20, 30, 45, 60, 90, 180), 0, mounted_at),
    Sweep("noise", "noise, share of full scale", (0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2), 0, with_noise),
    Sweep(
        "rate",
        "sample rate, times the contract's",
        (0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2),
        1,
        lambda recording, contract, value, _: at_rate(recording, contract, value),
    ),
    Sweep(
        "full_scale",
        "full scale, share of the contract's",
        (1, 0.75, 0.5, 0.35, 0.25, 0.125),
        1,
        lambda recording, contract, value, _: with_full_scale(recording, contract, value),
    ),
)
SWEEP_NAMES = tuple(sweep.name for sweep in SWEEPS)


def choose_sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    """Sweeps by name; all where none is named.

    Raises:
        ConfigError: naming those there are.
    """
    unknown = [name for name in names if name not in SWEEP_NAMES]
    if unknown:
        raise ConfigError(f"robustness: there is no sweep {unknown[0]!r}; give some of {list(SWEEP_NAMES)}")
    return tuple(sweep for sweep in SWEEPS if not names or sweep.name in names)


def disturbed_windows(
    recordings: Sequence[Recording],
    contract: SensorContract,
    sweep: Sweep,
    value: float,
    *,
    minimum_share: float,
    seed: int,
) -> Windows:
    """Windows of disturbed recordings; a recording draws the same axis and noise at every value of a sweep."""
    disturbed = []
    for index, recording in enumerate(recordings):
        stream = np.random.default_rng([seed, zlib.crc32(sweep.name.encode()), index])
        disturbed.append(sweep.disturb(recording, contract, float(value), stream))
    long_enough = [recording for recording in disturbed if len(recording.labels) >= contract.window_length]
    if not long_enough:
        raise DataError(
            f"robustness: at {sweep.quantity} {value:g} no recording is as long as a window of "
            f"{contract.window_length} samples; leave this sweep out"
        )
    length, stride = contract.window_length, contract.window_stride
    return make_windows(long_enough, length=length, stride=stride, minimum_share=minimum_share)


def _scores(models: dict[str, FloatModel | IntModel], windows: Windows, seed: int) -> dict[str, Any]:
    """Accuracy and macro-F1 with their intervals, by model."""
    scores = {}
    for name, model in models.items():
        logits = (
            float_logits(model, windows.counts)
            if isinstance(model.number_format, FloatFormat)
            else real_logits(model, windows.counts)
        )
        metrics = evaluate_predictions(
            windows.labels, softmax(logits), windows.groups, label_names=model.labels, seed=seed
        )
        scores[name] = {"accuracy": asdict(metrics.accuracy), "macro_f1": asdict(metrics.macro_f1)}
    return scores


def draw_sweep(axes: Any, sweep: dict[str, Any]) -> None:
    """Accuracy and macro-F1 of the integer model over a sweep with 95 % intervals, the float model dashed."""
    points = sweep["points"]
    places = list(range(len(points)))  # by rank, as the values are far from evenly spaced
    for score, colour, title in (("accuracy", "tab:blue", "accuracy"), ("macro_f1", "tab:orange", "macro-F1")):
        main = "int" if "int" in points[0] else "float"
        shown = [point[main][score] for point in points]
        axes.plot(places, [one["value"] for one in shown], color=colour, marker="o", markersize=4, label=title)
        if shown[0]["low"] is not None:
            low, high = [one["low"] for one in shown], [one["high"] for one in shown]
            axes.fill_between(places, low, high, color=colour, alpha=0.15)
        if main == "int":
            floats = [point["float"][score]["value"] for point in points]
            axes.plot(places, floats, color=colour, linestyle="--", linewidth=1, label=f"{title}, float model")
    axes.axvline([point["value"] for point in points].index(sweep["nominal"]), color="grey", linewidth=0.8)
    axes.set_xticks(places, [f"{point['value']:g}" for point in points], fontsize=8)
    axes.set_xlabel(sweep["quantity"])
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def draw(results: dict[str, Any], path: Path) -> None:
    """A panel a sweep."""
    sweeps = results["sweeps"]
    with plain_figures() as new_figure:
        figure = new_figure(figsize=(4.2 * len(sweeps), 3.6), layout="constrained")
        panels = figure.subplots(1, len(sweeps), squeeze=False)[0]
        for axes, sweep in zip(panels, sweeps, strict=True):
            draw_sweep(axes, sweep)
        panels[0].legend(fontsize=7)
        save(figure, path, dpi=110)


def run_robustness(
    run: RunFolder,
    side: str = "test",
    *,
    names: Sequence[str] = (),
    plot: bool = True,
    progress: Progress = lambda *_: None,
) -> dict[str, Any]:
    """Score the models of a run over each sweep, on windows of disturbed recordings.

    Args:
        run: folder of the run.
        side: whose recordings.
        names: of the sweeps; all but those that the channels do not allow where empty.
        plot: also draw reports/robustness.<side>.png.
        progress: called with scored values, values in all, and what is being scored.

    Returns:
        What was written to reports/robustness.<side>.json.

    Raises:
        ConfigError, DataError: as the steps say.
        ToolError: a plot is asked for and matplotlib is not installed.
    """
    chosen = choose_sweeps(names)
    if plot:
        require_matplotlib("edge-seq robustness", instead="give --no-plot")
    model = load_run_float(run)
    models: dict[str, FloatModel | IntModel] = {"float": model}
    if run.int_model.is_file():
        models["int"] = load_run_int(run)
    config = load_run_config(run)
    contract, seed = model.contract, config.training.seed
    if not names and not axis_triples(contract):
        chosen = tuple(sweep for sweep in chosen if sweep.name != "mounting_angle")
    total = sum(len(sweep.values) for sweep in chosen)
    progress(0, total, "reading recordings")
    loaded = load_recordings(run, side)
    recordings, minimum_share = loaded.recordings, loaded.minimum_share
    sweeps, done = [], 0
    for sweep in chosen:
        points = []
        for value in sweep.values:
            progress(done, total, f"{sweep.quantity} {value:g}")
            windows = disturbed_windows(recordings, contract, sweep, value, minimum_share=minimum_share, seed=seed)
            points.append({"value": float(value), "windows": len(windows.labels), **_scores(models, windows, seed)})
            done += 1
        sweeps.append(
            {"name": sweep.name, "quantity": sweep.quantity, "nominal": float(sweep.nominal), "points": points}
        )
    results: dict[str, Any] = {
        "side": side,
        **split_note(config),
        "model_hash": model_hash(models.get("int", model)),
        "recordings": len(recordings),
        "sweeps": sweeps,
    }
    save_json(run.reports / f"robustness.{side}.json", results)
    if plot:
        draw(results, run.reports / f"robustness.{side}.png")
    progress(total, total, "done")
    return results
