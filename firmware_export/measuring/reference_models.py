"""Models of the bench: fixed shapes, and weights from a fixed seed, quantized in the same way as a user's model."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.contract import Channel, Normalisation, Preprocessing, SensorContract
from edge_seq.ir.front import Conv
from edge_seq.ir.kind_names import CELL_NAMES, CellName
from edge_seq.ir.kinds import Layer, kind_named
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel, Readout, SequenceModel
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize

CELLS: tuple[CellName, ...] = ("lstm", "gru", "rnn")
ALL_CELLS: tuple[CellName, ...] = (*CELLS, *(one for one in CELL_NAMES if one not in CELLS))
FILTERS, TAPS = 16, 5
_SEED = 20


@dataclass(frozen=True)
class Shape:
    """Shape of a reference model.

    Attributes:
        input_size, hidden_size, time_steps, num_classes: C, H, T, K.
        layers: number of recurrent layers.
        convolutions: number of convolutions before them, each with ``FILTERS`` units and ``TAPS`` taps.
    """

    input_size: int
    hidden_size: int
    time_steps: int
    num_classes: int
    layers: int = 1
    convolutions: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values before each convolution and behind the last."""
        return (self.input_size, *(FILTERS,) * self.convolutions)

    def macs(self, cell: CellName) -> int:
        """Number of multiply-accumulates for one window, in convolutions, cells and head.

        >>> Shape(3, 32, 50, 4).macs("lstm")
        224128
        >>> Shape(9, 32, 128, 6, layers=2, convolutions=4).macs("lstm")
        2418880
        """
        kind = kind_named(cell)
        inputs = (self.sizes[-1], *(self.hidden_size,) * (self.layers - 1))
        of_step = sum(kind.macs(one, self.hidden_size) for one in inputs)
        of_step += sum(TAPS * FILTERS * one for one in self.sizes[:-1])
        return self.time_steps * of_step + self.num_classes * self.hidden_size


USUAL_SHAPES = ("car", "har", "big")
SHAPES = {
    "car": Shape(3, 32, 50, 4),
    "har": Shape(9, 32, 128, 6),
    "big": Shape(6, 64, 100, 6),
    "h64": Shape(9, 64, 128, 6),
    "h100": Shape(9, 100, 128, 6),
    "h128": Shape(9, 128, 128, 6),
    "deep": Shape(9, 32, 128, 6, layers=2, convolutions=4),
}


def _layer(name: CellName, rng: np.random.Generator, inputs: int, hidden: int) -> Layer[FloatRows]:
    kind, limit = kind_named(name), 1 / sqrt(hidden)

    def uniform(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    rows = {
        group.name: FloatRows(
            uniform(hidden, inputs * group.sees_input), uniform(hidden, hidden * group.sees_state), uniform(hidden)
        )
        for group in kind.rows
    }
    constants = {one.name: np.full(one.shape(hidden), one.first, np.float32) for one in kind.constants}
    layer: Layer[FloatRows] = kind.layer(**rows, **constants)
    return layer


def _convolution(rng: np.random.Generator, inputs: int) -> Conv[FloatRows]:
    limit = 1 / sqrt(TAPS * inputs)
    weights = rng.uniform(-limit, limit, (FILTERS, TAPS * inputs)).astype(np.float32)
    bias = rng.uniform(-limit, limit, FILTERS).astype(np.float32)
    return Conv(FloatRows(weights, np.zeros((FILTERS, 0), np.float32), bias), "relu", TAPS)


def reference_float_model(name: str, cell: CellName, *, shape: Shape | None = None) -> FloatModel:
    """A model of the bench before quantization. See :func:`reference_model` for the arguments."""
    shape = shape or SHAPES[name]
    rng = np.random.default_rng(_SEED)
    channels = tuple(Channel(f"a{index}", "m/s^2", 800.0, 40.0) for index in range(shape.input_size))
    head_limit = 1 / sqrt(shape.hidden_size)
    head = rng.uniform(-head_limit, head_limit, (shape.num_classes, shape.hidden_size)).astype(np.float32)
    front = tuple(_convolution(rng, inputs) for inputs in shape.sizes[:-1])
    inputs = (shape.sizes[-1], *(shape.hidden_size,) * (shape.layers - 1))
    model: FloatModel = SequenceModel(
        name=name,
        labels=tuple(f"class {index}" for index in range(shape.num_classes)),
        contract=SensorContract(
            sample_rate_hz=10.0,
            channels=channels,
            window_length=shape.time_steps,
            window_stride=shape.time_steps,
            preprocessing=Preprocessing("remove_gravity", 6),
        ),
        layers=tuple(_layer(cell, rng, one, shape.hidden_size) for one in inputs),
        head=FloatRows(head, np.zeros((shape.num_classes, 0), np.float32), np.zeros(shape.num_classes, np.float32)),
        readout=Readout("last", "window", "reset"),
        number_format=FloatFormat(Normalisation((0.0,) * shape.input_size, (300.0,) * shape.input_size)),
        front=front,
    )
    verify(model)
    return model


def reference_model(name: str, cell: CellName, *, shape: Shape | None = None) -> IntModel:
    """A quantized model of the bench.

    Args:
        name: name of a shape in ``SHAPES``.
        cell: one of ``ALL_CELLS``.
        shape: replaces the shape of that name.

    >>> reference_model("car", "gru").hidden_sizes
    (32,)
    """
    shape = shape or SHAPES[name]
    model = reference_float_model(name, cell, shape=shape)
    return quantize(model, calibrate(model, reference_counts(shape, windows=8)))


def reference_counts(shape: Shape, *, windows: int) -> NDArray[np.int16]:
    """Random counts int16 [windows, T, C], with the amplitude that the model expects."""
    rng = np.random.default_rng(_SEED)
    noise = rng.normal(0, 300, (windows, shape.time_steps, shape.input_size))
    return np.clip(np.rint(noise), -(2**15), 2**15 - 1).astype(np.int16)
