"""Train a recurrent classifier on windows of raw counts, and predict with it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_seq.backends.preprocess import normalise
from edge_seq.data.recording import Windows
from edge_seq.data.stored import blocks, is_stored
from edge_seq.ir.contract import Normalisation, SensorContract, contract_to_dict, verify_contract
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.training.augment import make_augmenter
from edge_seq.training.checkpoint import CHECKPOINT_NAME
from edge_seq.training.config import TrainingConfig
from edge_seq.training.features import check_windows, fit_normalisation_in_pieces, gains_of, preprocessed_counts
from edge_seq.training.fit import LabelledFeatures, Progress, fit, predict_module
from edge_seq.training.initialise import initialise
from edge_seq.training.modules import SequenceClassifier
from edge_seq.training.others.teacher import answers_of_others
from edge_seq.training.record import EpochRecord
from edge_seq.training.stored import StoredFeatures, StoredLabels


@dataclass(frozen=True)
class TrainingResult:
    """A trained network and the record of its training.

    Attributes:
        state_dict: weights by torch's names, float32. They are of a :class:`SequenceClassifier`, unless ``build`` made
            another network.
        normalisation: mean and scale of the training windows, which the network's input needs.
        contract: sensor contract of the windows.
        num_classes: K.
        history: record of each epoch.
        best_epoch: epoch that the weights are from, counted from 1.
        config: configuration of the training.
        seed: seed of every random choice.
        versions: versions of Python and of the packages that the numbers depend on.
        seconds: wall time of this call. After a resume, earlier epochs are not included.
    """

    state_dict: Mapping[str, NDArray[np.float32]]
    normalisation: Normalisation
    contract: SensorContract
    num_classes: int
    history: tuple[EpochRecord, ...]
    best_epoch: int
    config: TrainingConfig
    seed: int
    versions: Mapping[str, str] = dataclasses.field(compare=False)
    seconds: float = dataclasses.field(compare=False)


@dataclass(frozen=True)
class Start:
    """A trained network that a training begins with.

    Attributes:
        state_dict: weights of a :class:`SequenceClassifier` by torch's names, float32.
        normalisation: mean and scale that they were trained with.
    """

    state_dict: Mapping[str, NDArray[np.float32]]
    normalisation: Normalisation


def train(
    train: Windows,
    validation: Windows | None,
    contract: SensorContract,
    num_classes: int,
    config: TrainingConfig,
    *,
    build: Callable[[], nn.Module] | None = None,
    start: Start | None = None,
    teacher_logits: NDArray[np.float32] | None = None,
    checkpoint_dir: Path | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a :class:`SequenceClassifier`, or the network that ``build`` makes.

    The same arguments give the same weights, whether the training was interrupted or not.

    Args:
        train: windows to learn from; the normalisation is computed from these alone.
        validation: windows of other groups, which choose the epoch; None is allowed with ``keep = "last"`` only.
        contract: sensor contract of both.
        num_classes: K.
        config: all other options.
        build: makes another network, from features float32 [B, T, C] to logits [B, K]; called after torch is seeded.
        start: network to begin with, of the shape that ``config`` says; its normalisation is kept. None draws first
            weights, and computes the normalisation.
        teacher_logits: float32 [B, K], answers of another model for the windows of ``train``, from which the network
            learns besides the labels; None for none.
        checkpoint_dir: folder in which ``checkpoint.safetensors`` is written after each epoch, and from which the
            training resumes; None writes none.
        progress: called with the record of each epoch.

    Raises:
        DataError, ContractError: windows are not usable; see :func:`edge_seq.training.features.check_windows`.
        ConfigError: options do not fit each other or the data, or the checkpoint is of another training.
        ModelError: the checkpoint is damaged.
    """
    build = build or (lambda: first_weights(contract, num_classes, config, start))
    started = time.perf_counter()
    verify_contract(contract)
    check_windows(train, contract, num_classes, role="training")
    if validation is not None:
        check_windows(validation, contract, num_classes, role="validation")
    if start is not None:
        normalisation = start.normalisation
    else:
        gains = gains_of(contract, config.input_gain, config.channel_gains)
        pieces = (preprocessed_counts(block, contract) for block in blocks(train.counts))
        normalisation = fit_normalisation_in_pieces(pieces, gain=gains)
    if teacher_logits is None and config.taught_by != "labels":
        teacher_logits = answers_of_others(train, contract, num_classes, config.taught_by)
    augmenter = make_augmenter(config.augmentation, contract, normalisation) if config.augmentation.is_active else None
    fitted = fit(
        build,
        replace(
            _labelled(train, contract, normalisation),
            teacher_logits=None if teacher_logits is None else torch.from_numpy(teacher_logits),
        ),
        None if validation is None else _labelled(validation, contract, normalisation),
        num_classes=num_classes,
        config=config,
        augmenter=augmenter,
        checkpoint_path=None if checkpoint_dir is None else checkpoint_dir / CHECKPOINT_NAME,
        fingerprint=""
        if checkpoint_dir is None
        else _fingerprint(build, start, teacher_logits, train, validation, contract, num_classes, config),
        progress=progress,
    )
    return TrainingResult(
        state_dict=fitted.state_dict,
        normalisation=normalisation,
        contract=contract,
        num_classes=num_classes,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        config=config,
        seed=config.seed,
        versions=package_versions(),
        seconds=time.perf_counter() - started,
    )


def first_weights(
    contract: SensorContract, num_classes: int, config: TrainingConfig, start: Start | None = None
) -> SequenceClassifier:
    """Build the network with its initial weights: those of ``start``, or drawn from torch's global generator."""
    module = build_classifier(contract, num_classes, config)
    if config.front and int(module.steps_after(contract.window_length)[-1]) == 0:
        raise ConfigError(
            f"training: the layers of training.front give no output in a window of {contract.window_length} samples; "
            "make their kernels and strides smaller, or the window longer"
        )
    if start is None:
        initialise(module, config.initialisation, window_length=contract.window_length)
    else:
        _load(module, start.state_dict)
    return module


def build_classifier(contract: SensorContract, num_classes: int, config: TrainingConfig) -> SequenceClassifier:
    """Build the network of a configuration, with torch's own initial weights."""
    return SequenceClassifier(
        input_size=contract.num_features,
        num_classes=num_classes,
        window_length=contract.window_length,
        cell=config.cell,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        pooling=config.pooling,
        front=config.front,
        dense=config.dense,
        dense_activation=config.dense_activation,
        dropout=config.dropout,
    )


def classifier_of(result: TrainingResult) -> SequenceClassifier:
    """Build the trained network of a result, in evaluation mode."""
    module = build_classifier(result.contract, result.num_classes, result.config)
    load_weights(module, result)
    return module


def load_weights(module: nn.Module, result: TrainingResult) -> None:
    """Load the weights of a result into a network of the same shape, and set evaluation mode."""
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in result.state_dict.items()})
    module.eval()


def predict(
    result: TrainingResult, counts: NDArray[np.int16], *, module: nn.Module | None = None
) -> NDArray[np.float32]:
    """Compute the logits after the last sample of each window.

    Args:
        result: training result.
        counts: int16 [B, T, C], raw counts; T may differ from the contract's window length, but not with ``flatten``.
        module: network with the weights of the result; None builds the recurrent classifier of the configuration.

    Returns:
        float32 [B, K].

    Raises:
        ContractError: the counts are not int16 [B, T, C] with the contract's C.
    """
    features = normalise(preprocessed_counts(counts, result.contract), result.normalisation)
    return predict_module(classifier_of(result) if module is None else module, torch.from_numpy(features))


def logits_of_weights(
    state_dict: Mapping[str, NDArray[np.float32]],
    config: TrainingConfig,
    contract: SensorContract,
    num_classes: int,
    normalisation: Normalisation,
    counts: NDArray[np.int16],
) -> NDArray[np.float32]:
    """Compute the logits float32 [B, K] of saved weights, as :func:`predict` does for a result.

    Args:
        state_dict: weights by torch's names.
        config: configuration of the training.
        contract: sensor contract.
        num_classes: K.
        normalisation: mean and scale that the network was trained with.
        counts: int16 [B, T, C], raw counts.

    Raises:
        ModelError: the weights do not fit the network of the configuration.
        ContractError: the counts are not int16 [B, T, C] with the contract's C.
    """
    module = build_classifier(contract, num_classes, config)
    _load(module, state_dict)
    features = normalise(preprocessed_counts(counts, contract), normalisation)
    return predict_module(module.eval(), torch.from_numpy(features))


def _load(module: nn.Module, state_dict: Mapping[str, NDArray[np.float32]]) -> None:
    """Load weights into a network.

    Raises:
        ModelError: they do not fit it.
    """
    try:
        module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state_dict.items()})
    except RuntimeError as error:
        raise ModelError(f"loading saved weights: they do not fit the configured network ({error})") from error


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers of a training depend on."""
    return {
        "edge_seq": importlib.metadata.version("edge-seq"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _labelled(windows: Windows, contract: SensorContract, normalisation: Normalisation) -> LabelledFeatures:
    """Normalise windows for the network. Windows on disk stay on disk."""
    of_samples, labels = windows.sample_labels, torch.from_numpy(windows.labels.astype(np.int64))
    if is_stored(windows.counts):
        return LabelledFeatures(
            x=StoredFeatures(windows.counts, contract, normalisation),
            labels=labels,
            sample_labels=None if of_samples is None else StoredLabels(of_samples),
        )
    return LabelledFeatures(
        x=torch.from_numpy(normalise(preprocessed_counts(windows.counts, contract), normalisation)),
        labels=labels,
        sample_labels=None if of_samples is None else torch.from_numpy(of_samples.astype(np.int64)),
    )


def _fingerprint(
    build: Callable[[], nn.Module],
    start: Start | None,
    teacher_logits: NDArray[np.float32] | None,
    train: Windows,
    validation: Windows | None,
    contract: SensorContract,
    num_classes: int,
    config: TrainingConfig,
) -> str:
    """Hash of everything that determines a training except its configuration."""
    with torch.random.fork_rng(devices=[]):
        shapes = {name: list(value.shape) for name, value in build().state_dict().items()}
    digest = hashlib.sha256(json.dumps([contract_to_dict(contract), num_classes, shapes], sort_keys=True).encode())
    if start is not None:
        digest.update(repr(start.normalisation).encode())
        for name, weights in sorted(start.state_dict.items()):
            digest.update(name.encode() + weights.tobytes())
    if teacher_logits is not None:
        digest.update(teacher_logits.tobytes())
    for windows in (train, validation):
        if windows is not None:
            for block in blocks(windows.counts):
                digest.update(block.tobytes())
            digest.update(np.ascontiguousarray(windows.labels).tobytes())
            if config.label_every == "sample" and windows.sample_labels is not None:
                for block in blocks(windows.sample_labels):
                    digest.update(block.tobytes())
        digest.update(b"|")
    return digest.hexdigest()
