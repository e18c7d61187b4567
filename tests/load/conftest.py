"""Builds of the loader that several tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import STRICT_FLAGS, compile_c, find_compiler

HERE = Path(__file__).parent
INCLUDES = [RUNTIME_FOLDER / folder for folder in ("include", "src", "load")]
SOURCES = [*sorted((RUNTIME_FOLDER / "src").glob("*.c")), RUNTIME_FOLDER / "load" / "es_load.c"]
# To find what is wrong; weights that nobody proved may overflow: then results are meaningless, and memory is safe all
# the same.
SANITIZE = ("-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WRAP = ("-fwrapv", "-fno-sanitize=signed-integer-overflow")


def build(files: Sequence[str], output: Path, flags: Sequence[str]) -> Path:
    """Compile the runtime with the loader and C files of this folder."""
    sources = [*SOURCES, *(HERE / file for file in files)]
    return compile_c(find_compiler(), sources, output, flags=flags, include_folders=INCLUDES)


@pytest.fixture(scope="session")
def load_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loader as a shared library of this machine."""
    output = tmp_path_factory.mktemp("load") / "load.so"
    return build(["load_library.c", "fuzz_load.c"], output, [*STRICT_FLAGS, "-O1", "-fPIC", "-shared", "-fwrapv"])
