"""edge-seq report: one page for a run, a comparison or a search, made from the tables that the commands wrote."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edge_seq.compare.result import Comparison
from edge_seq.compare.text import COMPARISON, FORMAT
from edge_seq.data.recording import SIDES
from edge_seq.data.window_file import load_windows
from edge_seq.ir.contract import SensorContract, axis_triples
from edge_seq.ir.describe import describe
from edge_seq.ir.model import FloatModel, IntModel, model_hash, without_decision
from edge_seq.ir.serialize import load_int_model
from edge_seq.parity.c_rungs import TARGET_RUNG
from edge_seq.parity.imported import ImportSummary
from edge_seq.parity.ladder import Ladder
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.decision_search import Decision
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW
from edge_seq.pipeline.exports import blobs_in, packages_in
from edge_seq.pipeline.learning.record import TrainingSummary
from edge_seq.pipeline.quantization import QuantizationSummary
from edge_seq.pipeline.robustness import SWEEP_NAMES, Robustness
from edge_seq.report.comparison_page import comparison_page
from edge_seq.report.figures import ComparisonFigures, RunFigures, RunTables, SearchFigures, SideFigures
from edge_seq.report.run_page import run_page
from edge_seq.report.search_page import search_page
from edge_seq.report.timelines import read_timelines
from edge_seq.scores.evaluation import Evaluation, StreamEvaluation
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import load_json, load_result, reading
from edge_seq.support.results import from_plain
from edge_seq.tuning.points import is_study
from edge_seq.tuning.result import FORMAT as SEARCH_FORMAT
from edge_seq.tuning.result import SEARCH, SearchResult
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, open_run, writing
from firmware_export.measuring.report import MeasureReport
from firmware_export.toolchain.target import target_names

_Kind = TypeVar("_Kind")


def gather(path: Path) -> RunFigures | ComparisonFigures | SearchFigures:
    """Read the figures of a folder of a run, a comparison or a search, or of a comparison.json.

    Raises:
        ConfigError: the path is none of them.
        DataError, ModelError: a file is damaged.
    """
    table = path / COMPARISON if path.is_dir() else path
    if table.name == COMPARISON and table.is_file():
        return gather_comparison(table)
    if is_study(path):
        return gather_search(path)
    if not (path / "config.toml").is_file():
        raise ConfigError(
            f"{path} is neither the folder of a run (config.toml) nor of a comparison ({COMPARISON}) or a search "
            f"({SEARCH}). Make one with edge-seq train, edge-seq compare or edge-seq search"
        )
    return gather_run(open_run(path))


def gather_comparison(path: Path) -> ComparisonFigures:
    """Read comparison.json.

    Raises:
        DataError: the file is damaged or has another format.
    """
    table = load_json(path)
    if table.get("format") != FORMAT:
        raise DataError(
            f"reading {path.name}: format {table.get('format')!r}, expected {FORMAT!r}; make it again with "
            "edge-seq compare"
        )
    with reading(path.name):
        return ComparisonFigures(path.absolute().parent.name, from_plain(Comparison, table))


def gather_search(folder: Path) -> SearchFigures:
    """Read search.json.

    Raises:
        DataError: the file is damaged or has another format.
    """
    table = load_json(folder / SEARCH)
    if table.get("format") != SEARCH_FORMAT:
        raise DataError(
            f"reading {SEARCH}: format {table.get('format')!r}, expected {SEARCH_FORMAT!r}; make it again with "
            "edge-seq search"
        )
    with reading(SEARCH):
        return SearchFigures(folder.absolute().name, from_plain(SearchResult, table))


def _load(path: Path, kind: type[_Kind]) -> _Kind | None:
    return load_result(path, kind) if path.is_file() else None


def _tables(run: RunFolder) -> RunTables:
    paths = _paths(run)
    return RunTables(
        imported=_load(paths["imported"], ImportSummary),
        training=_load(paths["training"], TrainingSummary),
        quantization=_load(paths["quantization"], QuantizationSummary),
        metrics=_load(paths["metrics"], Evaluation),
        decision=_load(paths["decision"], Decision),
        stream=_load(paths["stream"], StreamEvaluation),
        robustness=_load(paths["robustness"], Robustness),
        verify=_load(paths["verify"], Ladder),
        measure=_load(paths["measure"], MeasureReport),
    )


def gather_run(run: RunFolder) -> RunFigures:
    """Read the tables and models of a run.

    Raises:
        ConfigError: the training did not finish.
        DataError, ModelError: a file is damaged.
    """
    float_model = load_run_float(run)
    int_model = load_int_model(run.int_model) if run.int_model.is_file() else None
    shown = describe(int_model or float_model)
    tables, steps, config = _tables(run), _steps(run), load_run_config(run)
    return RunFigures(
        name=run.path.absolute().name,
        path=str(run.path),
        model=shown,
        config=config,
        sides=_sides(run, float_model.num_classes),
        **vars(tables),
        timelines=read_timelines(
            run.stream_timelines("test"), shown.contract, command=f"{run.command('evaluate')} --stream"
        ),
        hashes=_hashes(run, float_model, int_model, tables),
        versions={
            **({} if tables.imported is None else tables.imported.versions),
            **({} if tables.training is None else tables.training.versions),
            "edge_seq, of this page": importlib.metadata.version("edge-seq"),
        },
        files={name: path.name for name, path in _paths(run).items()},
        steps=steps,
        missing={name: command for name, command in steps.items() if getattr(tables, name) is None},
        stale=_stale(tables, float_model, int_model, again={"decision": run.command("decide"), **steps}),
        commands=_commands(run, tables, config, shown.contract),
    )


def _paths(run: RunFolder) -> dict[str, Path]:
    """Path of the table of each section."""
    return {
        "imported": run.imported,
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
    """Command that makes each section, without the sections that this run cannot have."""
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
    if run.imported.is_file():
        del steps["training"]
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


def _hashes(run: RunFolder, float_model: FloatModel, int_model: IntModel | None, tables: RunTables) -> dict[str, str]:
    hashes = {"float model": model_hash(float_model)}
    if int_model is not None:
        hashes["integer model"] = model_hash(int_model)
    if tables.verify is not None:
        hashes["inputs of the parity ladder"] = tables.verify.input_hash
    if run.data_hashes.is_file():
        hashes |= {f"data: {name}": str(value) for name, value in load_json(run.data_hashes).items()}
    return hashes


def _stale(
    tables: RunTables, float_model: FloatModel, int_model: IntModel | None, *, again: Mapping[str, str]
) -> dict[str, str]:
    """Message for each section that is about another model than the run now holds.

    The labels of an integer model do not depend on its decision stage, so a new stage does not make the scores of
    labels stale.

    Args:
        tables: Results of the run.
        float_model, int_model: Models that the run now holds.
        again: Command that makes each section.
    """
    of_float = model_hash(float_model)
    exact = of_float if int_model is None else model_hash(int_model)
    labels = exact if int_model is None else model_hash(without_decision(int_model))
    found: list[tuple[str, str | None, tuple[str | None, ...]]] = []
    if tables.metrics is not None:
        found.append(("metrics", tables.metrics.model_hash, (of_float,)))
        found.append(("metrics", tables.metrics.int_model_hash, (labels, None)))
    if tables.quantization is not None:
        found.append(("quantization", tables.quantization.float_model_hash, (of_float,)))
        found.append(("quantization", tables.quantization.model_hash, (labels,)))
    if tables.robustness is not None:
        found.append(("robustness", tables.robustness.model_hash, (exact, labels)))
    for name in ("decision", "stream", "verify", "measure"):
        table: Decision | StreamEvaluation | Ladder | MeasureReport | None = getattr(tables, name)
        if table is not None:
            found.append((name, table.model_hash, (exact,)))
    lines: dict[str, str] = {}
    for name, about, allowed in found:
        if about not in allowed:
            model = f"model {about[:16]}" if about else "a model that it does not name"
            lines[name] = (
                f"{name} is about {model}, but the run now holds {str(allowed[0])[:16]}; run again: {again[name]}"
            )
    return lines


def _commands(run: RunFolder, tables: RunTables, config: RunConfig, contract: SensorContract) -> tuple[str, ...]:
    """Commands from the configuration to this report, with the options that the tables and exports record."""
    verify, measure = tables.verify, tables.measure
    rungs = () if verify is None else verify.rungs
    tried = [one.name.removeprefix(TARGET_RUNG) for one in rungs]
    measured = () if measure is None else measure.targets
    limits = [set(one.budgets.items()) for one in measured]
    budgets = sorted(set.intersection(*limits)) if limits else []  # common to all targets, so given as options
    chosen = () if verify is None else verify.options or ()
    counted = () if measure is None else measure.options or ()
    steps: list[tuple[str, Sequence[str]]] = [("quantize", _of_bits(tables.quantization, config))]
    if tables.decision is not None:
        steps.append(("decide", _of_decision(tables.decision)))
    steps += [
        ("evaluate", _of_baselines(tables.metrics, run)),
        ("evaluate", ("--stream", *_of_tolerance(tables.stream, contract))),
        ("export", _of_exports(run)),
        ("verify", (*_targets([name for name in tried if name in target_names()], chosen), *chosen)),
        (
            "measure",
            (
                *_targets([one.found.target for one in measured] or ["cortex_m4"], counted),
                *(word for name, limit in budgets for word in (f"--{name.replace('_', '-')}", str(limit))),
                *counted,
            ),
        ),
        ("robustness", _of_sweeps(tables.robustness, run, contract)),
        ("report", ()),
    ]
    first = run.command("train") if tables.imported is None else tables.imported.command
    return (first, *(" ".join((run.command(name), *map(shlex.quote, options))) for name, options in steps))


def _of_bits(found: QuantizationSummary | None, config: RunConfig) -> tuple[str, ...]:
    """Options of a quantisation with other bits than the configuration asks for."""
    if found is None:
        return ()
    layers, asked = len(found.cell_frac_bits), config.quantization.weight_bits
    bits = found.weight_bits or (8,) * layers
    if bits == (asked * layers if len(asked) == 1 else asked):
        return ()
    return tuple(word for one in (bits[:1] if len(set(bits)) == 1 else bits) for word in ("--weight-bits", str(one)))


def _of_decision(found: Decision) -> tuple[str, ...]:
    """Options of the search of a decision stage, or of its removal."""
    search = found.search
    if search is None:
        return ("--remove",)
    numbers = {
        "--max-extra-delay-s": search.max_extra_delay_s,
        "--unknown-margin": search.unknown_margin,
        "--unknown-distance": search.unknown_distance,
    }
    given = tuple(word for name, one in numbers.items() if one is not None for word in (name, _exact(one)))
    return (*given, *(("--allow-unknown",) if search.allow_unknown else ()))


def _exact(number: float) -> str:
    """The number, as short as it can be told without loss."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _of_baselines(found: Evaluation | None, run: RunFolder) -> tuple[str, ...]:
    without = found is not None and found.random_forest is None and run.windows("train").is_file()
    return ("--no-baselines",) if without else ()


def _of_tolerance(found: StreamEvaluation | None, contract: SensorContract) -> tuple[str, ...]:
    """Option of streams that were scored with another tolerance than the length of a window."""
    if found is None:
        return ()
    tolerance = found.float_model.tolerance_s
    usual = contract.window_length / contract.sample_rate_hz
    return () if tolerance == usual else ("--tolerance-s", _exact(tolerance))


def _of_exports(run: RunFolder) -> tuple[str, ...]:
    """Options of what the exports have besides ONNX and C."""
    folder = run.exports.path
    wanted = (
        *(("--package", name) for name in packages_in(folder)),
        *(("--blob", order) for order in blobs_in(folder)),
        *([("--onnx", "portable")] if (folder / PORTABLE_WINDOW).is_file() else ()),
    )
    return tuple(word for option in wanted for word in option)


def _of_sweeps(found: Robustness | None, run: RunFolder, contract: SensorContract) -> tuple[str, ...]:
    """Options of a sweep of some disturbances, or without a drawing."""
    if found is None:
        return ()
    names = [one.name for one in found.sweeps]
    usual = [name for name in SWEEP_NAMES if name != "mounting_angle" or axis_triples(contract)]
    options = () if names == usual else tuple(word for name in names for word in ("--sweep", name))
    drawn = (run.reports / "robustness.test.png").is_file()
    return (*options, *(() if drawn else ("--no-plot",)))


def _targets(names: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """Options of targets, but for those that ``options`` name already, by their names or files."""
    named = {Path(value).stem for option, value in pairwise(options) if option == "--target"}
    return tuple(word for name in names if name not in named for word in ("--target", name))


def write_report(path: Path, out: Path | None = None) -> tuple[RunFigures | ComparisonFigures | SearchFigures, Path]:
    """Write the report of a run, a comparison or a search.

    Args:
        path: Folder of a run, a comparison or a search, or a comparison.json.
        out: HTML file to write; None takes reports/report.html of a run, report.html of a comparison or a search.

    Returns:
        The figures, and the path of the page.

    Raises:
        ConfigError: the path is no run, comparison or search, the page cannot be written, or it is to be written
            into a run to which another process writes.
        DataError, ModelError: a file is damaged.
        ToolError: matplotlib is not installed.
    """
    if out is not None and out.is_dir():
        raise ConfigError(
            f"report: cannot write to {out}, which is a folder; give the name of a page, such as {out}/car.html"
        )
    run = RunFolder(path)
    with writing(run) if out is None and run.config.is_file() else nullcontext():
        figures = gather(path)
        if isinstance(figures, RunFigures):
            place, page = out or run.reports / "report.html", run_page(figures)
        elif isinstance(figures, SearchFigures):
            place = out or path / "report.html"
            with reading(SEARCH):
                page = search_page(figures)
        else:
            folder = path if path.is_dir() else path.parent
            place = out or folder / "report.html"
            with reading(COMPARISON):  # a comparison without verdicts or candidates has no page
                page = comparison_page(figures)
        check_can_write(place.parent)
        write_atomically(place, page)
    return figures, place


def to_dict(figures: RunFigures | ComparisonFigures | SearchFigures) -> dict[str, Any]:
    """Figures of a report as a table for JSON."""
    kinds = {RunFigures: "run", ComparisonFigures: "comparison", SearchFigures: "search"}
    return {"kind": kinds[type(figures)], **figures.to_dict()}
