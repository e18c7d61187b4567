"""Comparison of two traces: exact for integers, within a tolerance for floats. The first mismatch is located."""

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
    """The first value that differs: the earliest time step, then the order of computation, then the window.

    Attributes:
        window: index of the window or stream.
        step: time step, from 0.
        name: name of the value that differs, for example ``layer0.forget_gate`` or ``logits``.
        index: index of the unit or class.
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
    """Result of the comparison of two traces.

    Attributes:
        windows, steps, values: number of windows, of time steps of all windows, and of values that were compared.
        mismatches: number of values beyond the tolerance.
        first: first mismatch; None if there is none.
        max_abs_error: largest absolute difference.
        names: names of the compared values.
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
        """True if something was compared and nothing differed."""
        return self.values > 0 and self.mismatches == 0


def _differs(expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if tolerance == 0:
        return np.asarray(expected != found)
    distance = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return np.asarray(~(distance <= tolerance))  # a NaN is never within a tolerance


def _allowed(name: str, expected: NDArray[Any], tolerance: float) -> float:
    """Tolerance of one value. States that are sums over many steps can grow beyond 1; their rounding grows alike."""
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
    """Compare the values that two traces have in common.

    Args:
        expected: trace of the reference.
        found: trace of the candidate. It may have fewer names than the reference.
        tolerance: largest allowed absolute difference; 0 compares exactly. For states it is multiplied by the state's
            largest absolute value, if that is above 1.
        first_window: index of the first window of a batch, added to the window of the mismatch.
        first_step: time step at which the traces begin, added to the step of the mismatch.
        names: names to compare; None compares all that both traces have.

    Raises:
        ParityError: shapes differ, or the traces have no name in common.
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
    """Run two implementations on counts int16 [B, T, C], some windows at a time, and compare their traces.

    Args:
        counts: int16 [B, T, C], at least one window.
        expected: the reference; gives the trace of a batch of counts.
        found: the candidate; gives the trace of a batch of counts.
        tolerance: as in :func:`compare`.
        first_step: as in :func:`compare`.

    Raises:
        ParityError: shapes differ, the traces have no name in common, or there is no window.
    """
    return merge(
        [
            compare(expected(part), found(part), tolerance=tolerance, first_window=start, first_step=first_step)
            for start in range(0, len(counts), BATCH)
            for part in [counts[start : start + BATCH]]
        ]
    )


def merge(comparisons: list[Comparison]) -> Comparison:
    """Merge the comparisons of several batches into one.

    Raises:
        ParityError: the list is empty.
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
