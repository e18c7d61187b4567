"""One trial: a candidate is trained on the other folds, and scored on one."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows, select_windows
from edge_seq.data.windows import spread
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import canonical_json
from edge_seq.pipeline.logits import int_logits
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.metrics import confusion_matrix
from edge_seq.support.results import Result
from edge_seq.trials.worker import require_data, require_version
from edge_seq.tuning.config import parse_search_config
from edge_seq.tuning.data import Part, SearchData, open_search_data
from edge_seq.tuning.space import Candidate

CALIBRATION_WINDOWS = 128
Confusion = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trial:
    """A training to do.

    Attributes:
        candidate: network and training.
        fold: fold that is scored, from 0.
        steps: number of optimiser steps; fewer than the candidate's in the first rounds.
        in_full: True if the integer model is made and scored too.
    """

    candidate: Candidate
    fold: int
    steps: int
    in_full: bool

    @property
    def key(self) -> str:
        """Name of the trial in a study."""
        return f"{self.candidate.key}-f{self.fold + 1}-n{self.steps}{'-full' if self.in_full else ''}"


@dataclass(frozen=True)
class TrialResult(Result):
    """Result of a trial.

    Attributes:
        candidate: network and training.
        fold: fold that was scored, from 0.
        steps: number of optimiser steps that were wanted.
        by_group: confusion matrix of the float model in each scored group.
        int_by_group: confusion matrix of the integer model; None in a trial of the first rounds.
        agreement: share of windows on which both give the same label; None likewise.
        seconds: wall time.
    """

    candidate: Candidate
    fold: int
    steps: int
    by_group: dict[str, Confusion]
    int_by_group: dict[str, Confusion] | None
    agreement: float | None
    seconds: float


@dataclass(frozen=True)
class TrialJob:
    """A trial that a worker does by itself.

    Attributes:
        config: configuration of the search, ready for JSON.
        fingerprint: fingerprint that the worker's data must have.
        version: version of this package that the worker must have.
        trial: training to do.
    """

    config: dict[str, Any]
    fingerprint: str
    version: str
    trial: Trial


def run_job(job: TrialJob) -> TrialResult:
    """Do a trial in a worker, with data that the worker reads itself, once.

    Raises:
        ConfigError: the worker has another version of this package.
        DataError: the worker's data are others.
        Further errors: as :func:`run_trial` raises.
    """
    require_version("search", job.version)
    data = _opened(canonical_json(job.config))
    require_data("search", data.config.source, data.aside.fingerprint, job.fingerprint)
    return run_trial(job.trial, data)


@lru_cache(maxsize=1)
def _opened(config: str) -> SearchData:
    return open_search_data(parse_search_config(json.loads(config)))


def run_trial(trial: Trial, data: SearchData) -> TrialResult:
    """Train a candidate on all folds but one, and score it on that one.

    Raises:
        ConfigError: the loss is not finite.
        DataError, ContractError: the data cannot be used.
    """
    contract = trial.candidate.contract(data.contract)
    started = time.perf_counter()
    found = fit_and_score(
        trial.candidate,
        data.part(trial.fold, contract, trial.candidate.training_stride(contract)),
        contract,
        data.labels,
        steps=trial.steps,
        seed=data.config.seed + trial.fold,
        in_full=trial.in_full,
    )
    return TrialResult(
        candidate=trial.candidate,
        fold=trial.fold,
        steps=trial.steps,
        by_group=found.by_group,
        int_by_group=found.int_by_group,
        agreement=found.agreement,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class Scored:
    """Confusion matrices by group of a float model, and if it was made of its integer model; see TrialResult."""

    by_group: dict[str, Confusion]
    int_by_group: dict[str, Confusion] | None
    agreement: float | None


def fit_and_score(
    candidate: Candidate,
    part: Part,
    contract: SensorContract,
    labels: tuple[str, ...],
    *,
    steps: int,
    seed: int,
    in_full: bool,
) -> Scored:
    """Train a candidate, and score it on other windows.

    Args:
        candidate: network and training.
        part: windows to learn from, and windows to score.
        contract: sensor contract of the candidate.
        labels: K class names.
        steps: number of optimiser steps. If an epoch has more, evenly spread windows are used.
        seed: seed of the training.
        in_full: make and score the integer model too.

    Raises:
        ConfigError: the loss is not finite.
        DataError, ContractError: the windows cannot be used.
        RangeProofError: the integer model cannot be proven free of overflow.
    """
    from edge_seq.frontends.from_torch import from_training
    from edge_seq.training.loop import predict, train

    most = steps * candidate.batch_size
    learnt = part.train
    if len(learnt.labels) > most:
        learnt = select_windows(learnt, spread(len(learnt.labels), most))
    config = candidate.training(contract, windows=len(learnt.labels), steps=steps, seed=seed)
    result = train(learnt, None, contract, len(labels), config)
    scored = part.scored
    predictions = predict(result, scored.counts).argmax(axis=1)
    of_float = _by_group(scored, predictions, len(labels))
    if not in_full:
        return Scored(of_float, None, None)
    model = from_training(result, name="searched", labels=labels)
    streams = learnt.counts[spread(len(learnt.labels), CALIBRATION_WINDOWS)]
    quantized = quantize(model, calibrate(model, np.asarray(streams)), candidate.bits)
    of_int = int_logits(quantized, scored.counts).argmax(axis=1)
    return Scored(of_float, _by_group(scored, of_int, len(labels)), float((of_int == predictions).mean()))


def _by_group(windows: Windows, predictions: NDArray[np.int64], classes: int) -> dict[str, Confusion]:
    return {
        str(group): tuple(map(tuple, confusion_matrix(windows.labels[at], predictions[at], classes).tolist()))
        for group in np.unique(windows.groups)
        for at in [windows.groups == group]
    }
