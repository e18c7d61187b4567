"""Calibration: measures on data how large features and calibrated states become, and counts what saturates then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import INT16_MAX, INT16_MIN
from edge_seq.arithmetic.tables import ARGUMENT_MAX
from edge_seq.backends.preprocess import check_counts, preprocess
from edge_seq.backends.reference_float import (
    float_features,
    in_order_of,
    inputs_seen,
    outputs_of_stage,
    run_float,
    sequences_of,
    sigmoid,
    values_after_readout,
)
from edge_seq.backends.reference_int import NO_LABEL, run_stream
from edge_seq.ir.front import Conv
from edge_seq.ir.kinds import Dense, kind_named, kind_of
from edge_seq.ir.model import POOLED_NAMES, FloatModel, IntModel
from edge_seq.ir.rows import is_coarse
from edge_seq.support.results import Result

# Share of the observed states that must fit 16 bits. A bit of range costs a bit of resolution.
CELL_QUANTILE = 0.999
CELL_FRAC_BITS_MIN, CELL_FRAC_BITS_MAX = 8, 15
# A cell state beyond this may saturate, as its tanh is 1 there. It forgets sooner then: c = 36 and c = 8 fall below 1
# after other numbers of steps. So calibration measures which range changes the hidden states least. On an LSTM with 32
# units for fan_vibration, 99.9 % of |c| below 35.8, the mean change of a probability was 0.0052 with 9 bits (all fit),
# 0.0036 with 10, 0.0035 with 11 (which is chosen) and 0.0033 with 12, and 98.97, 99.18, 99.18 and 99.49 % of the labels
# of 974 windows of the training part were those of the float model.
CELL_SATURATES = 8.0
# Share of the observed outputs of a dense layer that must fit. The others saturate, and nothing flattens them.
DENSE_QUANTILE = 0.9999
DENSE_HEADROOM = 1.25  # by so much an output in the field may exceed those of calibration
DENSE_LEAST = 1 / 64  # a unit that calibration hardly used may become as large as others
DENSE_DROP_MIN, DENSE_DROP_MAX = -8, 15


@dataclass(frozen=True)
class Calibration:
    """Statistics of the calibration streams.

    Attributes:
        feature_limit: [C], largest magnitude of the preprocessed counts.
        cell_limit: [L], magnitude below which the share ``CELL_QUANTILE`` of each layer's calibrated float states lies
            (cell states of an LSTM); 0 for kinds without one.
        moments: second moments in the float model, the mean of v v^T over the steps of a layer: for each convolution
            v = (the inputs that it sees, 1); for each recurrent layer v = (its input, its state before the step, 1),
            float64 [I + H + 1, I + H + 1]; then for each dense layer, and last for the head, v = (its input, 1), of
            rows that see the states of all steps v = (a state, 1).
        num_windows: number of windows or streams.
        num_steps: number of time steps.
        front_limit: as ``dense_limit`` for each convolution.
        dense_limit: for each dense layer [R], magnitude below which the share ``DENSE_QUANTILE`` of each unit's float
            outputs lies, at least the part ``DENSE_LEAST`` of the largest unit's.
        cell_range: [L], magnitude at which the states of each layer saturate with the least change of hidden states;
            infinite where ``cell_limit`` alone decides. Empty for layers of which this is not known.
    """

    feature_limit: tuple[int, ...]
    cell_limit: tuple[float, ...]
    moments: tuple[NDArray[np.float64], ...]
    num_windows: int
    num_steps: int
    dense_limit: tuple[tuple[float, ...], ...] = ()
    front_limit: tuple[tuple[float, ...], ...] = ()
    cell_range: tuple[float, ...] = ()

    @property
    def cell_frac_bits(self) -> tuple[int, ...]:
        """Largest number of fractional bits with which ``cell_limit``, or the smaller ``cell_range``, fits 16 bits, for
        each layer, [L]."""
        return tuple(map(_frac_bits, map(min, self.cell_limit, self.cell_range or self.cell_limit)))

    @property
    def dense_drops(self) -> tuple[NDArray[np.int64], ...]:
        """Bits by which the outputs of each dense layer are divided so that they stay within 1, int64 [R] each."""
        return tuple(map(_drops, self.dense_limit))

    @property
    def front_drops(self) -> tuple[NDArray[np.int64], ...]:
        """Bits by which the outputs of each convolution are divided so that they stay within 1, int64 [R] each."""
        return tuple(map(_drops, self.front_limit))


def _frac_bits(limit: float) -> int:
    """Largest number of fractional bits with which values up to a limit fit 16 bits."""
    integer_bits = int(np.ceil(np.log2(max(limit, 2.0**-8))))
    return int(np.clip(15 - integer_bits, CELL_FRAC_BITS_MIN, CELL_FRAC_BITS_MAX))


def _drops(limits: tuple[float, ...]) -> NDArray[np.int64]:
    bits = np.ceil(np.log2(np.maximum(np.array(limits) * DENSE_HEADROOM, 2.0**DENSE_DROP_MIN)))
    return np.minimum(bits, DENSE_DROP_MAX).astype(np.int64)


def calibrate(model: FloatModel, counts: NDArray[np.int16], *, batch_size: int = 256) -> Calibration:
    """Run a float model on data and collect its ranges and moments.

    Args:
        model: verified float model.
        counts: raw counts, int16 [B, T, C]. A model that resets at the end of a window runs on the windows in them. A
            model that carries its states runs on the whole streams; longer streams show the range better.
        batch_size: number of windows at a time; affects only memory.

    Raises:
        DataError: the counts are not int16 [B, T, C] with at least one step.
    """
    check_counts(counts, model.num_channels, f"calibrating {model.name}")
    if model.readout.at_window_end == "reset":
        counts = cut_at_resets(counts, model.contract.window_length)
    features = preprocess(counts, model.contract).astype(np.int64)
    cell_states: list[list[NDArray[Any]]] = [[] for _ in model.layers]
    dense_outputs: list[list[NDArray[Any]]] = [[] for _ in model.dense]
    convolutions = [index for index, layer in enumerate(model.front) if isinstance(layer, Conv)]
    front_outputs: list[list[NDArray[Any]]] = [[] for _ in convolutions]
    changes = [np.zeros(len(CELL_RANGES)) for _ in model.layers]  # of hidden states, by range of the cell states
    moments = [np.zeros((0, 0))] * (len(convolutions) + len(model.layers) + len(model.dense) + 1)
    for start in range(0, len(counts), batch_size):
        values = _sequences(model, counts[start : start + batch_size])
        for outputs, index in zip(front_outputs, convolutions, strict=True):
            outputs.append(np.abs(values[f"front{index}"]).reshape(-1, model.front_sizes[index]))
        for index, cell in enumerate(model.layers):
            if (calibrated := kind_of(cell).calibrated) is not None:
                cell_states[index].append(np.abs(values[f"layer{index}.{calibrated}"]).ravel())
                if calibrated == "cell_state" and index not in model.backward:  # whose steps are in another order
                    changes[index] += _changes_of_hidden_states(values, index)
        for index, outputs in enumerate(dense_outputs):
            outputs.append(np.abs(_at_labels(model, values[f"dense{index}"])).reshape(-1, model.dense_sizes[index]))
        for index, seen in enumerate(_seen_values(model, values)):
            moments[index] = seen.T @ seen + (moments[index] if moments[index].size else 0.0)
    limits = [float(np.quantile(np.concatenate(seen), CELL_QUANTILE)) if seen else 0.0 for seen in cell_states]
    return Calibration(
        feature_limit=tuple(int(limit) for limit in np.abs(features).max(axis=(0, 1))),
        cell_limit=tuple(limits),
        front_limit=tuple(_limits(np.concatenate(seen)) for seen in front_outputs),
        dense_limit=tuple(_limits(np.concatenate(seen)) for seen in dense_outputs),
        moments=tuple(moment / moment[-1, -1] for moment in moments),
        num_windows=len(counts),
        num_steps=len(counts) * counts.shape[1],
        cell_range=tuple(
            CELL_RANGES[int(np.argmin(change))] if change.any() and limit > CELL_SATURATES else np.inf
            for change, limit in zip(changes, limits, strict=True)
        ),
    )


# The ranges of cell states with 12 fractional bits and fewer.
CELL_RANGES = tuple(2.0 ** (15 - bits) for bits in range(12, CELL_FRAC_BITS_MIN - 1, -1))


def _changes_of_hidden_states(values: Mapping[str, NDArray[Any]], index: int) -> NDArray[np.float64]:
    """Sum of the squared changes of an LSTM layer's hidden states if its cell states are kept in 16 bits, for each of
    ``CELL_RANGES``. The gates are those of the float model.
    """
    gates = {name: values[f"layer{index}.{name}"] for name in kind_named("lstm").gate_names}
    kept, shown = sigmoid(gates["forget_gate"]), sigmoid(gates["output_gate"])
    written = sigmoid(gates["input_gate"]) * np.tanh(gates["cell_gate"])
    expected = shown * np.tanh(values[f"layer{index}.cell_state"])
    changes = []
    for largest in CELL_RANGES:
        unit = largest / 2.0**15
        cell: NDArray[Any] = np.zeros(kept[:, 0].shape)
        change = 0.0
        for t in range(kept.shape[1]):
            cell = np.clip(np.rint((kept[:, t] * cell + written[:, t]) / unit) * unit, -largest, largest)
            change += float(np.square(shown[:, t] * np.tanh(cell) - expected[:, t]).sum())
        changes.append(change)
    return np.array(changes)


def _limits(outputs: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """Limit of each unit, [R], from magnitudes [N, R]."""
    limits = np.quantile(outputs.astype(np.float64), DENSE_QUANTILE, axis=0)
    return tuple(np.maximum(limits, DENSE_LEAST * limits.max()).tolist())


def _sequences(model: FloatModel, counts: NDArray[np.int16]) -> Mapping[str, NDArray[Any]]:
    """Values of the float model, each at the steps of its layer; outputs of dense layers at all steps of the recurrent
    ones."""
    if not model.front and not model.backward:
        return run_float(model, counts).values
    features = float_features(model, counts)
    values = sequences_of(model, features) | {"features": features}
    return values | values_after_readout(model, values)


def _at_labels(model: FloatModel, values: NDArray[Any]) -> NDArray[Any]:
    """Values [B, T, R] behind the readout at the steps at which they are like those of a label: all of them, but with
    ``flatten`` the last step of each window."""
    if not model.readout.flattens:
        return values
    return values[:, min(model.num_steps, values.shape[1]) - 1 :: model.num_steps]


def _seen_values(model: FloatModel, values: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Inputs of the rows of each layer, each dense layer and the head, one row per step, float64 [B T, I + H + 1]; the
    last column is 1."""
    below = values["features"]
    ends = below.shape[1] == model.contract.window_length
    seen: list[list[NDArray[Any]]] = []
    for index, front in enumerate(model.front):
        if isinstance(front, Conv):
            taken = inputs_seen(front, below, ends=ends)
            seen.append([taken.reshape(*taken.shape[:2], -1)])
        below = values[f"front{index}"]
    for stage in model.stages:
        for index in stage:
            state = values[f"layer{index}.hidden_state"]
            before = np.concatenate([np.zeros_like(state[:, :1]), state[:, :-1]], axis=1)
            seen.append([in_order_of(model, index, below), before])
        below = outputs_of_stage(model, stage, values)
    states = [values[f"layer{index}.hidden_state"] for index in model.stages[-1]]
    seen.append([values[POOLED_NAMES[one]] for one in model.readout.statistics] or states)
    seen += [[_at_labels(model, values[f"dense{index}"])] for index in range(len(model.dense))]
    return [
        np.concatenate([*parts, np.ones((*parts[0].shape[:2], 1))], axis=2)
        .astype(np.float64)
        .reshape(-1, sum(p.shape[2] for p in parts) + 1)
        for parts in seen
    ]


def cut_at_resets(counts: NDArray[np.int16], window_length: int) -> NDArray[np.int16]:
    """Cut streams into the windows of a device that resets at each window's end: [B, T, C] to [B n, window, C].

    >>> cut_at_resets(np.zeros((2, 10, 3), dtype=np.int16), 4).shape
    (4, 4, 3)
    """
    whole = counts.shape[1] // window_length
    if whole <= 1:
        return counts[:, :window_length]
    return counts[:, : whole * window_length].reshape(-1, window_length, counts.shape[2])


@dataclass(frozen=True)
class Saturation(Result):
    """How often a traced value was at an end of its range.

    Attributes:
        name: name in the trace, for example ``layer0.cell_state``.
        saturated: number of values at either end of the range.
        values: number of all values.
    """

    derived = ("share",)

    name: str
    saturated: int
    values: int

    @property
    def share(self) -> float:
        """Share of saturated values, 0 to 1."""
        return self.saturated / max(self.values, 1)


def count_saturation(model: IntModel, counts: NDArray[np.int16]) -> tuple[Saturation, ...]:
    """Run the integer reference and count saturated features, gate arguments, calibrated states and dense outputs.

    A saturated gate is normal, as it is fully open or closed. A saturated feature or state loses information.

    Args:
        model: verified integer model.
        counts: raw counts, int16 [B, T, C].
    """
    ends = {"features": (INT16_MIN, INT16_MAX)}
    for index, kind in enumerate(map(kind_of, model.layers)):
        arguments = [value.name for value in kind.traced if value.use != "linear"]
        ends |= {f"layer{index}.{name}": (0, ARGUMENT_MAX) for name in arguments}
        if kind.calibrated is not None:
            ends[f"layer{index}.{kind.calibrated}"] = (INT16_MIN, INT16_MAX)
    for place, layers in (("front", model.front), ("dense", model.dense)):
        unbounded = [
            i for i, layer in enumerate(layers) if isinstance(layer, Conv | Dense) and layer.activation != "tanh"
        ]
        ends |= {f"{place}{index}": (INT16_MIN, INT16_MAX) for index in unbounded}
    totals: dict[str, tuple[int, int]] = {}
    for values in run_stream(model, counts):
        for name, array in values.items():
            if name not in ends:
                continue
            low, high = ends[name]
            if name.startswith(("dense", "front")):  # coarse units are rounded, and are like the fine ones
                due = values["label"][:, 0] != NO_LABEL if name.startswith("dense") else np.ones(len(array), dtype=bool)
                array = array[due][:, ~is_coarse(array.shape[1])]
            saturated, seen = totals.get(name, (0, 0))
            at_end = int(np.count_nonzero((array == low) | (array == high)))
            totals[name] = (saturated + at_end, seen + array.size)
    return tuple(Saturation(name, saturated, seen) for name, (saturated, seen) in totals.items())
