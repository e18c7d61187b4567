"""edge-seq report: a page of a run and of a comparison, what is missing or stale, errors, what a browser shows."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from edge_seq.compare.plots import draw_comparison
from edge_seq.compare.points import Candidate, Size
from edge_seq.compare.result import (
    CandidateFigures,
    Comparison,
    Cost,
    Execution,
    GradientFigures,
    IntegerRefused,
    NoCost,
    SizeFigures,
    Verdict,
    WindowCounts,
)
from edge_seq.ir.decision import DecisionStage, UnknownDistance
from edge_seq.ir.describe import ModelDescription
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW
from edge_seq.pipeline.prepare import TIME_WARNING
from edge_seq.pipeline.robustness import SweepPoint, SweepScores
from edge_seq.report import charts
from edge_seq.report.figures import RunFigures
from edge_seq.report.markup import tag
from edge_seq.report.run_page import run_page
from edge_seq.report.sweeps import draw_sweep
from edge_seq.report.timelines import MAX_SEGMENTS
from edge_seq.report.words import limits_of, summary_rows
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import ClassScore, Estimate, MainScores
from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.support.files import json_text
from edge_seq.support.results import from_plain
from edge_seq.workflow.decide import decide_run
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.export import export_run
from edge_seq.workflow.folder import RunFolder, writing
from edge_seq.workflow.measure import measure_run
from edge_seq.workflow.report import gather, write_report
from edge_seq.workflow.robustness import run_robustness
from edge_seq.workflow.streams import evaluate_streams
from edge_seq.workflow.verify import verify_run
from firmware_export.measuring.measure import Latency
from firmware_export.measuring.report import Measured, MeasureReport, Skipped, TargetReport
from firmware_export.toolchain.budgets import Budgets
from firmware_export.toolchain.target import choose_targets
from tests.cli.conftest import Small, edge_seq, ok
from tests.cli.html_pages import CONTRAST, MOST_BYTES, check_page, show
from tests.live.browser import browser

pytest.importorskip("matplotlib")

MEASURED = Measured(
    model="tiny",
    target="m4",
    status="measured",
    detail="",
    code_bytes=400,
    table_bytes=50,
    weight_bytes=50,
    flash_bytes=500,
    ram_bytes=200,
    stack_bytes=7,
    stack_bytes_seen=7,
    stack_path=(),
    instructions_per_window=1234,
    cycles_per_window=None,
    instructions_by_function={"dot": 30, "tanh": 10},
    steps_counted=0,
    constant_time=None,
    step_classes=(),
    latency_estimate=Latency(1000.0, 2000.0, "at 1 MHz"),
    notes=("a note",),
)
MARKUP = "<img src=x onerror=alert(1)>"
HOSTILE_LABEL = (
    f'{MARKUP}"&\\n$\\frac 静止'  # markup, quotes, what matplotlib would read as a formula, a script it lacks
)
TABLES = {
    "training": "training.json",
    "quantization": "quantization.json",
    "metrics": "metrics.test.json",
    "stream": "stream.test.json",
    "robustness": "reports/robustness.test.json",
    "verify": "reports/verify.json",
    "measure": "reports/measure.json",
}


@pytest.fixture(scope="module")
def whole(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on which every step was done."""
    path = Path(shutil.copytree(small.run, tmp_path_factory.mktemp("whole") / "run"))
    run = RunFolder(path)
    decide_run(run, unknown_margin=0.002, max_extra_delay_s=20)
    export_run(run)
    evaluate_run(run)
    evaluate_streams(run)
    run_robustness(run, names=("noise",), plot=False)
    verify_run(run, max_windows=10, extreme_windows=4)
    measure_run(run, choose_targets(("cortex_m4",)), Budgets(max_flash=100, max_ram=100_000), steps=60)
    (run.reports / "report.html").unlink(missing_ok=True)  # of a test that reported on the small run
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are their captions, for tests that look at words alone: most of the time goes into charts."""
    monkeypatch.setattr(charts, "chart", lambda title, *_args, **_options: tag("figure", title))
    monkeypatch.setattr(charts, "timeline", lambda title, *_args, **_options: tag("figure", title))


def figures_of(path: Path) -> RunFigures:
    found = gather(path)
    assert isinstance(found, RunFigures)
    return found


def with_stage(figures: RunFigures, stage: DecisionStage | None) -> RunFigures:
    model = figures.model
    return replace(figures, model=replace(model, readout=replace(model.readout, decision=stage)))


def save_timelines(run: Path, labels: NDArray[np.int16]) -> None:
    """One recording, that the integer model decides as it is."""
    signals = np.zeros((2, 3, 3), dtype=np.int16)
    tensors = {"a/labels": labels, "a/int": labels, "a/signals": signals}
    (run / "reports" / "stream.test.safetensors").write_bytes(safetensors.numpy.save(tensors))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def comparison(task: str = "<b>car</b>") -> Comparison:
    """Two window lengths, and a mean of states at the longer one."""
    candidates = (Candidate("gru", 4, 8, "default"), Candidate("gru", 4, 16, "default"))
    return Comparison(
        format="edge_seq.compare/1",
        fields={},
        task=task,
        labels=("a", "b"),
        data_note="simulated",
        data_fingerprint="abc",
        config={"cells": ["gru"], "score": "accuracy", "readouts": ["last", "mean"], "seeds": 2},
        versions={"numpy": "2"},
        sizes=(
            SizeFigures(Size("units", 4), "4 units", {"gru": 4}),
            SizeFigures(Size("units", 8), "8 units", {"gru": 8}),
        ),
        candidates=tuple(map(candidate_figures, (*candidates, Candidate("gru", 4, 16, "default", "mean")))),
        verdicts=(Verdict("all", "gru 4", "gru", "gru 4", ("gru 4",), "Take gru."),),
        rules=("one",),
        solved_up_to=None,
        trainings=5,
        trainings_left=1,
        failures={},
        lost=0,
        execution=Execution("edge-seq compare", 1.0),
    )


def candidate_figures(candidate: Candidate) -> CandidateFigures:
    estimate = Estimate(0.9, 0.8, 0.95)
    norms = (1.0, 0.1, 0.0)
    return CandidateFigures(
        name=str(candidate),
        candidate=candidate,
        learning_rate=0.01,
        scores=(0.9, None),
        over_seeds=estimate,
        over_groups=estimate,
        interval=estimate,
        majority=0.25,
        trained=1,
        score_by_learning_rate={"0.01": 0.9},
        confusion=((9, 1), (1, 9)),
        accuracy=0.9,
        macro_f1=0.9,
        groups=None,
        windows=WindowCounts(40, 20),
        training_seconds=1.0,
        training_cpu_seconds=1.0,
        integer=IntegerRefused("refused", ("no multiplier",)),
        gradient=GradientFigures(norms, 0.1, 1, norms, 0.0, 1),
        train_loss=((1.0,),),
        validation_accuracy=((0.9,),),
        cost=Cost(candidate.shape, 100, 90, None, NoCost("skipped", "no target was asked for")),
        sizes=("4 units",),
    )


def test_a_run_as_page_json_and_table(run: Path) -> None:
    out = run.parent / "page.html"
    found = ok("report", run, "--out", out, "--json").json
    assert (found["kind"], found["page"], found["missing"], found["stale"]) == ("run", str(out), {}, {})
    for name, file in TABLES.items():
        assert found[name] == json.loads((run / file).read_text())
    text = out.read_text()
    check_page(text)
    for heading in ("Intended use", "Limits", "Sensor contract", "Range proof", "Confusion matrix, integer model"):
        assert heading in text
    assert "Errors of the integer model by layer and gate" in text
    assert "Not made yet" not in text
    table = ok("report", run)
    accuracy = found["metrics"]["int"]["accuracy"]["value"]
    for printed in (table.out, text):
        assert f"{100 * accuracy:.1f} %" in printed
        assert "event macro-F1" in printed
        assert "Valid only for signals that match the sensor contract: 10 Hz" in printed
    assert f"page: {run / 'reports' / 'report.html'}" in table.out


def test_every_command_of_the_page_can_be_given(run: Path) -> None:
    commands = figures_of(run).commands
    assert [command.split()[1] for command in commands] == [
        *("train", "quantize", "decide", "evaluate", "evaluate", "export", "verify", "measure", "robustness", "report")
    ]
    assert commands[2].endswith("--max-extra-delay-s 20 --unknown-margin 0.002")
    assert commands[7].endswith("--target cortex_m4 --max-flash 100 --max-ram 100000 --steps 60")
    assert commands[8].endswith("--sweep noise --no-plot")
    change(run / "quantization.json", weight_bits=[4])
    change(run / "metrics.test.json", random_forest=None)
    change(run / "decision.json", max_extra_delay_s=5 / 6)
    streams = json.loads((run / "stream.test.json").read_text())
    change(run / "stream.test.json", float={**streams["float"], "tolerance_s": 0.5})
    exports = RunFolder(run).exports.path
    for name in ("packages/cmake/README.md", "blob/small_little.blob", PORTABLE_WINDOW):
        (exports / name).parent.mkdir(parents=True, exist_ok=True)
        (exports / name).touch()
    changed = figures_of(run).commands
    assert [command.partition(str(run))[2] for command in changed[1:6]] == [
        " --weight-bits 4",
        f" --max-extra-delay-s {5 / 6!r} --unknown-margin 0.002",
        " --no-baselines",
        " --stream --tolerance-s 0.5",
        " --package cmake --blob little --onnx portable",
    ]
    of_model = json.loads((run / "decision.json").read_text())["model_hash"]
    (run / "decision.json").write_text(json.dumps({"model_hash": of_model, "stage": None}))  # as --remove leaves it
    assert figures_of(run).commands[2].endswith(" --remove")


def test_the_timeline_shows_signals_truth_and_decisions(run: Path, small: Small) -> None:
    figures = figures_of(run)
    lanes = figures.timelines[0].lanes
    assert set(lanes) == {"labels", "float", "int", "float_decided", "int_decided"}
    stored = safetensors.numpy.load((run / "reports" / "stream.test.safetensors").read_bytes())
    name = figures.timelines[0].name
    for lane, segments in lanes.items():
        drawn = np.concatenate([np.full(round(10 * (s.end_s - s.start_s)), s.label) for s in segments])
        np.testing.assert_array_equal(drawn, stored[f"{name}/{lane}"])
    shares = [one.right_share for one in figures.timelines]
    assert shares == sorted(shares)
    assert [one.rank.split()[1] for one in figures.timelines] == ["worst", "median", "best"][-len(shares) :]
    assert list(figures.timelines[0].signals) == ["ax, m/s^2", "ay, m/s^2", "az, m/s^2"]
    for name, bins in figures.timelines[0].signals.items():
        channel = next(one for one in figures.model.contract.channels if name.startswith(one.name))
        recorded = np.loadtxt(small.drives, delimiter=",", skiprows=1, usecols=int("xyz".index(name[1])) + 2, dtype=str)
        groups = np.loadtxt(small.drives, delimiter=",", skiprows=1, usecols=0, dtype=str)
        values = recorded[groups == figures.timelines[0].name].astype(float)
        assert len(bins) == 400
        assert max(high for _, high in bins) == pytest.approx(values.max(), abs=1 / channel.counts_per_unit)
        assert min(low for low, _ in bins) == pytest.approx(values.min(), abs=1 / channel.counts_per_unit)


def test_a_long_restless_timeline_is_drawn_in_steps(run: Path) -> None:
    labels = np.tile(np.array([0, 1, 1], dtype=np.int16), 40_000)
    save_timelines(run, labels)
    figures = figures_of(run)
    (one,) = figures.timelines
    assert (one.rank, one.seconds, one.step_s) == ("the only one", 12_000.0, 20.0)
    assert [(s.start_s, s.end_s, s.label) for s in one.lanes["int"]] == [(0.0, 12_000.0, 1)]
    page = run_page(figures)
    assert "the most frequent label of each 20 s" in page
    assert len(page) < MOST_BYTES


def test_as_many_changes_as_can_be_drawn_are_drawn(run: Path) -> None:
    labels = np.arange(MAX_SEGMENTS, dtype=np.int16) % 2
    save_timelines(run, labels)
    (one,) = figures_of(run).timelines
    assert (one.step_s, len(one.lanes["int"])) == (0.0, MAX_SEGMENTS)


def test_what_is_missing_is_named_with_its_command(small: Small, tmp_path: Path) -> None:
    path = Path(shutil.copytree(small.run, tmp_path / "run"))
    for left in ("quantization.json", "model.int.safetensors", "training.json", *TABLES.values(), "decision.json"):
        (path / left).unlink(missing_ok=True)
    result = ok("report", path)
    for name, command in (
        ("training", f"train {path / 'config.toml'} --out {path}"),
        ("quantization", f"quantize {path}"),
        ("metrics", f"evaluate {path}"),
        ("decision", f"decide {path}"),
        ("stream", f"evaluate {path} --stream"),
        ("robustness", f"robustness {path}"),
        ("verify", f"export {path} && edge-seq verify {path}"),
        ("measure", f"measure {path} --target cortex_m4"),
    ):
        assert f"no {name} yet: edge-seq {command}\n" in result.out
    page = (path / "reports" / "report.html").read_text()
    assert page.count("Not made yet. Run: ") == 8  # the metrics stand for two sections
    check_page(page)


@pytest.mark.usefixtures("undrawn")
def test_without_validation_part_no_decision_is_asked_for(run: Path) -> None:
    (run / "data" / "validation.safetensors").unlink()
    (run / "decision.json").unlink()
    history = [
        {key: None if key.startswith("validation") else value for key, value in one.items()}
        for one in json.loads((run / "training.json").read_text())["history"]
    ]
    change(run / "training.json", history=history)
    metrics = json.loads((run / "metrics.test.json").read_text())
    none = {"value": 1.0, "windows": 0, "groups": 0, "note": "the run has no validation windows: give some"}
    change(run / "metrics.test.json", reliability={**metrics["reliability"], "temperature": none})
    figures = figures_of(run)
    assert figures.missing == {}
    page = run_page(figures)
    assert "Score on validation windows" not in page
    assert re.search(r"<p>The run has no validation windows.*\. The area of a dot is its share", page)
    assert re.search(r"Integer model: calibration error [0-9.]+ %<", page)
    check_page(page)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", [*(name for name in TABLES if name != "training"), "decision"])
def test_a_section_of_another_model_is_told(name: str, run: Path) -> None:
    change(run / TABLES.get(name, "decision.json"), model_hash="0" * 64)
    found = figures_of(run)
    assert list(found.stale) == [name]
    assert f"{name} is about model {'0' * 16}, but the run now holds" in found.stale[name]
    assert f"run again: {found.steps[name]}" in found.stale[name]
    assert f"Limits</h3><ul><li>STALE: {name} is about model" in run_page(found)


def test_a_stale_report_ends_with_1_and_a_measurement_without_a_model_is_stale(run: Path) -> None:
    measured = json.loads((run / "reports" / "measure.json").read_text())
    del measured["model_hash"]
    (run / "reports" / "measure.json").write_text(json.dumps(measured))
    result = edge_seq("report", run, "--json")
    assert result.code == 1
    assert "measure is about a model that it does not name" in result.json["stale"]["measure"]
    figures = figures_of(run)
    assert "Stale: measure is about a model" in run_page(figures)
    assert limits_of(figures)[0].startswith("STALE: measure is about a model")


def test_an_integer_model_made_after_the_scores_makes_them_stale(run: Path) -> None:
    change(run / "metrics.test.json", int_model_hash="1" * 64)
    assert list(figures_of(run).stale) == ["metrics"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("name", "file"), TABLES.items())
@pytest.mark.parametrize("content", ["{", "[]", '{"rungs": 3}'])
def test_a_damaged_table_of_a_run_is_named(name: str, file: str, content: str, run: Path) -> None:
    (run / file).write_text(content)
    with pytest.raises(
        DataError, match=rf"reading {Path(file).name}: (not a table|a list|not as its command)"
    ) as error:
        write_report(run)
    assert "make it again" in str(error.value), name
    assert not (run / "reports" / "report.html").exists()


def test_damaged_timelines_are_named(run: Path) -> None:
    (run / "reports" / "stream.test.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match=r"reading stream.test.safetensors: damaged .* --stream again"):
        write_report(run)
    (run / "reports" / "stream.test.safetensors").write_bytes(safetensors.numpy.save({"a/int": np.zeros(3, np.int16)}))
    with pytest.raises(DataError, match=r"reading stream.test.safetensors: not as its command writes it"):
        write_report(run)


def test_hashes_that_are_no_table_are_named(run: Path) -> None:
    (run / "data" / "hashes.json").write_text("3")
    with pytest.raises(DataError, match=r"reading hashes.json: a int, expected a table"):
        write_report(run)


def test_a_table_whose_options_cannot_be_read_is_told(run: Path) -> None:
    change(run / "reports" / "measure.json", targets=[3])
    with pytest.raises(DataError, match=r"reading measure.json: not as its command writes it \(TypeError"):
        write_report(run)


@pytest.mark.usefixtures("undrawn")
def test_a_class_absent_in_the_test_part_is_shown_as_such(run: Path) -> None:
    metrics = json.loads((run / "metrics.test.json").read_text())
    for name in ("float", "int"):
        scores = metrics[name]
        scores["confusion"] = [
            [0 if 3 in (i, j) else n for j, n in enumerate(r)] for i, r in enumerate(scores["confusion"])
        ]
        scores["classes"][3] |= {"support": 0, "precision": None, "recall": None, "f1": None, "f1_low": None}
    change(run / "metrics.test.json", **metrics)
    page = run_page(figures_of(run))
    assert "<td>0</td><td>-</td><td>-</td><td>-</td>" in page
    assert "of the skid windows are found" not in page


def test_names_with_markup_stay_text(run: Path) -> None:
    text = json.dumps(HOSTILE_LABEL, ensure_ascii=False)[1:-1]
    for file in (*TABLES.values(), "decision.json"):
        (run / file).write_text((run / file).read_text().replace("skid", text).replace("gcc", text))
    figures = figures_of(run)
    table = json_text(figures.model).replace('"skid"', json.dumps(HOSTILE_LABEL)).replace('"ax"', json.dumps(MARKUP))
    model = from_plain(ModelDescription, json.loads(table))
    side = replace(figures.sides[0], name=MARKUP, groups=(MARKUP,))
    colour = '#000000 id="text_1" font: 9px x'  # what is replaced in tags stays in texts
    lines = [
        replace(
            one,
            name=HOSTILE_LABEL,
            signals={name: next(iter(one.signals.values())) for name in (HOSTILE_LABEL, colour)},
        )
        for one in figures.timelines
    ]
    hostile = replace(figures, name=MARKUP, model=replace(model, name=MARKUP), sides=(side,), timelines=tuple(lines))
    page = run_page(replace(hostile, commands=(MARKUP,), stale={"verify": MARKUP}, hashes={MARKUP: MARKUP}))
    check_page(page)
    assert MARKUP not in page
    assert "$\\frac" in page
    assert "静止" in page
    assert f">{colour}</text>" in page


def test_300_classes_make_a_page_that_can_still_be_opened(run: Path) -> None:
    rng = np.random.default_rng(0)
    labels = [f"class_{index:03}" for index in range(300)]
    confusion = rng.integers(0, 9, (300, 300))
    figures = figures_of(run)
    assert figures.metrics is not None
    classes = tuple(ClassScore(label, support=1, precision=0.5, recall=0.5, f1=0.5) for label in labels)
    scores = replace(figures.metrics.float_model, confusion=tuple(map(tuple, confusion.tolist())), classes=classes)
    metrics = replace(figures.metrics, float_model=scores, int_model=scores)
    sides = tuple(replace(side, per_class=(1,) * 300) for side in figures.sides)
    page = run_page(replace(figures, model=replace(figures.model, labels=tuple(labels)), metrics=metrics, sides=sides))
    check_page(page)
    off = confusion - np.diag(np.diag(confusion))
    assert f"The 20 most frequent of {np.count_nonzero(off):,} confusions" in page
    assert "<td>class_001</td><td>8</td>" in page or ">8</td>" in page
    assert "class_011 and 288 more." in page


def test_without_matplotlib_it_says_what_to_install(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ToolError, match=r"edge-seq report needs matplotlib, .*pip install 'edge-seq.data.'"):
        write_report(run)


def test_plots_of_a_comparison_take_a_dollar_as_it_is(tmp_path: Path) -> None:
    names = draw_comparison(comparison(r"$\foo$"), tmp_path)
    assert names == ["scores.png", "scores.svg", "gradients.png", "gradients.svg"]
    assert r"$\foo$, 4 units: mean and 95 %" in (tmp_path / "scores.svg").read_text()
    gradients = (tmp_path / "gradients.svg").read_text()
    assert r"$\foo$, 4 units" in gradients
    assert "mathdefault" not in gradients


def test_a_comparison_as_page_with_values_escaped(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(json_text(comparison()))
    result = ok("report", tmp_path)
    assert "Take gru." in result.out
    text = (tmp_path / "report.html").read_text()
    check_page(text)
    assert "&lt;b&gt;car&lt;/b&gt;" in text
    assert "<b>car" not in text
    assert "1 trainings are not done yet" in text
    found = ok("report", tmp_path / "comparison.json", "--json").json
    assert (found["kind"], found["table"]) == ("comparison", comparison().to_dict())


def test_what_is_no_run_and_no_comparison_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=r"is neither the folder of a run \(config.toml\) nor of a comparison"):
            write_report(path)
    assert edge_seq("report", tmp_path).code == 2


def test_a_run_that_was_not_trained_to_its_end_is_refused(run: Path) -> None:
    (run / "model.float.safetensors").unlink()
    with pytest.raises(ConfigError, match="holds no trained model; run edge-seq train"):
        write_report(run)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (None, "No decision stage: every window gets one of the classes"),
        (DecisionStage(), "Decisions are never unknown"),
        (DecisionStage(unknown_margin=9), None),
        (DecisionStage(unknown_distance=UnknownDistance(((1,),), (2,))), None),
    ],
)
def test_the_limits_say_what_becomes_of_the_unknown(
    stage: DecisionStage | None, words: str | None, whole: Path
) -> None:
    figures = figures_of(whole)
    limits = limits_of(with_stage(figures, stage))
    found = [line for line in limits if "decision stage" in line or "unknown" in line]
    assert [line[: len(words or "")] for line in found] == ([] if words is None else [words])


@pytest.mark.usefixtures("undrawn")
def test_a_distance_is_told_and_its_option_given(run: Path) -> None:
    change(run / "decision.json", unknown_distance=0.05)
    figures = figures_of(run)
    assert figures.commands[2].endswith("--unknown-margin 0.002 --unknown-distance 0.05")
    assert figures.model.readout.decision is not None
    stage = replace(figures.model.readout.decision, unknown_distance=UnknownDistance(((1,) * 5,), (128, 640)))
    page = run_page(with_stage(figures, stage))
    assert "or beyond its label&#x27;s radius, 1.00 to 5.00</dd>" in page
    assert "centroids" not in page


def test_failed_parity_and_overruns_are_limits(whole: Path) -> None:
    figures = figures_of(whole)
    assert figures.verify is not None
    failed = replace(figures.verify, rungs=(replace(figures.verify.rungs[0], verdict="failed"),))
    over = TargetReport(MEASURED, {"max_ram": 1}, ("max_ram is 1, found 2",), ())
    limits = limits_of(replace(figures, verify=failed, measure=MeasureReport("0" * 64, False, (over,))))
    assert "PARITY FAILED: an export does not compute the same as the scored model. Do not deploy it." in limits
    assert "OVER BUDGET max_ram is 1, found 2" in limits


@pytest.mark.usefixtures("undrawn")
def test_cost_has_a_bar_for_each_budget_and_the_functions_that_cost_most(whole: Path) -> None:
    budgets = {"max_flash": 1000, "max_ram": 100}
    counted = replace(MEASURED, target="avr", cycles_per_window=9000, latency_estimate=None)
    targets = (
        TargetReport(MEASURED, budgets, ("max_ram is 100, found 200",), ()),
        TargetReport(Skipped("tiny", "m0", "skipped", ("no compiler",)), {}, (), ()),
        TargetReport(counted, budgets, (), ()),
    )
    page = run_page(replace(figures_of(whole), measure=MeasureReport("0" * 64, False, targets)))
    check_page(page)
    assert '500 of 1,000<span class="meter" aria-hidden="true"><span style="width:50.0%"></span>' in page
    assert '200 of 100<span class="meter" aria-hidden="true"><span style="width:100.0%" class="over"></span>' in page
    assert '<td>1,234</td><td>1.00 to 2.00 ms</td><td><span class="bad">over budget</span></td>' in page
    assert "<td>9,000 cycles</td><td>-</td><td>measured</td>" in page
    assert "<td>-</td><td>skipped</td>" in page
    for note in ("m4: a note", "m4: at 1 MHz", "m0: no compiler"):
        assert f"<li>{note}</li>" in page
    assert '<th scope="row">dot</th><td>30</td><td>75.0 %</td>' in page


def test_a_disturbance_that_costs_5_points_is_a_limit(whole: Path) -> None:
    def point(value: float, accuracy: float) -> SweepPoint:
        one = Estimate(accuracy, None, None)
        return SweepPoint(value, 9, MainScores(one, one))

    points = (point(0.5, 0.1), point(1, 0.9), point(1.1, 0.86), point(1.2, 0.8))
    figures = figures_of(whole)
    assert figures.robustness is not None
    swept = replace(figures.robustness, sweeps=(SweepScores("rate", "rate", 1, points),))
    limits = limits_of(replace(figures, robustness=swept))
    assert "rate: at 1.2 accuracy is 80.0 %, 90.0 % as trained." in limits


def test_a_run_that_another_process_writes_to_gets_no_page_but_can_be_read(run: Path, tmp_path: Path) -> None:
    with writing(RunFolder(run)):
        with pytest.raises(ConfigError, match="another process writes to it"):
            write_report(run)
        assert not (run / "reports" / "report.html").exists()
        assert write_report(run, tmp_path / "page.html")[1].is_file()


def test_a_page_is_not_written_over_a_folder_or_into_a_file(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write to .*config.toml is a file"):
        write_report(run, run / "config.toml" / "page.html")
    with pytest.raises(ConfigError, match="which is a folder; give the name of a page"):
        write_report(run, run / "data")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a table in JSON"),
        ('{"format": "other"}', "format 'other', expected 'edge_seq.compare/1'"),
        ('{"format": "edge_seq.compare/1"}', "not as its command writes it (KeyError: 'fields')"),
    ],
)
def test_a_damaged_comparison_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(DataError, match=re.escape(message)):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.fixture(scope="module")
def pages(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "comparison.json").write_text(json_text(comparison()))
    places = {"run": folder / "run.html", "comparison": folder / "comparison.html"}
    write_report(whole, places["run"])
    write_report(folder, places["comparison"])
    return places


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.mark.parametrize("kind", ["run", "comparison"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_browser_shows_it_without_network_or_errors(
    kind: str, width: int, pages: dict[str, Path], chrome: Any
) -> None:
    show(chrome, pages[kind], width)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    assert chrome.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert chrome.get_log("browser") == []


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_charts_can_be_read_on_a_phone_and_their_text_is_text(kind: str, pages: dict[str, Path], chrome: Any) -> None:
    show(chrome, pages[kind], 390)
    heights = chrome.execute_script(
        "return [...document.querySelectorAll('figure svg text')].map(t => [t.textContent, t.getBBox().height *"
        " t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width])"
    )
    assert {"run": "epoch", "comparison": "window length T, samples"}[kind] in {text for text, _ in heights}
    assert min(height for _, height in heights) > 7, heights
    unnamed = "return document.querySelectorAll('svg:not([role=img][aria-label])').length"
    assert chrome.execute_script(unnamed) == 0


def right_edge(chrome: Any, box: Any) -> NDArray[np.uint8]:
    """Pixels of the right edge of an element, uint8 [height, 3]."""
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(box.screenshot_as_png)).convert("RGB")
    return np.asarray(image)[2:-2, -2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["run", "comparison"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_wide_table_on_a_phone_is_shaded_where_there_is_more(
    kind: str, scheme: str, pages: dict[str, Path], chrome: Any
) -> None:
    show(chrome, pages[kind], 390, scheme)
    wide = "return [...document.querySelectorAll('.scroll')].find(e => e.scrollWidth > e.clientWidth + 100)"
    box = chrome.execute_script(wide)
    card = np.array(json.loads(chrome.execute_script(CARD)))
    beginning = right_edge(chrome, box)
    chrome.execute_script("arguments[0].scrollLeft = 1e6", box)
    end = right_edge(chrome, box)
    assert (beginning != card).any(axis=1).mean() > 0.9
    assert (end != card).any(axis=1).mean() < 0.4  # text, and lines between rows
    assert chrome.execute_script(
        "return [...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth)"
    )


CARD = "return getComputedStyle(document.querySelector('section')).backgroundColor.replace(/rgb.(.*)./, '[$1]')"


@pytest.mark.parametrize("kind", ["run", "comparison"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_stands_out_from_the_page_in_both_themes(
    kind: str, scheme: str, pages: dict[str, Path], chrome: Any
) -> None:
    show(chrome, pages[kind], 1280, scheme)
    texts, words, lines, page = chrome.execute_script(CONTRAST)
    assert (page > 0.5) == (scheme == "light")
    assert min(texts, words) >= 4.5  # what WCAG 2.1 asks of text
    assert lines >= 1.5  # the faintest are grids; curves have more


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_it_prints_in_light_colours_on_a_few_pages(kind: str, pages: dict[str, Path], chrome: Any) -> None:
    show(chrome, pages[kind], 1280, "dark")
    printed = base64.b64decode(chrome.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") in range(2, 16)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    ink = "return getComputedStyle(document.querySelector('section')).color"
    assert chrome.execute_script(ink) == "rgb(27, 27, 25)"
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def without_one_figure(value: Any, *, kept: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """A result once for each figure that its class allows to be None, without it; of long lists the two ends."""
    if is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        for one in fields(value):
            found = getattr(value, one.name)
            if found is not None and NoneType in get_args(hints[one.name]) and one.name not in kept:
                yield one.name, replace(value, **{one.name: None})
            for name, changed in without_one_figure(found):
                yield f"{one.name}.{name}", replace(value, **{one.name: changed})
    elif isinstance(value, tuple | list):
        for place in range(len(value)) if len(value) <= 12 else (0, len(value) - 1):
            for name, changed in without_one_figure(value[place]):
                yield f"{place}.{name}", type(value)((*value[:place], changed, *value[place + 1 :]))
    elif isinstance(value, dict):
        for key, item in value.items():
            for name, changed in without_one_figure(item):
                yield f"{key}.{name}", {**value, key: changed}


def test_no_figure_is_needed_for_a_page(whole: Path, undrawn: None) -> None:
    """Each figure that a step may lack, left out alone: the page, the summary and the limits are made all the same."""
    figures = figures_of(whole)
    costs = MeasureReport("m", False, (TargetReport(MEASURED, {"max_flash": 100}, (), ()),))
    steps = ("training", "quantization", "metrics", "decision", "stream", "robustness", "verify", "measure")
    made = [*without_one_figure(replace(figures, measure=costs), kept=steps)]
    names = [name for name, _ in made]
    expected = {"stream.int_model.delay_median_s", "measure.targets.0.found.ram_bytes", "metrics.reliability"}
    assert expected | {"verify.rungs.3.comparison", "training.history.0.validation_loss"} <= {*names}
    assert len(names) > 100
    failed = []
    for name, changed in made:
        try:
            check_page(run_page(changed))
            assert summary_rows(changed)
        except Exception as error:  # noqa: BLE001 - all are listed
            failed.append(f"{name}: {type(error).__name__}: {error}")
    assert failed == []


def test_a_split_by_blocks_of_time_is_said_once(whole: Path) -> None:
    figures = figures_of(whole)
    assert figures.metrics is not None
    config = figures.config.model_copy(update={"data": figures.config.data.model_copy(update={"split": "time_blocks"})})
    scored = replace(figures.metrics, note=SplitNote("time_blocks", TIME_WARNING))
    for metrics in (scored, None):
        lines = limits_of(replace(figures, config=config, metrics=metrics))
        assert sum("weaker evidence than a split by group" in line for line in lines) == 1


def test_no_interval_is_needed_for_a_chart() -> None:
    point = MainScores(Estimate(0.9, 0.8, 1.0), Estimate(0.9, 0.8, 1.0))
    bare = MainScores(Estimate(0.8, None, None), Estimate(0.8, None, None))
    for points in ((point, bare), (bare, point), (bare, bare)):
        sweep = SweepScores(
            "noise", "noise, g", 0.0, tuple(SweepPoint(float(n), 9, one, one) for n, one in enumerate(points))
        )
        assert charts.chart("noise", lambda axes, sweep=sweep: draw_sweep(axes, sweep))
