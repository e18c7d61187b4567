"""Scores of models on disturbed recordings: mounting angle, noise, sample rate and full scale of the sensor."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_seq.data.disturb import at_rate, mounted_at, with_full_scale, with_noise
from edge_seq.data.recording import Recording, Windows
from edge_seq.data.windows import make_windows
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.scores import words
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import MainScores, evaluate_predictions
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError
from edge_seq.support.results import Result, written

Disturb = Callable[[Recording, SensorContract, float, np.random.Generator], Recording]


@dataclass(frozen=True)
class Sweep:
    """One disturbance, from none to severe.

    Attributes:
        name: name of the sweep in commands and results.
        quantity: name and unit of the values, for the axis of a plot.
        values: values of the disturbance; ``nominal`` is one of them.
        nominal: value that changes nothing.
        disturb: function of a recording, its contract, a value and a random generator that gives the disturbed
            recording.
    """

    name: str
    quantity: str
    values: tuple[float, ...]
    nominal: float
    disturb: Disturb


SWEEPS: tuple[Sweep, ...] = (
    Sweep("mounting_angle", "mounting angle, degrees", (0, 5, 10, 20, 30, 45, 60, 90, 180), 0, mounted_at),
    Sweep("noise", "noise, share of full scale", (0, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2), 0, with_noise),
    Sweep(
        "rate",
        "sample rate, times the contract's",
        (0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2),
        1,
        lambda recording, contract, value, _: at_rate(recording, contract, value),
    ),
    Sweep(
        "full_scale",
        "full scale, share of the contract's",
        (1, 0.75, 0.5, 0.35, 0.25, 0.125),
        1,
        lambda recording, contract, value, _: with_full_scale(recording, contract, value),
    ),
)


SWEEP_NAMES = tuple(sweep.name for sweep in SWEEPS)


@dataclass(frozen=True)
class SweepPoint(Result):
    """Scores at one value of a disturbance.

    Attributes:
        value: value of the disturbance.
        windows: number of windows that were scored.
        float_model, int_model: scores; None without an integer model.
    """

    value: float
    windows: int
    float_model: MainScores = field(metadata=written("float"))
    int_model: MainScores | None = field(default=None, metadata=written("int", unless_none=True))

    @property
    def shown(self) -> MainScores:
        """Scores of the integer model, or of the float model if there is no other."""
        return self.int_model or self.float_model


@dataclass(frozen=True)
class SweepScores(Result):
    """Scores over one sweep.

    Attributes:
        name: name of the sweep.
        quantity: name and unit of the values, for the axis of a plot.
        nominal: value that changes nothing.
        points: scores at each value.
        skipped: values at which no recording is as long as a window, so that there is nothing to score.
    """

    name: str
    quantity: str
    nominal: float
    points: tuple[SweepPoint, ...]
    skipped: tuple[float, ...] = ()

    def note(self) -> str | None:
        """What was skipped and why, in one sentence; None if nothing was."""
        if not self.skipped:
            return None
        values = ", ".join(f"{value:g}" for value in self.skipped)
        return (
            f"{self.quantity}: {values} skipped, because no recording is as long as a window there; longer recordings "
            "are needed"
        )

    def table(self, side: str) -> Table:
        """Table of accuracy and macro-F1 of the shown model, with one row for each value."""
        rows = [
            [
                f"{point.value:g}" + (" (as trained)" if point.value == self.nominal else ""),
                str(point.windows),
                str(point.shown.accuracy),
                str(point.shown.macro_f1),
            ]
            for point in self.points
        ]
        columns = [self.quantity, "windows", words.ACCURACY, words.MACRO_F1]
        return Table(f"{side}: {self.name.replace('_', ' ')}", columns, rows)


@dataclass(frozen=True)
class Robustness(Result, ShownAsTables):
    """Scores of the models of a run under disturbances.

    Attributes:
        side: side of the split, ``train``, ``validation`` or ``test``.
        note: kind of split, with a warning if it leaks.
        model_hash: hash of the integer model, or of the float model if there is no other.
        recordings: number of recordings.
        sweeps: scores of each sweep.
    """

    side: str
    note: SplitNote = field(metadata=written(inline=True))
    model_hash: str
    recordings: int
    sweeps: tuple[SweepScores, ...]

    def tables(self) -> Sequence[Table]:
        """Tables of the sweeps, one for each."""
        return [sweep.table(self.side) for sweep in self.sweeps]


def choose_sweeps(names: Sequence[str]) -> tuple[Sweep, ...]:
    """Choose sweeps by name; no name chooses all.

    Raises:
        ConfigError: there is no sweep of a name; the message lists the names.
    """
    unknown = [name for name in names if name not in SWEEP_NAMES]
    if unknown:
        raise ConfigError(f"robustness: there is no sweep {unknown[0]!r}; give any of {list(SWEEP_NAMES)}")
    return tuple(sweep for sweep in SWEEPS if not names or sweep.name in names)


def disturbed_windows(
    recordings: Sequence[Recording],
    contract: SensorContract,
    sweep: Sweep,
    value: float,
    *,
    minimum_share: float,
    seed: int,
) -> Windows | None:
    """Disturb recordings and cut them into windows.

    A recording gets the same random axis and the same noise at every value of a sweep, so that values can be compared.

    Returns:
        the windows; None if no disturbed recording is as long as a window.
    """
    disturbed = []
    for index, recording in enumerate(recordings):
        stream = np.random.default_rng([seed, zlib.crc32(sweep.name.encode()), index])
        disturbed.append(sweep.disturb(recording, contract, float(value), stream))
    long_enough = [recording for recording in disturbed if len(recording.labels) >= contract.window_length]
    if not long_enough:
        return None
    length, stride = contract.window_length, contract.window_stride
    return make_windows(long_enough, length=length, stride=stride, minimum_share=minimum_share)


def score_model(model: FloatModel | IntModel, windows: Windows, *, seed: int) -> MainScores:
    """Compute accuracy and macro-F1 of a model on windows, with 95 % intervals over groups."""
    shares = probabilities_of(model, windows.counts)
    return evaluate_predictions(windows.labels, shares, windows.groups, label_names=model.labels, seed=seed).main
