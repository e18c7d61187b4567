"""Compilers that are found, are missing, or fail."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from edge_seq.support.errors import ToolError
from firmware_export.toolchain.build import Compiler, compile_c, find_compiler, find_compilers


def hide_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_order_of_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}" if name in ("cc", "gcc") else None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    found = find_compilers()
    assert [compiler.name for compiler in found] == ["gcc", "cc", "zig"]
    assert found[0].command == ("/bin/gcc",)
    assert found[2].command[1:] == ("-m", "ziglang", "cc")
    assert find_compiler().name == "gcc"
    assert find_compiler("zig").name == "zig"


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_compilers(monkeypatch)
    with pytest.raises(ToolError, match=r"looking for a C compiler: found none\. Install gcc .*edge-seq\[compiler\]"):
        find_compiler()


def test_compiler_asked_for_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/gcc" if name == "gcc" else None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="looking for a C compiler 'clang': found gcc"):
        find_compiler("clang")


def test_failure_shows_the_compiler_s_words(tmp_path: Path) -> None:
    if not find_compilers():
        pytest.skip("no C compiler on this machine")
    source = tmp_path / "bad.c"
    source.write_text("int main(void) { return nonsense; }\n")
    with pytest.raises(ToolError, match=r"compiling bad: .* failed with exit code 1 and says:\n(.|\n)*nonsense"):
        compile_c(find_compiler(), [source], tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_compiler_that_cannot_be_started(tmp_path: Path) -> None:
    absent = Compiler("mycc", (str(tmp_path / "mycc"),))
    with pytest.raises(ToolError, match="mycc cannot be started"):
        compile_c(absent, [], tmp_path / "x")


def test_compiler_that_takes_too_long(tmp_path: Path) -> None:
    script = tmp_path / "slowcc"
    script.write_text("#!/bin/sh\nexec sleep 5\n")
    script.chmod(0o755)
    with pytest.raises(ToolError, match=r"slow was not done after 0\.1 s"):
        compile_c(Compiler("slow", (str(script),)), [], tmp_path / "x", timeout_s=0.1)
