"""Layers between the features and the first recurrent layer: convolutions and pooling over time.

In a stream a front layer keeps a ring of its last inputs. It counts its inputs from the start of the window. It gives
its first output at input ``first + 1``, then one every ``stride`` inputs; the layers after it run only then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from edge_seq.ir.kind_names import Activation, Padding, Statistic
from edge_seq.ir.rows import Rows


@dataclass(frozen=True)
class Conv(Generic[Rows]):
    """Convolution over time: a[t] = activation(b + sum over k of W_k x[t - (kernel - 1 - k) dilation]).

    A dense layer at each step is a convolution of kernel 1. Groups are full weights with zeros.

    Attributes:
        rows: R rows that see ``kernel`` inputs side by side, the oldest first.
        activation: relu, tanh or none. With relu and none the output may leave [-1, 1], as that of a dense layer.
        kernel: number of inputs that an output sees.
        stride: inputs from one output to the next.
        dilation: inputs from one that an output sees to the next.
        padding: ``causal``: the first output comes with the first input, and inputs before the window are zeros (of
            features their mean). ``valid``: the first output waits for all inputs that it sees. ``same``: see
            ``zeros``.
        pad: feature counts that stand for the samples outside the window, in an integer model whose first front layer
            sees such; otherwise empty, and the inputs are zeros.
        zeros: with ``same`` padding, number of zeros before the window and behind it, each at most ``reach``. The
            outputs that see those behind it come at the window's last sample, one after the other.
    """

    rows: Rows
    activation: Activation
    kernel: int
    stride: int = 1
    dilation: int = 1
    padding: Padding = "causal"
    pad: tuple[int, ...] = ()
    zeros: tuple[int, int] = (0, 0)

    @property
    def reach(self) -> int:
        """Number of inputs before the latest one that an output depends on."""
        return (self.kernel - 1) * self.dilation

    @property
    def first(self) -> int:
        """Number of inputs before the one with the first output."""
        return 0 if self.padding == "causal" else self.reach - self.zeros[0]

    @property
    def after(self) -> int:
        """Number of zeros behind the window, which are inputs at its last sample."""
        return self.zeros[1]

    @property
    def sees_outside(self) -> bool:
        """True if an output depends on what stands for inputs outside the window."""
        return self.first < self.reach or self.after > 0

    @property
    def ages(self) -> tuple[int, ...]:
        """Age of each input that an output sees, the oldest first; 0 is the latest."""
        return tuple((self.kernel - 1 - k) * self.dilation for k in range(self.kernel))


@dataclass(frozen=True)
class TimePool:
    """Mean or largest value of the last ``size`` outputs of the layer below, unit by unit, every ``stride`` of them."""

    statistic: Statistic
    size: int
    stride: int

    @property
    def reach(self) -> int:
        """Number of inputs before the latest one that an output depends on."""
        return self.size - 1

    @property
    def first(self) -> int:
        """Number of inputs before the one with the first output."""
        return self.size - 1

    @property
    def after(self) -> int:
        """Number of inputs behind the window: none."""
        return 0


FrontLayer = Conv[Rows] | TimePool


def outputs_of(layer: FrontLayer[Any], inputs: Any) -> Any:
    """Number of outputs of a layer after so many inputs: a number, or int64 [N].

    >>> pool = TimePool("max", size=3, stride=2)
    >>> outputs_of(pool, np.arange(8)).tolist()
    [0, 0, 0, 1, 1, 2, 2, 3]
    """
    outputs = (inputs - 1 - layer.first) // layer.stride + 1
    return np.maximum(outputs, 0) if isinstance(outputs, np.ndarray) else max(outputs, 0)


def settings_of(layer: FrontLayer[Any]) -> dict[str, Any]:
    """Everything of a layer except its rows, ready for JSON."""
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(layer).items()}
    values.pop("rows", None)
    if values.get("padding") != "same":
        values.pop("zeros", None)
    return {"layer": "conv" if isinstance(layer, Conv) else "pool", **values}
