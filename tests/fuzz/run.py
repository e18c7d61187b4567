"""Fuzz what reads bytes of others: ``python -m tests.fuzz.run [--seconds 60] [--guided] [--counts] [NAME ...]``.

Prints a table: executions, executions a second of the processor, what was read, new edges, findings. A finding is
written to ``build/fuzz``, with its traceback. Without ``--guided`` it is a plain loop of :mod:`tests.fuzz.mutation`;
with it, atheris looks for inputs that reach new edges. With ``--counts`` a plain loop goes on where the one before it
ended, and what it did is added to ``docs/results/fuzz_counts.json``, a target after the other; see
:mod:`tests.fuzz.counts`. The exit code is 1 if anything was found.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
import re
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.peak_memory import forget_peak, peak_bytes

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

FINDINGS = Path("build") / "fuzz"
LIMIT_S = 10
LIMIT_BYTES = 1 << 30
TOO_MUCH = "more than 1 GB"
ADDRESSES = 8 << 30  # a larger request fails at once, and counts as a finding
HEADER = "| target | executions | a second | read | new edges | findings |\n|---|---:|---:|---:|---:|---:|\n"


@dataclass
class Fuzzed:
    """What was found out about a target.

    Attributes:
        name: name of the target.
        executions, read: inputs, and how many of them were not refused.
        seconds: processor time; of a guided run, its duration.
        edges: edges reached beyond those of the seeds; None if they are not counted.
        findings: one input for each place in the code that raised a wrong error.
    """

    name: str
    executions: int
    read: int
    seconds: float
    edges: int | None
    findings: dict[str, bytes]

    def row(self) -> str:
        """Row of the table."""
        rate = self.executions / max(self.seconds, 1e-9)
        share = f"{100 * self.read / max(1, self.executions):.0f} %" if self.read >= 0 else ""
        edges = "" if self.edges is None else f"{self.edges:,}"
        return f"| {self.name} | {self.executions:,} | {rate:,.0f} | {share} | {edges} | {len(self.findings)} |\n"


class HangError(Exception):
    """An input takes too long."""


@contextmanager
def hurried(seconds: int) -> Iterator[None]:
    """Raise :class:`HangError` where an input takes longer."""

    def stop(*_: object) -> None:
        raise HangError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def place_of(error: BaseException) -> str:
    """The kind of an error, and the deepest line of this project that it went through."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "edge_seq" in one.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {where}"


def fuzz(target: Target, *, number: int, executions: int = 0, seconds: float = 0.0) -> Fuzzed:
    """Fuzz a target in a plain loop, for a number of executions or of seconds. Small seeds come more often."""
    from tests.fuzz.mutation import changed

    seeds, rng = target.seeds(), random.Random(f"{number} {target.name}")
    weights = [1 / (1 + len(seed)) for seed in seeds]
    for index, seed in enumerate(seeds):
        assert target.take(seed), f"{target.name}: seed {index} is refused"
    found = Fuzzed(target.name, 0, 0, 0.0, None, {})
    forget_peak()
    before, start, began = peak_bytes(), time.monotonic(), time.process_time()
    while found.executions < executions or time.monotonic() - start < seconds:
        content = changed(rng.choices(seeds, weights)[0], rng)
        try:
            with hurried(LIMIT_S):
                found.read += target.take(content)
        except Exception as error:  # noqa: BLE001  any is a finding
            if place_of(error) not in found.findings:
                found.findings[place_of(error)] = content
                _keep(target.name, content, error)
        if peak_bytes() - before > LIMIT_BYTES and TOO_MUCH not in found.findings:
            found.findings[TOO_MUCH] = content
            _keep(target.name, content, MemoryError(TOO_MUCH))
        found.executions += 1
    found.seconds = time.process_time() - began
    return found


def _keep(name: str, content: bytes, error: BaseException) -> None:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"{re.sub('[^a-z0-9]+', '_', name.lower())}_{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))


def _quiet() -> None:
    """Damaged files may warn as well; and what is asked for must not fill the machine."""
    logging.disable()
    warnings.simplefilter("ignore")
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))


def guide(name: str, seconds: int, number: int, corpus: Path) -> None:
    """Fuzz a target with atheris in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["edge_seq"], enable_loader_override=False):
        from tests.fuzz.targets import targets

        (target,) = [one for one in targets() if one.name == name]
        corpus.mkdir(parents=True, exist_ok=True)
        for index, seed in enumerate(target.seeds()):
            (corpus / f"seed{index}").write_bytes(seed)
            target.take(seed)
    places: set[str] = set()

    def one_input(content: bytes) -> None:
        try:
            target.take(content)
        except Exception as error:  # noqa: BLE001  any is a finding
            if place_of(error) not in places:
                places.add(place_of(error))
                _keep(name, content, error)
                sys.stderr.write(f"FINDING {place_of(error)}\n")

    options = [f"-max_total_time={seconds}", f"-seed={number}", f"-timeout={LIMIT_S}", "-rss_limit_mb=2500"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", "-max_len=16384", str(corpus)], one_input)
    atheris.Fuzz()


def guided(name: str, seconds: int, number: int) -> Fuzzed:
    """Fuzz a target with atheris in a process of its own."""
    corpus = FINDINGS / "corpus" / re.sub("[^a-z0-9]+", "_", name.lower())
    command = [sys.executable, "-m", "tests.fuzz.run", "--inside", str(corpus), "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, "--number", str(number), name], capture_output=True, text=True, errors="replace", check=False
    )
    reached = [int(one) for one in re.findall(r"^#\d+\s+\w+\s+cov: (\d+)", done.stderr, re.MULTILINE)]
    counts = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    findings = dict.fromkeys(re.findall(r"^FINDING (.*)", done.stderr, re.MULTILINE), b"")
    if done.returncode != 0 or counts is None:
        findings[f"exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"] = b""
    edges = reached[-1] - reached[0] if reached else None
    return Fuzzed(name, int(counts[1]) if counts else 0, -1, seconds, edges, findings)


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; see the module."""
    from tests.fuzz import counts

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="targets; all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--number", type=int, default=1, help="where the random numbers begin")
    parser.add_argument("--guided", action="store_true")
    parser.add_argument(
        "--counts", type=Path, nargs="?", const=counts.COUNTS, help="go on, and add what a plain loop did to this file"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    _quiet()
    if given.inside is not None:
        guide(given.names[0], given.seconds, given.number, given.inside)
        return 0
    from tests.fuzz.targets import targets

    earlier = counts.load(given.counts) if given.counts else {}
    chosen = [one for one in targets() if not given.names or one.name in given.names]

    def runs(name: str) -> int:
        return earlier[name].runs if name in earlier else 0

    run: Callable[[Any], Fuzzed] = (
        (lambda target: guided(target.name, given.seconds, given.number))
        if given.guided
        else (lambda target: fuzz(target, number=given.number + runs(target.name), seconds=given.seconds))
    )
    sys.stdout.write(HEADER)
    findings: dict[str, str] = {}
    for target in chosen:
        found = run(target)
        if given.counts and not given.guided:
            counts.add(found, given.counts)
        sys.stdout.write(found.row())
        sys.stdout.flush()
        findings |= {f"{target.name}: {place}": "" for place in found.findings}
    sys.stdout.write("".join(f"{one}\n" for one in findings))
    return 1 if findings or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
