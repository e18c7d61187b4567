"""Summary and limits of a run in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edge_seq.pipeline.config import SIMULATOR
from edge_seq.pipeline.prepare import TIME_WARNING
from edge_seq.pipeline.robustness import Robustness
from edge_seq.report.figures import RunFigures
from edge_seq.scores import words
from edge_seq.scores.evaluation import Evaluation
from edge_seq.scores.streaming import StreamMetrics
from edge_seq.support.figure_text import percent


def limits_of(run: RunFigures) -> list[str]:
    """List the limits of the model that follow from its figures, one sentence each."""
    contract, lines = run.model.contract, [f"STALE: {line}" for line in run.stale.values()]
    lines.append(
        f"Valid only for signals that match the sensor contract: {contract.sample_rate_hz:g} Hz, the same axes, units "
        "and range."
    )
    if run.config.data.source == SIMULATOR:
        lines.append("Trained on simulated recordings only: no figure here was measured on a real car.")
    if run.config.start_from is not None:
        lines.append(
            f"Its training began with the model of {run.config.start_from}: recordings that this was trained on may be "
            "among those of the test part."
        )
    if run.config.teacher is not None:
        lines.append(
            f"It learnt from the answers of the model of {run.config.teacher} too: recordings that this was trained on "
            "may be among those of the test part."
        )
    if run.imported is not None:
        lines.append(
            f"Imported from {run.imported.file} ({run.imported.format}): the recordings that it was trained on are not "
            "known here, and may be among those of the test part."
        )
        lines += run.imported.warnings
    elif run.config.training.augmentation.rotation == "none":
        lines.append("Trained for one mounting of the sensor: it has not seen the signals of a rotated sensor.")
    test = next((side for side in run.sides if side.name == "test"), None)
    if test is not None:
        lines.append(f"Scored on {test.windows:,} windows of {len(test.groups)} groups; other groups may differ more.")
        few = [n for n, count in zip(run.model.labels, test.per_class, strict=True) if count < 100]
        lines += (
            [f"Classes with fewer than 100 test windows: {some_of(few)}; their scores are uncertain."] if few else []
        )
    if run.config.data.split == "time_blocks":
        lines.append(f"{TIME_WARNING[0].upper()}{TIME_WARNING[1:]}.")
    if run.metrics is not None:
        lines += _limits_of_metrics(run.metrics)
    stage = run.model.readout.decision
    if stage is None:
        lines.append("No decision stage: every window gets one of the classes, even if none of them is right.")
    elif not stage.unknown_margin and stage.unknown_distance is None:
        lines.append("Decisions are never unknown: each is one of the classes, even if none of them is right.")
    lines += [] if run.robustness is None else _limits_of_robustness(run.robustness)
    if run.verify is not None and any(one.verdict == "failed" for one in run.verify.rungs):
        lines.append("PARITY FAILED: an export does not compute the same as the scored model. Do not deploy it.")
    lines += [f"OVER BUDGET {text}" for text in (run.measure.overruns if run.measure is not None else ())]
    return lines


def _limits_of_metrics(metrics: Evaluation) -> list[str]:
    lines = [] if metrics.note.warning in (None, TIME_WARNING) else [str(metrics.note.warning)]
    recalls = {one.label: one.recall for one in metrics.shown.classes if one.recall is not None}
    if recalls:
        worst = min(recalls, key=lambda label: recalls[label])
        lines.append(f"Lowest recall: {100 * recalls[worst]:.1f} % of the {worst} windows are found.")
    if metrics.advice is not None:
        lines.append(" ".join(line if line.endswith((".", ":")) else f"{line};" for line in metrics.advice))
    return lines


def _limits_of_robustness(robustness: Robustness) -> list[str]:
    """Name the least value of each disturbance that costs 5 points of accuracy, and what was not scored."""
    lines = []
    for sweep in robustness.sweeps:
        if (note := sweep.note()) is not None:
            lines.append(f"{note}.")
        score = {one.value: one.shown.accuracy.value for one in sweep.points}
        nominal = score[sweep.nominal]
        bad = [value for value in score if score[value] < nominal - 0.05]
        if bad:
            first = min(bad, key=lambda value: abs(value - sweep.nominal))
            lines.append(
                f"{sweep.quantity}: at {first:g} accuracy is {100 * score[first]:.1f} %, "
                f"{100 * nominal:.1f} % as trained."
            )
    return lines


def summary_rows(run: RunFigures) -> list[list[str]]:
    """Rows of the summary of a run, for the terminal and the head of the page."""
    layers = ", ".join(f"{one.cell} with {one.hidden_size} units" for one in run.model.layers or ())
    rows = [["model", layers], ["classes", some_of(run.model.labels)]]
    rows.append(["windows", ", ".join(f"{side.windows:,} {side.name}" for side in run.sides) or "none kept"])
    if run.metrics is not None:
        rows += _rows_of_metrics(run.metrics)
    if run.stream is not None:
        found = run.stream.classifiers()
        integer = [name for name in (words.INT_MODEL, words.INT_DECIDED) if name in found]
        rows += [[f"{name}, whole recordings", stream_words(found[name])] for name in integer or found]
    if run.quantization is not None:
        rows.append(["weights in flash", f"{run.quantization.deployed_bytes:,} bytes"])
    if run.verify is not None:
        tally = Counter(one.verdict for one in run.verify.rungs)
        total = len(run.verify.rungs)
        rows.append(["parity", ", ".join(f"{verdict}: {n} of {total} rungs" for verdict, n in sorted(tally.items()))])
    for one in run.measure.targets if run.measure is not None else ():
        if one.measured is not None and one.measured.flash_bytes is not None:
            over = ", OVER BUDGET" if one.over_budget else ""
            ram = one.measured.ram_bytes
            sizes = f"{one.measured.flash_bytes:,} bytes of flash, {'-' if ram is None else f'{ram:,}'} of RAM"
            rows.append([one.found.target, f"{sizes}{over}"])
    return rows


def _rows_of_metrics(metrics: Evaluation) -> list[list[str]]:
    found = metrics.classifiers()
    rows = [
        [f"{name}, test", f"{words.ACCURACY} {found[name].accuracy}, {words.MACRO_F1} {found[name].macro_f1}"]
        for name in (words.INT_MODEL, words.FLOAT_MODEL, words.RANDOM_FOREST, words.MINIROCKET)
        if name in found
    ]
    for name, one in metrics.reliability.models.items() if metrics.reliability is not None else ():
        before, after = (percent(when.expected_calibration_error) for when in (one.before, one.after))
        rows.append([f"{words.CLASSIFIERS[name]}, {words.CALIBRATION_ERROR}", f"{after}, {before} before"])
    return rows


def stream_words(scores: StreamMetrics) -> str:
    """Describe the scores of whole recordings in one line."""
    delay = scores.delay_median_s
    late = "no event detected" if delay is None else f"median delay {delay.value:.1f} s"
    alarms = f"{scores.false_alarms_per_hour.value:,.0f} false alarms per hour"
    return f"{words.EVENT_F1} {scores.event_f1}, {alarms}, {late}"


def some_of(names: Sequence[str], most: int = 12) -> str:
    """List names, but only the first ``most`` of many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
