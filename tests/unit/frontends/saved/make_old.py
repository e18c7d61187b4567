"""Make a file of this folder with an older Keras, on a Python that this one runs on.

``python make_old.py NAME``, where NAME is the file to be written, such as ``keras_2_2_4.h5``. Its input ``x`` and the
output ``y`` that Keras computed go into ``<name>.npz``. The files here were made with:

- ``keras_2_2_4.h5``: Python 3.7, ``pip install keras==2.2.4 tensorflow==1.15.5 'h5py<3' 'protobuf<3.21' 'numpy<1.19'``
- ``keras_2_15.keras``: Python 3.11, ``pip install tensorflow-cpu==2.15.1``
- ``keras_3_0.keras``: Python 3.11, ``pip install keras==3.0.5 torch dm-tree``, with ``KERAS_BACKEND=torch``
"""

import sys

import keras
import numpy as np
from keras import layers

GATES = {"recurrent_activation": "sigmoid"}  # hard_sigmoid was the default before 2.3
NETWORK = [
    layers.Conv1D(5, 3, padding="same", activation="relu", input_shape=(20, 3)),
    layers.MaxPooling1D(2),
    layers.BatchNormalization(),
    layers.TimeDistributed(layers.Dense(4, activation="tanh")),
    layers.SimpleRNN(4, return_sequences=True),
    layers.Bidirectional(layers.LSTM(3, return_sequences=True, **GATES)),
    layers.Dropout(0.5),
    layers.Bidirectional(layers.GRU(3, reset_after=True, **GATES)),
    layers.Dense(5, activation="relu"),
    layers.Dense(4, activation="softmax"),
]


def main(path: str) -> None:
    """Build, fill with random weights, evaluate and save."""
    model = keras.models.Sequential(NETWORK)
    random = np.random.RandomState(3)
    values = [weight + random.normal(0, 0.2, weight.shape) for weight in model.get_weights()]
    model.set_weights([np.abs(value) if value.ndim == 1 else value for value in values])  # no variance below 0
    x = random.normal(0, 1, (4, 20, 3)).astype(np.float32)
    np.savez(path.rsplit(".", 1)[0] + ".npz", x=x, y=model.predict(x))
    model.save(path)


if __name__ == "__main__":
    main(sys.argv[1])
