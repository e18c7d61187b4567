"""Kinds of layers: for each a dataclass of its numbers, and an entry that says once what the other modules ask.

The fields of a layer are its row groups, by name, so that no order of gates exists in the middle of the project, and
the constants that stand beside the rows. The order of an entry is the canonical one wherever an order is needed
(traces, files, saved states). Frontends and exporters each map a framework's order to these names.

Whoever needs more than the entry says dispatches with ``match`` and ``assert_never``: add a kind to ``Layer`` and to
``CellName``, and mypy lists the places to visit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal

from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.arithmetic.tables import ARGUMENT_FRAC_BITS, ARGUMENT_OFFSET
from edge_seq.ir.kind_names import KIND_NAMES, Activation, KindName, WeightBits
from edge_seq.ir.rows import QUAD, FloatRows, IntRows, Rows, fill_lower_halves

# What a result of a row is used for: argument of a sigmoid (which is halved for the tanh table), argument of a tanh, or
# a number as it is.
Use = Literal["sigmoid", "tanh", "linear"]
# The int16 arrays that a layer keeps from step to step. Operands are what matrices see (SPEC.md, section 4); a kind
# that saves no hidden state of its own has the operands as its hidden state.
StateName = Literal["operands", "hidden_state", "cell_state"]


@dataclass(frozen=True)
class RowGroup:
    """H rows of a layer with one purpose: a gate, or a part of a gate.

    Attributes:
        name: name of the field of the layer that holds the rows.
        use: purpose of the result.
        sees_input: True if the rows see the input of the layer.
        sees_state: True if the rows see the layer's own state after the previous step.
    """

    name: str
    use: Use
    sees_input: bool = True
    sees_state: bool = True


@dataclass(frozen=True)
class Constant:
    """Numbers of a layer beside its rows, float32 in a float model and int32 in an integer model.

    An integer stands for ``(integer - zero) / 2^frac_bits``.

    Attributes:
        name: name of the field of the layer that holds the numbers.
        per_unit: True if each unit has one, shape [H]; otherwise the shape is [1].
        first: float value at the start of a training.
        lowest, highest: range of the float values, ends included.
        frac_bits: fractional bits of the integers.
        zero: integer that stands for 0.
        int_lowest, int_highest: range of the integers, ends included. The range proof rests on it.
        in_state_units: True if the number scales with the hidden state, and is divided where the state is (see
            ``calibrated`` of :class:`LayerKind`).
    """

    name: str
    per_unit: bool
    first: float
    lowest: float
    highest: float
    frac_bits: int
    zero: int
    int_lowest: int
    int_highest: int
    in_state_units: bool = False

    def shape(self, hidden_size: int) -> tuple[int]:
        """Shape of the array in a layer of ``hidden_size`` units.

        >>> zeta = kind_named("fastgrnn").constants[1]
        >>> zeta.name, zeta.shape(16)
        ('zeta', (1,))
        """
        return (hidden_size if self.per_unit else 1,)


@dataclass(frozen=True)
class Traced:
    """A value [H] of a time step in which backends are compared (SPEC.md, section 11).

    Attributes:
        name: name in a trace.
        use: function whose table argument the value is. A ``linear`` value is traced as it is.
    """

    name: str
    use: Use


@dataclass(frozen=True)
class LayerKind:
    """Entry of a kind of layer: everything about it except its arithmetic.

    Attributes:
        name: name of the kind, as it is typed, saved and printed.
        layer: class of the layers.
        rows: row groups in canonical order.
        traced: values of a step in a trace besides the states, in the order of computation.
        saved: states in the order in which they lie in C's memory and in saved states (SPEC.md, section 13).
        calibrated: state whose binary point calibration finds, ``cell_frac_bits`` of the layer; None if all states lie
            within [-1, 1]. A calibrated hidden state is kept divided by 2^(15 - cell_frac_bits).
        constants: numbers beside the rows, in canonical order.
        keep_gate: traced gate that keeps the old state where it is 1; None without one.
        write_gate: traced gate that lets new values in; None if that is ``1 - keep_gate``, or without one.
        tanh_is_a_factor: True if ``mulw`` takes a tanh as its 16-bit factor.
    """

    name: KindName
    layer: type
    rows: tuple[RowGroup, ...]
    traced: tuple[Traced, ...]
    saved: tuple[StateName, ...]
    calibrated: StateName | None = None
    constants: tuple[Constant, ...] = ()
    keep_gate: str | None = None
    write_gate: str | None = None
    tanh_is_a_factor: bool = False

    @property
    def hidden_is_saved(self) -> bool:
        """True if the hidden state is kept beside the operands, with 16 bits for all units."""
        return "hidden_state" in self.saved

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names of :attr:`traced`."""
        return tuple(value.name for value in self.traced)

    @property
    def state_names(self) -> tuple[StateName, ...]:
        """Traced states in the order in which a step computes them: the hidden state comes last."""
        return (*(name for name in self.saved if name == "cell_state"), "hidden_state")

    def macs(self, input_size: int, hidden_size: int) -> int:
        """Multiply-accumulates of a step.

        >>> kind_named("gru").macs(3, 16)
        912
        """
        return hidden_size * sum(input_size * group.sees_input + hidden_size * group.sees_state for group in self.rows)

    def parameters(self, input_size: int, hidden_size: int) -> int:
        """Trainable numbers of a float layer, as :func:`edge_seq.ir.model.num_parameters` counts them.

        >>> kind_named("lstm").parameters(3, 16)
        1280
        """
        constants = sum(constant.shape(hidden_size)[0] for constant in self.constants)
        return self.macs(input_size, hidden_size) + hidden_size * len(self.rows) + constants


def _traced_rows(rows: Iterable[RowGroup]) -> tuple[Traced, ...]:
    """Make the traced values of a kind all of whose rows are traced, each under its own name."""
    return tuple(Traced(group.name, group.use) for group in rows)


@dataclass(frozen=True)
class Rnn(Generic[Rows]):
    """Vanilla recurrent cell: h' = tanh(W_x x + W_h h + b) (Elman 1990).

    Attributes:
        hidden: H rows.
    """

    hidden: Rows


_RNN_ROWS = (RowGroup("hidden", "tanh"),)
_RNN = LayerKind(name="rnn", layer=Rnn, rows=_RNN_ROWS, traced=_traced_rows(_RNN_ROWS), saved=("operands",))


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


_GRU = LayerKind(
    name="gru",
    layer=Gru,
    rows=(
        RowGroup("reset_gate", "sigmoid"),
        RowGroup("update_gate", "sigmoid"),
        RowGroup("new_gate_input", "tanh", sees_state=False),
        RowGroup("new_gate_hidden", "linear", sees_input=False),
    ),
    # The new gate is traced after the reset gate's part was added to it.
    traced=(
        Traced("reset_gate", "sigmoid"),
        Traced("update_gate", "sigmoid"),
        Traced("new_gate_hidden", "linear"),
        Traced("new_gate", "tanh"),
    ),
    saved=("operands", "hidden_state"),
    keep_gate="update_gate",
    tanh_is_a_factor=True,
)


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


_LSTM_ROWS = (
    RowGroup("input_gate", "sigmoid"),
    RowGroup("forget_gate", "sigmoid"),
    RowGroup("cell_gate", "tanh"),
    RowGroup("output_gate", "sigmoid"),
)
_LSTM = LayerKind(
    name="lstm",
    layer=Lstm,
    rows=_LSTM_ROWS,
    traced=_traced_rows(_LSTM_ROWS),
    saved=("operands", "cell_state"),
    calibrated="cell_state",
    keep_gate="forget_gate",
    write_gate="input_gate",
)


@dataclass(frozen=True)
class FastGrnn(Generic[Rows]):
    """FastGRNN: gate and candidate share one pair of matrices (Kusupati et al. 2018, NeurIPS, equation 3).

    p = W x + U h + b_n, z = sigmoid(p + d), c = tanh(p), h' = (zeta (1 - z) + nu) c + z h,
    with d = b_z - b_n, the difference of the paper's two biases. The hidden state may leave [-1, 1]: it can reach
    zeta + nu / (1 - z).

    Attributes:
        new_gate: p, H rows.
        update_offset: d, [H].
        zeta, nu: [1], 0 to 1.
    """

    new_gate: Rows
    update_offset: NDArray[Any]
    zeta: NDArray[Any]
    nu: NDArray[Any]


_FASTGRNN = LayerKind(
    name="fastgrnn",
    layer=FastGrnn,
    rows=(RowGroup("new_gate", "tanh"),),
    traced=(Traced("update_gate", "sigmoid"), Traced("new_gate", "tanh")),
    saved=("operands", "hidden_state"),
    calibrated="hidden_state",
    constants=(
        # Added to half of the new gate's result, which holds half of the table's offset; so this holds the other half.
        Constant(
            name="update_offset",
            per_unit=True,
            first=0.0,
            lowest=-math.inf,
            highest=math.inf,
            frac_bits=ARGUMENT_FRAC_BITS - 1,
            zero=ARGUMENT_OFFSET // 2,
            int_lowest=-(2**30),
            int_highest=2**30,
        ),
        # A training begins with the sigmoids of 1 and -4, as the authors' code does.
        Constant("zeta", False, 1 / (1 + math.exp(-1)), 0.0, 1.0, 15, 0, 0, 2**15 - 1, in_state_units=True),
        Constant("nu", False, 1 / (1 + math.exp(4)), 0.0, 1.0, 30, 0, 0, 2**30, in_state_units=True),
    ),
    keep_gate="update_gate",
    tanh_is_a_factor=True,
)


@dataclass(frozen=True)
class Dense(Generic[Rows]):
    """Dense layer between readout and head: a = activation(W x + b). It has no state and runs when a label is due.

    Attributes:
        rows: R rows that see the input only.
        activation: relu, tanh or none. With relu and none the output may leave [-1, 1]; quantize() divides it by a
            power of two, each unit by its own, and multiplies the weights that see it.
    """

    rows: Rows
    activation: Activation


Layer = Rnn[Rows] | Gru[Rows] | Lstm[Rows] | FastGrnn[Rows]


def kind_named(name: KindName) -> LayerKind:
    """The entry of a kind.

    >>> kind_named("gru").saved
    ('operands', 'hidden_state')
    """
    match name:
        case "rnn":
            return _RNN
        case "gru":
            return _GRU
        case "lstm":
            return _LSTM
        case "fastgrnn":
            return _FASTGRNN
        case unreachable:
            assert_never(unreachable)


def kind_of(layer: Layer[Any]) -> LayerKind:
    """The entry of a layer's kind."""
    match layer:
        case Rnn():
            return _RNN
        case Gru():
            return _GRU
        case Lstm():
            return _LSTM
        case FastGrnn():
            return _FASTGRNN
        case unreachable:
            assert_never(unreachable)


LAYER_TYPES: tuple[type, ...] = tuple(kind_named(name).layer for name in KIND_NAMES)


def row_groups(layer: Layer[Rows]) -> dict[str, Rows]:
    """The layer's rows by name, in canonical order: FloatRows or IntRows of H rows each."""
    return {group.name: getattr(layer, group.name) for group in kind_of(layer).rows}


def constants_of(layer: Layer[Any]) -> dict[str, NDArray[Any]]:
    """The layer's constants by name, in canonical order: float32 or int32, [H] or [1]."""
    return {constant.name: getattr(layer, constant.name) for constant in kind_of(layer).constants}


def arrays_of(layer: Layer[Any]) -> dict[str, NDArray[Any]]:
    """Every array of a layer by name: those of rows as ``<row group>.<field>``, then the constants."""
    of_rows = {
        f"{name}.{field}": array for name, rows in row_groups(layer).items() for field, array in vars(rows).items()
    }
    return of_rows | constants_of(layer)


def hidden_size(layer: Layer[Any]) -> int:
    """Number of hidden units, H."""
    return len(next(iter(row_groups(layer).values())).bias)


def narrow_bits(layer: Layer[IntRows]) -> WeightBits:
    """Bits that are stored of a narrow weight of an integer layer: 4 if the lower halves of all bytes follow from the
    upper ones, as :func:`edge_seq.ir.rows.fill_lower_halves` says, else 8. A layer without two quads side by side has
    8."""
    narrow = [array for rows in row_groups(layer).values() for array in (rows.narrow_input, rows.narrow_hidden)]
    if all(array.shape[1] < 2 * QUAD for array in narrow):
        return 8
    return 4 if all((fill_lower_halves(array) == array).all() for array in narrow) else 8


def last_column_stands_alone(layer: Layer[IntRows], columns: int) -> bool:
    """True if the last wide column is stored without a paired zero: in a GRU with an odd number of columns above 1."""
    return isinstance(layer, Gru) and columns % 2 == 1 and columns > 1


def input_size(layer: Layer[FloatRows]) -> int:
    """Number of inputs of a float layer, I."""
    return max(int(rows.weight_input.shape[1]) for rows in row_groups(layer).values())
