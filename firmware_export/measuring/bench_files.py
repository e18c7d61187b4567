"""edge-seq bench: the reference models on targets; what was asked for is checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edge_seq.support.errors import ConfigError
from edge_seq.support.files import json_text, write_atomically
from firmware_export.measuring.bench import Bench, run_bench
from firmware_export.measuring.bench_report import bench_markdown
from firmware_export.measuring.reference_models import CELLS, SHAPES
from firmware_export.toolchain.target import ALL_TARGETS, choose_targets

_Name = TypeVar("_Name", bound=str)


def bench(
    targets: Sequence[str],
    models: Sequence[str],
    cells: Sequence[str],
    *,
    progress: Callable[..., None] = lambda *_args: None,
) -> Bench:
    """Run the bench; nothing given means all there are.

    Raises:
        ConfigError: a target, model or cell does not exist.
        ToolError: a model does not compile or run.
    """
    return run_bench(
        choose_targets(tuple(targets) or (ALL_TARGETS,)),
        models=_chosen("model", models, tuple(SHAPES)),
        cells=_chosen("cell", cells, CELLS),
        progress=progress,
    )


def _chosen(what: str, wanted: Sequence[str], there: tuple[_Name, ...]) -> tuple[_Name, ...]:
    known: dict[str, _Name] = {name: name for name in there}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"bench: {what} {unknown[0]!r} is not a reference {what}; give one of: {', '.join(there)}")
    return tuple(known[name] for name in dict.fromkeys(wanted)) or there


def write_bench(found: Bench, folder: Path) -> None:
    """Write BENCH.md and bench.json."""
    write_atomically(folder / "BENCH.md", bench_markdown(found))
    write_atomically(folder / "bench.json", json_text(found.to_dict()) + "\n")
