"""Results as plain values, and back; tables as text and as HTML."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from edge_seq.support.display import ShownAsTables, Table, text_table
from edge_seq.support.files import json_text
from edge_seq.support.results import Result, from_plain, written


class Ability(enum.IntFlag):
    STREAM = 1
    RESET = 2


@dataclass(frozen=True)
class Part(Result):
    derived = ("double",)

    size: int
    share: float = 0.5

    @property
    def double(self) -> int:
        return 2 * self.size


@dataclass(frozen=True)
class Note(Result):
    warning: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Whole(Result, ShownAsTables):
    name: str
    parts: tuple[Part, ...]
    pair: tuple[str, int]
    by_name: dict[str, Part]
    kind: Literal["a", "b"]
    first: Part = field(metadata=written("1st"))
    limit: int | None
    extra: int | None = field(default=None, metadata=written(unless_none=True))
    note: Note | None = field(default=None, metadata=written(inline=True))
    file: Path = Path("a/b")

    def tables(self) -> Sequence[Table]:
        return [
            Table(f"<{self.name}>", ["part", "size"], [[name, str(one.size)] for name, one in self.by_name.items()])
        ]


WHOLE = Whole(
    name="x", parts=(Part(1), Part(2, 0.25)), pair=("p", 3), by_name={"&": Part(4)}, kind="a", first=Part(5), limit=None
)


def test_fields_keep_their_order_and_none_is_left_out_where_the_class_says_so() -> None:
    assert WHOLE.to_dict() == {
        "name": "x",
        "parts": [{"size": 1, "share": 0.5, "double": 2}, {"size": 2, "share": 0.25, "double": 4}],
        "pair": ["p", 3],
        "by_name": {"&": {"size": 4, "share": 0.5, "double": 8}},
        "kind": "a",
        "1st": {"size": 5, "share": 0.5, "double": 10},
        "limit": None,
        "file": "a/b",
    }
    assert list(WHOLE.to_dict()) == ["name", "parts", "pair", "by_name", "kind", "1st", "limit", "file"]


def test_an_inline_result_gives_its_keys_to_the_one_around_it() -> None:
    noted = Whole(**{**vars(WHOLE), "extra": 7, "note": Note("hot", "me")})
    assert list(noted.to_dict())[-4:] == ["extra", "warning", "by", "file"]
    assert from_plain(Whole, noted.to_dict()) == noted


def test_a_result_is_read_back_from_its_json() -> None:
    assert from_plain(Whole, json.loads(json_text(WHOLE))) == WHOLE


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_know_becomes_null_and_is_read_as_no_number(value: float) -> None:
    table = json.loads(json_text(Part(1, value)))
    assert table["share"] is None
    assert from_plain(Part, table).share != from_plain(Part, table).share


def test_flags_become_names() -> None:
    assert json_text({"has": Ability.STREAM | Ability.RESET}, indent=None) == '{"has": ["stream", "reset"]}'
    assert json_text([Ability(0)], indent=None) == "[[]]"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": 3}, TypeError),
        ({"parts": {}}, TypeError),
        ({"parts": [{"share": 0.5}]}, KeyError),
        ({"pair": ["p"]}, TypeError),
        ({"kind": "c"}, TypeError),
        ({"1st": {"size": True}}, TypeError),
        ({"1st": {"size": 1.5}}, TypeError),
        ({"limit": "much"}, TypeError),
        ({"warning": "half a note"}, KeyError),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        from_plain(Whole, {**WHOLE.to_dict(), **change})
    with pytest.raises(TypeError, match="expected the fields of Whole"):
        from_plain(Whole, [])


def test_a_missing_key_takes_the_default_and_an_unknown_one_is_ignored() -> None:
    assert from_plain(Part, {"size": 1, "of_a_later_release": 2}) == Part(1)


def test_a_result_shows_itself_as_text_and_as_html() -> None:
    assert "<x>" in str(WHOLE)
    page = WHOLE._repr_html_()
    assert page.startswith("<table>")
    assert "&lt;x&gt;" in page
    assert "&amp;" in page
    assert "<x>" not in page


def test_a_title_is_not_wrapped_at_the_width_of_its_table() -> None:
    title = "validation windows, calibration before and after the temperature"
    assert text_table(title, ["n"], [["1"]]).splitlines()[0] == title
    assert max(map(len, text_table(title, ["n"], [["1"]], width=20).splitlines())) <= 20
