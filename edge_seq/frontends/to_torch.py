"""The way back: a float model as a ``state_dict`` of :class:`edge_seq.training.modules.SequenceClassifier`.

A training can then start from a model that was trained before, or imported.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.frontends.from_torch import DENSE_PREFIX, FRONT_PREFIX, HEAD_PREFIX, RECURRENT_PREFIX
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kinds import FastGrnn, Gru, Layer, Lstm, Rnn, kind_of
from edge_seq.ir.model import FloatModel
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ModelError

Array = NDArray[np.float32]


# Options of a training by name: numbers, names, units of dense layers, and tables of front layers.
TrainingOptions = dict[str, str | int | tuple[int, ...] | tuple[dict[str, str | int], ...]]


def training_options(model: FloatModel) -> TrainingOptions:
    """Options of a training, as :class:`edge_seq.training.config.TrainingConfig` names them, that make this network.

    Raises:
        ModelError: its layers are of several kinds or sizes, or bidirectional, which a training cannot make, or a
            convolution has padding behind the window.
    """
    if model.backward:
        raise ModelError(
            f"training from {model.name}: it has a bidirectional layer, which a training cannot make; train it further "
            "where it was trained, and import it again, or teach a smaller network with: edge-seq distill RUN"
        )
    front = tuple(_front_options(model, index) for index in range(len(model.front)))
    kinds = [kind_of(layer).name for layer in model.layers]
    if len({*zip(kinds, model.hidden_sizes, strict=True)}) > 1:
        layers = ", ".join(f"{kind} {size}" for kind, size in zip(kinds, model.hidden_sizes, strict=True))
        raise ModelError(
            f"training from {model.name}: its layers are {layers}; a training makes layers of one kind and one size. "
            "Train it further where it was trained, and import it again"
        )
    activations = {layer.activation for layer in model.dense}
    if not activations <= {"relu"} and not activations <= {"tanh"}:
        raise ModelError(
            f"training from {model.name}: its dense layers have the activations {sorted(activations)}; a training "
            "makes all with relu or all with tanh. Train it further where it was trained, and import it again"
        )
    return {
        "cell": kinds[0],
        "hidden_size": model.hidden_sizes[0],
        "num_layers": len(kinds),
        "pooling": model.readout.pooling,
        **({"front": front} if front else {}),
        "dense": model.dense_sizes,
        "dense_activation": "tanh" if "tanh" in activations else "relu",
        "label_every": model.readout.label_every,
    }


def state_dict_of(model: FloatModel) -> dict[str, Array]:
    """The weights by torch's names, float32: the inverse of :func:`edge_seq.frontends.from_torch.from_torch`.

    torch's second bias is 0, except in a GRU's new gate.

    Raises:
        ModelError: the same cases as :func:`training_options`.
    """
    training_options(model)
    weights: dict[str, Array] = {}
    for index, front in enumerate(model.front):
        if isinstance(front, Conv):
            seen = front.rows.weight_input.reshape(len(front.rows.bias), front.kernel, -1)
            weights |= {
                f"{FRONT_PREFIX}{index}.weight": seen.transpose(0, 2, 1),
                f"{FRONT_PREFIX}{index}.bias": front.rows.bias,
            }
    for index, layer in enumerate(model.layers):
        weights |= {f"{RECURRENT_PREFIX}{name}_l{index}": array for name, array in _layer(layer).items()}
    for index, dense in enumerate(model.dense):
        weights |= {
            f"{DENSE_PREFIX}{index}.weight": dense.rows.weight_input,
            f"{DENSE_PREFIX}{index}.bias": dense.rows.bias,
        }
    head = {f"{HEAD_PREFIX}weight": model.head.weight_input, f"{HEAD_PREFIX}bias": model.head.bias}
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in {**weights, **head}.items()}


def _front_options(model: FloatModel, index: int) -> dict[str, str | int]:
    """Options of a front layer, as :class:`edge_seq.training.config.FrontConfig` names them."""
    layer = model.front[index]
    match layer:
        case Conv(padding="same"):
            raise ModelError(
                f"training from {model.name}: front layer {index} sees {layer.zeros[0]} zeros before the window and "
                f"{layer.zeros[1]} behind it; a training makes convolutions with causal or valid padding. Train it "
                "further where it was trained, and import it again"
            )
        case Conv():
            sizes = {"kernel": layer.kernel, "stride": layer.stride, "dilation": layer.dilation}
            names = {"padding": layer.padding, "activation": layer.activation}
            return {"kind": "conv", "units": len(layer.rows.bias), **sizes, **names}
        case TimePool():
            return {"kind": layer.statistic, "kernel": layer.size, "stride": layer.stride}
        case unreachable:
            assert_never(unreachable)


def _stacked(rows: list[FloatRows]) -> dict[str, Array]:
    bias = np.concatenate([one.bias for one in rows])
    return {
        "weight_ih": np.concatenate([one.weight_input for one in rows]),
        "weight_hh": np.concatenate([one.weight_hidden for one in rows]),
        "bias_ih": bias,
        "bias_hh": np.zeros_like(bias),
    }


def _layer(layer: Layer[FloatRows]) -> dict[str, Array]:
    match layer:
        case Rnn():
            return _stacked([layer.hidden])
        case Lstm():
            return _stacked([layer.input_gate, layer.forget_gate, layer.cell_gate, layer.output_gate])
        case Gru():
            of_input, of_state = layer.new_gate_input, layer.new_gate_hidden
            new = FloatRows(of_input.weight_input, of_state.weight_hidden, of_input.bias)
            stacked = _stacked([layer.reset_gate, layer.update_gate, new])
            stacked["bias_hh"][-len(new.bias) :] = of_state.bias
            return stacked
        case FastGrnn():
            rows = layer.new_gate
            scalars = {name: np.log(value / (1 - value)) for name, value in (("zeta", layer.zeta), ("nu", layer.nu))}
            bias = np.concatenate([rows.bias + layer.update_offset, rows.bias])
            return {"weight_ih": rows.weight_input, "weight_hh": rows.weight_hidden, "bias_ih": bias, **scalars}
        case unreachable:
            assert_never(unreachable)
