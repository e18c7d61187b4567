"""Check that no trivial feature, such as the length of a recording, its time of day or its name, predicts the class.

If one does, the classes were recorded in different ways, and a network may learn that difference instead of the class.
A decision tree of depth 3 on each such feature is cross-validated by group, and its recall is compared with chance. A
feature that only tells the groups apart does not count. scikit-learn is imported only when the check runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.facts import Facts
from edge_seq.data.audit.finding import Finding
from edge_seq.data.audit.folds import needs_scikit_learn

MIN_RECORDINGS, MIN_GAIN, SURE_SHARE = 12, 0.2, 0.75
_MAX_SEGMENTS = 3000
_EPOCH_S = 1e8  # a time beyond three years is a date
_MOSTLY = 0.9  # share of the labelled samples

_ADVICE = {
    "recordings": "The classes were recorded in different ways, and a network may learn that instead. Record all "
    "classes alike: same lengths, times and devices, in mixed order",
    "stretches": "All recordings followed the same order or the same lengths. A model that starts each window from "
    "zero cannot see this; a model that carries its state, or a decision stage tuned on these data, can. Record in "
    "mixed order",
}

Feature = Callable[[Facts], Sequence[float]]


def check_giveaways(facts: Sequence[Facts]) -> list[Finding]:
    """Check features that must not predict the class."""
    single = [(one, label) for one in facts if (label := _main_label(one)) is not None]
    if len(single) >= 0.8 * len(facts):
        return _of_recordings([one for one, _ in single], [label for _, label in single])
    return _of_segments(facts)


def _main_label(one: Facts) -> str | None:
    """Class of at least 90 % of the labelled samples; None if there is none."""
    labelled = {label: count for label, count in one.labels.items() if label}
    if not labelled:
        return None
    label = max(labelled, key=lambda key: labelled[key])
    return label if labelled[label] >= _MOSTLY * sum(labelled.values()) else None


def _of_recordings(facts: Sequence[Facts], labels: Sequence[str]) -> list[Finding]:
    features: dict[str, NDArray[np.float64]] = {"length of the recording": _column([one.samples for one in facts])}
    if all(one.rate_hz is not None for one in facts):
        features["sample rate"] = _column([round(one.rate_hz or 0.0, 2) for one in facts])
    starts = [one.start_s for one in facts]
    if all(start is not None for start in starts):
        start_s = np.array([start or 0.0 for start in starts])
        features["time of the first sample"] = start_s[:, np.newaxis]
        if (start_s > _EPOCH_S).all():
            features["time of day"] = (start_s % 86400.0)[:, np.newaxis]
    numbers = [re.findall(r"\d+", one.name.rsplit("/", 1)[-1]) for one in facts]
    if all(numbers):
        features["number in the name"] = _column([float(found[-1][:15]) for found in numbers])
    words = _words(facts, labels)
    if words is not None:
        features["words in the name"] = words
    groups = [one.group for one in facts]
    return [
        finding
        for name, values in features.items()
        if (finding := _judge(name, values, labels, groups, unit="recordings", certain="error")) is not None
    ]


def _of_segments(facts: Sequence[Facts]) -> list[Finding]:
    rows = [(one, label, first, length) for one in facts for label, first, length in one.segments]
    rows = rows[:: max(1, len(rows) // _MAX_SEGMENTS)]
    labels, groups = [row[1] for row in rows], [row[0].group for row in rows]
    features = {
        "place in the recording": _column([first for _, _, first, _ in rows]),
        "length of a stretch of one label": _column([length for *_, length in rows]),
    }
    return [
        finding
        for name, values in features.items()
        if (finding := _judge(name, values, labels, groups, unit="stretches", certain="warning")) is not None
    ]


def _column(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, np.newaxis]


def _words(facts: Sequence[Facts], labels: Sequence[str]) -> NDArray[np.float64] | None:
    """Words in the names, without the names of the classes: float64 [N, words], 1 if the name has the word, else 0."""
    classes = {re.sub(r"[\W\d_]", "", label.lower()) for label in labels}
    of_class = {part for label in labels for part in re.findall(r"[a-z]+", label.lower())}
    found = [
        {word for word in re.findall(r"[a-z]+", one.name.lower()) if word not in classes | of_class} for one in facts
    ]
    vocabulary = sorted(set().union(*found))
    if not vocabulary or len(vocabulary) > 200:
        return None
    table = np.array([[word in words for word in vocabulary] for words in found], dtype=np.float64)
    return table if (table.std(axis=0) > 0).any() else None


def _judge(
    name: str, values: NDArray[np.float64], labels: Sequence[str], groups: Sequence[str], *, unit: str, certain: str
) -> Finding | None:
    classes, y = np.unique(np.array(labels), return_inverse=True)
    if len(y) < MIN_RECORDINGS or len(classes) < 2 or not (values.std(axis=0) > 0).any():
        return None
    reached = cross_validated_recall(values, y, np.array(groups))
    chance = 1.0 / len(classes)
    independent = min(len(set(groups)), len(y))
    noise = 3.0 * np.sqrt(chance * (1 - chance) / independent)
    if reached is None or reached < chance + max(MIN_GAIN, noise):
        return None
    sure = reached > chance + SURE_SHARE * (1 - chance)
    return Finding(
        "giveaway",
        "error" if sure and certain == "error" else "warning",
        f"the {name} alone tells the class: mean recall {reached:.0%} over {len(y)} {unit} by group, chance is "
        f"{chance:.0%}. {_ADVICE[unit]}",
    )


def cross_validated_recall(values: NDArray[np.float64], y: NDArray[np.intp], groups: NDArray[np.str_]) -> float | None:
    """Compute the mean recall of a decision tree of depth 3, in a five-fold cross-validation by group.

    Args:
        values: float64 [N, F], features.
        y: int [N], class indices.
        groups: str [N].

    Returns:
        mean recall of the classes; None with fewer than five groups.

    Raises:
        ToolError: scikit-learn is not installed.
    """
    with needs_scikit_learn():
        from sklearn.model_selection import GroupKFold
        from sklearn.tree import DecisionTreeClassifier
    if len(np.unique(groups)) < 5:
        return None
    predicted = np.full(len(y), -1)
    shuffled = np.random.default_rng(0).permutation(len(np.unique(groups)))
    index = shuffled[np.unique(groups, return_inverse=True)[1]]
    for inside, outside in GroupKFold(5).split(values, y, index):
        tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=2, class_weight="balanced", random_state=0)
        predicted[outside] = tree.fit(values[inside], y[inside]).predict(values[outside])
    return float(np.mean([(predicted[y == k] == k).mean() for k in np.unique(y)]))
