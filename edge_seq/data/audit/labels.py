"""Checks of labels, groups and splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from edge_seq.data.audit.facts import Facts
from edge_seq.data.audit.finding import Finding, Severity, some
from edge_seq.data.recording import SIDES
from edge_seq.data.source import DataSource
from edge_seq.support.figure_text import counted

RARE = 0.01  # share of the windows, below which a class is rare
FEW_GROUPS = 6  # fewer groups than this give a warning


def check_labels(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Check labels, groups and the split that the data source gives."""
    labels = sorted({label for one in facts for label in one.labels if label})
    if not labels:
        return [Finding("labels", "error", "no sample has a label. Set label_column or label_from")]
    found = [*_names(labels, source), *_short(facts, source)]
    if len(labels) == 1:
        found.append(
            Finding("labels", "error", f"there is one class only, {labels[0]!r}; expected at least two. Add another")
        )
        return found
    return [*found, *_balance(facts, labels), *_groups(facts, labels, source), *_sides(facts, labels)]


def _names(labels: Sequence[str], source: DataSource) -> list[Finding]:
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(re.sub(r"[\s_-]", "", label.lower()), []).append(label)
    found = [
        Finding(
            "labels",
            "error",
            f"classes {names} seem to be one, spelled differently. Give one name to all with label_names",
        )
        for names in alike.values()
        if len(names) > 1
    ]
    unknown = [label for label in labels if source.labels and label not in source.labels]
    if unknown:
        found.append(
            Finding(
                "labels",
                "error",
                f"classes {unknown} are in the data but not in labels {list(source.labels)}. Add them to labels or "
                "label_names, or list them in unlabelled_values",
            )
        )
    return found


def _short(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    short = tuple(one.name for one in facts if one.samples < source.window_length)
    if not short:
        return []
    severity: Severity = "error" if source.on_short == "error" else "note"
    return [
        Finding(
            "length",
            severity,
            f"{len(short)} of {counted(len(facts), 'recording')} are shorter than a window of "
            f"{source.window_length} samples "
            f'({some(short)}). Leave them out (on_short = "skip"), or shorten window_length',
            short,
        )
    ]


def _balance(facts: Sequence[Facts], labels: Sequence[str]) -> list[Finding]:
    windows = Counter[str]()
    for one in facts:
        windows.update(one.windows)
    total = sum(windows.values())
    found = []
    without = [label for label in labels if windows[label] == 0]
    if without:
        what = f"class {without[0]!r} has" if len(without) == 1 else f"classes {some(without)} have"
        text = (
            f"{what} no window: its stretches are too short. Shorten window_length, lower minimum_share, or leave the "
            "class out"
        )
        found.append(Finding("balance", "error", text))
    for label in labels:
        if 0 < windows[label] < RARE * total:
            found.append(
                Finding(
                    "balance",
                    "warning",
                    f"class {label!r} has {windows[label]} of {total} windows ({windows[label] / total:.2%}): its "
                    "scores will be uncertain. Record more of it",
                )
            )
    return found


def _groups(facts: Sequence[Facts], labels: Sequence[str], source: DataSource) -> list[Finding]:
    groups = {one.group for one in facts}
    if any(one.split for one in facts):
        return []
    if source.split == "time_blocks":
        text = (
            f"{counted(len(groups), 'group is', 'groups are')} split by blocks of time "
            '(split = "time_blocks"): weaker evidence than a split by group, since a new session may differ in '
            "mounting, person or place. Record more groups"
        )
        return [Finding("groups", "warning", text)]
    found = []
    having = {label: sorted({one.group for one in facts if one.windows.get(label)}) for label in labels}
    few = [label for label in labels if 0 < len(having[label]) < len(SIDES)]
    if few:
        others = f", as {counted(len(few) - 1, 'other class is', 'other classes are')} in too few" if few[1:] else ""
        text = (
            f"class {few[0]!r} is in {len(having[few[0]])} of {counted(len(groups), 'group')} ({some(having[few[0]])})"
            f"{others}; train, validation and test need one each. Record it in more groups, correct group_column, or "
            'split by time, which is weaker evidence: split = "time_blocks"'
        )
        found.append(Finding("groups", "error", text))
    if not found and len(groups) < FEW_GROUPS:
        found.append(
            Finding(
                "groups",
                "warning",
                f"{counted(len(groups), 'group')} in all: scores on one or two of them predict little about new "
                "groups. Record "
                "more drives, subjects or machines",
            )
        )
    if len(groups) == len(facts) and len(facts) > 1:
        found.append(
            Finding(
                "groups",
                "note",
                "each recording is a group of its own. If several come from one drive, subject or machine, set "
                "group_column to the column that tells them apart; otherwise scores will be too good",
            )
        )
    of_group: dict[str, set[str]] = {}
    for one in facts:
        of_group.setdefault(one.group, set()).update(label for label in one.labels if label)
    if all(len(one) <= 1 for one in of_group.values()) and len(groups) < len(facts):
        found.append(
            Finding(
                "groups",
                "warning",
                "each group holds one class only, so anything that is special to a group (sensor, mounting, place) "
                "predicts the class. Record several classes in each group",
            )
        )
    return found


def _sides(facts: Sequence[Facts], labels: Sequence[str]) -> list[Finding]:
    """Check that the split of the data source, if it gives one, is usable."""
    given = [one for one in facts if one.split]
    if not given:
        return []
    sides: dict[str, set[str]] = {}
    for one in facts:
        sides.setdefault(one.group, set()).add(one.split or "none")
    torn = tuple(sorted(group for group, on in sides.items() if len(on) > 1))
    found = []
    if torn:
        found.append(
            Finding(
                "split",
                "error",
                f"{counted(len(torn), 'group is', 'groups are')} on several sides of the split ({some(torn)}): "
                "scores would be too good. Move "
                "each whole group to one side",
            )
        )
    for side in dict.fromkeys(one.split for one in given):
        here = Counter[str]()
        for one in given:
            if one.split == side:
                here.update(one.windows)
        missing = [label for label in labels if not here[label]]
        if missing:
            found.append(
                Finding("split", "error", f"{side} has no window of {missing}. Move a group with this class there")
            )
    return found
