"""edge-seq bench: measures the reference models on targets. Arguments are checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, json_text, write_atomically
from edge_seq.support.json_tables import load_json, reading
from edge_seq.support.results import from_plain
from firmware_export.measuring.bench import Bench, BenchRow, Check, run_bench
from firmware_export.measuring.bench_reference import load_reference
from firmware_export.measuring.bench_report import bench_markdown
from firmware_export.measuring.reference_models import ALL_CELLS, CELLS, SHAPES, USUAL_SHAPES
from firmware_export.toolchain.target import ALL_TARGETS, choose_targets

_TABLE = "bench.json"
_TIMEOUT_S = 900.0  # of an emulator for a model: these are known to end, and a busy machine loses no half hour of work
_Name = TypeVar("_Name", bound=str)


def bench(
    targets: Sequence[str],
    models: Sequence[str],
    cells: Sequence[str],
    *,
    reference: Path | None = None,
    out: Path | None = None,
    again: bool = False,
    progress: Callable[..., None] = lambda *_args: None,
) -> Bench:
    """Run the bench. With a folder, its tables are written after each row, and an interrupted call goes on.

    Args:
        targets: names of targets; empty for all.
        models: names of reference models; empty for ``USUAL_SHAPES``.
        cells: names of cells; empty for ``CELLS``.
        reference: TOML file with limits and figures of other engines; None compares with nothing.
        out: folder of BENCH.md and bench.json. Rows that were not asked for stay there. Rows of the same sources are
            not measured again.
        again: measure them again nevertheless.
        progress: called with the number of finished measurements, their total and a name.

    Raises:
        ConfigError: a target, model or cell does not exist, or the reference is not usable.
        ToolError: a model does not compile or run.
        DataError: bench.json of the folder is damaged.
    """
    if out is not None:
        check_can_write(out)

    def write(so_far: Bench) -> None:
        if out is not None:
            write_bench(completed(so_far, out), out)

    found = run_bench(
        choose_targets(tuple(targets) or (ALL_TARGETS,), timeout_s=_TIMEOUT_S),
        models=_chosen("model", models, tuple(SHAPES), USUAL_SHAPES),
        cells=_chosen("cell", cells, ALL_CELLS, CELLS),
        reference=None if reference is None else load_reference(reference),
        known=() if out is None or again else _kept_rows(out),
        row_done=write,
        progress=progress,
    )
    write(found)
    return found


def _kept_rows(folder: Path) -> tuple[BenchRow, ...]:
    """Rows of a folder's bench.json; none if it is not there."""
    path = folder / _TABLE
    if not path.is_file():
        return ()
    with reading(path.name):
        return tuple(from_plain(BenchRow, one) for one in load_json(path)["rows"])


def _chosen(what: str, wanted: Sequence[str], there: tuple[_Name, ...], usual: tuple[_Name, ...]) -> tuple[_Name, ...]:
    known: dict[str, _Name] = {name: name for name in there}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"bench: {what} {unknown[0]!r} is not a reference {what}; give one of: {', '.join(there)}")
    return tuple(known[name] for name in dict.fromkeys(wanted)) or usual


def completed(part: Bench, folder: Path) -> Bench:
    """Complete the results of some targets, models or cells with the other rows of a folder's bench.json.

    Checks whose figures were not measured now keep the figure that is there, under the limits of now.

    Raises:
        DataError: bench.json is damaged.
    """
    path = folder / _TABLE
    if not path.is_file():
        return part
    with reading(path.name):
        table = load_json(path)
        rows = {_of(row): row for row in (*_kept_rows(folder), *part.rows)}
        before = {check.what: check for check in (from_plain(Check, one) for one in table["checks"])}
        skipped = [str(reason) for reason in table["skipped"]]
    checks = {
        check.what: replace(check, found=kept.found, note="")
        if check.found is None and (kept := before.get(check.what, check)).found is not None
        else check
        for check in part.checks
    }
    left = (reason for reason in skipped if not _is_measured(reason, part.rows))
    return replace(
        part,
        rows=tuple(rows[key] for key in sorted(rows, key=_place)),
        checks=tuple({**before, **checks}.values()),
        skipped=tuple(dict.fromkeys([*left, *part.skipped])),
    )


def _of(row: BenchRow) -> tuple[str, str, str]:
    return row.target, row.model, row.cell


def _place(key: tuple[str, str, str]) -> tuple[str, int, int]:
    """Place of a row in a table: by target, then in the order of models and cells."""
    target, model, cell = key
    return target, list(SHAPES).index(model), list(ALL_CELLS).index(cell)  # type: ignore[arg-type]


def _is_measured(reason: str, rows: Sequence[BenchRow]) -> bool:
    """True if a reason why a target, or a model on it, was not measured is out of date."""
    target, _, why = reason.partition(": ")
    about_one = any(why.startswith(f"{model} {cell} ") for model in SHAPES for cell in ALL_CELLS)
    return any(row.target == target and (not about_one or why.startswith(f"{row.model} {row.cell} ")) for row in rows)


def write_bench(found: Bench, folder: Path) -> None:
    """Write BENCH.md and bench.json."""
    write_atomically(folder / "BENCH.md", bench_markdown(found))
    write_atomically(folder / _TABLE, json_text(found.to_dict()) + "\n")
