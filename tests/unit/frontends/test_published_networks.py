"""Published shapes, a few for each category of the survey: saved, imported by file, and equal to the original."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_float import run_float
from edge_seq.frontends.files import chain_of_file
from edge_seq.frontends.lower import lower, original_outputs
from edge_seq.ir.contract import Channel, Normalisation, SensorContract
from tests.benchmarks.networks import CATEGORIES, KERAS, TORCH, of_keras, of_torch

STEPS, CHANNELS, CLASSES = 128, 6, 6
COUNTS = np.random.default_rng(0).normal(0, 900, (2, STEPS, CHANNELS)).astype(np.int16)
X = (COUNTS / 1000).astype(np.float32)


def compare_with(path: Path, expected: np.ndarray) -> None:
    axes = tuple(Channel(f"a{index}", "g", 1000.0, 8.0) for index in range(CHANNELS))
    lowered = lower(
        chain_of_file(path, time_steps=STEPS),
        name="net",
        labels=tuple("abcdef"),
        contract=SensorContract(50.0, axes, STEPS, STEPS),
        scaler=Normalisation((0.0,) * CHANNELS, (1000.0,) * CHANNELS),
    )
    logits = run_float(lowered.model, COUNTS).values["logits"][:, -1]
    np.testing.assert_allclose(original_outputs(lowered, logits), expected, atol=1e-4)


def test_each_network_stands_for_one_category() -> None:
    named = [name for _, names in CATEGORIES.values() for name in names]
    assert sorted(named) == sorted((*KERAS, *TORCH))
    shares = [share for share, _ in CATEGORIES.values()]
    assert shares == sorted(shares)


@pytest.mark.slow  # starts Keras
@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras")
@pytest.mark.parametrize("name", KERAS)
def test_a_network_of_keras_is_imported(name: str, tmp_path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, of what it calls
        import keras

        keras.utils.set_random_seed(1)
        layers = [keras.Input((STEPS, CHANNELS)), *of_keras(name), keras.layers.Dense(CLASSES, activation="softmax")]
        network = keras.Sequential(layers)
        network.save(tmp_path / "net.keras")
        expected = keras.ops.convert_to_numpy(network(X))
    compare_with(tmp_path / "net.keras", expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH)
def test_a_network_of_pytorch_is_imported(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = of_torch(name).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the older exporter, of itself
        torch.onnx.export(module, (torch.zeros(1, STEPS, CHANNELS),), str(tmp_path / "net.onnx"), dynamo=False)
    with torch.no_grad():
        expected = np.concatenate([module(torch.from_numpy(x[np.newaxis])).numpy() for x in X])
    compare_with(tmp_path / "net.onnx", expected)
