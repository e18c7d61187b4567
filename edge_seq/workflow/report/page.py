"""The page around sections: one file, no network, light and dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_seq.workflow.report.markup import Child, Html, join, tag

STYLE = """
:root { color-scheme: light dark; --page:#f6f6f3; --card:#fff; --ink:#1b1b19; --muted:#5c5b56; --line:#d6d5ce; --grid:#e8e7e1;
 --good:#17693f; --bad:#b3261e; --heat:#2a78d6;
 --c0:#2a78d6; --c1:#d9541e; --c2:#128a5d; --c3:#b87a00; --c4:#cf4f83; --c5:#4a3aa7; --c6:#d03b3a; --c7:#6b6a64; }
@media screen and (prefers-color-scheme: dark) { :root { --page:#141413; --card:#1e1e1c; --ink:#f1f0ea; --muted:#b3b2aa;
 --line:#3d3d38; --grid:#2e2e2a; --good:#63d39b; --bad:#ff8a80; --heat:#3987e5; --c0:#5a9eee; --c1:#ee7a4c; --c2:#30b98a;
 --c3:#dba03a; --c4:#e5749c; --c5:#a197f0; --c6:#ee7f7f; --c7:#98978f; } }
* { box-sizing:border-box } body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,sans-serif; }
header, main, footer { max-width:1200px; margin:0 auto; padding:16px 20px; overflow-wrap:anywhere }
h1 { font-size:26px; line-height:1.2; margin:10px 0 4px } h2 { font-size:19px; margin:0 0 10px } h3 { font-size:15px; margin:18px 0 6px }
header p, .note, footer { color:var(--muted) } .note { font-size:13.5px; margin:8px 0 0 }
nav ul { display:flex; flex-wrap:wrap; gap:2px 16px; list-style:none; padding:0; margin:12px 0 0; font-size:14px }
a { color:var(--c0) } nav a { display:inline-block; padding:4px 0 }
main { display:grid; gap:16px; grid-template-columns:minmax(0,1fr); padding-top:0 }
section { background:var(--card); border:1px solid var(--line); border-radius:12px; padding:18px 20px; min-width:0; break-inside:auto }
.figures { display:grid; gap:18px; grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr)); margin-top:12px; align-items:start }
figure { margin:0; min-width:0; max-width:560px; break-inside:avoid } figure.wide { max-width:none; margin-top:16px }
figcaption, caption { font-weight:600; text-align:left; font-size:14px; padding:0 0 6px }
svg { display:block; width:100%; height:auto; overflow:visible } .legend { display:flex; flex-wrap:wrap; gap:2px 14px; list-style:none; padding:0; margin:0 0 6px; font-size:13px }
.legend li { display:flex; gap:6px; align-items:center } .legend svg { width:auto; flex:none }
.strip svg { min-width:860px }
svg text { fill:var(--muted); font:11px system-ui,sans-serif } svg .label { fill:var(--ink) } svg .strip-name { fill:var(--ink) }
.end { text-anchor:end } .middle { text-anchor:middle } svg .small { font-size:9.5px } .grid { stroke:var(--grid); stroke-width:1 }
.line { fill:none; stroke-width:1.9; stroke-linejoin:round } .whisker { stroke-width:1.4; opacity:.75 } .band { stroke-width:.8 } .unknown { fill:var(--line) }
SERIES
.scroll { overflow-x:auto; margin-top:12px } table { border-collapse:collapse; font-size:14px; font-variant-numeric:tabular-nums; min-width:min(100%,420px) }
th, td { padding:5px 14px 5px 0; border-bottom:1px solid var(--grid); text-align:right; vertical-align:top } th:first-child { text-align:left; font-weight:500 }
thead th { color:var(--muted); font-size:13px; font-weight:600; vertical-align:bottom } td.text, th.text { text-align:left }
.heat td { min-width:64px; text-align:center; padding:6px 8px; border:2px solid var(--card) } .heat small { display:block; font-size:12px }
.facts { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(230px,100%),1fr)); gap:10px 22px; margin:8px 0 0 }
.facts dt { font-size:13px; color:var(--muted) } .facts dd { margin:0; font-weight:500; overflow-wrap:anywhere }
.good { color:var(--good); font-weight:600 } .bad { color:var(--bad); font-weight:600 } .missing { border-left:3px solid var(--line); padding-left:12px; color:var(--muted) }
.verdict { font-size:17px; border-left:4px solid var(--c0); padding-left:14px; margin:8px 0 } ul, ol { padding-left:20px } li { margin:3px 0 }
pre { background:var(--page); border:1px solid var(--line); border-radius:8px; padding:12px; overflow-x:auto; font-size:13px } code { font-family:ui-monospace,monospace; overflow-wrap:anywhere }
.meter { display:block; height:5px; min-width:90px; background:var(--grid); border-radius:3px; margin-top:3px } .meter span { display:block; height:5px; border-radius:3px; background:var(--c0) } .meter .over { background:var(--bad) }
:focus-visible { outline:2px solid var(--c0); outline-offset:2px }
@media (max-width:600px) { header, main, footer { padding-left:12px; padding-right:12px } section { padding:14px } h1 { font-size:22px } }
@media print { @page { margin:14mm } body { background:#fff; font-size:11pt } nav { display:none } header, main, footer { padding:0; max-width:none }
 section { border:0; padding:6px 0 } h2, caption, figcaption { break-after:avoid } tr { break-inside:avoid } .scroll { overflow:visible }
 .strip svg { min-width:0 } .figures { grid-template-columns:1fr 1fr } pre { white-space:pre-wrap } table { font-size:9pt } th, td { padding-right:8px }
 * { print-color-adjust:exact; -webkit-print-color-adjust:exact } }
"""
_SERIES = "\n".join(f".s{i} {{ stroke:var(--c{i}) }} .f{i} {{ fill:var(--c{i}) }}" for i in range(8))


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading, what is in it."""

    anchor: str
    title: str
    body: Html


def missing(command: str) -> Html:
    """In place of figures that were not made."""
    return tag("p", "Not made yet. This makes it: ", tag("code", command), class_="missing")


def page(title: str, subtitle: Child, sections: Sequence[Section]) -> str:
    """The whole file."""
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
        tag("footer", "Made by edge-seq report; everything is in this file."),
    ]
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            Html('<link rel="icon" href="data:,">'),
            Html(f"<style>{STYLE.replace('SERIES', _SERIES)}</style>"),
        ]
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{join(body)}</body></html>\n'
