"""Make the files of this folder with Keras 3 (`pip install keras torch`).

Run it with ``python tests/unit/frontends/saved/make_saved.py``.

Each network has its file and, in `<name>.npz`, an input `x` and the output `y` that Keras computed.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import Input, layers

FOLDER = Path(__file__).parent


def save(name: str, suffix: str, model: keras.Model) -> None:
    """Save a network with random weights, its input and its output."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight) + rng.normal(0, 0.2, weight.shape)
        weight.assign((np.abs(value) if "variance" in weight.path else value).astype(np.float32))
    x = rng.normal(0, 1, (4, 20, 3)).astype(np.float32)
    np.savez(FOLDER / f"{name}.npz", x=x, y=keras.ops.convert_to_numpy(model(x)))
    model.save(FOLDER / f"{name}{suffix}")


def main() -> None:
    """Make all files."""
    stack = [layers.LSTM(8, return_sequences=True), layers.Dropout(0.3), layers.GRU(6)]
    save("stack", ".keras", keras.Sequential([Input((20, 3)), *stack, layers.Dense(4, activation="softmax")]))
    save(
        "normalised",
        ".keras",
        keras.Sequential(
            [
                Input((None, 3)),
                layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
                layers.BatchNormalization(),
                layers.SimpleRNN(5, return_sequences=True),
                layers.BatchNormalization(),
                layers.GRU(4, return_sequences=True),
                layers.GlobalAveragePooling1D(),
                layers.Dense(4),
                layers.Softmax(),
            ]
        ),
    )
    given = Input((20, 3))
    last = layers.Dropout(0.5)(layers.LSTM(6)(given))
    save("binary", ".h5", keras.Model(given, layers.Dense(1, activation="sigmoid")(last)))


if __name__ == "__main__":
    main()
