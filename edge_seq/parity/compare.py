"""Comparing two traces: exactly for integers, within a budget for floats; a mismatch is located, not only counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace
from edge_seq.support.errors import ParityError


@dataclass(frozen=True)
class Mismatch:
    """The first value that differs: earliest step, then order of computation, then window.

    Attributes:
        window: index of the window or stream.
        step: time step, from 0.
        name: what differs, for example ``layer0.forget_gate`` or ``logits``.
        index: unit or class.
        expected: value of the reference.
        found: value of the candidate.
    """

    window: int
    step: int
    name: str
    index: int
    expected: float
    found: float

    def __str__(self) -> str:
        layer, _, part = self.name.rpartition(".")
        where = f"{layer.replace('layer', 'layer ')}, {part}" if layer else part
        return (
            f"window {self.window}, time step {self.step}, {where}[{self.index}]: "
            f"expected {self.expected:.9g}, found {self.found:.9g}"
        )


@dataclass(frozen=True)
class Comparison:
    """What a comparison of two traces saw.

    Attributes:
        windows, steps, values: how much was compared; ``steps`` over all windows.
        mismatches: values beyond the tolerance.
        first: the first of them, or None.
        max_abs_error: largest absolute difference.
        names: what was compared.
    """

    windows: int
    steps: int
    values: int
    mismatches: int
    first: Mismatch | None
    max_abs_error: float
    names: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether something was compared and nothing differed."""
        return self.values > 0 and self.mismatches == 0


def _differs(expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if tolerance == 0:
        return np.asarray(expected != found)
    distance = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return np.asarray(~(distance <= tolerance))  # a NaN is never within a tolerance


def _allowed(name: str, expected: NDArray[Any], tolerance: float) -> float:
    """Some states are sums over many steps: where they grow beyond 1, so does the rounding of a float."""
    if tolerance == 0 or not name.endswith((".cell_state", ".hidden_state")):
        return tolerance
    return tolerance * max(1.0, float(np.abs(expected).max(initial=0.0)))


def compare(
    expected: Trace,
    found: Trace,
    *,
    tolerance: float = 0.0,
    first_window: int = 0,
    first_step: int = 0,
    names: tuple[str, ...] | None = None,
) -> Comparison:
    """Compare what both traces hold.

    Args:
        expected: of the reference.
        found: of the candidate; may hold fewer names than the reference.
        tolerance: largest absolute difference; 0 is exact. Of states times the largest of theirs, where that is
            above 1.
        first_window: added to the window's index in the mismatch, where traces are compared in batches.
        first_step: added to the time step in the mismatch, where traces begin later than the windows.
        names: compare these only; by default all that both hold.

    Raises:
        ParityError: where shapes differ, or the traces have no name in common.
    """
    common = tuple(name for name in expected.values if name in found.values and (names is None or name in names))
    if not common:
        raise ParityError(
            f"comparing traces: nothing in common; expected holds {list(expected.values)}, found {list(found.values)}"
        )
    mismatches, values, worst = 0, 0, 0.0
    earliest: tuple[int, int, int, int] | None = None  # step, position of the name, window, index
    for position, name in enumerate(common):
        a, b = expected.values[name], found.values[name]
        if a.shape != b.shape:
            raise ParityError(
                f"comparing {name}: shapes {list(a.shape)} and {list(b.shape)} differ; run both on the same windows"
            )
        values += a.size
        wrong = _differs(a, b, _allowed(name, a, tolerance))
        if tolerance > 0 or wrong.any():
            distance = np.abs(b.astype(np.float64) - a.astype(np.float64))
            worst = max(worst, float(np.where(np.isnan(distance), np.inf, distance).max(initial=0.0)))
        if wrong.any():
            mismatches += int(wrong.sum())
            window, step, index = (int(k) for k in min(np.argwhere(wrong).tolist(), key=lambda w: (w[1], w[0], w[2])))
            candidate = (step, position, window, index)
            earliest = candidate if earliest is None else min(earliest, candidate)
    first = None
    if earliest is not None:
        step, position, window, index = earliest
        name = common[position]
        first = Mismatch(
            first_window + window,
            first_step + step,
            name,
            index,
            float(expected.values[name][window, step, index]),
            float(found.values[name][window, step, index]),
        )
    batch, time_steps = expected.values[common[0]].shape[:2]
    return Comparison(batch, batch * time_steps, values, mismatches, first, worst, common)


Runner = Callable[[NDArray[np.int16]], Trace]
BATCH = 128


def compare_runs(
    counts: NDArray[np.int16], expected: Runner, found: Runner, *, tolerance: float = 0.0, first_step: int = 0
) -> Comparison:
    """Run both on counts int16 [B, T, C], some windows at a time, and compare their traces.

    Raises:
        ParityError: as :func:`compare` and :func:`merge`.
    """
    return merge(
        [
            compare(expected(part), found(part), tolerance=tolerance, first_window=start, first_step=first_step)
            for start in range(0, len(counts), BATCH)
            for part in [counts[start : start + BATCH]]
        ]
    )


def merge(comparisons: list[Comparison]) -> Comparison:
    """One comparison over several batches.

    Raises:
        ParityError: where there is none.
    """
    if not comparisons:
        raise ParityError("merging comparisons: there is none; give at least one window to compare")
    firsts = [c.first for c in comparisons if c.first is not None]
    names = comparisons[0].names
    return Comparison(
        windows=sum(c.windows for c in comparisons),
        steps=sum(c.steps for c in comparisons),
        values=sum(c.values for c in comparisons),
        mismatches=sum(c.mismatches for c in comparisons),
        first=min(firsts, key=lambda m: (m.step, names.index(m.name), m.window)) if firsts else None,
        max_abs_error=max(c.max_abs_error for c in comparisons),
        names=names,
    )
