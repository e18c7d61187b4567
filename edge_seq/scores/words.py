"""Names of classifiers and of scores: one table for the terminal, for notebooks and for reports."""

from __future__ import annotations

FLOAT_MODEL = "float model"
INT_MODEL = "integer model"
FLOAT_DECIDED = "float model, decided"
INT_DECIDED = "integer model, decided"
RANDOM_FOREST = "random forest"
MAJORITY = "majority guess"
MINIROCKET = "MiniRocket and ridge"

# Key in reports and files, and name, of what is scored. On windows the decision stage plays no part.
CLASSIFIERS = {"float": FLOAT_MODEL, "int": INT_MODEL, "random_forest": RANDOM_FOREST, "majority": MAJORITY}

ACCURACY = "accuracy"
BALANCED_ACCURACY = "balanced accuracy"
MACRO_F1 = "macro-F1"
CALIBRATION_ERROR = "calibration error"
# Scores of a classifier on windows: the field of a result that holds one, and its name.
WINDOW_SCORES = {"accuracy": ACCURACY, "balanced_accuracy": BALANCED_ACCURACY, "macro_f1": MACRO_F1}

EVENT_F1 = "event macro-F1"
EVENTS_HIT = "events hit"
FALSE_ALARMS_PER_HOUR = "false alarms/h"
FRAGMENTS_PER_HIT = "fragments a hit"
DELAY_MEDIAN = "median delay s"
DELAY_P95 = "95 % delay s"
CHANGES_PER_MINUTE = "changes/min"
UNKNOWN = "unknown"


def describe_score(name: str) -> str:
    """Name of a score for people, from its name in a result.

    >>> describe_score("macro_f1"), describe_score("balanced_accuracy")
    ('macro-F1', 'balanced accuracy')
    """
    return WINDOW_SCORES[name]
