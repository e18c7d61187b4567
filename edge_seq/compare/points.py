"""The grid of a comparison: every training that it needs, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from edge_seq.compare.config import CompareConfig, FirstWeights
from edge_seq.ir.kind_names import POOLING_TEXTS, CellName, Pooling
from edge_seq.ir.kinds import kind_named
from edge_seq.training.config import InitialisationConfig, TrainingConfig

SizeKind = Literal["units", "parameters", "instructions"]
WeightsName = Literal["default", "orthogonal", "forget_bias", "chrono"]

_INITIALISATION: dict[WeightsName, InitialisationConfig] = {
    "default": InitialisationConfig(recurrent="default", forget_bias="default", chrono_max_steps="none"),
    "orthogonal": InitialisationConfig(recurrent="orthogonal", forget_bias="default", chrono_max_steps="none"),
    "forget_bias": InitialisationConfig(recurrent="orthogonal", forget_bias=1.0, chrono_max_steps="none"),
    "chrono": InitialisationConfig(recurrent="orthogonal", chrono_max_steps="window"),
}


@dataclass(frozen=True)
class Size:
    """Size at which cells are compared: a hidden size, or a budget within which each cell gets the largest hidden size.

    Attributes:
        kind: what ``value`` counts: units, parameters, or instructions of a time step on the comparison's target.
        value: number of these.
    """

    kind: SizeKind
    value: int

    def __str__(self) -> str:
        return f"{self.value:,} {self.kind}"


@dataclass(frozen=True)
class Shape:
    """The properties of a network on which its cost depends.

    Attributes:
        cell: name of the cell.
        hidden_size: hidden size H.
        time_steps: window length T.
        readout: input of the head.
    """

    cell: CellName
    hidden_size: int
    time_steps: int
    readout: Pooling = "last"

    def __str__(self) -> str:
        return (
            f"{self.cell}-{self.hidden_size}-T{self.time_steps}{'' if self.readout == 'last' else f'-{self.readout}'}"
        )


@dataclass(frozen=True)
class Candidate:
    """One of the networks among which a comparison chooses. It is trained once for each learning rate and seed.

    Attributes:
        cell, hidden_size, time_steps, readout: shape of the network.
        first_weights: kind of the initial weights.
    """

    cell: CellName
    hidden_size: int
    time_steps: int
    first_weights: WeightsName
    readout: Pooling = "last"

    @property
    def shape(self) -> Shape:
        """Shape of the network, on which its cost depends."""
        return Shape(self.cell, self.hidden_size, self.time_steps, self.readout)

    @property
    def how(self) -> str:
        """Kind of the initial weights, and the readout unless it is the last state.

        >>> Candidate("gru", 16, 64, "chrono").how, Candidate("gru", 16, 64, "chrono", "mean").how
        ('chrono', 'chrono, mean of states')
        """
        return self.first_weights if self.readout == "last" else f"{self.first_weights}, {POOLING_TEXTS[self.readout]}"

    def __str__(self) -> str:
        return f"{self.cell} {self.hidden_size} ({self.how}), T = {self.time_steps}"


@dataclass(frozen=True)
class Point:
    """One training.

    Attributes:
        candidate: network that is trained.
        learning_rate: peak of the learning rate schedule.
        seed: seed of data, split and weights, 0 to the number of seeds - 1.
    """

    candidate: Candidate
    learning_rate: float
    seed: int

    @property
    def key(self) -> str:
        """Name of the training in a study.

        >>> Point(Candidate("gru", 16, 64, "chrono"), 0.01, 2).key
        'gru-16-chrono-T64-lr0.01-s2'
        >>> Point(Candidate("gru", 16, 64, "chrono", "mean"), 0.01, 2).key
        'gru-16-chrono-mean-T64-lr0.01-s2'
        """
        c = self.candidate
        readout = "" if c.readout == "last" else f"-{c.readout}"
        return (
            f"{c.cell}-{c.hidden_size}-{c.first_weights}{readout}-T{c.time_steps}-lr{self.learning_rate:g}-s{self.seed}"
        )

    def training(self, base: TrainingConfig) -> TrainingConfig:
        """Configuration of this training."""
        return TrainingConfig.model_validate(
            {
                **base.model_dump(),
                "cell": self.candidate.cell,
                "hidden_size": self.candidate.hidden_size,
                "num_layers": 1,
                "pooling": self.candidate.readout,
                "learning_rate": self.learning_rate,
                "initialisation": _INITIALISATION[self.candidate.first_weights].model_dump(),
                "seed": self.seed,
                "keep": "last",
            }
        )


def sizes_of(config: CompareConfig) -> tuple[Size, ...]:
    """List the sizes of a comparison, hidden sizes first."""
    return (
        *(Size("units", value) for value in config.hidden_sizes),
        *(Size("parameters", value) for value in config.parameters),
        *(Size("instructions", value) for value in config.instructions),
    )


def weights_name(cell: CellName, first_weights: FirstWeights) -> WeightsName:
    """Name the initial weights that a cell gets. Without a gate, all but ``default`` are ``orthogonal``.

    >>> weights_name("rnn", "chrono"), weights_name("rnn", "forget_bias"), weights_name("lstm", "chrono")
    ('orthogonal', 'orthogonal', 'chrono')
    """
    has_gate = kind_named(cell).keep_gate is not None
    return first_weights if has_gate or first_weights == "default" else "orthogonal"


def candidates_of(
    config: CompareConfig, hidden_size_of: Callable[[CellName, Size], int]
) -> dict[Size, list[Candidate]]:
    """List the candidates at each size. A candidate can be at several sizes.

    Args:
        config: configuration of the comparison.
        hidden_size_of: function from a cell and a size to the hidden size.
    """
    return {
        size: list(
            dict.fromkeys(
                Candidate(cell, hidden_size_of(cell, size), time_steps, weights_name(cell, weights), readout)
                for time_steps, readout, cell, weights in product(
                    config.window_lengths, config.readouts, config.cells, config.first_weights
                )
            )
        )
        for size in sizes_of(config)
    }


def points_of(config: CompareConfig, candidates: dict[Size, list[Candidate]]) -> list[Point]:
    """List every training once.

    All trainings of one seed come before those of the next, so that an interrupted comparison has scores of every
    candidate. Short windows come first.
    """
    every = dict.fromkeys(candidate for of_size in candidates.values() for candidate in of_size)
    ordered = sorted(every, key=lambda candidate: candidate.time_steps)
    return [Point(c, rate, seed) for seed, c, rate in product(range(config.seeds), ordered, config.learning_rates)]
