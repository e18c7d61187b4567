"""Models and inputs that every backend is tried with: all cells, awkward sizes, extreme weights, extreme counts.

Shared by the tests of the C runtime, of the ONNX export and of the reference, so that "awkward" means the same to all.
Everything is seeded and built with numpy alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import COARSE_LIMIT, FINE_LIMIT, INT16_MAX, INT32_MAX
from edge_seq.arithmetic.tables import ARGUMENT_OFFSET
from edge_seq.ir.contract import Channel, Normalisation, Preprocessing, PreprocessingStep, SensorContract
from edge_seq.ir.decision import DecisionStage, UnknownDistance
from edge_seq.ir.front import Conv, TimePool, outputs_of
from edge_seq.ir.kind_names import (
    ACTIVATIONS,
    CELL_NAMES,
    PADDINGS,
    POOLINGS,
    STATISTICS,
    WEIGHT_BITS,
    Activation,
    CellName,
    Padding,
    Pooling,
    WeightBits,
)
from edge_seq.ir.kinds import Dense, Layer, kind_named
from edge_seq.ir.model import (
    AtWindowEnd,
    FloatFormat,
    FloatModel,
    IntFormat,
    IntModel,
    LabelEvery,
    Readout,
    SequenceModel,
)
from edge_seq.ir.range_proof import FEATURE_LIMIT
from edge_seq.ir.rows import FloatRows, IntRows, effective_weights, fill_lower_halves, is_coarse, padded
from edge_seq.ir.verify import pool_reciprocals, verify
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize

CELLS = CELL_NAMES


@dataclass(frozen=True)
class Spec:
    """The shape of a model.

    Attributes:
        cells: one a layer, of ``CELLS``.
        hidden: hidden size of each layer.
        channels: C.
        classes: K.
        window_length: T.
        preprocessing: before the first layer.
        readout: pooling and when labels come.
        dense: units and activation of each dense layer.
        front: pools over time, and convolutions with their units instead of rows.
        backward: layers that run backward, each with the layer before it a bidirectional one.
        weight_bits: bits of the narrow weights of each layer of an integer model; empty for 8.
    """

    cells: tuple[CellName, ...]
    hidden: tuple[int, ...]
    channels: int = 3
    classes: int = 4
    window_length: int = 7
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    readout: Readout = field(default_factory=Readout)
    dense: tuple[tuple[int, Activation], ...] = ()
    front: tuple[Conv[Any] | TimePool, ...] = ()
    backward: tuple[int, ...] = ()
    weight_bits: tuple[WeightBits, ...] = ()

    @property
    def features(self) -> int:
        """F."""
        return _contract(self).num_features

    @property
    def layer_inputs(self) -> list[tuple[int, int]]:
        """Units and parts that each recurrent layer sees."""
        seen, below = [(self.front_inputs[-1], 1)], (self.hidden[0], 1)
        for index in range(1, len(self.cells)):
            if index in self.backward:
                seen.append(seen[-1])
                below = (self.hidden[index], 2)
            else:
                seen.append(below)
                below = (self.hidden[index], 1)
        return seen

    @property
    def front_inputs(self) -> list[int]:
        """Units that each front layer and the first recurrent layer see."""
        sizes = [self.features]
        for layer in self.front:
            sizes.append(layer.rows if isinstance(layer, Conv) else sizes[-1])
        return sizes

    @property
    def inputs(self) -> list[tuple[int, int]]:
        """Units and parts that each dense layer and the head see."""
        directions = 2 if len(self.cells) - 1 in self.backward else 1
        steps = self.window_length
        for layer in self.front:
            steps = outputs_of(layer, steps + layer.after)
        return [(self.hidden[-1], directions * self.readout.parts(int(steps))), *((size, 1) for size, _ in self.dense)]


def spec(
    cell: CellName,
    *hidden: int,
    channels: int = 3,
    classes: int = 4,
    window_length: int = 7,
    step: str = "none",
    gravity_shift: int = 3,
    companding: int | None = None,
    magnitude: bool = False,
    pooling: Pooling = "last",
    label_every: LabelEvery = "window",
    at_window_end: AtWindowEnd = "reset",
    decision: DecisionStage | None = None,
    dense: tuple[tuple[int, Activation], ...] = (),
    front: tuple[Conv[Any] | TimePool, ...] = (),
    backward: tuple[int, ...] = (),
    weight_bits: tuple[WeightBits, ...] = (),
) -> Spec:
    """A :class:`Spec` whose layers are all of one cell."""
    return Spec(
        (cell,) * len(hidden),
        hidden,
        channels,
        classes,
        window_length,
        Preprocessing(step, gravity_shift, companding, magnitude),  # type: ignore[arg-type]  # verify() knows steps
        Readout(pooling, label_every, at_window_end, decision),
        dense,
        front,
        backward,
        weight_bits,
    )


def _contract(spec: Spec) -> SensorContract:
    return SensorContract(
        sample_rate_hz=10.0,
        channels=tuple(Channel(name, "m/s^2", 800.0, 40.0) for name in _names(spec)),
        window_length=spec.window_length,
        window_stride=spec.window_length,
        preprocessing=spec.preprocessing,
    )


def _names(spec: Spec) -> list[str]:
    """Names of the channels. With magnitudes three or six of them are axes, out of order and between each other."""
    names = [f"a{index}" for index in range(spec.channels)]
    if spec.preprocessing.magnitude:
        axes = ["gz", "az", "ax", "gx", "gy", "ay"] if spec.channels >= 6 else ["az", "ax", "ay"]
        names[-len(axes) :] = axes
    return names


def _labels(spec: Spec) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(spec.classes))


def _float_rows(
    rng: np.random.Generator, rows: int, inputs: int, hidden: int, *, amplitude: float, bias: float = 1.0
) -> FloatRows:
    limit = amplitude / np.sqrt(max(hidden, inputs, 1))

    def uniform(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    return FloatRows(uniform(rows, inputs), uniform(rows, hidden), uniform(rows) * np.float32(bias))


def _float_cell(
    rng: np.random.Generator, kind: CellName, inputs: int, hidden: int, amplitude: float
) -> Layer[FloatRows]:
    entry = kind_named(kind)
    rows = {
        group.name: _float_rows(rng, hidden, inputs * group.sees_input, hidden * group.sees_state, amplitude=amplitude)
        for group in entry.rows
    }
    constants = {
        one.name: rng.uniform(max(one.lowest, -1.0), min(one.highest, 1.0), one.shape(hidden)).astype(np.float32)
        for one in entry.constants
    }
    layer: Layer[FloatRows] = entry.layer(**rows, **constants)
    return layer


def random_float_model(spec: Spec, *, name: str = "zoo", seed: int = 0, amplitude: float = 2.0) -> FloatModel:
    """Uniform weights; ``amplitude`` 2 gives lively states, small values sleepy ones."""
    rng = np.random.default_rng(seed)
    layers = tuple(
        _float_cell(rng, kind, units * parts, hidden, amplitude)
        for kind, (units, parts), hidden in zip(spec.cells, spec.layer_inputs, spec.hidden, strict=True)
    )
    dense = tuple(
        Dense(_float_rows(rng, size, units * parts, 0, amplitude=min(amplitude, 1.5)), activation)
        for (size, activation), (units, parts) in zip(spec.dense, spec.inputs, strict=False)
    )
    units, parts = spec.inputs[-1]
    model: FloatModel = SequenceModel(
        name=name,
        labels=_labels(spec),
        contract=_contract(spec),
        layers=layers,
        head=_float_rows(rng, spec.classes, units * parts, 0, amplitude=amplitude, bias=0.02),
        readout=replace(spec.readout, decision=None),  # which is of integer models
        number_format=FloatFormat(
            Normalisation(
                tuple(rng.uniform(-50, 50, spec.features)),
                # A logarithm has 2048 a doubling, so it spreads more than what it is taken of.
                tuple(rng.uniform(150, 500, spec.features) * (8 if spec.preprocessing.companding else 1)),
            )
        ),
        dense=dense,
        front=_with_rows(
            spec, lambda _, units, inputs: _float_rows(rng, units, inputs, 0, amplitude=min(amplitude, 1.5))
        ),
        backward=spec.backward,
    )
    verify(model)
    return model


def _with_rows(spec: Spec, rows: Callable[[int, int, int], Any]) -> tuple[Any, ...]:
    """Front layers with rows in the place of their numbers of units; ``rows`` of index, units, inputs in all."""
    return tuple(
        replace(layer, rows=rows(index, layer.rows, layer.kernel * inputs)) if isinstance(layer, Conv) else layer
        for index, (layer, inputs) in enumerate(zip(spec.front, spec.front_inputs, strict=False))
    )


def quantized_model(spec: Spec, *, name: str = "zoo", seed: int = 0, amplitude: float = 2.0) -> IntModel:
    """A random float model, calibrated on random counts and quantized: numbers as a user's model has them."""
    model = random_float_model(spec, name=name, seed=seed, amplitude=amplitude)
    counts = random_counts(8, spec.window_length, spec.channels, seed=seed, sigma=300.0)
    return with_decision(quantize(model, calibrate(model, counts), spec.weight_bits), spec.readout.decision)


def with_decision(model: IntModel, stage: DecisionStage | None) -> IntModel:
    """The model with a decision stage, or without."""
    decided: IntModel = replace(model, readout=replace(model.readout, decision=stage))
    verify(decided)
    return decided


def _extreme_narrow(rng: np.random.Generator, rows: int, columns: int, bits: WeightBits = 8) -> NDArray[np.int8]:
    """int8 [rows, padded(columns)]: -128, 127, -1, 0 and anything; padding too, as it meets zeros. Of 4 bits: with
    the lower halves of bytes that follow."""
    shape = (rows, padded(columns))
    anything = rng.integers(-128, 128, shape)
    chosen = rng.choice(np.array([-128, 127, -1, 0]), shape)
    narrow = np.where(rng.random(shape) < 0.5, anything, chosen).astype(np.int8)
    return narrow if bits == 8 else fill_lower_halves(narrow)


def _narrow_bound(narrow: NDArray[np.int8]) -> NDArray[np.int64]:
    limits = np.where(is_coarse(narrow.shape[1]), COARSE_LIMIT, FINE_LIMIT).astype(np.int64)
    return np.abs(effective_weights(narrow).astype(np.int64)) @ limits


def extreme_rows(
    rng: np.random.Generator,
    rows: int,
    *,
    wide: int = 0,
    narrow_input: int = 0,
    narrow_hidden: int = 0,
    centre: int = ARGUMENT_OFFSET,
    bits: WeightBits = 8,
) -> IntRows:
    """Rows of extreme weights. A third are *full*: wide weights and bias use up the proven bound to 2^31 - 1 exactly.
    The others are *lively*: their result moves about ``centre``, so that states do not stick at the ends.

    Args:
        rng: source of randomness.
        rows: R.
        wide: number of features the rows see.
        narrow_input: number of units of the layer below that they see.
        narrow_hidden: number of units of their own layer that they see.
        centre: where a lively row's result lies without input; the table's middle for gates, 0 for the head.
        bits: bits of the narrow weights.
    """
    input_weights = _extreme_narrow(rng, rows, narrow_input, bits)
    hidden_weights = _extreme_narrow(rng, rows, narrow_hidden, bits)
    left = INT32_MAX - _narrow_bound(input_weights) - _narrow_bound(hidden_weights)
    full = rng.random(rows) < 1 / 3

    weights = rng.integers(-400, 401, (rows, wide)).astype(np.int16)
    for row in np.flatnonzero(full):
        for column in rng.permutation(wide):
            largest = min(INT16_MAX, int(left[row] // FEATURE_LIMIT))
            share = int(rng.choice(np.array([largest, largest // 2, largest // 16, 0])))
            weights[row, column] = share * rng.choice(np.array([-1, 1]))
            left[row] -= share * FEATURE_LIMIT
    lively_multiplier = rng.integers(16, 400, rows)
    multiplier = np.where(full, rng.choice(np.array([1, 2, 1000, INT16_MAX]), rows), lively_multiplier)
    left -= np.where(full, 0, np.abs(weights.astype(np.int64)).sum(axis=1) * FEATURE_LIMIT)
    full_bias = left * rng.choice(np.array([-1, 1]), rows)
    lively_bias = np.clip(centre * 2**16 // lively_multiplier, -left, left)
    bias = np.where(full, full_bias, lively_bias)
    return IntRows(weights, input_weights, hidden_weights, bias.astype(np.int32), multiplier.astype(np.int16))


def extreme_summed_rows(
    rng: np.random.Generator, rows: int, units: int, steps: int, *, centre: int = ARGUMENT_OFFSET
) -> IntRows:
    """Extreme rows that see the states of all steps. Those that are *full* use up the bound of the accumulator at one
    step at least, or have the largest multiplier with which their sum is proven; see :func:`extreme_rows`."""
    shape = (rows, steps, padded(units))
    narrow = _extreme_narrow(rng, rows * steps, units).reshape(rows, -1)
    of_weights = _narrow_bound(narrow.reshape(-1, shape[2])).reshape(rows, steps)
    full = rng.random(rows) < 1 / 3
    multiplier = rng.integers(16, 400, rows)
    left = INT32_MAX - of_weights.max(axis=1)
    lively_bias = np.clip(centre * 2**16 // multiplier // steps, -left, left)
    bias = np.where(full, left * rng.choice(np.array([-1, 1]), rows), lively_bias)
    bounds = np.abs(bias)[:, np.newaxis] + of_weights
    for row in range(rows):
        fitting = int((2**30 - 1 - steps) * 2**16 // max(1, int(bounds[row].sum())))
        multiplier[row] = max(1, min(fitting, INT16_MAX if full[row] else int(multiplier[row])))
    nothing = np.zeros((rows, 0))
    return IntRows(
        nothing.astype(np.int16), narrow, nothing.astype(np.int8), bias.astype(np.int32), multiplier.astype(np.int16)
    )


def _extreme_behind(
    rng: np.random.Generator, spec: Spec, index: int, rows: int, *, centre: int = ARGUMENT_OFFSET
) -> IntRows:
    """Extreme rows of the dense layer ``index``, or of the head behind them all."""
    units, parts = spec.inputs[index]
    if index == 0 and spec.readout.flattens:
        return extreme_summed_rows(rng, rows, units, parts, centre=centre)
    return extreme_rows(rng, rows, narrow_input=parts * padded(units), centre=centre)


def _tied_head(rng: np.random.Generator, spec: Spec) -> IntRows:
    """Extreme rows of which the last equals the first: whenever they win, the lower index must."""
    rows = _extreme_behind(rng, spec, len(spec.dense), spec.classes, centre=0)
    lively = {name: array[np.arange(spec.classes) % (spec.classes - 1)] for name, array in vars(rows).items()}
    return IntRows(**{**lively, "bias": np.clip(lively["bias"], -1000, 1000)})


def _extreme_front(rng: np.random.Generator, spec: Spec) -> tuple[Any, ...]:
    activations = [layer.activation if isinstance(layer, Conv) else "none" for layer in spec.front]

    def rows(index: int, units: int, inputs: int) -> IntRows:
        centre = ARGUMENT_OFFSET if activations[index] == "tanh" else 0
        if index == 0:
            return extreme_rows(rng, units, wide=inputs, centre=centre)
        kernel = spec.front[index].kernel  # type: ignore[union-attr]
        return extreme_rows(rng, units, narrow_input=kernel * padded(inputs // kernel), centre=centre)

    front = list(_with_rows(spec, rows))
    if front and front[0].sees_outside:
        front[0] = replace(front[0], pad=tuple(rng.choice([-(2**15), 2**15 - 1, 0, 300], spec.features).tolist()))
    return tuple(front)


def _extreme_cell(
    rng: np.random.Generator, kind: CellName, wide: int, below: int, hidden: int, bits: WeightBits
) -> Layer[IntRows]:
    entry = kind_named(kind)
    rows = {
        group.name: extreme_rows(
            rng,
            hidden,
            wide=wide * group.sees_input,
            narrow_input=below * group.sees_input,
            narrow_hidden=hidden * group.sees_state,
            bits=bits,
        )
        for group in entry.rows
    }
    constants = {
        one.name: rng.choice(np.array([one.int_lowest, one.zero, one.int_highest]), one.shape(hidden)).astype(np.int32)
        for one in entry.constants
    }
    layer: Layer[IntRows] = entry.layer(**rows, **constants)
    return layer


def extreme_model(spec: Spec, *, name: str = "zoo", seed: int = 0) -> IntModel:
    """Built directly of integers at the ends of their ranges; the range proof holds, often with nothing to spare."""
    rng = np.random.default_rng(seed)
    layers = []
    for index, (kind, hidden) in enumerate(zip(spec.cells, spec.hidden, strict=True)):
        first = not spec.front and (index == 0 or (index == 1 and 1 in spec.backward))
        units, parts = spec.layer_inputs[index]
        below = 0 if first else parts * padded(units)
        bits = spec.weight_bits[index] if spec.weight_bits else 8
        layers.append(_extreme_cell(rng, kind, spec.features if first else 0, below, hidden, bits))
    dense = tuple(
        Dense(
            _extreme_behind(rng, spec, index, size, centre=ARGUMENT_OFFSET if activation == "tanh" else 0), activation
        )
        for index, (size, activation) in enumerate(spec.dense)
    )
    model: IntModel = SequenceModel(
        name=name,
        labels=_labels(spec),
        contract=_contract(spec),
        layers=tuple(layers),
        head=_tied_head(rng, spec),
        readout=spec.readout,
        number_format=IntFormat((0,) * spec.features, (15,) * len(layers), ()),
        dense=dense,
        front=_extreme_front(rng, spec),
        backward=spec.backward,
    )
    number_format = IntFormat(
        input_shift=tuple(
            0 if spec.preprocessing.companding else int(shift) for shift in rng.integers(0, 13, spec.features)
        ),
        cell_frac_bits=tuple(int(bits) for bits in rng.integers(8, 16, len(layers))),
        pool_reciprocals=pool_reciprocals(model),
    )
    model = SequenceModel(**{**vars(model), "number_format": number_format})
    verify(model)
    return model


def some_distance(classes: int, units: int, *, radius: int) -> UnknownDistance:
    """Centroids at and between the ends, radii about ``radius``."""
    rng = np.random.default_rng(classes * 1000 + units)
    centroids = rng.choice(np.array([-128, 127, 0, 40, -40]), (classes, units))
    radii = rng.integers(radius // 2, 2 * radius, classes)
    return UnknownDistance(tuple(tuple(row) for row in centroids.tolist()), tuple(radii.tolist()))


def convolution(
    units: int,
    activation: Activation,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = "causal",
    zeros: tuple[int, int] = (0, 0),
) -> Conv[Any]:
    """A convolution of a :class:`Spec`, with its units in the place of rows."""
    return Conv(units, activation, kernel, stride, dilation, padding, zeros=zeros)  # type: ignore[type-var]


# One a cell, so that each stands beside another way of giving labels; extreme logits reach the ends of the scores.
DECISIONS = {
    "rnn": spec(
        *("rnn", 4, 4),
        classes=5,
        window_length=3,
        decision=DecisionStage(1, 2**15, 2, 2**13),
        pooling="mean",
        backward=(1,),
    ),
    "gru": spec("gru", 5, label_every="sample", at_window_end="carry", decision=DecisionStage(3, 2**16, 4, 2**12)),
    "lstm": spec("lstm", 3, classes=2, window_length=4, label_every="sample", decision=DecisionStage(0, 2**14, 1, 0)),
    "fastgrnn": spec(
        *("fastgrnn", 7, 7),
        classes=3,
        window_length=6,
        decision=DecisionStage(2, 2**13, 3, 2**12),
        pooling="mean_max",
        backward=(1,),
    ),
}
# Likewise with a distance, on the mean and on the last operands, over several layers and one.
DISTANCES = {
    "rnn": spec(
        *("rnn", 3, 6, 6),
        window_length=3,
        decision=DecisionStage(1, 2**15, 2, 2**10, some_distance(4, 12, radius=900)),
        front=(convolution(5, "tanh", 2),),
        backward=(2,),
    ),
    "gru": spec(
        *("gru", 7),
        classes=3,
        pooling="mean",
        label_every="sample",
        decision=DecisionStage(2, 2**14, 2, 0, some_distance(3, 9, radius=400)),
        dense=((9, "relu"),),
    ),
    "lstm": spec(
        *("lstm", 5),
        window_length=4,
        at_window_end="carry",
        decision=DecisionStage(0, 0, 1, 0, some_distance(4, 5, radius=350)),
    ),
    "fastgrnn": spec(
        *("fastgrnn", 6),
        classes=5,
        window_length=3,
        pooling="mean_max",
        label_every="sample",
        decision=DecisionStage(1, 2**14, 3, 2**11, some_distance(5, 12, radius=800)),
    ),
}


def random_chain(seed: int) -> Spec:
    """A shape with any layers, readout and dense layers, of small random sizes."""
    rng = np.random.default_rng(seed)

    def some(most: int) -> range:
        return range(int(rng.integers(0, most + 1)))

    def any_of(names: tuple[str, ...]) -> Any:
        return str(rng.choice(np.array(names)))

    cells = (any_of(CELLS), *(any_of(CELLS) for _ in some(2)))
    companding = 1 + seed // 4 % 14 if seed % 4 == 0 else None
    hidden, channels = tuple(int(rng.integers(1, 14)) for _ in cells), int(rng.integers(1, 8))
    magnitude = seed % 3 == 0 and channels >= 3
    return Spec(
        cells=cells,
        hidden=hidden,
        channels=channels,
        classes=int(rng.integers(2, 8)),
        window_length=int(rng.integers(1, 12)),
        preprocessing=Preprocessing(
            any_of(get_args(PreprocessingStep)), int(rng.integers(1, 13)), companding, magnitude
        ),
        readout=_some_readout(any_of(POOLINGS), any_of(get_args(LabelEvery)), any_of(get_args(AtWindowEnd))),
        dense=tuple((int(rng.integers(1, 14)), any_of(ACTIVATIONS)) for _ in some(3)),
        weight_bits=_some_bits(seed, len(cells)),
    )


def _some_bits(seed: int, layers: int) -> tuple[WeightBits, ...]:
    """8 for all layers, or 8 or 4 for each."""
    rng = np.random.default_rng(seed + 30_000)
    return tuple(WEIGHT_BITS[int(rng.integers(2))] for _ in range(layers)) if rng.random() < 0.5 else ()


def _some_readout(pooling: Pooling, label_every: LabelEvery, at_window_end: AtWindowEnd) -> Readout:
    """A readout; with flatten a label comes after each window."""
    return Readout(pooling, "window" if pooling == "flatten" else label_every, at_window_end)


def random_front_chain(seed: int) -> Spec:
    """A random chain behind random convolutions and pools over time."""
    rng = np.random.default_rng(seed + 10_000)
    shape = random_chain(seed)
    front: list[Conv[Any] | TimePool] = []
    for index in range(int(rng.integers(1, 5))):
        if index and rng.random() < 0.3:
            front.append(TimePool(str(rng.choice(STATISTICS)), *(int(n) for n in rng.integers(1, 4, 2))))  # type: ignore[arg-type]
            continue
        kernel, stride, dilation = (int(rng.integers(1, most)) for most in (5, 4, 3))
        activation, padding = str(rng.choice(ACTIVATIONS)), str(rng.choice(PADDINGS))
        units = int(rng.integers(1, 12))
        if padding == "same" and shape.readout.label_every == "sample":
            padding = "causal"
        zeros = tuple(rng.integers(0, (kernel - 1) * dilation + 1, 2).tolist()) if padding == "same" else (0, 0)
        front.append(
            convolution(units, activation, kernel, stride=stride, dilation=dilation, padding=padding, zeros=zeros)  # type: ignore[arg-type]
        )
    shape = replace(shape, front=tuple(front), readout=replace(shape.readout, at_window_end="reset"))
    length, needed = shape.window_length, 1
    for layer in reversed(front):  # inputs that the layer needs for so many outputs
        needed = layer.first + 1 + (needed - 1) * layer.stride
    return replace(shape, window_length=needed + length - 1)


def random_two_way_chain(seed: int) -> Spec:
    """A random chain, behind random front layers or none, of which one or two layers are bidirectional."""
    rng = np.random.default_rng(seed + 20_000)
    shape = random_front_chain(seed) if rng.random() < 0.5 else random_chain(seed)
    cells: list[CellName] = []
    hidden: list[int] = []
    backward: list[int] = []
    for cell, size in zip(shape.cells, shape.hidden, strict=True):
        cells.append(cell)
        hidden.append(size)
        if not backward or rng.random() < 0.5:
            backward.append(len(cells))
            cells.append(str(rng.choice(CELLS)) if rng.random() < 0.2 else cell)  # type: ignore[arg-type]
            hidden.append(size)
    readout = Readout("mean_max" if shape.readout.flattens else shape.readout.pooling)
    bits = _some_bits(seed, len(cells))
    made = replace(shape, cells=tuple(cells), hidden=tuple(hidden), backward=tuple(backward), readout=readout)
    return replace(made, weight_bits=bits)


# Cell, name and companding of the awkward shapes whose features go through a logarithm.
_COMPANDED = (("rnn", "wide", 5), ("gru", "small", 1), ("lstm", "stream", 8), ("fastgrnn", "mixed", 14))
# Cell and name of those that have magnitudes.
_MAGNITUDES = (("rnn", "wide"), ("gru", "carry"), ("lstm", "carry"), ("fastgrnn", "mixed"))


def awkward_specs(cell: str) -> dict[str, Spec]:
    """Shapes by name, each odd in another way; together they reach every branch of a step."""
    mixed: tuple[CellName, ...] = {
        "rnn": ("rnn", "lstm"),
        "gru": ("gru", "rnn", "gru"),
        "lstm": ("lstm", "lstm", "gru", "gru"),
        "fastgrnn": ("lstm", "fastgrnn", "gru"),
    }[cell]  # type: ignore[assignment]
    sizes, backward = {
        "rnn": ((3, 5), ()),
        "gru": ((3, 5, 4), ()),
        "lstm": ((3, 3, 6, 6), (1, 3)),
        "fastgrnn": ((5, 5, 4), (1,)),
    }[cell]
    companding = {shape: bits for kind, shape, bits in _COMPANDED if kind == cell}
    magnitude = [shape for kind, shape in _MAGNITUDES if kind == cell]
    return {
        "small": spec(cell, 5, companding=companding.get("small"), weight_bits=(4,) if cell == "gru" else ()),
        "one": spec(
            cell, 1, channels=1, classes=2, window_length=1, pooling="mean", label_every="sample", at_window_end="carry"
        ),
        "wide": spec(
            *(cell, 33),
            classes=6,
            step="difference",
            companding=companding.get("wide"),
            magnitude="wide" in magnitude,
            label_every="sample",
        ),
        "car": spec(cell, 16, window_length=50, step="difference", pooling="mean"),
        "deep": spec(
            cell,
            6,
            3,
            9,
            channels=2,
            step="remove_gravity",
            pooling="mean_max",
            label_every="sample",
            dense=((5, "relu"), (6, "none")),
            front=(convolution(6, "tanh", 2, dilation=2, padding="valid"), TimePool("mean", 3, 2)),
            weight_bits=(4, 8, 4),
        ),
        "stream": spec(
            *(cell, 4),
            window_length=5,
            step="remove_gravity",
            gravity_shift=12,
            companding=companding.get("stream"),
            pooling="flatten" if cell in ("gru", "lstm") else "mean",
            at_window_end="carry",
        ),
        "carry": spec(
            *(cell, 7, 2),
            channels=6,
            classes=3,
            step="difference",
            magnitude="carry" in magnitude,
            pooling="max",
            at_window_end="carry",
            label_every="sample",
            weight_bits=(4, 4),
        ),
        "mixed": Spec(
            mixed,
            sizes,
            4,
            5,
            9,
            Preprocessing("remove_gravity", 1, companding.get("mixed"), "mixed" in magnitude),
            Readout("flatten" if cell in ("gru", "rnn") else "mean", "window", "reset"),
            ((6, "tanh"), (3, "relu")),
            (
                convolution(5, "relu", 3, stride=2, padding="same", zeros=(1, 1)),
                TimePool("max", 2, 1),
                convolution(7, "none", 3, padding="same", zeros=(0, 2)),
            ),
            backward,
        ),
        "decided": DECISIONS[cell],
        "distance": DISTANCES[cell],
    }


def awkward_models(cells: tuple[str, ...] = CELLS) -> list[IntModel]:
    """Each awkward shape for each cell, quantized from a random float model and built of extremes; unique names."""
    models = []
    for cell in cells:
        for name, shape in awkward_specs(cell).items():
            seed = zlib.crc32(f"{cell} {name}".encode())
            models.append(quantized_model(shape, name=f"{cell}_{name}", seed=seed, amplitude=3.0))
            models.append(extreme_model(shape, name=f"{cell}_{name}_extreme", seed=seed))
    return models


def random_counts(
    windows: int, time_steps: int, channels: int, *, seed: int = 0, sigma: float | None = None
) -> NDArray[np.int16]:
    """int16 [windows, time_steps, channels]: normal with ``sigma`` counts, or any 16-bit value where it is None."""
    rng = np.random.default_rng(seed)
    shape = (windows, time_steps, channels)
    if sigma is None:
        return rng.integers(-(2**15), 2**15, shape, dtype=np.int16)
    return np.clip(np.rint(rng.normal(0, sigma, shape)), -(2**15), 2**15 - 1).astype(np.int16)


def extreme_counts(time_steps: int, channels: int, *, seed: int = 0) -> NDArray[np.int16]:
    """int16 [8, time_steps, channels]: both ends constant, both ends in turn (in step and crosswise), zeros, rare
    impulses, full-scale random signs, full-scale noise."""
    rng = np.random.default_rng(seed)
    low, high = -(2**15), 2**15 - 1
    t = np.arange(time_steps)[:, None]
    channel = np.arange(channels)[None, :]
    grid = np.zeros((time_steps, channels), dtype=np.int64)
    patterns = [
        grid + low,
        grid + high,
        np.where((t + 0 * channel) % 2 == 0, low, high),
        np.where((t + channel) % 2 == 0, high, low),
        grid,
        np.where((t + channel) % 11 == 5, low, 0),
        rng.choice(np.array([low, high]), (time_steps, channels)),
        rng.integers(low, high + 1, (time_steps, channels)),
    ]
    return np.stack(patterns).astype(np.int16)
