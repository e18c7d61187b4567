"""Cost of steps: instructions or cycles by position in the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.ir.model import IntModel

STEPS = 10_000  # least number that is counted unless told otherwise
ENOUGH = 400  # of them, if their cost turns out to depend on the data: no number of steps gives its bound


@dataclass(frozen=True)
class ClassOfSteps:
    """Cost of the steps that do the same work.

    Attributes:
        name: ``first`` (clears the state of the previous window), ``between``, or ``last`` (gives the label).
        minimum, maximum: instructions or cycles of one step.
    """

    name: str
    minimum: int
    maximum: int


@dataclass(frozen=True)
class StepCounts:
    """Cost of every step of a stream of windows, from the second window on.

    Attributes:
        unit: what was counted.
        minimum, maximum: cost by position in the window, int64 [T].
        steps: number of steps counted.
        by_function: instructions of one window by function; empty if they are not known.
        stack_bytes: largest stack of a step that was observed; None if it was not.
    """

    unit: Literal["instructions", "cycles"]
    minimum: NDArray[np.int64]
    maximum: NDArray[np.int64]
    steps: int
    by_function: Counter[str] = field(default_factory=Counter)
    stack_bytes: int | None = None

    @property
    def window(self) -> int:
        """Largest cost of one window."""
        return int(self.maximum.sum())

    @property
    def constant(self) -> bool:
        """True if the cost does not depend on the data: minimum equals maximum at each position of the window."""
        return bool((self.minimum == self.maximum).all())

    @property
    def classes(self) -> tuple[ClassOfSteps, ...]:
        """Costs by class of step."""
        length = len(self.minimum)
        places = {"first": slice(0, 1), "between": slice(1, length - 1), "last": slice(length - 1, length)}
        return tuple(
            ClassOfSteps(name, int(self.minimum[at].min()), int(self.maximum[at].max()))
            for name, at in places.items()
            if self.minimum[at].size and not (name == "first" and length == 1)
        )


def counts_by_place(costs: Sequence[int], window_length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Minimum and maximum [T] of the costs of consecutive steps by position in the window, and the number of steps."""
    whole = len(costs) // window_length * window_length
    table = np.array(costs[:whole], dtype=np.int64).reshape(-1, window_length)
    return table.min(axis=0), table.max(axis=0), table.size


def stream_for_counting(model: IntModel, steps: int, *, seed: int = 0) -> NDArray[np.int16]:
    """Make a stream int16 [N, C] for counting: one window, then whole windows with at least ``steps`` steps.

    Windows of different kinds take turns: noise over all 16 bits, random extremes, constants, a random walk, Gaussian
    noise, and zeros.
    """
    rng = np.random.default_rng(seed)
    shape = (model.contract.window_length, model.num_channels)
    makers = (*extreme_makers(rng, shape), lambda: rng.normal(0, 300, shape), lambda: np.zeros(shape))
    return np.concatenate(windows_in_turn(makers, 1 + -(-steps // shape[0]))).astype(np.int16)
