"""The monitor in a terminal: a pure function from what is known to what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

BLOCKS = " ▁▂▃▄▅▆▇█"
COLOURS = ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "bright_black", "white")
CHANNELS_SHOWN, CLASSES_SHOWN, HISTORY_SHOWN = 8, 12, 8
SIGNAL_ROWS = 3


def colour_of(index: int) -> str:
    """The same colour for a class or an axis wherever it is shown."""
    return COLOURS[index % len(COLOURS)]


def view(about: dict[str, Any], snapshot: dict[str, Any], *, width: int) -> RenderableType:
    """All of the monitor, ``width`` characters wide."""
    return Group(
        _decision_panel(about, snapshot, width),
        _signals_panel(about, snapshot, width),
        _history_panel(about, snapshot, width),
        _counters(about, snapshot),
        *_messages(snapshot),
    )


def _decision_panel(about: dict[str, Any], snapshot: dict[str, Any], width: int) -> Panel:
    decisions = snapshot["decisions"]
    title = Text.assemble(("edge-seq monitor ", "bold"), about["source"])
    if not decisions:
        body: RenderableType = Text("waiting for the first decision", style="dim")
        return Panel(body, title=title, title_align="left", subtitle=f"decided by {about['decider']}")
    last = decisions[-1]
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=max(12, width // 3), no_wrap=True)
    table.add_column()
    table.add_column(justify="right")
    bar = max(10, width - min(30, width // 3) - 18)
    for index, share in enumerate(last["p"][:CLASSES_SHOWN]):
        chosen = index == last["label"]
        name = Text(("▶ " if chosen else "  ") + about["labels"][index], style="bold" if chosen else "")
        table.add_row(name, Text("━" * round(share * bar), style=colour_of(index)), f"{100 * share:5.1f} %")
    return Panel(table, title=title, title_align="left", subtitle=f"decided by {about['decider']}")


def _signals_panel(about: dict[str, Any], snapshot: dict[str, Any], width: int) -> Panel:
    channels = about["channels"][:CHANNELS_SHOWN]
    columns = max(20, width - 32)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, max_width=14)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    bins = snapshot["bins"]
    for index, channel in enumerate(channels):
        pairs = [(bin_[2 * index], bin_[2 * index + 1]) if bin_ else None for bin_ in bins]
        known = [pair for pair in pairs if pair is not None]
        low, high = (min(p[0] for p in known), max(p[1] for p in known)) if known else (0.0, 0.0)
        rows = plot(pairs, columns, low, high)
        name = Text(f"{channel['name']}\n{channel['unit']}", style=colour_of(index))
        table.add_row(name, Text("\n".join(rows), style=colour_of(index)), f"{high:+.3g}\n\n{low:+.3g}")
    more = len(about["channels"]) - len(channels)
    seconds = len(bins) * about["bin_s"]
    title = f"signals, last {seconds:.3g} s" + (f" ({more} more channels)" if more else "")
    return Panel(table, title=title, title_align="left")


def plot(pairs: Sequence[tuple[float, float] | None], columns: int, low: float, high: float) -> list[str]:
    """The middle of each pair as a line of blocks; the newest on the right, a gap as a thin bar.

    Args:
        pairs: least and largest value, oldest first; None for a gap.
        columns: characters.
        low: value at the bottom.
        high: value at the top.

    Returns:
        SIGNAL_ROWS texts of ``columns`` characters, the top one first.

    >>> plot([(0, 0), (1, 1), None], 3, 0, 1)
    [' █│', ' █│', '▁█│']
    """
    steps = SIGNAL_ROWS * 8
    rows = [""] * SIGNAL_ROWS
    for column in range(columns):
        first, end = len(pairs) * column // columns, len(pairs) * (column + 1) // columns
        group = pairs[first : max(end, first + 1)]
        known = [pair for pair in group if pair is not None]
        for row in range(SIGNAL_ROWS):
            if not known or len(known) < len(group):
                rows[row] += "│" if group else " "
                continue
            middle = sum(pair[0] + pair[1] for pair in known) / (2 * len(known))
            level = max(1, round(steps * (middle - low) / (high - low))) if high > low else 1
            rows[row] += BLOCKS[min(8, max(0, level - 8 * (SIGNAL_ROWS - 1 - row)))]
    return rows


def _history_panel(about: dict[str, Any], snapshot: dict[str, Any], width: int) -> Panel:
    decisions = snapshot["decisions"]
    strip = Text()
    for one in decisions[-(width - 4) :]:
        strip.append("█", style=colour_of(one["label"]))
    table = Table.grid(padding=(0, 2))
    for one in reversed(decisions[-HISTORY_SHOWN:]):
        name = Text(about["labels"][one["label"]], style=colour_of(one["label"]))
        table.add_row(f"{one['t']:10.2f} s", name, f"{100 * one['p'][one['label']]:5.1f} %")
    return Panel(Group(strip, table), title=f"decisions, {snapshot['next_decision']:,} so far", title_align="left")


def _counters(about: dict[str, Any], snapshot: dict[str, Any]) -> Text:
    rate = "measuring" if snapshot["rate_hz"] is None else f"{snapshot['rate_hz']:,.1f} Hz"
    text = Text(f" {snapshot['samples']:,} samples   {rate} of {about['expected_hz']:g}   ")
    for number, name in (
        (snapshot["frame_errors"], "frame errors"),
        (snapshot["gaps"], "gaps"),
        (snapshot["lost"], "lost"),
        (snapshot["reconnects"], "reconnects"),
        (snapshot["restarts"], "restarts"),
    ):
        text.append(f"{number:,} {name}   ", style="bold red" if number else "")
    if snapshot["ended"] is not None:
        text.append(f"ended: {snapshot['ended']}", style="bold")
    return text


def _messages(snapshot: dict[str, Any]) -> list[Text]:
    return [Text(f" ! {message}", style="yellow") for message in snapshot["messages"][-3:]]
