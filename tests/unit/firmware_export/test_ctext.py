"""Generated C text."""

from __future__ import annotations

from firmware_export.emission import ctext


def test_string_literals_survive_any_text() -> None:
    assert ctext.string_literal("parked") == '"parked"'
    assert ctext.string_literal('"\\?\n') == r'"\042\134\077\012"'
    assert ctext.string_literal("ß1") == r'"\303\2371"'  # three digits each, so that the 1 is not taken in
    assert "??" not in ctext.string_literal("??/")


def test_comment_cannot_be_ended_from_within() -> None:
    assert ctext.comment("a */ b\nc") == "/* a * / b\n * c */\n"


def test_arrays() -> None:
    text = ctext.array("int32_t", "x", [-(2**31), 5], shape="[2]", rom=True, word_aligned=True)
    assert text == "/* [2] */\nstatic const ES_ROM int32_t x[2] ES_WORD_ALIGNED = {\n    (-2147483647 - 1), 5,\n};\n"
    assert ctext.array("uint32_t", "x", [255], public=True) == "const uint32_t x[1] = {\n    0x000000FFu,\n};\n"
    assert max(map(len, ctext.array("int16_t", "x", range(1000)).splitlines())) <= 116


def test_structures() -> None:
    assert ctext.struct("t", "x", {"a": "1u"}) == "const t x = {\n    .a = 1u,\n};\n"
    short = ctext.struct_array("t", "x", [{"a": "1", "b": "2"}], shape="[1]")
    assert short == "/* [1] */\nstatic const t x[1] = {\n    {.a = 1, .b = 2},\n};\n"
    long = ctext.struct_array("t", "x", [{"a": "1" * 80, "b": "2" * 80}], shape="[1]")
    assert max(map(len, long.splitlines())) <= 116


def test_names() -> None:
    assert ctext.macro_name("a-b c") == "A_B_C"
    assert ctext.unsigned(3) == "3u"
