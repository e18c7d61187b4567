"""Networks as people publish them for the recognition of activities: shapes only, in code of our own.

Each is named after what it stands for. ``of_keras`` gives Keras layers, ``of_torch`` a module. Both take windows
[B, 128, 6], scaled to unit variance, and give 6 classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

KERAS = (
    "lstm_100_dense_100",
    "lstm_32",
    "lstm_64_64",
    "gru_64_norm_dense",
    "rnn_64",
    "gru_32_max",
    "lstm_64_mean_dense",
    "normalised_gru_32_32",
    "conv_gru_norm",
    "conv_conv_lstm_100",
    "separable_conv_gru",
    "step_dense_lstm",
    "deep_conv_lstm",
    "bilstm_32",
    "bilstm_32_32",
    "lstm_32_flatten_dense",
    "cnn_lstm_parts",
)
TORCH = (
    "torch_lstm_64_64",
    "torch_gru_last",
    "torch_lstm_relu_dense",
    "torch_bilstm_last",
    "torch_conv_norm_lstm",
    "torch_deep_conv_lstm_2d",
    "torch_gru_mean_max",
    "torch_bigru_mean",
)
# Of 78 definitions that a survey found in public repositories, the share with nothing but what a category and those
# above it have; and the networks here that stand for the category.
CATEGORIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "recurrent layers, read out by the last state, the mean or the maximum": (
        19,
        ("lstm_32", "lstm_64_64", "rnn_64", "gru_32_max", "torch_lstm_64_64", "torch_gru_last", "torch_gru_mean_max"),
    ),
    "and hidden dense layers, batch normalisation": (
        32,
        (
            "lstm_100_dense_100", "gru_64_norm_dense", "lstm_64_mean_dense", "normalised_gru_32_32",
            "torch_lstm_relu_dense",
        ),
    ),
    "and convolutions and pools before them": (
        53,
        (
            "conv_gru_norm", "conv_conv_lstm_100", "separable_conv_gru", "deep_conv_lstm", "torch_conv_norm_lstm",
            "torch_deep_conv_lstm_2d",
        ),
    ),
    "and flattened states, TimeDistributed, bidirectional layers": (
        74,
        (
            "lstm_32_flatten_dense", "step_dense_lstm", "cnn_lstm_parts", "bilstm_32", "bilstm_32_32",
            "torch_bilstm_last", "torch_bigru_mean",
        ),
    ),
}  # fmt: skip
# Shapes of the same kind that are refused, and what the import says.
REFUSED = {
    "flattened states of a bidirectional layer": "those of the backward direction come at the window's end",
    "dense layers with an activation on each step, convolutions or pools behind a recurrent layer": "not in a chain",
    "ConvLSTM2D, recurrent layers within TimeDistributed": "no layer of the model",
    "relu within a recurrent layer, reset_after=False, hard_sigmoid, layer normalisation": "another arithmetic",
    "attention, residual connections, several branches": "not a chain",
}


def of_keras(name: str) -> list[Any]:
    """The layers of a network of :data:`KERAS`, behind the input and before the softmax."""
    from keras import layers as k

    def conv(units: int, size: int, **options: Any) -> Any:
        return k.Conv1D(units, size, **{"activation": "relu", **options})

    networks: dict[str, Callable[[], list[Any]]] = {
        "lstm_100_dense_100": lambda: [k.LSTM(100), k.Dropout(0.5), k.Dense(100, activation="relu")],
        "lstm_32": lambda: [k.LSTM(32)],
        "lstm_64_64": lambda: [k.LSTM(64, return_sequences=True), k.Dropout(0.2), k.LSTM(64), k.Dropout(0.2)],
        "gru_64_norm_dense": lambda: [
            k.GRU(64), k.BatchNormalization(), k.Dense(32, activation="relu"), k.Dropout(0.3),
        ],
        "rnn_64": lambda: [k.SimpleRNN(64)],
        "gru_32_max": lambda: [k.GRU(32, return_sequences=True), k.GlobalMaxPooling1D()],
        "lstm_64_mean_dense": lambda: [
            k.LSTM(64, return_sequences=True), k.GlobalAveragePooling1D(), k.Dense(64, activation="relu"),
        ],
        "normalised_gru_32_32": lambda: [k.BatchNormalization(), k.GRU(32, return_sequences=True), k.GRU(32)],
        "conv_gru_norm": lambda: [conv(64, 5), k.BatchNormalization(), k.MaxPooling1D(2), k.GRU(64), k.Dropout(0.5)],
        "conv_conv_lstm_100": lambda: [
            conv(64, 3), conv(64, 3), k.Dropout(0.5), k.MaxPooling1D(2), k.LSTM(100), k.Dense(100, activation="relu"),
        ],
        "separable_conv_gru": lambda: [
            k.SeparableConv1D(32, 5, strides=2, activation="relu"), k.SpatialDropout1D(0.1), k.GRU(32),
        ],
        "step_dense_lstm": lambda: [k.TimeDistributed(k.Dense(32, activation="relu")), k.LSTM(32)],
        "deep_conv_lstm": lambda: [
            *(conv(64, 5) for _ in range(4)), k.LSTM(128, return_sequences=True), k.Dropout(0.5), k.LSTM(128),
        ],
        "bilstm_32_32": lambda: [
            k.Bidirectional(k.LSTM(32, return_sequences=True)), k.Dropout(0.3), k.Bidirectional(k.LSTM(32)),
        ],
        "lstm_32_flatten_dense": lambda: [
            k.LSTM(32, return_sequences=True), k.Dropout(0.5), k.Flatten(), k.Dense(32, activation="relu"),
        ],
        "cnn_lstm_parts": lambda: [
            k.Reshape((4, 32, 6)), k.TimeDistributed(conv(16, 3)), k.TimeDistributed(conv(16, 3)),
            k.TimeDistributed(k.Dropout(0.5)), k.TimeDistributed(k.MaxPooling1D(2)), k.TimeDistributed(k.Flatten()),
            k.LSTM(100), k.Dropout(0.5), k.Dense(100, activation="relu"),
        ],
        "bilstm_32": lambda: [k.Bidirectional(k.LSTM(32)), k.Dropout(0.5), k.Dense(32, activation="relu")],
    }  # fmt: skip
    return networks[name]()


def of_torch(name: str) -> nn.Module:
    """A network of :data:`TORCH`."""
    import torch
    from torch import Tensor, nn

    class Net(nn.Module):
        """A module whose forward is a function of its own parts."""

        def __init__(self, forward: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
            super().__init__()
            self.function = forward
            for key, part in parts.items():
                self.add_module(key, part)

        def forward(self, x: Tensor) -> Tensor:
            return self.function(self, x)

    def lstm(inputs: int, units: int, layers: int = 1, **options: Any) -> nn.LSTM:
        return nn.LSTM(inputs, units, layers, batch_first=True, **options)

    def block(inputs: int, units: int) -> list[nn.Module]:
        return [nn.Conv1d(inputs, units, 5), nn.BatchNorm1d(units), nn.ReLU(), nn.MaxPool1d(2)]

    networks: dict[str, Callable[[], nn.Module]] = {
        "torch_lstm_64_64": lambda: Net(
            lambda s, x: s.fc(s.r(x)[0][:, -1]), r=lstm(6, 64, 2, dropout=0.5), fc=nn.Linear(64, 6)
        ),
        "torch_gru_last": lambda: Net(
            lambda s, x: s.fc(s.r(x)[1][-1]), r=nn.GRU(6, 48, batch_first=True), fc=nn.Linear(48, 6)
        ),
        "torch_lstm_relu_dense": lambda: Net(
            lambda s, x: s.fc2(torch.relu(s.fc1(torch.relu(s.r(x)[0][:, -1])))),
            r=lstm(6, 64), fc1=nn.Linear(64, 32), fc2=nn.Linear(32, 6),
        ),
        "torch_bilstm_last": lambda: Net(
            lambda s, x: s.fc(s.r(x)[0][:, -1]), r=lstm(6, 32, bidirectional=True), fc=nn.Linear(64, 6)
        ),
        "torch_conv_norm_lstm": lambda: Net(
            lambda s, x: s.fc(s.r(s.front(x.transpose(1, 2)).transpose(1, 2))[0][:, -1]),
            front=nn.Sequential(*block(6, 32), *block(32, 64)), r=lstm(64, 64), fc=nn.Linear(64, 6),
        ),
        "torch_deep_conv_lstm_2d": lambda: Net(
            lambda s, x: s.fc(s.r(s.front(x.unsqueeze(1)).permute(0, 2, 1, 3).flatten(2))[0][:, -1]),
            front=nn.Sequential(nn.Conv2d(1, 8, (5, 1)), nn.ReLU(), nn.Conv2d(8, 8, (5, 1)), nn.ReLU()),
            r=lstm(48, 64, 2), fc=nn.Linear(64, 6),
        ),
        "torch_gru_mean_max": lambda: Net(
            lambda s, x: s.fc(torch.cat([(y := s.r(x)[0]).mean(1), y.amax(1)], dim=1)),
            r=nn.GRU(6, 32, batch_first=True), fc=nn.Linear(64, 6),
        ),
        "torch_bigru_mean": lambda: Net(
            lambda s, x: s.fc(s.r(x)[0].mean(1)), r=nn.GRU(6, 24, batch_first=True, bidirectional=True),
            fc=nn.Linear(48, 6),
        ),
    }  # fmt: skip
    return networks[name]()
