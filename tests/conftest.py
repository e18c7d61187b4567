"""Makes the repository root importable (pytest puts the parent of this package on the path), for :mod:`tests.zoo`."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

CROSS_COMPILERS = (
    *("arm-none-eabi-gcc", "avr-gcc", "riscv64-unknown-elf-gcc"),
    *("aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "powerpc-linux-gnu-gcc"),
    "xtensa-lx106-elf-gcc",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let tests interrupt what they start, in the background too, where a shell turns these signals off; and let them
    compile each source once, where ccache is there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    ccache = shutil.which("ccache")
    if ccache and "PYTEST_XDIST_WORKER" not in os.environ:
        _compile_once(config, ccache)


def _compile_once(config: pytest.Config, ccache: str) -> None:
    """Put ccache before the compilers, empty, for this test run and what it starts: tests build the same runtime for
    the same target again and again."""
    folder = Path(tempfile.mkdtemp(prefix="edge_seq_ccache_"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    for name in ("cc", "gcc", "clang", *CROSS_COMPILERS):
        if shutil.which(name):
            (folder / name).symlink_to(ccache)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setenv("PATH", str(folder), prepend=os.pathsep)
    patch.setenv("CCACHE_DIR", str(folder / "objects"))
    patch.setenv("CCACHE_BASEDIR", tempfile.gettempdir())
    patch.setenv("CCACHE_NOHASHDIR", "1")


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests whose builds no other test makes: ccache would only look on."""
    monkeypatch.setenv("CCACHE_DISABLE", "1")
