"""Checks of the samples: dead axes, clipping, full scale, units, swapped axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.audit.facts import Axis, Facts
from edge_seq.data.audit.finding import Finding, Severity, some
from edge_seq.data.checks import WILD
from edge_seq.data.source import DataSource
from edge_seq.data.units import GRAVITY_IN
from edge_seq.ir.contract import Unit
from edge_seq.support.figure_text import counted

CLIPPED_WARNING, CLIPPED_ERROR = 0.002, 0.05  # share of a recording's samples
STUCK_S, STUCK_SHARE = 2.0, 0.05  # longest constant time in s, and as a share of the recording
NEAR = 0.15  # relative tolerance for the length of gravity
NO_GRAVITY = 0.3  # g; a shorter mean vector holds no gravity
NOTHING = 0.06  # g; a shorter vector at rest holds none either, as no full scale is wrong by more than 16 times
STEADY = 0.4  # mean vectors whose lengths spread less than this are gravity
# Gravity has a common direction if 70 % of the recordings lie within 30 degrees of the median. A recording beyond 50
# degrees has swapped axes if a swap brings it within 20 degrees.
_CONSENSUS_SHARE, _INLIER_DEG, _OUTLIER_DEG, _MENDED_DEG, _MIN_RECORDINGS = 0.7, 30.0, 50.0, 20.0, 5
_FEW_VALUES = 40
_LENGTH = "{length}"  # stands for the lengths that were found

Triple = tuple[int, int, int]


def check_axes(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Check the samples of all recordings."""
    found = [*_dead(facts, source), *_stuck(facts, source), *_clipping(facts, source), *_beyond(facts, source)]
    for triple in facts[0].gravity if facts else ():
        found += _units(facts, source, triple)
        found += _swapped(facts, source, triple)
    return found


def _dead(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Find axes that never change. Where they change in other recordings, a sensor at rest of coarse steps is "
    "likely."""
    found = []
    for index, channel in enumerate(source.channels):
        names = tuple(one.name for one in facts if one.axes[index].is_constant)
        if not names:
            continue
        moves_elsewhere = len(names) < len(facts)
        advice = (
            "It changes in the others, so a sensor at rest whose steps are coarse is likely: accept it with "
            'on_constant_axis = "allow" (train refuses it otherwise)'
            if moves_elsewhere
            else "The axis is dead, or counts_per_unit is too small: leave the channel out, or correct it"
        )
        severity: Severity = "error"
        if source.on_constant_axis == "allow":
            severity = "warning" if moves_elsewhere else "note"
        found.append(
            Finding(
                "dead axis",
                severity,
                f"channel {channel.name} never changes in {len(names)} of {counted(len(facts), 'recording')} "
                f"({some(names)}). "
                f"{advice}",
                names,
            )
        )
    return found


def _stuck(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    found = []
    for index, channel in enumerate(source.channels):
        stuck = [
            one
            for one in facts
            if not one.axes[index].is_constant
            and one.axes[index].values > _FEW_VALUES
            and one.axes[index].stuck_s > max(STUCK_S, STUCK_SHARE * one.samples / source.sample_rate_hz)
        ]
        if stuck:
            names = tuple(one.name for one in stuck)
            longest = max(one.axes[index].stuck_s for one in stuck)
            found.append(
                Finding(
                    "dead axis",
                    "error",
                    f"channel {channel.name} is constant for up to {longest:.3g} s while other channels change, in "
                    f"{counted(len(stuck), 'recording')} ({some(names)}). Cut that part out, or leave the "
                    "recordings out",
                    names,
                )
            )
    return found


def _clipping(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    """Find flat tops at the extreme values of a channel over all recordings: a saturated sensor, whatever its range.

    The axes of one sensor saturate together, so channels of one unit and full scale are one finding.
    """
    by_sensor: dict[tuple[str, float], list[int]] = {}
    for index, channel in enumerate(source.channels):
        by_sensor.setdefault((channel.unit, channel.full_scale), []).append(index)
    found = []
    for channels in by_sensor.values():
        of_channel = {index: _clipped(facts, index) for index in channels}
        clipped = {index: found for index, found in of_channel.items() if (found[1] > CLIPPED_WARNING).any()}
        if not clipped:
            continue
        shares = np.max([shares for _, shares in clipped.values()], axis=0)
        worst = float(shares.max())
        names = tuple(one.name for one, share in zip(facts, shares, strict=True) if share > CLIPPED_WARNING)
        ends = "; ".join(
            f"{source.channels[index].name} at {low:.4g} or {high:.4g} {source.channels[index].unit}"
            for index, ((low, high), _) in clipped.items()
        )
        text = (
            f"{counted(len(clipped), 'channel stays', 'channels stay')} at the largest values for up to {worst:.1%} of "
            f"a recording ({ends}), in {len(names)} of them ({some(names)}): the sensor saturated. Record with a "
            "larger full scale, or leave the recordings out"
        )
        found.append(Finding("clipping", "error" if worst > CLIPPED_ERROR else "warning", text, names))
    return found


def _clipped(facts: Sequence[Facts], index: int) -> tuple[tuple[float, float], NDArray[np.float64]]:
    """Lowest and highest value of a channel, and the share of each recording's samples that stay there."""
    axes = [one.axes[index] for one in facts]
    low, high = min(axis.lowest for axis in axes), max(axis.highest for axis in axes)
    shares = [
        (axis.at_lowest if axis.lowest == low and low < 0 else 0.0)
        + (axis.at_highest if axis.highest == high and high > 0 else 0.0)
        if axis.values > _FEW_VALUES
        else 0.0
        for axis in axes
    ]
    return (low, high), np.array(shares)


def _beyond(facts: Sequence[Facts], source: DataSource) -> list[Finding]:
    found = []
    for index, channel in enumerate(source.channels):
        shares = [one.axes[index].beyond for one in facts]
        bad = tuple(one.name for one, share in zip(facts, shares, strict=True) if share > source.max_saturated_share)
        if bad:
            largest = max(max(abs(one.axes[index].lowest), abs(one.axes[index].highest)) for one in facts)
            found.append(
                Finding(
                    "full scale",
                    "error",
                    f"channel {channel.name}: up to {max(shares):.1%} of the samples lie beyond full_scale "
                    f"{channel.full_scale:g} {channel.unit} (largest {largest:.4g}) in "
                    f"{counted(len(bad), 'recording')} "
                    f"({some(bad)}). Check the unit (column_unit), or correct full_scale",
                    bad,
                )
            )
        limit = WILD * channel.full_scale
        wild = [(one.name, _extreme(one.axes[index])) for one in facts if abs(_extreme(one.axes[index])) > limit]
        if wild and not bad:
            names = tuple(name for name, _ in wild)
            worst = max((value for _, value in wild), key=abs)
            found.append(
                Finding(
                    "full scale",
                    "warning",
                    f"channel {channel.name}: {worst:.4g} {channel.unit} is more than {WILD:g} times full_scale "
                    f"{channel.full_scale:g} {channel.unit}, which no sensor of that range gives, in "
                    f"{counted(len(names), 'recording')} ({some(names)}). It is read as full scale; look for a torn "
                    "line or a lost byte there, and correct the file or leave it out",
                    names,
                )
            )
    return found


def _extreme(axis: Axis) -> float:
    """Value of the largest magnitude."""
    return max(axis.lowest, axis.highest, key=abs)


def _units(facts: Sequence[Facts], source: DataSource, triple: Triple) -> list[Finding]:
    unit = source.channels[triple[0]].unit
    named = "/".join(source.channels[index].name for index in triple)
    by_reason: dict[tuple[Severity, str], list[tuple[str, float]]] = {}
    still = 0
    for one in facts:
        gravity = one.gravity[triple]
        still += gravity.still_norm is not None
        length = gravity.level if gravity.still_norm is None else gravity.still_norm
        is_steady = gravity.still_norm is not None or gravity.level_spread < STEADY
        reason = _reason(length, unit, is_steady=is_steady)
        if reason is not None:
            by_reason.setdefault(reason, []).append((one.name, length))
    found = []
    for (severity, text), bad in by_reason.items():
        names = tuple(name for name, _ in bad)
        lengths = [length for _, length in bad]
        shown = f"{min(lengths):.2g}" + (f" to {max(lengths):.2g}" if max(lengths) > 1.05 * min(lengths) else "")
        text = text.replace(_LENGTH, shown)
        message = f"{named}: {text} in {len(names)} of {counted(len(facts), 'recording')} ({some(names)})"
        found.append(Finding("unit", severity, message, names))
    if not found and not still:
        text = f"{named}: no recording has a still second, so gravity was checked in mean vectors only; it is near 1 g"
        found.append(Finding("unit", "note", text))
    return found


def _reason(length_g: float, unit: Unit, *, is_steady: bool) -> tuple[Severity, str] | None:
    """Say why a vector of this length is not gravity in this unit; None if it is, or if that is not known."""
    if abs(length_g - 1.0) <= NEAR:
        return None
    for other, gravity in GRAVITY_IN.items() if is_steady else ():
        if other != unit and abs(length_g * GRAVITY_IN[unit] / gravity - 1.0) <= NEAR:
            return (
                "error",
                f'the vector at rest has the length of gravity in {other}, not in {unit} (set column_unit = "{other}")',
            )
    if length_g < (NOTHING if is_steady else NO_GRAVITY):
        return (
            "warning",
            "no gravity in the data: it was removed, or the unit is wrong, which can not be told without it: compare "
            "column_unit with the app that recorded (the sensor on a device measures gravity, so a model of these data "
            'fails there; set preprocessing to "remove_gravity" or "difference", or record with gravity)',
        )
    if is_steady:
        power = abs(np.log2(length_g) - np.rint(np.log2(length_g))) < 0.1
        cause = "the full scale is wrong by a power of two" if power else "a unit or a calibration is wrong"
        return (
            "error",
            f"the vector at rest is about {_LENGTH} g long, expected 1 g: {cause} (correct column_unit or "
            "column_full_scale)",
        )
    return None


def _swapped(facts: Sequence[Facts], source: DataSource, triple: Triple) -> list[Finding]:
    """Find recordings whose gravity has another direction than most, and the common one after a swap of axes or signs.

    If recordings are single windows, groups are compared instead, because one window of a person who lies down is not
    a swapped axis.
    """
    votes: dict[str, list[str | None]] = {}
    by_group = float(np.median([one.samples for one in facts])) <= 2 * source.window_length
    for label in dict.fromkeys(label for one in facts for label in one.gravity[triple].directions):
        directions_of: dict[str, list[tuple[float, float, float]]] = {}
        for one in facts:
            if label in one.gravity[triple].directions:
                name = one.group if by_group else one.name
                directions_of.setdefault(name, []).append(one.gravity[triple].directions[label])
        having = list(directions_of)
        vectors = np.array([np.mean(found, axis=0) for found in directions_of.values()])
        lengths = np.linalg.norm(vectors, axis=1)
        if len(having) < _MIN_RECORDINGS or np.median(lengths) < NO_GRAVITY:
            continue
        directions = vectors / np.maximum(lengths, 1e-12)[:, np.newaxis]
        middle = np.median(directions, axis=0)
        middle /= max(float(np.linalg.norm(middle)), 1e-12)
        angles = _degrees(directions @ middle)
        if (angles < _INLIER_DEG).mean() < _CONSENSUS_SHARE:
            continue
        for name, direction, angle in zip(having, directions, angles, strict=True):
            votes.setdefault(name, []).append(_mending(direction, middle) if angle > _OUTLIER_DEG else None)
    names = [source.channels[index].name for index in triple]
    by_swap: dict[str, list[str]] = {}
    for name, swaps in votes.items():
        if swaps and all(swap is not None for swap in swaps):
            by_swap.setdefault(str(swaps[0]), []).append(name)
    return [
        Finding(
            "swapped axes",
            "error",
            f"gravity points along another axis than in the other recordings; it fits if {'/'.join(names)} are read "
            f"as {_named(swap, names)}: {some(recordings)}. Correct the columns, or leave the recordings out",
            tuple(recordings),
        )
        for swap, recordings in by_swap.items()
    ]


def _mending(direction: NDArray[np.float64], middle: NDArray[np.float64]) -> str | None:
    """Find the swap of axes and signs (``+1-0+2``) that fits a direction best to the middle; None if none fits."""
    best: tuple[int, float, str] | None = None
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            angle = float(_degrees(np.array([(direction[list(order)] * signs) @ middle]))[0])
            moved = sum(a != b for a, b in enumerate(order)) + sum(sign < 0 for sign in signs)
            if angle < _MENDED_DEG and (best is None or (moved, angle) < best[:2]):
                best = (moved, angle, "".join(f"{'+' if s > 0 else '-'}{o}" for o, s in zip(order, signs, strict=True)))
    return best[2] if best else None


def _named(swap: str, names: Sequence[str]) -> str:
    parts = [swap[i : i + 2] for i in range(0, len(swap), 2)]
    return "/".join(("-" if part[0] == "-" else "") + names[int(part[1])] for part in parts)


def _degrees(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
