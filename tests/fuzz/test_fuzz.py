"""A few seconds of each fuzzer of the device's side; `tests/fuzz/README.md` records the long runs. The host's side is
fuzzed by `tests/device/test_framing.py`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_seq.errors import ToolError
from tests.fuzz.build import FLAGS, build_fuzzers


@pytest.fixture(scope="module")
def fuzzers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    if shutil.which("clang") is None:
        pytest.skip("clang is not on this machine; sudo apt-get install clang")
    quick = tuple(flag for flag in FLAGS if flag not in ("-O2", "-g"))
    try:
        return build_fuzzers(tmp_path_factory.mktemp("fuzz"), flags=(*quick, "-O1"))
    except ToolError as error:
        if "libclang_rt" not in str(error):
            raise
        pytest.skip("clang's fuzzer runtime is not on this machine; sudo apt-get install libclang-rt-dev")


def test_the_device_takes_whatever_comes(fuzzers: list[Path], tmp_path: Path) -> None:
    for program, length in zip(fuzzers, (200, 700), strict=True):
        command = [
            str(program),
            "-seed=1",
            "-runs=2000",
            f"-max_len={length}",
            "-timeout=20",
            f"-artifact_prefix={tmp_path}/",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "Done 2000 runs" in done.stderr


def test_a_planted_overflow_is_found(tmp_path: Path) -> None:
    """The sanitizers are on, and the fuzzer gets there: a decoder that stores one byte too many."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not on this machine; sudo apt-get install clang")
    (tmp_path / "planted.c").write_text(
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)\n{\n"
        "    uint8_t *const buffer = malloc(4);\n    size_t at;\n"
        "    for (at = 0; at < size && at <= 4u; at++) {\n        buffer[at] = data[at];\n    }\n"
        "    free(buffer);\n    return 0;\n}\n"
    )
    built = subprocess.run(
        ["clang", *FLAGS, "planted.c", "-o", "planted"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if "libclang_rt" in built.stderr:
        pytest.skip("clang's fuzzer runtime is not on this machine; sudo apt-get install libclang-rt-dev")
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        ["./planted", "-runs=100000"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert "Test unit written to" in done.stderr
