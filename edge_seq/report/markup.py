"""HTML as values. Text is always escaped; markup has its own type."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from edge_seq.support.names import visible

VOID = {"meta", "link", "input", "path", "br"}


class Html(str):
    """Markup. Everything else that goes into a page is text and is escaped."""

    __slots__ = ()


Child = str | int | float | None


def text_of(value: Child) -> Html:
    r"""Convert a child to markup: markup stays as it is, text is escaped, None becomes empty.

    Control characters are written out, as a browser drops them or turns the direction of what follows.

    >>> text_of("<b>"), text_of(Html("<b>")), text_of("a\x00")
    ('&lt;b&gt;', '<b>', 'a\\x00')
    """
    if isinstance(value, Html):
        return value
    return Html("" if value is None else html.escape(visible(str(value)), quote=True))


def tag(name: str, /, *children: Child, **attributes: Child) -> Html:
    """Make an element. ``class_`` becomes class, other underscores become hyphens; an attribute of None is left out.

    >>> tag("p", "a < b", class_="note", aria_label='"x"')
    '<p class="note" aria-label="&quot;x&quot;">a &lt; b</p>'
    """
    named = (("class" if key == "class_" else key.replace("_", "-"), value) for key, value in attributes.items())
    opened = "".join(f' {key}="{text_of(str(value))}"' for key, value in named if value is not None)
    if name in VOID and not children:
        return Html(f"<{name}{opened}/>")
    return Html(f"<{name}{opened}>{''.join(map(text_of, children))}</{name}>")


def join(parts: Sequence[Child]) -> Html:
    """Join parts one after the other."""
    return Html("".join(map(text_of, parts)))


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Child]], *, class_: str | None = None) -> Html:
    """Make a table with a caption, in a box that scrolls if the page is narrow."""
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return captioned(caption, tag("table", tag("thead", head), tag("tbody", *body), class_=class_))


def captioned(caption: str, made: Html) -> Html:
    """Put wide content in a box that scrolls, below a caption that does not scroll."""
    box = tag("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)
    return tag("figure", tag("figcaption", caption), box, class_="wide")


def side_by_side(parts: Iterable[Html]) -> Html:
    """Put parts of any width beside each other if there is room."""
    return tag("div", *parts, class_="beside")


def figures(drawn: Iterable[Html]) -> Html:
    """Put figures beside each other if there is room."""
    return tag("div", *drawn, class_="figures")


def meter(value: int | None, limit: int | None) -> Html:
    """Show a number. If it has a limit, show the limit and a bar of the used share too.

    >>> meter(7, None)
    '7'
    """
    if value is None or limit is None:
        return text_of("-" if value is None else f"{value:,}")
    return bar(f"{value:,} of {limit:,}", value / limit)


def bar(text: str, share: float) -> Html:
    """Make a text with a bar of a share below it. A share above 1 fills the bar in another colour."""
    used = tag("span", style=f"width:{min(100.0, 100 * share):.1f}%", class_="over" if share > 1 else None)
    return join([text, tag("span", used, class_="meter", aria_hidden="true")])


def facts(pairs: Sequence[tuple[str, Child]]) -> Html:
    """Make a list of names and values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")


def bullets(lines: Sequence[Child]) -> Html:
    """Make a bulleted list."""
    return tag("ul", *(tag("li", line) for line in lines))


def code_block(lines: Sequence[str]) -> Html:
    """Make a block of commands to paste."""
    return tag("pre", tag("code", "\n".join(lines)), tabindex=0)
