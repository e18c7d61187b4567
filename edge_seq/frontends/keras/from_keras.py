"""Read a network that Keras saved, ``.keras`` or ``.h5``, as an imported chain. Neither Keras nor TensorFlow is needed.

A ``.keras`` file is a zip with ``config.json`` (the layers) and ``model.weights.h5``. An ``.h5`` file of Keras 2 or 3
has the same JSON in its attribute ``model_config``. Nothing of the file is run: a Lambda layer is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from edge_seq.frontends.chain import Array, ImportedChain, InputAxes
from edge_seq.frontends.flow import TRACED_BATCH, Flow, FlowError
from edge_seq.frontends.keras.keras_files import KerasFile, open_keras
from edge_seq.frontends.keras.layers import (
    LAYERS,
    NO_EFFECT,
    OTHER_REMEDY,
    REMEDIES,
    Config,
    KerasLayer,
    is_of_keras,
)
from edge_seq.support.errors import ModelError

MAX_LAYERS = 256


def chain_of_keras(path: Path, *, time_steps: int) -> ImportedChain:
    """Read a ``.keras`` or ``.h5`` file.

    Args:
        path: a file that ``model.save`` wrote.
        time_steps: window length, for a network that takes any.

    Raises:
        ModelError: the file is damaged, hostile, or holds what the project cannot represent; the message names it.
        ToolError: h5py is not installed.
    """
    with open_keras(path) as file:
        what = path.name
        layers = _in_order(file.config, what)
        passed_over: list[str] = []
        count, axes, shape = _input_of(file, layers, what, time_steps)
        flow = Flow(
            tuple(axes.replace("1", "D")),
            tuple(TRACED_BATCH if axis == "B" else size or time_steps for axis, size in zip(axes, shape, strict=True)),
        )
        flow = flow if count is None else flow.parts(count)
        for kind, name, config in layers:
            inner = config.get("layer", {}) if kind == "TimeDistributed" else {}
            applied = str(inner.get("class_name")) if inner and is_of_keras(inner) else kind
            if applied in NO_EFFECT or (kind == "Flatten" and len(flow.axes) == 2):
                passed_over += [f"{applied} {name}"] if kind != "InputLayer" else []
                continue
            if kind not in LAYERS:
                raise ModelError(
                    f"importing {what}: {kind} {name} is not supported; {REMEDIES.get(kind, OTHER_REMEDY)}. "
                    f"Supported: {', '.join(sorted((*LAYERS, *NO_EFFECT)))}"
                )
            try:
                flow = LAYERS[kind](KerasLayer(what, kind, name, config, _weights_of(file, kind, name), flow))
            except FlowError as error:
                raise FlowError(f"importing {what}: {kind} {name} {error}, which is not supported") from None
        sizes = dict(zip(axes, shape, strict=True))
        return ImportedChain("keras", what, sizes["C"], sizes["T"], flow.records, tuple(passed_over), axes)


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
        if not is_of_keras(entry):
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


def _input_of(
    file: KerasFile, layers: list[Named], what: str, time_steps: int
) -> tuple[int | None, InputAxes, list[int | None]]:
    """Number of parts of a window, None if it comes as a whole; axes of the input, and their lengths: None for the
    batch, and for time if any length is taken."""
    shape = _input_shape(file.config, layers)
    if shape is None:  # no input shape was given: the channels are those of the first weights
        weights = next((found for kind, name, _ in layers if (found := file.weights(kind, name))), None)
        shape = [None, None if weights is None else weights[0].shape[-2 if weights[0].ndim > 1 else -1]]
    parts = _parts_of(layers, shape, time_steps)
    if parts is not None and parts[0] * parts[1] == time_steps:
        return parts[0], "BTC", [None, time_steps if shape[0] else None, parts[2]]
    for axes in get_args(InputAxes):
        ordered = [axis for axis in axes if axis != "1"] == ["B", "T", "C"]
        if (
            ordered
            and len(axes) == len(shape) + 1
            and all(size == 1 for axis, size in zip(axes[1:], shape, strict=True) if axis == "1")
        ):
            sizes = [None, *shape]
            if sizes[axes.index("C")] is not None and all(size is None or size >= 1 for size in sizes):
                return None, axes, sizes
    if parts is not None:
        return parts[0], "BTC", [None, parts[0] * parts[1], parts[2]]
    raise ModelError(
        f"importing {what}: its input has the shape {[None, *shape]}; expected batch, time, channels, or an axis of "
        "length 1 besides, and a fixed number of channels"
    )


def _parts_of(layers: list[Named], shape: list[int | None], time_steps: int) -> tuple[int, int, int] | None:
    """Parts of a window, samples of each and channels, if the first layer takes windows in parts."""
    first = next((kind for kind, _, _ in layers if kind not in NO_EFFECT), "")
    if first != "TimeDistributed" or len(shape) != 3:
        return None
    count, length, channels = shape
    if not length or not channels or length < 2 or channels < 1:
        return None
    count = max(time_steps // length, 1) if count is None else count
    return None if count < 1 else (count, length, channels)


def _input_shape(model: Config, layers: list[Named]) -> list[int | None] | None:
    """Shape of the input without the batch; an entry is None if any length is taken."""
    for _, _, config in layers[:1]:
        for key in ("batch_shape", "batch_input_shape"):
            shape = config.get(key)
            if isinstance(shape, list) and len(shape) > 1:
                return shape[1:]
    build = model.get("build_config") or {}
    shape = build.get("input_shape") if isinstance(build, dict) else None
    return shape[1:] if isinstance(shape, list) and len(shape) > 1 else None
