"""Charts as inline SVG: pure functions from numbers to markup. Colours are the page's variables, so both themes fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_seq.workflow.report.markup import Html, join, tag

COLOURS = 8
WIDTH, HEIGHT = 380.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 10.0, 40.0
DASHES = (None, "5 4", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        name: in the legend.
        x, y: as many of one as of the other; a y of None leaves a gap.
        low, high: bounds of y, drawn as whiskers; empty for none.
        colour: 0 to 7.
        dash: index into the patterns; 0 is a whole line.
        markers: whether each point is marked.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    colour: int = 0
    dash: int = 0
    markers: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        label: what it is, with its unit.
        log: whether equal ratios are equally long.
        limits: least and largest; of the data where None.
        ticks: positions and texts; chosen where empty.
        percent: whether texts of chosen ticks are percent.
    """

    label: str
    log: bool = False
    limits: tuple[float, float] | None = None
    ticks: Sequence[tuple[float, str]] = ()
    percent: bool = False


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about ``count`` of them.

    >>> nice_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((f * power for f in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / raw)))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between, at most seven."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / 6))
    return [10.0**power for power in range(first, last + 1, step)]


def number(value: float) -> str:
    """Short text of a tick."""
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if 0 < abs(value) < 1e-3 else f"{value:g}"


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        a, b, v = (
            (math.log10(one) for one in (self.low, self.high, max(value, self.low)))
            if self.log
            else (
                self.low,
                self.high,
                value,
            )
        )
        share = (v - a) / (b - a) if b > a else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
    usable = [value for value in values if math.isfinite(value) and (value > 0 or not axis.log)] or [1.0]
    low, high = axis.limits or (min(usable), max(usable))
    if axis.log and axis.limits is None:
        low = max(low, high * 1e-12)
    return _Scale(low, high, start, end, axis.log)


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis, *, description: str = "") -> Html:
    """Lines over an axis, with whiskers where a series has bounds; a figure with its caption and legend."""
    xs = _scale(x, [v for one in series for v in one.x], LEFT, WIDTH - RIGHT)
    every = [v for one in series for part in (one.y, one.low, one.high) for v in part if v is not None]
    ys = _scale(y, every, HEIGHT - BOTTOM, TOP)
    drawn = [*_frame(x, y, xs, ys), *(_line(one, xs, ys) for one in series)]
    return figure(title, drawn, legend(series) if len(series) > 1 else None, description=description)


def _frame(x: Axis, y: Axis, xs: _Scale, ys: _Scale) -> list[Html]:
    """Grid, ticks and the axes' labels."""
    parts = []
    for value, text in y.ticks or _ticks(y, ys):
        at = f"{ys(value):.1f}"
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        parts.append(tag("text", text, x=LEFT - 5, y=f"{ys(value) + 4:.1f}", class_="tick end"))
    for value, text in x.ticks or _ticks(x, xs):
        at = f"{xs(value):.1f}"
        parts.append(tag("line", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        parts.append(tag("text", text, x=at, y=HEIGHT - BOTTOM + 15, class_="tick middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(tag("text", x.label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="label middle"))
    turned = f"rotate(-90 11 {middle:g})"
    parts.append(tag("text", y.label, x=11, y=f"{middle:g}", transform=turned, class_="label middle"))
    return parts


def _ticks(axis: Axis, scale: _Scale) -> list[tuple[float, str]]:
    values = _log_ticks(scale.low, scale.high) if axis.log else nice_ticks(scale.low, scale.high)
    return [(value, f"{100 * value:g} %" if axis.percent else number(value)) for value in values]


def _line(one: Series, xs: _Scale, ys: _Scale) -> Html:
    colour, parts, run = f"s{one.colour % COLOURS}", [], []
    for at, value in [*zip(one.x, one.y, strict=True), (0.0, None)]:
        if value is not None and math.isfinite(value):
            run.append(f"{xs(at):.1f},{ys(value):.1f}")
            continue
        if run:
            dash = DASHES[one.dash % len(DASHES)]
            parts.append(tag("polyline", points=" ".join(run), class_=f"line {colour}", stroke_dasharray=dash))
        run = []
    for at, low, high in zip(one.x, one.low, one.high, strict=False):
        if low is not None and high is not None:
            place = f"{xs(at):.1f}"
            parts.append(
                tag("line", x1=place, x2=place, y1=f"{ys(low):.1f}", y2=f"{ys(high):.1f}", class_=f"whisker {colour}")
            )
    if one.markers:
        points = ((at, value) for at, value in zip(one.x, one.y, strict=True) if value is not None)
        parts += [
            tag("circle", cx=f"{xs(at):.1f}", cy=f"{ys(value):.1f}", r=3, class_=f"dot f{one.colour % COLOURS}")
            for at, value in points
        ]
    return join(parts)


def legend(series: Sequence[Series]) -> Html:
    """Names of lines beside a piece of each."""

    def sample(one: Series) -> Html:
        dash = DASHES[one.dash % len(DASHES)]
        stroke = tag("line", x1=0, x2=26, y1=5, y2=5, class_=f"line s{one.colour % COLOURS}", stroke_dasharray=dash)
        return tag("svg", stroke, viewBox="0 0 26 10", width=26, height=10, aria_hidden="true")

    return tag("ul", *(tag("li", sample(one), one.name) for one in series), class_="legend")


def figure(title: str, parts: Sequence[Html], key: Html | None, *, description: str = "", wide: bool = False) -> Html:
    """A drawing with its caption and legend; ``wide`` ones bring their own drawing."""
    drawing = (
        join(parts)
        if wide
        else tag("svg", *parts, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img", aria_label=description or title)
    )
    return tag("figure", tag("figcaption", title), key, drawing, class_="wide" if wide else None)


def reliability_chart(title: str, curves: Sequence[Series], *, description: str) -> Html:
    """Accuracy over confidence by bin; on the diagonal a probability means what it says."""
    diagonal = Series("a probability that means what it says", [0, 1], [0, 1], colour=7, dash=2)
    share = Axis("confidence (probability of the label given)", limits=(0, 1), percent=True)
    right = Axis("share right", limits=(0, 1), percent=True)
    return line_chart(title, [diagonal, *curves], share, right, description=description)


@dataclass(frozen=True)
class Lane:
    """A row of a timeline: what holds from when to when.

    Attributes:
        name: of the row.
        segments: (start s, end s, class); a class below 0 is none, K is unknown.
    """

    name: str
    segments: Sequence[tuple[float, float, int]]


STRIP_WIDTH, LANE_HEIGHT, SIGNAL_HEIGHT, STRIP_LEFT = 1000.0, 24.0, 64.0, 96.0


def timeline(
    title: str,
    signals: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    lanes: Sequence[Lane],
    *,
    seconds: float,
    labels: Sequence[str],
    description: str,
) -> Html:
    """Signals, and below them what was true and what was decided, over the same time.

    Args:
        title: caption.
        signals: name and (least, largest) of equal stretches of time, each drawn as a band.
        lanes: rows of classes.
        seconds: how long.
        labels: K names.
        description: for those who do not see it.
    """

    def at(second: float) -> float:
        return STRIP_LEFT + second / seconds * (STRIP_WIDTH - STRIP_LEFT - 20)

    parts, y = [], 6.0
    for index, (name, bins) in enumerate(signals):
        low, high = min(one[0] for one in bins), max(one[1] for one in bins)
        span = (high - low) or 1.0
        place = [at((i + 0.5) * seconds / len(bins)) for i in range(len(bins))]
        tops = [
            f"{p:.1f},{y + 4 + (high - b[1]) / span * (SIGNAL_HEIGHT - 10):.1f}"
            for p, b in zip(place, bins, strict=True)
        ]
        lows = [
            f"{p:.1f},{y + 4 + (high - b[0]) / span * (SIGNAL_HEIGHT - 10):.1f}"
            for p, b in zip(place, bins, strict=True)
        ]
        parts.append(tag("polygon", points=" ".join([*tops, *reversed(lows)]), class_=f"band s{index} f{index}"))
        parts.append(tag("text", name, x=STRIP_LEFT - 8, y=y + SIGNAL_HEIGHT / 2, class_="tick end"))
        parts.append(
            tag("text", f"{low:.3g} to {high:.3g}", x=STRIP_LEFT - 8, y=y + SIGNAL_HEIGHT / 2 + 15, class_="small end")
        )
        y += SIGNAL_HEIGHT
    y += 4
    for lane in lanes:
        parts.append(tag("text", lane.name, x=STRIP_LEFT - 8, y=y + 16, class_="tick end"))
        for start, end, label in lane.segments:
            if label < 0:
                continue
            unknown = label >= len(labels)
            hint = f"{'unknown' if unknown else labels[label]}, {start:.1f} to {end:.1f} s"
            kind = "unknown" if unknown else f"f{label % COLOURS}"
            width = f"{max(0.5, at(end) - at(start)):.2f}"
            parts.append(
                tag(
                    "rect",
                    tag("title", hint),
                    x=f"{at(start):.2f}",
                    y=y,
                    width=width,
                    height=LANE_HEIGHT - 5,
                    class_=kind,
                )
            )
        y += LANE_HEIGHT
    for value in nice_ticks(0, seconds, 8):
        parts.append(tag("line", x1=f"{at(value):.1f}", x2=f"{at(value):.1f}", y1=6, y2=y, class_="grid"))
        parts.append(tag("text", f"{value:g} s", x=f"{at(value):.1f}", y=y + 14, class_="tick middle"))
    drawing = tag("svg", *parts, viewBox=f"0 0 {STRIP_WIDTH:g} {y + 20:g}", role="img", aria_label=description)
    box = tag("div", drawing, class_="scroll strip", tabindex=0, role="region", aria_label=title)
    return figure(title, [box], class_legend(labels), wide=True)


def class_legend(labels: Sequence[str]) -> Html:
    """Names of classes beside their colours."""

    def sample(index: int) -> Html:
        square = tag("rect", x=0, y=0, width=12, height=12, class_=f"f{index % COLOURS}")
        return tag("svg", square, viewBox="0 0 12 12", width=12, height=12, aria_hidden="true")

    return tag("ul", *(tag("li", sample(i), name) for i, name in enumerate(labels)), class_="legend")


def bar(share: float, text: str, *, over: bool = False) -> Html:
    """A bar in a table's cell, with its text."""
    width = f"{100 * min(1.0, max(0.0, share)):.1f}%"
    inner = tag("span", style=f"width:{width}", class_="over" if over else None)
    return join([tag("span", text, class_="number"), tag("span", inner, class_="meter", aria_hidden="true")])
