"""edge-seq data check --page: what the page shows of a data set with planted faults, and how a browser shows it."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_seq as es
from edge_seq.data.audit import look as looks
from edge_seq.data.audit import suspects
from edge_seq.pipeline.data_check import DataCheck, check_data
from edge_seq.report import charts
from edge_seq.report.data_page import data_page, write_data_page
from edge_seq.report.markup import tag
from edge_seq.support.errors import ConfigError, ToolError
from tests.cli.conftest import edge_seq
from tests.cli.html_pages import CONTRAST, check_page, show
from tests.live.browser import browser

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

RATE = 50
TONES = {"idle": (0.004, 1.0), "drill": (0.2, 11.0), "lift": (0.1, 0.8)}  # g and Hz
HOSTILE = '<script>alert(1)</script>"&$\\frac'


def recording(rng: np.random.Generator, label: str, seconds: float = 10.0) -> np.ndarray:
    """Values of ax, ay, az in g and gx in deg/s, float64 [T, 4]."""
    time = np.arange(int(RATE * seconds)) / RATE
    amplitude, frequency = TONES[label]
    tone = amplitude * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6))[:, np.newaxis]
    noise = 0.004 * rng.normal(size=(len(time), 4))
    return np.asarray([0, 0, 1, 0] + tone * [1.0, 0.5, 0.2, 30.0] + noise * [1, 1, 1, 30])


def write(folder: Path, rows: list[tuple[str, str, np.ndarray, str]], *, name: str = "takes") -> Path:
    """Write recordings (name, session, values, label) and their data source."""
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["take", "session", "t", "ax", "ay", "az", "gx", "label"])
        for take, session, values, label in rows:
            out.writerows(
                [take, session, f"{k / RATE:.2f}", *map("{:.5f}".format, row), label] for k, row in enumerate(values)
            )
    channel = '  {{ name = "{}", unit = "{}", counts_per_unit = {}, full_scale = {} }},\n'
    channels = "".join(channel.format(axis, "g", 8192, 4) for axis in ("ax", "ay", "az"))
    (folder / f"{name}.toml").write_text(
        f'name = "{name}"\npath = "{name}.csv"\nrecording_column = "take"\ngroup_column = "session"\n'
        f'time_column = "t"\n'
        f"sample_rate_hz = {RATE}\nwindow_length = 50\nwindow_stride = 50\n"
        f"channels = [\n{channels}{channel.format('gx', 'deg/s', 262, 125)}]\n"
    )
    return folder / f"{name}.toml"


def faulty() -> list[tuple[str, str, np.ndarray, str]]:
    """Six sessions: one stands apart; a recording and three windows have wrong labels; ay clips; names are hostile."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(6):
        for label in TONES:
            values = recording(rng, label)
            if number == 4:
                values[:, 0] += 0.5
            values[:, 1] = np.minimum(values[:, 1], 0.08)
            given = "drill" if (number, label) == (2, "lift") else label
            rows.append((f"{label}_{number}", f"s{number}{HOSTILE if number == 5 else ''}", values, given))
    mixed = np.concatenate([recording(rng, "idle", 3.0), recording(rng, "lift", 6.0)])
    rows.append(("mixed", "s0", mixed, "lift"))
    return [(take, session, values, HOSTILE if label == "lift" else label) for take, session, values, label in rows]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"), faulty())


@pytest.fixture(scope="module")
def checked(source: Path) -> DataCheck:
    return check_data(source, closer=True)


@pytest.fixture(scope="module")
def page(checked: DataCheck) -> str:
    return data_page(checked)


def test_a_page_of_one_file_without_scripts_whose_values_are_escaped(page: str) -> None:
    check_page(page)
    assert '<meta http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;;' in page
    assert "alert(1)" in page
    assert "<script" not in page.lower()
    for heading in (
        "Findings",
        "Examples of each class",
        "Classes and groups",
        "Map of the windows",
        "Labels that may be",
    ):
        assert heading in page
    assert "Taken for granted" not in page
    assert page.count('type="radio"') == 2
    assert "channel stays at the largest values" in page


def test_a_session_that_stands_apart_is_told_by_numbers(checked: DataCheck, page: str) -> None:
    assert checked.look is not None
    first, *others = checked.look.distances
    assert (first.group, first.stands_apart) == ("s4", "level")
    assert first.level > 3 * max(one.level for one in others)
    assert {one.group: one.stands_apart for one in others if one.stands_apart} == {
        "s2": "motion"
    }  # by its wrong labels
    assert "level apart" in page
    found = checked.look.window_map
    assert found is not None
    places = np.stack([found.x, found.y], axis=1)
    here = np.array(found.groups) == found.group_names.index("s4")
    labels = np.array(found.labels)
    for label in range(3):  # seen in the map: its dots lie far from those of the same class
        inside, outside = places[here & (labels == label)], places[~here & (labels == label)]
        assert np.linalg.norm(inside.mean(axis=0) - np.median(outside, axis=0)) > 2 * inside.std(axis=0).max()


def test_wrong_labels_are_found_with_their_place(checked: DataCheck, page: str) -> None:
    assert checked.look is not None
    doubts = checked.look.doubts
    assert doubts is not None
    assert doubts.knows_enough
    (whole,) = doubts.recordings
    assert (whole.recording, whole.label, whole.expected, whole.suspects) == ("lift_2", "drill", HOSTILE, whole.windows)
    assert {(one.recording, one.first, one.expected) for one in doubts.windows} == {
        ("mixed", first, "idle") for first in (0, 50, 100)
    }
    assert doubts.suspects == whole.suspects + 3
    assert [one.at_s for one in doubts.windows if one.first == 100] == [pytest.approx(2.0)]
    assert "Recordings that mostly look like another class" in page


def test_right_labels_are_not_doubted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [(f"{label}_{n}", f"s{n}", recording(rng, label, 6.0), label) for n in range(4) for label in TONES]
    look = check_data(write(tmp_path, rows), closer=True).look
    assert look is not None
    assert look.doubts is not None
    assert (look.doubts.by_group, look.doubts.suspects, look.doubts.windows) == (1.0, 0, ())
    assert not any(one.stands_apart for one in look.distances)


def test_the_facts_are_plain_values(checked: DataCheck) -> None:
    table = json.loads(json.dumps(checked.to_dict()))["look"]
    assert table["windows_by_group"]["s2"] == {"idle": 10, "drill": 20}
    assert (table["drawn"], table["total"], table["seed"]) == (189, 189, 0)
    assert {len(counts) for counts in table["histograms"].values()} == {100}
    assert sum(table["histograms"]["ax"]) == 18 * 500 + 450
    idle = [one for one in table["examples"] if one["label"] == "idle"]
    assert [one["group"] for one in idle] == ["s0", "s1"]
    assert idle[0]["starts_s"] == [0.0, 1.0, 2.0]
    assert idle[0]["seconds"] == 3.0
    assert len(idle[0]["values"]["gx"]) == 150
    assert table["doubts"]["knows_enough"] is True


def test_examples_points_and_lists_are_bounded(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MOST_EXAMPLES", 2)
    monkeypatch.setattr(looks, "MOST_VALUES", 320)
    monkeypatch.setattr(looks, "MOST_POINTS", 30)
    monkeypatch.setattr(suspects, "MOST_LISTED", 1)
    look = check_data(source, closer=True).look
    assert look is not None
    assert len({one.label for one in look.examples}) == 2
    assert all(len(values) == 40 for one in look.examples for values in one.values.values())
    assert look.window_map is not None
    assert len(look.window_map.x) == 30
    assert look.doubts is not None
    assert len(look.doubts.windows) == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param(1, "it takes two classes, each in at least two groups", id="one class"),
        pytest.param(2, "it takes two classes, each in at least two groups", id="one group"),
    ],
)
def test_little_data_has_a_page_too(tmp_path: Path, rows: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "chart", lambda title, *_args, **_options: tag("figure", title))
    rng = np.random.default_rng(0)
    labels = list(TONES)[:rows]
    found = check_data(
        write(tmp_path, [(label, "s0", recording(rng, label, 1.5), label) for label in labels]), closer=True
    )
    text = data_page(found)
    check_page(text)
    assert told in text
    assert "too few windows for a map" in text


def test_a_forest_that_knows_little_doubts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "chart", lambda title, *_args, **_options: tag("figure", title))
    rng = np.random.default_rng(0)
    rows = [(f"{label}{n}", f"s{n}", recording(rng, "idle", 5.0), label) for n in range(3) for label in ("a", "b")]
    text = data_page(check_data(write(tmp_path, rows), closer=True))
    assert "it knows too little to doubt a label" in " ".join(text.split())


def test_the_command_writes_the_page_and_its_facts_without_a_data_source(tmp_path: Path) -> None:
    rng, place = np.random.default_rng(0), tmp_path / "out" / "data.html"
    rows = [(f"{label}{n}", f"s{n}", recording(rng, label, 4.0), label) for n in range(3) for label in ("idle", "lift")]
    result = edge_seq("data", "check", write(tmp_path, rows).with_suffix(".csv"), "--page", place, "--json")
    assert result.code in (0, 1)
    assert result.json["page"] == str(place)
    assert result.json["look"]["window_map"]["group_names"][0] == "s0"
    text = place.read_text(encoding="utf-8")
    check_page(text)
    assert "Taken for granted" in text
    assert "--write guess.toml" in text
    assert [one.name for one in place.parent.iterdir()] == ["data.html"]  # no temporary file is left


def test_a_page_is_not_written_over_a_folder(source: Path, tmp_path: Path) -> None:
    result = edge_seq("data", "check", source, "--page", tmp_path)
    assert result.code == 2
    assert "is a folder; give the name of a page" in result.err


def test_a_page_needs_a_closer_look_and_matplotlib(
    source: Path, checked: DataCheck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="check them with closer=True"):
        write_data_page(check_data(source), tmp_path / "data.html")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("edge_seq.support.drawing.has_matplotlib", lambda: False)
    with pytest.raises(ToolError, match=r"edge-seq data check --page needs matplotlib"):
        write_data_page(checked, tmp_path / "data.html")


def test_python_has_the_check_and_the_page(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chart", "stacked"):
        monkeypatch.setattr(charts, name, lambda title, *_args, **_options: tag("figure", title))
    found = es.check(source)
    assert not found.usable
    assert found.findings[0].severity == "error"
    assert "clipping" in found._repr_html_()
    assert "not usable as it is" in str(found)
    assert "look" not in found.to_dict()
    check_page(found.page(tmp_path / "data.html").read_text(encoding="utf-8"))


def of_many_classes(folder: Path) -> Path:
    """30 classes in 40 sessions, one of which stands apart; names are long."""
    rng = np.random.default_rng(0)
    rows = []
    for group in range(40):
        offset = np.array([0.3, 0.0, -0.2, 0.0]) if group == 17 else 0.02 * rng.normal(size=4)
        for kind in range(30):
            time = np.arange(2 * RATE)[:, np.newaxis] / RATE
            tone = 0.1 * (1 + kind // 10) * np.sin(2 * np.pi * (1 + kind % 10) * time) * [1, 0.5, 0.2, 20]
            values = tone + [0, 0, 1, 0] + offset + 0.02 * rng.normal(size=(2 * RATE, 4))
            rows.append((f"r{group}_{kind}", f"session{group}", values, f"activity_{kind:02d}_with_a_rather_long_name"))
    return write(folder, rows, name="many")


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="module")
def shown(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "data.html"
    place.write_text(page, encoding="utf-8")
    return place


HEIGHTS = (
    "return [...document.querySelectorAll('figure svg[role] text')].filter(t => t.getBBox().height > 0).map(t =>"
    " t.getBBox().height * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width)"
)
PANES = "return [...document.querySelectorAll('.pane')].map(e => getComputedStyle(e).display)"
# Texts of one chart that overlap, by more than a pixel in both directions.
OVERLAPS = """
return [...document.querySelectorAll('figure svg[role]')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, x], i) => boxes.slice(i + 1).filter(([b, y]) =>
    Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1
    && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 1
  ).map(([b]) => a + ' over ' + b));
});
"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_whole(width: int, scheme: str, shown: Path, chrome: Any, tmp_path: Path) -> None:
    show(chrome, shown, width, scheme)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    assert chrome.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert chrome.execute_script(OVERLAPS) == []
    assert min(chrome.execute_script(HEIGHTS)) > 7
    texts, words, _, card = chrome.execute_script(CONTRAST)
    assert (card > 0.5) == (scheme == "light")
    assert min(texts, words) >= 4.5  # what WCAG 2.1 asks of text
    assert chrome.execute_script(PANES) == ["block", "none"]
    chrome.execute_script("document.querySelector('label[for=map-group]').click()")
    assert chrome.execute_script(PANES) == ["none", "block"]
    assert chrome.save_screenshot(str(tmp_path / "page.png"))
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert chrome.get_log("browser") == []


@pytest.mark.slow
def test_30_classes_of_40_groups_make_a_page_that_can_be_read(tmp_path: Path, chrome: Any) -> None:
    found = check_data(of_many_classes(tmp_path), closer=True)
    assert found.look is not None
    assert [one.group for one in found.look.distances if one.stands_apart] == ["session17"]
    write_data_page(found, tmp_path / "many.html")
    text = (tmp_path / "many.html").read_text(encoding="utf-8")
    check_page(text)
    assert len(re.findall(r"31 other groups", text)) == 1
    for width in (390, 1280):
        show(chrome, tmp_path / "many.html", width)
        assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
        assert chrome.execute_script(OVERLAPS) == []
    assert chrome.get_log("browser") == []
