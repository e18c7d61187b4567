"""The page around the sections: one file without network, for light and dark screens, phones and paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_seq.report.charts import NUM_COLOURS
from edge_seq.report.markup import Child, Html, join, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
STYLE = Path(__file__).with_name("report.css")
_SWATCHES = "".join(f".k{i}{{background:var(--c{i})}}.f{i}{{fill:var(--c{i})}}" for i in range(NUM_COLOURS))


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor, its heading and its content."""

    anchor: str
    title: str
    body: Html


def missing(command: str, what: str = "Not made yet.") -> Html:
    """Make the note for a section that does not exist yet, with the command that makes it."""
    return tag("p", f"{what} Run: ", tag("code", command), class_="missing")


def page(title: str, subtitle: Child, sections: Sequence[Section], *, made_by: str = "edge-seq report") -> str:
    """Make the whole HTML file. Its policy lets a browser run no script and load nothing from anywhere."""
    links = tag("ul", *(tag("li", tag("a", one.title, href=f"#{one.anchor}")) for one in sections))
    body = [
        tag("header", tag("h1", title), tag("p", subtitle), tag("nav", links, aria_label="sections")),
        tag(
            "main",
            *(
                tag(
                    "section",
                    tag("h2", one.title, id=f"{one.anchor}-title"),
                    one.body,
                    id=one.anchor,
                    aria_labelledby=f"{one.anchor}-title",
                )
                for one in sections
            ),
        ),
        tag("footer", f"Made by {made_by}. This file is complete and needs no network."),
    ]
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("link", rel="icon", href="data:,"),
            Html(f"<style>{STYLE.read_text(encoding='utf-8')}{_SWATCHES}</style>"),
        ]
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{join(body)}</body></html>\n'
