"""The model: typed, frozen, numpy only. Frontends create it, quantize() turns the float form into the integer form, and
exporters print it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.contract import Normalisation, SensorContract, contract_to_dict
from edge_seq.ir.decision import DecisionStage, UnknownDistance
from edge_seq.ir.front import Conv, FrontLayer, outputs_of, settings_of
from edge_seq.ir.kind_names import Pooling, Statistic, WeightBits
from edge_seq.ir.kinds import (
    Dense,
    Layer,
    arrays_of,
    constants_of,
    hidden_size,
    kind_of,
    last_column_stands_alone,
    narrow_bits,
    row_groups,
)
from edge_seq.ir.rows import BLOCK_ROWS, BYTES_OF_A_ROW, QUAD, FloatRows, IntRows, Rows, operand_columns, padded
from edge_seq.support.results import to_plain, written

LabelEvery = Literal["window", "sample"]
AtWindowEnd = Literal["reset", "carry"]
# A trace calls the mean of a window's states "pooled" and the largest "pooled_max".
_STATISTICS: dict[Pooling, tuple[Statistic, ...]] = {
    "last": (),
    "mean": ("mean",),
    "max": ("max",),
    "mean_max": ("mean", "max"),
    "flatten": (),
}
POOLED_NAMES: dict[Statistic, str] = {"mean": "pooled", "max": "pooled_max"}
# What is kept of a window: sums (of states, or with flatten of results) and largest states.
PoolName = Literal["pool_sum", "pool_max"]
POOLS: dict[Statistic, PoolName] = {"mean": "pool_sum", "max": "pool_max"}


@dataclass(frozen=True)
class Readout:
    """Computation of labels from the states.

    Attributes:
        pooling: input of the head: the ``last`` state; or of each unit the ``mean`` or the largest value (``max``) of
            the states since the window began; or both (``mean_max``), first all means; or the states of all steps of
            the window (``flatten``), first those of the first step. The weights that see them are summed step by step,
            so no state is kept, but there are as many times more of them as a window has steps.
        label_every: a label at the end of each ``window``, or after each ``sample``.
        at_window_end: ``reset`` starts each window from zero states, as in training, so that a stream gives the same
            labels as its windows; ``carry`` keeps the states and only starts a new mean.
        decision: decision stage of an integer model; None for none.
    """

    pooling: Pooling = "last"
    label_every: LabelEvery = "window"
    at_window_end: AtWindowEnd = "reset"
    decision: DecisionStage | None = dataclasses.field(default=None, metadata=written(unless_none=True))

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What is taken of the states of a window, in the order in which the head sees it; empty for the last state
        and for all states.

        >>> Readout("mean_max").statistics
        ('mean', 'max')
        """
        return _STATISTICS[self.pooling]

    @property
    def flattens(self) -> bool:
        """True if the states of all steps are read out."""
        return self.pooling == "flatten"

    def parts(self, steps: int) -> int:
        """Number of values that are read out of each unit in a window of ``steps`` steps of the recurrent layers.

        >>> Readout("mean_max").parts(50), Readout("flatten").parts(50)
        (2, 50)
        """
        return steps if self.flattens else max(1, len(self.statistics))


def readout_to_dict(readout: Readout) -> dict[str, Any]:
    """The readout, ready for JSON. A missing decision stage or distance is left out, so that the hash and files of
    models without them do not change."""
    return dict(to_plain(readout))


def readout_from_dict(data: dict[str, Any]) -> Readout:
    """Inverse of :func:`readout_to_dict`. The values are not verified.

    Raises:
        TypeError: a field is unknown.
    """
    stage = data.get("decision")
    if stage is not None and stage.get("unknown_distance") is not None:
        distance = UnknownDistance(**stage["unknown_distance"])
        distance = UnknownDistance(tuple(tuple(row) for row in distance.centroids), tuple(distance.radii))
        stage = {**stage, "unknown_distance": distance}
    return Readout(**{**data, "decision": None if stage is None else DecisionStage(**stage)})


@dataclass(frozen=True)
class FloatFormat:
    """Number format of a float model.

    Attributes:
        normalisation: normalisation of the preprocessed counts.
    """

    normalisation: Normalisation


@dataclass(frozen=True)
class IntFormat:
    """Number format of an integer model. Normalisation is folded into the first layer.

    Attributes:
        input_shift: [F], left shift of each feature before it saturates to 16 bits, 0 to 12; 0 with companding.
        cell_frac_bits: [L], fractional bits of each layer's calibrated 16-bit state (an LSTM's cell state), 8 to 15;
            not used by kinds without one.
        pool_reciprocals: if the head sees a mean, floor(2^(14 + floor(log2 t)) / t), for t = 1 .. T with a label after
            each sample, or only for t = T with a label per window. Otherwise empty.
    """

    input_shift: tuple[int, ...]
    cell_frac_bits: tuple[int, ...]
    pool_reciprocals: tuple[int, ...]


Format = TypeVar("Format", FloatFormat, IntFormat)


@dataclass(frozen=True)
class SequenceModel(Generic[Rows, Format]):
    """A recurrent classifier.

    Attributes:
        name: C identifier in lower case; prefix of generated symbols.
        labels: class names, [K].
        contract: sensor contract of the input.
        layers: cells, from the input to the output.
        head: K rows whose input is that of :attr:`head_size`; they have no hidden part.
        readout: pooling, and when labels are due.
        number_format: number format of the weights.
        front: layers between the features and the first recurrent layer, from the input up. With a stride, the layers
            after them run every s-th sample only.
        dense: dense layers between readout and head. The first sees the pooled state of the last layer, with
            ``mean_max`` both statistics, one behind the other, with ``flatten`` the states of all steps; so does the
            head without dense layers.
    """

    name: str
    labels: tuple[str, ...]
    contract: SensorContract
    layers: tuple[Layer[Rows], ...]
    head: Rows
    readout: Readout
    number_format: Format
    dense: tuple[Dense[Rows], ...] = ()
    front: tuple[FrontLayer[Rows], ...] = ()
    backward: tuple[int, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes, K."""
        return len(self.labels)

    @property
    def num_channels(self) -> int:
        """Number of raw counts in a sample, C."""
        return self.contract.num_channels

    @property
    def input_size(self) -> int:
        """Input size of the first layer: the number of features, F, which is C but for magnitudes."""
        return self.contract.num_features

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Hidden size of each layer, H."""
        return tuple(hidden_size(cell) for cell in self.layers)

    @property
    def front_sizes(self) -> tuple[int, ...]:
        """Number of units after each front layer."""
        sizes: list[int] = []
        for layer in self.front:
            sizes.append(len(layer.rows.bias) if isinstance(layer, Conv) else sizes[-1])
        return tuple(sizes)

    @property
    def front_inputs(self) -> tuple[int, ...]:
        """Units of the input of each front layer."""
        return (self.input_size, *self.front_sizes)[: len(self.front)]

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the recurrent layers that see the same: a layer alone, or the two of a bidirectional layer."""
        found: list[tuple[int, ...]] = []
        for index in range(len(self.layers)):
            if index in self.backward and found:
                found[-1] = (*found[-1], index)
            else:
                found.append((index,))
        return tuple(found)

    @property
    def streamed(self) -> int:
        """Number of recurrent layers that run at each step: those below the first that runs backward."""
        return min(self.backward, default=len(self.layers))

    @property
    def stage_inputs(self) -> tuple[tuple[int, int], ...]:
        """Input of each of the :attr:`stages`: units, and parts in which each unit has a value."""
        below = ((self.input_size, *self.front_sizes)[-1], 1)
        seen = []
        for stage in self.stages:
            seen.append(below)
            below = (self.hidden_sizes[stage[0]], len(stage))
        return tuple(seen)

    @property
    def layer_inputs(self) -> tuple[tuple[int, int], ...]:
        """Input of each recurrent layer: units, and parts in which each unit has a value."""
        inputs = zip(self.stages, self.stage_inputs, strict=True)
        return tuple(seen for stage, seen in inputs for _ in stage)

    @property
    def kept_inputs(self) -> dict[int, tuple[int, int]]:
        """Units and parts of the input that is kept of a whole window, by the index of the first layer that sees it."""
        stages = zip(self.stages, self.stage_inputs, strict=True)
        return {stage[0]: seen for stage, seen in stages if stage[-1] >= self.streamed}

    @property
    def kept_steps(self) -> int:
        """Number of steps of a window whose inputs are kept."""
        return int(self.steps_after(self.contract.window_length)) if self.backward else 0

    def steps_after(self, samples: Any) -> Any:
        """Number of steps of the recurrent layers after so many samples of a window: a number, or int64 [N].

        Without front layers, it is the number of samples. The last sample of a window may have several steps, if a
        front layer has zeros behind the window.
        """
        at_end = samples == self.contract.window_length
        for layer in self.front:
            samples = outputs_of(layer, samples + at_end * layer.after)
        return samples

    @property
    def num_steps(self) -> int:
        """Number of steps of the recurrent layers in a window."""
        return int(self.steps_after(self.contract.window_length))

    @property
    def front_inputs_at_end(self) -> tuple[int, ...]:
        """Number of inputs of each front layer in a window, without the zeros behind it."""
        numbers = [self.contract.window_length]
        for layer in self.front:
            numbers.append(outputs_of(layer, numbers[-1] + layer.after))
        return tuple(numbers[:-1])

    @property
    def dense_sizes(self) -> tuple[int, ...]:
        """Number of units of each dense layer."""
        return tuple(len(layer.rows.bias) for layer in self.dense)

    @property
    def dense_inputs(self) -> tuple[tuple[int, int], ...]:
        """Input of each dense layer and, last, of the head: units, and parts in which each unit has a value."""
        read_out = self.hidden_sizes[-1], self.top_parts * self.readout.parts(self.num_steps)
        return (read_out, *((size, 1) for size in self.dense_sizes))

    @property
    def top_parts(self) -> int:
        """Number of layers whose states are read out: 2 if the last layer is a bidirectional one."""
        return len(self.stages[-1])

    @property
    def summed_rows(self) -> Rows | None:
        """The rows that see the states of all steps, of the first dense layer or of the head; None without flatten."""
        if not self.readout.flattens:
            return None
        return self.dense[0].rows if self.dense else self.head

    @property
    def pool_sizes(self) -> dict[PoolName, int]:
        """Units of what is kept of a window: sums of states, or of the results of :attr:`summed_rows`, and largest
        states; those of a bidirectional layer in each of :attr:`top_parts`."""
        rows = self.summed_rows
        if rows is not None:
            return {"pool_sum": len(rows.bias)}
        return {POOLS[one]: self.hidden_sizes[-1] for one in self.readout.statistics}

    @property
    def head_size(self) -> int:
        """Number of values that the head sees."""
        units, parts = self.dense_inputs[-1]
        return units * parts


FloatModel = SequenceModel[FloatRows, FloatFormat]
IntModel = SequenceModel[IntRows, IntFormat]


def named_arrays(model: FloatModel | IntModel) -> dict[str, NDArray[Any]]:
    """Every array of a model, as its file names them: ``layer0.reset_gate.bias``, ``head.bias``."""
    layers: tuple[Layer[Any], ...] = model.layers
    arrays = {f"layer{i}.{name}": array for i, layer in enumerate(layers) for name, array in arrays_of(layer).items()}
    dense: tuple[Dense[Any], ...] = model.dense
    front: tuple[FrontLayer[Any], ...] = model.front
    rows = {f"front{i}": layer.rows for i, layer in enumerate(front) if isinstance(layer, Conv)}
    rows |= {f"dense{i}": layer.rows for i, layer in enumerate(dense)} | {"head": model.head}
    return arrays | {f"{name}.{field}": array for name, one in rows.items() for field, array in vars(one).items()}


def num_parameters(model: FloatModel) -> int:
    """Number of trainable parameters. The two biases of torch count as one, except in a GRU's new gate."""
    return sum(array.size for array in named_arrays(model).values())


def weight_bytes(model: IntModel) -> int:
    """Size of an integer model's weights and biases without padding and multipliers, bytes."""
    total = 0
    sizes = model.hidden_sizes
    for layer, cell in enumerate(model.layers):
        bits = narrow_bits(cell)
        for rows in row_groups(cell).values():
            inputs = _narrow_bytes(*model.layer_inputs[layer], bits) if rows.narrow_input.size else 0
            hidden = _narrow_bytes(sizes[layer], 1, bits) if rows.narrow_hidden.size else 0
            total += len(rows.bias) * (2 * rows.wide.shape[1] + inputs + hidden + 4)
        total += sum(array.nbytes for array in constants_of(cell).values())
    for one in model.front:
        if isinstance(one, Conv):
            total += len(one.rows.bias) * (2 * one.rows.wide.shape[1] + 4)
    for one, units in zip(model.front, model.front_inputs, strict=True):
        if isinstance(one, Conv) and one.rows.narrow_input.size:
            total += len(one.rows.bias) * units * one.kernel
    outputs = (*model.dense_sizes, model.num_classes)
    sees = (units * parts for units, parts in model.dense_inputs)
    return total + sum(size * (seen + 4) for size, seen in zip(outputs, sees, strict=True))


def _narrow_bytes(units: int, parts: int, bits: WeightBits) -> int:
    """Bytes of a row's narrow weights on so many units and parts, without padding."""
    if bits == 8:
        return units * parts
    alone = int((operand_columns(units, parts) < parts * padded(units) % (2 * QUAD)).sum())  # columns of 8 bits
    return alone + -(-(units * parts - alone) // 2)


def without_decision(model: IntModel) -> IntModel:
    """The same model without its decision stage. Its labels do not change."""
    return dataclasses.replace(model, readout=dataclasses.replace(model.readout, decision=None))


def deployed_bytes(model: IntModel) -> int:
    """Size of all arrays of an integer model in flash, bytes: weights, biases and multipliers as packed (SPEC.md,
    section 12), which pads them to words, quads and blocks of four rows, and the centroids and radii of a distance."""
    distance = None if model.readout.decision is None else model.readout.decision.unknown_distance
    total = 0 if distance is None else distance.num_bytes
    for cell in model.layers:
        groups, bits = [*row_groups(cell).values()], narrow_bits(cell)
        total += sum(_packed_bytes(rows, bits=bits, rows_together=BLOCK_ROWS // len(groups)) for rows in groups)
        if last_column_stands_alone(cell, groups[0].wide.shape[1]):
            total -= 2 * 2 * hidden_size(cell)  # three weights and one zero, where pairs would have three zeros
        arrays = constants_of(cell)
        for constant in kind_of(cell).constants:
            array = arrays[constant.name]
            total += array.itemsize * (padded(array.size) if constant.per_unit else array.size)
    for layer in model.front:
        if isinstance(layer, Conv):
            total += _packed_bytes(layer.rows, inputs=layer.kernel)
    return total + sum(_packed_bytes(rows) for rows in (*(layer.rows for layer in model.dense), model.head))


def _packed_bytes(rows: IntRows, *, bits: WeightBits = 8, rows_together: int = BLOCK_ROWS, inputs: int = 1) -> int:
    """Bytes of packed rows; the wide weights of each of ``inputs`` inputs are padded to pairs."""
    wide = inputs * 2 * (-(-rows.wide.shape[1] // inputs // 2) * 2)
    narrow = 0
    for array in (rows.narrow_input, rows.narrow_hidden):
        left_out = array.shape[1] // (2 * QUAD) if bits == 4 else 0  # every second quad
        narrow += array.shape[1] - QUAD * left_out
    count = -(-len(rows.bias) // rows_together) * rows_together
    total: int = count * (wide + narrow + BYTES_OF_A_ROW)
    return total


def canonical_json(data: Any) -> str:
    """JSON with sorted keys. A numpy scalar is written as the Python number that a file gives back."""

    def plain(value: object) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a model; give numbers and strings")

    return json.dumps(data, sort_keys=True, default=plain)


def model_hash(model: FloatModel | IntModel) -> str:
    """SHA-256 over everything that affects results (numbers, contract, labels, readout), as 64 hexadecimal digits.

    The name of the model is not included.
    """
    digest = hashlib.sha256()
    contract, number_format = contract_to_dict(model.contract), dataclasses.asdict(model.number_format)
    described = [contract, readout_to_dict(model.readout), number_format]
    digest.update(canonical_json([model.labels, *described]).encode())
    for name, array in named_arrays(model).items():
        little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name}{array.shape}{array.dtype.name}".encode())
        digest.update(little_endian.tobytes())
    digest.update(repr(tuple(type(cell).__name__ for cell in model.layers)).encode())
    if model.front:
        digest.update(canonical_json([settings_of(layer) for layer in model.front]).encode())
    if model.dense:
        digest.update(canonical_json([layer.activation for layer in model.dense]).encode())
    if model.backward:
        digest.update(canonical_json({"backward": model.backward}).encode())
    return digest.hexdigest()
