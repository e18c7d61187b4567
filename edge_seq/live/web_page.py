"""Web pages of one file, from the parts in the folder ``web``: styles, scripts and what pages share."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

_STYLE, _SCRIPT = ("<style>", "</style>"), ('<script type="module">', "</script>")


@dataclass(frozen=True)
class WebPage:
    """A page with its style and script in it.

    Attributes:
        html: text of the page.
        style_hash, script_hash: what a Content-Security-Policy calls them, so that a browser takes no others.
    """

    html: str
    style_hash: str
    script_hash: str


def web_text(name: str) -> str:
    """A file of the folder ``web``."""
    return (files("edge_seq.live") / "web" / name).read_text(encoding="utf-8")


def assemble(
    name: str, *, styles: Sequence[str], scripts: Sequence[str], values: Mapping[str, str] | None = None
) -> WebPage:
    """Put styles and scripts into a page, and the signals, decisions and figures that pages share.

    Args:
        name: file of the page in the folder ``web``.
        styles: text of each style.
        scripts: text of each ES module, those that are imported first. Their imports and exports are taken out, so that
            they form one module; no two may have the same name at their top level.
        values: markup for each ``{key}`` of the file; ``{style_hash}`` and ``{script_hash}`` are given.
    """
    style = "".join(styles)
    # Texts in a script, such as labels, must not end it: in a string of JavaScript "<\\/" is "</".
    script = "".join(map(_without_imports, scripts)).replace("</", "<\\/").replace("<!--", "<\\!--")
    markup = {**(values or {}), "style_hash": _hash(style), "script_hash": _hash(script)}
    html = re.sub(r"\{([a-z_]+)\}", lambda found: markup[found[1]], web_text(name))
    html = html.replace("  <!-- view -->\n", web_text("view.html"))
    for (begin, end), content in ((_STYLE, style), (_SCRIPT, script)):
        html = html.replace(begin + end, begin + content + end)
    return WebPage(html, _hash(style), _hash(script))


def _without_imports(module: str) -> str:
    return re.sub(r"^export ", "", re.sub(r"^import .*\n", "", module, flags=re.MULTILINE), flags=re.MULTILINE)


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
