"""Classes and groups in the names of files and folders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

_GROUP_WORD = (
    "(?:session|sess|subject|subj|sub|user|person|participant|driver|volunteer|device|dev|machine|day|drive|group"
    "|p|s|u|d)"
)
_GROUP = re.compile(rf"(?:^|[_\-. /])(?P<group>{_GROUP_WORD}[_\-]?\d+)(?![A-Za-z0-9])", re.IGNORECASE)
_WHO = re.compile(r"[^\W\d_]*(session|sess|subj|person|participant|driver|volunteer|user)[^\W\d_]*\d+", re.IGNORECASE)
_FIRST_GROUP = re.compile(rf"^(?P<group>{_GROUP_WORD}[_\-]?\d+)[_\-. ]+", re.IGNORECASE)
_WORDS = re.compile(r"[^\W\d_]+")
_SEPARATORS = re.compile(r"[_\-. ]+")
_MOST_PARTS = 50  # values of a part of names that may be classes
_START = r"(?:[\W\d_]|(?<=\d)[TZ](?=[\W\d_]))*"  # of a name: numbers and dates, also `20240102T101112Z_`
# Usual names of classes: they tell folders of persons from folders of classes where both are words.
_STATES = frozenset({
    "walk", "walking", "run", "running", "jog", "jogging", "sit", "sitting", "stand", "standing", "lie", "lying",
    "laying", "stairs", "upstairs", "downstairs", "jump", "jumping", "cycling", "bike", "biking", "fall", "falling",
    "still", "rest", "resting", "idle", "off", "on", "normal", "ok", "good", "bad", "healthy", "fault", "faulty",
    "broken", "anomaly", "imbalance", "unbalanced", "loose", "spin", "rinse", "wash", "washing", "drive", "driving",
    "parked", "turn", "brake", "braking", "wave", "circle", "swipe", "shake", "tap", "punch", "flex", "clap",
    "left", "right", "up", "down", "none", "gehen", "laufen", "rennen", "sitzen", "stehen", "liegen", "springen",
    "fahren", "ruhe", "leerlauf", "marche", "marcher", "courir", "course", "assis", "debout", "repos", "caminar",
    "correr", "sentado", "parado", "reposo", "camminare", "correre", "seduto", "fermo", "background", "unknown",
    "noise",
})  # fmt: skip


@dataclass(frozen=True)
class Named:
    """Classes that names of recordings give.

    Attributes:
        pattern: ``file_pattern`` for a data source.
        labels: class of each name.
        groups: group of each name; the name itself where it has none.
        has_groups: True if names tell groups.
        how: one sentence.
    """

    pattern: str
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    has_groups: bool
    how: str


def labels_of_names(names: Sequence[str]) -> Named | None:
    """Find the class in names such as ``idle_session1``, ``walking_p1-2024-03-11``, ``left-right.00abc``.

    The class is the words that a name begins with, without words that all names share and without words that go with
    several classes; those are groups. A word such as session, subject or user with a number is a group too.

    Args:
        names: path of each recording below the folder, with ``/``, without the suffix.

    Returns:
        classes and groups; None if a name begins with no word.

    >>> found = labels_of_names(["idle_session1", "idle_session2", "spin_session1", "spin_session2"])
    >>> found.labels, found.groups
    (('idle', 'idle', 'spin', 'spin'), ('session1', 'session2', 'session1', 'session2'))
    >>> labels_of_names(["p1_idle", "p2_idle", "p1_spin", "p2_spin"]).labels
    ('idle', 'idle', 'spin', 'spin')
    """
    leafs = [name.rsplit("/", 1)[-1] for name in names]
    if (found := _after_groups(names, leafs)) is not None:
        return found
    heads = [_head(leaf) for leaf in leafs]
    if any(one != other and other.startswith(one) for one in heads for other in heads):  # `rec-P-1` beside `rec-N-1`
        heads = [_head(leaf, letters=False) for leaf in leafs]
    if not all(heads) or len(set(heads)) == 1:
        found = _of_first_tokens(names, leafs) or _of_parts(names, leafs)
        return found or (None if not all(heads) else _of_heads(names, leafs, heads))
    return _of_heads(names, leafs, heads)


def names_tell_classes(names: Sequence[str]) -> bool:
    """True if names of several recordings give at least two classes, one of them to several recordings."""
    named = labels_of_names(names) if len(names) > 1 else None
    return named is not None and 1 < len(set(named.labels)) < len(named.labels)


def labels_of_folders(names: Sequence[str], below: int = 0) -> Named | None:
    """Find classes in the names of folders that are a recording each, ``walk-2024-03-11_10-20-30/Accelerometer``.

    Args:
        names: see :func:`labels_of_names`.
        below: number of folders above the recordings' own.

    Returns:
        classes and groups; None if a folder holds several recordings, or if not all names are a class and a number.

    >>> labels_of_folders(["walk_1/acc", "walk_2/acc", "run_1/acc"]).labels
    ('walk', 'walk', 'run')
    >>> labels_of_folders(["speed_10/acc", "speed_20/acc"]), labels_of_folders(["walk/1", "walk/2", "run/1"])
    (None, None)
    """
    parts = [name.split("/") for name in names]
    if any(len(one) != below + 2 for one in parts):
        return None
    folders = [one[below] for one in parts]
    named = labels_of_names(folders) if len(set(folders)) == len(folders) else None
    if named is None or not 1 < len(set(named.labels)) < len(folders):
        return None
    pattern = f"{named.pattern.removesuffix('[^/]*$')}[^/]*/[^/]*$"
    found = [re.search(pattern, name) for name in names]
    for match, label, folder in zip(found, named.labels, folders, strict=True):
        if match is None or match["label"] != label or not re.search(r"\d", folder.replace(label, "", 1)):
            return None
    how = f"{named.how.replace('a file', 'a folder')}, as each folder holds one recording"
    return replace(named, pattern=pattern, groups=named.groups if named.has_groups else tuple(names), how=how)


def labels_in_folders_of_groups(names: Sequence[str], below: int = 0) -> Named | None:
    """Find classes in the names of files or folders in folders that are persons or sessions, ``subject1/walk``.

    Args:
        names: see :func:`labels_of_names`.
        below: number of folders above those of the groups.

    Returns:
        classes and groups; None if not all folders are groups, or if no class is in two of them. A name that is not
        usual for a group is one only if the names of the files repeat it behind other words, or if those are usual
        classes and the names of the folders are not.

    >>> found = labels_in_folders_of_groups(["p1/walk", "p1/run", "p2/walk", "p2/run"])
    >>> found.labels, found.groups
    (('walk', 'run', 'walk', 'run'), ('p1', 'p1', 'p2', 'p2'))
    >>> labels_in_folders_of_groups(["S01/walk/a", "S01/run/a", "S02/walk/a", "S02/run/a"]).labels
    ('walk', 'run', 'walk', 'run')
    >>> labels_in_folders_of_groups(["anna/walk", "anna/run", "ben/walk", "ben/run"]).groups
    ('anna', 'anna', 'ben', 'ben')
    >>> labels_in_folders_of_groups(["SA01/D01_SA01_R1", "SA01/F01_SA01_R1", "SA02/D01_SA02_R1"]).groups
    ('SA01', 'SA01', 'SA02')
    >>> labels_in_folders_of_groups(["walk/p1", "walk/p2", "run/p1", "run/p2"]) is None
    True
    """
    parts = [name.split("/") for name in names]
    depth = {len(one) - below for one in parts}
    if depth not in ({2}, {3}):
        return None
    groups = tuple(one[below] for one in parts)
    if depth == {3}:
        start, labels, how = (
            r"(?P<label>[^/]+)/[^/]*$",
            tuple(one[below + 1] for one in parts),
            "the folder a file lies in",
        )
    else:
        named = labels_of_names([one[-1] for one in parts])
        if named is None or named.has_groups:
            return None
        start, labels, how = named.pattern.removeprefix("(?:^|/)"), named.labels, named.how
    pattern = rf"(?:^|/)(?P<group>[^/]+)/{start}"
    are_told = (
        all(map(is_group_name, groups))
        or (_are_states(labels) and not any(map(is_state, groups)))
        or (depth == {2} and all(_repeats_folder(one[-1], one[below]) for one in parts))
    )
    is_crossed = 1 < len(set(labels)) < len(set(zip(groups, labels, strict=True)))
    if not are_told or not is_crossed:
        return None
    found = [re.search(pattern, name) for name in names]
    for match, label, group in zip(found, labels, groups, strict=True):
        if match is None or (match["label"], match["group"]) != (label, group):
            return None
    return Named(pattern, labels, groups, True, f"{how}, in folders of groups")


def _repeats_folder(leaf: str, folder: str) -> bool:
    """True if a name has its folder's as a part, but not at its start: ``D01_SA01_R01`` in ``SA01``."""
    return folder in _SEPARATORS.split(leaf)[1:] and bool(re.search(r"\d", folder))


def class_among(columns: Mapping[str, Collection[str]]) -> tuple[str, str | None] | None:
    """Tell the column of classes from that of persons or sessions, where several columns hold words.

    Args:
        columns: different words of each column.

    Returns:
        the column of classes, and that of groups if there is one; None if several columns may be that of classes.

    >>> class_among({"a": ["S01", "S02"], "b": ["gear1", "gear2"]}), class_among({"a": ["ann", "ben"], "b": ["walk"]})
    (('b', 'a'), ('b', 'a'))
    >>> class_among({"a": ["ann", "ben"], "b": ["north", "south"]}) is None
    True
    """
    groups = [name for name, words in columns.items() if all(map(is_group_name, words))]
    others = [name for name in columns if name not in groups]
    if len(others) > 1:
        states = [name for name in others if _are_states(tuple(columns[name]))]
        if len(states) != 1:
            return None
        groups = groups or [name for name in others if name not in states]
        others = states
    if not others:
        return None
    return others[0], groups[0] if len(groups) == 1 else None


def is_group_name(name: str) -> bool:
    """True if a name is that of a person or session with a number: ``p1``, ``subject_02``."""
    return bool(re.fullmatch(rf"{_GROUP_WORD}[_\-]?\d+", name, re.IGNORECASE) or _WHO.fullmatch(name))


def is_state(name: str) -> bool:
    """True if a word of a name is a usual class, such as ``walk`` or ``idle``."""
    return not _STATES.isdisjoint(word.lower() for word in _WORDS.findall(name))


def _are_states(names: Sequence[str]) -> bool:
    different = set(names)
    return sum(map(is_state, different)) > 0.5 * len(different)


def _after_groups(names: Sequence[str], leafs: Sequence[str]) -> Named | None:
    """Classes behind a person or a session, ``subject1_walk``; None if not all names begin with one."""
    starts = [_FIRST_GROUP.match(leaf) for leaf in leafs]
    rest = [leaf[match.end() :] for leaf, match in zip(leafs, starts, strict=True) if match]
    named = labels_of_names(rest) if len(rest) == len(leafs) and all(rest) else None
    if named is None:
        return None
    groups = tuple(match["group"] for match in starts if match)
    classes = "|".join(re.escape(one) for one in sorted(set(named.labels), key=lambda one: (-len(one), one)))
    pattern = rf"{_FIRST_GROUP.pattern.replace('^', '(?:^|/)')}(?P<label>{classes})(?![^\W\d_])[^/]*$"
    found = [re.search(f"(?i){pattern}", name) for name in names]
    if not all(match and match["label"] == label for match, label in zip(found, named.labels, strict=True)):
        return None
    return Named(f"(?i){pattern}", named.labels, groups, True, "the words behind the session or person of a name")


def _of_first_tokens(names: Sequence[str], leafs: Sequence[str]) -> Named | None:
    """Classes with numbers in them, ``gear1_02``; None if the first parts of the names do not make classes."""
    firsts = [re.split(r"[_\-. ]", leaf)[0] for leaf in leafs]
    if not 1 < len(set(firsts)) < len(leafs) or not all(re.search(r"[^\W\d_]", one) for one in firsts):
        return None
    if all(_WHO.fullmatch(one) for one in firsts):  # `subject1_0`: persons are no classes
        return None
    pattern = r"(?:^|/)(?P<label>[^/_\-. ]+)[^/]*$"
    return Named(pattern, tuple(firsts), tuple(names), False, "the first part of a file's name")


def _of_parts(names: Sequence[str], leafs: Sequence[str]) -> Named | None:
    """Classes that are the one part of words in the names, ``Accelerometer-2011-03-24-10-24-39-climb_stairs-f1``.

    A part beside it with a number, which goes with several classes, is a group.
    """
    for mark in "-_ .":
        rows = [leaf.split(mark) for leaf in leafs]
        if len(leafs) < 4 or len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
            continue
        parts = [tuple(row[at] for row in rows) for at in range(len(rows[0]))]
        kinds = [_kind_of_part(part) for part in parts]
        if kinds.count("class") != 1:
            continue
        at = kinds.index("class")
        of = next((n for n, kind in enumerate(kinds) if kind == "group" and _is_crossed(parts[at], parts[n])), None)
        wild, sep = rf"[^/{re.escape(mark)}]*", re.escape(mark)
        names_of = {at: f"(?P<label>{wild})"} | ({} if of is None else {of: f"(?P<group>{wild})"})
        pattern = "(?:^|/)" + sep.join(names_of.get(n, wild) for n in range(len(parts))) + "$"
        groups = tuple(names) if of is None else parts[of]
        how = f"part {at + 1} of a file's name, the only one that is a word and differs"
        return Named(pattern, parts[at], groups, of is not None, how)
    return None


def _kind_of_part(part: Sequence[str]) -> str:
    """What a part of all names is: a class, a group, or neither."""
    counts = Counter(part)
    if not 1 < len(counts) <= _MOST_PARTS or min(counts.values()) < 2:
        return "other"
    if all(re.fullmatch(r"[^\W\d]+", one) for one in counts):
        return "class"
    return "group" if all(re.fullmatch(r"[^\W\d_]+\d+", one) for one in counts) else "other"


def _is_crossed(labels: Sequence[str], groups: Sequence[str]) -> bool:
    """True if a class is in several groups, and a group has several classes."""
    pairs = set(zip(labels, groups, strict=True))
    return len(pairs) > max(len(set(labels)), len(set(groups)))


def _of_heads(names: Sequence[str], leafs: Sequence[str], heads: Sequence[str]) -> Named:
    words = [tuple(_WORDS.findall(head)) for head in heads]
    common = 0
    while all(len(one) > common + 1 and one[common].lower() == words[0][common].lower() for one in words):
        common += 1
    if len({one[common:] for one in words}) < 2:
        common = 0
    kept = [one[common:] for one in words]
    persons: list[str | None] = [None] * len(kept)
    while min(len(one) for one in kept) > 1 and len({len(one) for one in kept}) == 1 and _is_factor(kept):
        persons = [one[-1] for one in kept]
        kept = [one[:-1] for one in kept]
    labels = []
    for head, one in zip(heads, kept, strict=True):
        spans = list(_WORDS.finditer(head))[common : common + len(one)]
        labels.append(head[spans[0].start() : spans[-1].end()])
    groups: list[str | None] = [
        match["group"].lower() if (match := _GROUP.search(leaf[len(_prefix(leaf)) :])) else None for leaf in leafs
    ]
    names_group = all(groups) and (len(set(groups)) < len(groups) or len(set(groups)) > 1)
    classes = sorted(set(labels), key=lambda one: (-len(one), one))
    alternatives = "|".join(re.escape(one) for one in classes)
    start = rf"(?:^|/){_START}" + "".join(rf"{re.escape(word)}[\W_]+" for word in words[0][:common])
    if names_group:
        pattern = rf"{start}(?P<label>{alternatives})(?![^\W\d_])[^/]*?(?P<group>{_GROUP_WORD}[_-]?\d+)(?!\w)[^/]*$"
        pattern = f"(?i){pattern}"
        found = [re.search(pattern, name) for name in names]
        if all(match and match["label"] == label for match, label in zip(found, labels, strict=True)):
            told = tuple(match["group"] for match in found if match)
            return Named(
                pattern, tuple(labels), told, True, "the words at the start of a name, and its session or person"
            )
    if all(persons):
        lasts = tuple(str(one) for one in persons)
        others = "|".join(re.escape(one) for one in sorted(set(lasts), key=lambda one: (-len(one), one)))
        if _are_states(lasts) and not any(map(is_state, labels)):  # `anna_walk_1`
            pattern = rf"{start}(?P<group>{alternatives})[\W_]+(?P<label>{others})(?![^\W\d_])[^/]*$"
            return Named(pattern, lasts, tuple(labels), True, "the last word of a name; those before it are a group")
        pattern = rf"{start}(?P<label>{alternatives})[\W_]+(?P<group>{others})(?![^\W\d_])[^/]*$"
        how = "the first words of a name; the next is a group"
        if not _are_states(labels):
            how += "; only a guess, as the words do not tell which are which (file_pattern says it)"
        return Named(pattern, tuple(labels), lasts, True, how)
    pattern = rf"{start}(?P<label>{alternatives})(?![^\W\d_])[^/]*$"
    return Named(pattern, tuple(labels), tuple(names), False, "the words at the start of a file's name")


def _prefix(leaf: str) -> str:
    match = re.match(_START, leaf)
    return match[0] if match else ""


def _head(leaf: str, *, letters: bool = True) -> str:
    """Words at the start of a name, up to a dot, a digit, a word with digits, or a word (or letter) of groups."""
    body = leaf[len(_prefix(leaf)) :].split(".")[0]
    tokens = re.split(r"([_\- ]+)", body)
    kept = ""
    for n in range(0, len(tokens), 2):
        token = tokens[n]
        match = re.match(r"[^\W\d_]*", token)
        word = match[0] if match else ""
        whole = word == token
        is_group = re.fullmatch(_GROUP_WORD, word, re.IGNORECASE) and (not whole or n + 2 < len(tokens))
        is_group = is_group and (letters or len(word) > 1)
        if kept and (not word or is_group or (not whole and len(word) < 3)):
            break
        kept += (tokens[n - 1] if kept else "") + word
        if not whole:
            break
    return kept


def _is_factor(words: Sequence[tuple[str, ...]]) -> bool:
    """True if the last word goes with several beginnings, and a beginning with several last words."""
    lasts, firsts = defaultdict(set), defaultdict(set)
    for one in words:
        lasts[one[-1]].add(one[:-1])
        firsts[one[:-1]].add(one[-1])
    return (
        len(firsts) > 1 and all(len(one) > 1 for one in lasts.values()) and all(len(one) > 1 for one in firsts.values())
    )
