"""The page of `edge-seq data check --page`: what is in a data set, on one page to look at."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from edge_seq.data.audit.look import APART_TIMES, DataLook, WindowMap
from edge_seq.data.audit.suspects import KNOWS_ENOUGH, MOST_LISTED, Doubts
from edge_seq.pipeline.data_check import DataCheck
from edge_seq.report import charts, data_charts
from edge_seq.report.markup import (
    Child,
    Html,
    bar,
    bullets,
    captioned,
    code_block,
    facts,
    figures,
    join,
    side_by_side,
    table,
    tag,
)
from edge_seq.report.page import Section, page
from edge_seq.support.drawing import require_matplotlib
from edge_seq.support.errors import ConfigError
from edge_seq.support.figure_text import percent
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.names import natural_key

MOST_ROWS, MOST_DISTANCES = 40, 15
MOST_GROUPS, MOST_CLASSES = 60, 60  # of the table of classes by group
COMMAND = "edge-seq data check --page"
_COLOURS = {"error": "bad", "warning": "warn", "note": None}


def check_can_draw(path: Path) -> None:
    """See that a page can be written, before the data are read.

    Raises:
        ConfigError: the path is a folder, or cannot be written.
        ToolError: matplotlib is not installed.
    """
    if path.is_dir():
        raise ConfigError(f"{COMMAND}: {path} is a folder; give the name of a page, such as {path / 'data.html'}")
    check_can_write(path.parent)
    require_matplotlib(COMMAND)


def write_data_page(found: DataCheck, path: Path) -> None:
    """Write the page of a checked data set, whole or not at all.

    Raises:
        ConfigError: the data set was checked without a closer look, or the page cannot be written.
        ToolError: matplotlib is not installed.
    """
    check_can_draw(path)
    write_atomically(path, data_page(found))


def data_page(found: DataCheck) -> str:
    """Make the page of a checked data set.

    Raises:
        ConfigError: the data set was checked without a closer look.
        ToolError: matplotlib is not installed.
    """
    look = found.look
    if look is None:
        raise ConfigError("making a page of data: they were checked without a closer look; check them with closer=True")
    parts = [
        ("findings", "Findings", _findings(found)),
        ("examples", "Examples of each class", _examples(found, look)),
        ("balance", "Classes and groups", _balance(found, look)),
        ("map", "Map of the windows", _map(look)),
        ("labels", "Labels that may be wrong", _doubts(look.doubts)),
        ("values", "Values and full scale", _values(found, look)),
        ("clock", "Rate, gaps and lengths", _clock(found, look)),
        *([("granted", "Taken for granted", _granted(found))] if found.is_guess else []),
        ("how", "How this was made", _how(found, look)),
    ]
    sections = [Section(*part) for part in parts]
    return page(f"{found.found.name}: a look at the data", found.headline(), sections, made_by=COMMAND)


def _findings(found: DataCheck) -> Html:
    one = found.found
    errors = sum(finding.severity == "error" for finding in one.findings)
    said = "Usable as it is." if one.usable else f"Not usable as it is: {errors} {'errors' if errors > 1 else 'error'}."
    verdict = tag("p", said, class_="verdict" if one.usable else "warning")
    items = [
        tag("li", tag("span", f"{one.severity}: {one.check}", class_=_COLOURS[one.severity]), tag("br"), one.message)
        for one in found.found.findings
    ]
    return join([verdict, tag("ul", *items, class_="findings") if items else tag("p", "No check found anything.")])


def _examples(found: DataCheck, look: DataLook) -> Html:
    if not look.examples:
        return tag("p", "No stretch of one class is as long as a window.")
    by_unit: dict[str, list[str]] = {}
    for name, channel in found.found.channels.items():
        by_unit.setdefault(channel.unit, []).append(name)
    limits = data_charts.limits(look.examples, by_unit)
    drawn = [
        charts.stacked(
            f"{one.label}: {one.recording} from {one.at_s:.1f} s"
            + (f", group {one.group}" * (one.group != one.recording)),
            data_charts.example(one, by_unit, limits),
        )
        for one in look.examples
    ]
    shown = len({one.label for one in look.examples})
    classes = len(found.found.labels)
    some = f" {shown} of {classes} classes are shown." if shown < classes else ""
    text = (
        "The first stretch of each class in up to two groups, all at one scale. A dotted line is the start of a "
        f"window; the shaded part is one window of {look.window_length} samples.{some}"
    )
    return join([tag("p", text, class_="note"), data_charts.channel_legend(list(found.found.channels)), figures(drawn)])


def _balance(found: DataCheck, look: DataLook) -> Html:
    labels = found.found.labels
    total = max(1, sum(one.windows for one in labels.values()))
    largest = max([1, *(one.windows for one in labels.values())])
    rows: list[list[Child]] = [
        [
            label,
            bar(f"{one.windows:,}", one.windows / largest),
            percent(one.windows / total),
            f"{one.groups:,}",
            f"{one.recordings:,}",
            f"{one.samples:,}",
        ]
        for label, one in labels.items()
    ]
    by_class = table("By class", ["class", "windows", "share", "groups", "recordings", "samples"], rows)
    return join([by_class, _by_group(look, list(labels))])


def _by_group(look: DataLook, labels: Sequence[str]) -> Html:
    """Make the table of windows by group and class. A darker cell has more of all windows of its class."""
    shown = list(labels)[:MOST_CLASSES]
    names = sorted(look.windows_by_group, key=natural_key)
    largest = max([1, *(count for counts in look.windows_by_group.values() for count in counts.values())])
    head = tag("tr", *(tag("th", name, scope="col") for name in ("group", "all", *shown)))
    rows = []
    for name in names[:MOST_GROUPS]:
        counts = look.windows_by_group[name]
        cells = [_cell(counts.get(label, 0), largest) for label in shown]
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", f"{sum(counts.values()):,}"), *cells))
    left_out = [f"{len(names) - MOST_GROUPS:,} more groups"] if len(names) > MOST_GROUPS else []
    left_out += [f"{len(labels) - MOST_CLASSES:,} more classes"] if len(labels) > MOST_CLASSES else []
    note = [tag("p", f"Not shown: {', '.join(left_out)}.", class_="note")] if left_out else []
    made = tag("table", tag("thead", head), tag("tbody", *rows), class_="heat")
    return join([captioned("Windows of each class by group", made), *note])


def _cell(count: int, largest: int) -> Html:
    if not count:
        return tag("td", "0", class_="zero")
    return tag(
        "td",
        f"{count:,}",
        style=f"background:color-mix(in srgb, var(--heat) {5 + 40 * count / largest:.0f}%, transparent)",
    )


def _map(look: DataLook) -> Html:
    if look.window_map is None:
        return tag("p", "There are too few windows for a map.")
    of_class, of_group = _panes(look.window_map, [one.group for one in look.distances])
    switch = tag(
        "div",
        *_choice("map-class", "by class", checked=True),
        *_choice("map-group", "by group", checked=False),
        tag("div", *of_class, class_="pane of-class"),
        tag("div", *of_group, class_="pane of-group"),
        class_="switch",
    )
    first, second = (percent(share) for share in look.window_map.explained)
    text = (
        "Each dot is a window; windows that resemble each other lie close. The axes are principal components of the "
        f"means of the channels and of statistics of their motion; they hold {first} and {second} of the variance. "
        "Colours should part by class and mix by group. A group that lies apart was recorded in another way."
    )
    return join([tag("p", text), side_by_side([switch, _distances(look)])])


def _choice(name: str, text: str, *, checked: bool) -> list[Html]:
    given = {"checked": "checked"} if checked else {}
    return [tag("input", type="radio", name="map", id=name, **given), tag("label", text, **{"for": name})]


def _panes(found: WindowMap, farthest: Sequence[str]) -> tuple[list[Html], list[Html]]:
    """Draw the map by class and by group. The groups that lie farthest apart have colours, the others are grey."""
    order = [name for name in farthest if name in found.group_names]
    order += [name for name in sorted(found.group_names, key=natural_key) if name not in order]
    coloured = data_charts.marks_of_groups(found.group_names, order)
    by_class, by_group = data_charts.marks_of_classes(found.label_names), coloured
    return (
        [
            charts.chart(
                "Windows by class", data_charts.window_map(found, found.labels, by_class), legend=False, height=4
            ),
            data_charts.mark_legend(found.label_names, by_class),
        ],
        [
            charts.chart(
                "Windows by group", data_charts.window_map(found, found.groups, by_group), legend=False, height=4
            ),
            data_charts.mark_legend(found.group_names, by_group, order),
        ],
    )


def _distances(look: DataLook) -> Html:
    if not look.distances:
        return tag("p", "No class is in two groups, so groups cannot be compared.", class_="note")
    apart = {"level": "level apart", "motion": "motion apart", "both": "apart", "": ""}
    rows: list[list[Child]] = [
        [
            one.group,
            f"{one.level:.2f}",
            f"{one.motion:.2f}",
            f"{one.windows:,}",
            tag("span", apart[one.stands_apart], class_="warn" if one.stands_apart else None),
        ]
        for one in look.distances[:MOST_DISTANCES]
    ]
    text = (
        "Distance from the same classes in other groups, in standard deviations of the windows of one class in one "
        "group. Level: means of the channels (mounting, offset). Motion: all else. Apart: more than "
        f"{APART_TIMES:g} times the median of the groups."
    )
    more = (
        f" The {MOST_DISTANCES} farthest of {len(look.distances):,} groups."
        if len(look.distances) > MOST_DISTANCES
        else ""
    )
    made = table("Distance of groups", ["group", "level", "motion", "windows", ""], rows)
    return tag("div", made, tag("p", text + more, class_="note"), class_="narrow")


def _doubts(found: Doubts | None) -> Html:
    if found is None or found.by_group is None:
        return tag("p", "Not looked for: it takes two classes, each in at least two groups.")
    text = (
        f"A forest that learnt from other groups finds the class of {percent(found.by_group)} of the windows (mean "
        f"recall; chance is {percent(found.chance)}). "
    )
    if not found.knows_enough:
        return tag(
            "p",
            f"{text}That is less than {percent(KNOWS_ENOUGH)} of what chance leaves open, so it knows too little to "
            "doubt a label. More groups help, and classes that differ more.",
        )
    text += (
        f"It is sure of another class than the label for {found.suspects:,} of {found.looked_at:,} windows that were "
        "looked at."
    )
    if found.suspects:
        text += " Look at them first: they are labelled wrongly, or look like another class."
    recordings = [
        [one.recording, one.group, one.label, one.expected, f"{one.suspects:,} of {one.windows:,}"]
        for one in found.recordings
    ]
    windows = [
        [
            one.recording,
            one.group,
            f"{one.at_s:.2f}",
            f"{one.first:,}",
            one.label,
            one.expected,
            percent(one.probability),
        ]
        for one in found.windows
    ]
    shown = "Single windows, the most doubtful first" if recordings else "Windows, the most doubtful first"
    if found.suspects > len(windows):
        shown += f" (at most {MOST_LISTED})"
    columns = ["recording", "group", "at, s", "sample", "label", "looks like", "probability"]
    return join(
        [
            tag("p", text),
            *(
                [
                    table(
                        "Recordings that mostly look like another class",
                        ["recording", "group", "label", "looks like", "windows"],
                        recordings,
                        class_="left",
                    )
                ]
                if recordings
                else []
            ),
            *([table(shown, columns, windows, class_="left")] if windows else []),
        ]
    )


def _values(found: DataCheck, look: DataLook) -> Html:
    rows = [
        [name, one.unit, f"{one.lowest:.4g}", f"{one.highest:.4g}", f"± {one.full_scale:g}"]
        for name, one in found.found.channels.items()
    ]
    by_scale: dict[tuple[str, float], list[str]] = {}
    for name, one in found.found.channels.items():
        by_scale.setdefault((one.unit, one.full_scale), []).append(name)
    drawn = [
        charts.chart(
            f"{', '.join(names)}: ± {scale:g} {unit}", data_charts.amplitudes(look.histograms, names, scale, unit)
        )
        for (unit, scale), names in by_scale.items()
    ]
    text = (
        "Share of the samples at each value, up to full scale (dashed). A spike at an end is clipping, here at full "
        "scale or before it; a single spike is a dead axis; values near zero alone waste the sensor's bits."
    )
    columns = ["channel", "unit", "least", "largest", "full scale"]
    return join([tag("p", text, class_="note"), figures(drawn), table("Range of each channel", columns, rows)])


def _clock(found: DataCheck, look: DataLook) -> Html:
    one = found.found
    timed = [clock for clock in look.clocks if clock.rate_hz is not None]
    pairs: list[tuple[str, Child]] = [
        ("rate of the data source", f"{look.sample_rate_hz:g} Hz"),
        (
            "rate found",
            "no times in the data" if one.rate_hz is None else one.rate_hz.text(),
        ),
        ("largest jitter", percent(one.largest_jitter) if one.largest_jitter is not None else "-"),
        ("gaps", f"{one.gaps:,}"),
    ]
    drawn = (
        [charts.chart("Rate and jitter of each recording", data_charts.clock(timed, look.sample_rate_hz))]
        if timed
        else []
    )
    drawn.append(charts.chart("Length of the recordings", data_charts.lengths(look.clocks)))
    gaps = sorted((clock for clock in look.clocks if clock.gaps), key=lambda clock: -clock.longest_gap_s)
    rows = [[clock.name, clock.group, f"{clock.gaps:,}", f"{clock.longest_gap_s:.4g}"] for clock in gaps[:MOST_ROWS]]
    title = (
        "Recordings with gaps"
        if len(gaps) <= MOST_ROWS
        else f"The {MOST_ROWS} longest gaps of {len(gaps):,} recordings"
    )
    listed = [table(title, ["recording", "group", "gaps", "longest, s"], rows)] if rows else []
    return join([facts(pairs), figures(drawn), *listed])


def _granted(found: DataCheck) -> Html:
    roles = found.roles()
    said = [f"Read as {found.header}"] if found.header else []
    said += [f"Rate: {found.rate}"] if found.rate else []
    return join(
        [
            tag("p", "There is no data source, so the following was guessed. Correct what is wrong in a data source."),
            bullets([*said, *found.assumptions]),
            *([table("Columns", roles.columns, roles.rows, class_="left")] if roles.rows else []),
        ]
    )


def _how(found: DataCheck, look: DataLook) -> Html:
    text = (
        f"Map, distances and doubtful labels are of {look.drawn:,} of {look.total:,} windows, drawn as evenly as "
        f"possible from each class of each group (seed {look.seed}). Windows were cut at the rate of the data source, "
        "before preprocessing. Doubts follow confident learning (Northcutt et al. 2021) on extremely randomised trees, "
        "cross-validated by group."
    )
    reading = [tag("h3", "While reading"), bullets(found.found.reading)] if found.found.reading else []
    target = str(found.source_file or found.path)
    commands = [f"edge-seq data check {shlex.quote(target)} --page data.html"]
    if found.is_guess and found.source_file is None:
        commands.insert(0, f"edge-seq data check {shlex.quote(target)} --write guess.toml")
    elif found.usable:
        commands.append(f"edge-seq train --data {shlex.quote(target)}")
    return join([tag("p", text), *reading, tag("h3", "Commands"), code_block(commands)])
