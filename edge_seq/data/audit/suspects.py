"""Windows whose label a forest that learnt from other groups contradicts: they may be labelled wrongly.

The rule is that of confident learning (Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in
dataset labels", Journal of Artificial Intelligence Research 70): a window is suspect if another class is the most
probable one, and at least as probable as that class is on average for the windows that carry its label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.folds import folds_by_group, levels, mean_recall, motion, out_of_fold
from edge_seq.data.audit.sample import WindowSample
from edge_seq.support.results import Result

TREES = 100
MOST_LISTED = 40
MOSTLY, FEWEST = 0.6, 3  # a recording is suspect as a whole from this share and this number of its windows on
# A forest that finds less than this share of what chance leaves open knows too little to doubt a label.
KNOWS_ENOUGH = 0.5


@dataclass(frozen=True)
class Suspect(Result):
    """A window that looks like another class.

    Attributes:
        recording, group: where it is.
        at_s: time of its first sample since the recording's first one, in s.
        first: number of its first sample within the recording, from 0.
        label: class that it carries.
        expected: class that the forest gives it.
        probability: probability of the expected class.
    """

    recording: str
    group: str
    at_s: float
    first: int
    label: str
    expected: str
    probability: float


@dataclass(frozen=True)
class SuspectRecording(Result):
    """A recording most of whose windows of one label look like one other class.

    Attributes:
        recording, group: which one.
        label: class that the windows carry.
        expected: class that the forest gives to most of them.
        suspects, windows: number of suspect windows, and of all that were looked at with this label.
    """

    recording: str
    group: str
    label: str
    expected: str
    suspects: int
    windows: int


@dataclass(frozen=True)
class Doubts(Result):
    """Labels that a forest doubts, by a cross-validation by group.

    Attributes:
        by_group: mean recall of the classes for windows of groups that the forest did not see; None if there are fewer
            than two groups, or no class is in two of them.
        chance: mean recall of a guess.
        looked_at: number of windows that could be predicted.
        suspects: number of suspect windows.
        recordings: recordings that are suspect as a whole, the largest share first; at most 40.
        windows: the 40 most doubtful windows of other recordings, the most doubtful first.
    """

    by_group: float | None
    chance: float
    looked_at: int
    suspects: int
    recordings: tuple[SuspectRecording, ...]
    windows: tuple[Suspect, ...]

    derived = ("knows_enough",)

    @property
    def knows_enough(self) -> bool:
        """True if the forest tells the classes apart in other groups, so that its doubts mean something."""
        return self.by_group is not None and self.by_group - self.chance >= KNOWS_ENOUGH * (1 - self.chance)


def find_doubts(sample: WindowSample) -> Doubts:
    """Cross-validate a forest by group, and list the windows whose labels it contradicts.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    classes, y = np.unique(sample.labels, return_inverse=True)
    nothing = Doubts(None, 1 / len(classes), 0, 0, (), ())
    if len(classes) < 2 or len(np.unique(sample.groups)) < 2:
        return nothing
    features = np.concatenate([levels(sample), motion(sample)], axis=1)
    found = out_of_fold(features, y, folds_by_group(sample.labels, sample.groups), trees=TREES)
    by_group = mean_recall(found, y)
    if by_group is None:
        return nothing
    suspect, expected = _suspects(found, y)
    whole = _whole_recordings(sample, classes, y, expected, suspect)
    in_whole = np.isin(sample.recordings, [one.recording for one in whole])
    margin = found.max(axis=1) - found[np.arange(len(y)), y]
    single = suspect & ~in_whole
    order = np.flatnonzero(single)[np.argsort(-margin[single], kind="stable")]
    return Doubts(
        by_group=by_group,
        chance=1 / len(classes),
        looked_at=int(np.isfinite(found[:, 0]).sum()),
        suspects=int(suspect.sum()),
        recordings=whole[:MOST_LISTED],
        windows=tuple(
            Suspect(
                recording=str(sample.recordings[i]),
                group=str(sample.groups[i]),
                at_s=float(sample.at_s[i]),
                first=int(sample.first[i]),
                label=str(sample.labels[i]),
                expected=str(classes[expected[i]]),
                probability=float(found[i].max()),
            )
            for i in order[:MOST_LISTED]
        ),
    )


def _suspects(found: NDArray[np.float64], y: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Find the suspect windows, bool [N], and the most probable class of each window, int [N]."""
    known = np.isfinite(found[:, 0])
    usual = np.array(
        [found[known & (y == k), k].mean() if (known & (y == k)).any() else np.inf for k in range(found.shape[1])]
    )
    expected = np.where(known[:, np.newaxis], found, 0.0).argmax(axis=1)
    largest = np.where(known, found.max(axis=1, initial=0.0, where=known[:, np.newaxis]), 0.0)
    return known & (expected != y) & (largest >= usual[expected]), expected


def _whole_recordings(
    sample: WindowSample,
    classes: NDArray[np.str_],
    y: NDArray[np.intp],
    expected: NDArray[np.intp],
    suspect: NDArray[np.bool_],
) -> tuple[SuspectRecording, ...]:
    whole: list[SuspectRecording] = []
    names, inverse = np.unique(sample.recordings, return_inverse=True)
    for number in np.unique(inverse[suspect]):
        here = inverse == number
        for label in np.unique(y[here & suspect]):
            with_label = here & (y == label)
            votes = np.bincount(expected[with_label & suspect], minlength=len(classes))
            windows, most = int(with_label.sum()), int(votes.max())
            if most >= max(FEWEST, MOSTLY * windows):
                group = str(sample.groups[np.flatnonzero(with_label)[0]])
                named = (str(names[number]), group, str(classes[label]), str(classes[votes.argmax()]))
                whole.append(SuspectRecording(*named, suspects=most, windows=windows))
    return tuple(sorted(whole, key=lambda one: (-one.suspects / one.windows, one.recording)))
