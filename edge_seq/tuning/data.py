"""Training part and folds of a search. The test part is put aside before anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import get_args

from edge_seq.backends.preprocess import companding_near, typical_magnitude
from edge_seq.data.recording import Recording, Windows, select_windows
from edge_seq.data.splits import Split, split_by_fold, split_by_time_fold
from edge_seq.data.windows import make_windows, spread
from edge_seq.ir.contract import Preprocessing, PreprocessingStep, SensorContract
from edge_seq.pipeline.choosing.aside import PutAside, put_test_aside
from edge_seq.pipeline.config import SIMULATOR, DataConfig
from edge_seq.support.errors import DataError
from edge_seq.tuning.config import SearchConfig
from edge_seq.tuning.space import DENSER, MOST_WINDOWS, dense_stride

MOST_FOLDS = 4  # of a search that chooses the number
WINDOWS_FOR_SCALE = 200  # that show how large features are


@dataclass(frozen=True)
class Part:
    """Windows to learn from and windows to score.

    Attributes:
        train: windows to learn from.
        scored: windows of other groups.
    """

    train: Windows
    scored: Windows


@dataclass(frozen=True, eq=False)  # compared by identity, so that windows can be cached
class SearchData:
    """Recordings of a search.

    Attributes:
        aside: training part, and the test part, which only :mod:`edge_seq.tuning.final` reads.
        config: configuration of the search.
        folds: number of folds.
    """

    aside: PutAside
    config: SearchConfig
    folds: int

    @property
    def contract(self) -> SensorContract:
        """Sensor contract of the source."""
        return self.aside.dataset.contract

    @property
    def labels(self) -> tuple[str, ...]:
        """K class names."""
        return self.aside.dataset.labels

    @property
    def can_change_preprocessing(self) -> bool:
        """True if the preprocessing is stated by a data source, and not by the simulator."""
        return self.config.source != SIMULATOR

    @cached_property
    def compandings(self) -> tuple[int, ...]:
        """Numbers of bits that suit the data, in order: for each step of preprocessing the power of two next to the
        median magnitude of what it gives in the training part, and three less. Empty where all of it is 0."""
        windows = self.cut(self.aside.dataset.recordings, self.contract)
        counts = windows.counts[spread(len(windows.labels), WINDOWS_FOR_SCALE)]
        of_source = self.contract.preprocessing
        found: set[int] = set()
        for step in get_args(PreprocessingStep):
            contract = replace(self.contract, preprocessing=Preprocessing(step, of_source.gravity_shift))
            if typical := typical_magnitude(counts, contract):
                found |= {companding_near(typical / 8), companding_near(typical)}
        return tuple(sorted(found))

    @cached_property
    def groups(self) -> int:
        """Number of groups of the training part."""
        return len({one.group for one in self.aside.dataset.recordings})

    def cut(self, recordings: tuple[Recording, ...], contract: SensorContract) -> Windows:
        """Cut the windows of recordings."""
        return make_windows(
            recordings,
            length=contract.window_length,
            stride=contract.window_stride,
            minimum_share=self.aside.minimum_share,
        )

    def part(self, fold: int, contract: SensorContract, training_stride: int = 0) -> Part:
        """Windows of a fold, 0 to ``folds`` - 1. They are kept for the next trial of this process.

        Args:
            fold: fold that is scored.
            contract: sensor contract with length and stride of the scored windows.
            training_stride: stride of the windows to learn from, samples; 0 for that of the contract.
        """
        stride = contract.window_stride
        return _part(self, fold, contract.window_length, stride, training_stride or stride)

    @cached_property
    def has_denser_windows(self) -> bool:
        """True if windows that begin more often are others, and no more than a training sees."""
        recordings, contract = self.aside.dataset.recordings, self.contract
        windows = len(self.cut(recordings, contract).labels)
        if windows * DENSER > MOST_WINDOWS:
            return False
        denser = replace(contract, window_stride=dense_stride(contract))
        return len(self.cut(recordings, denser).labels) > windows

    @cached_property
    def note(self) -> str:
        """Sentence about the training part, the folds and the test part."""
        aside = len({one.group for one in self.aside.test})
        if self.aside.by_time:
            return (
                f"the last part of each class in time is the test part, which is not used; {self.folds} blocks of time "
                "of the rest are scored in turn, which is weaker evidence than other groups"
            )
        return (
            f"{aside} groups are the test part, which is not used; the {self.groups} others are {self.folds} folds, of "
            "which each is scored by networks that learn from the rest"
        )


@lru_cache(maxsize=16)
def _part(data: SearchData, fold: int, length: int, stride: int, training_stride: int) -> Part:
    contract = replace(data.contract, window_length=length, window_stride=stride)
    found = _split(data.aside, data.folds, fold, data.config.seed)
    train = data.cut(found.train, replace(contract, window_stride=training_stride))
    most = data.config.max_training_windows
    if most:
        train = select_windows(train, spread(len(train.labels), most))
    return Part(train, data.cut(found.test, contract))


def _split(aside: PutAside, folds: int, fold: int, seed: int) -> Split:
    """Split of a fold. It depends on the source's own window length alone, so all lengths score the same groups."""
    by_fold = split_by_time_fold if aside.by_time else split_by_fold
    return by_fold(aside.dataset, folds=folds, fold=fold + 1, seed=seed, minimum_share=aside.minimum_share)


def open_search_data(config: SearchConfig, *, progress: Callable[[int, int], None] | None = None) -> SearchData:
    """Read or simulate the data, put the test part aside, and find the number of folds.

    Raises:
        DataError, ContractError, ConfigError, ToolError: as the readers, the simulator and the splits say. DataError
            also if a class has too few groups for two folds.
    """
    keys = config.model_dump(include={"source", "split", "test_fraction", "split_seed"})
    aside = put_test_aside(DataConfig(**keys), progress=progress)
    if len(aside.dataset.labels) < 2:
        raise DataError(
            f"search: all recordings of {aside.dataset.name} are of one class, {list(aside.dataset.labels)}; a "
            "classifier needs at least two"
        )
    if config.folds:
        _split(aside, config.folds, 0, config.seed)
        return SearchData(aside, config, config.folds)
    for folds in range(MOST_FOLDS, 1, -1):
        try:
            _split(aside, folds, 0, config.seed)
        except DataError as error:
            problem = error
        else:
            return SearchData(aside, config, folds)
    raise problem
