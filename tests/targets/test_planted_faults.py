"""Faults planted into the exported C are found on each target, and the traced build locates them."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.backends.trace import Trace
from edge_seq.ir.kinds import kind_of
from edge_seq.parity.compare import Comparison
from tests.targets.running import Case, build, run_case

PLAIN = ("atmega2560", "powerpc")  # targets without a fast kernel

# The last column is not multiplied if their number is odd, as in a kernel that takes two at a time.
OWN_COLUMNS = "weights = es_rows4_narrow(weights, own, layer->own_quads, results);"
ODD_COLUMNS = """{
        int16_t seen[64];
        unsigned unit;
        for (unit = 0; unit < ES_QUAD * layer->own_quads; unit++) {
            seen[unit] = unit + 1u == layer->hidden_size && layer->hidden_size % 2u ? 0 : own[unit];
        }
        weights = es_rows4_narrow(weights, seen, layer->own_quads, results);
    }"""
# The low byte is assumed to be the first in memory.
LOW_BYTE = "((uint16_t)word & 0xFFu)"
FIRST_BYTE = "(*(const unsigned char *)&word)"


def planted(
    case: Case, folder: Path, path: str, text: str, replacement: str, *, traced: bool, target: str
) -> Comparison:
    """Run a damaged export on a target, on typical sensor counts, and compare it with the reference."""
    usual = {name: values[-4:] for name, values in case.expected.values.items()}
    case = replace(case, counts=case.counts[-4:], expected=Trace(usual))
    copy = Path(shutil.copytree(case.folder, folder / "export"))
    right = (copy / path).read_text()
    assert right.count(text) == 1
    (copy / path).write_text(right.replace(text, replacement))
    program = build([copy], folder / "build", target, traced=traced)
    return run_case(program, case)


@pytest.mark.parametrize(
    ("path", "pattern", "replacement"),
    [
        ("runtime/src/es_fixed.h", r"\(\(uint32_t\)1 << n\) >> 1", "0"),
        ("lstm_car.c", r"(lstm_car_layer0_blocks\[\d+\] = \{\s*\{\.bias = \{-?)(\d+)", r"\g<1>9\g<2>"),
    ],
)
def test_a_rounding_and_a_bias(
    path: str, pattern: str, replacement: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    case = cases["lstm_car"]
    (found,) = re.finditer(pattern, (case.folder / path).read_text())
    text = found.group()
    comparison = planted(
        case, tmp_path, path, text, re.sub(pattern, replacement, text), traced=False, target="cortex_m4"
    )
    assert comparison.first is not None
    # A fast kernel has its own rounding; the fault then shows in pooling, which is plain C.
    assert comparison.first.name.startswith(("layer0.", "pooled"))


@pytest.mark.parametrize("target", PLAIN)
def test_a_last_column_that_is_dropped(target: str, cases: dict[str, Case], tmp_path: Path) -> None:
    def with_fault(name: str, *, traced: bool) -> Comparison:
        return planted(
            cases[name], tmp_path / f"{name}{traced}", "runtime/src/es_rows.c", OWN_COLUMNS, ODD_COLUMNS,
            traced=traced, target=target,
        )  # fmt: skip

    assert with_fault("lstm_car", traced=False).holds  # 16 units
    odd = cases["rnn_wide_extreme"]  # 33 units
    assert not with_fault(odd.model.name, traced=False).holds
    first = with_fault(odd.model.name, traced=True).first
    assert first is not None
    assert first.name in {f"layer0.{gate}" for gate in kind_of(odd.model.layers[0]).gate_names}
    assert first.step > 0  # the state before was zero


@pytest.mark.parametrize("target", PLAIN)
def test_a_wrong_table_entry(target: str, cases: dict[str, Case], tmp_path: Path) -> None:
    """A fault in the table's cell at x = 0, where slope and base are one word."""
    found = planted(
        cases["lstm_car"], tmp_path, "runtime/src/es_tanh.c", " 98272,", " 98273,", traced=True, target=target
    )
    assert found.first is not None
    assert found.first.name in {"layer0.cell_state", "layer0.hidden_state"}


@pytest.mark.parametrize("target", PLAIN)
def test_a_swapped_byte_order(target: str, cases: dict[str, Case], tmp_path: Path) -> None:
    """A fault that only a big-endian machine shows."""
    case = cases["lstm_car"]
    found = planted(case, tmp_path, "runtime/src/es_rows.c", LOW_BYTE, FIRST_BYTE, traced=True, target=target)
    if target != "powerpc":
        assert found.holds
        return
    assert found.first is not None
    assert found.first.name in {f"layer0.{gate}" for gate in kind_of(case.model.layers[0]).gate_names}
    assert found.first.step > 0
