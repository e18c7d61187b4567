"""Scores of a model of one class: how often it calls normal windows anomalies, and how many anomalies it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.scores.metrics import Estimate, accuracy, estimate_over_groups
from edge_seq.support.display import Table
from edge_seq.support.errors import DataError
from edge_seq.support.results import Result

ANOMALY = "anomaly"  # label of whatever differs from the normal class
NORMAL_INDEX = 0  # of the labels of a model of one class; the other one is ANOMALY


@dataclass(frozen=True)
class OtherClasses(Result):
    """Classes of the data and of its test windows, of which a model of one class knows only whether they are normal.

    Attributes:
        names: names of all classes of the data.
        windows: class of each window, index into ``names``; empty without a test part.
    """

    names: tuple[str, ...]
    windows: tuple[int, ...]

    def __post_init__(self) -> None:
        strange = [index for index in self.windows if not 0 <= index < len(self.names)]
        if strange:
            raise ValueError(f"a window has class {strange[0]}; expected 0 to {len(self.names) - 1}")


@dataclass(frozen=True)
class Detection(Result):
    """How a classifier calls the windows of one class of the data.

    Attributes:
        label: name of the class.
        windows, groups: number of its windows, and of the groups that they are from.
        called: share of them that are called anomalies, with its 95 % interval over groups.
        auroc: probability that a window of this class is farther from normal than a normal one; None for the normal
            class, and where no normal window is there to compare with.
    """

    label: str
    windows: int
    groups: int
    called: Estimate
    auroc: float | None


@dataclass(frozen=True)
class OneClassScores(Result):
    """Scores of the classifiers of a run of one class.

    Attributes:
        normal: name of the normal class.
        wanted: share of false alarms that its threshold was set for.
        classifiers: for each classifier, by name for people, how it calls each class; the normal class is first.
    """

    normal: str
    wanted: float
    classifiers: dict[str, tuple[Detection, ...]]

    def table(self, side: str) -> Table:
        """Shares that are called anomalies, by class and classifier.

        Args:
            side: side of the split that the windows are from, for the title.
        """
        rows = [
            [
                f"{one.label} (normal)" if one.label == self.normal else one.label,
                *(name, f"{one.windows:,}", str(one.groups), str(one.called)),
                "-" if one.auroc is None else f"{one.auroc:.3f}",
            ]
            for place in range(max((len(found) for found in self.classifiers.values()), default=0))
            for name, found in self.classifiers.items()
            for one in (found[place],)
        ]
        title = (
            f"{side}: called {ANOMALY}; of {self.normal} these are false alarms, for which the threshold was set to "
            f"{100 * self.wanted:g} %"
        )
        return Table(title, ["class", "classifier", "windows", "groups", f"called {ANOMALY}", "AUROC"], rows)


def auroc(normal: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    """Probability that a value of ``other`` is larger than one of ``normal``; equal ones count half (Hanley and McNeil
    1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve").

    Args:
        normal: [A], at least one value.
        other: [B], at least one value.

    >>> auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.875
    """
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, other, side="left") + np.searchsorted(ordered, other, side="right")
    return float(below.mean() / (2 * len(normal)))


def detections(
    logits: NDArray[np.floating[Any]], others: OtherClasses, groups: NDArray[np.str_], normal: str, *, seed: int = 0
) -> tuple[Detection, ...]:
    """Score logits of a model of one class by the classes of the data.

    Args:
        logits: float [B, 2], of normal and anomaly.
        others: class of each window.
        groups: str [B].
        normal: name of the normal class.
        seed: seed of the resampling behind the intervals.

    Raises:
        DataError: the number of windows, classes and groups differ.
    """
    of_windows = np.array(others.windows, dtype=np.int64)
    if not len(logits) == len(of_windows) == len(groups):
        raise DataError(
            f"scoring a model of one class: {len(logits)} windows, classes of {len(of_windows)} and groups of "
            f"{len(groups)}; expected one of each for every window. Train the run again"
        )
    far = (logits[:, 1 - NORMAL_INDEX] - logits[:, NORMAL_INDEX]).astype(np.float64)
    called = logits.argmax(axis=1) != NORMAL_INDEX
    normal_far = far[of_windows == others.names.index(normal)]
    found = []
    for label in sorted(others.names, key=lambda name: name != normal):
        of = of_windows == others.names.index(label)
        if not of.any():
            continue
        names, group = np.unique(groups[of], return_inverse=True)
        by_group = np.zeros((len(names), 2, 2), dtype=np.int64)  # the right answer is that it is an anomaly
        by_group[:, 0, 0] = np.bincount(group, weights=called[of], minlength=len(names))
        by_group[:, 0, 1] = np.bincount(group, weights=~called[of], minlength=len(names))
        compared = label != normal and len(normal_far)
        found.append(
            Detection(
                label=label,
                windows=int(of.sum()),
                groups=len(names),
                called=estimate_over_groups(by_group, accuracy, seed=seed),
                auroc=auroc(normal_far, far[of]) if compared else None,
            )
        )
    return tuple(found)
