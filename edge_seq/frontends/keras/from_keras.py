"""Read a network that Keras saved, ``.keras`` or ``.h5``, as an imported chain. Neither Keras nor TensorFlow is needed.

A ``.keras`` file is a zip with ``config.json`` (the layers) and ``model.weights.h5``. An ``.h5`` file of Keras 2 or 3
has the same JSON in its attribute ``model_config``. Nothing of the file is run: a Lambda layer is refused by name.

Keras stacks the gates of a layer in blocks of H columns (``keras/src/layers/rnn``): LSTM i, f, c, o; GRU z, r, h with
``reset_after=True``, whose bias is [2, 3H], of the input and of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.frontends.chain import (
    Activate,
    Affine,
    Array,
    Bidirectional,
    Collapse,
    Convolution,
    Dense,
    ImportedChain,
    Pool,
    PoolKind,
    Record,
    Recurrent,
    float32,
)
from edge_seq.frontends.keras.keras_files import KerasFile, open_keras
from edge_seq.ir.kinds import Gru, Layer, Lstm, Rnn
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ModelError

Config = Mapping[str, Any]
SUFFIXES = (".keras", ".h5", ".hdf5")
MAX_LAYERS = 256


@dataclass(frozen=True)
class _Layer:
    """A layer of the file: its place for messages, its configuration and its weights."""

    what: str
    kind: str
    name: str
    config: Config
    weights: Callable[[], list[Array]]
    is_sequence: bool = True  # gets [B, T, C]; False after the readout, [B, C]

    def refuse(self, found: str, remedy: str) -> ModelError:
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


def chain_of_keras(path: Path) -> ImportedChain:
    """Read a ``.keras`` or ``.h5`` file.

    Args:
        path: a file that ``model.save`` wrote.

    Raises:
        ModelError: the file is damaged, hostile, or holds what the project cannot represent; the message names it.
        ToolError: h5py is not installed.
    """
    with open_keras(path) as file:
        what = path.name
        layers = _in_order(file.config, what)
        records: list[Record] = []
        passed_over: list[str] = []
        shape = _input_shape(file.config, layers)
        is_sequence = True
        for kind, name, config in layers:
            layer = _Layer(what, kind, name, config, _weights_of(file, kind, name), is_sequence)
            if kind in _NO_EFFECT:
                if kind != "InputLayer":
                    passed_over.append(f"{kind} {name}")
                continue
            if kind == "Flatten" and not is_sequence:
                passed_over.append(f"{kind} {name}")
                continue
            if kind not in _LAYERS:
                raise ModelError(
                    f"importing {what}: {kind} {name} is not supported; {_REMEDIES.get(kind, _OTHER_REMEDY)}. "
                    f"Supported: {', '.join(sorted((*_LAYERS, *_NO_EFFECT)))}"
                )
            made = _LAYERS[kind](layer)
            is_sequence = is_sequence and not any(isinstance(record, Collapse) for record in made)
            records += made
        size = shape[-1] if shape else None
        steps = shape[0] if shape and len(shape) == 2 else None
        return ImportedChain("keras", what, size, steps, tuple(records), tuple(passed_over))


def _weights_of(file: KerasFile, kind: str, name: str) -> Callable[[], list[Array]]:
    return lambda: file.weights(kind, name)


# --- order of the layers ---------------------------------------------------------------------------------------------

Named = tuple[str, str, Config]  # kind, name, configuration


def _in_order(model: Config, what: str) -> list[Named]:
    """The layers in the order of computation.

    Raises:
        ModelError: the model is no chain.
    """
    kind = model.get("class_name")
    config = model.get("config")
    if kind not in ("Sequential", "Functional", "Model") or not isinstance(config, (dict, list)):
        raise ModelError(
            f"importing {what}: its model is a {kind!r}; expected a Sequential or a Functional model. A class of its "
            "own has no description in the file: build the same layers with keras.Sequential, load the weights into "
            "it, and save that"
        )
    entries = config if isinstance(config, list) else config.get("layers", [])  # Keras 1 and early 2 had a list
    if len(entries) > MAX_LAYERS:
        raise ModelError(f"importing {what}: it has {len(entries)} layers; expected at most {MAX_LAYERS}")
    named = []
    for entry in entries:
        inner = entry.get("config", {})
        named.append((str(entry["class_name"]), str(inner.get("name", entry.get("name", ""))), inner))
    for entry, (inner_kind, name, _) in zip(entries, named, strict=True):
        if not _is_of_keras(entry):
            raise ModelError(
                f"importing {what}: {inner_kind} {name} is no layer of Keras itself, but of "
                f"{entry.get('registered_name') or entry['module']!r}, and the file does not say what it computes; "
                "build the same layers with those of Keras, load the weights into them, and save that"
            )
        if inner_kind in ("Sequential", "Functional", "Model"):
            raise ModelError(
                f"importing {what}: {name} is a model within the model, which is not supported; add its layers to the "
                "outer model, and save that"
            )
    if kind == "Sequential" or isinstance(config, list):
        return named
    outputs = _sources({"inbound_nodes": [config.get("output_layers", [])]})
    if len(outputs) > 1:
        raise ModelError(
            f"importing {what}: it has the outputs {outputs}; expected one. Save keras.Model(model.inputs, the output "
            "of the classes)"
        )
    return _follow(named, [_sources(entry) for entry in entries], what)


def _is_of_keras(entry: Config) -> bool:
    """Whether an object of the file is of Keras itself. Files of early Keras 2 do not say where a class comes from."""
    module = entry.get("module")
    return not entry.get("registered_name") if module is None else str(module).split(".")[0] in ("keras", "tf_keras")


def _sources(entry: Config) -> list[str]:
    """Names of the layers whose outputs a layer of a functional model takes."""
    nodes = entry.get("inbound_nodes", [])
    names: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                names.append(str(value["config"]["keras_history"][0]))
                return
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            if len(value) >= 3 and isinstance(value[0], str) and all(isinstance(one, int) for one in value[1:3]):
                names.append(value[0])  # Keras 2: [layer, node, tensor, arguments]
                return
            for item in value:
                walk(item)

    if len(nodes) > 1:
        names.append("(the layer is used more than once)")
    walk(nodes)
    return names


def _follow(named: list[Named], sources: list[list[str]], what: str) -> list[Named]:
    """Order the layers of a functional model from its input to its output. Mean and max together count as one."""
    by_source: dict[str, list[int]] = {}
    for index, names in enumerate(sources):
        for name in names:
            by_source.setdefault(name, []).append(index)
    starts = [index for index, (kind, _, _) in enumerate(named) if kind == "InputLayer"]
    if len(starts) != 1:
        raise ModelError(f"importing {what}: it has {len(starts)} inputs; expected one, the window of samples")
    order, current = [named[starts[0]]], starts[0]
    while following := by_source.get(named[current][1], []):
        kinds = {named[index][0] for index in following}
        if len(following) == 2 and kinds == {"GlobalAveragePooling1D", "GlobalMaxPooling1D"}:
            joined = {index for one in following for index in by_source.get(named[one][1], [])}
            if len(joined) == 1 and named[next(iter(joined))][0] == "Concatenate":
                current = next(iter(joined))
                order.append(("Mean and max", named[current][1], {"first": _first(named, sources[current])}))
                continue
        if len(following) > 1 or len(sources[following[0]]) > 1:
            names = [named[index][1] for index in following]
            raise ModelError(
                f"importing {what}: it branches after {named[current][1]}, into {names}; expected a chain of layers, "
                "each with one input and one output. Train without the branch"
            )
        current = following[0]
        order.append(named[current])
    return order


def _first(named: list[Named], names: list[str]) -> str:
    return next((kind for kind, name, _ in named if names and name == names[0]), "")


def _input_shape(model: Config, layers: list[Named]) -> list[int | None] | None:
    """Shape of the input without the batch: [T, C]; an entry is None if any length is taken."""
    for _, _, config in layers[:1]:
        for key in ("batch_shape", "batch_input_shape"):
            shape = config.get(key)
            if isinstance(shape, list) and len(shape) == 3:
                return shape[1:]
    build = model.get("build_config") or {}
    shape = build.get("input_shape") if isinstance(build, dict) else None
    return shape[1:] if isinstance(shape, list) and len(shape) == 3 else None


# --- the layers: one entry each --------------------------------------------------------------------------------------


def _activation(layer: _Layer, key: str = "activation") -> list[Record]:
    """The activation of a layer; nothing for a linear one."""
    found = layer.config.get(key)
    if isinstance(found, dict):
        if found.get("class_name") == "function" or not _is_of_keras(found):
            raise layer.refuse(f"{key}={found.get('config')!r}, a function of its own", "use an activation of Keras")
        found = found.get("class_name")
    if found in (None, "linear"):
        return []
    return [Activate(f"{layer.name}.{key}", str(found))]


def _rows(kernel: Array, recurrent: Array, bias: Array, gate: int) -> FloatRows:
    size = recurrent.shape[0]
    block = slice(gate * size, (gate + 1) * size)
    return FloatRows(float32(kernel[:, block].T), float32(recurrent[:, block].T), float32(bias[..., block]))


def _cell(layer: _Layer, weights: list[Array]) -> Layer[FloatRows]:
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


def _check_recurrent(layer: _Layer) -> None:
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


def _recurrent(layer: _Layer) -> list[Record]:
    _check_recurrent(layer)
    layer.require("go_backwards", False, "train with go_backwards=False; the device sees samples in their order")
    names = ("kernel", "recurrent kernel", "bias")[: 3 if layer.config.get("use_bias", True) else 2]
    every_step = bool(layer.config.get("return_sequences", False))
    cell = _cell(layer, layer.take(*names))
    record = Recurrent(layer.name, cell, layer.name if every_step else "")
    return [record] if every_step else [record, Collapse(layer.name, "last")]


def _bidirectional(layer: _Layer) -> list[Record]:
    layer.require("merge_mode", "concat", "train with merge_mode='concat'")
    inner = layer.config.get("layer", {})
    kind = str(inner.get("class_name"))
    if kind not in ("LSTM", "GRU", "SimpleRNN") or not _is_of_keras(inner):
        raise layer.refuse(f"a {kind} in it", "use LSTM, GRU or SimpleRNN")
    config = inner.get("config", {})
    one = _Layer(layer.what, kind, layer.name, config, layer.weights)
    _check_recurrent(one)
    one.require("go_backwards", False, "train with go_backwards=False")
    backwards = layer.config.get("backward_layer")
    if backwards is not None:
        if backwards.get("class_name") != kind or not backwards.get("config", {}).get("go_backwards"):
            raise layer.refuse("a backward_layer of another kind", "give one layer for both directions")
        _check_recurrent(_Layer(layer.what, kind, layer.name, backwards["config"], layer.weights))
    weights = layer.weights()
    half = len(weights) // 2
    if len(weights) not in (4, 6):
        one.take("forward kernel", "recurrent kernel", "bias", "backward kernel", "recurrent kernel", "bias")
    forward, backward = _cell(one, weights[:half]), _cell(one, weights[half:])
    record = Bidirectional(layer.name, forward, backward)
    return [record] if config.get("return_sequences") else [record, Collapse(layer.name, "ends")]


def _dense(layer: _Layer) -> list[Record]:
    names = ("kernel", "bias")[: 2 if layer.config.get("use_bias", True) else 1]
    kernel, *rest = layer.take(*names)
    if kernel.ndim != 2 or any(bias.shape != (kernel.shape[1],) for bias in rest):
        raise layer.refuse(f"weights {[list(one.shape) for one in (kernel, *rest)]}", "save the model again")
    bias = rest[0] if rest else float32(np.zeros(kernel.shape[1], dtype=np.float32))
    return [Dense(layer.name, float32(kernel.T), float32(bias)), *_activation(layer)]


def _time_distributed(layer: _Layer) -> list[Record]:
    inner = layer.config.get("layer", {})
    kind = str(inner.get("class_name"))
    if kind not in ("Dense", *_NO_EFFECT) or not _is_of_keras(inner):
        raise layer.refuse(f"a {kind} in it", "use TimeDistributed with Dense only")
    if kind in _NO_EFFECT:
        return []
    return _dense(_Layer(layer.what, kind, layer.name, inner.get("config", {}), layer.weights))


def _batch_normalization(layer: _Layer) -> list[Record]:
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, 2 if layer.is_sequence else 1):
        raise layer.refuse(f"axis={axis!r}", "normalise the channels, axis=-1")
    names = [name for name, key in (("gamma", "scale"), ("beta", "center")) if layer.config.get(key, True)]
    found = dict(zip((*names, "mean", "variance"), layer.take(*names, "mean", "variance"), strict=True))
    mean, variance = (found[name].astype(np.float64) for name in ("mean", "variance"))
    scale = found.get("gamma", np.ones(1)) / np.sqrt(variance + float(layer.config.get("epsilon", 1e-3)))
    return [Affine(layer.name, float32(scale), float32(found.get("beta", np.zeros(1)) - mean * scale))]


def _normalization(layer: _Layer) -> list[Record]:
    """Keras' Normalization: (x - mean) / max(sqrt(variance), epsilon of 1e-7)."""
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, 2, None):
        raise layer.refuse(f"axis={axis!r}", "normalise the channels, axis=-1")
    layer.require("invert", False, "use invert=False")
    mean, variance = layer.config.get("mean"), layer.config.get("variance")
    if mean is None or variance is None:
        mean, variance = layer.take("mean", "variance", "count")[:2]
    mean, variance = (np.asarray(one, dtype=np.float64).reshape(-1) for one in (mean, variance))
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return [Affine(layer.name, float32(scale), float32(-mean * scale))]


def _rescaling(layer: _Layer) -> list[Record]:
    scale, offset = (np.atleast_1d(np.asarray(layer.config.get(key, 0.0))) for key in ("scale", "offset"))
    return [Affine(layer.name, float32(scale), float32(offset))]


def _one(layer: _Layer, key: str, default: int) -> int:
    """An option that Keras writes as a number or as a list of one."""
    found = layer.config.get(key, default)
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise layer.refuse(f"{key}={found!r}", "give a whole number from 1")
    return found


def _padding(layer: _Layer, size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after the window. ``same`` depends on the window length if the stride is not 1."""
    padding = layer.config.get("padding", "valid")
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return size - 1, 0
    if padding == "same" and stride == 1:
        return (size - 1) // 2, size - 1 - (size - 1) // 2
    raise layer.refuse(f"padding={padding!r} with strides {stride}", "use 'valid' or 'causal'")


def _convolution(layer: _Layer, weight: Array, bias: Array, groups: int) -> Convolution:
    stride, dilation = _one(layer, "strides", 1), _one(layer, "dilation_rate", 1)
    span = dilation * (weight.shape[2] - 1) + 1
    return Convolution(
        layer.name, float32(weight), float32(bias), stride, dilation, groups, _padding(layer, span, stride)
    )


def _conv1d(layer: _Layer) -> list[Record]:
    layer.require("data_format", "channels_last", "use data_format='channels_last'")
    names = ("kernel", "bias")[: 2 if layer.config.get("use_bias", True) else 1]
    kernel, *rest = layer.take(*names)  # [K, I / groups, O]
    if kernel.ndim != 3:
        raise layer.refuse(f"a kernel {list(kernel.shape)}", "save the model again")
    bias = rest[0] if rest else float32(np.zeros(kernel.shape[2]))
    record = _convolution(layer, kernel.transpose(2, 1, 0), bias, _one(layer, "groups", 1))
    return [record, *_activation(layer)]


def _depthwise(layer: _Layer) -> list[Record]:
    layer.require("data_format", "channels_last", "use data_format='channels_last'")
    names = ("kernel", "bias")[: 2 if layer.config.get("use_bias", True) else 1]
    kernel, *rest = layer.take(*names)  # [K, I, multiplier]
    if kernel.ndim != 3:
        raise layer.refuse(f"a kernel {list(kernel.shape)}", "save the model again")
    size, inputs, multiplier = kernel.shape
    bias = rest[0] if rest else float32(np.zeros(inputs * multiplier))
    weight = kernel.transpose(1, 2, 0).reshape(inputs * multiplier, 1, size)
    return [_convolution(layer, weight, bias, inputs), *_activation(layer)]


def _separable(layer: _Layer) -> list[Record]:
    layer.require("data_format", "channels_last", "use data_format='channels_last'")
    names = ("depthwise kernel", "pointwise kernel", "bias")[: 3 if layer.config.get("use_bias", True) else 2]
    depth, point, *rest = layer.take(*names)
    if depth.ndim != 3 or point.ndim != 3:
        raise layer.refuse(f"kernels {list(depth.shape)} and {list(point.shape)}", "save the model again")
    size, inputs, multiplier = depth.shape
    weight = depth.transpose(1, 2, 0).reshape(inputs * multiplier, 1, size)
    first = _convolution(layer, weight, float32(np.zeros(inputs * multiplier)), inputs)
    bias = rest[0] if rest else float32(np.zeros(point.shape[2]))
    second = Dense(f"{layer.name}.pointwise", float32(point[0].T), float32(bias))
    return [first, second, *_activation(layer)]


def _pool(kind: PoolKind) -> Callable[[_Layer], list[Record]]:
    def pool(layer: _Layer) -> list[Record]:
        layer.require("data_format", "channels_last", "use data_format='channels_last'")
        size = _one(layer, "pool_size", 2)
        stride = size if layer.config.get("strides") is None else _one(layer, "strides", size)
        return [Pool(layer.name, kind, size, stride, _padding(layer, size, stride))]

    return pool


def _global_pool(kind: str) -> Callable[[_Layer], list[Record]]:
    def pool(layer: _Layer) -> list[Record]:
        layer.require("data_format", "channels_last", "use data_format='channels_last'")
        return [Collapse(layer.name, "mean" if kind == "mean" else "max")]

    return pool


def _mean_and_max(layer: _Layer) -> list[Record]:
    if layer.config.get("first") != "GlobalAveragePooling1D":
        raise layer.refuse("the maximum before the mean", "concatenate the mean first, then the maximum")
    return [Collapse(layer.name, "mean_max")]


def _relu(layer: _Layer) -> list[Record]:
    if layer.config.get("max_value") is not None or layer.config.get("negative_slope") or layer.config.get("threshold"):
        raise layer.refuse("a limit, a slope or a threshold", "use a plain ReLU")
    return [Activate(layer.name, "relu")]


# Layers that change nothing at inference.
_NO_EFFECT = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
)
_LAYERS: dict[str, Callable[[_Layer], list[Record]]] = {
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "SimpleRNN": _recurrent,
    "Bidirectional": _bidirectional,
    "Dense": _dense,
    "TimeDistributed": _time_distributed,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Conv1D": _conv1d,
    "DepthwiseConv1D": _depthwise,
    "SeparableConv1D": _separable,
    "MaxPooling1D": _pool("max"),
    "AveragePooling1D": _pool("average"),
    "GlobalAveragePooling1D": _global_pool("mean"),
    "GlobalMaxPooling1D": _global_pool("max"),
    "Mean and max": _mean_and_max,
    "Flatten": lambda layer: [Collapse(layer.name, "flatten")],
    "Activation": _activation,
    "ReLU": _relu,
    "Softmax": lambda layer: [Activate(layer.name, "softmax")],
}
_OTHER_REMEDY = "train without it"
_REMEDIES = {
    "Lambda": "it holds code, which is never run; write it with layers of Keras",
    "Masking": "train with windows of one length, without Masking; a contract has one window length",
    "LayerNormalization": "its divisor changes with every sample; use BatchNormalization, which is folded",
    "CuDNNLSTM": "load the weights into keras.layers.LSTM, and save that",
    "CuDNNGRU": "load the weights into keras.layers.GRU(reset_after=True), and save that",
    "ConvLSTM1D": "train with Conv1D and LSTM one after the other",
    "RNN": "use LSTM, GRU or SimpleRNN instead of a cell of its own",
}
