"""Evaluation of the network that a model was imported from, by its own framework: Keras, PyTorch or ONNX Runtime."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.frontends.chain import Format, InputAxes, arranged
from edge_seq.support.errors import ModelError, ToolError

Array = NDArray[np.float32]
KERAS_TIMEOUT_S = 600


Evaluate = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], str]]


@dataclass(frozen=True)
class Original:
    """The network that a model was imported from.

    Attributes:
        format: its framework.
        path: its file.
        input_axes: order of the axes of its input.
        layer_outputs: [L], name of the tensor with all states of each layer; empty if it has none.
        layers: what the weights belong to, for a file that holds weights alone.
        evaluate: evaluates a network in memory instead of the file: gives its outputs for float32 [B, T, C] with the
            axes in the order of ``input_axes``, and the name and release of its framework.
    """

    format: Format
    path: Path
    input_axes: InputAxes = "BTC"
    layer_outputs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    evaluate: Evaluate | None = None


@dataclass(frozen=True)
class Evaluated:
    """What the network gives.

    Attributes:
        outputs: float32 [B, K], or [B, 1].
        states: states of all steps by index of the layer, float32 [B, T, H].
        by: framework and release that evaluated it.
    """

    outputs: Array
    by: str
    states: Mapping[int, Array] = field(default_factory=dict)


def run_original(original: Original, features: Array) -> Evaluated:
    """Evaluate the network.

    Args:
        original: the network.
        features: what it gets, float32 [B, T, C].

    Raises:
        ToolError: its framework is not installed, or cannot load the file.
        ModelError: it gives something else than one vector a window.
    """
    if original.evaluate is not None:
        found = Evaluated(*original.evaluate(arranged(features, original.input_axes)))
        return _one_vector_a_window(original, found, len(features))
    match original.format:
        case "keras":
            found = _run_keras(original, features)
        case "onnx":
            found = _run_onnx(original, features)
        case "torch":
            from edge_seq.frontends.torch_weights import run_weights

            found = Evaluated(*run_weights(original.path, original.layers, features))
    return _one_vector_a_window(original, found, len(features))


def _one_vector_a_window(original: Original, found: Evaluated, windows: int) -> Evaluated:
    """Check the shape of the outputs."""
    outputs = found.outputs.reshape(len(found.outputs), -1) if found.outputs.ndim == 1 else found.outputs
    if outputs.ndim != 2 or len(outputs) != windows:
        raise ModelError(
            f"evaluating {original.path.name} with {found.by}: outputs {list(found.outputs.shape)} for {windows} "
            "windows; expected one vector a window"
        )
    return Evaluated(outputs.astype(np.float32), found.by, found.states)


def _run_keras(original: Original, features: Array) -> Evaluated:
    if importlib.util.find_spec("keras") is None:
        raise ToolError("Keras is not installed; pip install keras, and torch, jax or tensorflow for it to run on")
    named = [(index, name) for index, name in enumerate(original.layer_outputs) if name]
    backend = next((one for one in ("torch", "jax", "tensorflow") if importlib.util.find_spec(one)), "torch")
    environment = {"KERAS_BACKEND": backend, **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "in.npy", Path(folder) / "out.npz"
        np.save(given, arranged(features, original.input_axes))
        command = [
            sys.executable,
            "-m",
            "edge_seq.frontends.keras.run_keras",
            str(original.path),
            str(given),
            str(result),
        ]
        try:
            done = subprocess.run(
                [*command, *(name for _, name in named)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=KERAS_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"Keras did not answer within {KERAS_TIMEOUT_S} s") from error
        if done.returncode or not result.is_file():
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise ToolError(f"Keras cannot evaluate {original.path.name}: {last[:300]}")
        with np.load(result, allow_pickle=False) as arrays:
            states = {index: arrays[str(place)] for place, (index, _) in enumerate(named)}
            outputs = arrays["outputs"]
    release = importlib.metadata.version("keras")
    return Evaluated(outputs, f"Keras {release} on {environment['KERAS_BACKEND']}", states)


def _run_onnx(original: Original, features: Array) -> Evaluated:
    """Evaluate with ONNX Runtime. Tensors with all states of a layer become outputs too."""
    import onnx
    import onnxruntime

    from edge_seq.backends.onnx.session import new_session
    from edge_seq.frontends.opening import model_bytes

    model = onnx.load_model_from_string(model_bytes(original.path))
    constants = {one.name for one in model.graph.initializer}
    given = next(one for one in model.graph.input if one.name not in constants)
    kept = [one.name for one in model.graph.output]
    made = {name for node in model.graph.node for name in node.output}
    named = [
        (index, name) for index, name in enumerate(original.layer_outputs) if name and name in made and name not in kept
    ]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for _, name in named)
    batch_axis = original.input_axes.index("B")
    fixed = given.type.tensor_type.shape.dim[batch_axis]
    batch = fixed.dim_value if fixed.HasField("dim_value") else len(features)
    parts = []
    try:
        session = new_session(model.SerializeToString())
        for start in range(0, len(features), batch):
            block = features[start : start + batch]
            padded = np.concatenate([block, np.zeros((batch - len(block), *block.shape[1:]), dtype=np.float32)])
            found = session.run(
                [kept[0], *(name for _, name in named)], {given.name: arranged(padded, original.input_axes)}
            )
            parts.append([found[0][: len(block)], *(_states(array, batch)[: len(block)] for array in found[1:])])
    except Exception as error:  # its error classes are in a private module
        raise ToolError(
            f"ONNX Runtime {onnxruntime.__version__} cannot evaluate {original.path.name}: {error}"
        ) from error
    outputs, *states = (np.concatenate(one) for one in zip(*parts, strict=True))
    by_layer = {index: array for (index, _), array in zip(named, states, strict=True)}
    return Evaluated(outputs, f"ONNX Runtime {onnxruntime.__version__}", by_layer)


def _states(array: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    """States [B, T, H] from ONNX's Y [T, 1, B, H], or [B, T, 1, H] with layout 1."""
    if array.shape[1] == 1 and array.shape[2] == batch:
        return np.asarray(array[:, 0].transpose(1, 0, 2))
    return np.asarray(array[:, :, 0])
