"""edge-seq bench: measures the reference models on targets. Arguments are checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from edge_seq.support.errors import ConfigError
from edge_seq.support.files import json_text, write_atomically
from firmware_export.measuring.bench import Bench, run_bench
from firmware_export.measuring.bench_reference import load_reference
from firmware_export.measuring.bench_report import bench_markdown
from firmware_export.measuring.reference_models import CELLS, SHAPES
from firmware_export.toolchain.target import ALL_TARGETS, choose_targets

_Name = TypeVar("_Name", bound=str)


def bench(
    targets: Sequence[str],
    models: Sequence[str],
    cells: Sequence[str],
    *,
    reference: Path | None = None,
    progress: Callable[..., None] = lambda *_args: None,
) -> Bench:
    """Run the bench.

    Args:
        targets: names of targets; empty for all.
        models: names of reference models; empty for all.
        cells: names of cells; empty for all.
        reference: TOML file with limits and figures of other engines; None compares with nothing.
        progress: called with the number of finished measurements, their total and a name.

    Raises:
        ConfigError: a target, model or cell does not exist, or the reference is not usable.
        ToolError: a model does not compile or run.
    """
    return run_bench(
        choose_targets(tuple(targets) or (ALL_TARGETS,)),
        models=_chosen("model", models, tuple(SHAPES)),
        cells=_chosen("cell", cells, CELLS),
        reference=None if reference is None else load_reference(reference),
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
