"""The page of a run: its model card."""

from __future__ import annotations

from typing import Any

from edge_seq.workflow.report.figures import RunFigures, estimate, limits_of, summary_rows
from edge_seq.workflow.report.markup import Child, Html, bullets, code_block, facts, join, table, tag
from edge_seq.workflow.report.page import Section, missing, page
from edge_seq.workflow.report.svg import Axis, Lane, Series, line_chart, reliability_chart, timeline

TITLES = {"float": "float model", "int": "integer model"}


def run_page(run: RunFigures) -> str:
    """The whole page of a run."""
    parts = (
        ("card", "What it is", _card(run)),
        ("data", "Data and splits", _data(run)),
        ("training", "Training", _training(run)),
        ("scores", "Scores on the test part", _scores(run)),
        ("reliability", "How far its probabilities can be believed", _reliability(run)),
        ("stream", "As a stream", _stream(run)),
        ("robustness", "Robustness", _robustness(run)),
        ("integers", "What integers cost", _integers(run)),
        ("parity", "Parity ladder", _parity(run)),
        ("cost", "Cost on targets", _cost(run)),
        ("reproduce", "Versions, hashes, commands", _reproduce(run)),
    )
    return page(run.model["name"], f"run {run.name}", [Section(*part) for part in parts])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _card(run: RunFigures) -> Html:
    contract = run.model["contract"]
    channels = ", ".join(f"{one['name']} ({one['unit']})" for one in contract["channels"])
    use = (
        f"Tells {', '.join(run.model['labels'])} apart from {channels} at {contract['sample_rate_hz']:g} Hz, "
        f"from windows of {contract['window_length'] / contract['sample_rate_hz']:g} s."
    )
    rows = [
        [one["name"], one["unit"], f"{one['counts_per_unit']:g}", f"{one['full_scale']:g}"]
        for one in contract["channels"]
    ]
    return join(
        [
            facts([(row[0], row[1]) for row in summary_rows(run)]),
            *(tag("h3", "Intended use"), tag("p", use), tag("h3", "Limits"), bullets(limits_of(run))),
            table("Sensor contract", ["channel", "unit", "counts a unit", "full scale"], rows),
        ]
    )


def _data(run: RunFigures) -> Html:
    rows: list[list[Child]] = [
        [s.name, f"{s.windows:,}", len(s.groups), *(f"{n:,}" for n in s.per_class)] for s in run.sides
    ]
    names = [(f"{side.name} groups", ", ".join(side.groups)) for side in run.sides]
    return join(
        [
            table("Windows by side and class", ["side", "windows", "groups", *run.model["labels"]], rows),
            tag("p", f"Split: {run.config['data']['split']}; source: {run.config['data']['source']}"),
            facts(names),
        ]
    )


def _training(run: RunFigures) -> Html:
    if run.training is None:
        return missing(run.missing["training"])
    history = run.training["history"]
    epochs = [one["epoch"] for one in history]

    def series(name: str, key: str, colour: int) -> Series:
        return Series(name, epochs, [one.get(key) for one in history], colour=colour)

    loss = [series("training", "train_loss", 0), series("validation", "validation_loss", 1)]
    score = [series("accuracy", "validation_accuracy", 0), series("macro-F1", "validation_macro_f1", 1)]
    charts = (
        line_chart("Loss", loss, Axis("epoch"), Axis("loss")),
        line_chart("Validation", score, Axis("epoch"), Axis("score", limits=(0, 1), percent=True)),
    )
    text = f"Best epoch {run.training['best_epoch']} of {len(history)}, seed {run.training['seed']}."
    return join([tag("p", text), tag("div", *charts, class_="figures")])


def _confusion(title: str, matrix: list[list[int]], labels: list[str]) -> Html:
    rows = []
    for label, row in zip(labels, matrix, strict=True):
        total = max(1, sum(row))
        cells = [
            tag(
                "td",
                n,
                tag("small", f"{100 * n / total:.0f} %"),
                style=f"background:color-mix(in srgb, var(--heat) {45 * n / total:.0f}%, transparent)",
            )
            for n in row
        ]
        rows.append(tag("tr", tag("th", label, scope="row"), *cells))
    head = tag("tr", tag("th", "truth, by row", scope="col"), *(tag("th", label, scope="col") for label in labels))
    made = tag("table", tag("caption", title), tag("thead", head), tag("tbody", *rows), class_="heat")
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=title)


def _scores(run: RunFigures) -> Html:
    if run.metrics is None:
        return missing(run.missing["metrics"])
    labels, found = list(run.model["labels"]), [name for name in TITLES if name in run.metrics]
    every = {**TITLES, "random_forest": "random forest", "majority": "constant guess"}
    rows = [
        [title, *(estimate(run.metrics[name][key]) for key in ("accuracy", "balanced_accuracy", "macro_f1"))]
        for name, title in every.items()
        if name in run.metrics
    ]
    parts = [table("95 % intervals over groups", ["classifier", "accuracy", "balanced accuracy", "macro-F1"], rows)]
    for name in found:
        classes = [
            [
                *(one["label"], one["support"], _percent(one["precision"]), _percent(one["recall"])),
                "-"
                if one["f1"] is None
                else estimate({"value": one["f1"], "low": one.get("f1_low"), "high": one.get("f1_high")}),
            ]
            for one in run.metrics[name]["classes"]
        ]
        parts.append(table(f"By class, {TITLES[name]}", ["class", "windows", "precision", "recall", "F1"], classes))
        parts.append(_confusion(f"Confusion matrix, {TITLES[name]}", run.metrics[name]["confusion"], labels))
    return join(parts)


def _reliability(run: RunFigures) -> Html:
    found = (run.metrics or {}).get("reliability")
    if found is None:
        return missing(run.missing.get("metrics") or f"edge-seq evaluate {run.path}")
    charts = []
    for name, model in found["models"].items():
        curves, errors = [], []
        for colour, when in enumerate(("before", "after")):
            bins = [one for one in model[when]["bins"] if one["windows"]]
            at = [one["confidence"] for one in bins]
            curves.append(
                Series(f"{when} the temperature", at, [b["accuracy"] for b in bins], colour=colour, markers=True)
            )
            errors.append(f"{when} {_percent(model[when]['expected_calibration_error'])}")
        text = f"{TITLES[name]}: expected calibration error {', '.join(errors)}"
        charts.append(reliability_chart(text, curves, description=text))
    return join([tag("p", f"Temperature {found['temperature']['value']:.3f}"), tag("div", *charts, class_="figures")])


def _stream(run: RunFigures) -> Html:
    if run.stream is None:
        return missing(run.missing["stream"])
    titles = {**TITLES, "float_decided": "float, decided", "int_decided": "integer, decided"}
    rows = []
    for name, title in titles.items():
        if name in run.stream:
            one = run.stream[name]
            values = [
                _plain(one[key])
                for key in ("false_alarms_per_hour", "delay_median_s", "delay_p95_s", "flicker_per_minute")
            ]
            rows.append([title, estimate(one["event_f1"]), *values])
    columns = [
        "classifier",
        "event macro-F1",
        "false alarms an hour",
        "median delay s",
        "95 % delay s",
        "changes a minute",
    ]
    parts = [table("Whole recordings, as events", columns, rows)]
    lanes = {"labels": "truth", "float": "float", "int": "integer", "int_decided": "decided"}
    for one in run.timelines:
        shown = [
            Lane(title, [(s.start_s, s.end_s, s.label) for s in one.lanes[key]])
            for key, title in lanes.items()
            if key in one.lanes
        ]
        title = f"Recording {one.name}: right {_percent(one.right_share)} of the time"
        parts.append(
            timeline(
                title,
                list(one.signals.items()),
                shown,
                seconds=one.seconds,
                labels=run.model["labels"],
                description=title,
            )
        )
    return join(parts)


def _plain(value: Any) -> str:
    value = value["value"] if isinstance(value, dict) else value
    return "-" if value is None else f"{value:.1f}"


def _robustness(run: RunFigures) -> Html:
    if run.robustness is None:
        return missing(run.missing["robustness"])
    charts = []
    for sweep in run.robustness["sweeps"]:
        points = sweep["points"]
        places = list(range(len(points)))
        shown = [one.get("int", one["float"]) for one in points]
        series = [
            Series(
                title,
                places,
                [s[key]["value"] for s in shown],
                [s[key]["low"] for s in shown],
                [s[key]["high"] for s in shown],
                colour,
                0,
                True,
            )
            for colour, (key, title) in enumerate((("accuracy", "accuracy"), ("macro_f1", "macro-F1")))
        ]
        ticks = [(float(i), f"{one['value']:g}") for i, one in enumerate(points)]
        axis = Axis(sweep["quantity"], ticks=ticks)
        score = Axis("score", limits=(0, 1), percent=True)
        charts.append(line_chart(sweep["name"].replace("_", " "), series, axis, score))
    return tag("div", *charts, class_="figures")


def _integers(run: RunFigures) -> Html:
    if run.quantization is None:
        return missing(run.missing["quantization"])
    q = run.quantization
    saturation = [[s["name"], f"{s['saturated']:,}", f"{100 * s['share']:.3f} %"] for s in q["saturation"]]
    proof = [[b["name"], f"{b['magnitude']:,}", f"{b['slack']:.1f} times"] for b in q["range_proof"]]
    return join(
        [
            tag(
                "p",
                f"Same label on {_percent(q['cost']['agreement_rate'])} of {q['cost']['windows']:,} windows; "
                f"probabilities differ by {q['cost']['max_abs_probability_error']:.4f} at most.",
            ),
            table("Saturation by layer and gate, on calibration streams", ["where", "values", "share"], saturation),
            table(
                "Range proof: the most that any input can reach, and the room left", ["sum", "reaches", "room"], proof
            ),
        ]
    )


def _parity(run: RunFigures) -> Html:
    if run.verify is None:
        return missing(run.missing["verify"])
    words = {"holds": "good", "failed": "bad"}
    rows = [
        [
            *(r["name"], tag("span", r["verdict"], class_=words.get(r["verdict"]))),
            f"{r['comparison']['values']:,}" if r["comparison"] else "-",
            f"{r['comparison']['mismatches']:,}" if r["comparison"] else "-",
            r["detail"],
        ]
        for r in run.verify["rungs"]
    ]
    return table("Each export against its neighbour", ["rung", "verdict", "values", "differ", "detail"], rows)


def _cost(run: RunFigures) -> Html:
    if run.measure is None:
        return missing(run.missing["measure"])
    rows = []
    for one in run.measure["targets"]:
        limits = one["budgets"]

        def cell(key: str, limit: str, one: dict[str, Any] = one, limits: dict[str, Any] = limits) -> str:
            value = "-" if one.get(key) is None else f"{one[key]:,}"
            return f"{value} of {limits[limit]:,}" if limit in limits else value

        verdict = "over budget" if one["over_budget"] else one["status"]
        rows.append(
            [
                *(
                    one["target"],
                    cell("flash_bytes", "max_flash"),
                    cell("ram_bytes", "max_ram"),
                    cell("stack_bytes", "max_stack"),
                ),
                *(
                    cell("instructions_per_window", "max_instructions"),
                    tag("span", verdict, class_="bad" if one["over_budget"] else None),
                ),
            ]
        )
    return table(
        "Bytes, and instructions of a window; of the budget where there is one",
        ["target", "flash", "RAM", "stack", "instructions", "verdict"],
        rows,
    )


def _reproduce(run: RunFigures) -> Html:
    versions = (run.training or {}).get("versions", {})
    return join([facts([*versions.items(), *run.hashes.items()]), tag("h3", "Commands"), code_block(run.commands)])
