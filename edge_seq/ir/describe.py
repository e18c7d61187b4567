"""Description of a model for people: contract, layers, sizes, hash, range proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_seq.ir.contract import SensorContract
from edge_seq.ir.front import Conv, FrontLayer
from edge_seq.ir.kinds import Dense, kind_of
from edge_seq.ir.model import (
    FloatFormat,
    FloatModel,
    IntFormat,
    IntModel,
    Readout,
    deployed_bytes,
    model_hash,
    num_parameters,
    weight_bytes,
)
from edge_seq.ir.range_proof import Bound, range_bounds
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.figure_text import PARAMETERS_NOTE
from edge_seq.support.results import Result, written


@dataclass(frozen=True)
class LayerDescription(Result):
    """One layer: name of its cell, units, and names of its gates (none of a dense layer)."""

    cell: str
    hidden_size: int
    gates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelDescription(Result, ShownAsTables):
    """Description of a model. Attributes that its form does not have or does not tell are None.

    Attributes:
        name: name of the model.
        kind: ``int``, ``float``, or kind and form of an ONNX file.
        model_hash: hash of the model.
        labels: names of the classes.
        contract: sensor contract.
        readout: computation of labels from states, with the decision stage.
        number_format: meaning of the numbers.
        layers: layers from the input up.
        weight_bytes: bytes of weights and biases of an integer model.
        deployed_bytes: bytes in flash, with padding and multipliers, of an integer model.
        range_proof: bounds of the accumulators and intermediates of an integer model.
        parameters: number of parameters of a float model. The two biases of a gate count once.
    """

    name: str
    kind: str
    model_hash: str
    labels: tuple[str, ...]
    contract: SensorContract
    readout: Readout
    number_format: FloatFormat | IntFormat | None = field(default=None, metadata=written(unless_none=True))
    layers: tuple[LayerDescription, ...] | None = field(default=None, metadata=written(unless_none=True))
    weight_bytes: int | None = field(default=None, metadata=written(unless_none=True))
    deployed_bytes: int | None = field(default=None, metadata=written(unless_none=True))
    range_proof: tuple[Bound, ...] | None = field(default=None, metadata=written(unless_none=True))
    parameters: int | None = field(default=None, metadata=written(unless_none=True))

    def sizes(self) -> dict[str, int]:
        """Sizes that are known, by what they count."""
        found = {
            f"parameters ({PARAMETERS_NOTE})": self.parameters,
            "bytes of weights and biases": self.weight_bytes,
            "bytes as deployed, with padding and multipliers": self.deployed_bytes,
        }
        return {title: size for title, size in found.items() if size is not None}

    def tables(self) -> Sequence[Table]:
        """Identity and sizes, sensor contract, layers, range proof."""
        about = [
            ["kind", self.kind],
            ["hash", self.model_hash[:16]],
            ["labels", ", ".join(self.labels)],
            *([title, f"{size:,}"] for title, size in self.sizes().items()),
        ]
        proof = [] if self.range_proof is None else [range_table(self.range_proof)]
        return [Table(f"model {self.name}", ["what", "value"], about), *self.details(), *proof]

    def details(self) -> Sequence[Table]:
        """Sensor contract and layers."""
        if self.layers is None:
            return [contract_table(self.contract)]
        rows = [[str(index), one.cell, str(one.hidden_size)] for index, one in enumerate(self.layers)]
        return [contract_table(self.contract), Table("layers", ["layer", "cell", "hidden size"], rows)]


def contract_table(contract: SensorContract) -> Table:
    """Table of a sensor contract."""
    rows = [[c.name, c.unit, f"{c.counts_per_unit:g}", f"{c.full_scale:g}"] for c in contract.channels]
    title = (
        f"sensor contract: {contract.sample_rate_hz:g} Hz, window {contract.window_length} samples, stride "
        f"{contract.window_stride}, preprocessing {contract.preprocessing.text}"
    )
    return Table(title, ["channel", "unit", "counts a unit", "full scale"], rows)


def range_table(bounds: Sequence[Bound]) -> Table:
    """Table of a range proof."""
    rows = [[b.name, str(b.row), f"{b.magnitude:,}", f"{b.limit:,}", f"{b.slack:.2f}"] for b in bounds]
    columns = ["accumulator or intermediate", "row", "can reach", "limit", "slack"]
    return Table("range proof: what any input can bring about", columns, rows)


def front_text(layer: FrontLayer[Any]) -> str:
    """A front layer in a few words: ``conv 5, stride 2, relu, causal``."""
    stride = f", stride {layer.stride}" if layer.stride > 1 else ""
    if not isinstance(layer, Conv):
        return f"{layer.statistic} of {layer.size}{stride}"
    dilation = f", dilation {layer.dilation}" if layer.dilation > 1 else ""
    zeros = f" {layer.zeros[0]}+{layer.zeros[1]}" if layer.padding == "same" else ""
    return f"conv {layer.kernel}{stride}{dilation}, {layer.activation}, {layer.padding}{zeros}"


def describe(model: FloatModel | IntModel) -> ModelDescription:
    """Describe a model: contract, layers, sizes, hash; for an integer model its bytes and the range proof."""
    layers = tuple(
        LayerDescription(
            kind_of(cell).name + (", backward" if index in model.backward else ""),
            size,
            tuple(group.name for group in kind_of(cell).rows),
        )
        for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True))
    )
    dense: tuple[Dense[Any], ...] = model.dense
    front: tuple[FrontLayer[Any], ...] = model.front
    before = tuple(
        LayerDescription(front_text(layer), size, ()) for layer, size in zip(front, model.front_sizes, strict=True)
    )
    layers = before + layers
    layers += tuple(
        LayerDescription(f"dense, {layer.activation}", size, ())
        for layer, size in zip(dense, model.dense_sizes, strict=True)
    )
    integer, parameters = None, None
    if isinstance(model.number_format, IntFormat):
        integer = model
    else:
        parameters = num_parameters(model)
    return ModelDescription(
        name=model.name,
        kind="float" if integer is None else "int",
        model_hash=model_hash(model),
        labels=model.labels,
        contract=model.contract,
        readout=model.readout,
        number_format=model.number_format,
        layers=layers,
        weight_bytes=None if integer is None else weight_bytes(integer),
        deployed_bytes=None if integer is None else deployed_bytes(integer),
        range_proof=None if integer is None else tuple(range_bounds(integer)),
        parameters=parameters,
    )
