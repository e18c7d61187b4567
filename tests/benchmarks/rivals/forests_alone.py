"""The forests of a comparison without its networks, to set beside a comparison that was made before there were forests.

    python -m tests.benchmarks.rivals.forests_alone datasets/hapt.toml --work build/forests

The windows are those of ``edge-seq compare TASK --quick`` with three seeds, split by group as there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_seq.compare.config import load_compare_config
from edge_seq.compare.data import open_source
from edge_seq.compare.forest import forests_of


def main() -> None:
    """Print a row for each window length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--score", default="accuracy", choices=("accuracy", "macro_f1"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    config = load_compare_config(given.task, quick=True, options={"score": given.score})
    print("| T | forest | instructions a window | bytes of flash |\n|---|---|---|---|")  # noqa: T201
    for one in forests_of(config, open_source(config), given.work, progress=lambda *_: None):
        cost = one.cost
        price = "- | -" if cost is None else f"{cost.per_window:,} | {cost.flash_bytes:,}"
        print(f"| {one.time_steps} | {one.interval} | {price} |")  # noqa: T201


if __name__ == "__main__":
    main()
