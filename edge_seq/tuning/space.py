"""The candidates of a search: what may be chosen, first candidates, random ones and changes of good ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from edge_seq.ir.contract import PreprocessingStep, SensorContract, axis_triples, why_no_magnitude
from edge_seq.ir.kind_names import POOLING_TEXTS, CellName, Pooling, WeightBits
from edge_seq.ir.model import canonical_json
from edge_seq.support.results import Result, to_plain, written
from edge_seq.training.config import TrainingConfig
from edge_seq.tuning.config import SearchConfig

# Convolutions before the recurrent layers: units and stride of each; tanh. Outputs with relu grow with the
# gain and with rare large inputs, until the integer weights behind them do not fit (docs/results/search.md).
FRONTS: dict[str, tuple[tuple[int, int], ...]] = {
    "none": (),
    "8/2": ((8, 2),),
    "16/2": ((16, 2),),
    "16/4": ((16, 4),),
    "32/4": ((32, 4),),
    "16/4 16/4": ((16, 4), (16, 4)),
    "16/4 32/4": ((16, 4), (32, 4)),
    "16/4 16/4 16/4": ((16, 4), (16, 4), (16, 4)),
    "16/4 16/4 32/4": ((16, 4), (16, 4), (32, 4)),
}
KERNEL = 5
WIDE_KERNEL = 15  # of the first convolution; finds more in vibration (docs/results/search.md)
MOST_STEPS_OF_CELL = 256  # of the recurrent layers in a window: more take long to train, and their memory fades
FEWEST_STEPS_OF_CELL = 16  # behind more than one convolution
USUAL_WINDOW = 128  # samples
DENSER = 4
STEPS = (400, 800, 1600, 3200)  # optimiser steps
MOST_GAIN_OF_CONVOLUTION = 10.0  # larger gains were not better behind a convolution
MOST_WINDOWS = 1600 * 64  # that a training sees; with more, a few candidates would use up the time of many
MOST_STEPS_BESIDE_LSTM = 800  # of other cells, whose steps take three to five times as long (docs/results/search.md)
SHORTEST_FOR_CONVOLUTION = 20  # samples of a window
SHORTEST_FOR_WIDE_KERNEL = 50
FourBits = Literal["all", "first", "second"]
Teacher = Literal["forest", "forest_and_rocket"]  # values of training.taught_by
_BITS: Mapping[FourBits | None, tuple[WeightBits, ...]] = {None: (8,), "all": (4,), "first": (4, 8), "second": (8, 4)}
# Share of windows on which float and integer model give the same label. A point below it is chosen only if all are.
# Weights of 4 bits change labels for the better and for the worse (docs/results/search.md): the integer model's own
# score decides.
LEAST_AGREEMENT: Mapping[WeightBits, float] = {8: 0.99, 4: 0.95}
_RATE_UNITS = ("rad/s", "deg/s")


@dataclass(frozen=True)
class Candidate(Result):
    """A network and its training.

    Attributes:
        cell, hidden_size, num_layers: recurrent layers.
        four_bits: recurrent layers whose weights on states have 4 bits, instead of 8: ``all`` or, of two, one of them;
            None for none.
        front: convolutions before them, units/stride of each, or ``none``.
        kernel: inputs that an output of the first convolution sees; None for :data:`KERNEL`.
        pooling: readout.
        preprocessing: step of the sensor contract.
        companding: bits of its companding; None for none.
        magnitude: True for the lengths of the vectors of three axes, beside the axes.
        window_length: samples of a window.
        dense_windows: True if training windows begin :data:`DENSER` times as often as scored ones.
        input_gain: standard deviation of the features.
        rate_gain: factor on ``input_gain`` for channels in rad/s or deg/s.
        rotation: largest angle of random rotations, degrees; 0 for none.
        amplitude: standard deviation of the logarithm of a random amplitude.
        learning_rate, batch_size, dropout, label_smoothing, mixup: options of the training.
        teacher: other classifiers from whose answers it learns too; None for none.
        steps: number of optimiser steps.
    """

    cell: CellName = "lstm"
    hidden_size: int = 16
    num_layers: int = 1
    four_bits: FourBits | None = field(default=None, metadata=written(unless_none=True))
    front: str = "none"
    kernel: int | None = field(default=None, metadata=written(unless_none=True))
    pooling: Pooling = "mean"
    preprocessing: PreprocessingStep = "none"
    companding: int | None = field(default=None, metadata=written(unless_none=True))
    magnitude: bool = field(default=False, metadata=written(unless_false=True))
    window_length: int = 50
    dense_windows: bool = field(default=False, metadata=written(unless_false=True))
    input_gain: float = 1.0
    rate_gain: float = 1.0
    rotation: float = 0.0
    amplitude: float = 0.0
    learning_rate: float = 0.01
    batch_size: int = 64
    dropout: float = 0.1
    label_smoothing: float = 0.0
    mixup: float = 0.0
    teacher: Teacher | None = field(default=None, metadata=written(unless_none=True))
    steps: int = 800

    @property
    def key(self) -> str:
        """Name of the candidate in a study."""
        digest = hashlib.sha256(canonical_json(to_plain(self)).encode()).hexdigest()
        return f"{self.cell}-{self.hidden_size}-{digest[:12]}"

    @property
    def bits(self) -> tuple[WeightBits, ...]:
        """Bits of the recurrent layers' weights on states, one number for all layers or one for each.

        >>> Candidate(num_layers=2, four_bits="second").bits, Candidate(num_layers=2, four_bits="all").bits
        ((8, 4), (4,))
        """
        return _BITS[self.four_bits]

    @property
    def least_agreement(self) -> float:
        """Least share of windows on which its float and its integer model give the same label."""
        return LEAST_AGREEMENT[min(self.bits)]

    @property
    def network(self) -> str:
        """The network in words.

        >>> Candidate("gru", 24, front="16/2", pooling="mean_max", four_bits="all").network
        'conv 16 stride 2, gru 24 of 4 bits, mean and largest of states'
        """
        conv = "".join(f"conv {units} stride {stride}, " for units, stride in FRONTS[self.front])
        if self.kernel is not None:
            conv = conv.replace(", ", f" kernel {self.kernel}, ", 1)
        layers = f"{self.cell} {self.hidden_size}" + (f" x {self.num_layers}" if self.num_layers > 1 else "")
        if self.four_bits is not None:
            layers += " of 4 bits" if self.four_bits == "all" else f" ({self.four_bits} of 4 bits)"
        return f"{conv}{layers}, {POOLING_TEXTS[self.pooling]}"

    @property
    def options(self) -> str:
        """The input and the training in words."""
        parts = [
            {"none": "raw", "difference": "differences", "remove_gravity": "gravity removed"}[self.preprocessing],
            *(["magnitude"] * self.magnitude),
            *([] if self.companding is None else [f"companding {self.companding}"]),
            f"T = {self.window_length}",
            *(["dense windows"] * self.dense_windows),
            f"gain {self.input_gain:g}" + (f" (rates {self.input_gain * self.rate_gain:g})" * (self.rate_gain != 1)),
            f"rate {self.learning_rate:g}",
            f"batch {self.batch_size}",
            f"{self.steps} steps",
            f"dropout {self.dropout:g}",
            *([f"rotation {self.rotation:g} deg"] if self.rotation else []),
            *([f"amplitude {self.amplitude:g}"] if self.amplitude else []),
            *([f"label smoothing {self.label_smoothing:g}"] if self.label_smoothing else []),
            *([f"mixup {self.mixup:g}"] if self.mixup else []),
            *([f"taught by {self.teacher.replace('_', ' ')}"] if self.teacher else []),
        ]
        return ", ".join(parts)

    def contract(self, of_source: SensorContract) -> SensorContract:
        """The sensor contract of the source, with this candidate's preprocessing and window length."""
        same = of_source.window_length == self.window_length
        stride = of_source.window_stride if same else max(1, self.window_length // 2)
        preprocessing = replace(
            of_source.preprocessing, step=self.preprocessing, companding=self.companding, magnitude=self.magnitude
        )
        return replace(of_source, preprocessing=preprocessing, window_length=self.window_length, window_stride=stride)

    def training_stride(self, contract: SensorContract) -> int:
        """Samples from one training window to the next, under the candidate's contract."""
        return dense_stride(contract) if self.dense_windows else contract.window_stride

    def training(self, contract: SensorContract, *, windows: int, steps: int, seed: int) -> TrainingConfig:
        """The configuration of a training with so many windows and at least so many optimiser steps."""
        units = [channel.unit for channel in contract.channels]
        gains = {
            name: self.input_gain * self.rate_gain
            for name, unit in zip(
                contract.feature_names, [*units, *(units[axes[0]] for axes in contract.magnitude_axes)], strict=True
            )
            if self.rate_gain != 1 and unit in _RATE_UNITS
        }
        table: dict[str, Any] = {
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            "front": [
                {
                    "units": outputs,
                    "kernel": KERNEL if number else self.kernel or KERNEL,
                    "stride": stride,
                    "activation": "tanh",
                }
                for number, (outputs, stride) in enumerate(FRONTS[self.front])
            ],
            "channel_gains": gains,
            "taught_by": self.teacher or "labels",
            "epochs": max(1, round(steps / -(-windows // self.batch_size))),
            "augmentation": {
                "rotation": "any" if self.rotation else "none",
                **({"max_degrees": self.rotation} if self.rotation else {}),
                "scale": self.amplitude,
            },
            "keep": "last",
            "seed": seed,
        }
        return TrainingConfig.model_validate(table)


def dense_stride(contract: SensorContract) -> int:
    """Samples from one dense training window to the next."""
    return max(1, contract.window_stride // DENSER)


def suits(front: str, window_length: int) -> bool:
    """True if the recurrent layers behind convolutions have neither too many steps in a window nor too few.

    >>> [front for front in FRONTS if suits(front, 1000)]
    ['16/4', '32/4', '16/4 16/4', '16/4 32/4', '16/4 16/4 16/4', '16/4 16/4 32/4']
    """
    steps = -(-window_length // _stride(front))
    if len(FRONTS[front]) > 1 and steps < FEWEST_STEPS_OF_CELL:
        return False
    return steps <= MOST_STEPS_OF_CELL and (front == "none" or window_length >= SHORTEST_FOR_CONVOLUTION)


def _stride(front: str) -> int:
    """Samples of a window for each step of the recurrent layers."""
    return math.prod(stride for _, stride in FRONTS[front])


_AS_THEY_ARE = (
    *("cell", "hidden_size", "num_layers", "pooling", "input_gain", "learning_rate", "batch_size", "dropout"),
    *("label_smoothing", "mixup"),
)
Fits = Callable[[Candidate], bool]


@dataclass(frozen=True)
class Space:
    """What a search may choose.

    Attributes:
        choices: values of each field of a candidate, in order where they have one.
    """

    choices: Mapping[str, tuple[Any, ...]]

    def random(self, rng: np.random.Generator) -> Candidate:
        """Draw every field alike."""
        drawn = {name: values[int(rng.integers(len(values)))] for name, values in self.choices.items()}
        return self._trainable(Candidate(**drawn))

    def changed(self, parent: Candidate, rng: np.random.Generator) -> Candidate:
        """Change one to three fields of a candidate to a value beside the present one, or to any other one."""
        names = [name for name, values in self.choices.items() if len(values) > 1]
        made = parent
        for name in rng.choice(names, size=min(len(names), int(rng.integers(1, 4))), replace=False).tolist():
            values = self.choices[name]
            now = values.index(getattr(parent, name)) if getattr(parent, name) in values else 0
            if isinstance(values[0], str):
                at = int(rng.integers(len(values) - 1))
                at += at >= now
            else:
                at = min(max(now + int(rng.choice([-1, 1])), 0), len(values) - 1)
            made = replace(made, **{name: values[at]})
        return self._trainable(made)

    def _trainable(self, candidate: Candidate) -> Candidate:
        """The candidate, with convolutions that suit its window, a gain that suits them, and steps and a batch that
        take no longer than those of others."""
        if not suits(candidate.front, candidate.window_length):
            candidate = replace(candidate, front=self._nearest_front(candidate))
        if candidate.num_layers == 1 and candidate.four_bits in ("first", "second"):
            candidate = replace(candidate, four_bits="all" if candidate.four_bits == "first" else None)
        if candidate.front == "none" or candidate.window_length < SHORTEST_FOR_WIDE_KERNEL:
            candidate = replace(candidate, kernel=None)
        if candidate.front != "none":
            gains = [gain for gain in self.choices["input_gain"] if gain <= MOST_GAIN_OF_CONVOLUTION]
            candidate = replace(candidate, input_gain=min(candidate.input_gain, max(gains)))
        if candidate.cell != "lstm" and "lstm" in self.choices["cell"]:
            candidate = replace(candidate, steps=min(candidate.steps, MOST_STEPS_BESIDE_LSTM))
        batches = [size for size in self.choices["batch_size"] if size * candidate.steps <= MOST_WINDOWS]
        return replace(candidate, batch_size=min(candidate.batch_size, max(batches)))

    def _nearest_front(self, candidate: Candidate) -> str:
        """The convolutions behind which the recurrent layers have about as many steps as the candidate's have in a
        window of usual length, with about as many units."""
        stride, units = _stride(candidate.front), sum(units for units, _ in FRONTS[candidate.front])
        times = candidate.window_length / USUAL_WINDOW  # as many samples as usual

        def away(front: str) -> tuple[float, int]:
            return abs(math.log2(_stride(front) / (stride * times))), abs(sum(u for u, _ in FRONTS[front]) - units)

        fitting: list[str] = [front for front in self.choices["front"] if suits(front, candidate.window_length)]
        return min(fitting, key=away)

    def first(self) -> list[Candidate]:
        """Candidates like the recipes that did well on other recordings, within the choices."""
        return [self._trainable(self._within(Candidate(**{"mixup": 0.2, **fields}))) for fields in _FIRST]

    def _within(self, wanted: Candidate) -> Candidate:
        """The candidate with the nearest value that is a choice, field by field, but for its convolutions."""

        def nearest(name: str, value: Any) -> Any:
            values = self.choices[name]
            if value in values:
                return value
            numbers = [one for one in values if one is not None]
            if value is None or not numbers:
                return values[0]
            return values[0] if isinstance(value, str) else min(numbers, key=lambda one: abs(one - value))

        found = {name: nearest(name, getattr(wanted, name)) for name in self.choices if name != "front"}
        return Candidate(**found, front=wanted.front)


# In the manner of the recipes for hapt, fan_vibration, road_surface_tartu and car_states, with the readouts and
# convolutions that did well on the training parts of all of them (docs/results/search.md), and plain ones. Mixup of 0.2
# helped on all of them.
_FIRST: tuple[dict[str, Any], ...] = (
    {
        **{"hidden_size": 32, "front": "16/2", "pooling": "mean_max", "input_gain": 3.0, "rate_gain": 7.0},
        **{"rotation": 30.0, "dropout": 0.2, "learning_rate": 0.02, "batch_size": 32, "steps": 3200},
    },
    {
        **{"hidden_size": 32, "front": "16/2", "pooling": "mean_max", "input_gain": 10.0, "magnitude": True},
        **{"steps": 1600, "dense_windows": True},
    },
    {"hidden_size": 32, "pooling": "last", "input_gain": 0.3, "preprocessing": "difference", "steps": 400},
    {"hidden_size": 32, "pooling": "mean_max", "input_gain": 60.0, "magnitude": True, "steps": 1600},
    {
        **{"hidden_size": 32, "pooling": "mean_max", "input_gain": 3.0, "rate_gain": 7.0, "rotation": 30.0},
        **{"dropout": 0.2, "learning_rate": 0.02, "batch_size": 32, "mixup": 0.4, "steps": 3200},
    },
    {
        **{"hidden_size": 32, "front": "16/2", "pooling": "mean_max", "input_gain": 3.0, "rate_gain": 7.0},
        **{"rotation": 30.0, "dropout": 0.2, "learning_rate": 0.02, "batch_size": 32, "steps": 1600},
        **{"teacher": "forest_and_rocket"},
    },
    {"hidden_size": 24, "front": "16/2", "pooling": "mean_max", "preprocessing": "remove_gravity", "input_gain": 3.0},
    {"hidden_size": 32, "pooling": "mean_max", "dense_windows": True},
    {"hidden_size": 24, "front": "16/2", "pooling": "last", "input_gain": 3.0, "mixup": 0.0},
    {
        **{"hidden_size": 32, "front": "32/4", "kernel": WIDE_KERNEL, "pooling": "mean_max", "batch_size": 32},
        **{"steps": 1600, "mixup": 0.0},
    },
    {"hidden_size": 16, "pooling": "mean_max", "rotation": 30.0, "learning_rate": 0.02, "mixup": 0.0},
    {"hidden_size": 24, "front": "32/4", "pooling": "mean_max", "preprocessing": "difference", "input_gain": 3.0},
    {"hidden_size": 12, "front": "16/4", "pooling": "mean_max", "input_gain": 3.0, "rotation": 15.0, "steps": 1600},
    {"hidden_size": 8, "pooling": "mean"},
)


def space_of(
    config: SearchConfig,
    contract: SensorContract,
    *,
    own_steps: bool,
    compandings: Sequence[int] = (),
    dense_windows: bool = False,
    bits_by_layer: bool = True,
    teacher: Teacher | None = None,
) -> Space:
    """What a search on recordings with a sensor contract may choose.

    Args:
        config: configuration of the search.
        contract: sensor contract of the source.
        own_steps: True if the preprocessing of the contract may be changed.
        compandings: numbers of bits that suit the data, in order; tried beside none where the preprocessing may be
            changed.
        dense_windows: True if training windows may begin more often than scored ones.
        bits_by_layer: True if one of two layers may have weights of 4 bits.
        teacher: other classifiers that may teach; None for none.
    """
    lengths = config.window_lengths or (contract.window_length,)
    rates = [channel.unit in _RATE_UNITS for channel in contract.channels]
    magnitudes: tuple[bool, ...] = (contract.preprocessing.magnitude,)
    if own_steps and not why_no_magnitude(contract):
        magnitudes = (False, True)
    steps: tuple[str, ...] = get_args(PreprocessingStep) if own_steps else (contract.preprocessing.step,)
    return Space(
        {
            "cell": config.cells,
            "hidden_size": (8, 12, 16, 24, 32, 48, 64),
            "num_layers": (1, 2),
            "four_bits": tuple(_BITS) if bits_by_layer else (None, "all"),
            "front": tuple(front for front in FRONTS if any(suits(front, length) for length in lengths)),
            "kernel": (None, WIDE_KERNEL),
            "pooling": ("mean_max", "mean", "max", "last"),
            "preprocessing": steps,
            "companding": (None, *compandings) if own_steps else (contract.preprocessing.companding,),
            "magnitude": magnitudes,
            "window_length": lengths,
            "dense_windows": (False, True) if dense_windows else (False,),
            "input_gain": (0.3, 1.0, 3.0, 10.0, 30.0, 60.0),
            "rate_gain": (1.0, 3.0, 7.0) if any(rates) and not all(rates) else (1.0,),
            "rotation": (0.0, 15.0, 30.0, 60.0) if axis_triples(contract) else (0.0,),
            "amplitude": (0.0, 0.1, 0.2),
            "learning_rate": (0.003, 0.005, 0.01, 0.02),
            "batch_size": (32, 64, 128),
            "dropout": (0.0, 0.1, 0.2, 0.3),
            "label_smoothing": (0.0, 0.05, 0.1),
            "mixup": (0.0, 0.2, 0.4),
            "teacher": (None,) if teacher is None else (None, teacher),
            "steps": STEPS,
        }
    )
