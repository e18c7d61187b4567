"""Answers of other classifiers for training windows, from which a network learns besides the labels."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows, select_windows
from edge_seq.data.windows import spread
from edge_seq.ir.contract import SensorContract, contract_to_dict
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.training.config import TaughtBy
from edge_seq.training.others.baselines import minirocket_baseline, random_forest_baseline

MOST_LEARNT = 2000  # windows that a classifier learns; the time of a ridge grows with the cube of their number
FOLDS = 5  # at most: each classifier answers for the groups of one, and learns those of the others
MOST_KEPT = 16
_SMOOTHED, _LEAST_SHARE = 0.05, 1e-3  # added to each probability; of a class
_kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()  # a search asks for the same windows in many trials


def answers_of_others(
    windows: Windows, contract: SensorContract, classes: int, taught_by: TaughtBy
) -> NDArray[np.float32]:
    """Logarithm of the mean probability of other classifiers, each trained on other groups, over the class shares.

    The answers are out of fold, so that a classifier does not repeat the labels that it has learnt, and divided by the
    share of each class, as the labels of a training are weighed ("class-balanced" distillation).

    Args:
        windows: windows to answer for.
        contract: sensor contract.
        classes: K.
        taught_by: ``forest``, or ``forest_and_rocket`` for the mean of it and of MiniRocket.

    Returns:
        float32 [B, K].

    Raises:
        ConfigError: all windows are of one group.
        ToolError: aeon, or scikit-learn, is not installed, or the windows are too short for MiniRocket.
    """
    try:
        from sklearn.model_selection import GroupKFold
    except ImportError as error:
        raise ToolError(
            f"training.taught_by = {taught_by!r} needs scikit-learn, which is not installed; pip install "
            "'edge-seq[data]'"
        ) from error
    key = _key(windows, contract, taught_by)
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    names, groups = np.unique(windows.groups, return_inverse=True)
    if len(names) < 2:
        raise ConfigError(
            f"training: training.taught_by is {taught_by!r}, but all training windows are of one group, and the other "
            "classifiers answer for groups that they have not learnt; set it to 'labels', or give more groups"
        )
    teachers = [random_forest_baseline, *([minirocket_baseline] if taught_by == "forest_and_rocket" else [])]
    found = np.zeros((len(groups), classes))
    for learnt, told in GroupKFold(min(FOLDS, len(names))).split(groups, groups=groups):
        learnt = learnt[spread(len(learnt), MOST_LEARNT)]
        parts = select_windows(windows, learnt), select_windows(windows, told)
        for teacher in teachers:
            try:
                found[told] += teacher(*parts, contract, classes, seed=0) / len(teachers)
            except ToolError as error:
                raise ToolError(f"training.taught_by = {taught_by!r}: {error}") from error
    shares = np.bincount(windows.labels, minlength=classes) / len(groups)
    logits: NDArray[np.float32] = np.log((found + _SMOOTHED) / np.maximum(shares, _LEAST_SHARE)).astype(np.float32)
    _kept[key] = logits
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return logits


def _key(windows: Windows, contract: SensorContract, taught_by: TaughtBy) -> str:
    digest = hashlib.sha256(json.dumps([contract_to_dict(contract), taught_by], sort_keys=True).encode())
    for part in (windows.counts, windows.labels):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update("\0".join(map(str, windows.groups.tolist())).encode())
    return digest.hexdigest()
