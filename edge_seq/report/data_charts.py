"""Charts of the page of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edge_seq.data.audit.look import Example, RecordingClock, WindowMap
from edge_seq.report.charts import NUM_COLOURS, Draw
from edge_seq.report.markup import Html, tag

MOST_CLOCKS = 2000
# matplotlib's marker and the same shape as a path in a box from 0 to 10.
_SHAPES = (
    ("o", "M5 1a4 4 0 1 0 .01 0z"),
    ("s", "M1 1h8v8h-8z"),
    ("^", "M5 1l4.5 8h-9z"),
    ("D", "M5 .5l4.5 4.5l-4.5 4.5l-4.5 -4.5z"),
    ("v", "M5 9l4.5 -8h-9z"),
    ("X", "M2 1l3 2.5l3 -2.5l1.5 1.5l-2.5 3l2.5 3l-1.5 1.5l-3 -2.5l-3 2.5l-1.5 -1.5l2.5 -3l-2.5 -3z"),
)
_GREY = 7  # of the colours C0 to C9; it stands for all that have none of their own


@dataclass(frozen=True)
class Mark:
    """Colour (C0 to C9) and shape of the dots of a class or a group. ``others`` is the mark of all that have none."""

    colour: int
    shape: int = 0
    others: bool = False


def limits(examples: Sequence[Example], by_unit: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Give the least and the largest value of all examples, by unit, with a margin."""
    found = {}
    for unit, names in by_unit.items():
        values = np.array([value for one in examples for name in names for value in one.values[name]])
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
        found[unit] = (low - margin, high + margin)
    return found


def example(
    one: Example, by_unit: Mapping[str, Sequence[str]], within: Mapping[str, tuple[float, float]]
) -> list[Draw]:
    """Draw the signals of an example, the channels of each unit together, with the bounds of its windows."""
    order = {name: index for index, name in enumerate(one.values)}
    last = list(by_unit)[-1]

    def draw(axes: Any, unit: str) -> None:
        for name in by_unit[unit]:
            values = one.values[name]
            at = (np.arange(len(values)) + 0.5) * one.seconds / max(1, len(values))
            axes.plot(at, values, linewidth=0.9, color=f"C{order[name] % NUM_COLOURS}")
        for start in one.starts_s:
            axes.axvline(start, color="grey", linestyle=":", linewidth=0.8)
        if one.starts_s:
            axes.axvspan(one.starts_s[0], one.starts_s[0] + one.window_s, color="grey", alpha=0.15, linewidth=0)
        axes.set(xlim=(0, one.seconds), ylim=within[unit], ylabel=unit, xlabel="s" if unit == last else None)

    return [partial(draw, unit=unit) for unit in by_unit]


def channel_legend(names: Sequence[str]) -> Html:
    """Make the legend of the channels, in the colours of :func:`example`."""
    return tag(
        "ul",
        *(tag("li", tag("span", class_=f"swatch k{i % NUM_COLOURS}"), name) for i, name in enumerate(names)),
        class_="legend",
    )


def amplitudes(histograms: Mapping[str, Sequence[int]], names: Sequence[str], full_scale: float, unit: str) -> Draw:
    """Draw the share of the samples in each bin from -full_scale to full_scale, on a logarithmic scale."""

    def draw(axes: Any) -> None:
        smallest = 1.0
        for name in names:
            counts = np.array(histograms[name], dtype=np.float64)
            shares = counts / max(1.0, counts.sum())
            smallest = min(smallest, float(shares[shares > 0].min(initial=1.0)))
            edges = np.linspace(-full_scale, full_scale, len(counts) + 1)
            axes.stairs(np.where(shares > 0, shares, np.nan), edges, label=name, linewidth=1.1)
        for end in (-full_scale, full_scale):
            axes.axvline(end, color="grey", linewidth=1, linestyle="--")
        axes.set(yscale="log", xlabel=unit, ylabel="share of the samples", ylim=(0.7 * smallest, 1.5))

    return draw


def clock(clocks: Sequence[RecordingClock], rate_hz: float) -> Draw:
    """Draw jitter over rate, a dot for each recording. A dashed line is the rate of the data source."""

    def draw(axes: Any) -> None:
        shown = clocks[:: -(-len(clocks) // MOST_CLOCKS)]
        rates = [one.rate_hz or 0.0 for one in shown]
        axes.scatter(rates, [100 * (one.jitter or 0.0) for one in shown], s=14, alpha=0.6, linewidths=0)
        axes.axvline(rate_hz, color="grey", linewidth=1, linestyle="--")
        low, high = min(*rates, rate_hz), max(*rates, rate_hz)
        margin = max(0.1 * rate_hz, 0.1 * (high - low))
        axes.set(xlim=(low - margin, high + margin), xlabel="sample rate, Hz (dashed: data source)")
        top = max(5.0, 1.1 * max(100 * (one.jitter or 0.0) for one in shown))
        axes.set(ylim=(-0.04 * top, top), ylabel="jitter, % of a period")

    return draw


def lengths(clocks: Sequence[RecordingClock]) -> Draw:
    """Draw how many recordings have which length."""

    def draw(axes: Any) -> None:
        seconds = [one.seconds for one in clocks]
        axes.hist(seconds, bins=np.linspace(0, 1.02 * max(seconds), 31).tolist())
        axes.set(xlabel="length, s", ylabel="recordings", xlim=(0, None))
        axes.yaxis.get_major_locator().set_params(integer=True)

    return draw


def marks_of_classes(names: Sequence[str]) -> list[Mark]:
    """Give each class a colour and a shape of its own, as far as they suffice (60)."""
    return [Mark(i % NUM_COLOURS, i // NUM_COLOURS % len(_SHAPES)) for i in range(len(names))]


def marks_of_groups(names: Sequence[str], order: Sequence[str]) -> list[Mark]:
    """Give the first nine groups of ``order`` a colour each, and grey to the others."""
    colours = [colour for colour in range(NUM_COLOURS) if colour != _GREY]
    own = {name: colours[place] for place, name in enumerate(order[: len(colours)])}
    return [Mark(own[name]) if name in own else Mark(_GREY, others=True) for name in names]


def window_map(found: WindowMap, kinds: Sequence[int], marks: Sequence[Mark]) -> Draw:
    """Draw a dot for each window, with the mark of its class or group."""

    def draw(axes: Any) -> None:
        x, y, kind = np.array(found.x), np.array(found.y), np.array(kinds)
        for index in sorted(range(len(marks)), key=lambda index: not marks[index].others):  # grey dots lie below
            here, mark = kind == index, marks[index]
            alpha = 0.35 if mark.others else 0.75
            dots = {"markersize": 3.6, "markeredgewidth": 0, "linestyle": "none", "alpha": alpha}
            axes.plot(x[here], y[here], marker=_SHAPES[mark.shape][0], color=f"C{mark.colour}", **dots)
        axes.set(xlabel="component 1", ylabel="component 2", xticklabels=[], yticklabels=[])

    return draw


def mark_legend(names: Sequence[str], marks: Sequence[Mark], order: Sequence[str] = ()) -> Html:
    """Make the legend of a map, in the order given. All that have no mark of their own are one entry."""
    place = {name: index for index, name in enumerate(order or names)}
    own = sorted((one for one in zip(names, marks, strict=True) if not one[1].others), key=lambda one: place[one[0]])
    entries = [tag("li", _drawn(mark), name) for name, mark in own]
    others = sum(mark.others for mark in marks)
    if others:
        entries.append(tag("li", _drawn(Mark(_GREY)), f"{others:,} other groups"))
    return tag("ul", *entries, class_="legend")


def _drawn(mark: Mark) -> Html:
    shape = tag("path", d=_SHAPES[mark.shape][1])
    return tag("svg", shape, viewBox="0 0 10 10", class_=f"mark f{mark.colour}", aria_hidden="true")
