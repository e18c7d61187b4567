"""The model in the middle: typed, frozen, numpy only. Frontends make it, quantize() turns one form into the other,
and every exporter prints it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from edge_seq.ir.cells import Cell, gates, hidden_size
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.decision import DecisionStage, UnknownDistance
from edge_seq.ir.rows import FloatRows, IntRows, Rows
from edge_seq.support.results import to_plain, written

Pooling = Literal["last", "mean"]
LabelEvery = Literal["window", "sample"]
AtWindowEnd = Literal["reset", "carry"]


@dataclass(frozen=True)
class Readout:
    """How states become labels.

    Attributes:
        pooling: the head sees the last state, or the mean of the states since the window began.
        label_every: a label at the end of each window, or after each sample.
        at_window_end: ``reset`` makes each window start from zero states, as in training, so that a stream gives the
            same labels as the windows it is cut into; ``carry`` keeps the states and begins a new mean only.
        decision: what makes decisions of labels, in an integer model; None leaves it out.
    """

    pooling: Pooling = "last"
    label_every: LabelEvery = "window"
    at_window_end: AtWindowEnd = "reset"
    decision: DecisionStage | None = dataclasses.field(default=None, metadata=written(unless_none=True))


def readout_to_dict(readout: Readout) -> dict[str, Any]:
    """Ready for JSON. A decision stage, or its distance, that is not there is not mentioned: such models keep their
    hash and files."""
    return dict(to_plain(readout))


def readout_from_dict(data: dict[str, Any]) -> Readout:
    """Inverse of :func:`readout_to_dict`; not verified.

    Raises:
        TypeError: where a field is unknown.
    """
    stage = data.get("decision")
    if stage is not None and stage.get("unknown_distance") is not None:
        distance = UnknownDistance(**stage["unknown_distance"])
        distance = UnknownDistance(tuple(tuple(row) for row in distance.centroids), tuple(distance.radii))
        stage = {**stage, "unknown_distance": distance}
    return Readout(**{**data, "decision": None if stage is None else DecisionStage(**stage)})


@dataclass(frozen=True)
class FloatFormat:
    """Numbers of a float model.

    Attributes:
        normalisation: of the preprocessed counts.
    """

    normalisation: Normalisation


@dataclass(frozen=True)
class IntFormat:
    """Numbers of an integer model; normalisation is folded into the first layer.

    Attributes:
        input_shift: [C], left shift of each feature before it saturates to 16 bits, 0 to 12.
        cell_frac_bits: [L], fractional bits of each layer's 16-bit cell state, 8 to 15; used by LSTM layers.
        pool_reciprocals: for mean pooling, floor(2^(14 + floor(log2 t)) / t): for t = 1 .. T where a label follows each
            sample, for t = T alone where one follows each window. Empty for ``last``.
    """

    input_shift: tuple[int, ...]
    cell_frac_bits: tuple[int, ...]
    pool_reciprocals: tuple[int, ...]


Format = TypeVar("Format", FloatFormat, IntFormat)


@dataclass(frozen=True)
class SequenceModel(Generic[Rows, Format]):
    """A recurrent classifier.

    Attributes:
        name: a C identifier in lower case; prefixes generated symbols.
        labels: [K] class names.
        contract: what the input must be.
        layers: cells from the input up.
        head: K rows on the pooled state of the last layer (as its input; they have no hidden part).
        readout: pooling and when labels come.
        number_format: what the numbers mean.
    """

    name: str
    labels: tuple[str, ...]
    contract: SensorContract
    layers: tuple[Cell[Rows], ...]
    head: Rows
    readout: Readout
    number_format: Format

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.labels)

    @property
    def input_size(self) -> int:
        """I of the first layer, the number of channels."""
        return self.contract.num_channels

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """H of each layer."""
        return tuple(hidden_size(cell) for cell in self.layers)


FloatModel = SequenceModel[FloatRows, FloatFormat]
IntModel = SequenceModel[IntRows, IntFormat]


def num_parameters(model: FloatModel) -> int:
    """Trainable numbers; GRU counts its second bias of the new gate, other double biases are one (torch keeps two)."""
    return sum(
        rows.weight_input.size + rows.weight_hidden.size + rows.bias.size
        for rows in [rows for cell in model.layers for rows in gates(cell).values()] + [model.head]
    )


def weight_bytes(model: IntModel) -> int:
    """Bytes of weights and biases of an integer model, without padding and multipliers (what the information needs)."""
    total = 0
    sizes = model.hidden_sizes
    for layer, cell in enumerate(model.layers):
        for rows in gates(cell).values():
            inputs = 2 * rows.wide.shape[1] + (sizes[layer - 1] if rows.narrow_input.size else 0)
            hidden = sizes[layer] if rows.narrow_hidden.size else 0
            total += len(rows.bias) * (inputs + hidden + 4)
    return total + model.num_classes * (sizes[-1] + 4)


def without_decision(model: IntModel) -> IntModel:
    """The same model without a decision stage, on which its labels do not depend."""
    return dataclasses.replace(model, readout=dataclasses.replace(model.readout, decision=None))


def deployed_bytes(model: IntModel) -> int:
    """Bytes of all arrays of an integer model as they lie in flash: weights padded to quads, biases, multipliers, and
    what a distance compares with."""
    every_rows = [rows for cell in model.layers for rows in gates(cell).values()] + [model.head]
    distance = None if model.readout.decision is None else model.readout.decision.unknown_distance
    of_distance = 0 if distance is None else distance.num_bytes
    return sum(int(array.nbytes) for rows in every_rows for array in vars(rows).values()) + of_distance


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, in which a numpy scalar reads as the Python number that a file gives back."""

    def plain(value: object) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"{value!r} ({type(value).__name__}) has no place in a model; give numbers and strings")

    return json.dumps(data, sort_keys=True, default=plain)


def model_hash(model: FloatModel | IntModel) -> str:
    """SHA-256 over everything that decides a result, as 64 hexadecimal digits: numbers, contract, labels, readout.

    The name of the model is not part of it.
    """
    digest = hashlib.sha256()
    contract, number_format = dataclasses.asdict(model.contract), dataclasses.asdict(model.number_format)
    described = [contract, readout_to_dict(model.readout), number_format]
    digest.update(canonical_json([model.labels, *described]).encode())
    layers: tuple[Cell[Any], ...] = model.layers
    named = [(f"layer{i}.{name}", rows) for i, cell in enumerate(layers) for name, rows in gates(cell).items()]
    for name, rows in [*named, ("head", model.head)]:
        for field, array in vars(rows).items():
            little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{name}.{field}{array.shape}{array.dtype.name}".encode())
            digest.update(little_endian.tobytes())
    digest.update(repr(tuple(type(cell).__name__ for cell in layers)).encode())
    return digest.hexdigest()
