"""Every package: what it holds, that models share it, that it is the same every time; the registry and the command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_seq.pipeline.exports import render_c
from edge_seq.support.errors import ConfigError
from firmware_export.packages.common.readme import in_markdown
from firmware_export.packages.common.registry import check_packages, package_names, render_package
from tests.golden.tiny_model import tiny_counts, tiny_model
from tests.packages.conftest import RENDERED, Packaged, package_model

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("package", RENDERED)


def of_package(packaged: Packaged, package: str) -> dict[str, bytes]:
    start = f"packages/{package}/"
    return {path.removeprefix(start): data for path, data in packaged.files.items() if path.startswith(start)}


def test_a_file_of_the_folder_is_a_package() -> None:
    files = {path.stem for path in (ROOT / "firmware_export" / "packages").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in package_names()} == files
    assert {"arduino", "cmake", "cmsis-pack", "esp-idf", "plain", "platformio", "stm32cube", "wasm", "zephyr"} <= set(
        package_names()
    )


@pytest.mark.parametrize("document", ["edge_seq/cli/export.py", "docs/how-to/put-into-firmware.md"])
def test_help_and_page_name_every_package(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [name for name in package_names() if not re.search(rf"\b{name}\b", text)] == []


def test_an_unknown_package_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"package 'arduion' does not exist\. Packages: arduino, cmake, "):
        check_packages(["plain", "arduion"])


@EVERY
def test_two_models_share_the_runtime(package: str, car: Packaged, gait: Packaged) -> None:
    first, second = of_package(car, package), of_package(gait, package)
    common = set(first) & set(second)
    assert {path for path in common if first[path] != second[path]} == set()
    assert common
    own = {path for path in set(first) - common if "car" not in path}
    assert own == set(), "what is not shared has the model's name"


@EVERY
def test_it_is_complete_and_no_name_is_left_open(package: str, car: Packaged) -> None:
    files = of_package(car, package)
    texts = {path: data.decode("utf-8") for path, data in files.items() if not path.endswith(".pack")}
    assert {path: found for path, text in texts.items() if (found := re.search(r"@\w+@", text))} == {}
    (readme,) = [text for path, text in texts.items() if "car" in path and Path(path).name.startswith("README")]
    assert re.search(r"RAM of a context[^|]*\| [\d,]+ \|", readme)
    for words in ("10 samples a second", "| 0 | a0 | m/s^2 | 800 | ±40 |", "Labels: class 0, class 1", "## Run the"):
        assert words in readme
    if package != "cmsis-pack":
        assert any(path.endswith("edge_seq.h") for path in files)
        assert any(Path(path).name.startswith("LICENSE") for path in files)
        assert any("replay" in path or path.endswith("car_example.c") for path in files)


@EVERY
def test_the_same_export_gives_the_same_package(package: str, car: Packaged) -> None:
    assert of_package(package_model(car.model, [package]), package) == of_package(car, package)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("normal_road", "normal_road"),
        ("_a_ b_|", "&#95;a&#95; b&#95;&#124;"),
        ("`a*[b]~@\\", "&#96;a&#42;&#91;b&#93;&#126;&#64;&#92;"),
    ],
)
def test_text_in_a_readme(text: str, shown: str) -> None:
    assert in_markdown(text) == shown


def test_awkward_labels_are_shown_as_they_stand() -> None:
    """Labels and channels with quotes, comment ends and other scripts stay out of metadata and code."""
    texts = {path.removeprefix("c/"): data.decode() for path, data in render_c(tiny_model(), tiny_counts()).items()}
    for package in RENDERED:
        for path, data in render_package(package, texts).items():
            if "README" in path and "tiny" in path:
                assert "a &quot;b&quot;&#92;?, straße" in data.decode()
            elif Path(path).suffix not in (".c", ".h", ".pack"):
                assert "straße" not in data.decode(), path


def test_the_licence_is_the_repository_s() -> None:
    packaged = ROOT / "firmware_export" / "packages" / "texts" / "LICENSE"
    assert packaged.read_text() == (ROOT / "LICENSE").read_text()
