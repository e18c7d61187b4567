"""Read a PyTorch module as an imported chain, from the graph that ``torch.export`` makes of it.

The module is called once with zeros to export it. The graph is then followed as an ONNX graph is (see
:mod:`edge_seq.frontends.flow`), with one entry in a table for each operator.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.frontends.chain import (
    Bidirectional,
    CollapseKind,
    Convolution,
    ImportedChain,
    InputAxes,
    PoolKind,
    Recurrent,
    float32,
)
from edge_seq.frontends.flow import TRACED_BATCH, Flow, FlowError
from edge_seq.frontends.from_torch import take_layer
from edge_seq.support.errors import ModelError
from edge_seq.training.runtime import require_torch

if TYPE_CHECKING:
    from torch.nn import Module as Module


def chain_of_module(module: Module, *, time_steps: int, channels: int) -> ImportedChain:
    """Read a module.

    Args:
        module: takes one tensor, the window, float32 [B, T, C], [T, B, C] or [B, C, T], or with an axis of length 1
            besides, and gives [B, K]. It is exported in evaluation mode; its own mode is the same afterwards.
        time_steps: window length, T.
        channels: number of channels, C.

    Raises:
        ModelError: torch cannot export it, or it holds what the project cannot represent; the message names it.
        ToolError: torch is not installed.
    """
    require_torch("import")
    import torch

    what = type(module).__name__
    sizes = {"B": TRACED_BATCH, "T": time_steps, "C": channels}
    errors: list[ModelError] = []
    was_training = module.training
    module.eval()
    try:
        for axes in get_args(InputAxes):
            if len(axes) > 3 and any(isinstance(error, FlowError) for error in errors):
                break  # it takes three axes
            shape = tuple(1 if axis == "1" else sizes[axis] for axis in axes)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    exported = torch.export.export(module, (torch.zeros(shape),))
            except Exception as error:  # noqa: BLE001 - whatever the module's own code raises for this shape
                first = " ".join(str(error).split())[:300]
                errors.append(
                    ModelError(
                        f"importing {what}: torch.export cannot export it with an input {list(shape)} ({first}); "
                        "expected a module that takes one tensor [B, T, C], [T, B, C] or [B, C, T], or with an axis of "
                        "length 1 besides"
                    )
                )
                continue
            try:
                walk = _Walk(what, Flow(tuple(axes.replace("1", "D")), shape))
                result = walk.run(exported)
            except FlowError as error:
                errors.append(error)
                continue
            return ImportedChain("torch", what, channels, time_steps, result.records, tuple(walk.passed_over), axes)
    finally:
        module.train(was_training)
    raise next((error for error in errors if isinstance(error, FlowError)), errors[0])


@dataclass(frozen=True)
class _LastStates:
    """The last states of several layers, of which only those of the last layer can be taken.

    With two ``directions`` the flow holds those of both, side by side.
    """

    flow: Flow
    layers: int
    directions: int = 1


@dataclass(frozen=True)
class _LastOfDirection:
    """The last state of the last layer's forward direction (0) or backward one (1), which only together can be used."""

    states: _LastStates
    direction: int


@dataclass(frozen=True)
class _Unfollowed:
    """A result of an operator that no chain expresses, such as the last cell states. Nothing may use it."""

    what: str
    remedy: str


_INDICES = _Unfollowed("the place of the maximum", "take its value alone")


@dataclass
class _Call:
    """One operator of the graph, with its arguments' values."""

    what: str
    target: str
    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def get(self, index: int, key: str, default: Any = None) -> Any:
        """An argument by position or name."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(key, default)

    @property
    def flow(self) -> Flow:
        """The first argument, which depends on the module's input."""
        value = self.args[0]
        if isinstance(value, _LastOfDirection):
            raise self.refuse("it takes the last state of one direction", _BOTH_ENDS)
        if not isinstance(value, Flow):
            raise self.refuse("its first argument does not depend on the input", "compute constants before")
        return value

    def array(self, index: int, key: str) -> NDArray[Any] | None:
        """A tensor argument that does not depend on the input, as an array."""
        value = self.get(index, key)
        if isinstance(value, Flow):
            raise self.refuse(f"its {key} depends on the input", "train without that")
        return None if value is None else np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)

    def refuse(self, found: str, remedy: str) -> ModelError:
        """The error for what cannot be represented."""
        return ModelError(
            f"importing {self.what}: {self.target} ({self.name}): {found}, which is not supported; {remedy}"
        )


@dataclass
class _Walk:
    """The values of a graph while it is followed."""

    what: str
    given: Flow
    passed_over: list[str] = field(default_factory=list)

    def run(self, exported: Any) -> Flow:
        """Follow all nodes and return the module's output."""
        signature, state = exported.graph_signature, {**exported.state_dict, **exported.constants}
        stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        stored |= getattr(signature, "inputs_to_lifted_tensor_constants", {})
        values: dict[Any, Any] = {}
        failed: dict[Any, ModelError] = {}
        names: dict[Any, str] = {}
        for node in exported.graph.nodes:
            if node.op == "placeholder":
                names[node] = stored.get(node.name, node.name)
                values[node] = state[stored[node.name]] if node.name in stored else self.given
            elif node.op == "output":
                return self._output(node.args[0], values, failed)
            else:
                broken = next((failed[one] for one in node.all_input_nodes if one in failed), None)
                try:
                    if broken is not None:
                        raise broken
                    values[node] = self._call(node, values, names)
                except ModelError as error:  # what leads to no output does no harm
                    failed[node] = error
        raise ModelError(f"importing {self.what}: it has no output")

    def _output(self, outputs: Any, values: Mapping[Any, Any], failed: Mapping[Any, ModelError]) -> Flow:
        first = outputs[0] if isinstance(outputs, tuple | list) else outputs
        if first in failed:
            raise failed[first]
        value = values.get(first)
        if not isinstance(value, Flow):
            raise ModelError(f"importing {self.what}: its first output does not depend on its input")
        return value

    def _call(self, node: Any, values: Mapping[Any, Any], names: Mapping[Any, str]) -> Any:
        def value(argument: Any) -> Any:
            if isinstance(argument, list | tuple):
                return [value(one) for one in argument]
            return values[argument] if argument in names or argument in values else argument

        args = [value(argument) for argument in node.args]
        kwargs = {key: value(argument) for key, argument in node.kwargs.items()}
        if node.target is operator.getitem:
            return args[0][args[1]]
        target = str(node.target).removeprefix("aten.")
        call = _Call(self.what, target, node.name, args, kwargs)
        given = _flat([*args, *kwargs.values()])
        unfollowed = next((one for one in given if isinstance(one, _Unfollowed)), None)
        if unfollowed is not None:
            raise call.refuse(f"it takes {unfollowed.what}", unfollowed.remedy)
        if not any(isinstance(one, Flow | _LastStates | _LastOfDirection) for one in given):
            return node.target(*args, **kwargs)  # a constant, such as initial states
        base = target.partition(".")[0]
        if base in _PASSED_OVER:
            _check_passed_over(call, base, given)
            if "dropout" in base:
                self.passed_over.append(f"dropout {node.name}")
            return call.flow
        if base in _RECURRENT:
            return _recurrent(call, base, [names.get(one, "") for one in node.args[2]])
        if base not in _OPERATORS:
            remedy = _REMEDIES.get(base, "train without it")
            raise ModelError(
                f"importing {self.what}: operator {target} ({node.name}) is not supported; {remedy}. Supported: "
                f"{', '.join(sorted((*_OPERATORS, *_RECURRENT, *_PASSED_OVER)))}"
            )
        try:
            return _OPERATORS[base](call)
        except FlowError as error:
            raise FlowError(f"importing {self.what}: {target} ({node.name}) {error}, which is not supported") from None
        except (TypeError, ValueError, IndexError) as error:
            raise call.refuse(f"its arguments cannot be followed ({error})", "write it with plain numbers") from error


def _flat(values: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for one in values:
        found += _flat(one) if isinstance(one, list) else [one]
    return found


def _check_passed_over(call: _Call, base: str, given: Sequence[Any]) -> None:
    """Refuse an operator that is passed over where it does change something."""
    import torch

    if "dropout" in base and call.get(2, "train", False):
        raise call.refuse(
            "a dropout that is active in evaluation mode too", "write F.dropout(x, p, training=self.training)"
        )
    for one in given:
        if isinstance(one, torch.dtype) and not one.is_floating_point:
            raise call.refuse(f"a conversion to {one}", "train without rounding")


# --- operators: one entry each ---------------------------------------------------------------------------------------


def _transpose(call: _Call) -> Flow:
    order = list(range(len(call.flow.axes)))
    first, second = (call.flow.index(int(axis)) for axis in call.args[1:3])
    order[first], order[second] = second, first
    return call.flow.permute(order)


def _moved(call: _Call) -> Flow:
    source, target = (call.flow.index(int(axis)) for axis in call.args[1:3])
    order = [axis for axis in range(len(call.flow.axes)) if axis != source]
    order.insert(target, source)
    return call.flow.permute(order)


def _squeeze(call: _Call) -> Flow:
    states = call.args[0]
    if isinstance(states, _LastStates):
        raise call.refuse("it takes the last states of all layers", "take those of the last layer, h[-1]")
    axes = call.get(1, "dim")
    return call.flow.squeeze(None if axes is None else np.atleast_1d(axes).tolist())


_BOTH_ENDS = "take those of the last layer's two directions, torch.cat([h[-2], h[-1]], dim=1)"


def _select(call: _Call) -> Flow | _LastOfDirection:
    states, axis, index = call.args[0], int(call.args[1]), int(call.args[2])
    if isinstance(states, _LastStates) and states.directions == 2:
        direction = index % (2 * states.layers) - 2 * (states.layers - 1)
        if axis != 0 or direction not in (0, 1):
            raise call.refuse(f"it takes the last state {index} of a bidirectional layer", _BOTH_ENDS)
        return _LastOfDirection(states, direction)
    if isinstance(states, _LastStates):
        if axis != 0 or index not in (-1, states.layers - 1):
            raise call.refuse(f"it takes the last state of layer {index}", "take that of the last layer, h[-1]")
        return states.flow
    return call.flow.select(call.name, axis, index)


def _slice(call: _Call) -> Flow:
    start, end, step = call.get(2, "start"), call.get(3, "end"), call.get(4, "step", 1)
    axis = int(call.get(1, "dim", 0))
    return call.flow.slice(call.name, axis, 0 if start is None else start, 2**62 if end is None else end, step)


def _reduce(kind: CollapseKind) -> Callable[[_Call], Any]:
    def reduce(call: _Call) -> Any:
        axes = call.get(1, "dim")
        if axes is None:
            raise call.refuse("it takes all axes", "take it over time alone")
        flow = call.flow.collapse(
            call.name, kind, np.atleast_1d(axes).tolist(), keep=bool(call.get(2, "keepdim", False))
        )
        return [flow, _INDICES] if call.target == "max.dim" else flow

    return reduce


def _reshape(call: _Call) -> Flow:
    return call.flow.reshape(call.name, list(call.args[1]), zero_copies=False)


def _flatten(call: _Call) -> Flow:
    start, end = int(call.get(1, "start_dim", 0)), int(call.get(2, "end_dim", -1))
    sizes = call.flow.sizes
    start, end = call.flow.index(start), call.flow.index(end)
    return call.flow.reshape(call.name, [*sizes[:start], -1, *sizes[end + 1 :]], zero_copies=False)


def _linear(call: _Call) -> Flow:
    weight, bias = call.array(1, "weight"), call.array(2, "bias")
    assert weight is not None
    return call.flow.dense(call.name, float32(weight), None if bias is None else float32(bias))


def _matmul(call: _Call) -> Flow:
    weight = call.array(1, "other")
    assert weight is not None
    return call.flow.dense(call.name, float32(weight.T), None)


def _arithmetic(call: _Call) -> Flow:
    first, second = call.args[0], call.args[1]
    if isinstance(first, Flow) and isinstance(second, Flow):
        raise FlowError("combines two branches; expected a chain")
    flow, given = (first, second) if isinstance(first, Flow) else (second, first)
    if call.kwargs.get("alpha", 1) != 1 or not isinstance(flow, Flow):
        raise call.refuse("alpha", "write the product out")
    if call.kwargs.get("rounding_mode") is not None:
        raise call.refuse(f"rounding_mode={call.kwargs['rounding_mode']!r}", "train without rounding")
    numbers = flow.along_channels(np.asarray(given)).astype(np.float64)
    one, zero, reverse = np.ones_like(numbers), np.zeros_like(numbers), flow is second
    base = call.target.partition(".")[0]
    if base == "add":
        return flow.affine(call.name, float32(one), float32(numbers))
    if base == "mul":
        return flow.affine(call.name, float32(numbers), float32(zero))
    if base in ("sub", "rsub"):
        turned = reverse != (base == "rsub")
        return flow.affine(call.name, float32(-one if turned else one), float32(numbers if turned else -numbers))
    if reverse or (numbers == 0).any():
        raise call.refuse("it divides by the input, or by zero", "train without that")
    return flow.affine(call.name, float32(1 / numbers), float32(zero))


def _batch_norm(call: _Call) -> Flow:
    weight, bias = call.array(1, "weight"), call.array(2, "bias")
    mean, variance = call.array(3, "running_mean"), call.array(4, "running_var")
    if mean is None or variance is None or call.args[5]:
        raise call.refuse("it has no running statistics", "train with track_running_stats=True")
    scale = (1.0 if weight is None else weight) / np.sqrt(variance.astype(np.float64) + float(call.args[7]))
    offset = (0.0 if bias is None else bias) - mean * scale
    return call.flow.normalisation(call.name, float32(scale), float32(offset))


def _pair(call: _Call, index: int, key: str, default: int) -> tuple[int, int]:
    found = call.get(index, key, default)
    values = [int(one) for one in np.atleast_1d(default if found is None or np.size(found) == 0 else found)]
    first, *rest = values
    return first, rest[0] if rest else first


def _conv(call: _Call) -> Flow:
    """A convolution over time: conv1d, or conv2d along time and width."""
    weight, bias = call.array(1, "weight"), call.array(2, "bias")
    assert weight is not None
    planar = weight.ndim == 4
    kernels = weight if planar else weight[:, :, :, np.newaxis]
    along = call.flow.axes[2:].index("T") if planar and "T" in call.flow.axes[2:] else 0
    dilations, padding = _pair(call, 5, "dilation", 1), call.get(4, "padding", 0)
    span = dilations[along] * (kernels.shape[2 + along] - 1)
    if isinstance(padding, str):
        pads = (0, 0) if padding == "valid" else (span // 2, span - span // 2)
        others = 0 if padding == "valid" else kernels.shape[3 - along] - 1
    else:
        both = _pair(call, 4, "padding", 0)
        pads, others = 2 * (both[along],), both[1 - along] if planar else 0
    if others:
        raise FlowError("pads sensor channels; expected padding along time alone")
    strides = _pair(call, 3, "stride", 1)
    groups = int(call.get(6, "groups", 1))
    offset = float32(np.zeros(len(weight)) if bias is None else bias)
    record = Convolution(
        call.name, float32(kernels[..., 0]), offset, strides[along], dilations[along], groups, (pads[0], pads[1])
    )
    return call.flow.convolution_2d(record, float32(kernels), strides) if planar else call.flow.convolution(record)


def _pad(call: _Call) -> Flow:
    """Zeros around time."""
    sides = [int(one) for one in call.args[1]]
    values = [call.get(3, "value", None), call.get(2, "value", None)]  # of aten.pad, of constant_pad_nd
    if call.target.startswith("pad.") and call.get(2, "mode", "constant") != "constant":
        raise call.refuse(f"mode={call.get(2, 'mode')!r}", "pad with zeros")
    if any(isinstance(one, int | float) and one != 0 for one in values):
        raise call.refuse(f"padding with {values}", "pad with zeros")
    flow, found = call.flow, (0, 0)
    for place in range(len(sides) // 2):
        pair = (sides[2 * place], sides[2 * place + 1])
        if pair != (0, 0) and flow.axes[-1 - place] != "T":
            raise FlowError(f"pads the axis {flow.axes[-1 - place]}; expected padding along time alone")
        found = pair if pair != (0, 0) else found
    return flow.pad(call.name, found)


def _pool(kind: PoolKind) -> Callable[[_Call], Flow]:
    def pool(call: _Call) -> Flow:
        paddings = _pair(call, 3, "padding", 0)
        if kind == "max" and _pair(call, 4, "dilation", 1) != (1, 1):
            raise call.refuse("a dilation", "pool without dilation")
        ceil = call.get(5 if kind == "max" else 4, "ceil_mode", False)
        if ceil or (kind == "average" and any(paddings)):
            raise call.refuse("ceil_mode or padding", "pool without them")
        sizes = _pair(call, 1, "kernel_size", 1)
        stride = call.get(2, "stride", None)
        strides = sizes if stride is None or np.size(stride) == 0 else _pair(call, 2, "stride", 1)
        if "pool2d" in call.target:
            return call.flow.pool_2d(call.name, kind, sizes, strides, paddings)
        return call.flow.pool(call.name, kind, sizes[0], strides[0], (paddings[0], paddings[0]))

    return pool


def _adaptive(kind: CollapseKind) -> Callable[[_Call], Any]:
    def pool(call: _Call) -> Any:
        if _pair(call, 1, "output_size", 1) != (1, 1):
            raise call.refuse("several outputs", "pool to one value")
        flow = call.flow.collapse(call.name, kind, [2], keep=True)
        return [flow, _INDICES] if kind == "max" else flow

    return pool


def _activation(function: str) -> Callable[[_Call], Flow]:
    return lambda call: call.flow.activate(call.name, function, int(call.get(1, "dim", -1) or 0))


def _cat(call: _Call) -> Flow:
    tensors, axis = call.args[0], int(call.get(1, "dim", 0))
    if any(isinstance(one, _LastOfDirection) for one in tensors):
        parts = [one.direction for one in tensors if isinstance(one, _LastOfDirection)]
        if parts != [0, 1] or len(tensors) != 2 or axis not in (1, -1) or tensors[0].states is not tensors[1].states:
            raise call.refuse("it takes the last state of one direction", _BOTH_ENDS)
        ends: Flow = tensors[0].states.flow
        return ends
    if len(tensors) != 2 or not all(isinstance(one, Flow) for one in tensors):
        raise FlowError("joins several branches; expected a chain")
    first, second = tensors
    if first.index(axis) != len(first.axes) - 1:
        raise FlowError(f"joins along the axis {first.axes[first.index(axis)]}")
    found: Flow = first.concatenate(call.name, second)
    return found


_RECURRENT = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}


def _recurrent(call: _Call, base: str, names: Sequence[str]) -> list[Any]:
    """A stack of torch.nn.RNN, GRU or LSTM: its output, and the last states of its layers."""
    if base == "rnn_relu":
        raise call.refuse('nonlinearity="relu"', "train with tanh")
    if not isinstance(call.args[1], Flow) and call.target.endswith(".data"):
        raise call.refuse("a packed sequence", "give windows of one length")
    states = call.args[1]
    for state in states if isinstance(states, list) else [states]:
        if isinstance(state, Flow) or bool(state.any()):
            raise call.refuse("an initial state that is not zero", "train with zero initial states")
    weights, has_biases, layers = list(call.args[2]), bool(call.args[3]), int(call.args[4])
    bidirectional, batch_first = bool(call.args[7]), bool(call.args[8])
    each, count = 4 if has_biases else 2, 2 if bidirectional else 1
    if len(weights) != each * layers * count:
        raise call.refuse("proj_size", "train without projection")
    prefix = names[0].rpartition(".")[0] or call.name
    tensors = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[:each]
    flow = call.flow
    for number in range(layers):
        made = []
        for direction in range(count):
            start = each * (count * number + direction)
            part = weights[start : start + each]
            arrays = {f"{name}_l0": float32(one.detach().numpy()) for name, one in zip(tensors, part, strict=True)}
            made.append(take_layer(arrays, "", 0))
        size = int(weights[each * count * number + 1].shape[1])
        name = f"{prefix}_l{number}"
        record = Recurrent(name, made[0]) if count == 1 else Bidirectional(name, *made)
        try:
            flow = flow.recurrent(record, size, directions=False, batch_first=batch_first)
        except FlowError as error:
            raise FlowError(f"importing {call.what}: {call.target} ({call.name}) {error}") from None
    last = flow.final_state(call.name)
    cells = _Unfollowed("the last cell states", "take the last output, or h_n")
    if count == 2:
        return [flow, _LastStates(last, layers, directions=2), cells]
    return [flow, last.unsqueeze([0]) if layers == 1 else _LastStates(last, layers), cells]


# Operators that change nothing at inference.
_PASSED_OVER = (
    "dropout", "dropout_", "feature_dropout", "alpha_dropout", "contiguous", "clone", "detach", "alias", "to",
    "_to_copy", "lift_fresh_copy", "_assert_tensor_metadata", "identity",
)  # fmt: skip
_OPERATORS: dict[str, Callable[[_Call], Any]] = {
    "transpose": _transpose,
    "permute": lambda call: call.flow.permute(call.args[1]),
    "movedim": _moved,
    "squeeze": _squeeze,
    "unsqueeze": lambda call: call.flow.unsqueeze([int(call.args[1])]),
    "select": _select,
    "slice": _slice,
    "mean": _reduce("mean"),
    "max": _reduce("max"),
    "amax": _reduce("max"),
    "view": _reshape,
    "reshape": _reshape,
    "flatten": _flatten,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "add": _arithmetic,
    "sub": _arithmetic,
    "rsub": _arithmetic,
    "mul": _arithmetic,
    "div": _arithmetic,
    "batch_norm": _batch_norm,
    "conv1d": _conv,
    "conv2d": _conv,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "max_pool1d": _pool("max"),
    "avg_pool1d": _pool("average"),
    "max_pool2d": _pool("max"),
    "avg_pool2d": _pool("average"),
    "adaptive_avg_pool1d": _adaptive("mean"),
    "adaptive_max_pool1d": _adaptive("max"),
    "relu": lambda call: call.flow.activate(call.name, "relu"),
    "relu_": lambda call: call.flow.activate(call.name, "relu"),
    "tanh": lambda call: call.flow.activate(call.name, "tanh"),
    "sigmoid": lambda call: call.flow.activate(call.name, "sigmoid"),
    "softmax": _activation("softmax"),
    "log_softmax": _activation("log_softmax"),
    "cat": _cat,
}
_REMEDIES = {
    "layer_norm": "its divisor changes with every sample; use BatchNorm1d, which is folded",
    "_pack_padded_sequence": "give windows of one length",
    "gelu": "use relu",
}


def run_module(module: Module, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Evaluate a module in evaluation mode: outputs, and the name and release of PyTorch."""
    import torch

    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            outputs = module(torch.from_numpy(x))
    finally:
        module.train(was_training)
    first = outputs[0] if isinstance(outputs, tuple | list) else outputs
    return np.asarray(first.numpy()), f"PyTorch {torch.__version__}"
