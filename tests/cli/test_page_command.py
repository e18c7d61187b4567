"""edge-seq page: in a browser, the labels of `edge-seq run` on the same file and the same motion."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Small, edge_seq, ok
from tests.live.browser import browser
from tests.live.model_pages import decisions_of, open_page


def said_by_run(*arguments: str | Path) -> list[Any]:
    return [json.loads(line) for line in ok("run", *arguments, "--json").out.splitlines()]


MOTION = """
const [rows, period] = arguments;
rows.forEach(([x, y, z], at) => {
  const event = new DeviceMotionEvent("devicemotion", {accelerationIncludingGravity: {x, y, z}, interval: period});
  Object.defineProperty(event, "timeStamp", {value: 1000 + at * period});
  dispatchEvent(event);
});
"""


@pytest.mark.slow
def test_labels_in_a_browser_equal_those_of_run(small: Small, tmp_path: Path) -> None:
    """A file of recordings, and the motion events of one of them."""
    pytest.importorskip("ziglang", reason='pip install "edge-seq[compiler]"')
    assert "page: " in ok("page", small.run, "--out", tmp_path / "demo.html").out
    (tmp_path / "bad.csv").write_text("t,ax,ay\n0,1,2\n")
    with small.drives.open(encoding="utf-8") as file:
        drive = [row for row in csv.DictReader(file) if row["drive"] == "drive_000"]
    axes = ("ax", "ay", "az")
    lines = [",".join(row[name] for name in ("t", *axes)) for row in drive]
    (tmp_path / "one.csv").write_text("\n".join(["t,ax,ay,az", *lines]) + "\n")
    with browser(tmp_path) as page:
        open_page(page, tmp_path / "demo.html")
        assert "Self-test passed: 4 stored answers" in page.find_element("id", "self-test").text
        page.find_element("id", "file").send_keys(str(small.drives))
        found, expected = decisions_of(page, tmp_path), said_by_run(small.run, "--source", small.drives)
        assert len(found) == len(expected) == 12 * 24
        for one, wanted in zip(found, expected, strict=True):
            assert (one["recording"], int(one["sample"])) == (wanted["recording"], wanted["sample"])
            assert one["label"] == one["decision"] == wanted["label"]
            shares = {label: float(one[f"probability of {label}"]) for label in wanted["probabilities"]}
            assert shares == pytest.approx(wanted["probabilities"], abs=2e-6)
        assert "drive: name of the recording" in page.find_element("id", "taken").text
        for width in (390, 1280):
            page.set_window_size(width, 900)
            assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        page.find_element("id", "file").send_keys(str(tmp_path / "bad.csv"))
        time.sleep(0.3)
        assert page.find_element("id", "state").text == "not read"
        assert "it must name each of these columns once: ax, ay, az" in page.find_element("id", "error").text

        answer = "DeviceMotionEvent.requestPermission = async () => arguments[0]"
        page.execute_script(answer, "denied")
        page.find_element("id", "listen").click()
        time.sleep(0.3)
        assert "its use was not allowed" in page.find_element("id", "error").text
        page.execute_script(answer, "granted")
        page.find_element("id", "listen").click()
        time.sleep(0.3)
        page.execute_script(MOTION, [[float(row[name]) for name in axes] for row in drive], 100)
        time.sleep(0.3)
        assert "10.0 Hz, resampled to 10 Hz by linear interpolation" in page.find_element("id", "taken").text
        page.find_element("id", "stop").click()
        found = decisions_of(page, tmp_path)
        expected = said_by_run(small.run, "--data", "contract", "--source", tmp_path / "one.csv")
        assert len(found) == len(expected) > 10
        assert [(int(one["sample"]), one["label"]) for one in found] == [
            (one["sample"], one["label"]) for one in expected
        ]
        page.find_element("id", "listen").click()
        time.sleep(2.5)
        assert "none answers" in page.find_element("id", "error").text
        assert page.get_log("browser") == []


def test_a_folder_is_refused(small: Small, tmp_path: Path) -> None:
    refused = edge_seq("page", small.run, "--out", tmp_path)
    assert refused.code == 2
    assert f"page: cannot write to {tmp_path}, which is a folder; give the name of a page" in refused.err
