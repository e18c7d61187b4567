"""All steps of `edge-seq compare`: grid, trainings, costs, scores, verdicts and files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from edge_seq.compare.config import CompareConfig
from edge_seq.compare.cost import cost_of_shape, units_of_size
from edge_seq.compare.data import Source, check_windows_of_all, open_source
from edge_seq.compare.forest import forests_of
from edge_seq.compare.points import Candidate, Point, Shape, Size, candidates_of, points_of, sizes_of
from edge_seq.compare.result import (
    CandidateFigures,
    Comparison,
    Cost,
    Execution,
    ForestFigures,
    SizeFigures,
    Solved,
    StoredCosts,
    TrialResult,
    Verdict,
)
from edge_seq.compare.summary import figures_of
from edge_seq.compare.text import COMPARISON, FORMAT, to_markdown
from edge_seq.compare.trial import TrainingJob, run_job, run_point
from edge_seq.compare.verdict import RULES, decide
from edge_seq.ir.kind_names import POOLING_TEXTS, CellName, Pooling
from edge_seq.support.errors import DataError
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.lock import holding
from edge_seq.training.runtime import require_torch
from edge_seq.trials.folder import Standing, StudyFolder
from edge_seq.trials.steer import Task, steer
from edge_seq.trials.where import Where, check_where, workers_of
from edge_seq.trials.worker import installed_version
from firmware_export.emission.emit import runtime_files
from firmware_export.toolchain.target import Target, load_target

MARKDOWN, COSTS = "comparison.md", "costs.json"
SOLVED = 0.95  # least mean accuracy at which a memory task counts as solved

FIELDS = {
    "format": "name and version of this layout",
    "command": "command line that made this file",
    "task": "name of the data",
    "labels": "[K] class names, in the order of confusion matrices (row is the label, column the prediction)",
    "data_note": "sentence about the training, scored and test parts",
    "config": "configuration of the comparison; `edge-seq compare TASK --show-config` prints the same keys",
    "sizes": "sizes of the comparison: kind (units, parameters, instructions of a step), value; units of each cell",
    "candidates": "one for each cell, units, first weights, window length and readout; figures over all its seeds",
    "candidates[].scores": "score of each seed, 0 to 1; null if the training failed",
    "candidates[].over_seeds": "mean score and Student's 95 % interval over seeds",
    "candidates[].over_groups": "score of all seeds together, 95 % interval by group bootstrap; null without groups",
    "candidates[].interval": "mean score and the hull of both intervals, on which verdicts are based",
    "candidates[].majority": "share of the most frequent label, which is the accuracy of a constant guess",
    "candidates[].integer": "scores of the integer model and of the float model on the same windows",
    "candidates[].gradient": "mean norm of the gradient of the loss with respect to the normalised input k steps back, "
    "index k from 0 (newest sample), mean over seeds, before and after the training; reach: k within which 90 % lies",
    "candidates[].cost": "parameters; multiply-accumulates of a step; on the target flash, RAM and stack in bytes, "
    "instructions (or cycles, see unit) of a step and of a window; status and reason if it was not measured",
    "candidates[].training_seconds": "wall time of a training, mean over seeds; training_cpu_seconds: processor time",
    "verdicts": "recommended candidate (pick) among those of a scope, the candidates level_with_best, reason in words",
    "rules": "rules of the verdicts",
    "solved_up_to": "memory tasks: longest window with a mean accuracy of at least 95 %, by cell and first weights",
    "trainings": "number of trainings with a result; trainings_left: number of trainings neither done nor failed",
    "failures": "trainings without a result, and why",
    "lost": "number of times that a worker died on a training, which another worker then did",
    "forests": "random forest on statistics of the same windows for each window length, with its estimated cost; null "
    "for memory tasks or without scikit-learn",
}

Progress = Callable[[int, int, str], None]
Warn = Callable[[str], None]


def compare_cells(
    config: CompareConfig,
    where: Where,
    *,
    command: str = "",
    progress: Progress = lambda *_: None,
    warn: Warn = lambda _text: None,
) -> Comparison:
    """Compare recurrent cells by training and measuring them. An interrupted comparison is continued.

    Args:
        config: configuration of the comparison.
        where: folder and workers.
        command: command line, which is written to the result.
        progress: called with trainings done, trainings in all, and the current step.
        warn: called with a sentence for each thing that a user should know meanwhile.

    Returns:
        Content of comparison.json, which :data:`FIELDS` describes.

    Raises:
        ConfigError: the folder cannot be used, holds a comparison of another configuration, or another process works on
            it; or the address of the scheduler is not one.
        ToolError: torch or distributed is missing, the scheduler cannot be reached, or the instructions of a budget
            cannot be counted.
        DataError, ContractError: the data cannot be used.
    """
    folder = StudyFolder(where.out, TrialResult, what="comparison")
    require_torch("compare")
    check_where(where, folder, what="comparison")
    target = load_target(config.target) if config.target else None
    started = time.perf_counter()
    progress(0, 1, "reading data")
    source = open_source(config, progress=lambda done, total: progress(0, 1, f"simulating drive {done} of {total}"))
    check_windows_of_all(source, config)
    with holding(where.out, what=f"comparison {where.out.name}"):
        # The source's folder is left out, because it differs between machines; the fingerprint identifies the data.
        table = config.model_dump(mode="json") | {"task": Path(config.task).name}

        def resolve() -> dict[str, Any]:
            progress(0, 1, "choosing hidden sizes")
            return {"units": _units(config, source, target)}

        plan = folder.agree_on_plan({"config": table, "data": source.fingerprint}, resolve)
        units: dict[str, dict[str, int]] = plan["resolved"]["units"]
        candidates = candidates_of(config, lambda cell, size: units[str(size)][cell])
        points = points_of(config, candidates)
        if not where.is_idle:
            _train(points, config, source, folder, where, progress, warn)
        standing = folder.standing(point.key for point in points)
        costs = _costs(candidates, config, source, target, where.out, progress)
        forests = None if config.is_memory_task else forests_of(config, source, where.out, progress=progress)
        if not standing.results:
            raise DataError(f"comparison: none of {len(points)} trainings has a result yet{_first_reason(standing)}")
        execution = Execution(command, time.perf_counter() - started)
        result = _result(config, source, candidates, units, standing, costs, forests, len(points), execution)
        save_json(where.out / COMPARISON, result)
        progress(len(points), len(points), "drawing")
        result = replace(result, plots=_draw(result, where.out))
        write_atomically(where.out / MARKDOWN, to_markdown(result))
        save_json(where.out / COMPARISON, result)
        return result


def _train(
    points: list[Point],
    config: CompareConfig,
    source: Source,
    folder: StudyFolder[TrialResult],
    where: Where,
    progress: Progress,
    warn: Warn,
) -> None:
    """Do all trainings that have no result yet."""
    standing = folder.standing(point.key for point in points)
    left = [point for point in points if point.key not in {*standing.results, *standing.refused}]
    if not left:
        return
    teller = _Teller(points, standing, progress)
    table = config.model_dump(mode="json")

    def job(point: Point) -> TrainingJob:
        return TrainingJob(table, source.fingerprint, installed_version(), point)

    with workers_of(where, threads=config.training.num_threads, most=len(left), warn=warn) as (executor, at_once):
        do = partial(
            steer, folder=folder, executor=executor, at_once=at_once, ended=teller.ended, progress=teller.running
        )
        if where.is_here:
            do((Task(point.key, point) for point in left), partial(run_point, source=source, config=config))
        else:
            do((Task(point.key, job(point)) for point in left), run_job)


def _first_reason(standing: Standing[TrialResult]) -> str:
    """Why the first training failed, where all did."""
    return "".join(f"; {key} failed: {why}" for key, why in list(standing.refused.items())[:1])


def _units(config: CompareConfig, source: Source, target: Target | None) -> dict[str, dict[str, int]]:
    """Find the hidden size of each cell at each size, the same for all readouts: budgets hold for the dearest too."""
    contract = source.contract(min(config.window_lengths))
    by_cost: tuple[Pooling, ...] = ("last", "max", "mean", "mean_max")
    readout = max(config.readouts, key=by_cost.index)
    return {
        str(size): {
            cell: units_of_size(cell, size, contract, source.labels, config.training, target, readout=readout)
            for cell in config.cells
        }
        for size in sizes_of(config)
    }


class _Teller:
    """Reports progress and the time left, which is proportional to the window lengths."""

    def __init__(self, points: list[Point], standing: Standing[TrialResult], progress: Progress) -> None:
        self._weight = {point.key: point.candidate.time_steps for point in points}
        self._progress = progress
        self._began = time.perf_counter()
        self._count = standing.done
        self._before = self._done = sum(self._weight[key] for key in (*standing.results, *standing.refused))

    def ended(self, key: str, _result: TrialResult | None) -> None:
        """Count a training that has ended."""
        self._count += 1
        self._done += self._weight[key]

    def running(self, keys: tuple[str, ...]) -> None:
        """Report the trainings in work."""
        note = ", ".join(keys[:2])
        if self._done > self._before:
            passed = time.perf_counter() - self._began
            left = (sum(self._weight.values()) - self._done) * passed / (self._done - self._before)
            note = f"about {max(1, round(left / 60))} min left; {note}"
        self._progress(self._count, len(self._weight), note)


def _costs(
    candidates: dict[Size, list[Candidate]],
    config: CompareConfig,
    source: Source,
    target: Target | None,
    out: Path,
    progress: Progress,
) -> dict[Shape, Cost]:
    """Measure the cost of each shape. Costs measured before with the same runtime and target are read from a file."""
    shapes = list(dict.fromkeys(candidate.shape for of_size in candidates.values() for candidate in of_size))
    described = [
        *(runtime_files().items()),
        None if target is None else target.model_dump(mode="json"),
        config.training.label_every,
        source.labels,
        asdict(source.contract(2)),
    ]
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    kept = stored_costs(out / COSTS, key)
    costs: dict[Shape, Cost] = {}
    for index, shape in enumerate(shapes):
        name = str(shape)
        progress(index, len(shapes), f"measuring {name} on {config.target or 'nothing'}")
        costs[shape] = kept.get(name) or cost_of_shape(
            shape, source.contract(2), source.labels, config.training, target
        )
        if costs[shape].measured is not None:
            kept[name] = costs[shape]
            save_json(out / COSTS, StoredCosts(key, kept))
    return costs


def stored_costs(path: Path, key: str) -> dict[str, Cost]:
    """Read the costs that were measured under a key, by the name of the shape. A damaged file gives none."""
    try:
        stored = load_result(path, StoredCosts) if path.is_file() else None
    except DataError:
        return {}  # the costs are measured again
    return dict(stored.shapes) if stored is not None and stored.key == key else {}


def _result(
    config: CompareConfig,
    source: Source,
    candidates: dict[Size, list[Candidate]],
    units: dict[str, dict[str, int]],
    standing: Standing[TrialResult],
    costs: dict[Shape, Cost],
    forests: tuple[ForestFigures, ...] | None,
    number_of_points: int,
    execution: Execution,
) -> Comparison:
    found = _figures(config, candidates, standing, costs)
    return Comparison(
        format=FORMAT,
        fields=FIELDS,
        task=source.name,
        labels=source.labels,
        data_note=source.note,
        data_fingerprint=source.fingerprint,
        config=config.model_dump(mode="json"),
        versions=next(iter(standing.results.values())).versions,
        sizes=tuple(SizeFigures(size, str(size), units[str(size)]) for size in candidates),
        candidates=tuple(found.values()),
        verdicts=tuple(_verdicts(config, candidates, found, forests or ())),
        rules=RULES,
        solved_up_to=_solved(found) if config.is_memory_task else None,
        trainings=len(standing.results),
        trainings_left=number_of_points - standing.done,
        failures=standing.refused,
        lost=standing.lost,
        execution=execution,
        forests=forests or None,
    )


def _figures(
    config: CompareConfig,
    candidates: dict[Size, list[Candidate]],
    standing: Standing[TrialResult],
    costs: dict[Shape, Cost],
) -> dict[Candidate, CandidateFigures]:
    """Summarize the trainings of each candidate that has any."""
    sizes: dict[Candidate, list[str]] = {}
    for size, of_size in candidates.items():
        for one in of_size:
            sizes.setdefault(one, []).append(str(size))
    found = {one: figures_of(one, config, standing.results, costs, names) for one, names in sizes.items()}
    return {one: figures for one, figures in found.items() if figures is not None}


def _verdicts(
    config: CompareConfig,
    candidates: dict[Size, list[Candidate]],
    found: dict[Candidate, CandidateFigures],
    forests: Sequence[ForestFigures],
) -> list[Verdict]:
    """Give the verdict over all, then those of each size and window length, also by readout if there are several."""
    overall = list(found.values())
    scope = "all that was compared"
    if config.is_memory_task:  # here the window length is the difficulty of the task, not a choice
        longest = max(config.window_lengths)
        overall = [one for one in overall if one.candidate.time_steps == longest] or overall
        scope = f"all sizes, T = {longest}"
    verdicts = [decide(scope, overall, forests)]
    for size, of_size in candidates.items():
        for time_steps in sorted({candidate.time_steps for candidate in of_size}):
            figures = [found[one] for one in of_size if one.time_steps == time_steps and one in found]
            scopes = {f"{size}, T = {time_steps}": figures}
            if len(config.readouts) > 1:
                for readout in config.readouts:
                    with_it = [one for one in figures if one.candidate.readout == readout]
                    scopes[f"{size}, T = {time_steps}, {POOLING_TEXTS[readout]}"] = with_it
            verdicts += [decide(scope, among, forests) for scope, among in scopes.items() if among]
    return verdicts


def _solved(found: dict[Candidate, CandidateFigures]) -> tuple[Solved, ...]:
    """Find the longest window of a memory task that each cell solves, for each kind of initial weights."""
    table: dict[tuple[CellName, int, str], int | None] = {}
    for one, figures in found.items():
        key = (one.cell, one.hidden_size, one.how)
        solved = one.time_steps if figures.accuracy >= SOLVED else 0
        table[key] = max(table.get(key) or 0, solved) or None
    return tuple(Solved(*of, time_steps=longest) for of, longest in table.items())


def _draw(result: Comparison, out: Path) -> tuple[str, ...]:
    from edge_seq.compare.plots import draw_comparison
    from edge_seq.support.drawing import has_matplotlib

    return tuple(draw_comparison(result, out)) if has_matplotlib() else ()
