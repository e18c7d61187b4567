"""Charts of a page. matplotlib draws them as SVG in the page; text stays text, and colours are those of the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

from edge_seq.report.markup import Html, tag
from edge_seq.support.drawing import plain_figures, plain_log_ticks, require_matplotlib

NUM_COLOURS = 10  # colours of matplotlib's cycle, C0 to C9; report.css has them as --c0 to --c9, for light and dark
# Colour of the page for each colour that matplotlib writes. The last three are those of edge_seq.compare.plots.
THEME = {
    **{"#000000": "currentColor", "#cccccc": "var(--line)"},
    **{"#1f77b4": "var(--c0)", "#ff7f0e": "var(--c1)", "#2ca02c": "var(--c2)", "#d62728": "var(--c3)"},
    **{"#9467bd": "var(--c4)", "#8c564b": "var(--c5)", "#e377c2": "var(--c6)", "#7f7f7f": "var(--c7)"},
    **{"#bcbd22": "var(--c8)", "#17becf": "var(--c9)"},
    **{"#d55e00": "var(--c1)", "#009e73": "var(--c2)", "#0072b2": "var(--c0)"},
}
SIZE = (4.9, 3.3)  # inches of 72 units; text of 9 units is legible on a phone, whose page is 340 units wide
STRIP_WIDTH = 12.5
_STYLE = {
    **{"svg.image_inline": True, "font.size": 9.5},
    **{"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none"},
    **{"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8.5},
    **{"axes.grid": True, "grid.alpha": 0.3},
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))

Draw = Callable[[Any], None]
# (start s, end s, class); a class below 0 means none, K means unknown
Lane = Sequence[tuple[float, float, int]]


@contextmanager
def _styled(title: str) -> Iterator[Any]:
    """Give matplotlib's ``Figure`` in the page's style. The ids in the SVG depend on ``title``.

    Raises:
        ToolError: matplotlib is not installed.
    """
    require_matplotlib("edge-seq report")
    with plain_figures({**_STYLE, "svg.hashsalt": title}) as new_figure:
        yield new_figure


def chart(title: str, draw: Draw, *, legend: bool = True, height: float = SIZE[1]) -> Html:
    """Draw one pair of axes with a caption, ``height`` inches high. ``draw`` is called with matplotlib's axes.

    Raises:
        ToolError: matplotlib is not installed.
    """
    with _styled(title) as new_figure:
        figure = new_figure(figsize=(SIZE[0], height), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        if axes.get_legend() is not None:
            axes.get_legend().remove()
        if legend and axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside lower center", ncols=2)
        drawing = _svg(figure, title)
    return tag("figure", tag("figcaption", title), drawing)


def stacked(title: str, rows: Sequence[Draw], *, row_height: float = 1.25) -> Html:
    """Draw pairs of axes one below the other over one horizontal axis, with a caption and without a legend."""
    with _styled(title) as new_figure:
        figure = new_figure(figsize=(SIZE[0], row_height * len(rows) + 0.5), layout="constrained")
        for axes, draw in zip(figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0], rows, strict=True):
            draw(axes)
        drawing = _svg(figure, title)
    return tag("figure", tag("figcaption", title), drawing)


def _svg(figure: Any, label: str) -> Html:
    """Convert a figure to an element that scales with the page, in its colours and font, without unused ids."""
    plain_log_ticks(figure)
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    opening, text = buffer.getvalue().split("<svg", 1)[1].split(">", 1)
    box = re.search(r'viewBox="[^"]*"', opening)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]*)', text))
    # Only tags are changed, so that names in the figure stay as they are; "<" and ">" are escaped in text.
    drawn = re.sub(r"<[^>]*>", lambda found: _themed(found[0], used), text[: text.rindex("</svg>")])
    image = tag("svg", Html("\n" + drawn), role="img", aria_label=label)
    return Html(image.replace("<svg", f"<svg {box[0] if box else ''}", 1))


def _themed(element: str, used: set[str]) -> str:
    """Convert a tag of matplotlib to a tag of the page."""
    element = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", element)
    element = re.sub(r"#[0-9a-f]{6}\b", lambda found: THEME.get(found[0], found[0]), element)
    element = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", element)
    return element.replace('<text style="', '<text style="fill: currentColor; ').replace("xlink:href", "href")


def percent_axis(axis: Any) -> None:
    """Show the ticks of shares as percent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))


def lines(x: Sequence[float], series: Mapping[str, Sequence[float | None]], *, x_label: str, y_label: str) -> Draw:
    """Draw named lines. None leaves a gap."""

    def draw(axes: Any) -> None:
        for name, values in series.items():
            y = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            axes.plot(x, y, label=name, marker="o" if len(x) == 1 else None)
        axes.set(xlabel=x_label, ylabel=y_label)

    return draw


def scores(x: Sequence[float], series: Mapping[str, Sequence[float | None]], *, x_label: str) -> Draw:
    """Draw named lines of shares from 0 to 100 %."""
    plain = lines(x, series, x_label=x_label, y_label="score")

    def draw(axes: Any) -> None:
        plain(axes)
        axes.set_ylim(0, 1)
        percent_axis(axes.yaxis)

    return draw


def reliability(curves: Mapping[str, Sequence[tuple[float, float, int]]]) -> Draw:
    """Draw the accuracy over the confidence of bins (confidence, accuracy, windows).

    The area of a dot is its share of the windows. On the diagonal the probabilities are calibrated.
    """

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1.2, label="perfectly calibrated")
        for name, points in curves.items():
            confidence, right, windows = np.array(points, dtype=np.float64).reshape(-1, 3).T
            (line,) = axes.plot(confidence, right, linewidth=1, label=name)
            area = 8 + 200 * windows / max(1.0, windows.sum())
            axes.scatter(confidence, right, s=area, color=line.get_color(), zorder=3)
        axes.set(xlabel="confidence: probability of the label given", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)

    return draw


def heat_map(confusion: Sequence[Sequence[int]]) -> Draw:
    """Draw a confusion matrix [K, K] of many classes by index. A darker cell has more of its row's windows."""

    def draw(axes: Any) -> None:
        counts = np.array(confusion, dtype=np.float64)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.grid(visible=False)
        axes.set(xlabel="label given, by index", ylabel="true class, by index")

    return draw


def timeline(
    title: str,
    signals: Mapping[str, Sequence[tuple[float, float]]],
    lanes: Mapping[str, Lane],
    *,
    seconds: float,
    labels: Sequence[str],
) -> Html:
    """Draw signals, and below them true labels and decisions over the same time, in a box that scrolls.

    Args:
        title: caption.
        signals: (least, largest) of equal stretches of time of each signal, drawn as a band.
        lanes: segments of each lane.
        seconds: length of the recording in seconds.
        labels: K class names.
    """
    with _styled(title) as new_figure:
        heights = [0.75] * len(signals) + [0.33 * len(lanes)]
        figure = new_figure(figsize=(STRIP_WIDTH, sum(heights) + 0.5), layout="constrained")
        rows = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, bins) in zip(rows, signals.items(), strict=False):
            at = (np.arange(len(bins)) + 0.5) * seconds / len(bins)
            low, high = np.array(bins).T
            axes.fill_between(at, low, high, color="#7f7f7f", linewidth=0.8)
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.tick_params(labelsize=8)
        _draw_lanes(rows[-1], lanes, seconds, labels)
        drawing = _svg(figure, title)
    box = tag("div", drawing, class_="scroll strip", tabindex=0, role="region", aria_label=title)  # legend between
    shown = {label for lane in lanes.values() for _, _, label in lane}
    return tag("figure", tag("figcaption", title), _legend(shown, labels), box, class_="wide")


def _draw_lanes(axes: Any, lanes: Mapping[str, Lane], seconds: float, labels: Sequence[str]) -> None:
    for row, lane in enumerate(lanes.values()):
        for label in sorted({label for _, _, label in lane if label >= 0}):
            parts = [(start, end - start) for start, end, one in lane if one == label]
            colour = "grey" if label >= len(labels) else f"C{label % NUM_COLOURS}"
            axes.broken_barh(parts, (row - 0.4, 0.8), facecolors=colour, alpha=0.5 if label >= len(labels) else None)
    axes.set(xlim=(0, seconds), ylim=(len(lanes) - 0.5, -0.5), xlabel="s")
    axes.set_yticks(range(len(lanes)), list(lanes))
    axes.grid(visible=False, axis="y")


def _legend(shown: set[int], labels: Sequence[str]) -> Html:
    """Make the legend of the classes that occur."""
    names = [(f"k{index % NUM_COLOURS}", labels[index]) for index in sorted(shown) if 0 <= index < len(labels)]
    names += [("unknown", "unknown")] if len(labels) in shown else []
    names += [("none", "none given")] if any(label < 0 for label in shown) else []
    return tag("ul", *(tag("li", tag("span", class_=f"swatch {kind}"), name) for kind, name in names), class_="legend")
