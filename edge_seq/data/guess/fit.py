"""Fit window length, gaps and groups to the recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge_seq.data.guess.classes import FEWEST_GROUPS
from edge_seq.data.guess.draft import Draft
from edge_seq.data.units import conversion_factor
from edge_seq.support.figure_text import counted

_MOST_MISSING = 0.05
_FEWEST_GESTURES, _LENGTHS_OF_GESTURES, _LONGEST_GESTURE_S = 20, 1.15, 10.0  # recordings that may be one gesture each
# A side has a fifth of the samples, a window of them apart from others; a fifth may be in parts of two recordings.
_WINDOWS_IN_ONE_STRETCH, _WINDOWS_IN_STRETCHES, _SHORTEST_WINDOW = 12, 22, 16


def windows_and_groups(draft: Draft) -> None:
    """Choose the window by the lengths of recordings, and blocks of time where there are too few groups."""
    fields = draft.fields
    lengths = _lengths(draft)
    rate = fields["sample_rate_hz"]
    if lengths and min(lengths) < fields["window_length"] and "row_is_window" not in fields:
        shortest = min(lengths)
        many = [one for one in lengths if one < 2 * fields["window_length"]]
        if len(many) > 0.5 * len(lengths) and shortest >= 8:
            fields["window_length"] = shortest
            fields["window_stride"] = max(1, shortest if max(lengths) == shortest else shortest // 4)
            if max(lengths) > 1.2 * shortest:
                draft.said.append(
                    f"recordings last {shortest / rate:.3g} to {max(lengths) / rate:.3g} s, as gestures do; a window "
                    "is as "
                    "long as the shortest, so it holds only a part of the others. Train with --set "
                    'training.label_every="sample" (and record an idle class), or cut all gestures to one length'
                )
        else:
            fields["on_short"] = "skip"
            draft.said.append('recordings shorter than a window are left out (on_short = "skip")')
    elif gesture := _gesture_length(draft, lengths):
        draft.said.append(
            f"a window of {fields['window_length'] / rate:.3g} s, though recordings last {gesture / rate:.3g} s and "
            "hold one label each: if each is one gesture, take a window over all of it (window_length = "
            f"{gesture}, window_stride = {gesture})"
        )
    if draft.gaps:
        fields["on_gap"], fields["on_short"] = "split", "skip"
        draft.said.append(
            'recordings are cut at gaps (on_gap = "split"), and pieces shorter than a window are left out (on_short '
            '= "skip")'
        )
    _allow_still_axes(draft)
    _allow_missing(draft)
    _beyond_any_sensor(draft)
    has_split = (
        any(name in fields for name in ("split_files", "split_folders", "split_column")) or draft.found.info_labels
    )
    has_split = has_split or "{split}" in str(fields.get("windows_array"))
    if len(draft.classes) > 1 and not has_split and min(map(len, draft.classes.values())) < FEWEST_GROUPS:
        few = min(draft.classes, key=lambda one: len(draft.classes[one]))
        fields["split"] = "time_blocks"
        fits = min((_longest_window(lengths) for lengths in draft.stretches.values()), default=0)
        if "row_is_window" not in fields and _SHORTEST_WINDOW <= fits < fields["window_length"]:
            fields["window_length"], fields["window_stride"] = fits, max(1, fits // 2)
        draft.said.append(
            f"class {few!r} is in {counted(len(draft.classes[few]), 'group')}, too few for a split by group, so the "
            "beginning "
            "of each "
            'class is for training and its end for the test (split = "time_blocks"). This is weaker evidence than '
            "groups "
            "recorded apart: record more sessions, persons or machines, and take it out"
        )
        if not any(name in fields for name in ("time_column", "index_column", "row_is_window", "windows_array")):
            draft.said.append(
                "each file is taken as one recording, as no time, mark or jump of the values says otherwise; if "
                "gestures follow each other in a file, say how many rows each has (rows_per_recording = 119) or what "
                "is between them (recording_break)"
            )
    draft.said.append(f"windows of {fields['window_length']} samples, every {fields['window_stride']}")


def _gesture_length(draft: Draft, lengths: Sequence[int]) -> int:
    """Shortest usual length of recordings that are all about as long, a few windows, as gestures are; 0 for others."""
    one_label_each = sum(map(len, draft.stretches.values())) == len(lengths)
    if "row_is_window" in draft.fields or len(lengths) < _FEWEST_GESTURES or not one_label_each:
        return 0
    low, high = np.quantile(lengths, [0.02, 0.98])
    alike = high <= _LENGTHS_OF_GESTURES * low and low <= _LONGEST_GESTURE_S * draft.fields["sample_rate_hz"]
    return int(low) if alike and low > draft.fields["window_length"] else 0


def _longest_window(lengths: Sequence[int]) -> int:
    """Longest window of which each side of a split by time holds at least one, a window from the other sides."""
    return sum(lengths) // (_WINDOWS_IN_ONE_STRETCH if len(lengths) == 1 else _WINDOWS_IN_STRETCHES)


def _allow_missing(draft: Draft) -> None:
    """Cut recordings at samples with a missing value, if there are some but few."""
    fields = draft.fields
    if draft.found.sensors or draft.sensor is not None:
        return
    columns = [channel.get("column", channel["name"]) for channel in fields["channels"]]
    rows = [
        ~np.isfinite(np.stack([look.numbers[name] for name in columns], axis=1)).all(axis=1)
        for look in draft.looks
        if all(name in look.numbers for name in columns)
    ]
    share = float(np.concatenate(rows).mean()) if rows else 0.0
    if 0 < share <= _MOST_MISSING:
        fields["on_missing"], fields["on_short"] = "split", "skip"
        draft.said.append(
            f'samples with a missing value ({share:.2%}) are left out, and cut a recording (on_missing = "split")'
        )
    elif share > _MOST_MISSING:
        lacking = [name for name in columns if any(not np.isfinite(look.numbers[name]).all() for look in draft.looks)]
        draft.problems.append(
            f"{share:.1%} of the samples lack a value of a channel ({', '.join(lacking[:6])}); leave these channels "
            "out, or "
            "interpolate them before reading"
        )


def _beyond_any_sensor(draft: Draft) -> None:
    """Note values that no known range holds: rows of another kind among the samples, or a wrong unit."""
    for channel in draft.fields["channels"]:
        column, unit = channel.get("column", channel["name"]), channel["unit"]
        found = channel.get("column_unit", unit)
        if found == "counts":
            limit = channel.get("column_full_scale", 0) and 2.0 ** (channel["column_bits"] - 1)
        else:
            limit = channel["full_scale"] / conversion_factor(found, unit, what=column)
        worst = max(
            (look for look in draft.looks if column in look.numbers),
            key=lambda look: look.largest[column],
            default=None,
        )
        if worst is None or not 0 < 1.5 * limit < worst.largest[column]:
            continue
        at = int(np.nanargmax(np.abs(worst.numbers[column])))
        draft.problems.append(
            f"{worst.path.name}: column {column!r} holds {worst.numbers[column][at]:.6g} (row {at + 1}), more than the "
            f"largest range of such sensors ({limit:.6g}); if its first lines are no samples, pass over them with "
            "skip_rows; if it is in another unit, give column_unit"
        )
        return


def _allow_still_axes(draft: Draft) -> None:
    """Accept an axis that does not change in some files, if it does in others."""
    still = []
    for channel in draft.fields["channels"]:
        column = channel.get("column", channel["name"])
        constant = [bool(np.ptp(one) == 0) for look in draft.looks if (one := look.numbers.get(column)) is not None]
        if any(constant) and not all(constant):
            still.append(f"{channel['name']} in {counted(sum(constant), 'file')}")
    if still:
        draft.fields["on_constant_axis"] = "allow"
        draft.said.append(
            f"an axis does not change ({', '.join(still)}), but does in other files: taken as a sensor at rest with "
            "coarse "
            'steps (on_constant_axis = "allow"); a broken sensor looks the same'
        )


def _lengths(draft: Draft) -> list[int]:
    """Numbers of samples of the recordings, as far as the rows that were looked at show them."""
    column = draft.fields.get("recording_column")
    if column is None:
        return [n for look in draft.looks for n in (look.segments or (look.rows,))]
    if draft.sensor is not None:  # a sample is in several rows
        return []
    found: list[int] = []
    for look in draft.looks:
        names = look.texts.get(column) or look.numbers.get(column, np.empty(0)).tolist()
        rows = list(Counter(names).values())
        found += rows if look.rows == len(names) else rows[:-1]  # the last one may go on
    return found
