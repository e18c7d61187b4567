"""edge-seq report: one page for a run or a comparison, made from the tables that the commands wrote."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from edge_seq.compare.result import Comparison
from edge_seq.compare.text import COMPARISON, FORMAT
from edge_seq.data.recording import SIDES
from edge_seq.data.window_file import load_windows
from edge_seq.ir.describe import describe
from edge_seq.ir.model import FloatModel, IntModel, model_hash, without_decision
from edge_seq.ir.serialize import load_int_model
from edge_seq.parity.c_rungs import TARGET_RUNG
from edge_seq.pipeline.decision_search import Decision
from edge_seq.pipeline.robustness import Robustness
from edge_seq.report.comparison_page import comparison_page
from edge_seq.report.figures import ComparisonFigures, RunFigures, SideFigures
from edge_seq.report.run_page import run_page
from edge_seq.report.timelines import read_timelines
from edge_seq.scores.evaluation import Evaluation, StreamEvaluation
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.json_tables import load_json, reading
from edge_seq.support.results import from_plain
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, open_run
from firmware_export.measuring.report import MeasureReport
from firmware_export.toolchain.target import target_names

_Kind = TypeVar("_Kind")


def gather(path: Path) -> RunFigures | ComparisonFigures:
    """Read the figures of a run's folder, a comparison's folder or a comparison.json.

    Raises:
        ConfigError: the path is none of them.
        DataError, ModelError: a file is damaged.
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


def gather_run(run: RunFolder) -> RunFigures:
    """Read the tables and models of a run.

    Raises:
        ConfigError: the training did not finish.
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
        imported=tables["imported"],
        training=tables["training"],
        quantization=tables["quantization"],
        metrics=_typed(tables, paths, "metrics", Evaluation),
        decision=_typed(tables, paths, "decision", Decision),
        stream=_typed(tables, paths, "stream", StreamEvaluation),
        robustness=_typed(tables, paths, "robustness", Robustness),
        verify=tables["verify"],
        measure=_typed(tables, paths, "measure", MeasureReport),
        timelines=read_timelines(
            run.stream_timelines("test"), shown.contract, command=f"{run.command('evaluate')} --stream"
        ),
        hashes=_hashes(run, float_model, int_model, tables),
        versions=_versions(run, tables),
        files={name: path.name for name, path in paths.items()},
        steps=steps,
        missing={name: command for name, command in steps.items() if tables[name] is None},
        stale=_stale(run, tables, steps, float_model, int_model),
        commands=_commands(run, tables),
    )


def _typed(
    tables: dict[str, dict[str, Any] | None], paths: dict[str, Path], name: str, kind: type[_Kind]
) -> _Kind | None:
    table = tables[name]
    if table is None:
        return None
    with reading(paths[name].name):
        return from_plain(kind, table)


def _versions(run: RunFolder, tables: dict[str, dict[str, Any] | None]) -> dict[str, str]:
    with reading(run.training.name):
        made = tables["training"] or tables["imported"] or {}
        trained = {name: str(version) for name, version in made.get("versions", {}).items()}
    return {**trained, "edge_seq, of this page": importlib.metadata.version("edge-seq")}


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
    run: RunFolder,
    tables: dict[str, dict[str, Any] | None],
    steps: dict[str, str],
    float_model: FloatModel,
    int_model: IntModel | None,
) -> dict[str, str]:
    """Message for each section that is about another model than the run now holds.

    The labels of an integer model do not depend on its decision stage, so a new stage does not make the scores of
    labels stale.
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
    for name, key, allowed in expected:
        table = tables[name]
        if table is not None and table.get(key) not in allowed:
            found = f"model {str(table[key])[:16]}" if table.get(key) else "a model that it does not name"
            again = steps.get(name, run.command("decide"))
            lines[name] = f"{name} is about {found}, but the run now holds {str(allowed[0])[:16]}; run again: {again}"
    return lines


def _commands(run: RunFolder, tables: dict[str, dict[str, Any] | None]) -> tuple[str, ...]:
    """Commands from the configuration to this report, with the options that the tables record."""
    paths = _paths(run)
    with reading(paths["imported"].name):
        first = run.command("train") if tables["imported"] is None else str(tables["imported"]["command"])
    lines = [first, run.command("quantize")]
    with reading(paths["decision"].name):
        decision = tables["decision"]
        if decision is not None and decision.get("stage") is not None:
            options = f" --max-extra-delay-s {decision['max_extra_delay_s']:g}"
            options += " --allow-unknown" if decision.get("allow_unknown") else ""
            for given in ("unknown_margin", "unknown_distance"):
                if decision.get(given) is not None:
                    options += f" --{given.replace('_', '-')} {decision[given]:g}"
            lines.append(run.command("decide") + options)
    lines += [run.command("evaluate"), f"{run.command('evaluate')} --stream", run.command("export")]
    with reading(paths["verify"].name):
        tried = [one["name"].removeprefix(TARGET_RUNG) for one in (tables["verify"] or {}).get("rungs", [])]
        targets = [name for name in tried if name in target_names()]
        lines.append(run.command("verify") + _options("--target", targets))
    with reading(paths["measure"].name):
        measured = (tables["measure"] or {}).get("targets", [])
        targets = [one["target"] for one in measured] or ["cortex_m4"]
        limits = [set(one["budgets"].items()) for one in measured]
        budgets = sorted(set.intersection(*limits)) if limits else []  # common to all targets, so given as options
        given = "".join(f" --{name.replace('_', '-')} {limit}" for name, limit in budgets)
        lines.append(run.command("measure") + _options("--target", targets) + given)
    return (*lines, run.command("robustness"), run.command("report"))


def _options(name: str, values: Sequence[str]) -> str:
    return "".join(f" {name} {shlex.quote(value)}" for value in values)


def write_report(path: Path, out: Path | None = None) -> tuple[RunFigures | ComparisonFigures, Path]:
    """Write the report of a run or a comparison.

    Args:
        path: Folder of a run or of a comparison, or a comparison.json.
        out: HTML file to write; None takes reports/report.html of a run, report.html of a comparison.

    Returns:
        The figures, and the path of the page.

    Raises:
        ConfigError: the path is neither a run nor a comparison, or the page cannot be written.
        DataError, ModelError: a file is damaged.
        ToolError: matplotlib is not installed.
    """
    if out is not None and out.is_dir():
        raise ConfigError(
            f"report: cannot write to {out}, which is a folder; give the name of a page, such as {out}/car.html"
        )
    figures = gather(path)
    if isinstance(figures, RunFigures):
        place, page = out or path / "reports" / "report.html", run_page(figures)
    else:
        folder = path if path.is_dir() else path.parent
        place = out or folder / "report.html"
        with reading(COMPARISON):  # a comparison without verdicts or candidates has no page
            page = comparison_page(figures)
    check_can_write(place.parent)
    write_atomically(place, page)
    return figures, place


def to_dict(figures: RunFigures | ComparisonFigures) -> dict[str, Any]:
    """Figures of a report as a table for JSON."""
    return {"kind": "run" if isinstance(figures, RunFigures) else "comparison", **figures.to_dict()}
