"""Trainings as trials of an Optuna study, so that any number of workers share them and none is done twice.

Every point of the grid is put in the queue as a trial; workers take trials until all points have one that is finished.
A worker tells the database that it lives; a trial whose worker fell silent is failed by whichever worker looks next,
and its point goes into the queue again. A worker that was only slow then finds its trial ended, and drops its result.
(Optuna's file journal knows no such heartbeat, its databases do, so there is one kind of storage.)

Two workers that start at the same time may both put a point into the queue; the later of the two trials is given up
when it is taken.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge_seq.compare.config import config_differences
from edge_seq.compare.database import Heartbeat, database_errors, open_study, quiet, set_if_absent
from edge_seq.compare.points import Point
from edge_seq.support.errors import ConfigError, EdgeSeqError, ToolError

if TYPE_CHECKING:
    import optuna

STUDY_NAME = "edge_seq compare"
PLAN = "plan"  # user attribute of a study: what it compares
POINT, RESULT, REFUSED, INTERRUPTED = "point", "result", "refused", "interrupted"  # user attributes of a trial
MOST_LOST = 3  # workers that may die over one point before it is given up
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
        ToolError: Optuna or the driver of the database is missing, or the database cannot be reached; all methods
            raise it too, where the database goes away.
    """

    def __init__(self, storage: str, name: str, heartbeat: Heartbeat) -> None:
        require_optuna()
        self.heartbeat = heartbeat
        self._url = storage
        self._study = open_study(storage, name, heartbeat)
        self._storage: Any = self._study._storage  # of a type that has no signs of life, which this one has
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
        with database_errors(self._url):
            stored = self._study.user_attrs.get(PLAN)
            if stored is None:
                plan = {**wanted, "resolved": dict(resolve())}
                set_if_absent(self._study, PLAN, json.dumps(plan))  # another may have been first meanwhile
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
        with database_errors(self._url):
            trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
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
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Take trials until every point is done, by whomever.

        Args:
            points: of the grid.
            run: does one training; its result is ready for JSON. An :class:`EdgeSeqError` is kept as the answer.
            score: of a result, for Optuna's own tables.
            progress: called before each trial, and while waiting for other workers.
            warn: called with a sentence for each result that is dropped.
        """
        import optuna

        by_key = {point.key: point for point in points}
        while True:
            with database_errors(self._url), quiet():
                optuna.storages.fail_stale_trials(self._study)
            standing = self.fill_queue(points)
            progress(standing)
            if standing.done == len(by_key):
                return
            with database_errors(self._url):
                trial = self._take()
                if trial is None:
                    time.sleep(min(1.0, self.heartbeat.interval_s))
                    continue
                key = trial.user_attrs.get(POINT, "")
                try:
                    self._describe(trial, points)
                    if key not in by_key or self._is_done_elsewhere(trial, key, points):
                        self._end(trial, optuna.trial.TrialState.PRUNED)
                    else:
                        self._work_on(trial, by_key[key], run, score)
                except optuna.exceptions.UpdateFinishedTrialError:
                    warn(
                        f"{key} was taken over from this worker, which had given no sign of life for "
                        f"{self.heartbeat.grace_s} s; its own result is dropped"
                    )

    def fill_queue(self, points: Sequence[Point]) -> Standing:
        """Put every point into the queue that is neither done nor in work nor there already."""
        standing = self.standing(points)
        there = {*standing.results, *standing.refused, *standing.running, *standing.waiting}
        missing = [point for point in points if point.key not in there]
        for point in missing:
            with database_errors(self._url), quiet():
                self._study.enqueue_trial(_parameters(point), user_attrs={POINT: point.key})
        return self.standing(points) if missing else standing

    # What follows asks and tells the storage itself. Optuna's own loop cannot be used: where a trial was ended by
    # another worker it fails with an assertion, and a worker that dies between taking a trial and its first sign of
    # life leaves one that is never taken over.

    def _take(self) -> optuna.trial.Trial | None:
        """The first trial of the queue that no other worker takes; None if there is none."""
        import optuna

        state = optuna.trial.TrialState
        for waiting in self._study.get_trials(deepcopy=False, states=(state.WAITING,)):
            self._storage.record_heartbeat(waiting._trial_id)
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                if self._storage.set_trial_state_values(waiting._trial_id, state.RUNNING):
                    return optuna.trial.Trial(self._study, waiting._trial_id)
        return None

    def _describe(self, trial: optuna.trial.Trial, points: Sequence[Point]) -> None:
        """The trial's parameters in Optuna's tables; which ones was fixed when it was put in the queue."""
        for name, values in _choices(points).items():
            trial.suggest_categorical(name, values)

    def _is_done_elsewhere(self, mine: optuna.trial.Trial, key: str, points: Sequence[Point]) -> bool:
        """Whether the point is done, or in work since before in another trial: trials are taken in their order."""
        import optuna

        # In this order: one that ends between the two is seen as in work, and one that ended before as done.
        running = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        standing = self.standing(points)
        return (
            key in standing.results
            or key in standing.refused
            or any(other.number < mine.number and other.user_attrs.get(POINT) == key for other in running)
        )

    def _work_on(
        self,
        trial: optuna.trial.Trial,
        point: Point,
        run: Callable[[Point], dict[str, Any]],
        score: Callable[[Mapping[str, Any]], float],
    ) -> None:
        """Do one trial.

        Raises:
            UpdateFinishedTrialError: another worker has ended it; nothing of ours was kept.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            with self._signs_of_life(trial):
                result = run(point)
        except EdgeSeqError as error:
            self._finish(trial, REFUSED, str(error), TrialState.FAIL)
        except BaseException as error:
            with suppress(UpdateFinishedTrialError):
                if isinstance(error, KeyboardInterrupt):
                    trial.set_user_attr(INTERRUPTED, True)
                self._end(trial, TrialState.FAIL)
            raise
        else:
            self._finish(trial, RESULT, json.dumps(result), TrialState.COMPLETE, score(result))

    def _finish(
        self, trial: optuna.trial.Trial, name: str, answer: str, state: optuna.trial.TrialState, *values: float
    ) -> None:
        """Keep what a training gave; where the database is away, try again until the grace is over."""
        deadline = time.monotonic() + self.heartbeat.grace_s
        while True:
            try:
                with database_errors(self._url):
                    trial.set_user_attr(name, answer)
                    self._end(trial, state, *values)
                return
            except ToolError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(min(1.0, self.heartbeat.interval_s))

    def _end(self, trial: optuna.trial.Trial, state: optuna.trial.TrialState, *values: float) -> None:
        self._storage.set_trial_state_values(trial._trial_id, state, values or None)

    @contextmanager
    def _signs_of_life(self, trial: optuna.trial.Trial) -> Iterator[None]:
        """One at each interval. Where the database does not take one, the next may get through."""
        stop = threading.Event()

        def give() -> None:
            while not stop.wait(self.heartbeat.interval_s):
                with suppress(ToolError), database_errors(self._url):
                    self._storage.record_heartbeat(trial._trial_id)

        thread = threading.Thread(target=give, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def require_optuna() -> None:
    """Check that Optuna is installed.

    Raises:
        ToolError: how to install it.
    """
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise ToolError("edge-seq compare needs optuna, which is not installed; pip install 'edge-seq[compare]'")


def _parameters(point: Point) -> dict[str, Any]:
    return {**asdict(point.candidate), "learning_rate": point.learning_rate, "seed": point.seed}


def _choices(points: Sequence[Point]) -> dict[str, list[Any]]:
    """Every value of each parameter on the grid, in one order for all workers."""
    tables = [_parameters(point) for point in points]
    return {name: sorted({table[name] for table in tables}) for name in tables[0]}
