"""All steps of `edge-seq search`: data, rounds of trials, other classifiers, front, choice and files."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import save_json
from edge_seq.support.lock import holding
from edge_seq.training.others.baselines import minirocket_is_here
from edge_seq.training.runtime import require_torch
from edge_seq.trials.folder import StudyFolder
from edge_seq.trials.steer import Task, steer
from edge_seq.trials.where import Where, check_where, workers_of
from edge_seq.trials.worker import installed_version
from edge_seq.tuning.choice import choose, front_of
from edge_seq.tuning.config import SearchConfig
from edge_seq.tuning.cost import BOTH_BITS, NetworkCost, costs_on, network_cost
from edge_seq.tuning.data import SearchData, open_search_data
from edge_seq.tuning.points import write_points
from edge_seq.tuning.references import references_of
from edge_seq.tuning.result import FORMAT, SEARCH, Execution, SearchResult
from edge_seq.tuning.rounds import Plan, Progress, check_something_fits, run_rounds
from edge_seq.tuning.space import Candidate, Teacher, space_of
from edge_seq.tuning.trial import Trial, TrialJob, TrialResult, run_job, run_trial

Tell = Callable[[int, int, str], None]
MAY_DIFFER = ("budget", "tolerance")  # keys of the configuration that may differ when a search is continued
HUNDREDTHS = 100  # steps of the progress
FEWEST_GROUPS_OF_TEACHER = 4


def search(
    config: SearchConfig,
    where: Where,
    *,
    command: str = "",
    tell: Tell = lambda *_: None,
    warn: Callable[[str], None] = lambda _text: None,
) -> SearchResult:
    """Search the network for a set of recordings. An interrupted search is continued, and a finished one extended.

    Args:
        config: configuration of the search.
        where: folder and workers.
        command: command line, which is written to the result.
        tell: called with the share of the budget that is used, of 100, and the current step.
        warn: called with a sentence for each thing that a user should know meanwhile.

    Returns:
        Content of search.json.

    Raises:
        ConfigError: nothing fits the limits, the target is not known, the folder cannot be used, holds a search of
            another configuration, or another process works on it; or the address of the scheduler is not one.
        ToolError: torch or distributed is missing, or the scheduler cannot be reached.
        DataError, ContractError: the data cannot be used, or no candidate has a result.
    """
    require_torch("search")
    if where.is_idle:
        raise ConfigError("search: 0 workers; give at least 1")
    target = costs_on(config.target)
    folder = StudyFolder(where.out, TrialResult, what="search")
    check_where(where, folder, what="search")
    started = time.perf_counter()
    tell(0, HUNDREDTHS, "reading data")
    data = open_search_data(config, progress=lambda done, total: tell(0, HUNDREDTHS, f"drive {done} of {total}"))

    @cache
    def cost(candidate: Candidate) -> NetworkCost:
        contract = candidate.contract(data.contract)
        training = candidate.training(contract, windows=1, steps=1, seed=0)
        return network_cost(training, contract, len(data.labels), target, bits=candidate.bits)

    plan = Plan(
        space=space_of(
            config,
            data.contract,
            own_steps=data.can_change_preprocessing,
            compandings=data.compandings,
            dense_windows=data.has_denser_windows,
            bits_by_layer=BOTH_BITS in target.flash,
            teacher=_teacher(data),
        ),
        cost=cost,
        fits=partial(within, config=config),
        folds=data.folds,
        budget=config.budget,
        workers=where.workers,
        seed=config.seed,
    )
    check_something_fits(plan, limits_text(config))
    with holding(where.out, what=f"search {where.out.name}"):
        # The source's folder is left out, because it differs between machines; the fingerprint identifies the data.
        table = config.model_dump(mode="json", exclude=set(MAY_DIFFER)) | {"source": Path(config.source).name}
        folder.agree_on_plan({"config": table, "data": data.aside.fingerprint}, lambda: {})
        progress = Progress()
        _train(plan, progress, data, folder, where, tell, warn)
        standing = folder.standing([*progress.results, *sorted(progress.refused)])
        if not progress.complete:
            reason = "".join(f"; {key}: {why}" for key, why in list(standing.refused.items())[:1])
            raise DataError(f"search: no candidate was scored on all folds yet ({progress.done} trials){reason}")
        tell(HUNDREDTHS, HUNDREDTHS, "scoring other classifiers")
        points = front_of(plan, progress)
        result = SearchResult(
            format=FORMAT,
            source=data.aside.dataset.name,
            labels=data.labels,
            data_note=data.note,
            data_fingerprint=data.aside.fingerprint,
            config=config.model_dump(mode="json"),
            target=config.target,
            unit=target.unit,
            points=points,
            choice=choose(points, tolerance=config.tolerance, unit=target.unit, limits=config.limits),
            references=references_of(data, where.out),
            candidates=len(progress.seen),
            complete=len(progress.complete),
            trials=len(progress.results),
            failures=standing.refused,
            lost=standing.lost,
            versions=_versions(),
            execution=Execution(command, time.perf_counter() - started),
        )
        write_points(result, data, where.out)
        save_json(where.out / SEARCH, result)
        return result


def within(cost: NetworkCost, config: SearchConfig) -> bool:
    """True if a cost is within the limits of a search."""
    limits = config.limits
    pairs = (
        (cost.flash_bytes, limits.max_flash),
        (cost.weight_bytes, limits.max_weights),
        (cost.ram_bytes, limits.max_ram),
        (cost.instructions, limits.max_instructions),
    )
    return all(limit is None or value <= limit for value, limit in pairs)


def limits_text(config: SearchConfig) -> str:
    """The limits as options of the command.

    >>> limits_text(SearchConfig(limits={"max_flash": 8000}))
    '--max-flash 8,000'
    """
    given = config.limits.model_dump(exclude_none=True)
    return " ".join(f"--{name.replace('_', '-')} {value:,}" for name, value in given.items()) or "no limits"


def _train(
    plan: Plan,
    progress: Progress,
    data: SearchData,
    folder: StudyFolder[TrialResult],
    where: Where,
    tell: Tell,
    warn: Callable[[str], None],
) -> None:
    """Do all rounds."""
    config = data.config
    table = config.model_dump(mode="json")

    def job(trial: Trial) -> TrialJob:
        return TrialJob(table, data.aside.fingerprint, installed_version(), trial)

    def ended(key: str, result: TrialResult | None) -> None:
        if result is None:
            progress.refused |= folder.standing([key]).refused_seconds
        else:
            progress.results[key] = result

    def running(keys: tuple[str, ...]) -> None:
        share = progress.share_of(plan)
        tell(min(HUNDREDTHS - 1, int(HUNDREDTHS * share)), HUNDREDTHS, f"trial {progress.done + 1}, {', '.join(keys)}")

    with workers_of(where, threads=1, most=where.workers, warn=warn) as (executor, at_once):
        do = partial(steer, folder=folder, executor=executor, at_once=at_once, ended=ended, progress=running)

        def trials_done(trials: Sequence[Trial], progress: Progress) -> None:
            standing = folder.standing(trial.key for trial in trials)
            progress.results |= standing.results
            progress.refused |= standing.refused_seconds
            left = [t for t in trials if t.key not in standing.results and t.key not in standing.refused]
            if where.is_here:
                do((Task(trial.key, trial) for trial in left), partial(run_trial, data=data))
            else:
                do((Task(trial.key, job(trial)) for trial in left), run_job)

        run_rounds(plan, progress, trials_done)


def _versions() -> dict[str, str]:
    from edge_seq.training.loop import package_versions

    return package_versions()


def _teacher(data: SearchData) -> Teacher | None:
    """Other classifiers that may teach: those that are installed, where there are groups that they have not learnt."""
    if data.groups < FEWEST_GROUPS_OF_TEACHER or importlib.util.find_spec("sklearn") is None:
        return None
    return "forest_and_rocket" if minirocket_is_here(data.contract) else "forest"
