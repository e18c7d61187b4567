"""Trainings as trials of an Optuna study, so that any number of workers share them and none is done twice.

Every point of the grid is put in the queue as a trial. Workers take trials until every point has a finished one. A
worker sends heartbeats to the database. If they stop, the next worker that looks marks the trial as failed, and its
point goes into the queue again. A worker that was only slow then finds its trial ended, and drops its result. (Optuna's
databases have such heartbeats, its file journal does not, so only databases are supported.)

Two workers that start at the same time may both put a point into the queue. The later of the two trials is dropped when
it is taken.
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
from edge_seq.compare.result import TrialResult
from edge_seq.support.errors import ConfigError, EdgeSeqError, ToolError
from edge_seq.support.json_tables import reading
from edge_seq.support.results import from_plain

if TYPE_CHECKING:
    import optuna

STUDY_NAME = "edge_seq compare"
PLAN = "plan"  # user attribute of a study: configuration and data
POINT, RESULT, REFUSED, INTERRUPTED = "point", "result", "refused", "interrupted"  # user attributes of a trial
MOST_LOST = 3  # number of workers that may die on one point before the point counts as failed
DEFAULT_HEARTBEAT = Heartbeat()


@dataclass(frozen=True)
class Standing:
    """State of a study.

    Attributes:
        results: results of finished trainings, by the key of their point.
        refused: reason why a point has failed, by key.
        running: keys of the points in work.
        waiting: keys of the points in the queue.
        takeovers: number of trials whose worker stopped sending heartbeats.
    """

    results: dict[str, TrialResult]
    refused: dict[str, str]
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    takeovers: int

    @property
    def done(self) -> int:
        """Number of points that need no more work."""
        return len(self.results) + len(self.refused)


class Study:
    """Trials of a comparison in a database that several workers share.

    Args:
        storage: URL of the database, as SQLAlchemy takes it.
        name: name of the study in the database.
        heartbeat: heartbeat times of this worker.

    Raises:
        ToolError: Optuna or the driver of the database is missing, or the database cannot be reached. All methods raise
            it too if the database is lost.
    """

    def __init__(self, storage: str, name: str, heartbeat: Heartbeat) -> None:
        require_optuna()
        self.heartbeat = heartbeat
        self._url = storage
        self._study = open_study(storage, name, heartbeat)
        self._storage: Any = self._study._storage  # its declared type has no heartbeats, but this storage does
        self._read: dict[int, TrialResult] = {}  # results of finished trials, which cannot change any more

    def agree_on_plan(self, wanted: Mapping[str, Any], resolve: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Read the plan of the study, or write it as the first worker.

        Args:
            wanted: configuration and fingerprint of the data.
            resolve: function that computes values from the configuration once for all workers.

        Returns:
            ``wanted``, and under ``resolved`` the values that the first worker computed.

        Raises:
            ConfigError: the study has another plan; the message names the differences.
        """
        with database_errors(self._url):
            stored = self._study.user_attrs.get(PLAN)
            if stored is None:
                plan = {**wanted, "resolved": dict(resolve())}
                set_if_absent(self._study, PLAN, json.dumps(plan))  # another worker may have been first
                stored = self._study.user_attrs[PLAN]
        found: dict[str, Any] = json.loads(stored)
        resolved = found.pop("resolved")
        differences = config_differences(found, json.loads(json.dumps(wanted)))
        if differences:
            raise ConfigError(
                f"comparison: the study was made under another configuration: {'; '.join(differences)}. Give the same "
                "command to continue it, or another --out (with --storage: another --study-name) to start again"
            )
        return {**found, "resolved": resolved}

    def standing(self, points: Sequence[Point]) -> Standing:
        """Read the state of all trials.

        Raises:
            DataError: the result of a training is not as :func:`edge_seq.compare.trial.run_point` gives it.
        """
        import optuna

        state = optuna.trial.TrialState
        results: dict[str, TrialResult] = {}
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
                    with reading(f"training {key} in the database of the comparison"):
                        self._read[trial.number] = from_plain(TrialResult, json.loads(trial.user_attrs[RESULT]))
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
        run: Callable[[Point], TrialResult],
        score: Callable[[TrialResult], float],
        *,
        progress: Callable[[Standing], None] = lambda _standing: None,
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Take trials until every point is done, by this or another worker.

        Args:
            points: points of the grid.
            run: function that does one training. An :class:`EdgeSeqError` is kept as the reason of the failure.
            score: function from a result to its score, for Optuna's own tables.
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
                        f"another worker took over {key}, because this one sent no heartbeat for "
                        f"{self.heartbeat.grace_s} s; its own result is dropped"
                    )

    def fill_queue(self, points: Sequence[Point]) -> Standing:
        """Put every point into the queue that is neither done nor in work nor in the queue."""
        standing = self.standing(points)
        there = {*standing.results, *standing.refused, *standing.running, *standing.waiting}
        missing = [point for point in points if point.key not in there]
        for point in missing:
            with database_errors(self._url), quiet():
                self._study.enqueue_trial(_parameters(point), user_attrs={POINT: point.key})
        return self.standing(points) if missing else standing

    # The methods below use the storage directly. Optuna's own loop cannot be used: it fails with an assertion if
    # another worker has ended a trial, and a trial whose worker dies before its first heartbeat is never taken over.

    def _take(self) -> optuna.trial.Trial | None:
        """Take the first trial of the queue that no other worker takes; None if there is none."""
        import optuna

        state = optuna.trial.TrialState
        for waiting in self._study.get_trials(deepcopy=False, states=(state.WAITING,)):
            self._storage.record_heartbeat(waiting._trial_id)
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                if self._storage.set_trial_state_values(waiting._trial_id, state.RUNNING):
                    return optuna.trial.Trial(self._study, waiting._trial_id)
        return None

    def _describe(self, trial: optuna.trial.Trial, points: Sequence[Point]) -> None:
        """Write the trial's parameters to Optuna's tables. Their values were set when it was put in the queue."""
        for name, values in _choices(points).items():
            trial.suggest_categorical(name, values)

    def _is_done_elsewhere(self, mine: optuna.trial.Trial, key: str, points: Sequence[Point]) -> bool:
        """True if the point is done, or in work in an earlier trial. Trials are taken in their order."""
        import optuna

        # The order matters: a trial that ends between the two reads counts as in work, one that ended before as done.
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
        run: Callable[[Point], TrialResult],
        score: Callable[[TrialResult], float],
    ) -> None:
        """Do one trial.

        Raises:
            UpdateFinishedTrialError: another worker has ended it; nothing was kept.
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
            self._finish(trial, RESULT, json.dumps(result.to_dict()), TrialState.COMPLETE, score(result))

    def _finish(
        self, trial: optuna.trial.Trial, name: str, answer: str, state: optuna.trial.TrialState, *values: float
    ) -> None:
        """Store the answer of a training. If the database is lost, try again until the grace time is over."""
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
        """Send a heartbeat at each interval. If one fails, the next may succeed."""
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
        ToolError: it is not installed; the message says how to install it.
    """
    import importlib.util

    if importlib.util.find_spec("optuna") is None:
        raise ToolError("edge-seq compare needs optuna, which is not installed; pip install 'edge-seq[compare]'")


def _parameters(point: Point) -> dict[str, Any]:
    return {**asdict(point.candidate), "learning_rate": point.learning_rate, "seed": point.seed}


def _choices(points: Sequence[Point]) -> dict[str, list[Any]]:
    """List all values of each parameter on the grid, in the same order for all workers."""
    tables = [_parameters(point) for point in points]
    return {name: sorted({table[name] for table in tables}) for name in tables[0]}
