"""Layers of Keras that an imported network may have: one entry each in :data:`LAYERS`.

Keras stacks the gates of a layer in blocks of H columns (``keras/src/layers/rnn``): LSTM i, f, c, o; GRU z, r, h with
``reset_after=True``, whose bias is [2, 3H], of the input and of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_seq.frontends.chain import Array, Bidirectional, CollapseKind, Convolution, PoolKind, Recurrent, float32
from edge_seq.frontends.flow import PART, Flow
from edge_seq.ir.kinds import Gru, Layer, Lstm, Rnn, hidden_size
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ModelError

Config = Mapping[str, Any]


def is_of_keras(entry: Config) -> bool:
    """Whether an object of the file is of Keras itself. Files of early Keras 2 do not say where a class comes from."""
    module = entry.get("module")
    return not entry.get("registered_name") if module is None else str(module).split(".")[0] in ("keras", "tf_keras")


@dataclass(frozen=True)
class KerasLayer:
    """A layer of the file: its place for messages, its configuration, its weights, and the tensor that it gets."""

    what: str
    kind: str
    name: str
    config: Config
    weights: Callable[[], list[Array]]
    flow: Flow

    def refuse(self, found: str, remedy: str) -> ModelError:
        """The error for what cannot be represented."""
        return ModelError(
            f"importing {self.what}: {self.kind} {self.name} has {found}, which is not supported; {remedy}"
        )

    def take(self, *shapes: str) -> list[Array]:
        """The weights, one for each name of ``shapes``."""
        found = self.weights()
        if len(found) != len(shapes):
            raise ModelError(
                f"importing {self.what}: {self.kind} {self.name} has weights {[list(one.shape) for one in found]}; "
                f"expected {len(shapes)}: {', '.join(shapes)}. The file is damaged or of an unknown release; save the "
                "model again with model.save"
            )
        return found

    def require(self, key: str, expected: object, remedy: str) -> None:
        """Check an option. One that the file leaves out has the expected value in Keras."""
        found = self.config.get(key, expected)
        if found != expected:
            raise self.refuse(f"{key}={found!r}", remedy)


def _activated(layer: KerasLayer, flow: Flow) -> Flow:
    """The tensor after the layer's activation."""
    found = layer.config.get("activation")
    if isinstance(found, dict):
        if found.get("class_name") == "function" or not is_of_keras(found):
            raise layer.refuse(
                f"activation={found.get('config')!r}, a function of its own", "use an activation of Keras"
            )
        found = found.get("class_name")
    return flow if found in (None, "linear") else flow.activate(f"{layer.name}.activation", str(found))


def _rows(kernel: Array, recurrent: Array, bias: Array, gate: int) -> FloatRows:
    size = recurrent.shape[0]
    block = slice(gate * size, (gate + 1) * size)
    return FloatRows(float32(kernel[:, block].T), float32(recurrent[:, block].T), float32(bias[..., block]))


def _cell(layer: KerasLayer, weights: list[Array]) -> Layer[FloatRows]:
    """The weights of a recurrent layer, checked."""
    gates = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}[layer.kind]
    size = int(layer.config.get("units", 0))
    kernel, recurrent = weights[0], weights[1]
    bias_shape = (2, gates * size) if layer.kind == "GRU" else (gates * size,)
    bias = weights[2] if len(weights) == 3 else float32(np.zeros(bias_shape, dtype=np.float32))
    fits = kernel.ndim == 2 and kernel.shape[1] == gates * size and recurrent.shape == (size, gates * size)
    if not size or not fits or bias.shape != bias_shape:
        raise ModelError(
            f"importing {layer.what}: {layer.kind} {layer.name} of {size} units has weights "
            f"{[list(one.shape) for one in weights]}; expected [I, {gates * size}], [{size}, {gates * size}] and "
            f"{list(bias_shape)}. The file is damaged; save the model again"
        )
    match layer.kind:
        case "LSTM":
            i, f, c, o = (_rows(kernel, recurrent, bias, gate) for gate in range(4))
            return Lstm(input_gate=i, forget_gate=f, cell_gate=c, output_gate=o)
        case "GRU":
            z, r = (_rows(kernel, recurrent, bias.sum(axis=0), gate) for gate in range(2))
            none = np.zeros((size, 0), dtype=np.float32)
            of_input = _rows(kernel, recurrent, bias[0], 2)
            of_state = _rows(kernel, recurrent, bias[1], 2)
            return Gru(
                reset_gate=r,
                update_gate=z,
                new_gate_input=FloatRows(of_input.weight_input, none, of_input.bias),
                new_gate_hidden=FloatRows(none, of_state.weight_hidden, of_state.bias),
            )
        case _:
            return Rnn(hidden=_rows(kernel, recurrent, bias, 0))


def _check_recurrent(layer: KerasLayer) -> None:
    """Refuse options of a recurrent layer that this project cannot represent, by name."""
    layer.require("activation", "tanh", "train with activation='tanh'")
    if layer.kind != "SimpleRNN":
        layer.require(
            "recurrent_activation",
            "sigmoid",
            "train with recurrent_activation='sigmoid' (hard_sigmoid is another function, and was the default of Keras "
            "before 2.3)",
        )
    if layer.kind == "GRU":
        default = True if "reset_after" in layer.config else None
        if layer.config.get("reset_after", default) is not True:
            raise layer.refuse("reset_after=False", "train with reset_after=True, the default since Keras 2.4")
    layer.require("stateful", False, "train with stateful=False; a stream is cut into windows by the contract")
    layer.require("time_major", False, "train with time_major=False")
    layer.require("return_state", False, "take the output of the layer alone")


def _recurrent(layer: KerasLayer) -> Flow:
    _check_recurrent(layer)
    layer.require("go_backwards", False, "train with go_backwards=False; the device sees samples in their order")
    names = ("kernel", "recurrent kernel", "bias")[: 3 if layer.config.get("use_bias", True) else 2]
    every_step = bool(layer.config.get("return_sequences", False))
    cell = _cell(layer, layer.take(*names))
    record = Recurrent(layer.name, cell, layer.name if every_step else "")
    states = layer.flow.recurrent(record, hidden_size(cell), directions=False, batch_first=True)
    return states if every_step else states.collapse(layer.name, "last", [1], keep=False)


def _bidirectional(layer: KerasLayer) -> Flow:
    merge = layer.config.get("merge_mode", "concat")
    if merge not in ("concat", "sum", "ave"):
        raise layer.refuse(f"merge_mode={merge!r}", "train with merge_mode='concat', 'sum' or 'ave'")
    inner = layer.config.get("layer", {})
    kind = str(inner.get("class_name"))
    if kind not in ("LSTM", "GRU", "SimpleRNN") or not is_of_keras(inner):
        raise layer.refuse(f"a {kind} in it", "use LSTM, GRU or SimpleRNN")
    config = inner.get("config", {})
    one = replace(layer, kind=kind, config=config)
    _check_recurrent(one)
    one.require("go_backwards", False, "train with go_backwards=False")
    backwards = layer.config.get("backward_layer")
    if backwards is not None:
        if backwards.get("class_name") != kind or not backwards.get("config", {}).get("go_backwards"):
            raise layer.refuse("a backward_layer of another kind", "give one layer for both directions")
        _check_recurrent(replace(one, config=backwards["config"]))
    weights = layer.weights()
    half = len(weights) // 2
    if len(weights) not in (4, 6):
        one.take("forward kernel", "recurrent kernel", "bias", "backward kernel", "recurrent kernel", "bias")
    forward, backward = _cell(one, weights[:half]), _cell(one, weights[half:])
    record, size = Bidirectional(layer.name, forward, backward), hidden_size(forward)
    states = layer.flow.recurrent(record, size, directions=False, batch_first=True)
    if not config.get("return_sequences"):
        states = states.collapse(layer.name, "ends", [1], keep=False)
    if merge == "concat":
        return states
    each = np.eye(size, dtype=np.float32) * np.float32(1.0 if merge == "sum" else 0.5)
    return states.dense(f"{layer.name}.{merge}", np.concatenate([each, each], axis=1), float32(np.zeros(size)))


def _dense(layer: KerasLayer) -> Flow:
    names = ("kernel", "bias")[: 2 if layer.config.get("use_bias", True) else 1]
    kernel, *rest = layer.take(*names)
    if kernel.ndim != 2 or any(bias.shape != (kernel.shape[1],) for bias in rest):
        raise layer.refuse(f"weights {[list(one.shape) for one in (kernel, *rest)]}", "save the model again")
    bias = rest[0] if rest else float32(np.zeros(kernel.shape[1], dtype=np.float32))
    return _activated(layer, layer.flow.dense(layer.name, float32(kernel.T), float32(bias)))


def _time_distributed(layer: KerasLayer) -> Flow:
    inner = layer.config.get("layer", {})
    kind = str(inner.get("class_name"))
    one = replace(layer, kind=kind, config=inner.get("config", {}))
    in_parts = PART in layer.flow.axes
    if not is_of_keras(inner) or kind not in ("Dense", "Flatten", *(_OF_PARTS if in_parts else ())):
        what = f"{', '.join(_OF_PARTS)} or Flatten" if in_parts else "Dense or Flatten only"
        raise layer.refuse(
            f"a {kind} in it",
            f"use TimeDistributed with {what}; layers with a kernel in it need windows that are cut into parts of "
            "several samples, the input or a Reshape [parts, samples, channels]",
        )
    if in_parts:
        return _of_each_part(one)
    if kind == "Flatten":
        return layer.flow.reshape(layer.name, [*layer.flow.sizes[:2], -1], zero_copies=False)
    return _dense(one)


# Layers that TimeDistributed may apply to parts of a window.
_OF_PARTS = (
    "Activation",
    "AveragePooling1D",
    "BatchNormalization",
    "Conv1D",
    "Dense",
    "DepthwiseConv1D",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "MaxPooling1D",
    "ReLU",
    "SeparableConv1D",
)


def _of_each_part(layer: KerasLayer) -> Flow:
    """A layer on each part of a window, as in the CNN-LSTM of many tutorials."""
    flow = layer.flow
    match layer.kind:
        case "Flatten":
            return flow.joined_parts(layer.name)
        case "GlobalAveragePooling1D" | "GlobalMaxPooling1D":
            layer.require("keepdims", False, "use keepdims=False")
            return flow.pooled_parts(layer.name, "average" if "Average" in layer.kind else "max")
    return flow.each_part(LAYERS[layer.kind](replace(layer, flow=flow.one_part())))


def _axis(layer: KerasLayer) -> int:
    """The axis of a normalisation, which must be that of the channels."""
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    axes = layer.flow.axes
    if not isinstance(axis, int) or axis not in (-1, len(axes) - 1) or axes[-1] not in ("C", "F", "D"):
        raise layer.refuse(f"axis={axis!r}", "normalise the channels, axis=-1")
    return axis


def _batch_normalization(layer: KerasLayer) -> Flow:
    axis = _axis(layer)
    names = [name for name, key in (("gamma", "scale"), ("beta", "center")) if layer.config.get(key, True)]
    found = dict(zip((*names, "mean", "variance"), layer.take(*names, "mean", "variance"), strict=True))
    mean, variance = (found[name].astype(np.float64) for name in ("mean", "variance"))
    scale = found.get("gamma", np.ones(1)) / np.sqrt(variance + float(layer.config.get("epsilon", 1e-3)))
    offset = found.get("beta", np.zeros(1)) - mean * scale
    return layer.flow.normalisation(layer.name, float32(scale), float32(offset), axis)


def _normalization(layer: KerasLayer) -> Flow:
    """Keras' Normalization: (x - mean) / max(sqrt(variance), epsilon of 1e-7)."""
    axis = -1 if layer.config.get("axis", -1) is None else _axis(layer)
    layer.require("invert", False, "use invert=False")
    mean, variance = layer.config.get("mean"), layer.config.get("variance")
    if mean is None or variance is None:
        mean, variance = layer.take("mean", "variance", "count")[:2]
    mean, variance = (np.asarray(one, dtype=np.float64).reshape(-1) for one in (mean, variance))
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return layer.flow.normalisation(layer.name, float32(scale), float32(-mean * scale), axis)


def _rescaling(layer: KerasLayer) -> Flow:
    scale, offset = (np.atleast_1d(np.asarray(layer.config.get(key, 0.0))) for key in ("scale", "offset"))
    return layer.flow.normalisation(layer.name, float32(scale), float32(offset), -1)


def _plane(layer: KerasLayer, key: str, default: object) -> tuple[int, int]:
    """An option along time and, in two dimensions, along width: a number or a list; (n, 1) in one dimension."""
    found = layer.config.get(key, default)
    planar = layer.kind.endswith("2D")
    values = found if isinstance(found, list | tuple) else (2 if planar else 1) * [found]
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in values)
    if not whole or len(values) != (2 if planar else 1):
        raise layer.refuse(f"{key}={found!r}", "give whole numbers from 1")
    return values[0], values[1] if planar else 1


def _padding(layer: KerasLayer, span: int, stride: int) -> tuple[int, int]:
    """Zeros before and after the window."""
    padding = layer.config.get("padding", "valid")
    match padding:
        case "valid":
            return 0, 0
        case "causal":
            return span - 1, 0
        case "same":
            steps = layer.flow.time_steps
            total = max((-(-steps // stride) - 1) * stride + span - steps, 0)
            return total // 2, total - total // 2
    raise layer.refuse(f"padding={padding!r}", "use 'valid' or 'causal'")


def _convolved(layer: KerasLayer, flow: Flow, weight: Array, bias: Array, groups: int) -> Flow:
    """A convolution over time, weights [O, I / groups, K]; in two dimensions [O, I / groups, K, W]."""
    planar = weight.ndim == 4
    strides, dilations = _plane(layer, "strides", 1), _plane(layer, "dilation_rate", 1)
    span = dilations[0] * (weight.shape[2] - 1) + 1
    padding = _padding(layer, span, strides[0])
    if planar and weight.shape[3] > 1 and layer.config.get("padding") == "same":
        raise layer.refuse("padding='same' beside the sensor channels", "use padding='valid'")
    kernels = float32(weight if planar else weight[:, :, :, np.newaxis])
    record = Convolution(layer.name, kernels[..., 0], float32(bias), strides[0], dilations[0], groups, padding)
    moved = flow.permute([0, len(flow.axes) - 1, *range(1, len(flow.axes) - 1)])
    found = moved.convolution_2d(record, kernels, strides) if planar else moved.convolution(record)
    return found.permute([0, *range(2, len(flow.axes)), 1])


def _kernels(layer: KerasLayer, *names: str) -> list[Array]:
    """Kernels [K, ...] or [K, W, ...], and a bias, of zeros if the layer has none."""
    layer.require("data_format", "channels_last", "use data_format='channels_last'")
    *kernels, last = layer.take(*names, *(("bias",) if layer.config.get("use_bias", True) else ()))
    found = [*kernels, last] if not layer.config.get("use_bias", True) else kernels
    if any(one.ndim != (4 if layer.kind.endswith("2D") else 3) for one in found):
        raise layer.refuse(f"kernels {[list(one.shape) for one in found]}", "save the model again")
    outputs = found[-1].shape[-1] * (found[-1].shape[-2] if layer.kind == "DepthwiseConv1D" else 1)
    bias = last if layer.config.get("use_bias", True) else float32(np.zeros(outputs))
    if bias.shape != (outputs,):
        raise layer.refuse(f"a bias {list(bias.shape)}, expected [{outputs}]", "save the model again")
    return [*found, bias]


def _conv(layer: KerasLayer) -> Flow:
    kernel, bias = _kernels(layer, "kernel")  # [K, I / groups, O], or [K, W, I / groups, O]
    order = (2, 1, 0) if kernel.ndim == 3 else (3, 2, 0, 1)
    groups = layer.config.get("groups", 1)
    if not isinstance(groups, int) or groups < 1:
        raise layer.refuse(f"groups={groups!r}", "give a whole number from 1")
    return _activated(layer, _convolved(layer, layer.flow, kernel.transpose(order), bias, groups))


def _depth_weight(kernel: Array) -> Array:
    """Weights [I m, 1, K] of a depthwise kernel [K, I, m]."""
    size, inputs, multiplier = kernel.shape
    return float32(kernel.transpose(1, 2, 0).reshape(inputs * multiplier, 1, size))


def _depthwise(layer: KerasLayer) -> Flow:
    kernel, bias = _kernels(layer, "kernel")
    return _activated(layer, _convolved(layer, layer.flow, _depth_weight(kernel), bias, kernel.shape[1]))


def _separable(layer: KerasLayer) -> Flow:
    depth, point, bias = _kernels(layer, "depthwise kernel", "pointwise kernel")
    weight = _depth_weight(depth)
    first = _convolved(layer, layer.flow, weight, float32(np.zeros(len(weight))), depth.shape[1])
    second = first.dense(f"{layer.name}.pointwise", float32(point[0].T), float32(bias))
    return _activated(layer, second)


def _zero_padding(layer: KerasLayer) -> Flow:
    found = layer.config.get("padding", 1)
    sides = found if isinstance(found, list) else [found, found]
    if len(sides) != 2 or not all(isinstance(one, int) and one >= 0 for one in sides):
        raise layer.refuse(f"padding={found!r}", "give whole numbers from 0")
    return layer.flow.pad(layer.name, (sides[0], sides[1]))


def _pool(kind: PoolKind) -> Callable[[KerasLayer], Flow]:
    def pool(layer: KerasLayer) -> Flow:
        layer.require("data_format", "channels_last", "use data_format='channels_last'")
        sizes = _plane(layer, "pool_size", 2)
        strides = sizes if layer.config.get("strides") is None else _plane(layer, "strides", 1)
        padding = _padding(layer, sizes[0], strides[0])
        if not layer.kind.endswith("2D"):
            moved = layer.flow.permute([0, 2, 1]).pool(layer.name, kind, sizes[0], strides[0], padding)
            return moved.permute([0, 2, 1])
        if any(padding):
            raise layer.refuse("padding='same'", "use padding='valid'")
        moved = layer.flow.permute([0, 3, 1, 2]).pool_2d(layer.name, kind, sizes, strides, (0, 0))
        return moved.permute([0, 2, 3, 1])

    return pool


def _global_pool(kind: CollapseKind) -> Callable[[KerasLayer], Flow]:
    def pool(layer: KerasLayer) -> Flow:
        layer.require("data_format", "channels_last", "use data_format='channels_last'")
        return layer.flow.collapse(layer.name, kind, [1], keep=bool(layer.config.get("keepdims", False)))

    return pool


def _mean_and_max(layer: KerasLayer) -> Flow:
    if layer.config.get("first") != "GlobalAveragePooling1D":
        raise layer.refuse("the maximum before the mean", "concatenate the mean first, then the maximum")
    flow = layer.flow.collapse(layer.name, "mean_max", [1], keep=False)
    return flow.resized("C", 2 * flow.channels)


def _relu(layer: KerasLayer) -> Flow:
    if layer.config.get("max_value") is not None or layer.config.get("negative_slope") or layer.config.get("threshold"):
        raise layer.refuse("a limit, a slope or a threshold", "use a plain ReLU")
    return layer.flow.activate(layer.name, "relu")


def _flatten(layer: KerasLayer) -> Flow:
    return layer.flow.reshape(layer.name, [layer.flow.sizes[0], -1], zero_copies=False)


def _reshape(layer: KerasLayer) -> Flow:
    shape = layer.config.get("target_shape", [])
    if not isinstance(shape, list) or not all(isinstance(one, int) and one >= -1 for one in shape):
        raise layer.refuse(f"target_shape={shape!r}", "give whole numbers")
    flow = layer.flow
    if len(shape) == 3 and shape[2] in (-1, flow.sizes[-1]) and flow.axes == ("B", "T", "C"):
        steps, _channels = flow.sizes[1:]
        count = shape[0] if shape[0] != -1 else steps // max(shape[1], 1)
        length = shape[1] if shape[1] != -1 else steps // max(count, 1)
        if count > 1 and length > 1 and count * length == steps:
            return flow.parts(count)
    if PART in flow.axes and shape in ([flow.sizes[1], -1], [flow.sizes[1], flow.sizes[2] * flow.sizes[3]]):
        return flow.joined_parts(layer.name)
    return layer.flow.reshape(layer.name, [layer.flow.sizes[0], *shape], zero_copies=False)


def _permute(layer: KerasLayer) -> Flow:
    return layer.flow.permute([0, *layer.config.get("dims", [])])


# Layers that change nothing at inference.
NO_EFFECT = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
)
LAYERS: dict[str, Callable[[KerasLayer], Flow]] = {
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "DepthwiseConv1D": _depthwise,
    "SeparableConv1D": _separable,
    "ZeroPadding1D": _zero_padding,
    "MaxPooling1D": _pool("max"),
    "MaxPooling2D": _pool("max"),
    "AveragePooling1D": _pool("average"),
    "AveragePooling2D": _pool("average"),
    "GlobalAveragePooling1D": _global_pool("mean"),
    "GlobalMaxPooling1D": _global_pool("max"),
    "Mean and max": _mean_and_max,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Activation": lambda layer: _activated(layer, layer.flow),
    "ReLU": _relu,
    "Softmax": lambda layer: layer.flow.activate(layer.name, "softmax"),
}
OTHER_REMEDY = "train without it"
REMEDIES = {
    "Lambda": "it holds code, which is never run; write it with layers of Keras",
    "Masking": "train with windows of one length, without Masking; a contract has one window length",
    "LayerNormalization": "its divisor changes with every sample; use BatchNormalization, which is folded",
    "CuDNNLSTM": "load the weights into keras.layers.LSTM, and save that",
    "CuDNNGRU": "load the weights into keras.layers.GRU(reset_after=True), and save that",
    "ConvLSTM1D": "train with Conv1D and LSTM one after the other",
    "RNN": "use LSTM, GRU or SimpleRNN instead of a cell of its own",
}
