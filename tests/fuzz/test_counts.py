"""Executions of all fuzzing: what a run adds to them, and the tables that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import counts, run
from tests.fuzz.run import Fuzzed


def test_a_run_is_added_to_those_before_it(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    assert counts.load(file) == {}
    counts.add(Fuzzed("reader csv", 300, 60, 2.0, None, {}), file)
    counts.add(Fuzzed("fuzz_wire, loop", 5_000_000, -1, 8.0, None, {}), file)
    counts.add(Fuzzed("reader csv", 100, 0, 0.5, None, {"ValueError at x.py:3": b""}), file)
    found = counts.load(file)
    assert list(found) == ["fuzz_wire, loop", "reader csv"]
    assert found["reader csv"] == counts.Count(2, 400, 400, 2.5, 60, 1)
    made = counts.tables(found)
    assert made["Python"] == f"{counts.HEADER}| reader csv | 400 | 160 | 15 % | 1 |\n"
    assert made["C"] == f"{counts.HEADER}| fuzz_wire, loop | 5,000,000 | 625,000 |  | 0 |\n"
    assert "| x | 7 | not measured | 0 % | 0 |" in counts.Count(1, 7).row("x")
    page = (
        "a\n<!-- counts of C -->\nold\n<!-- end of counts -->\nb\n<!-- counts of Python -->\n<!-- end of counts -->\n"
    )
    assert counts.written(page, found) == (
        f"a\n<!-- counts of C -->\n{made['C']}<!-- end of counts -->\nb\n<!-- counts of Python -->\n{made['Python']}"
        "<!-- end of counts -->\n"
    )
    with pytest.raises(ValueError, match="no place for the counts of Python"):
        counts.written("<!-- counts of C -->\n<!-- end of counts -->", found)


def test_a_loop_with_counts_goes_on_with_other_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers: list[int] = []

    def fuzz(target: object, *, number: int, seconds: float) -> Fuzzed:
        numbers.append(number)
        return Fuzzed("reader npy", 10, 5, seconds, None, {})

    monkeypatch.setattr(run, "fuzz", fuzz)
    monkeypatch.setattr(run, "_quiet", lambda: None)
    for _ in range(3):
        assert (
            run.main(["reader npy", "--number", "7", "--seconds", "2", "--counts", str(tmp_path / "counts.json")]) == 0
        )
    assert numbers == [7, 8, 9]
    assert counts.load(tmp_path / "counts.json")["reader npy"] == counts.Count(3, 30, 30, 6.0, 15, 0)
    assert "| reader npy | 10 | 5 | 50 % |" in capsys.readouterr().out


def test_the_page_shows_the_counts() -> None:
    page = counts.PAGE.read_text("utf-8")
    assert counts.written(page, counts.load()) == page, "python -m tests.fuzz.counts"
