"""The recurrent cells. Gates are named fields, so the intermediate representation has no gate order of a framework.

Where an order is needed (traces, generated data), the order of the fields is the canonical one. Each frontend and
exporter has one small table that maps a framework's order to these names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Generic

from edge_seq.ir.rows import Rows


@dataclass(frozen=True)
class Rnn(Generic[Rows]):
    """Vanilla recurrent cell: h' = tanh(W_x x + W_h h + b) (Elman 1990).

    Attributes:
        hidden: H rows.
    """

    hidden: Rows


@dataclass(frozen=True)
class Gru(Generic[Rows]):
    """Gated recurrent unit in the form of PyTorch and cuDNN (ONNX: linear_before_reset=1).

    r = sigmoid(W_r x + U_r h + b_r), z = sigmoid(W_z x + U_z h + b_z),
    n = tanh(W_n x + b_n + r * (U_n h + b_hn)), h' = (1 - z) n + z h   (Cho et al. 2014; PyTorch's nn.GRU)

    Attributes:
        reset_gate: r, H rows.
        update_gate: z, H rows.
        new_gate_input: W_n x + b_n, H rows that see the input only.
        new_gate_hidden: U_n h + b_hn, H rows that see the state only.
    """

    reset_gate: Rows
    update_gate: Rows
    new_gate_input: Rows
    new_gate_hidden: Rows


@dataclass(frozen=True)
class Lstm(Generic[Rows]):
    """Long short-term memory without peepholes (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    i, f, o = sigmoid(...), g = tanh(...), c' = f c + i g, h' = o tanh(c')

    Attributes:
        input_gate: i, H rows.
        forget_gate: f, H rows.
        cell_gate: g, H rows.
        output_gate: o, H rows.
    """

    input_gate: Rows
    forget_gate: Rows
    cell_gate: Rows
    output_gate: Rows


# A closed union: add a member and mypy lists the places to visit (`match` with `assert_never`).
Cell = Rnn[Rows] | Gru[Rows] | Lstm[Rows]

CELL_NAMES: tuple[str, ...] = ("rnn", "gru", "lstm")


def cell_name(cell: Cell[Any]) -> str:
    """Short name of a cell: ``rnn``, ``gru`` or ``lstm``."""
    return type(cell).__name__.lower()


def gates(cell: Cell[Rows]) -> dict[str, Rows]:
    """The cell's rows by gate name, in canonical order."""
    return {field.name: getattr(cell, field.name) for field in dataclasses.fields(cell)}


def hidden_size(cell: Cell[Any]) -> int:
    """Number of hidden units, H."""
    return len(next(iter(gates(cell).values())).bias)
