"""Make the files of this folder with Keras 3 (`pip install keras torch`).

Run it with ``python tests/unit/frontends/saved/make_saved.py``; names of files after it make these alone.

Each network has its file and, in `<name>.npz`, an input `x` and the output `y` that Keras computed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import Input, layers

FOLDER = Path(__file__).parent


def save(name: str, suffix: str, model: keras.Model) -> None:
    """Save a network with random weights, its input and its output."""
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight) + rng.normal(0, 0.2, weight.shape)
        weight.assign((np.abs(value) if "variance" in weight.path else value).astype(np.float32))
    x = rng.normal(0, 1, (4, 20, 3)).astype(np.float32)
    given = x.reshape(4, *(size or 20 for size in model.input_shape[1:]))
    np.savez(FOLDER / f"{name}.npz", x=x, y=keras.ops.convert_to_numpy(model(given)))
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
    save("convolutions", ".keras", keras.Sequential([Input((20, 3)), *CONVOLUTIONS]))
    save("planes", ".keras", keras.Sequential([Input((20, 3, 1)), *PLANES]))
    save("parts", ".keras", keras.Sequential([Input((2, 10, 3)), *PARTS]))


CONVOLUTIONS = [
    layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
    layers.SpatialDropout1D(0.1),
    layers.Conv1D(8, 4, strides=2, use_bias=False),
    layers.BatchNormalization(),
    layers.Activation("relu"),
    layers.MaxPooling1D(2, strides=1),
    layers.BatchNormalization(),
    layers.DepthwiseConv1D(2, activation="tanh"),
    layers.SeparableConv1D(5, 2, activation="sigmoid"),
    layers.AveragePooling1D(2, 1),
    layers.TimeDistributed(layers.Dense(4, activation="relu")),
    layers.LSTM(6, return_sequences=True),
    layers.BatchNormalization(scale=False),
    layers.GlobalMaxPooling1D(keepdims=True),
    layers.Flatten(),
    layers.Dense(5, activation="sigmoid"),
    layers.Dense(4, activation="softmax"),
]
PLANES = [
    layers.BatchNormalization(),
    layers.Conv2D(4, (3, 1), activation="relu"),
    layers.BatchNormalization(),
    layers.Conv2D(3, (2, 1), activation="relu"),
    layers.MaxPooling2D((2, 1)),
    layers.Reshape((8, 9)),
    layers.GRU(5),
    layers.Dense(4),
]
PARTS = [
    layers.TimeDistributed(layers.Conv1D(5, 3, activation="relu")),
    layers.TimeDistributed(layers.BatchNormalization()),
    layers.TimeDistributed(layers.SeparableConv1D(4, 2)),
    layers.TimeDistributed(layers.Activation("tanh")),
    layers.TimeDistributed(layers.Dropout(0.5)),
    layers.TimeDistributed(layers.MaxPooling1D(2)),
    layers.TimeDistributed(layers.Flatten()),
    layers.LSTM(5),
    layers.Dense(4, activation="softmax"),
]


if __name__ == "__main__":
    main()
