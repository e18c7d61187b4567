"""Checks for equal samples: duplicate recordings, and samples that are on several sides of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_seq.data.audit.facts import Facts
from edge_seq.data.audit.finding import Finding, some

MIN_SHARED = 3  # anchors in common, below which a pair is not reported
_COMMON = 20  # a stretch in more recordings than this is not a copy, but a pattern of the sensor


@dataclass(frozen=True)
class SharedStretch:
    """Two recordings (indices) with common samples, and the share of the shorter one that the other one contains."""

    first: int
    second: int
    share: float


def find_shared(facts: Sequence[Facts]) -> list[SharedStretch]:
    """Find pairs of recordings with common samples, by their anchors.

    Time and memory grow with the number of anchors.
    """
    if not facts:
        return []
    owner = np.repeat(np.arange(len(facts)), [len(one.anchors) for one in facts])
    hashes = np.concatenate([one.anchors for one in facts])
    order = np.lexsort((owner, hashes))
    hashes, owner = hashes[order], owner[order]
    edges = np.concatenate([[0], np.flatnonzero(np.diff(hashes)) + 1, [len(hashes)]])
    sizes = np.diff(edges)
    shared: dict[tuple[int, int], int] = {}
    for start, size in zip(edges[:-1][sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        if size > _COMMON:
            continue
        owners = owner[start : start + size].tolist()
        for i, one in enumerate(owners):
            for other in owners[i + 1 :]:
                shared[one, other] = shared.get((one, other), 0) + 1
    return [
        SharedStretch(one, other, count / min(len(facts[one].anchors), len(facts[other].anchors)))
        for (one, other), count in sorted(shared.items())
        if count >= MIN_SHARED
    ]


def check_copies(facts: Sequence[Facts]) -> list[Finding]:
    """Check for samples that several recordings contain."""
    pairs = find_shared(facts)
    across_sides, across_groups, within = [], [], []
    for pair in pairs:
        one, other = facts[pair.first], facts[pair.second]
        text = f"{one.name} = {other.name}" + ("" if pair.share > 0.95 else f" ({pair.share:.0%})")
        if one.split != other.split:
            across_sides.append((text, one.name, other.name))
        elif one.group != other.group:
            across_groups.append((text, one.name, other.name))
        elif pair.share >= 0.95 and len(one.anchors) == len(other.anchors):
            within.append((text, one.name, other.name))
    return [
        *_finding(
            across_sides,
            "shared windows",
            "recordings on different sides of the split share samples, so that the test has seen the training",
            "Remove one of each pair",
        ),
        *_finding(
            across_groups,
            "duplicates",
            "recordings of different groups share samples, so that they may end up on two sides of a split",
            "Remove one of each pair, or give both the same group",
        ),
        *_finding(within, "duplicates", "recordings of one group hold the same samples", "Remove one of each pair"),
    ]


def _finding(pairs: list[tuple[str, str, str]], check: str, what: str, todo: str) -> list[Finding]:
    if not pairs:
        return []
    names = tuple(dict.fromkeys(name for _, first, second in pairs for name in (first, second)))
    text = f"{len(pairs)} pairs of {what} ({some([text for text, _, _ in pairs])}). {todo}"
    return [Finding(check, "error", text, names)]
