"""An imported chain becomes a float model: what is linear is folded, what cannot be represented is refused by name."""

from __future__ import annotations

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
from edge_seq.frontends.fold import diagonal, folded, full_weight, inputs_of, one_way
from edge_seq.frontends.opening import check_size
from edge_seq.ir import kinds
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import ACTIVATIONS, POOLINGS, Activation, Padding, Pooling
from edge_seq.ir.kinds import hidden_size
from edge_seq.ir.model import AtWindowEnd, FloatFormat, FloatModel, Readout, SequenceModel
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import ContractError, ModelError

SUPPORTED = (
    "an input scaling; convolutions, linear layers with relu, tanh or sigmoid, and pooling over time; recurrent layers "
    "(RNN with tanh, GRU, LSTM), also bidirectional; the last, mean or largest state (or mean, then largest), or the "
    "states of all steps (flatten); dense layers with relu, tanh or sigmoid"
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
    normalisation, records = folded(chain.records, scaler)
    output, records = _split_output(records)
    recurrent_from = next((i for i, one in enumerate(records) if isinstance(one, Recurrent | Bidirectional)), 0)
    recurrent, pooling, hidden, head = _parts(chain, one_way(records[recurrent_from:], notes), notes)
    front = _front(chain, records[:recurrent_from], contract.num_channels, notes)
    order = _class_order(chain, labels, class_order)
    weight, bias, output = _head(chain, head, output, len(order), notes)
    pick = np.array(order)
    model: FloatModel = SequenceModel(
        name=name,
        labels=tuple(labels),
        contract=contract,
        layers=tuple(layer for record in recurrent for layer in _layers_of(record)),
        head=FloatRows(float32(weight[pick]), np.zeros((len(pick), 0), dtype=np.float32), float32(bias[pick])),
        readout=Readout(pooling=pooling, at_window_end=at_window_end),
        number_format=FloatFormat(normalisation),
        dense=hidden,
        front=front,
        backward=_backward(recurrent),
    )
    verify(model)
    notes += _kept_notes(model, recurrent)
    outputs = [output_ for record in recurrent for output_ in _outputs_of(record)]
    return Lowered(model, output, order, tuple(outputs), tuple(notes))


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
                takes, gives = inputs_of(record), hidden_size(record.layer)
            case Bidirectional():
                takes, gives = inputs_of(record), hidden_size(record.forward) + hidden_size(record.backward)
            case Dense():
                takes, gives = inputs_of(record), len(record.bias)
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


# --- layers before the recurrent ones --------------------------------------------------------------------------------

_NOTHING = Affine("nothing", float32([1.0]), float32([0.0]))  # changes nothing


def _front(
    chain: ImportedChain, records: Sequence[Record], size: int, notes: list[str]
) -> tuple[FrontLayer[FloatRows], ...]:
    """Convolutions, linear layers and pools over time between the features, ``size`` of them, and the recurrent
    layers."""
    layers: list[FrontLayer[FloatRows]] = []
    rest = list(records)
    while rest:
        record = rest.pop(0)
        if isinstance(record, Pool) and layers:
            if record.padding != (0, 0):
                raise _refused(chain, record)
            layers.append(TimePool("mean" if record.kind == "average" else "max", record.size, record.stride))
            continue
        linear = record
        if isinstance(record, Affine | Pool | Activate):
            linear = _linear(chain, record, size, notes)
            if not isinstance(record, Affine):  # nothing linear stands before it
                rest.insert(0, record)
        activation: Activation = "none"
        if rest and isinstance(activate := rest[0], Activate):
            activation = _activation(chain, activate)
            rest = rest[1:]
        match linear:
            case Dense():
                layers.append(Conv(_no_state(linear.weight, linear.bias), activation, 1, padding="valid"))
                size = len(linear.bias)
            case Convolution():
                layers.append(_convolution(chain, linear, activation, notes))
                size = len(linear.bias)
            case _:
                raise _refused(chain, linear)
    return tuple(layers)


def _linear(chain: ImportedChain, record: Record, size: int, notes: list[str]) -> Dense:
    """A linear layer that computes a scaling, or nothing, before what needs one."""
    check_size(chain.what, record.name, (size, size))
    notes.append(
        f"no linear layer stands before {record.name}, or none that takes it up; one with "
        f"{size} x {size} weights was added"
    )
    return diagonal(record if isinstance(record, Affine) else _NOTHING, size)


def _convolution(
    chain: ImportedChain, record: Convolution, activation: Activation, notes: list[str]
) -> Conv[FloatRows]:
    outputs, inputs, kernel = record.weight.shape
    check_size(chain.what, f"{record.name} with its groups", (outputs, inputs * record.groups, kernel))
    if record.groups > 1:
        notes.append(
            f"{record.name} has {record.groups} groups; the weights between groups are stored as zeros, "
            f"{record.groups} times as many weights as it has"
        )
    if kernel > 1 and _is_copy(record.weight):
        notes.append(
            f"{record.name} puts {kernel} steps of {inputs} values in one vector; that is a convolution with "
            f"{record.weight.size:,} weights, all but {outputs:,} of them zeros that take flash"
        )
    weight = full_weight(record).transpose(0, 2, 1).reshape(outputs, -1)  # [O, K I], the oldest input first
    reach = record.dilation * (kernel - 1)
    padding: Padding = {(reach, 0): "causal", (0, 0): "valid"}.get(record.padding, "same")  # type: ignore[assignment]
    if max(record.padding) > reach:
        raise ModelError(
            f"importing {chain.what}: {record.name} adds {record.padding[0]} zeros before the window and "
            f"{record.padding[1]} behind it, of which some outputs see nothing else; expected at most {reach} each. "
            "Train with padding 'same', 'causal' or 'valid'"
        )
    if record.padding[1]:
        notes.append(
            f"{record.name} sees {record.padding[1]} zeros behind the window; the steps that depend on them are "
            "computed at the window's last sample, which takes longer. Padding 'causal' does not need them"
        )
    zeros = record.padding if padding == "same" else (0, 0)
    rows = _no_state(float32(weight), record.bias)
    return Conv(rows, activation, kernel, record.stride, record.dilation, padding, zeros=zeros)


def _is_copy(weight: Array) -> bool:
    """True if each output of a convolution is one of its inputs."""
    return bool(np.isin(weight, (0, 1)).all() and (weight.sum(axis=(1, 2)) == 1).all())


def _no_state(weight: Array, bias: Array) -> FloatRows:
    """Rows that see no state."""
    return FloatRows(weight, np.zeros((len(bias), 0), dtype=np.float32), bias)


def _activation(chain: ImportedChain, record: Activate) -> Activation:
    for activation in ACTIVATIONS:
        if activation == record.function:
            return activation
    raise _refused(chain, record)


# --- recurrent layers, readout and head ------------------------------------------------------------------------------

_Hidden = tuple[kinds.Dense[FloatRows], ...]
_AnyRecurrent = Recurrent | Bidirectional


def _layers_of(record: _AnyRecurrent) -> tuple[kinds.Layer[FloatRows], ...]:
    return (record.layer,) if isinstance(record, Recurrent) else (record.forward, record.backward)


def _outputs_of(record: _AnyRecurrent) -> tuple[str, ...]:
    """Name of the tensor with all states of each layer; the tensor of a bidirectional layer holds those of both."""
    return (record.output,) if isinstance(record, Recurrent) else ("", "")


def _backward(records: Sequence[_AnyRecurrent]) -> tuple[int, ...]:
    """Indices of the layers that run backward."""
    found, index = [], 0
    for record in records:
        index += len(_layers_of(record))
        if isinstance(record, Bidirectional):
            found.append(index - 1)
    return tuple(found)


def _kept_notes(model: FloatModel, records: Sequence[_AnyRecurrent]) -> list[str]:
    """What bidirectional layers cost."""
    if not model.backward:
        return []
    names = ", ".join(record.name for record in records if isinstance(record, Bidirectional))
    values = model.kept_steps * sum(units * parts for units, parts in model.kept_inputs.values())
    late = len(model.layers) - model.streamed
    return [
        f"{names}: the backward direction begins at a window's last sample. The device keeps the inputs of a window, "
        f"{values} values of 16 bits, and its step at the last sample takes {late} x {model.kept_steps} steps of a "
        "layer more than the others; edge-seq measure shows both"
    ]


def _parts(
    chain: ImportedChain, records: Sequence[Record], notes: list[str]
) -> tuple[list[_AnyRecurrent], Pooling, _Hidden, Dense]:
    """Recurrent layers, pooling, hidden dense layers and head, or an error that names the first record that does not
    fit."""
    recurrent: list[_AnyRecurrent] = []
    rest = list(records)
    while rest and isinstance(first := rest[0], Recurrent | Bidirectional):
        recurrent.append(first)
        rest = rest[1:]
    if not any(isinstance(record, Recurrent | Bidirectional) for record in records):
        raise ModelError(
            f"importing {chain.what}: it has no recurrent layer; found {_list(records)}. Supported: {SUPPORTED}"
        )
    collapse = rest[0] if rest and isinstance(rest[0], Collapse) else None
    two_ways = bool(recurrent) and isinstance(recurrent[-1], Bidirectional)
    if two_ways and collapse is not None and collapse.kind == "last":
        raise _refused(chain, recurrent[-1])
    ways = next((one for one in recurrent if isinstance(one, Bidirectional)), None)
    if collapse is not None and collapse.kind == "flatten" and ways is not None:
        raise ModelError(
            f"importing {chain.what}: {collapse.name} flattens the states of all steps behind {ways.name}, a "
            "bidirectional layer, which is not supported: flattened states are summed while they come, and those of a "
            "backward direction come at the window's end. Train with the mean or the largest of the states "
            "(GlobalAveragePooling1D, GlobalMaxPooling1D), or with the last ones (return_sequences=False)"
        )
    pooling = None
    if collapse is not None:
        kind = "last" if collapse.kind == "ends" and two_ways else collapse.kind
        pooling = next((one for one in POOLINGS if one == kind), None)
    units = sum(map(hidden_size, _layers_of(recurrent[-1]))) * (2 if pooling == "mean_max" else 1) if recurrent else 0
    if pooling == "flatten" and len(rest) > 1 and not isinstance(rest[1], Dense):
        raise _refused(chain, rest[1])
    hidden, after = _hidden(chain, rest[1:], units, notes)
    if recurrent and pooling is not None and len(after) == 1 and isinstance(head := after[0], Dense):
        if collapse is not None and pooling == "flatten" and isinstance(dense := rest[1], Dense):
            notes.append(
                f"{collapse.name} flattens the states of all steps; {dense.name} has {dense.weight.size:,} weights for "
                f"them, {dense.weight.shape[1] // max(units, 1)} times as many as for the last state alone, and as "
                "many bytes of flash. No state is kept: its sums run on with each step"
            )
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
    culprit = next((one for one in rest if not isinstance(one, _AnyRecurrent) and id(one) not in heads), rest[-1])
    if pooling is not None:  # a dense layer belongs there, so what is wrong is what follows it
        culprit = next((one for one in rest if not isinstance(one, Dense)), culprit)
    raise _refused(chain, culprit)


def _hidden(
    chain: ImportedChain, records: Sequence[Record], size: int, notes: list[str]
) -> tuple[_Hidden, list[Record]]:
    """Dense layers with an activation at the start of the records, which see ``size`` values, and the records after
    them."""
    layers: list[kinds.Dense[FloatRows]] = []
    rest = list(records)
    while len(rest) > 1:
        dense = rest[0]
        if isinstance(dense, Activate):  # of what is read out itself
            rest.insert(0, dense := _linear(chain, dense, size, notes))
        elif isinstance(dense, Affine) and isinstance(rest[1], Activate):
            rest[0] = dense = _linear(chain, dense, size, notes)
        if not isinstance(dense, Dense) or not isinstance(activate := rest[1], Activate):
            break
        layers.append(kinds.Dense(_no_state(dense.weight, dense.bias), _activation(chain, activate)))
        size = len(dense.bias)
        rest = rest[2:]
    return tuple(layers), rest


def _list(records: Sequence[Record]) -> str:
    return ", ".join(f"{type(record).__name__} {record.name}" for record in records) or "nothing"


def _refused(chain: ImportedChain, record: Record) -> ModelError:
    """Why a record cannot be part of a model, and what to do."""
    match record:
        case Pool(padding=(before, after)) if before or after:
            what, remedy = f"pooling over time with padding {before} and {after}", "pool without padding ('valid')"
        case Convolution():
            what, remedy = "a convolution behind a recurrent layer", "train with convolutions before them alone"
        case Pool():
            what = f"{record.kind} pooling over time behind a recurrent layer"
            remedy = "train with pooling before them alone"
        case Bidirectional():
            what = "a bidirectional GRU of which the last step alone is read out, states[:, -1] in PyTorch"
            remedy = (
                "read out the mean of its states, or the last state of each direction, which has seen the whole window "
                "(PyTorch: torch.cat([h_n[-2], h_n[-1]], dim=1))"
            )
        case Collapse():
            what, remedy = f"a {record.kind} readout", "train with the last state, or with the mean of the states"
        case Dense():
            what = "a linear layer on the states of each step"
            remedy = (
                "train with dense layers before the recurrent ones or after the readout, with relu or tanh; of "
                "bidirectional layers with merge_mode='sum' or 'ave', read out the last state or the mean"
            )
        case Activate():
            what, remedy = f"the activation {record.function}", "train with relu, tanh or sigmoid in hidden layers"
        case _:
            what, remedy = f"{type(record).__name__} at this place", "train without it"
    return ModelError(
        f"importing {chain.what}: {record.name} is {what}, which is not supported; {remedy}. Supported: {SUPPORTED}"
    )


def _split_output(records: list[Record]) -> tuple[OutputFunction, list[Record]]:
    """The output function and the records before it."""
    if records and isinstance(records[-1], Activate):
        for function in get_args(OutputFunction):
            if records[-1].function == function:
                return function, records[:-1]
    return "none", records
