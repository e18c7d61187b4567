"""The commands of the how-to pages and of the tutorial, run as they stand."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Small
from tests.cli.documents import HOW_TO, TUTORIAL, block, blocks, run_shell

NEEDS_CC = pytest.mark.skipif(shutil.which("cc") is None, reason="the page needs a C compiler called cc")


def _folder(small: Small, tmp_path: Path) -> Path:
    """A folder with what a page takes for granted: a run, and the recordings it was trained on."""
    shutil.copytree(small.run, tmp_path / "run")
    for name in ("drives.csv", "drives.toml"):
        shutil.copy(small.drives.parent / name, tmp_path / name)
    (tmp_path / "drive.csv").write_text(
        "t,ax,ay,az\n" + "".join(f"{0.1 * at:.1f},{at % 7 / 10},0.{at % 5},9.8\n" for at in range(300))
    )
    return tmp_path


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(
            "describe-your-data.md",
            ("wrote guess.toml", "usable", "plots/labels.png", "edge-seq quantize from_disk"),
            marks=pytest.mark.slow,
        ),
        pytest.param("look-at-your-data.md", ("page: drives.html",), marks=pytest.mark.slow),
        pytest.param("put-into-firmware.md", ("self-test passed", "small: done"), marks=NEEDS_CC),
        ("run-on-a-computer.md", ('"probabilities"',)),
        pytest.param("decide.md", ("validation recordings", "event macro-F1", "it holds"), marks=pytest.mark.slow),
        pytest.param("find-what-differs.md", ("called anomaly", "it holds"), marks=pytest.mark.slow),
        pytest.param("cross-validate.md", ("3 folds by group", "integer model: accuracy"), marks=pytest.mark.slow),
        pytest.param("use-in-ci.md", ("usable", "it holds", "cortex_m4"), marks=pytest.mark.slow),
        pytest.param("compare-cells.md", ("page: compared",), marks=pytest.mark.slow),
        pytest.param("find-a-model.md", ("Take point", "page: study", "quantize found/seed_1"), marks=pytest.mark.slow),
    ],
)
def test_commands_of_a_page(small: Small, tmp_path: Path, page: str, words: tuple[str, ...]) -> None:
    folder = _folder(small, tmp_path)
    done = run_shell("\n".join(blocks(HOW_TO / page).values()), folder, timeout_s=1800)
    for each in words:
        assert each in done.stdout + done.stderr


@pytest.mark.slow
def test_a_network_of_keras_is_imported(small: Small, tmp_path: Path) -> None:
    """The page as it stands: trained by Keras, then proven, with Keras itself as the first rung."""
    if importlib.util.find_spec("keras") is None:  # not imported here: it would choose a backend
        pytest.skip("Keras is not installed")
    folder = _folder(small, tmp_path)
    found = blocks(HOW_TO / "import-a-network.md")
    (folder / "train.py").write_text(found["train.py"])
    text = f"KERAS_BACKEND=torch python train.py\n{found['import']}"
    printed = run_shell(text, folder, timeout_s=1800).stdout
    assert "imported network = float reference: holds; Keras" in printed
    assert "it holds" in printed
    assert "WARNING: another order" not in printed
    assert "far from unit scale" not in printed


@pytest.mark.slow
def test_the_tutorial(tmp_path: Path) -> None:
    """From a CSV to a board; with fewer and shorter drives and epochs, so that it takes a minute."""
    if os.name != "posix" or shutil.which("cc") is None:
        pytest.skip("the tutorial needs a C compiler called cc, and a pseudo-terminal for the emulated board")
    found = blocks(TUTORIAL)
    assert list(found)[-1] == "board"
    for name in ("car.toml", "demo.c"):
        (tmp_path / name).write_text(found.pop(name))
    text = "\n".join(found.values())
    for shown, faster in (
        ("--out recordings.csv", "--out recordings.csv --drives 12 --duration-s 120"),
        ("--hidden-size 16 --epochs 15", "--hidden-size 8 --epochs 3"),
    ):
        assert shown in text
        text = text.replace(shown, faster)
    text = text.replace("--out run\n", "--out run --set quantization.min_agreement_rate=0.9\n", 1)
    if shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None:
        text = text.replace("--link board", "--link board --board posix")
    done = run_shell(text, tmp_path, timeout_s=600)
    for words in ("wrote guess.toml", "usable", "integer reference = C on cortex_m4", "golden vectors are met"):
        assert words in done.stdout
    assert done.stdout.count("it holds") == 3
    labels = ("parked", "normal_road", "bumpy_road", "skid")
    assert sum(line in labels for line in done.stdout.splitlines()) == 10
    assert "integer reference = C on the board" in done.stdout
    assert (tmp_path / "run" / "reports" / "report.html").is_file()


def test_a_block_that_is_not_there_is_named() -> None:
    with pytest.raises(AssertionError, match=r"tutorial.md has no block marked `tested: nothing`"):
        block(TUTORIAL, "nothing")


def test_a_block_ends_at_the_first_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="here"):
        run_shell("echo here\nfalse\necho there > written", tmp_path)
    assert not (tmp_path / "written").exists()
