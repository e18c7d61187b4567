"""Evaluate a model with Keras, in a process of its own.

Usage: ``python -m edge_seq.frontends.keras.run_keras MODEL IN OUT LAYER...``.

``IN`` is a .npy file with the network's input, float32 [B, T, C]. ``OUT`` becomes a .npz file with ``outputs`` and the
states of the named layers, ``0``, ``1`` and so on. Keras' safe mode is on, so that no code of the file is run.
"""

from __future__ import annotations

import sys

import numpy as np


def main(model_path: str, in_path: str, out_path: str, layers: list[str]) -> None:
    """Load the model, evaluate it and write the results."""
    import keras

    model = keras.saving.load_model(model_path, compile=False, safe_mode=True)
    features = np.load(in_path, allow_pickle=False)
    shape = model.input_shape[1:]
    if features.ndim != 1 + len(shape):  # a window in parts, [parts, samples, channels]
        features = features.reshape(len(features), *(-1 if size is None else size for size in shape))
    tensors = [model.outputs[0], *(model.get_layer(name).output for name in layers)]
    inner = keras.Model(model.inputs, tensors)
    found = inner.predict(features, batch_size=256, verbose=0)
    found = found if isinstance(found, list) else [found]
    arrays = {"outputs": found[0], **{str(index): array for index, array in enumerate(found[1:])}}
    with open(out_path, "wb") as file:  # noqa: PTH123 - a path from our own process
        np.savez(file, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
