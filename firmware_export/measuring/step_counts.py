"""What steps cost: the instructions or cycles of each, by its place in the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.ir.model import IntModel


@dataclass(frozen=True)
class ClassOfSteps:
    """Steps that do the same work but for their place in the window.

    Attributes:
        name: ``first`` (clears what the window before left), ``between``, ``last`` (gives the label).
        minimum, maximum: instructions or cycles of one step.
    """

    name: str
    minimum: int
    maximum: int


@dataclass(frozen=True)
class StepCounts:
    """Every step of a stream of windows, from the second window on, counted.

    Attributes:
        unit: what was counted.
        minimum, maximum: int64 [T], by place in the window.
        steps: how many steps.
        by_function: instructions of one window by function, where they are known.
        stack_bytes: the most that a step was seen to use; None where it was not looked at.
    """

    unit: Literal["instructions", "cycles"]
    minimum: NDArray[np.int64]
    maximum: NDArray[np.int64]
    steps: int
    by_function: Counter[str] = field(default_factory=Counter)
    stack_bytes: int | None = None

    @property
    def window(self) -> int:
        """Of one window, at the most."""
        return int(self.maximum.sum())

    @property
    def constant(self) -> bool:
        """Whether every step costs the same whatever the data: at each place of the window minimum equals maximum."""
        return bool((self.minimum == self.maximum).all())

    @property
    def classes(self) -> tuple[ClassOfSteps, ...]:
        """Steps by what they do."""
        length = len(self.minimum)
        places = {"first": slice(0, 1), "between": slice(1, length - 1), "last": slice(length - 1, length)}
        return tuple(
            ClassOfSteps(name, int(self.minimum[at].min()), int(self.maximum[at].max()))
            for name, at in places.items()
            if self.minimum[at].size and not (name == "first" and length == 1)
        )


def counts_by_place(costs: Sequence[int], window_length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Minimum and maximum [T] of the costs of consecutive steps, window after window, and how many they were."""
    whole = len(costs) // window_length * window_length
    table = np.array(costs[:whole], dtype=np.int64).reshape(-1, window_length)
    return table.min(axis=0), table.max(axis=0), table.size


def stream_for_counting(model: IntModel, steps: int, *, seed: int = 0) -> NDArray[np.int16]:
    """int16 [N, C]: a window, then whole windows with at least so many steps; noise over all 16 bits, both ends at
    random, constants, a walk, silence, each for a window, in turn."""
    rng = np.random.default_rng(seed)
    shape = (model.contract.window_length, model.input_size)
    makers = (*extreme_makers(rng, shape), lambda: rng.normal(0, 300, shape), lambda: np.zeros(shape))
    return np.concatenate(windows_in_turn(makers, 1 + -(-steps // shape[0]))).astype(np.int16)
