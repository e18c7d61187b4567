"""Weights of PyTorch, a ``state_dict`` in a file or in memory, with a list of what they belong to, as a chain.

A ``state_dict`` holds names and numbers only: neither the order of the layers, nor activations and pooling. They are
given as a list, for example ``["lstm", "last", "fc1", "relu", "fc2"]``: names of the modules in the ``state_dict``, and
functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.frontends.chain import (
    Activate,
    Affine,
    Collapse,
    CollapseKind,
    Dense,
    ImportedChain,
    Record,
    Recurrent,
    float32,
)
from edge_seq.frontends.from_torch import refuse_unsupported, take_layer, to_float32
from edge_seq.frontends.opening import model_bytes, reading_model
from edge_seq.ir.kinds import Rnn, input_size
from edge_seq.support.errors import ModelError, ToolError
from edge_seq.support.opening import parse_tensors
from edge_seq.training.runtime import has_torch

_FUNCTIONS = ("relu", "tanh", "sigmoid", "softmax", "log_softmax")
_COLLAPSES: tuple[CollapseKind, ...] = ("last", "mean", "max", "mean_max", "flatten")
_WORD = re.compile(r"(?P<name>[\w.]+)(?:\((?P<option>[\w.+-]+)\))?")
_EPSILON = "1e-5"  # of torch.nn.BatchNorm1d, if it is not given


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read a ``state_dict``: safetensors, or what ``torch.save(module.state_dict(), path)`` wrote.

    The latter is read by torch with ``weights_only=True``, which runs no code.

    Raises:
        ModelError: the file is damaged, or holds a whole module (a pickle).
        ToolError: torch is needed and not installed.
    """
    content = model_bytes(path)
    if path.suffix.lower() == ".safetensors":
        with reading_model(path.name, "safetensors"):
            try:
                return dict(parse_tensors(content)[0])
            except ValueError as error:
                raise ModelError(f"importing {path.name}: {error}; copy or save it again") from error
    if not has_torch():
        raise ToolError(
            f"importing {path.name}: torch is not installed; pip install 'edge-seq[train]', or save the weights as "
            "safetensors"
        )
    import io
    import pickle
    import warnings

    import torch

    with reading_model(path.name, "weights of PyTorch"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch says what is strange in a file; what it refuses is an error
                found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ModelError(
                f"importing {path.name}: it holds more than weights, which may run code when it is read; save "
                "module.state_dict(), or import the module in Python with es.from_torch"
            ) from error
        if not isinstance(found, Mapping) or not all(isinstance(one, torch.Tensor) for one in found.values()):
            inside = sorted(found) if isinstance(found, Mapping) else type(found).__name__
            raise ModelError(
                f"importing {path.name}: it holds {inside}; expected the tensors of one state_dict. Save "
                "module.state_dict() alone"
            )
        return {str(name): tensor.detach().numpy() for name, tensor in found.items()}


def chain_of_weights(weights: Mapping[str, Any], layers: Sequence[str], *, what: str) -> ImportedChain:
    """Read a ``state_dict``.

    Args:
        weights: arrays or tensors by torch's names. ``num_batches_tracked`` is passed over.
        layers: modules by their names in the ``state_dict``, ``rnn(tanh)`` for a torch.nn.RNN, ``norm(1e-3)`` for a
            torch.nn.BatchNorm1d whose eps is not 1e-5, and the functions ``last``, ``mean``, ``max``, ``mean_max``,
            ``flatten``, ``relu``, ``tanh``, ``sigmoid``, ``softmax`` and ``log_softmax``, in the order of computation.
        what: the file, for messages.

    Raises:
        ModelError: layers are missing, unknown or left over, or a tensor cannot be converted.

    >>> lstm = {"lstm.weight_ih_l0": np.ones((8, 3)), "lstm.weight_hh_l0": np.ones((8, 2))}
    >>> chain = chain_of_weights({**lstm, "fc.weight": np.ones((4, 2))}, ["lstm", "last", "fc"], what="weights")
    >>> [type(record).__name__ for record in chain.records]
    ['Recurrent', 'Collapse', 'Dense']
    """
    arrays = {
        name: to_float32(name, value) for name, value in weights.items() if not name.endswith("num_batches_tracked")
    }
    modules = _modules(arrays)
    if not layers:
        example = ",".join([*modules[:1], "last", *modules[1:]])
        raise ModelError(
            f"importing {what}: weights alone do not say what is done with them; give the layers in their order with "
            f"--layers, for example --layers {example!r}. Modules in it: {modules}; functions: "
            f"{[*_COLLAPSES, *_FUNCTIONS]}"
        )
    records: list[Record] = []
    for word in layers:
        records += _records(word.strip(), arrays, modules, what)
    if arrays:
        raise ModelError(f"importing {what}: {_modules(arrays)} are not among --layers {','.join(layers)}; add them")
    first = next((record for record in records if isinstance(record, Recurrent | Dense)), None)
    size = None if first is None else _inputs(first)
    return ImportedChain("torch", what, size, None, tuple(records))


def _inputs(record: Recurrent | Dense) -> int:
    if isinstance(record, Dense):
        return int(record.weight.shape[1])
    return input_size(record.layer)


def _modules(arrays: Mapping[str, Any]) -> list[str]:
    """Names of the modules that the arrays belong to, in the order of the file."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in arrays))


def _records(word: str, arrays: dict[str, NDArray[np.float32]], modules: Sequence[str], what: str) -> list[Record]:
    """What one word of the list does. The arrays it uses are removed."""
    match = _WORD.fullmatch(word)
    name, option = (match["name"], match["option"]) if match else (word, None)
    if name not in modules:
        for kind in _COLLAPSES:
            if kind == word:
                return [Collapse(word, kind)]
        if word in _FUNCTIONS:
            return [Activate(word, word)]
        raise ModelError(
            f"importing {what}: {word!r} is neither a module of the weights nor a function; modules: {list(modules)}; "
            f"functions: {[*_COLLAPSES, *_FUNCTIONS]}"
        )
    prefix = f"{name}."
    if f"{prefix}weight_ih_l0" in arrays:
        return _recurrent(prefix, option, arrays, what)
    weight, bias = arrays.pop(f"{prefix}weight", None), arrays.pop(f"{prefix}bias", None)
    if option is not None and f"{prefix}running_var" not in arrays:
        raise ModelError(
            f"importing {what}: {word!r} in --layers: only a torch.nn.RNN and a batch normalisation have an option; "
            f"write a function as a word of its own, for example {name},relu"
        )
    mean, variance = (arrays.pop(f"{prefix}{key}", None) for key in ("running_mean", "running_var"))
    if mean is not None and variance is not None:
        epsilon = _epsilon(name, option, what)
        scale = (1.0 if weight is None else weight) / np.sqrt(variance.astype(np.float64) + epsilon)
        offset = (0.0 if bias is None else bias) - mean * scale
        return [Affine(name, float32(scale), float32(offset))]
    if weight is not None and weight.ndim == 2:
        if bias is not None and bias.shape != (len(weight),):
            raise ModelError(f"importing {what}: {prefix}bias has shape {list(bias.shape)}; expected [{len(weight)}]")
        return [Dense(name, float32(weight), float32(np.zeros(len(weight)) if bias is None else bias))]
    shape = None if weight is None else list(weight.shape)
    raise ModelError(
        f"importing {what}: {name} has weights {shape}, which do not say all that it does (stride, padding, "
        "normalised axes); export ONNX, or import the module in Python with es.from_torch"
    )


def _epsilon(name: str, option: str | None, what: str) -> float:
    """The eps of a batch normalisation, which its weights do not show."""
    try:
        epsilon = float(_EPSILON if option is None else option)
    except ValueError:
        epsilon = -1.0
    if not 0 <= epsilon < 1:
        raise ModelError(
            f"importing {what}: {name}({option}) in --layers: expected the eps of the batch normalisation, from 0 to "
            f"1, for example {name}(1e-3)"
        )
    return epsilon


def _recurrent(prefix: str, option: str | None, arrays: dict[str, NDArray[np.float32]], what: str) -> list[Record]:
    refuse_unsupported(arrays, prefix)
    name = prefix[:-1]
    records: list[Record] = []
    if option not in (None, "tanh"):
        is_rnn = "tanh if it is a torch.nn.RNN with tanh. relu is not supported: train with tanh"
        raise ModelError(f"importing {what}: {name}({option}) in --layers: expected no option, or {is_rnn}")
    while f"{prefix}weight_ih_l{len(records)}" in arrays:
        layer = take_layer(arrays, prefix, len(records))
        if isinstance(layer, Rnn) and option != "tanh":
            raise ModelError(
                f"importing {what}: {name} is a torch.nn.RNN, and --layers does not say which nonlinearity it has; "
                f"write {name}(tanh) if it is tanh. relu is not supported: train with tanh"
            )
        records.append(Recurrent(f"{name}_l{len(records)}", layer))
    return records


def run_weights(path: Path, layers: Sequence[str], features: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Evaluate the network with modules of PyTorch that hold the weights.

    Args:
        path: file of the weights.
        layers: as in :func:`chain_of_weights`.
        features: float32 [B, T, C].

    Returns:
        Outputs float32 [B, K], and the name and release of PyTorch.

    Raises:
        ToolError: torch is not installed, or the network has a layer that PyTorch does not have.
    """
    return run_loaded(read_weights(path), layers, features)


def run_loaded(
    weights: Mapping[str, Any], layers: Sequence[str], features: NDArray[np.float32]
) -> tuple[NDArray[np.float32], str]:
    """Like :func:`run_weights`, with weights that are in memory: arrays or tensors by torch's names."""
    if not has_torch():
        raise ToolError("torch is not installed; pip install 'edge-seq[train]'")
    import torch

    tensors = {name: torch.from_numpy(to_float32(name, w)) for name, w in weights.items() if "num_batches" not in name}
    x = torch.from_numpy(features)
    with torch.inference_mode():
        for word in layers:
            x = _apply(word.strip(), tensors, x)
    return x.numpy(), f"PyTorch {torch.__version__}"


def _apply(word: str, weights: Mapping[str, Any], x: Any) -> Any:
    """Apply one word of the list to a tensor of torch."""
    import torch
    from torch import nn

    match = _WORD.fullmatch(word)
    name, option = (match["name"], match["option"]) if match else (word, None)
    own = {key[len(name) + 1 :]: value for key, value in weights.items() if key.startswith(f"{name}.")}
    if not own:
        match word:
            case "last":
                return x[:, -1]
            case "mean":
                return x.mean(dim=1)
            case "max":
                return x.amax(dim=1)
            case "mean_max":
                return torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=-1)
            case "flatten":
                return x.flatten(1)
            case "softmax" | "log_softmax":
                return getattr(torch, word)(x, dim=-1)
            case _:
                return getattr(torch, word)(x)
    if "weight_ih_l0" in own:
        if "zeta_l0" in own:
            raise ToolError(f"{name} is a FastGRNN, which PyTorch does not have")
        rows, size = own["weight_hh_l0"].shape
        kind = {1: nn.RNN, 3: nn.GRU, 4: nn.LSTM}[rows // size]
        count = sum(key.startswith("weight_ih_l") for key in own)
        module: nn.Module = kind(own["weight_ih_l0"].shape[1], size, count, batch_first=True, bias="bias_ih_l0" in own)
        module.load_state_dict(own)
        return module(x)[0]
    if "running_mean" in own:
        statistics = (own["running_mean"], own["running_var"], own.get("weight"), own.get("bias"))
        eps = float(option or _EPSILON)
        return torch.nn.functional.batch_norm(x.movedim(-1, 1), *statistics, eps=eps).movedim(1, -1)
    return torch.nn.functional.linear(x, own["weight"], own.get("bias"))
