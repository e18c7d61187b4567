"""HTML as values: text is escaped by construction, what is markup says so by its type."""

from __future__ import annotations

import html
from collections.abc import Sequence

VOID = {"meta", "br", "line", "rect", "circle", "path", "polyline", "polygon"}


class Html(str):
    """Markup; everything else that goes into a page is text and is escaped."""

    __slots__ = ()


Child = str | int | float | None


def text_of(value: Child) -> Html:
    """Markup as it is, text escaped, None as nothing.

    >>> text_of("<b>"), text_of(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    if isinstance(value, Html):
        return value
    return Html("" if value is None else html.escape(str(value), quote=True))


def tag(name: str, /, *children: Child, **attributes: Child) -> Html:
    """An element. ``class_`` is class, other underscores are hyphens; an attribute that is None is left out.

    >>> tag("p", "a < b", class_="note", aria_label='"x"')
    '<p class="note" aria-label="&quot;x&quot;">a &lt; b</p>'
    """
    named = (("class" if key == "class_" else key.replace("_", "-"), value) for key, value in attributes.items())
    opened = "".join(f' {key}="{html.escape(str(value), quote=True)}"' for key, value in named if value is not None)
    if name in VOID and not children:
        return Html(f"<{name}{opened}/>")
    return Html(f"<{name}{opened}>{''.join(map(text_of, children))}</{name}>")


def join(parts: Sequence[Child]) -> Html:
    """Parts one after the other."""
    return Html("".join(map(text_of, parts)))


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Child]], *, note: str = "") -> Html:
    """A table with a caption, in a box that scrolls by itself where the page is narrow."""
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    made = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    box = tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return join([box, tag("p", note, class_="note") if note else None])


def facts(pairs: Sequence[tuple[str, Child]]) -> Html:
    """Names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")


def bullets(lines: Sequence[Child]) -> Html:
    """A list."""
    return tag("ul", *(tag("li", line) for line in lines))


def code_block(lines: Sequence[str]) -> Html:
    """Commands to paste."""
    return tag("pre", tag("code", "\n".join(lines)), tabindex=0)
