"""An imported chain becomes a float model: what is linear is folded, what cannot be represented is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.frontends.chain import (
    Activate,
    Affine,
    Array,
    Bidirectional,
    Collapse,
    Convolution,
    Dense,
    ImportedChain,
    OutputFunction,
    Pool,
    Record,
    Recurrent,
    float32,
)
from edge_seq.ir import kinds
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.kind_names import ACTIVATIONS, POOLINGS, Pooling
from edge_seq.ir.kinds import Layer, hidden_size, input_size, row_groups
from edge_seq.ir.model import AtWindowEnd, FloatFormat, FloatModel, Readout, SequenceModel
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import ContractError, ModelError

SUPPORTED = (
    "an input scaling, recurrent layers (RNN with tanh, GRU, LSTM), the last, mean or largest state (or mean, then "
    "largest), and dense layers with relu or tanh"
)


@dataclass(frozen=True)
class Lowered:
    """A float model, and how it relates to the network that it came from.

    Attributes:
        model: float model. Its logits are those of the network; see ``output``.
        output: what the network's last activation makes of the logits.
        class_order: [K], the network's output for each label of the model.
        layer_outputs: [L], name of the tensor with all states of each layer; empty if the file has none.
        notes: what the user should know, one sentence each.
    """

    model: FloatModel
    output: OutputFunction
    class_order: tuple[int, ...]
    layer_outputs: tuple[str, ...]
    notes: tuple[str, ...]


def lower(
    chain: ImportedChain,
    *,
    name: str,
    labels: Sequence[str],
    contract: SensorContract,
    scaler: Normalisation,
    class_order: Sequence[str] | None = None,
    at_window_end: AtWindowEnd = "reset",
) -> Lowered:
    """Convert a chain to a float model.

    Args:
        chain: from a front end.
        name: C identifier in lower case.
        labels: K class names of the model, in the order of its class indices.
        contract: sensor contract of the windows.
        scaler: mean and scale of the network's input in counts: the network sees (counts - mean) / scale.
        class_order: K class names in the order of the network's outputs; None if that is the order of ``labels``.
        at_window_end: ``reset`` or ``carry``, see :class:`edge_seq.ir.model.Readout`.

    Raises:
        ModelError: the chain holds what the model cannot represent, or the number of classes differs.
        ContractError: channels or window length differ from those of the contract.
    """
    _check_input(chain, contract)
    _check_sizes(chain)
    channels = ", ".join(f"{one.name} [{one.unit}]" for one in contract.channels)
    notes = [f"the network gets the channels {channels}, in this order, at {contract.sample_rate_hz:g} Hz"]
    notes += [f"{one} changes nothing at inference and was passed over" for one in chain.passed_over]
    if chain.time_steps is None:
        notes.append(
            f"the network takes windows of any length; it gets those of the contract, {contract.window_length} samples"
        )
    normalisation, records = _fold_into_normalisation(_folded(chain.records), scaler)
    output, records = _split_output(records)
    recurrent, pooling, hidden, head = _parts(chain, records)
    order = _class_order(chain, labels, class_order)
    weight, bias, output = _head(chain, head, output, len(order), notes)
    pick = np.array(order)
    model: FloatModel = SequenceModel(
        name=name,
        labels=tuple(labels),
        contract=contract,
        layers=tuple(record.layer for record in recurrent),
        head=FloatRows(float32(weight[pick]), np.zeros((len(pick), 0), dtype=np.float32), float32(bias[pick])),
        readout=Readout(pooling=pooling, at_window_end=at_window_end),
        number_format=FloatFormat(normalisation),
        dense=hidden,
    )
    verify(model)
    return Lowered(model, output, order, tuple(record.output for record in recurrent), tuple(notes))


def original_outputs(lowered: Lowered, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Compute what the network itself would give from the model's logits.

    Args:
        lowered: result of :func:`lower`.
        logits: [B, K], in the order of the model's labels.

    Returns:
        float64 [B, K] in the order of the network's outputs, or [B, 1] for a network with one output.
    """
    z = np.asarray(logits, dtype=np.float64)[:, np.argsort(lowered.class_order)]
    match lowered.output:
        case "none":
            return z
        case "softmax":
            return softmax(z)
        case "log_softmax":
            shifted = z - z.max(axis=1, keepdims=True)
            return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
        case "logit" | "sigmoid":
            logit = z[:, 1:] - z[:, :1]
            return logit if lowered.output == "logit" else np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))
        case unreachable:
            assert_never(unreachable)


def _check_input(chain: ImportedChain, contract: SensorContract) -> None:
    if chain.input_size is not None and chain.input_size != contract.num_channels:
        raise ContractError(
            f"importing {chain.what}: its input has {chain.input_size} channels, the contract has "
            f"{contract.num_channels}, {list(contract.channel_names)}; expected the same number, in the same order. "
            "Correct channels in the data source"
        )
    if chain.time_steps is not None and chain.time_steps != contract.window_length:
        raise ContractError(
            f"importing {chain.what}: it takes windows of {chain.time_steps} samples, the contract has "
            f"{contract.window_length}; set window_length = {chain.time_steps} in the data source"
        )


def _check_sizes(chain: ImportedChain) -> None:
    """Check that each record takes as many values as the one before it gives, and that scales are finite."""
    size = chain.input_size
    for record in chain.records:
        takes, gives = size, size
        match record:
            case Affine():
                if not (np.isfinite(record.scale).all() and np.isfinite(record.offset).all()):
                    raise ModelError(
                        f"importing {chain.what}: {record.name} has scales or offsets that are not finite; expected "
                        "numbers, and variances above 0. The file is damaged; save the model again"
                    )
                takes = next((len(one) for one in (record.scale, record.offset) if len(one) not in (1, size)), size)
            case Recurrent():
                takes, gives = _inputs_of(record), hidden_size(record.layer)
            case Bidirectional():
                takes, gives = _inputs_of(record), hidden_size(record.forward) + hidden_size(record.backward)
            case Dense():
                takes, gives = _inputs_of(record), len(record.bias)
            case Convolution():
                takes, gives = record.weight.shape[1] * record.groups, len(record.bias)
            case Collapse(kind="mean_max"):
                gives = None if size is None else 2 * size
            case Collapse(kind="flatten"):
                gives = None
        if size is not None and takes != size:
            raise ModelError(
                f"importing {chain.what}: {record.name} takes {takes} values, and gets {size}; the file is damaged, or "
                "lists its layers in another order. Save the model again"
            )
        size = gives


def _class_order(chain: ImportedChain, labels: Sequence[str], given: Sequence[str] | None) -> tuple[int, ...]:
    """Output of the network for each label."""
    outputs = list(labels if given is None else given)
    if sorted(outputs) != sorted(labels):
        raise ModelError(
            f"importing {chain.what}: classes {outputs} are given for the network's outputs, the data have "
            f"{list(labels)}; expected the same names. Give them with --labels in the order of the outputs"
        )
    return tuple(outputs.index(label) for label in labels)


def _head(
    chain: ImportedChain, head: Dense, output: OutputFunction, num_classes: int, notes: list[str]
) -> tuple[Array, Array, OutputFunction]:
    """Rows of the head in the order of the network's outputs, and the output function."""
    rows = len(head.bias)
    if rows == 1 and num_classes == 2 and output in ("none", "sigmoid"):
        if output == "none":
            notes.append("its one output is taken as the logit of the second class")
        half = np.array([[-0.5], [0.5]], dtype=np.float32)  # softmax of (-z/2, z/2) is (1 - sigmoid(z), sigmoid(z))
        return half * head.weight, half[:, 0] * head.bias, "sigmoid" if output == "sigmoid" else "logit"
    if output == "sigmoid":
        raise ModelError(
            f"importing {chain.what}: sigmoid on {rows} outputs gives each class a probability of its own; this "
            f"project has one label a window, {num_classes} classes. Train with softmax, or with one sigmoid output "
            "for two classes"
        )
    if rows != num_classes:
        raise ModelError(
            f"importing {chain.what}: it has {rows} outputs, but there are {num_classes} classes; expected one output "
            "a class. Give the data that it was trained on, or the names with --labels"
        )
    return head.weight, head.bias, output


_Hidden = tuple[kinds.Dense[FloatRows], ...]


def _parts(chain: ImportedChain, records: Sequence[Record]) -> tuple[list[Recurrent], Pooling, _Hidden, Dense]:
    """Recurrent layers, pooling, hidden dense layers and head, or an error that names the first record that does not
    fit."""
    recurrent: list[Recurrent] = []
    rest = list(records)
    while rest and isinstance(first := rest[0], Recurrent):
        recurrent.append(first)
        rest = rest[1:]
    if not any(isinstance(record, Recurrent | Bidirectional) for record in records):
        raise ModelError(
            f"importing {chain.what}: it has no recurrent layer; found {_list(records)}. Supported: {SUPPORTED}"
        )
    collapse = rest[0] if rest and isinstance(rest[0], Collapse) else None
    pooling = None if collapse is None else next((one for one in POOLINGS if one == collapse.kind), None)
    hidden, after = _hidden(rest[1:])
    if recurrent and pooling is not None and len(after) == 1 and isinstance(head := after[0], Dense):
        return recurrent, pooling, hidden, head
    if recurrent and not any(isinstance(record, Collapse) for record in rest):
        raise ModelError(
            f"importing {chain.what}: it gives an output for each time step; expected one for the window. Let the last "
            "recurrent layer return its last state only (Keras: return_sequences=False; PyTorch: states[:, -1])"
        )
    if pooling is not None:
        rest = after
    if not rest:
        raise ModelError(f"importing {chain.what}: no linear layer follows its states. Supported: {SUPPORTED}")
    heads = [id(record) for record in rest if isinstance(record, Dense)][-1:]
    culprit = next((one for one in rest if not isinstance(one, Recurrent) and id(one) not in heads), rest[-1])
    if pooling is not None:  # a dense layer belongs there, so what is wrong is what follows it
        culprit = next((one for one in rest if not isinstance(one, Dense)), culprit)
    raise ModelError(f"importing {chain.what}: {_refusal(culprit)}. Supported: {SUPPORTED}")


def _hidden(records: Sequence[Record]) -> tuple[_Hidden, list[Record]]:
    """Dense layers with an activation at the start of the records, and the records after them."""
    layers: list[kinds.Dense[FloatRows]] = []
    rest = list(records)
    while len(rest) > 1 and isinstance(dense := rest[0], Dense) and isinstance(activate := rest[1], Activate):
        activation = next((one for one in ACTIVATIONS if one == activate.function), None)
        if activation is None:
            break
        none = np.zeros((len(dense.bias), 0), dtype=np.float32)
        layers.append(kinds.Dense(FloatRows(dense.weight, none, dense.bias), activation))
        rest = rest[2:]
    return tuple(layers), rest


def _list(records: Sequence[Record]) -> str:
    return ", ".join(f"{type(record).__name__} {record.name}" for record in records) or "nothing"


def _refusal(record: Record) -> str:
    """Why a record cannot be part of a model, and what to do."""
    match record:
        case Convolution():
            what, remedy = "a convolution", "train without it, or apply it before the recordings are stored"
        case Pool():
            what, remedy = f"{record.kind} pooling over time", "train without it, at a lower sample rate"
        case Bidirectional():
            what, remedy = "a bidirectional layer", "train with a forward layer of more units"
        case Collapse():
            what, remedy = f"a {record.kind} readout", "train with the last state, or with the mean of the states"
        case Dense():
            what, remedy = (
                "a linear layer at this place",
                "train with dense layers after the readout, with relu or tanh",
            )
        case Activate():
            what, remedy = f"the activation {record.function}", "train with relu or tanh in hidden dense layers"
        case _:
            what, remedy = f"{type(record).__name__} at this place", "train without it"
    return f"{record.name} is {what}, which is not supported yet; {remedy}"


def _split_output(records: list[Record]) -> tuple[OutputFunction, list[Record]]:
    """The output function and the records before it."""
    if records and isinstance(records[-1], Activate):
        for function in get_args(OutputFunction):
            if records[-1].function == function:
                return function, records[:-1]
    return "none", records


# --- folding ---------------------------------------------------------------------------------------------------------


def _folded(records: Sequence[Record]) -> list[Record]:
    """Fold neighbours into each other until nothing more can be folded. The function of the chain stays the same."""
    chain = list(records)
    position = 0
    while position < len(chain) - 1:
        folded = _fold_pair(chain[position], chain[position + 1], first_of_all=position == 0)
        if folded is None:
            position += 1
        else:
            chain[position : position + 2] = folded
            position = max(0, position - 1)
    return chain


def _fold_pair(first: Record, second: Record, *, first_of_all: bool = False) -> list[Record] | None:
    """Two neighbours as one, or in the order that lets them meet another; None if they stay.

    An affine at the start of the chain stays, because it becomes the model's normalisation.
    """
    match first, second:
        case Affine(), Affine():
            scale = second.scale * first.scale
            return [Affine(first.name, float32(scale), float32(second.scale * first.offset + second.offset))]
        case Affine(), Recurrent() | Dense() | Bidirectional() if not first_of_all:
            return [_after_linear(_diagonal(first, second), second)]
        case Affine(), Convolution() if not first_of_all and second.padding == (0, 0):
            return [_convolution_of_affine(first, second)]
        case Dense(), Recurrent() | Dense() | Bidirectional():
            return [_after_linear(first, second)]
        case Dense(), Affine():
            scale = np.broadcast_to(second.scale, first.bias.shape)
            bias = float32(scale * first.bias + second.offset)
            return [Dense(first.name, float32(scale[:, np.newaxis] * first.weight), bias)]
        case Convolution(), Affine():
            scale = np.broadcast_to(second.scale, first.bias.shape)
            bias = float32(scale * first.bias + second.offset)
            return [dataclasses.replace(first, weight=float32(scale[:, None, None] * first.weight), bias=bias)]
        case ((Affine() | Dense()), Collapse(kind="last" | "mean")) if not first_of_all:
            return [second, first]
        case Activate(), Collapse(kind="last"):
            return [second, first]
    return None


def _inputs_of(record: Recurrent | Dense | Bidirectional) -> int:
    if isinstance(record, Dense):
        return int(record.weight.shape[1])
    layer = record.layer if isinstance(record, Recurrent) else record.forward
    return input_size(layer)


def _diagonal(affine: Affine, before: Recurrent | Dense | Bidirectional) -> Dense:
    """An affine as a linear layer."""
    size = _inputs_of(before)
    scale, offset = (np.broadcast_to(one, (size,)) for one in (affine.scale, affine.offset))
    return Dense(affine.name, float32(np.diag(scale)), float32(offset))


def _after_linear(linear: Dense, record: Recurrent | Dense | Bidirectional) -> Record:
    """Apply a record to the outputs of a linear layer."""
    match record:
        case Dense():
            weight, bias = _through(linear, record.weight, record.bias)
            return Dense(record.name, weight, bias)
        case Recurrent():
            return dataclasses.replace(record, layer=_layer_after(linear, record.layer))
        case Bidirectional():
            forward, backward = (_layer_after(linear, layer) for layer in (record.forward, record.backward))
            return dataclasses.replace(record, forward=forward, backward=backward)
        case unreachable:
            assert_never(unreachable)


def _layer_after(linear: Dense, layer: Layer[FloatRows]) -> Layer[FloatRows]:
    groups: dict[str, Any] = {}
    for name, rows in row_groups(layer).items():
        if rows.weight_input.shape[1]:
            weight, bias = _through(linear, rows.weight_input, rows.bias)
            rows = FloatRows(weight, rows.weight_hidden, bias)
        groups[name] = rows
    return dataclasses.replace(layer, **groups)


def _through(linear: Dense, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Weight and bias of W (V x + v) + b, computed in float64."""
    wide = weight.astype(np.float64)
    return float32(wide @ linear.weight), float32(wide @ linear.bias + bias)


def _convolution_of_affine(affine: Affine, convolution: Convolution) -> Convolution:
    """A convolution without padding that has the affine of its inputs folded in."""
    outputs, inputs, _ = convolution.weight.shape
    channels = inputs * convolution.groups
    scale, offset = (np.broadcast_to(one, (channels,)).astype(np.float64) for one in (affine.scale, affine.offset))
    group = np.arange(outputs) // (outputs // convolution.groups)
    seen = group[:, np.newaxis] * inputs + np.arange(inputs)  # [O, I / groups], channel that a weight sees
    bias = convolution.bias + (convolution.weight.sum(axis=2) * offset[seen]).sum(axis=1)
    return dataclasses.replace(
        convolution, weight=float32(convolution.weight * scale[seen][:, :, np.newaxis]), bias=float32(bias)
    )


def _fold_into_normalisation(records: list[Record], scaler: Normalisation) -> tuple[Normalisation, list[Record]]:
    """Make an affine at the start part of the normalisation, or of the weights if it turns or drops a channel."""
    if not records or not isinstance(records[0], Affine):
        return scaler, records
    affine, rest = records[0], records[1:]
    mean, scale = np.array(scaler.mean), np.array(scaler.scale)
    by, offset = (np.broadcast_to(one, mean.shape).astype(np.float64) for one in (affine.scale, affine.offset))
    if (by > 0).all():
        combined = Normalisation(tuple((mean - offset * scale / by).tolist()), tuple((scale / by).tolist()))
        return combined, rest
    folded = _fold_pair(affine, rest[0]) if rest else None
    return scaler, records if folded is None else [*folded, *rest[1:]]
