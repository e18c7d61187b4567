"""Import of networks of other frameworks, in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_seq.api.boundary import in_python
from edge_seq.api.data import Data
from edge_seq.api.models import ImportedModel
from edge_seq.frontends.chain import ImportedChain
from edge_seq.frontends.files import KERAS_SUFFIXES, ONNX_SUFFIXES, chain_of_file
from edge_seq.frontends.imports import check_labels, import_chain
from edge_seq.frontends.originals import Original
from edge_seq.ir.contract import SensorContract, verify_contract
from edge_seq.parity.original_rung import check_import
from edge_seq.support.errors import ModelError

if TYPE_CHECKING:
    from edge_seq.frontends.torch_module import Module


@in_python
def from_keras(
    path: str | Path,
    data: Data | SensorContract,
    *,
    labels: Sequence[str] | None = None,
    mean: Sequence[float] | float | None = None,
    scale: Sequence[float] | float | None = None,
    name: str = "model",
) -> ImportedModel:
    """Import a network that Keras saved. Keras is not needed; if it is installed, it evaluates the network to compare.

    Args:
        path: ``.keras`` or ``.h5`` file of ``model.save``.
        data: Data that calibrate and test the model; or a sensor contract, if there are no recordings.
        labels: [K] class names in the order of the network's outputs. Default: the order of the data.
        mean, scale: Scaler that was applied before the network, in the contract's units: one for each channel, or one
            for all. Default: none.
        name: Name of the model, a C identifier in lower case.

    Raises:
        ModelError: The file is damaged or hostile, or holds what cannot be represented; the message names it.
        ContractError: Channels or window length differ from those of the data.
        ConfigError: The scaler does not fit.
        ToolError: h5py is not installed.

    Example:
        >>> import edge_seq as es
        >>> network = es.from_keras("network.keras", data, scale=9.81)  # doctest: +SKIP
        >>> chip = es.quantize(network, calibration=data)  # doctest: +SKIP
    """
    return _of_file(Path(path), KERAS_SUFFIXES, data, labels, mean, scale, name)


@in_python
def from_onnx(
    path: str | Path,
    data: Data | SensorContract,
    *,
    labels: Sequence[str] | None = None,
    mean: Sequence[float] | float | None = None,
    scale: Sequence[float] | float | None = None,
    name: str = "model",
) -> ImportedModel:
    """Import a network in ONNX. ONNX Runtime evaluates it to compare.

    Args:
        path: ``.onnx`` file.
        data, labels, mean, scale, name: As in :func:`from_keras`.

    Raises:
        ModelError, ContractError, ConfigError: As in :func:`from_keras`.

    Example:
        >>> import edge_seq as es
        >>> network = es.from_onnx("network.onnx", data)  # doctest: +SKIP
    """
    return _of_file(Path(path), ONNX_SUFFIXES, data, labels, mean, scale, name)


@in_python
def from_torch(
    network: Module | Mapping[str, Any],
    data: Data | SensorContract,
    *,
    layers: Sequence[str] = (),
    labels: Sequence[str] | None = None,
    mean: Sequence[float] | float | None = None,
    scale: Sequence[float] | float | None = None,
    name: str = "model",
) -> ImportedModel:
    """Import a PyTorch module, or a ``state_dict`` with a list of its layers. PyTorch evaluates it to compare.

    A module is read from the graph that ``torch.export`` makes of it. It takes one tensor, float32 [B, T, C],
    [T, B, C] or [B, C, T], and gives [B, K].

    Args:
        network: Module or ``state_dict``.
        data: As in :func:`from_keras`.
        layers: For a ``state_dict``: its modules and the functions between them, in order; see
            :func:`edge_seq.frontends.torch_weights.chain_of_weights`.
        labels, mean, scale, name: As in :func:`from_keras`.

    Raises:
        ModelError, ContractError, ConfigError: As in :func:`from_keras`.
        ToolError: torch is not installed.

    Example:
        >>> import edge_seq as es
        >>> network = es.from_torch(module, data)  # doctest: +SKIP
        >>> network = es.from_torch(weights, data, layers=["lstm", "last", "fc"])  # doctest: +SKIP
    """
    contract = _contract(data)
    if isinstance(network, Mapping):
        from edge_seq.frontends.torch_weights import chain_of_weights, run_loaded

        weights = dict(network)
        chain = chain_of_weights(weights, layers, what="state_dict")
        original = Original("torch", Path("state_dict"), evaluate=lambda x: run_loaded(weights, layers, x))
        return _imported(chain, original, data, labels, mean, scale, name)
    if layers:
        raise ModelError("importing a module: layers are for a state_dict; leave them out, the module has its own")
    from edge_seq.frontends.torch_module import chain_of_module, run_module

    chain = chain_of_module(network, time_steps=contract.window_length, channels=contract.num_channels)
    original = Original("torch", Path(chain.what), chain.input_axes, evaluate=lambda x: run_module(network, x))
    return _imported(chain, original, data, labels, mean, scale, name)


def _contract(data: Data | SensorContract) -> SensorContract:
    if isinstance(data, SensorContract):
        verify_contract(data)
        return data
    return data.contract


def _of_file(
    path: Path,
    suffixes: Sequence[str],
    data: Data | SensorContract,
    labels: Sequence[str] | None,
    mean: Sequence[float] | float | None,
    scale: Sequence[float] | float | None,
    name: str,
) -> ImportedModel:
    if path.suffix.lower() not in suffixes:
        raise ModelError(f"importing {path.name}: expected a file {' or '.join(suffixes)}")
    chain = chain_of_file(path, time_steps=_contract(data).window_length)
    return _imported(chain, Original(chain.format, path, chain.input_axes), data, labels, mean, scale, name)


def _imported(
    chain: ImportedChain,
    original: Original,
    data: Data | SensorContract,
    labels: Sequence[str] | None,
    mean: Sequence[float] | float | None,
    scale: Sequence[float] | float | None,
    name: str,
) -> ImportedModel:
    recordings = None if isinstance(data, SensorContract) else data.prepared
    found = import_chain(
        chain,
        lambda lowered: replace(original, layer_outputs=lowered.layer_outputs),
        name=name,
        labels=check_labels(labels or (), chain.what) if recordings is None else recordings.dataset.labels,
        contract=_contract(data),
        class_order=labels,
        mean=_listed(mean),
        scale=_listed(scale),
        train=None if recordings is None else recordings.train,
        calibration=None if recordings is None else recordings.calibration,
    )
    return ImportedModel(found, None if recordings is None else check_import(found, recordings.train.counts))


def _listed(values: Sequence[float] | float | None) -> Sequence[float] | None:
    return None if values is None else np.atleast_1d(np.asarray(values, dtype=np.float64)).tolist()
