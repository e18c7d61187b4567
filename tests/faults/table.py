"""The table of planted faults: ``python -m tests.faults.table FOLDER [--points 5] [STEP ...] [--kinds KIND ...]``.

FOLDER holds a run ``run``, ``drives.csv`` and ``drives.toml``. Every command is tried with every kind of fault, at so
many operations, evenly spread, and twice at once (the kind ``two``). Each fault is told on stderr at once, so what was
tried before an interruption is not lost. The exit code is 1 if anything was wrong. Each command loads the code of the
project anew, so leave it as it is meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.planting import KINDS, STEPS, Commands, Trial, attempt, reference, two_at_once

TWO = "two"


def main() -> int:
    """Run from the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("steps", nargs="*", default=[])
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=(*KINDS, TWO), default=(*KINDS, TWO))
    given = parser.parse_args()
    wrong: list[str] = []
    sys.stdout.write("| command | operations | kinds | faults | wrong | s |\n|---|---:|---|---:|---:|---:|\n")
    with (
        tempfile.TemporaryDirectory() as folder,
        Commands(Path(folder, "one")) as server,
        Commands(Path(folder, "two")) as second,
    ):
        for name in given.steps or STEPS:
            began, tried, before = time.monotonic(), 0, len(wrong)
            step = STEPS[name]
            expected = reference(server, step, given.folder, given.folder / "drives.csv", Path(folder))
            for kind in (one for one in given.kinds if one != TWO):
                spread = {1 + (expected.operations - 1) * k // max(1, given.points - 1) for k in range(given.points)}
                for at in sorted(spread):
                    found = attempt(server, step, expected, Trial(kind, at), Path(folder))
                    tried += 1
                    sys.stderr.write(f"{name}, {kind} at {at} of {expected.operations}: {found or 'right'}\n")
                    sys.stderr.flush()
                    if found:
                        wrong.append(f"{name}, {kind} at {at} of {expected.operations}: {found}")
            if TWO in given.kinds:
                found = two_at_once(server, second, step, expected, Path(folder))
                tried += 1
                sys.stderr.write(f"{name}, two at once: {found or 'right'}\n")
                if found:
                    wrong.append(f"{name}, two at once: {found}")
            seconds, bad = time.monotonic() - began, len(wrong) - before
            sys.stdout.write(
                f"| {name} | {expected.operations} | {' '.join(given.kinds)} | {tried} | {bad} | {seconds:.0f} |\n"
            )
            sys.stdout.flush()
    sys.stdout.write("".join(f"{one}\n" for one in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
