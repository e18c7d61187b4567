"""edge-seq report: a page of a run and of a comparison, with what is missing named, and errors."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edge_seq.workflow.report.markup import Html, tag
from edge_seq.workflow.report.svg import Axis, Series, line_chart
from edge_seq.workflow.report.write import write_report
from tests.cli.conftest import Small, edge_seq, ok
from tests.live.browser import browser


class Tags(HTMLParser):
    """Checks that elements nest, and keeps addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def comparison(task: str = "<b>car</b>") -> dict[str, Any]:
    interval = {"value": 0.9, "low": 0.8, "high": 0.95}
    one = {
        **{"name": "gru 4", "cell": "gru", "hidden_size": 4, "first_weights": "default", "sizes": ["4 units"]},
        **{"interval": interval, "training_cpu_seconds": 1.0, "integer": {"status": "refused", "reasons": []}},
        "gradient": {"after": [1.0, 0.1, 0.0], "oldest_to_newest_before": 0.1, "oldest_to_newest_after": 0.0},
        "cost": {"status": "unmeasured", "parameters": 100, "macs_per_step": 90},
    }
    return {
        **{"format": "edge_seq.compare/1", "task": task, "command": "edge-seq compare", "versions": {"numpy": "2"}},
        "config": {"cells": ["gru"], "window_lengths": [8, 16], "score": "accuracy", "training": {"pooling": "last"}},
        **{"sizes": [{"name": "4 units"}], "candidates": [{**one, "time_steps": 8}, {**one, "time_steps": 16}]},
        "verdicts": [{"scope": "all", "pick": "gru 4", "why": "Take gru."}],
        **{"rules": ["one"], "data_note": "simulated", "failures": {}, "trainings_left": 0, "takeovers": 0},
        "solved_up_to": None,
    }


def test_a_run_as_page_json_and_table(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    found = ok("report", small.run, "--out", out, "--json").json
    assert (found["kind"], found["page"]) == ("run", str(out))
    assert "metrics" in found["missing"] or found["metrics"] is not None
    text = out.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert all(address.startswith(("#", "data:")) for address in tags.addresses)
    assert len(text) < 3_000_000
    for heading in ("Intended use", "Limits", "Sensor contract", "Range proof", "Commands"):
        assert heading in text
    assert f"edge-seq quantize {small.run}" in text


def test_a_comparison_as_page_with_values_escaped(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps(comparison()))
    result = ok("report", tmp_path)
    assert "Take gru." in result.out
    text = (tmp_path / "report.html").read_text()
    assert "&lt;b&gt;car&lt;/b&gt;" in text
    assert "<b>car" not in text


def test_what_is_no_run_and_no_comparison_is_refused(tmp_path: Path) -> None:
    result = edge_seq("report", tmp_path)
    assert result.code == 2
    assert "is neither the folder of a run (config.toml) nor of a comparison" in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a table in JSON"),
        ('{"format": "other"}', "format 'other', expected 'edge_seq.compare/1'"),
        ('{"format": "edge_seq.compare/1"}', "not as its command writes it (KeyError: 'verdicts')"),
    ],
)
def test_a_damaged_comparison_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(content)
    result = edge_seq("report", tmp_path)
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_table_of_a_run_is_named(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    (run / "quantization.json").write_text("[]")
    result = edge_seq("report", run)
    assert result.code == 2
    assert "quantization.json" in result.err


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "<i>", Html("<br/>"), title='"') == '<p title="&quot;">&lt;i&gt;<br/></p>'


def test_a_gap_parts_a_line() -> None:
    drawn = line_chart("t", [Series("a", [0, 1, 2], [1.0, None, 2.0])], Axis("x"), Axis("y"))
    assert drawn.count("<polyline") == 2


@pytest.mark.parametrize("kind", ["run", "comparison"])
def test_a_browser_shows_it_without_network_or_errors(kind: str, small: Small, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(json.dumps(comparison()))
    _, place = write_report(small.run if kind == "run" else tmp_path, tmp_path / "page.html")
    with browser(tmp_path / "browser") as page:
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        page.get(place.as_uri())
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert page.get_log("browser") == []
