"""Convert a torch ``state_dict`` to the float model. Only this module knows torch's gate order.

torch stacks the gates of a layer in blocks of H rows (torch.nn.LSTM, torch.nn.GRU, "Variables"): LSTM i, f, g, o; GRU
r, z, n. It keeps two biases. They are summed here, except in the GRU's new gate, where the reset gate multiplies the
hidden part with its bias: n = tanh(W_n x + b_in + r * (W_hn h + b_hn)).

The functions take arrays or torch tensors. torch is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import Activation, CellName
from edge_seq.ir.kinds import Dense, FastGrnn, Gru, Layer, Lstm, Rnn
from edge_seq.ir.model import FloatFormat, FloatModel, Readout, SequenceModel
from edge_seq.ir.rows import FloatRows
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ModelError

if TYPE_CHECKING:
    from edge_seq.training.config import FrontConfig
    from edge_seq.training.loop import TrainingResult

RECURRENT_PREFIX, HEAD_PREFIX, DENSE_PREFIX = "recurrent.", "head.", "dense."
FRONT_PREFIX = "front."

_CELL_OF_GATES: dict[int, CellName] = {1: "rnn", 3: "gru", 4: "lstm"}
_LAYER_TENSORS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

Array = NDArray[np.float32]


def from_training(
    result: TrainingResult, *, name: str, labels: Sequence[str], readout: Readout | None = None
) -> FloatModel:
    """Convert a training result to a float model.

    Args:
        result: result of :func:`edge_seq.training.loop.train`.
        name: C identifier in lower case.
        labels: K class names, in the order of the class indices.
        readout: pooling, and when labels are given; None takes both from the training configuration.

    Raises:
        ModelError: the same cases as :func:`from_torch`.
    """
    if readout is None:
        readout = Readout(pooling=result.config.pooling, label_every=result.config.label_every)
    return from_torch(
        result.state_dict,
        name=name,
        labels=labels,
        contract=result.contract,
        normalisation=result.normalisation,
        readout=readout,
        dense_activations=(result.config.dense_activation,) * len(result.config.dense),
        front=result.config.front,
        nonlinearity="tanh",  # of SequenceClassifier
    )


def from_torch(
    state_dict: Mapping[str, Any],
    *,
    name: str,
    labels: Sequence[str],
    contract: SensorContract,
    normalisation: Normalisation,
    readout: Readout,
    recurrent_prefix: str = RECURRENT_PREFIX,
    head_prefix: str = HEAD_PREFIX,
    dense_prefix: str = DENSE_PREFIX,
    dense_activations: Sequence[Activation] = (),
    front: Sequence[FrontConfig] = (),
    front_prefix: str = FRONT_PREFIX,
    nonlinearity: Literal["tanh"] | None = None,
) -> FloatModel:
    """Convert the weights of one torch.nn.RNN (tanh), GRU or LSTM, any number of dense layers and a linear head.

    The number of gates tells the kind of cell. A missing bias was switched off in torch and counts as 0.

    Args:
        state_dict: float tensors or arrays by torch's names, ``<prefix>weight_ih_l0`` and so on.
        name: C identifier in lower case.
        labels: K class names.
        contract: sensor contract; the number of its channels is the input size.
        normalisation: mean and scale that the network was trained with.
        readout: pooling, and when labels are given.
        recurrent_prefix: prefix of the recurrent module's names.
        head_prefix: prefix of the linear layer's names.
        dense_prefix: prefix of the names of the dense layers between readout and head: ``<prefix>0.weight`` and so on.
        dense_activations: activation of each dense layer, which the weights do not show.
        front: layers before the recurrent module, of whose convolutions the weights show only units and kernel.
        front_prefix: prefix of the names of convolutions: ``<prefix>0.weight`` of the first front layer, and so on.
        nonlinearity: needed for torch.nn.RNN, whose weights do not show whether it used tanh or
            ``nonlinearity="relu"``.

    Returns:
        float model, verified.

    Raises:
        ModelError: a tensor is missing, not supported or of the wrong shape.
    """
    refuse_unsupported(state_dict, recurrent_prefix)
    arrays = {key: to_float32(key, value) for key, value in state_dict.items()}
    layers: list[Layer[FloatRows]] = []
    while f"{recurrent_prefix}weight_ih_l{len(layers)}" in arrays:
        layers.append(take_layer(arrays, recurrent_prefix, len(layers)))
    if not layers:
        raise ModelError(
            f"state_dict has no {recurrent_prefix}weight_ih_l0; found {sorted(state_dict)}. Give the prefix of the "
            "recurrent module as recurrent_prefix"
        )
    front_layers = tuple(_take_front(arrays, front_prefix, index, layer) for index, layer in enumerate(front))
    dense = tuple(
        Dense(_take_linear(arrays, f"{dense_prefix}{index}.", "dense_prefix, or fewer dense_activations"), activation)
        for index, activation in enumerate(dense_activations)
    )
    head = _take_linear(arrays, head_prefix, "head_prefix")
    if arrays:
        raise ModelError(
            f"state_dict holds {sorted(arrays)}, which cannot be converted. Supported: one torch.nn.RNN (tanh), GRU or "
            "LSTM, linear layers with dense_activations, and one linear head"
        )
    model: FloatModel = SequenceModel(
        name=name,
        labels=tuple(labels),
        contract=contract,
        layers=tuple(layers),
        head=head,
        readout=readout,
        number_format=FloatFormat(normalisation),
        dense=dense,
        front=front_layers,
    )
    verify(model)
    if any(isinstance(layer, Rnn) for layer in layers) and nonlinearity != "tanh":
        raise ModelError(
            f"state_dict: {recurrent_prefix}weight_ih_l0 is of a torch.nn.RNN, whose weights do not show its "
            "nonlinearity; give nonlinearity='tanh' if it is tanh. relu is not supported: train with tanh"
        )
    return model


def refuse_unsupported(state_dict: Mapping[str, Any], prefix: str) -> None:
    """Refuse options of torch's recurrent modules that this project does not support, by name."""
    for suffix, option, remedy in (
        (
            "_reverse",
            "bidirectional=True",
            "export the network as ONNX, or import the module in Python with es.from_torch",
        ),
        ("weight_hr_l0", "proj_size", "train without it"),
    ):
        found = [key for key in state_dict if key.startswith(prefix) and key.endswith(suffix)]
        if found:
            raise ModelError(
                f"state_dict: {found[0]} belongs to a recurrent module with {option}, which is not supported here; "
                f"{remedy}"
            )


def to_float32(key: str, value: Any) -> Array:
    """Copy an array or a torch tensor as float32. Tensors are detached first."""
    array = np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    if not np.issubdtype(array.dtype, np.floating):
        raise ModelError(
            f"state_dict: {key} has dtype {array.dtype}; expected floating point, convert quantized weights"
        )
    return array.astype(np.float32)


def take_layer(arrays: dict[str, Array], prefix: str, layer: int) -> Layer[FloatRows]:
    """Remove one layer's tensors from ``arrays`` and convert them."""
    names = {tensor: f"{prefix}{tensor}_l{layer}" for tensor in _LAYER_TENSORS}
    weight_ih, weight_hh = arrays.pop(names["weight_ih"]), arrays.pop(names["weight_hh"], None)
    if weight_hh is None:
        raise ModelError(f"state_dict: {names['weight_ih']} is there and {names['weight_hh']} is not; both are needed")
    rows = weight_ih.shape[0]
    size = weight_hh.shape[1] if weight_hh.ndim == 2 else 0
    scalars = _take_scalars(arrays, prefix, layer)
    biases = 2 * rows if scalars else rows  # a FastGRNN has two biases for its one block of rows
    bias_ih = arrays.pop(names["bias_ih"], np.zeros(biases, dtype=np.float32))
    bias_hh = arrays.pop(names["bias_hh"], np.zeros(biases, dtype=np.float32))
    num_gates = rows // size if size and rows % size == 0 else 0
    cell = _CELL_OF_GATES.get(num_gates)
    if scalars:
        cell = "fastgrnn" if num_gates == 1 else None
    if cell is None or weight_ih.ndim != 2 or len(weight_hh) != rows:
        raise ModelError(
            f"state_dict: {names['weight_ih']} {list(weight_ih.shape)} and {names['weight_hh']} "
            f"{list(weight_hh.shape)} are no layer; expected [G H, I] and [G H, H] with G = 1 (RNN, "
            "FastGRNN), 3 (GRU) or 4 (LSTM)"
        )
    if bias_ih.shape != (biases,) or bias_hh.shape != (biases,):
        raise ModelError(
            f"state_dict: {names['bias_ih']} {list(bias_ih.shape)} and {names['bias_hh']} {list(bias_hh.shape)}; "
            f"expected [{biases}], {'two' if scalars else 'one'} for each row of {names['weight_ih']}"
        )

    def gate(index: int) -> FloatRows:
        block = slice(index * size, (index + 1) * size)
        return FloatRows(weight_ih[block], weight_hh[block], bias_ih[block] + bias_hh[block])

    match cell:
        case "rnn":
            return Rnn(hidden=gate(0))
        case "lstm":
            return Lstm(input_gate=gate(0), forget_gate=gate(1), cell_gate=gate(2), output_gate=gate(3))
        case "gru":
            new = slice(2 * size, 3 * size)
            return Gru(
                reset_gate=gate(0),
                update_gate=gate(1),
                new_gate_input=FloatRows(weight_ih[new], np.zeros((size, 0), dtype=np.float32), bias_ih[new]),
                new_gate_hidden=FloatRows(
                    np.zeros((size, 0), dtype=np.float32),
                    weight_hh[new],
                    bias_hh[new],
                ),
            )
        case "fastgrnn":
            update_bias, new_bias = np.split(bias_ih + bias_hh, 2)
            return FastGrnn(FloatRows(weight_ih, weight_hh, new_bias), update_bias - new_bias, **scalars)
        case unreachable:
            assert_never(unreachable)


def _take_scalars(arrays: dict[str, Array], prefix: str, layer: int) -> dict[str, Array]:
    """Remove zeta and nu of a FastGRNN from ``arrays``: [1] each, after their sigmoid. Empty for other cells."""
    found = {name: f"{prefix}{name}_l{layer}" for name in ("zeta", "nu") if f"{prefix}{name}_l{layer}" in arrays}
    if len(found) == 1:
        ((name, key),) = found.items()
        other = f"{prefix}{'nu' if name == 'zeta' else 'zeta'}_l{layer}"
        raise ModelError(f"state_dict: {key} is there and {other} is not; a FastGRNN needs both")
    return {name: np.asarray(1 / (1 + np.exp(-arrays.pop(key))), dtype=np.float32) for name, key in found.items()}


def _take_front(arrays: dict[str, Array], prefix: str, index: int, layer: FrontConfig) -> FrontLayer[FloatRows]:
    """Remove a convolution from ``arrays`` and convert it; a pool has no weights."""
    match layer.kind:
        case "conv":
            name = f"{prefix}{index}.weight"
            weight = arrays.pop(name, None)
            if weight is None or weight.ndim != 3 or weight.shape[2] != layer.kernel:
                found = "is missing" if weight is None else f"has shape {list(weight.shape)}"
                raise ModelError(
                    f"state_dict: {name} {found}; expected [units, inputs, {layer.kernel}] of a torch.nn.Conv1d "
                    "without groups. Give its prefix as front_prefix"
                )
            units = len(weight)
            bias = arrays.pop(f"{prefix}{index}.bias", np.zeros(units, dtype=np.float32))
            flat = weight.transpose(0, 2, 1).reshape(units, -1)  # input by input, the oldest first
            rows = FloatRows(flat, np.zeros((units, 0), dtype=np.float32), bias)
            return Conv(rows, layer.activation, layer.kernel, layer.stride, layer.dilation, layer.padding)
        case "max" | "mean":
            return TimePool(layer.kind, layer.kernel, layer.stride)
        case unreachable:
            assert_never(unreachable)


def _take_linear(arrays: dict[str, Array], prefix: str, option: str) -> FloatRows:
    """Remove a linear layer from ``arrays`` and convert it. ``option`` is what to change if it is not there."""
    weight = arrays.pop(f"{prefix}weight", None)
    if weight is None or weight.ndim != 2:
        found = "is missing" if weight is None else f"has shape {list(weight.shape)}"
        raise ModelError(
            f"state_dict: {prefix}weight {found}; expected [outputs, inputs] of a linear layer. Give its prefix as "
            f"{option}"
        )
    bias = arrays.pop(f"{prefix}bias", np.zeros(len(weight), dtype=np.float32))
    return FloatRows(weight, np.zeros((len(weight), 0), dtype=np.float32), bias)
