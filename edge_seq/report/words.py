"""What a run shows in words: its figures in short, and what it is not for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from edge_seq.report.figures import RunFigures
from edge_seq.support.figure_text import CLASSIFIERS, estimate, percent

TITLES = {name: CLASSIFIERS[name] for name in ("int", "float")}
STREAM_TITLES = {
    **{"int": "integer", "int_decided": "integer, decided"},
    **{"float": "float", "float_decided": "float, decided"},
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
    elif not stage["unknown_margin"] and stage.get("unknown_distance") is None:
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
    for name, title in (*TITLES.items(), ("random_forest", CLASSIFIERS["random_forest"])):
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
        total = len(run.verify["rungs"])
        rows.append(["parity", ", ".join(f"{verdict}: {n} of {total} rungs" for verdict, n in sorted(tally.items()))])
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
