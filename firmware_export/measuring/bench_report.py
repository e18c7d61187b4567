"""The results of the bench as Markdown (BENCH.md)."""

from __future__ import annotations

from collections.abc import Sequence

from firmware_export.measuring.bench import Bench, BenchRow, Check, find_row
from firmware_export.measuring.bench_reference import BenchReference


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join('---' for _ in columns)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _cost(row: BenchRow) -> str:
    return f"{row.cycles:,} cycles" if row.instructions is None else f"{row.instructions:,}"


def _verdict(met: bool | None, note: str = "") -> str:
    return note or "-" if met is None else "met" if met else "**missed**"


def check_row(check: Check) -> list[str]:
    """Table row of a check, under :data:`CHECK_COLUMNS`."""
    aim = ["-", "-"] if check.aim is None else [_number(check.aim), _verdict(check.aim_met)]
    return [check.what, _number(check.found), _number(check.must), _verdict(check.met, check.note), *aim]


CHECK_COLUMNS = ("what", "found", "limit", "", "goal", "")
ROW_COLUMNS = ("target", "model", "cell", "instructions", "a MAC", "code", "tables", "weights", "RAM", "stack")


def bench_table_row(row: BenchRow) -> list[str]:
    """Table row of a measurement, under :data:`ROW_COLUMNS`."""
    sizes = (row.code_bytes, row.table_bytes, row.weight_bytes, row.ram_bytes, row.stack_bytes)
    return [row.target, row.model, row.cell, _cost(row), _number(row.instructions_per_mac), *map(_number, sizes)]


def _peer_rows(bench: Bench, reference: BenchReference) -> list[list[str]]:
    rows = []
    for peer in reference.peers:
        for target, figures in peer.instructions.items():
            for model, instructions in figures.items():
                ours = find_row(bench.rows, model, peer.cell, target)
                mine = None if ours is None else ours.instructions
                ratio = "-" if not mine else f"{instructions / mine:.2f}"
                rows.append([target, model, peer.cell, peer.name, _number(instructions), _number(mine), ratio])
    return sorted(rows)


def _limits(bench: Bench) -> str:
    return "## Limits\n\n" + _table(CHECK_COLUMNS, [check_row(check) for check in bench.checks]) + "\n"


def _beside_the_peers(bench: Bench, reference: BenchReference) -> str:
    theirs = [
        [peer.name, _number(peer.code_and_tables), _number(peer.weights), peer.ram] for peer in reference.peer_bytes
    ]
    ours = [
        [
            f"edge_seq {row.cell}",
            _number(row.code_and_tables),
            _number(row.weight_bytes),
            f"{_number(row.ram_bytes)} + stack {_number(row.stack_bytes)}",
        ]
        for row in bench.rows
        if (row.target, row.model) == (reference.bytes.target, reference.bytes.model)
    ]
    columns = ("target", "model", "cell", "peer", "instructions", "ours", "ratio")
    return (
        f"\n## Beside the peers\n\nTheir figures: {reference.source}. The ratio is theirs to ours.\n\n"
        + _table(columns, _peer_rows(bench, reference))
        + "\nBytes on Cortex-M4, car (theirs: LSTM):\n\n"
        + _table(("engine", "code and tables", "weights", "RAM"), [*theirs, *ours])
    )


def bench_markdown(bench: Bench) -> str:
    """Text of BENCH.md. Without a reference it has neither limits nor other engines."""
    reference = bench.reference
    skipped = "".join(f"* {reason}\n" for reason in bench.skipped) or "Nothing.\n"
    return (
        "# What the reference models cost\n\n"
        "Written by `make bench`; do not edit. One whole window, preprocessing, head and arg-max included, weights\n"
        "from a fixed seed. car: input 3, hidden 32, T = 50, 4 classes; har: 9, 32, 128, 6; big: 6, 64, 100, 6;\n"
        "h64, h100, h128: har with more hidden units; deep: har with four convolutions of 16 units and 5 taps and\n"
        "two layers, as a DeepConvLSTM cut to a microcontroller. Bytes are of the linked image without its harness;\n"
        "stack is the worst case along the call graph. Instructions are not cycles; where the emulator counts cycles,\n"
        "those stand there.\n\n"
        + ("" if reference is None else _limits(bench))
        + "## All\n\n"
        + _table(ROW_COLUMNS, [bench_table_row(row) for row in bench.rows])
        + ("" if reference is None else _beside_the_peers(bench, reference))
        + f"\n## Not measured\n\n{skipped}"
    )
