"""The page of a run: its model card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from edge_seq.ir.kind_names import POOLING_TEXTS
from edge_seq.pipeline.robustness import SweepScores
from edge_seq.report import charts
from edge_seq.report.figures import RunFigures
from edge_seq.report.markup import (
    Child,
    Html,
    bullets,
    captioned,
    code_block,
    facts,
    figures,
    join,
    meter,
    side_by_side,
    table,
    tag,
)
from edge_seq.report.page import Section, missing, page
from edge_seq.report.sweeps import draw_sweep
from edge_seq.report.words import limits_of, some_of, summary_rows
from edge_seq.scores import words
from edge_seq.scores.evaluation import BY_CLASS_COLUMNS, WINDOW_COLUMNS, by_class_rows, window_row
from edge_seq.scores.metrics import Estimate
from edge_seq.support.display import Table
from edge_seq.support.figure_text import percent
from edge_seq.support.json_tables import reading
from firmware_export.measuring.report import TargetReport, latency_text

MANY_CLASSES = 16  # with so many classes a confusion matrix is a picture, and the largest confusions are a table
LARGEST_CONFUSIONS = 20
LARGEST_FUNCTIONS = 8
COST_LIMITS = ("max_flash", "max_ram", "max_stack", "max_instructions")  # budgets, in the order of the columns


def run_page(run: RunFigures) -> str:
    """Make the page of a run.

    Raises:
        DataError: a table is not as its command writes it.
        ToolError: matplotlib is not installed.
    """
    parts: tuple[tuple[str, str, str, Callable[[RunFigures], Html]], ...] = (
        ("data", "Data and splits", "data", _data),
        ("training", "Training", "training", _training) if run.imported is None else _IMPORT,
        ("scores", "Scores on the test part", "metrics", _scores),
        ("reliability", "Reliability of the probabilities", "metrics", _reliability),
        ("stream", "Scores on whole recordings", "stream", _stream),
        ("robustness", "Robustness", "robustness", _robustness),
        ("integers", "Quantisation cost", "quantization", _integers),
        ("parity", "Parity ladder", "verify", _parity),
        ("cost", "Cost on targets", "measure", _cost),
        ("reproduce", "Versions, hashes, commands", "training", _reproduce),
    )
    sections = []
    for anchor, title, name, draw in parts:
        with reading(run.files.get(name, name)):
            sections.append(Section(anchor, title, join([_stale_note(run, name), draw(run)])))
    with reading("the tables of the run"):
        card = Section("card", "Model card", _card(run))
    return page(run.model.name, f"run {run.name}", [card, *sections])


def _stale_note(run: RunFigures, name: str) -> Html | None:
    return tag("p", f"Stale: {run.stale[name]}", class_="warning") if name in run.stale else None


def _card(run: RunFigures) -> Html:
    contract = run.model.contract
    channels = some_of([f"{one.name} ({one.unit})" for one in contract.channels])
    use = (
        f"Classifies windows of {contract.window_length / contract.sample_rate_hz:g} s of {channels} at "
        f"{contract.sample_rate_hz:g} Hz as {some_of(run.model.labels)}."
    )
    return join(
        [
            facts([(row[0], row[1]) for row in summary_rows(run)]),
            *(tag("h3", "Intended use"), tag("p", use), tag("h3", "Limits"), bullets(limits_of(run))),
            *(tag("h3", "Sensor contract"), _contract(run)),
        ]
    )


def _contract(run: RunFigures) -> Html:
    contract, readout = run.model.contract, run.model.readout
    rate = contract.sample_rate_hz
    label = "after each sample" if readout.label_every == "sample" else "at the end of each window"
    pairs = [
        ("sample rate", f"{rate:g} Hz"),
        ("window", f"{contract.window_length} samples, {contract.window_length / rate:g} s"),
        ("stride", f"{contract.window_stride} samples, {contract.window_stride / rate:g} s"),
        ("preprocessing", contract.preprocessing.text),
        ("label", f"{label}, from the {POOLING_TEXTS[readout.pooling]}"),
        ("states at a window's end", readout.at_window_end),
        ("decision stage", "none" if readout.decision is None else readout.decision.text()),
    ]
    rows = [[one.name, one.unit, f"{one.counts_per_unit:g}", f"± {one.full_scale:g}"] for one in contract.channels]
    return join([facts(pairs), table("Channels in order", ["channel", "unit", "counts per unit", "full scale"], rows)])


def _data(run: RunFigures) -> Html:
    by_class: list[list[Child]] = [
        [label, *(f"{side.per_class[index]:,}" for side in run.sides)] for index, label in enumerate(run.model.labels)
    ]
    by_class.append(["all", *(f"{side.windows:,}" for side in run.sides)])
    by_class.append(["groups", *(f"{len(side.groups):,}" for side in run.sides)])
    names = [(f"{side.name} groups", some_of(side.groups, 40)) for side in run.sides]
    data = run.config.data
    return join(
        [
            table("Windows by class and side", ["class", *(side.name for side in run.sides)], by_class),
            tag("p", f"Split by: {data.split.replace('_', ' ')}. Source: {data.source}."),
            facts(names),
        ]
    )


_OF_CHANGES = "Loss and score are of telling changed windows apart, by which a network of one class learns."


def _training(run: RunFigures) -> Html:
    if run.training is None:
        return missing(run.missing["training"])
    history = run.training.history
    epochs = [one.epoch for one in history]

    def series(**fields: str) -> dict[str, list[float | None]]:
        found = {name.replace("_", "-"): [getattr(one, field) for one in history] for name, field in fields.items()}
        return {name: values for name, values in found.items() if any(value is not None for value in values)}

    loss = series(training="train_loss", validation="validation_loss")
    score = series(accuracy="validation_accuracy", macro_F1="validation_macro_f1")
    shown = [charts.chart("Loss", charts.lines(epochs, loss, x_label="epoch", y_label="loss"))]
    if score:
        shown.append(charts.chart("Score on validation windows", charts.scores(epochs, score, x_label="epoch")))
    text = (
        f"Best epoch {run.training.best_epoch} of {len(history)}, seed {run.training.seed}, "
        f"{run.training.seconds:.0f} s."
    )
    again, one_class = run.training.again, run.training.one_class
    told = [] if again is None else [tag("p", f"Then {again.text()}.")]
    told += [] if one_class is None else [tag("p", f"{_OF_CHANGES} Then {one_class.text()}.")]
    if one_class is not None and (warning := one_class.warning()) is not None:
        told.append(tag("p", warning, class_="warning"))
    return join([tag("p", text), *told, figures(shown)])


def _imported(run: RunFigures) -> Html:
    """The import of a network of another framework."""
    found = run.imported
    if found is None:
        return missing(run.missing["imported"])
    check, accuracy = found.check, found.training_accuracy
    scaler = ", ".join(f"({m:.6g}, {s:.6g})" for m, s in zip(found.mean, found.scale, strict=True))
    pairs = [
        ("file", found.file),
        ("framework", found.format),
        ("SHA-256", found.sha256),
        ("scaler before the network, mean and scale in counts", scaler),
        ("its last activation", found.output),
        ("labels right on training windows", "not known" if accuracy is None else percent(accuracy)),
        ("compared with the float model", "not yet" if check is None else f"{check.verdict}: {check.detail}"),
    ]
    warned = [tag("p", one, class_="warning") for one in found.warnings]
    return join([facts(pairs), *warned, table("What was done", ["note"], [[one] for one in found.notes])])


_IMPORT = ("training", "Import", "imported", _imported)


def _confusion(title: str, matrix: Sequence[Sequence[int]], labels: list[str]) -> Html:
    """Make the table of a confusion matrix. Rows are true classes; cells have windows and their share of the row."""
    rows = []
    for label, row in zip(labels, matrix, strict=True):
        total = max(1, sum(row))
        cells = [
            tag(
                "td",
                f"{n:,}",
                tag("small", f"{100 * n / total:.0f} %"),
                style=f"background:color-mix(in srgb, var(--heat) {45 * n / total:.0f}%, transparent)",
            )
            for n in row
        ]
        rows.append(tag("tr", tag("th", label, scope="row"), *cells))
    head = tag("tr", tag("th", "true class, by row", scope="col"), *(tag("th", label, scope="col") for label in labels))
    return captioned(title, tag("table", tag("thead", head), tag("tbody", *rows), class_="heat"))


def _confusion_of_many(title: str, matrix: Sequence[Sequence[int]], labels: list[str]) -> Html:
    picture = charts.chart(title, charts.heat_map(matrix), legend=False)
    pairs = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    pairs.sort(key=lambda one: (-one[0], one[1], one[2]))
    rows = [[labels[i], labels[j], f"{n:,}"] for n, i, j in pairs[:LARGEST_CONFUSIONS]]
    shown = f"The {min(len(pairs), LARGEST_CONFUSIONS)} most frequent of {len(pairs):,} confusions"
    return join([figures([picture]), table(shown, ["true class", "label given", "windows"], rows)])


def _scores(run: RunFigures) -> Html:
    if run.metrics is None:
        return missing(run.missing["metrics"])
    labels = list(run.model.labels)
    found = run.metrics.classifiers()
    order = [name for name in (words.INT_MODEL, words.FLOAT_MODEL) if name in found]
    rows = [window_row(name, found[name]) for name in dict.fromkeys([*order, *found])]
    parts = [table("95 % intervals over groups", WINDOW_COLUMNS, rows)]
    if run.metrics.one_class is not None:
        called = run.metrics.one_class.table(run.metrics.side)
        parts.append(table(called.title, called.columns, called.rows))
    parts.append(
        side_by_side(table(f"By class, {name}", BY_CLASS_COLUMNS, by_class_rows(found[name])) for name in order)
    )
    draw = _confusion if len(labels) < MANY_CLASSES else _confusion_of_many
    shown = [
        draw(f"Confusion matrix, {name}: windows, share of the true class", found[name].confusion, labels)
        for name in order
    ]
    parts.append(side_by_side(shown))
    return join(parts)


def _reliability(run: RunFigures) -> Html:
    found = None if run.metrics is None else run.metrics.reliability
    if found is None:
        return missing(run.steps["metrics"])
    temperature = found.temperature
    fitted = temperature.windows > 0
    shown = []
    for name, model in sorted(found.models.items(), reverse=True):  # the integer model first
        curves, errors = {}, []
        for when, one in {"before": model.before, "after": model.after}.items():
            if when == "after" or fitted:
                curve = f"{when} the temperature" if fitted else "as trained"
                curves[curve] = [
                    (bar.confidence, bar.accuracy, bar.windows)
                    for bar in one.bins
                    if bar.confidence is not None and bar.accuracy is not None
                ]
                error = percent(one.expected_calibration_error)
                errors.append(f"{when} {error}" if fitted else error)
        title = f"{words.CLASSIFIERS[name].capitalize()}: {words.CALIBRATION_ERROR} {', '.join(errors)}"
        shown.append(charts.chart(title, charts.reliability(curves)))
    said = (
        [f"Temperature {temperature.value:.3f}, fitted on {temperature.windows:,} validation windows"] if fitted else []
    )
    said += [f"{temperature.note[0].upper()}{temperature.note[1:]}"] if temperature.note else []
    return join([tag("p", ". ".join([*said, "The area of a dot is its share of the windows."])), figures(shown)])


def _stream(run: RunFigures) -> Html:
    if run.stream is None:
        return missing(run.missing["stream"])
    found = run.stream.classifiers()
    order = (words.INT_MODEL, words.INT_DECIDED, words.FLOAT_MODEL, words.FLOAT_DECIDED)
    rows = [
        [
            *(name, str(one.event_f1), _plain(one.false_alarms_per_hour), _plain(one.fragments_per_hit)),
            *(_plain(one.delay_median_s), _plain(one.delay_p95_s), _plain(one.flicker_per_minute)),
        ]
        for name in order
        if name in found
        for one in [found[name]]
    ]
    columns = ["classifier", words.EVENT_F1, words.FALSE_ALARMS_PER_HOUR, words.FRAGMENTS_PER_HIT]
    columns += [words.DELAY_MEDIAN, words.DELAY_P95, words.CHANGES_PER_MINUTE]
    parts = [table("Whole recordings, as events", columns, rows)]
    if "decision" in run.missing:
        parts.append(missing(run.missing["decision"], "A decision stage was not chosen yet."))
    lanes = {"labels": "truth", "float": "float", "int": "integer", "int_decided": "decided"}
    for one in run.timelines:
        shown = {
            title: [(s.start_s, s.end_s, s.label) for s in one.lanes[key]]
            for key, title in lanes.items()
            if key in one.lanes
        }
        steps = f"; drawn is the most frequent label of each {one.step_s:g} s" if one.step_s else ""
        title = f"Recording {one.name}, {one.rank}: right {percent(one.right_share)} of the time{steps}"
        parts.append(charts.timeline(title, one.signals, shown, seconds=one.seconds, labels=run.model.labels))
    return join(parts)


def _plain(value: Estimate | None) -> str:
    return "-" if value is None else f"{value.value:,.1f}"


def _robustness(run: RunFigures) -> Html:
    if run.robustness is None:
        return missing(run.missing["robustness"])
    return figures(charts.chart(_words(one.name), partial(_draw_sweep, one)) for one in run.robustness.sweeps)


def _draw_sweep(sweep: SweepScores, axes: Any) -> None:
    draw_sweep(axes, sweep)
    charts.percent_axis(axes.yaxis)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _integers(run: RunFigures) -> Html:
    if run.quantization is None:
        return missing(run.missing["quantization"])
    q = run.quantization
    cost = q.cost.cost
    said = (
        f"Float and integer model give the same label on {percent(cost.agreement_rate)} of "
        f"{cost.windows:,} {q.cost.side} windows. Their probabilities differ by at most "
        f"{cost.max_abs_probability_error:.4f}, on average by {cost.mean_abs_probability_error:.4f}."
    )
    errors = {one.name: [f"{x:.5f}" for x in (one.rms_error, one.max_abs_error, one.rms)] for one in q.by_gate}
    saturated = {one.name: [f"{one.saturated:,}", f"{100 * one.share:.3f} %"] for one in q.saturation}
    names = dict.fromkeys([*saturated, *errors])
    gates = [[name, *saturated.get(name, ["-"] * 2), *errors.get(name, ["-"] * 3)] for name in names]
    columns = ["value", "saturated", "share", "error, rms", "largest error", "float value, rms"]
    proof = [[one.name, f"{one.magnitude:,}", f"{one.slack:,.2f} times"] for one in q.range_proof]
    shown = [
        table("Errors of the integer model by layer and gate, on calibration streams", columns, gates),
        table("Range proof: largest magnitude for any input, and room to the limit", ["sum", "largest", "room"], proof),
    ]
    return join([tag("p", said), side_by_side(shown)])


def _parity(run: RunFigures) -> Html:
    if run.verify is None:
        return missing(run.missing["verify"])
    colours = {"holds": "good", "failed": "bad"}
    rows: list[list[Child]] = []
    for rung in run.verify.rungs:
        one = rung.comparison
        counts = [] if one is None else [f"{count:,}" for count in (one.windows, one.steps, one.values, one.mismatches)]
        verdict = tag("span", rung.verdict, class_=colours.get(rung.verdict))
        rows.append([rung.name, verdict, rung.kind, *(counts or ["-"] * 4), rung.detail])
    columns = ["rung", "verdict", "kind", "windows", "steps", "values", "differ", "detail"]
    return table("Comparison of each implementation with its neighbour", columns, rows, class_="wordy")


def _cost(run: RunFigures) -> Html:
    if run.measure is None:
        return missing(run.missing["measure"])
    targets = run.measure.targets
    caption = "Bytes, and instructions of a window; a bar shows the used share of a budget"
    notes = list(run.measure.overruns)
    for one in targets:
        detail = "" if one.measured is None else one.measured.detail
        latency = None if one.measured is None else one.measured.latency_estimate
        said = [detail, "" if latency is None else latency.assumption, *one.found.notes]
        notes += [f"{one.found.target}: {text}" for text in said if text]
    columns = ["target", "flash", "RAM", "stack", "instructions", "latency, estimated", "verdict"]
    functions = [_functions(made) for one in targets if (made := one.functions(LARGEST_FUNCTIONS)) is not None]
    rows = [_cost_row(one) for one in targets]
    return join([table(caption, columns, rows), bullets(notes), side_by_side(functions)])


def _cost_row(one: TargetReport) -> list[Child]:
    found, budgets = one.measured, one.budgets
    verdict = tag("span", "over budget", class_="bad") if one.over_budget else one.found.status
    if found is None:
        figures_of_none: list[Child] = [meter(None, budgets.get(limit)) for limit in COST_LIMITS]
        return [one.found.target, *figures_of_none, latency_text(None), verdict]
    costs = (found.flash_bytes, found.ram_bytes, found.stack_bytes, found.instructions_per_window)
    cells = [meter(cost, budgets.get(limit)) for cost, limit in zip(costs, COST_LIMITS, strict=True)]
    if found.cycles_per_window:
        cells[-1] = Html(f"{found.cycles_per_window:,} cycles")
    return [one.found.target, *cells, latency_text(found.latency_estimate), verdict]


def _functions(made: Table) -> Html:
    """Make the table of the instructions of a window by function, the largest first."""
    return table(made.title, made.columns, made.rows)


def _reproduce(run: RunFigures) -> Html:
    return join([facts([*run.versions.items(), *run.hashes.items()]), tag("h3", "Commands"), code_block(run.commands)])
