"""Ranges that only data can tell: how large features and cell states become, and what saturated in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import INT16_MAX, INT16_MIN
from edge_seq.arithmetic.tables import ARGUMENT_MAX
from edge_seq.backends.preprocess import check_counts, preprocess
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_stream
from edge_seq.ir.cells import Lstm
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.support.results import Result

# Of all cell states seen, this share must fit 16 bits; the rest saturates, far out where tanh is flat. A bit of range
# costs a bit of resolution: on a car-state LSTM with |c| up to 18.4 and 99.9 % below 12.1, the mean change of a
# probability was 0.0033 at 10 bits (all fit), 0.0024 at 11 (99.9 % fit), 0.0022 at 12.
CELL_QUANTILE = 0.999
CELL_FRAC_BITS_MIN, CELL_FRAC_BITS_MAX = 8, 15


@dataclass(frozen=True)
class Calibration:
    """What was seen on the calibration streams.

    Attributes:
        feature_limit: [C], largest magnitude of the preprocessed counts.
        cell_limit: [L], magnitude below which ``CELL_QUANTILE`` of each layer's float cell states are; 0 for cells
            without one.
        moments: [L + 1], for each layer float64 [I + H + 1, I + H + 1], the mean of v v^T with v = (input of the layer,
            its state before the step, 1), and last for the head, v = (what it sees, 1); as the float model has them.
        num_windows: how many windows or streams were seen.
        num_steps: how many time steps.
    """

    feature_limit: tuple[int, ...]
    cell_limit: tuple[float, ...]
    moments: tuple[NDArray[np.float64], ...]
    num_windows: int
    num_steps: int

    @property
    def cell_frac_bits(self) -> tuple[int, ...]:
        """[L], the most fractional bits with which a cell state of ``cell_limit`` fits 16 bits."""
        bits = []
        for limit in self.cell_limit:
            integer_bits = int(np.ceil(np.log2(max(limit, 2.0**-8))))
            bits.append(int(np.clip(15 - integer_bits, CELL_FRAC_BITS_MIN, CELL_FRAC_BITS_MAX)))
        return tuple(bits)


def calibrate(model: FloatModel, counts: NDArray[np.int16], *, batch_size: int = 256) -> Calibration:
    """Observe a float model on data.

    Args:
        model: verified float model.
        counts: int16 [B, T, C], raw counts. A model that resets at the end of a window is observed on the windows in
            it; one that carries its states on the whole streams: the longer, the better the range is known.
        batch_size: windows at once; only memory depends on it.

    Raises:
        DataError: where counts are not int16 [B, T, C] with at least one step.
    """
    check_counts(counts, model.input_size, f"calibrating {model.name}")
    if model.readout.at_window_end == "reset":
        counts = cut_at_resets(counts, model.contract.window_length)
    features = preprocess(counts, model.contract.preprocessing).astype(np.int64)
    cell_states: list[list[NDArray[Any]]] = [[] for _ in model.layers]
    moments = [np.zeros((0, 0))] * (len(model.layers) + 1)
    for start in range(0, len(counts), batch_size):
        values = run_float(model, counts[start : start + batch_size]).values
        for index, cell in enumerate(model.layers):
            if isinstance(cell, Lstm):
                cell_states[index].append(np.abs(values[f"layer{index}.cell_state"]).ravel())
        for index, seen in enumerate(_seen_values(model, values)):
            moments[index] = seen.T @ seen + (moments[index] if moments[index].size else 0.0)
    return Calibration(
        feature_limit=tuple(int(limit) for limit in np.abs(features).max(axis=(0, 1))),
        cell_limit=tuple(
            float(np.quantile(np.concatenate(seen), CELL_QUANTILE)) if seen else 0.0 for seen in cell_states
        ),
        moments=tuple(moment / moment[-1, -1] for moment in moments),
        num_windows=len(counts),
        num_steps=len(counts) * counts.shape[1],
    )


def _seen_values(model: FloatModel, values: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
    """What each layer's rows and the head see, a row a step: float64 [B T, I + H + 1], the last column 1."""
    below = values["features"]
    seen: list[list[NDArray[Any]]] = []
    for index in range(len(model.layers)):
        state = values[f"layer{index}.hidden_state"]
        before = np.concatenate([np.zeros_like(state[:, :1]), state[:, :-1]], axis=1)
        seen.append([below, before])
        below = state
    seen.append([values["pooled"] if model.readout.pooling == "mean" else below])
    ones = np.ones((*below.shape[:2], 1))
    return [
        np.concatenate([*parts, ones], axis=2).astype(np.float64).reshape(-1, sum(p.shape[2] for p in parts) + 1)
        for parts in seen
    ]


def cut_at_resets(counts: NDArray[np.int16], window_length: int) -> NDArray[np.int16]:
    """Streams as the windows that a device with a reset at each window's end sees: [B, T, C] to [B n, window, C]."""
    whole = counts.shape[1] // window_length
    if whole <= 1:
        return counts[:, :window_length]
    return counts[:, : whole * window_length].reshape(-1, window_length, counts.shape[2])


@dataclass(frozen=True)
class Saturation(Result):
    """How often one traced value sat at the end of its range.

    Attributes:
        name: as in the trace, for example ``layer0.cell_state``.
        saturated: number of values at either end.
        values: number of values seen.
    """

    derived = ("share",)

    name: str
    saturated: int
    values: int

    @property
    def share(self) -> float:
        """Saturated values over all values."""
        return self.saturated / max(self.values, 1)


def count_saturation(model: IntModel, counts: NDArray[np.int16]) -> tuple[Saturation, ...]:
    """Run the integer reference and count saturated features, gate arguments and cell states.

    A saturated gate is an ordinary thing (a gate that is fully open); a saturated feature or cell state loses
    information.

    Args:
        model: verified integer model.
        counts: int16 [B, T, C], raw counts.
    """
    totals: dict[str, tuple[int, int]] = {}
    for values in run_stream(model, counts):
        for name, array in values.items():
            if name == "features" or name.endswith(".cell_state"):
                low, high = INT16_MIN, INT16_MAX
            elif name.startswith("layer") and not name.endswith((".hidden_state", ".new_gate_hidden")):
                low, high = 0, ARGUMENT_MAX
            else:
                continue
            saturated, seen = totals.get(name, (0, 0))
            at_end = int(np.count_nonzero((array == low) | (array == high)))
            totals[name] = (saturated + at_end, seen + array.size)
    return tuple(Saturation(name, saturated, seen) for name, (saturated, seen) in totals.items())
