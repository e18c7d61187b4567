"""The process that steers a study: it hands out trials, and keeps their answers."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_seq.support.errors import EdgeSeqError, ToolError
from edge_seq.support.results import Result
from edge_seq.trials.folder import EndedTrial, R, StudyFolder

MOST_CANCELLED = 20  # number of times that a trial may be lost with the connection before the study ends
MOST_LOST = 3  # number of workers that may die on one trial before it counts as refused
POLL_S = 1.0  # longest time between two looks at the number of workers

J = TypeVar("J")


class WorkerDiedError(Exception):
    """A worker died on a trial, or several did one after the other.

    Attributes:
        times: number of workers.
    """

    def __init__(self, times: int = 1) -> None:
        super().__init__(times)
        self.times = times


@dataclass(frozen=True)
class Task(Generic[J]):
    """A trial to do.

    Attributes:
        key: name of the trial, unique in its study.
        job: argument of the function that does it.
    """

    key: str
    job: J


@dataclass(frozen=True)
class Answer:
    """Answer of a worker: a result as a table, or the reason why there is none, and the seconds that it took."""

    worker: str
    result: dict[str, object] | None
    refused: str | None
    seconds: float


def answer_of(function: Callable[[J], Result], job: J) -> Answer:
    """Do a trial in a worker. An :class:`EdgeSeqError` is an answer, and any other error is a defect."""
    worker = f"{socket.gethostname()}:{os.getpid()}"
    started = time.perf_counter()
    try:
        result, refused = function(job).to_dict(), None
    except EdgeSeqError as error:
        result, refused = None, str(error)
    return Answer(worker, result, refused, time.perf_counter() - started)


def steer(
    tasks: Iterator[Task[J]],
    function: Callable[[J], R],
    folder: StudyFolder[R],
    executor: Executor,
    *,
    at_once: Callable[[], int],
    ended: Callable[[str, R | None], None] = lambda _key, _result: None,
    progress: Callable[[tuple[str, ...]], None] = lambda _running: None,
) -> None:
    """Do trials until there are no more.

    A trial whose worker dies is given to another worker, until three have died on it. A trial whose worker was lost
    with the connection to the cluster is given out again.

    Args:
        tasks: trials that are not done yet. The next one is taken when a worker is free, so that it may depend on the
            results so far.
        function: function that does a trial. An executor of other processes needs one that can be pickled.
        folder: folder in which each answer is kept as soon as it is there.
        executor: executor that does the trials.
        at_once: function that gives the number of trials to hand out at the same time. It may change.
        ended: called with the key and the result of a trial that has ended; None for one that was refused.
        progress: called with the keys of the trials in work, after each change.

    Raises:
        ToolError: a trial was lost with the connection to its worker again and again.
        Exception: a trial ended with an error that is not an answer. What is finished is kept in any case.
    """
    waiting: deque[Task[J]] = deque()
    running: dict[Future[Answer], Task[J]] = {}
    lost: Counter[str] = Counter()
    again: Counter[str] = Counter()
    more = True
    try:
        while True:
            most = max(1, at_once())
            while len(running) < most:
                if not waiting and more:
                    following = next(tasks, None)
                    more = following is not None
                    if following is not None:
                        waiting.append(following)
                if not waiting:
                    break
                task = waiting.popleft()
                progress((*(one.key for one in running.values()), task.key))
                running[executor.submit(answer_of, function, task.job)] = task
            if not running:
                return
            if max(again.values(), default=0) > MOST_CANCELLED:
                raise ToolError(
                    f"trials: {max(again, key=lambda key: again[key])} was lost {MOST_CANCELLED + 1} times with "
                    "the connection to its worker; see the logs of the cluster. The same command then continues"
                )
            finished, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in finished:
                task = running.pop(future)
                kept = _ended_trial(task.key, future, lost)
                if kept is None:
                    waiting.appendleft(task)
                    again[task.key] += 1
                else:
                    ended(task.key, folder.add(kept))
            progress(tuple(task.key for task in running.values()))
    finally:
        for future in running:
            with suppress(Exception):
                future.cancel()


def _ended_trial(key: str, future: Future[Answer], lost: Counter[str]) -> EndedTrial | None:
    """Read the answer to a trial; None if it must be given out again."""
    try:
        answer = future.result()
    except CancelledError:
        return None
    except (BrokenExecutor, WorkerDiedError) as error:
        lost[key] += error.times if isinstance(error, WorkerDiedError) else 1
        if lost[key] < MOST_LOST:
            return None
        why = f"its worker died {lost[key]} times; the system's log may say why (memory?)"
        return EndedTrial(key, "", lost[key], None, why)
    return EndedTrial(key, answer.worker, lost[key], answer.result, answer.refused, answer.seconds)
