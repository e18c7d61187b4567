"""`edge-seq verify --target`: a rung a target, faults located as on the host, what is missing skipped and said."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edge_seq.backends.onnx.other_runtimes import installed_runtimes
from firmware_export.toolchain.target import (
    MissingToolError,
    find_emulator,
    find_target_compiler,
    load_target,
    target_names,
)
from tests.cli.conftest import Small, edge_seq, ok

FEW = ("--windows", "8", "--extreme", "8")
ON_M4 = "integer reference = C on cortex_m4"


@pytest.fixture
def run(small: Small, tmp_path: Path) -> Path:
    """A copy of the small run, to be damaged."""
    return Path(shutil.copytree(small.run, tmp_path / "run"))


def need(*names: str) -> None:
    for name in names:
        try:
            find_target_compiler(load_target(name))
            find_emulator(load_target(name))
        except MissingToolError as error:
            pytest.skip(str(error))


# One emulator of each kind; by the option "all" every target.
FEW = ["cortex_m4", "atmega328p", "powerpc"]


@pytest.mark.parametrize("targets", [FEW, pytest.param(["all"], marks=pytest.mark.slow)], ids=["few", "all"])
def test_every_target_has_a_rung_of_its_own(targets: list[str], run: Path) -> None:
    # The host has its rung in any case.
    others = [name for name in target_names() if name != "host"] if targets == ["all"] else targets
    chosen = [part for name in targets for part in ("--target", name)]
    ladder = ok("verify", run, "--windows", "2", "--extreme", "4", *chosen, "--json").json
    rungs = {rung["name"]: rung for rung in ladder["rungs"]}
    assert len(rungs) == 11 + len(installed_runtimes()) + len(others)
    assert ladder["holds"] is True
    for name in others:
        rung = rungs[f"integer reference = C on {name}"]
        assert rung["kind"] == "exact"
        if rung["verdict"] == "skipped":
            assert re.search(r"not found on this machine\. Install with: (apt-get|pip) install", rung["detail"])
        else:
            assert rung["verdict"] == "holds", rung["detail"]
            assert rung["comparison"]["steps"] == 6 * 2 * 50
            assert re.match(r"built with .+, run in .+", rung["detail"])


def test_an_unknown_target_lists_those_there_are(run: Path) -> None:
    result = edge_seq("verify", run, "--target", "cortex_m5")
    assert result.code == 2
    assert "cortex_m4" in result.err


def test_a_missing_emulator_is_skipped_and_said(run: Path) -> None:
    code = (
        "import sys, importlib.util, shutil\n"
        "find, which = importlib.util.find_spec, shutil.which\n"
        "importlib.util.find_spec = lambda name, *a: None if name in ('unicorn', 'ziglang') else find(name, *a)\n"
        "shutil.which = lambda name, *a: None if name.startswith(('qemu', 'arm-')) else which(name, *a)\n"
        f"sys.argv = ['edge-seq', 'verify', {str(run)!r}, '--windows', '4', '--extreme', '4']\n"
        "sys.argv += ['--target', 'cortex_m4']\n"
        "from edge_seq.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "it holds, 1 of 13 rungs skipped" in done.stdout
    suite = ElementTree.parse(run / "reports" / "verify.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("13", "0", "1")
    (skipped,) = suite.iter("skipped")
    assert re.search(r"arm-none-eabi-gcc, zig not found .* apt-get install .*pip install", skipped.get("message", ""))
