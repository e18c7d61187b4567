"""What every page must be: well-formed, one file, without scripts; and how a browser shows it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

MOST_BYTES = 3_000_000
VOID = ("meta", "link", "input")
# Contrast of WCAG 2: (lighter + 0.05) / (darker + 0.05) of relative luminances.
CONTRAST = """
const linear = v => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
const luminance = c => {
  const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(v => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const page = luminance(getComputedStyle(document.querySelector('section')).backgroundColor);
const contrast = c => { const l = luminance(c); return (Math.max(l, page) + 0.05) / (Math.min(l, page) + 0.05) };
const styles = (selector, key) => [...document.querySelectorAll(selector)].map(e => getComputedStyle(e)[key]);
const texts = styles('svg text', 'fill').map(contrast);
const words = styles('h2, p, li, td, dt, dd, th, figcaption', 'color').map(contrast);
const lines = styles('svg path', 'stroke').filter(s => s.startsWith('rgb(')).map(contrast);
return [Math.min(...texts), Math.min(...words), Math.min(...lines), page];
"""


class Tags(HTMLParser):
    """Checks that elements nest, and keeps addresses and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._keep(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._keep(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def _keep(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


def check_page(text: str) -> None:
    """Well-formed, of one file, without scripts, small."""
    tags = Tags(text)
    assert all(address.startswith(("#", "data:")) for address in tags.addresses), tags.addresses
    assert {address[1:] for address in tags.addresses if address.startswith("#")} <= set(tags.ids)
    assert len(tags.ids) == len(set(tags.ids))
    assert not {"script", "img", "iframe", "object"} & tags.names
    assert "url(http" not in text
    assert "@import" not in text
    assert len(text.encode()) < MOST_BYTES


def show(chrome: Any, page: Path, width: int, scheme: str = "light") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chrome.get(page.as_uri())
