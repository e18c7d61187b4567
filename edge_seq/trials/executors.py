"""Executors of trials: this process, processes of this machine, and a Dask cluster.

All are executors of :mod:`concurrent.futures`. A Dask cluster exchanges pickled objects, so its scheduler and workers
must be your own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.trials.steer import MOST_LOST, WorkerDiedError

CONNECT_S = 10  # time for one try to reach a scheduler, seconds
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

P = ParamSpec("P")
T = TypeVar("T")


class ThisProcess(Executor):
    """Does each trial at once, in this process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call the function, and return a future that is done. A defect of the function is raised here."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Processes(Executor):
    """Several processes of this machine. If one dies, only its own trial is lost, and a new process takes its place.

    The processes end when this process does, however it ends.

    Args:
        count: number of processes.
        threads: number of threads of each process.
    """

    def __init__(self, count: int, *, threads: int) -> None:
        self.count = count
        self._places = [_Place(threads) for _ in range(count)]

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a trial to a process that is free, or else to the first one."""
        free = [place for place in self._places if place.is_free]
        return (free or self._places)[0].submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End all processes, whatever they do."""
        for place in self._places:
            place.close(wait=wait)


class _Place:
    """Place of one process."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._last: Future[Any] | None = None
        self._open()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        end_of_worker, self._alive = context.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_begin_worker, initargs=(end_of_worker, self._threads)
        )

    @property
    def is_free(self) -> bool:
        """True if the process has no trial in work."""
        return self._last is None or self._last.done()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a trial to the process, or to a new one if it has died."""
        for _ in range(2):
            try:
                future = self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:  # it died after its last trial
                self.close(wait=False)
                self._open()
            else:
                self._last = future
                return future
        raise ToolError("trials: a worker process ends as soon as it starts; the system's log may say why (memory?)")

    def close(self, *, wait: bool) -> None:
        """End the process."""
        self._alive.close()
        self._pool.shutdown(wait=wait, cancel_futures=True)


def _begin_worker(end: Connection, threads: int) -> None:
    """Prepare a worker process: it ends with the process that started it, which alone answers to Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))  # read when numpy and torch are imported

    def end_with_parent() -> None:
        with suppress(EOFError, OSError):
            end.recv()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


class DaskCluster(Executor):
    """Workers of a Dask cluster on any number of machines.

    Dask gives a trial to another worker if its worker dies. If the scheduler is started again, the trials in work are
    given out again.

    Args:
        address: address of the scheduler, such as ``tcp://HOST:8786``.
        patience_s: time to wait for a scheduler that is away, seconds.

    Raises:
        ConfigError: the address is not one.
        ToolError: distributed is not installed, or the scheduler cannot be reached.
    """

    def __init__(self, address: str, *, patience_s: float = 600) -> None:
        check_address(address)
        self._address = address
        self._patience_s = patience_s
        self._client = self._connect(time.monotonic() + CONNECT_S)
        self._given: list[Future[Any]] = []  # trials in work

    @property
    def count(self) -> int:
        """Number of trials that the cluster does at the same time; 0 while it has no workers or is away.

        Trials in work are cancelled if it is away, so that they are given out again.
        """
        try:
            if self._client.status == "running":
                return sum(self._client.nthreads().values())
        except (OSError, ValueError):  # a ValueError of a client that is closed meanwhile
            pass
        for future in self._given:
            with suppress(InvalidStateError):
                future.set_exception(CancelledError())
        return 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Give a trial to the cluster. A scheduler that is away is waited for.

        Raises:
            ToolError: the scheduler stays away.
        """
        if not self.count and self._client.status != "running":
            with suppress(Exception):
                self._client.close(timeout=1)
            self._client = self._connect(time.monotonic() + self._patience_s)
        given = self._client.submit(fn, *args, **kwargs, pure=False)
        future: Future[T] = Future()
        given.add_done_callback(lambda done: _hand_over(done, future))
        self._given = [*(one for one in self._given if not one.done()), future]
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Leave the cluster. Trials of this process that are in work are cancelled; the cluster stays."""
        with suppress(Exception):
            self._client.close(timeout=5)

    def _connect(self, until: float) -> Any:
        from distributed import Client

        while True:
            try:
                return Client(self._address, timeout=CONNECT_S, set_as_default=False)
            except OSError as error:
                if time.monotonic() > until:
                    raise ToolError(
                        f"trials: no Dask scheduler answers at {self._address} ({error}). Start one with: dask "
                        "scheduler, and workers with: dask worker ADDRESS --nthreads 1. The same command then continues"
                    ) from error
                time.sleep(1)


def _hand_over(done: Any, future: Future[Any]) -> None:
    """Give the answer of a Dask future to a future of concurrent.futures."""
    from distributed import KilledWorker

    try:
        error = None if done.status == "finished" else done.exception() if done.status == "error" else CancelledError()
        result = done.result() if error is None else None
    except OSError:  # the scheduler went away meanwhile
        error = CancelledError()
    if isinstance(error, KilledWorker):
        error = WorkerDiedError(MOST_LOST)
    with suppress(InvalidStateError):  # of a trial that was given up meanwhile
        future.set_result(result) if error is None else future.set_exception(error)


def check_address(address: str) -> None:
    """Check the address of a scheduler without connecting.

    Raises:
        ConfigError: it is not an address.
        ToolError: distributed is not installed; the message says how to install it.
    """
    import importlib.util

    if importlib.util.find_spec("distributed") is None:
        raise ToolError(
            "trials: --scheduler needs distributed, which is not installed; pip install 'edge-seq[distributed]'"
        )
    from distributed.comm.addressing import resolve_address

    try:
        resolve_address(address)
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"trials: --scheduler {address} is not the address of a Dask scheduler ({error}); expected for example "
            "tcp://HOST:8786"
        ) from error
