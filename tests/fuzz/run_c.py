"""Fuzz the C that takes bytes from others: ``python -m tests.fuzz.run_c [--seconds 60] [--counts]``; a table as of
tests.fuzz.run.

Each program runs twice: under libFuzzer, which looks for new edges, and in a plain loop, which is faster. The loader of
models has a loop alone, for each of its blobs. All have address and undefined-behaviour sanitizers. With ``--counts``
there are loops alone, and what they did is added to ``docs/results/fuzz_counts.json`` (:mod:`tests.fuzz.counts`).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.fuzz import counts
from tests.fuzz.build import BODY_BYTES, LOOP_FLAGS, build_fuzzers, build_loader, write_seeds
from tests.fuzz.run import FINDINGS, HEADER, Fuzzed

PIECE = 1_000_000  # executions of a process of the loop
PIECE_OF_LOADER = 5_000  # which are slower


def guided(name: str, program: Path, seeds: Path, seconds: int) -> Fuzzed:
    """Run under libFuzzer."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-max_len={BODY_BYTES + 64}", "-len_control=0", "-print_final_stats=1"]
    corpus = [str(seeds)] if name == "fuzz_decoder" else []
    done = subprocess.run(
        [str(program), *options, f"-artifact_prefix={FINDINGS}/", *corpus], capture_output=True, text=True, check=False
    )
    edges = [int(one) for one in re.findall(r"cov: (\d+)", done.stderr)]
    executions = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    findings = {} if done.returncode == 0 else {done.stderr[-2000:]: b""}
    found = int(executions[1]) if executions else 0
    return Fuzzed(f"{name}, libFuzzer", found, -1, seconds, edges[-1] - edges[0] if edges else None, findings)


def looped(name: str, arguments: Callable[[int], Sequence[str | Path]], piece: int, seconds: float) -> Fuzzed:
    """Run a program in a plain loop, each process with a seed of its own.

    Args:
        name: for the table.
        arguments: the program and its arguments for a seed.
        piece: executions of one process.
        seconds: how long.
    """
    found = Fuzzed(f"{name}, loop", 0, -1, 0.0, None, {})
    start, began = time.monotonic(), _processor_time()
    number = time.time_ns() % 10**9
    while time.monotonic() - start < seconds and not found.findings:
        command = list(map(str, arguments(number)))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found.findings[f"{' '.join(command)}: {done.stderr[-2000:]}"] = b""
        found.executions += piece
        number += 1
    found.seconds = _processor_time() - began
    return found


def _processor_time() -> float:
    """Seconds of the processor that ended child processes took."""
    used = os.times()
    return used.children_user + used.children_system


def _loop(program: Path, number: int) -> tuple[str | Path, ...]:
    return program, str(number), str(PIECE)


def _load(program: Path, blob: Path, number: int) -> tuple[str | Path, ...]:
    return program, blob, str(PIECE_OF_LOADER), str(number)


def main() -> int:
    """Run from the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each program")
    parser.add_argument(
        "--counts", type=Path, nargs="?", const=counts.COUNTS, help="loops alone, and add what they did to this file"
    )
    given = parser.parse_args()
    seconds = given.seconds
    sys.stdout.write(HEADER)
    findings: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        seeds = write_seeds(Path(folder, "seeds"))
        fuzzers = {} if given.counts else build_fuzzers(Path(folder, "guided"))
        loops = build_fuzzers(Path(folder, "loops"), flags=LOOP_FLAGS, loop=True)
        loader, blobs = build_loader(Path(folder, "loader"))

        def every() -> Iterator[Fuzzed]:
            for name, program in loops.items():
                if name in fuzzers:
                    yield guided(name, fuzzers[name], seeds, seconds)
                yield looped(name, partial(_loop, program), PIECE, seconds)
            for blob in blobs:
                name = f"fuzz_load {blob.stem}"
                yield looped(name, partial(_load, loader, blob), PIECE_OF_LOADER, seconds / len(blobs))

        for found in every():
            if given.counts:
                counts.add(found, given.counts)
            sys.stdout.write(found.row())
            sys.stdout.flush()
            findings += found.findings
    sys.stdout.write("".join(f"{one}\n" for one in findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
