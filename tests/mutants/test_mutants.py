"""The tool that changes our own code: what it changes, and that the change is in the running process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.mutants.run import QUICK, Kept, Scored, plant
from tests.mutants.sites import mutants

ROOT = Path(__file__).parents[2]
SOURCE = '''"""A module."""
MOST = 3


def fits(value: int) -> bool:
    """A docstring."""
    if not value:
        raise ValueError(f"{value} of {MOST}")
    return value < MOST and value != 1
'''


def test_what_is_changed() -> None:
    found = [(one.line, one.what) for one in mutants(SOURCE)]
    assert found == [
        (2, "3 -> 4"),
        (7, "not value -> not not value"),
        (7, "not value -> +value"),
        (9, "value < MOST and value != 1 -> value < MOST or value != 1"),
        (9, "value < MOST -> value <= MOST"),
        (9, "value != 1 -> value == 1"),
        (9, "1 -> 2"),
    ]


def test_the_unknown_size_of_a_reshape_is_not_changed_as_any_negative_one_is_the_same() -> None:
    assert [one.what for one in mutants("a.reshape(-1, 2)\nb.take(-1)\n")] == [
        "-1 -> +1",
        "2 -> 3",
        "-1 -> +1",
        "1 -> 2",
    ]


@pytest.mark.parametrize(
    ("what", "values", "found"),
    [("value < MOST -> value <= MOST", (2, 3, 4), [True, True, False]), ("3 -> 4", (3, 4), [True, False])],
)
def test_a_change_is_planted_into_the_running_process(
    what: str, values: tuple[int, ...], found: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("planted_module", None)
    module = importlib.import_module("planted_module")
    fits = module.fits
    assert plant(module, {one.what: one for one in mutants(SOURCE)}[what])
    assert [fits(value) for value in values] == found
    del sys.modules["planted_module"]


def test_each_module_and_its_tests_exist() -> None:
    for module, tests in QUICK.items():
        assert all((ROOT / one).is_file() for one in (module, *tests)), module
    assert "| x | 0 | 0 | 0.0 % | 0 | 0 |" in Scored("x").row()
    for package in ("arithmetic", "quant", "parity"):  # whole
        for path in (ROOT / "edge_seq" / package).glob("*.py"):
            assert path.name == "__init__.py" or path.relative_to(ROOT).as_posix() in QUICK


def test_results_are_kept_as_long_as_module_and_tests_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("module.py", SOURCE), ("test_one.py", "# one"), ("test_two.py", "# two")):
        Path(name).write_text(text)
    monkeypatch.setitem(QUICK, "module.py", ("test_one.py",))
    first, second, third = list(mutants(SOURCE))[:3]
    kept = Kept(Path("build/kept.jsonl"), "module.py")
    assert kept.read() == {}
    kept.add(first, "killed")
    kept.add(second, "survived")
    assert kept.read() == {first.name: "killed", second.name: "survived"}
    monkeypatch.setitem(QUICK, "module.py", ("test_one.py", "test_two.py"))
    assert kept.read() == {first.name: "killed"}  # a new test may kill what survived
    kept.add(third, "untried")
    assert kept.read() == {first.name: "killed", third.name: "untried"}
    Path("test_one.py").write_text("# changed")
    assert kept.read() == {}
    Path("test_one.py").write_text("# one")
    Path("module.py").write_text(f"{SOURCE}\n")
    assert kept.read() == {}


def test_results_are_counted() -> None:
    scored = Scored("x")
    for mutant, result in zip(mutants(SOURCE), ("killed", "survived", "killed", "untried"), strict=False):
        scored.add(mutant, result)
    assert "| x | 3 | 2 | 66.7 % | 1 | 0 |" in scored.row()
    assert [one.line for one in scored.survivors] == [7]
