"""Networks: the recurrent classifier, and a convolutional network as a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from typing_extensions import assert_never

from edge_seq.ir.kind_names import Activation, CellName, Pooling, Statistic
from edge_seq.ir.kinds import kind_named
from edge_seq.ir.model import Readout
from edge_seq.support.errors import ConfigError
from edge_seq.training.config import FrontConfig


class FastGrnn(nn.Module):
    """FastGRNN layers (Kusupati et al. 2018); equations in :class:`edge_seq.ir.kinds.FastGrnn`.

    Parameters of layer k: ``weight_ih_lk`` [H, I] and ``weight_hh_lk`` [H, H], shared by gate and candidate;
    ``bias_ih_lk`` [2 H], of the update gate, then of the new gate; ``zeta_lk`` and ``nu_lk`` [1], before their sigmoid.
    First values are torch's: uniform within 1 / sqrt(H).
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.dropout = nn.Dropout(dropout)
        limit = hidden_size**-0.5
        for layer in range(num_layers):
            inputs = hidden_size if layer else input_size
            shapes = {"weight_ih": (hidden_size, inputs), "weight_hh": (hidden_size, hidden_size)}
            for name, shape in {**shapes, "bias_ih": (2 * hidden_size,)}.items():
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(torch.empty(shape).uniform_(-limit, limit)))
            for constant in kind_named("fastgrnn").constants:
                if not constant.per_unit:
                    first = torch.logit(torch.tensor([constant.first]))
                    self.register_parameter(f"{constant.name}_l{layer}", nn.Parameter(first))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """States of the last layer [B, T, H] and its last state [B, H], from zero states."""
        states = x
        for layer in range(self.num_layers):
            states = self._layer(layer, self.dropout(states) if layer else states)
        return states, states[:, -1]

    def _layer(self, layer: int, x: Tensor) -> Tensor:
        weight_ih, weight_hh, bias = (
            self.get_parameter(f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih")
        )
        zeta, nu = (torch.sigmoid(self.get_parameter(f"{name}_l{layer}")) for name in ("zeta", "nu"))
        update_bias, new_bias = torch.split(bias, self.hidden_size)
        offset = update_bias - new_bias
        seen = x @ weight_ih.T + new_bias
        state = torch.zeros_like(seen[:, 0])
        states = []
        for t in range(x.shape[1]):
            new = seen[:, t] + state @ weight_hh.T
            update = torch.sigmoid(new + offset)
            state = (zeta * (1 - update) + nu) * torch.tanh(new) + update * state
            states.append(state)
        return torch.stack(states, dim=1)


Recurrent = nn.RNN | nn.GRU | nn.LSTM | FastGrnn


def recurrent_module(cell: CellName, input_size: int, hidden_size: int, num_layers: int, dropout: float) -> Recurrent:
    """Recurrent layers: float32 [B, T, I] to states [B, T, H] of the last layer and what the module calls its state.

    Parameters have torch's names, and a bias is stacked in the order in which the kind's gates are traced.
    """
    match cell:
        case "rnn":
            return nn.RNN(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        case "gru":
            return nn.GRU(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        case "lstm":
            return nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        case "fastgrnn":
            return FastGrnn(input_size, hidden_size, num_layers, dropout)
        case unreachable:
            assert_never(unreachable)


class SequenceClassifier(nn.Module):
    """Recurrent layers and a linear head on the last hidden state, on the mean or the largest of all hidden states, or
    on the hidden states of all steps.

    The mean is a running sum divided by the number of samples so far, and the largest value a running one, so every
    form works sample by sample. The state dict holds ``recurrent.weight_ih_l0`` and so on, with torch's names and gate
    order, ``head.weight`` [K, H] and ``head.bias`` [K]. With ``mean_max`` the head has 2 H inputs, first the means;
    with ``flatten`` it has N H, first those of the first of the N steps of a window of ``window_length`` samples.
    Dense layers lie between readout and head, with ``dense.0.weight`` and so on, convolutions before the recurrent
    layers, with ``front.0.weight`` [R, I, kernel].

    >>> SequenceClassifier(input_size=3, num_classes=4, cell="gru", hidden_size=8)(torch.zeros(2, 50, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        *,
        input_size: int,
        num_classes: int,
        cell: CellName,
        hidden_size: int,
        num_layers: int = 1,
        pooling: Pooling = "last",
        window_length: int = 1,
        front: Sequence[FrontConfig] = (),
        dense: Sequence[int] = (),
        dense_activation: Activation = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.statistics, self.flattens = Readout(pooling).statistics, Readout(pooling).flattens
        between_layers = dropout if num_layers > 1 else 0.0
        self.cell = cell
        self.front_settings = tuple(front)
        self.front = nn.ModuleList()  # a pool has an entry without weights, so that each layer has its index
        for layer in front:
            if layer.kind == "conv":
                conv = nn.Conv1d(input_size, layer.units, layer.kernel, stride=layer.stride, dilation=layer.dilation)
                input_size = layer.units
            self.front.append(conv if layer.kind == "conv" else nn.Identity())
        self.recurrent = recurrent_module(cell, input_size, hidden_size, num_layers, between_layers)
        self.dropout = nn.Dropout(dropout)
        steps = max(1, int(self.steps_after(window_length)[-1]))
        sizes = [hidden_size * Readout(pooling).parts(steps), *dense]
        self.dense = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes))
        self.dense_activation = dense_activation
        self.head = nn.Linear(sizes[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits after the last sample.

        Args:
            x: float32 [B, T, C], normalised features.

        Returns:
            float32 [B, K].
        """
        states, _ = self.recurrent(self._front(x))
        if self.flattens:
            return self._logits(states.flatten(1))
        pooled = [_pooled(one, states) for one in self.statistics] or [states[:, -1]]
        return self._logits(torch.cat(pooled, dim=1))

    def forward_steps(self, x: Tensor) -> Tensor:
        """Logits after each sample, as a stream would give them. Not for ``flatten``, which has none within a window.

        Args:
            x: float32 [B, T, C], normalised features.

        Returns:
            float32 [B, T, K]; the last step equals :meth:`forward` up to rounding.
        """
        states, _ = self.recurrent(self._front(x))
        pooled = [_running(one, states) for one in self.statistics] or [states]
        read_out = torch.cat(pooled, dim=2)
        if self.front_settings:  # the latest step at each sample; zeros before the first
            read_out = torch.cat([torch.zeros_like(read_out[:, :1]), read_out], dim=1)[:, self.steps_after(x.shape[1])]
        return self._logits(read_out)

    def _front(self, x: Tensor) -> Tensor:
        """Outputs [B, N, R] of the front layers for features [B, T, C]."""
        values = x.transpose(1, 2)
        for layer, module in zip(self.front_settings, self.front, strict=True):
            match layer.kind:
                case "conv":
                    reach = (layer.kernel - 1) * layer.dilation
                    padded = nn.functional.pad(values, (reach, 0)) if layer.padding == "causal" else values
                    values = _activated(module(padded), layer.activation)
                case "max":
                    values = nn.functional.max_pool1d(values, layer.kernel, layer.stride)
                case "mean":
                    values = nn.functional.avg_pool1d(values, layer.kernel, layer.stride)
                case unreachable:
                    assert_never(unreachable)
        return values.transpose(1, 2)

    def steps_after(self, samples: int) -> Tensor:
        """Number of steps of the recurrent layers after each of so many samples, int64 [samples]."""
        steps = torch.arange(1, samples + 1)
        for layer in self.front_settings:
            waits = layer.kind != "conv" or layer.padding == "valid"
            first = (layer.kernel - 1) * (layer.dilation if layer.kind == "conv" else 1) if waits else 0
            steps = torch.clamp((steps - 1 - first) // layer.stride + 1, min=0)
        return steps

    def _logits(self, read_out: Tensor) -> Tensor:
        """Dense layers and head on float32 [..., N]."""
        for layer in self.dense:
            read_out = _activated(layer(self.dropout(read_out)), self.dense_activation)
        logits: Tensor = self.head(self.dropout(read_out))
        return logits


def _activated(sums: Tensor, activation: Activation) -> Tensor:
    match activation:
        case "relu":
            return torch.relu(sums)
        case "tanh":
            return torch.tanh(sums)
        case "none":
            return sums
        case unreachable:
            assert_never(unreachable)


def _pooled(statistic: Statistic, states: Tensor) -> Tensor:
    """Mean or largest [B, H] of states [B, T, H]."""
    match statistic:
        case "mean":
            return states.mean(dim=1)
        case "max":
            return states.amax(dim=1)
        case unreachable:
            assert_never(unreachable)


def _running(statistic: Statistic, states: Tensor) -> Tensor:
    """Mean or largest [B, T, H] of the states [B, T, H] up to each sample."""
    match statistic:
        case "mean":
            samples_seen = torch.arange(1, states.shape[1] + 1, dtype=states.dtype, device=states.device)
            return states.cumsum(dim=1) / samples_seen[:, None]
        case "max":
            largest: Tensor = states.cummax(dim=1).values
            return largest
        case unreachable:
            assert_never(unreachable)


class ConvolutionalBaseline(nn.Module):
    """The network of ST's AEKD-AICAR1 car-state kit.

    Conv1D 16 k=3, ReLU, Conv1D 8 k=3, ReLU, dropout, dense 64 ReLU, dense K; valid padding. 24,428 parameters for
    windows of 50 samples of 3 channels and 4 classes.
    """

    def __init__(self, *, window_length: int, input_size: int, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        if window_length < 5:
            raise ConfigError(
                f"convolutional baseline: window_length is {window_length}; its two convolutions of 3 samples need at "
                "least 5"
            )
        self.network = nn.Sequential(
            nn.Conv1d(input_size, 16, kernel_size=3),
            nn.ReLU(),
            nn.Conv1d(16, 8, kernel_size=3),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(8 * (window_length - 4), 64),
            nn.ReLU(),
            nn.Linear(64, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of whole windows: float32 [B, T, C] to float32 [B, K]."""
        logits: Tensor = self.network(x.transpose(1, 2))
        return logits
