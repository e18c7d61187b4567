"""A model file of any kind that can be imported, as a chain. The suffix chooses the front end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_seq.frontends.chain import ImportedChain
from edge_seq.support.errors import ConfigError, ModelError

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
ONNX_SUFFIXES = (".onnx",)
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth")
_REMEDIES = {
    ".pt2": "loading it evaluates text of the file; export ONNX, or import the module in Python with es.from_torch",
    ".tflite": "its recurrent layers are loops or fused operators; give the .keras file that it was converted from",
    ".pb": "give the .keras or .h5 file, or convert it with tf2onnx",
    ".pkl": "a pickle runs code when it is read; save weights as safetensors",
    ".joblib": "a pickle runs code when it is read; save weights as safetensors",
    ".ckpt": "a pickle runs code when it is read; save module.state_dict() as safetensors",
    ".mlmodel": "export ONNX from the framework that it was trained in",
}


def chain_of_file(path: Path, *, time_steps: int, layers: Sequence[str] = ()) -> ImportedChain:
    """Read a model file.

    Args:
        path: ``.keras`` or ``.h5`` of Keras, ``.onnx``, or weights of PyTorch in ``.safetensors``, ``.pt`` or ``.pth``.
        time_steps: window length, for a network that takes any.
        layers: what the weights belong to; see :func:`edge_seq.frontends.torch_weights.chain_of_weights`. Only for
            weights of PyTorch.

    Raises:
        ConfigError: ``layers`` are given for a file that describes its layers itself.
        ModelError: the file is of another kind, is damaged or hostile, or holds what cannot be represented.
        ToolError: a package that reads it is not installed.
    """
    suffix = path.suffix.lower()
    if layers and suffix not in WEIGHTS_SUFFIXES:
        raise ConfigError(f"importing {path.name}: the file itself says what its layers are; leave --layers out")
    if suffix in KERAS_SUFFIXES:
        from edge_seq.frontends.keras.from_keras import chain_of_keras

        return chain_of_keras(path, time_steps=time_steps)
    if suffix in ONNX_SUFFIXES:
        from edge_seq.frontends.onnx.from_onnx import chain_of_onnx

        return chain_of_onnx(path, time_steps=time_steps)
    if suffix in WEIGHTS_SUFFIXES:
        from edge_seq.frontends.torch_weights import chain_of_weights, read_weights

        return chain_of_weights(read_weights(path), layers, what=path.name)
    if path.is_dir():
        raise ModelError(f"importing {path.name}: a folder; give a .keras, .h5, .onnx or .safetensors file")
    known = ", ".join((*KERAS_SUFFIXES, *ONNX_SUFFIXES, *WEIGHTS_SUFFIXES))
    remedy = _REMEDIES.get(suffix, "save the model in one of these formats")
    raise ModelError(
        f"importing {path.name}: files {suffix or 'without a suffix'} cannot be read; expected {known}; {remedy}"
    )
