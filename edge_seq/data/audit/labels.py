"""Groups, labels and their balance, and what a split by group can make of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from edge_seq.data.audit.facts import Facts
from edge_seq.data.audit.finding import Finding, Severity, some
from edge_seq.data.recording import SIDES
from edge_seq.data.source import DataSource

RARE = 0.01
FEW_GROUPS = 6


def check_labels(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Findings of labels, groups and the source's own split."""
    labels = sorted({label for one in facts for label in one.labels if label})
    if not labels:
        return [Finding("labels", "error", "no sample has a label. Name label_column, or say label_from")]
    found = [*_names(labels, source), *_short(facts, source)]
    if len(labels) == 1:
        found.append(
            Finding("labels", "error", f"there is one class only, {labels[0]!r}: nothing to tell apart. Add another")
        )
        return found
    return [*found, *_balance(facts, labels), *_groups(facts, labels), *_sides(facts, labels)]


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
            f"{len(short)} of {len(facts)} recordings are shorter than a window of {source.window_length} samples "
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
    for label in labels:
        if windows[label] == 0:
            found.append(
                Finding(
                    "balance",
                    "error",
                    f"class {label!r} has not one window: its stretches are too short. Shorten window_length, lower "
                    "minimum_share, or leave the class out",
                )
            )
        elif windows[label] < RARE * total:
            found.append(
                Finding(
                    "balance",
                    "warning",
                    f"class {label!r} has {windows[label]} of {total} windows ({windows[label] / total:.2%}): its "
                    "figures will say little. Record more of it",
                )
            )
    return found


def _groups(facts: Sequence[Facts], labels: Sequence[str]) -> list[Finding]:
    groups = {one.group for one in facts}
    if any(one.split for one in facts):
        return []
    found = []
    for label in labels:
        having = sorted({one.group for one in facts if one.windows.get(label)})
        if 0 < len(having) < len(SIDES):
            found.append(
                Finding(
                    "groups",
                    "error",
                    f"class {label!r} is in {len(having)} of {len(groups)} groups ({some(having)}); train, validation "
                    "and test need one each. Record it in more groups, or correct group_column",
                )
            )
    if not found and len(groups) < FEW_GROUPS:
        found.append(
            Finding(
                "groups",
                "warning",
                f"there are {len(groups)} groups: figures on one or two of them say little of the next. Record more "
                "drives, subjects or machines",
            )
        )
    if len(groups) == len(facts) and len(facts) > 1:
        found.append(
            Finding(
                "groups",
                "note",
                "each recording is a group of its own. If several are of one drive, subject or machine, name it with "
                "group_column, or figures will be too good",
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
                "each group holds one class only, so what is peculiar to a group (part, mounting, place) tells the "
                "class. Record several classes in each group",
            )
        )
    return found


def _sides(facts: Sequence[Facts], labels: Sequence[str]) -> list[Finding]:
    """What the split that the source gives would be refused for."""
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
                f"{len(torn)} groups are on several sides of the split ({some(torn)}): figures would be too good. Move "
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
