"""Trainings as trials of an Optuna study, so that any number of workers share them and none is done twice.

A study is a database: a file (SQLite) in the folder of the comparison, or any URL that SQLAlchemy takes, for workers on
many machines. Every point of the grid is put in the queue as a trial; workers take trials until all points have one
that is finished. A worker tells the database that it lives; a trial whose worker fell silent is failed by whichever
worker looks next, and its point goes into the queue again. (Optuna's file journal knows no such heartbeat, its
databases do, so there is one kind of storage.)

Two workers that start at the same time may both put a point into the queue; the later of the two trials is given up
when it is taken.
"""

from __future__ import annotations

import json
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_seq.errors import ConfigError, EdgeSeqError, ToolError
from edge_seq.workflow.compare.config import config_differences
from edge_seq.workflow.compare.points import Point

if TYPE_CHECKING:
    import optuna

STUDY_FILE = "study.db"
STUDY_NAME = "edge_seq compare"
PLAN = "plan"  # user attribute of a study: what it compares
POINT, RESULT, REFUSED, INTERRUPTED = "point", "result", "refused", "interrupted"  # user attributes of a trial
MOST_LOST = 3  # workers that may die over one point before it is given up
_SQLITE_PATIENCE_S = 60.0
_OPEN_TRIES = 5


@dataclass(frozen=True)
class Heartbeat:
    """How workers know of each other.

    Attributes:
        interval_s: between two signs of life.
        grace_s: silence after which a trial is taken over.
    """

    interval_s: int = 15
    grace_s: int = 60


DEFAULT_HEARTBEAT = Heartbeat()


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Attributes:
        results: of finished trainings, by the key of their point.
        refused: why a point has no result and gets none, by key.
        running: keys of the points in work.
        waiting: keys of the points in the queue.
        takeovers: trials whose worker fell silent.
    """

    results: dict[str, dict[str, Any]]
    refused: dict[str, str]
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    takeovers: int

    @property
    def done(self) -> int:
        """Points that need no more work."""
        return len(self.results) + len(self.refused)


class Study:
    """A comparison's trials, in a database that several workers have open.

    Args:
        storage: URL, as SQLAlchemy takes it.
        name: of the study in the database.
        heartbeat: of this worker.

    Raises:
        ToolError: Optuna or the driver of the database is missing, or the database cannot be reached.
    """

    def __init__(self, storage: str, name: str, heartbeat: Heartbeat) -> None:
        require_optuna()
        self.heartbeat = heartbeat
        self._study = _open(storage, name, heartbeat)
        self._read: dict[int, dict[str, Any]] = {}  # results of finished trials, which do not change any more

    def agree_on_plan(self, wanted: Mapping[str, Any], resolve: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The plan that the study is made under; the first worker writes it.

        Args:
            wanted: configuration and fingerprint of the data.
            resolve: what is worked out from it once, for all workers.

        Returns:
            ``wanted``, and under ``resolved`` what the first worker worked out.

        Raises:
            ConfigError: the study was made under another plan; names what differs.
        """
        stored = self._study.user_attrs.get(PLAN)
        if stored is None:
            plan = {**wanted, "resolved": dict(resolve())}
            self._study.set_user_attr(PLAN, json.dumps(plan))
            stored = self._study.user_attrs[PLAN]
        found: dict[str, Any] = json.loads(stored)
        resolved = found.pop("resolved")
        differences = config_differences(found, json.loads(json.dumps(wanted)))
        if differences:
            raise ConfigError(
                f"comparison: the study was made under another configuration: {'; '.join(differences)}. Give the same "
                "command to continue it, or another --out (with --storage: another --study-name) to start anew"
            )
        return {**found, "resolved": resolved}

    def standing(self, points: Sequence[Point]) -> Standing:
        """Look at all trials."""
        import optuna

        state = optuna.trial.TrialState
        results: dict[str, dict[str, Any]] = {}
        refused: dict[str, str] = {}
        lost: dict[str, int] = {}
        in_work: dict[Any, set[str]] = {state.RUNNING: set(), state.WAITING: set()}
        keys = {point.key for point in points}
        for trial in self._study.get_trials(deepcopy=False):
            key = trial.user_attrs.get(POINT)
            if key not in keys:
                continue
            if trial.state == state.COMPLETE:
                if trial.number not in self._read:
                    self._read[trial.number] = json.loads(trial.user_attrs[RESULT])
                results.setdefault(key, self._read[trial.number])
            elif trial.state in in_work:
                in_work[trial.state].add(key)
            elif REFUSED in trial.user_attrs:
                refused[key] = trial.user_attrs[REFUSED]
            elif trial.state == state.FAIL and INTERRUPTED not in trial.user_attrs:
                lost[key] = lost.get(key, 0) + 1
        for key, times in lost.items():
            if times >= MOST_LOST and key not in results:
                refused[key] = f"its worker died {times} times; the system's log may say why (memory?)"
        refused = {key: why for key, why in refused.items() if key not in results}
        open_keys = keys - results.keys() - refused.keys()
        return Standing(
            results,
            refused,
            tuple(sorted(in_work[state.RUNNING] & open_keys)),
            tuple(sorted(in_work[state.WAITING] & open_keys)),
            sum(lost.values()),
        )

    def work(
        self,
        points: Sequence[Point],
        run: Callable[[Point], dict[str, Any]],
        score: Callable[[Mapping[str, Any]], float],
        *,
        progress: Callable[[Standing], None] = lambda _standing: None,
    ) -> None:
        """Take trials until every point is done, by whomever.

        Args:
            points: of the grid.
            run: does one training; its result is ready for JSON. An :class:`EdgeSeqError` is kept as the answer.
            score: of a result, for Optuna's own tables.
            progress: called before each trial, and while waiting for other workers.
        """
        import optuna

        by_key = {point.key: point for point in points}
        choices = _choices(points)
        superseded: list[int] = []  # trials that another worker took over while we were silent

        def objective(trial: optuna.trial.Trial) -> float:
            point = by_key.get(trial.user_attrs.get(POINT, ""))
            for name, values in choices.items():
                trial.suggest_categorical(name, values)  # for Optuna's tables; fixed by what was put in the queue
            if point is None or self._is_taken(trial, point.key):
                raise optuna.TrialPruned("another trial does this")
            try:
                result = run(point)
            except EdgeSeqError as error:
                trial.set_user_attr(REFUSED, str(error))
                raise
            except KeyboardInterrupt:
                trial.set_user_attr(INTERRUPTED, True)
                raise
            try:
                trial.set_user_attr(RESULT, json.dumps(result))
            except optuna.exceptions.UpdateFinishedTrialError:
                superseded.append(trial.number)
                raise
            return score(result)

        while True:
            with _quiet():
                optuna.storages.fail_stale_trials(self._study)
            standing = self.fill_queue(points)
            progress(standing)
            if standing.done == len(by_key):
                return
            if not standing.waiting:
                time.sleep(min(1.0, self.heartbeat.interval_s))
                continue
            with _quiet():
                before = len(superseded)
                try:
                    self._study.optimize(objective, n_trials=1, catch=(EdgeSeqError,))
                except (optuna.exceptions.UpdateFinishedTrialError, ValueError):  # Optuna's answers to a finished trial
                    if len(superseded) == before:
                        raise

    def fill_queue(self, points: Sequence[Point]) -> Standing:
        """Put every point into the queue that is neither done nor in work nor there already."""
        standing = self.standing(points)
        there = {*standing.results, *standing.refused, *standing.running, *standing.waiting}
        missing = [point for point in points if point.key not in there]
        for point in missing:
            with _quiet():
                self._study.enqueue_trial(_parameters(point), user_attrs={POINT: point.key})
        return self.standing(points) if missing else standing

    def _is_taken(self, mine: optuna.trial.Trial, key: str) -> bool:
        """Whether another trial of the point is finished, or was started before."""
        import optuna

        state = optuna.trial.TrialState
        started = {t.number: t.datetime_start for t in self._study.get_trials(deepcopy=False)}
        for other in self._study.get_trials(deepcopy=False):
            if other.number == mine.number or other.user_attrs.get(POINT) != key:
                continue
            if other.state == state.COMPLETE:
                return True
            if other.state == state.RUNNING and other.datetime_start is not None:
                mine_started = started[mine.number] or other.datetime_start
                if (other.datetime_start, other.number) < (mine_started, mine.number):
                    return True
        return False


def storage_of_folder(folder: Path) -> str:
    """URL of the database file in the folder of a comparison; the file is made if it is not there.

    In write-ahead mode, so that workers that read do not wait for one that writes. That mode needs a file system of
    this machine; workers on several machines need a database server.
    """
    path = folder.absolute() / STUDY_FILE
    with sqlite3.connect(path, timeout=_SQLITE_PATIENCE_S) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return f"sqlite:///{path}"


def shown_storage(storage: str) -> str:
    """The URL without its password."""
    from sqlalchemy.engine import make_url

    return make_url(storage).render_as_string(hide_password=True)


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        ToolError: how to install it.
    """
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise ToolError("edge-seq compare needs optuna, which is not installed; pip install 'edge-seq[compare]'")


def _open(storage: str, name: str, heartbeat: Heartbeat) -> optuna.Study:
    import optuna
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # results and errors are ours to tell
    try:
        patience = {"timeout": _SQLITE_PATIENCE_S} if storage.startswith("sqlite") else {}
        for remaining in reversed(range(_OPEN_TRIES)):
            try:
                with _quiet():
                    backend = optuna.storages.RDBStorage(
                        storage,
                        engine_kwargs={"connect_args": patience},
                        heartbeat_interval=heartbeat.interval_s,
                        grace_period=heartbeat.grace_s,
                    )
                    return optuna.create_study(
                        storage=backend,
                        study_name=name,
                        direction="maximize",
                        sampler=optuna.samplers.RandomSampler(),
                        load_if_exists=True,
                    )
            except DatabaseError:
                if not remaining:
                    raise
                time.sleep(0.5)  # two workers that make the tables at the same time
    except (ImportError, NoSuchModuleError) as error:
        raise ToolError(
            f"comparison: no driver for the database {_scheme(storage)}: {error.__cause__ or error}. Install one and "
            "name it, for example pip install psycopg2-binary and --storage postgresql+psycopg2://..."
        ) from error
    except ArgumentError as error:
        raise ConfigError(
            f"comparison: --storage {_scheme(storage)!r} is no URL of a database; expected for example "
            "postgresql+psycopg2://user@host/database or sqlite:////folder/study.db"
        ) from error
    except DatabaseError as error:
        raise ToolError(
            f"comparison: the database {_scheme(storage)} cannot be used: {str(error.orig).strip()}. Check that it "
            "runs, and the address, the user and the password in --storage"
        ) from error
    raise AssertionError("unreachable")


def _scheme(storage: str) -> str:
    """What of a URL can be shown although it may not parse."""
    return storage.partition("://")[0]


def _parameters(point: Point) -> dict[str, Any]:
    return {**asdict(point.candidate), "learning_rate": point.learning_rate, "seed": point.seed}


def _choices(points: Sequence[Point]) -> dict[str, list[Any]]:
    """Every value of each parameter on the grid, in one order for all workers."""
    tables = [_parameters(point) for point in points]
    return {name: sorted({table[name] for table in tables}) for name in tables[0]}


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna warns that heartbeats are experimental; whether they work is tested here."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
