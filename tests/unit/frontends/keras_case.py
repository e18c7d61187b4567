"""Files as Keras writes them, made with zipfile, json and h5py alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from edge_seq.frontends.keras.keras_files import snake_case

Weights = Sequence[np.ndarray]
Named = tuple[str, dict[str, Any], Weights]  # class, options, weights

RNG = np.random.default_rng(0)


def recurrent(kind: str, units: int, inputs: int, **options: Any) -> Named:
    """A recurrent layer of Keras with random weights."""
    gates = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}[kind]
    config: dict[str, Any] = {"units": units, "activation": "tanh", "return_sequences": False, "go_backwards": False}
    if kind != "SimpleRNN":
        config["recurrent_activation"] = "sigmoid"
    if kind == "GRU":
        config["reset_after"] = True
    bias = (2, gates * units) if kind == "GRU" else (gates * units,)
    shapes: list[tuple[int, ...]] = [(inputs, gates * units), (units, gates * units), bias]
    return kind, {**config, **options}, [RNG.normal(0, 0.5, shape) for shape in shapes]


def dense(outputs: int, inputs: int, activation: str = "linear") -> Named:
    """A linear layer of Keras with random weights."""
    weights = [RNG.normal(0, 0.5, (inputs, outputs)), RNG.normal(0, 0.5, outputs)]
    return "Dense", {"units": outputs, "activation": activation}, weights


def description(layers: Sequence[Named], time_steps: int | None = 50) -> dict[str, Any]:
    """The configuration of a Sequential model."""
    entries = [{"class_name": "InputLayer", "config": {"name": "given", "batch_shape": [None, time_steps, 3]}}]
    entries += [
        {"class_name": kind, "config": {"name": f"layer_{index}", **options}}
        for index, (kind, options, _) in enumerate(layers)
    ]
    return {"class_name": "Sequential", "config": {"name": "net", "layers": entries}}


def write_keras(
    path: Path,
    layers: Sequence[Named],
    *,
    config: dict[str, Any] | None = None,
    time_steps: int | None = 50,
    change: Callable[[h5py.File], None] = lambda _: None,
) -> Path:
    """Write a ``.keras`` file. ``change`` may do harm to its weights."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        counts: dict[str, int] = {}
        for kind, _, weights in layers:
            base = snake_case(kind)
            number = counts.get(base, 0)
            counts[base] = number + 1
            group = file.create_group(f"layers/{base}_{number}" if number else f"layers/{base}")
            own = group.create_group("cell/vars" if kind in ("LSTM", "GRU", "SimpleRNN") else "vars")
            for index, array in enumerate(weights):
                own.create_dataset(str(index), data=np.asarray(array, dtype=np.float32))
        change(file)
    text = json.dumps(description(layers, time_steps) if config is None else config)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path


def write_h5(path: Path, layers: Sequence[Named], config: dict[str, Any] | None = None) -> Path:
    """Write an ``.h5`` file of Keras 2."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(description(layers) if config is None else config)
        for index, (_, _, weights) in enumerate(layers):
            group = file.create_group(f"model_weights/layer_{index}")
            names = [f"layer_{index}/part_{number}:0" for number in range(len(weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, weights, strict=True):
                group.create_dataset(name, data=np.asarray(array, dtype=np.float32))
    return path
