"""The page of a model in a browser: opens it, and takes what it decided."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from tests.cli.html_pages import show


def decisions_of(page: Any, folder: Path) -> list[dict[str, str]]:
    """Wait until the stream has ended, and save its decisions."""
    until = time.monotonic() + 60
    while page.find_element("id", "state").text not in ("all was read", "stopped"):
        assert time.monotonic() < until, page.find_element("id", "error").text
        time.sleep(0.05)
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    saved = folder / "decisions.csv"
    saved.unlink(missing_ok=True)
    page.find_element("id", "save").click()
    while not saved.is_file():
        assert time.monotonic() < until
        time.sleep(0.05)
    with saved.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def open_page(page: Any, path: Path) -> None:
    """Open the page, wait for its self-test, and let files run at once."""
    show(page, path, 1280)
    until = time.monotonic() + 60
    while page.find_element("id", "state").text != "ready":
        assert time.monotonic() < until, page.find_element("id", "self-test").text
        time.sleep(0.05)
    page.execute_script("document.getElementById('speed').value = '0'")
