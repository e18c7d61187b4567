"""Plots of a data set: classes by group, clock, amplitudes, gravity, an example of each class. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge_seq.data.audit.audit import BINS, Audit
from edge_seq.support.drawing import plain_figures, save
from edge_seq.support.names import natural_key

PlotFormat = Literal["png", "svg"]
_MAX_GROUPS = 60


def draw_plots(result: Audit, folder: Path, *, kind: PlotFormat = "png") -> tuple[Path, ...]:
    """Draw the plots of an audit.

    Args:
        result: the audit.
        folder: folder to write to.
        kind: file format, ``png`` or ``svg``.

    Returns:
        paths of the files written: ``labels``, ``clock``, ``amplitudes``, ``gravity``, ``examples``. Plots without data
        are left out.
    """
    written = []
    drawings: dict[str, Callable[[Audit, Any], bool]] = {
        "labels": _labels,
        "clock": _clock,
        "amplitudes": _amplitudes,
        "gravity": _gravity,
        "examples": _examples,
    }
    with plain_figures() as new_figure:
        for name, draw in drawings.items():
            figure = new_figure(figsize=(9, 5), layout="constrained")
            if draw(result, figure):
                path = folder / f"{name}.{kind}"
                save(figure, path, dpi=110)
                written.append(path)
    return tuple(written)


def _labels(result: Audit, figure: Any) -> bool:
    """Draw the number of windows of each class in each group, stacked."""
    labels = sorted({label for one in result.facts for label in one.windows})
    groups = sorted({one.group for one in result.facts}, key=natural_key)[:_MAX_GROUPS]
    axes = figure.add_subplot()
    bottom = np.zeros(len(groups))
    for label in labels:
        height = np.array([sum(f.windows.get(label, 0) for f in result.facts if f.group == group) for group in groups])
        axes.bar(range(len(groups)), height, bottom=bottom, label=label)
        bottom += height
    axes.set_xticks(range(len(groups)), groups, rotation=90, fontsize=7)
    axes.set(ylabel="windows", title=f"{result.source.name}: windows of each class by group")
    if labels:
        figure.legend(loc="outside right upper", fontsize=8)
    return bool(labels)


def _clock(result: Audit, figure: Any) -> bool:
    """Draw rate and jitter of each recording, and a histogram of their lengths."""
    timed = [one for one in result.facts if one.rate_hz is not None]
    rate, length = figure.subplots(1, 2)
    if timed:
        rate.scatter([one.rate_hz for one in timed], [100 * (one.jitter or 0.0) for one in timed], s=12)
        rate.axvline(result.source.sample_rate_hz, color="grey", linewidth=1, linestyle="--")
    rate_hz = result.source.sample_rate_hz
    rate.set_xlim(
        min(0.9 * rate_hz, *(0.95 * (one.rate_hz or rate_hz) for one in timed), rate_hz),
        max(1.1 * rate_hz, *(1.05 * (one.rate_hz or rate_hz) for one in timed), rate_hz),
    )
    rate.set_ylim(0, max(10.0, *(105 * (one.jitter or 0.0) for one in timed), 0.0))
    rate.set(xlabel="sample rate by the typical period, Hz", ylabel="jitter (5 % to 95 %), % of a period")
    rate.set_title("rate and jitter; dashed: the contract")
    length.hist([one.samples / (one.rate_hz or result.source.sample_rate_hz) for one in result.facts], bins=30)
    length.set(xlabel="length, s", ylabel="recordings", title="length of the recordings")
    return True


def _amplitudes(result: Audit, figure: Any) -> bool:
    """Draw a histogram of the values of each channel, up to full scale."""
    axes = figure.add_subplot()
    centres = (np.arange(BINS) + 0.5) / BINS * 2 - 1
    for index, channel in enumerate(result.source.channels):
        counts = result.histograms[index]
        label = f"{channel.name} (+-{channel.full_scale:g} {channel.unit})"
        axes.step(centres, np.maximum(counts, 0.5) / max(1, counts.sum()), where="mid", label=label)
    axes.set(yscale="log", xlabel="value, share of full scale", ylabel="share of samples")
    axes.set_title("amplitudes: a peak at an end is clipping, a single peak a dead axis")
    axes.legend(fontsize=8, loc="upper left")
    return True


def _gravity(result: Audit, figure: Any) -> bool:
    """Draw the length of the acceleration vector of each recording."""
    axes = figure.add_subplot()
    drawn = False
    for triple in result.facts[0].gravity:
        name = "/".join(result.source.channels[index].name for index in triple)
        values = [one.gravity[triple] for one in result.facts]
        axes.plot([one.level for one in values], "o", markersize=3, label=f"{name}: mean vector of a second")
        still = [(i, one.still_norm) for i, one in enumerate(values) if one.still_norm is not None]
        if still:
            axes.plot(*zip(*still, strict=True), "x", markersize=5, label=f"{name}: while still")
        drawn = True
    axes.axhline(1.0, color="grey", linewidth=1, linestyle="--")
    axes.set_ylim(0, max(1.5, 1.05 * max((g.level for one in result.facts for g in one.gravity.values()), default=0.0)))
    axes.set(xlabel="recording", ylabel="g", title="length of the acceleration vector; dashed: gravity")
    if drawn:
        axes.legend(fontsize=8)
    return drawn


def _examples(result: Audit, figure: Any) -> bool:
    """Draw a stretch of each class, all channels."""
    first = {one.label: one.values for one in reversed(result.stretches)}
    if not first:
        return False
    figure.set_size_inches(9, 2 + 1.6 * len(first))
    rows = figure.subplots(len(first), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, values) in zip(rows, sorted(first.items()), strict=True):
        seconds = np.arange(len(values)) / result.source.sample_rate_hz
        for index, channel in enumerate(result.source.channels):
            axes.plot(seconds, values[:, index] / channel.full_scale, linewidth=0.8, label=channel.name)
        axes.set_title(label, fontsize=9, loc="left")
        axes.set_ylabel("of full scale", fontsize=7)
    rows[0].legend(fontsize=7, ncols=6)
    rows[-1].set_xlabel("s")
    return True
