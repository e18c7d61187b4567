"""The tool that changes our own code: what it changes, and that the change is in the running process."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.mutants.run import QUICK, Scored, plant
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
