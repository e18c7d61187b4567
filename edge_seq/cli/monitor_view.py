"""View of the monitor in a terminal: pure functions from the monitor's state to a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from edge_seq.live.monitor import About, Snapshot

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # bits of a Braille character by column, from the top
COLOURS = ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "bright_black", "white")
CHANNELS_SHOWN, CLASSES_SHOWN, HISTORY_SHOWN = 8, 12, 8
SIGNAL_ROWS = 3


def colour_of(index: int) -> str:
    """Return the colour of a class or an axis. It is the same wherever the class or axis is shown."""
    return COLOURS[index % len(COLOURS)]


def _colour_of_decision(about: About, decision: int) -> str:
    return colour_of(decision) if decision < len(about.labels) else "dim"


def view(about: About, snapshot: Snapshot, *, width: int) -> RenderableType:
    """Draw the whole monitor.

    Args:
        about: Description of the source: labels, channels, expected rate.
        snapshot: State at one moment: signals, decisions, counters, messages.
        width: Width in characters.
    """
    return Group(
        _decision_panel(about, snapshot, width),
        _signals_panel(about, snapshot, width),
        _history_panel(about, snapshot, width),
        _counters(about, snapshot),
        *_messages(snapshot),
    )


def _decision_panel(about: About, snapshot: Snapshot, width: int) -> Panel:
    decisions = snapshot.decisions
    title = Text.assemble(("edge-seq monitor ", "bold"), about.source)
    decider = Text(f"decided by {about.decider}")  # a Text, because a name from outside may contain markup
    if not decisions:
        body: RenderableType = Text("waiting for the first decision", style="dim")
        return Panel(body, title=title, title_align="left", subtitle=decider)
    last = decisions[-1]
    unknown = [] if last.decision < len(about.labels) else [Text(f"▶ {about.unknown}", style="bold")]
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=max(12, width // 3), no_wrap=True)
    table.add_column()
    table.add_column(justify="right")
    names = min(max(12, width // 3), 2 + max(map(len, about.labels)))
    bar = max(10, width - names - 14)
    for index, share in enumerate(last.probabilities[:CLASSES_SHOWN]):
        chosen = index == last.decision
        name = Text(("▶ " if chosen else "  ") + about.labels[index], style="bold" if chosen else "")
        table.add_row(name, _bar(share, bar, colour_of(index)), f"{100 * share:5.1f} %")
    return Panel(Group(table, *unknown), title=title, title_align="left", subtitle=decider)


def _bar(share: float, width: int, colour: str) -> Text:
    full = round(share * width)
    return Text.assemble(("━" * full, colour), ("─" * (width - full), "bright_black"))


def _signals_panel(about: About, snapshot: Snapshot, width: int) -> Panel:
    channels = about.channels[:CHANNELS_SHOWN]
    columns = max(20, width - 4 - 9 - 10)
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=8)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, width=8)
    bins = snapshot.bins
    for index, channel in enumerate(channels):
        pairs = [(bin_[2 * index], bin_[2 * index + 1]) if bin_ else None for bin_ in bins]
        known = [pair for pair in pairs if pair is not None]
        low, high = (min(p[0] for p in known), max(p[1] for p in known)) if known else (0.0, 0.0)
        rows = plot(pairs, columns, low, high)
        name = Text(f"{channel.name}\n{channel.unit.replace('^2', '²')}", style=colour_of(index))
        table.add_row(name, Text("\n".join(rows), style=colour_of(index)), f"{high:+.3g}\n\n{low:+.3g}")
    more = len(about.channels) - len(channels)
    seconds = len(bins) * about.bin_s
    title = f"signals, last {seconds:.3g} s" + (f" ({more} more channels)" if more else "")
    return Panel(table, title=title, title_align="left")


def plot(pairs: Sequence[tuple[float, float] | None], columns: int, low: float, high: float) -> list[str]:
    """Draw a signal with Braille characters, each of which has two by four dots.

    A line of dots goes from the least to the largest value of each stretch. A gap is drawn as a bar.

    Args:
        pairs: Least and largest value of each stretch, oldest first; None for a gap.
        columns: Width in characters.
        low: Value at the bottom.
        high: Value at the top.

    Returns:
        SIGNAL_ROWS texts of ``columns`` characters, the top one first.

    >>> plot([(0, 0), (0, 0), (0, 1), (1, 1), None, None], 3, 0, 1)
    ['⠀⡏│', '⠀⡇│', '⣀⡇│']
    """
    cells = [[0] * columns for _ in range(SIGNAL_ROWS)]
    gaps: set[int] = set()
    dots = 2 * columns
    top = 4 * SIGNAL_ROWS - 1
    for dot in range(dots):
        first, end = len(pairs) * dot // dots, len(pairs) * (dot + 1) // dots
        group = pairs[first : max(end, first + 1)]
        known = [pair for pair in group if pair is not None]
        if len(known) < len(group):
            gaps.add(dot // 2)
        if not known:
            continue
        scale = top / (high - low) if high > low else 0.0
        least = round((min(pair[0] for pair in known) - low) * scale)
        largest = round((max(pair[1] for pair in known) - low) * scale)
        for level in range(max(0, least), min(top, largest) + 1):
            row, within = divmod(top - level, 4)
            cells[row][dot // 2] |= DOTS[dot % 2][within]
    return ["".join("│" if at in gaps else chr(0x2800 + bits) for at, bits in enumerate(row)) for row in cells]


def _history_panel(about: About, snapshot: Snapshot, width: int) -> Panel:
    decisions = snapshot.decisions
    strip = Text()
    for one in decisions[-(width - 4) :]:
        strip.append("█", style=_colour_of_decision(about, one.decision))
    table = Table.grid(padding=(0, 2))
    for one in reversed(decisions[-HISTORY_SHOWN:]):
        label, decided = about.labels[one.label], [*about.labels, about.unknown][one.decision]
        of_label = "" if one.decision == one.label else f"  label {label}"
        name = Text(decided, style=_colour_of_decision(about, one.decision))
        table.add_row(f"{one.time_s:10.2f} s", name, Text(f"{100 * one.probabilities[one.label]:5.1f} %{of_label}"))
    return Panel(Group(strip, table), title=f"decisions, {snapshot.next_decision:,} so far", title_align="left")


def _counters(about: About, snapshot: Snapshot) -> Text:
    rate = "measuring" if snapshot.rate_hz is None else f"{snapshot.rate_hz:,.1f} Hz"
    text = Text(f" {snapshot.samples:,} samples   {rate} of {about.expected_hz:g}   ")
    dropped = snapshot.dropped_by_board
    for number, name in (
        (snapshot.frame_errors, "frame errors"),
        (snapshot.gaps, "gaps"),
        (snapshot.lost, f"lost ({dropped:,} on the board)" if dropped else "lost"),
        (snapshot.reconnects, "reconnects"),
        (snapshot.restarts, "restarts"),
    ):
        text.append(f"{number:,} {name}   ", style="bold red" if number else "")
    if snapshot.ended is not None:
        text.append(f"ended: {snapshot.ended}", style="bold")
    return text


def _messages(snapshot: Snapshot) -> list[Text]:
    return [Text(f" ! {message}", style="yellow") for message in snapshot.messages[-3:]]
