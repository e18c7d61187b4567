"""constraints/tested.txt pins every package that the tests run with, for every Python; constraints/lowest.txt has the
lower bounds of pyproject.toml."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


def constraints(name: str) -> list[str]:
    """The lines of a file below constraints/ that hold one."""
    text = (ROOT / "constraints" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


LINES = constraints("tested.txt")
NOT_LOWEST = {"torch"}  # its older releases are several gigabytes each
PINS = {canonicalize_name(pin.name): pin for pin in map(Requirement, LINES)}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def _needed_here(name: str, extras: frozenset[str], seen: dict[tuple[str, frozenset[str]], None]) -> None:
    """Every package that installing ``name`` with ``extras`` brings into this environment."""
    name = canonicalize_name(name)
    if (name, extras) in seen:
        return
    seen[name, extras] = None
    for requirement in map(Requirement, importlib.metadata.requires(name) or []):
        environments = [{"extra": extra} for extra in (*extras, "")]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            try:
                importlib.metadata.distribution(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                continue  # not in this environment, so nothing that the tests run with
            _needed_here(requirement.name, frozenset(requirement.extras), seen)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the pins were frozen on 3.11; 3.10 needs some packages more")
def test_everything_that_the_tests_run_with_is_pinned() -> None:
    seen: dict[tuple[str, frozenset[str]], None] = {}
    _needed_here("edge-seq", frozenset({"test", "docs"}), seen)
    names = {name for name, _ in seen} - {"edge-seq", "setuptools"}
    assert {"numpy", "torch", "pytest"} <= names
    # The CUDA build of torch brings packages that the CPU build has not.
    assert sorted(name for name in names - PINS.keys() if not name.startswith(("nvidia-", "cuda-", "triton"))) == []


@pytest.mark.parametrize("line", LINES)
def test_a_pin_is_one_public_version_from_any_index(line: str) -> None:
    assert re.fullmatch(r'[\w.-]+==[\w.]+(; python_version >= "3\.11")?', line)


@pytest.mark.parametrize("python", PYTHONS)
def test_no_pin_asks_for_another_python(python: str) -> None:
    """As far as the releases say that are installed here."""
    looked_at, refused = 0, []
    for name, pin in PINS.items():
        if pin.marker is not None and not pin.marker.evaluate({"python_version": python}):
            continue
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if pin.specifier.contains(metadata["Version"]):
            looked_at += 1
            if not SpecifierSet(metadata.get("Requires-Python") or "").contains(f"{python}.9"):
                refused.append(name)
    assert looked_at
    assert refused == []


def lower_bounds() -> dict[str, Requirement]:
    """Every package that pyproject.toml names, by its normalized name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    named = [Requirement(line) for group in groups for line in group]
    return {canonicalize_name(one.name): one for one in named if one.name != "edge-seq"}


def test_lowest_constraints_are_the_lower_bounds() -> None:
    bounds = lower_bounds()
    lowest = {canonicalize_name(pin.name): pin for pin in map(Requirement, constraints("lowest.txt"))}
    assert sorted(lowest) == sorted(bounds)
    for name, bound in bounds.items():
        ((bound_operator, bound_version),) = [(one.operator, one.version) for one in bound.specifier]
        ((operator, version),) = [(one.operator, one.version) for one in lowest[name].specifier]
        assert (bound_operator, operator) == (">=", "=="), name
        assert str(bound.marker) == str(lowest[name].marker), name
        if name in NOT_LOWEST:
            assert Version(version) > Version(bound_version), name
        else:
            assert version == bound_version, name


def test_what_the_tests_run_with_is_within_the_bounds() -> None:
    # tomli is needed below 3.11 alone; the tests run without aeon, which brings numba and older releases of others.
    assert {name for name, bound in lower_bounds().items() if name not in PINS} <= {"tomli", "aeon"}
    for name, bound in lower_bounds().items():
        for pin in PINS[name].specifier if name in PINS else ():
            assert bound.specifier.contains(pin.version), name
