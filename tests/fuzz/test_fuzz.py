"""A few seconds of each fuzzer, and the faults that they find; `tests/fuzz/README.md` records the long runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from edge_seq.support.errors import ToolError
from tests.device.c_device import WIRE
from tests.fuzz.build import BODY_BYTES, FLAGS, build_fuzzers, build_loader, write_seeds
from tests.fuzz.run_c import looped

ROOT = Path(__file__).parents[2]
LONGEST = BODY_BYTES + 64  # longest input: room for a frame that is too long
QUICK = tuple("-O1" if flag == "-O2" else flag for flag in FLAGS if flag != "-g")
EDGES = ("-std=c99", "-O1", "-g", "-fno-inline", "-fsanitize=fuzzer")  # counts only the edges of the source itself


def built(folder: Path, flags: tuple[str, ...], wire: Path = WIRE) -> dict[str, Path]:
    """The fuzzers by name."""
    if shutil.which("clang") is None:
        pytest.skip("clang is not on this machine; sudo apt-get install clang")
    try:
        return build_fuzzers(folder, flags=flags, wire=wire)
    except ToolError as error:
        if "libclang_rt" not in str(error):
            raise
        pytest.skip("clang's fuzzer runtime is not on this machine; sudo apt-get install libclang-rt-dev")


def run(program: Path, folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(program), "-seed=1", "-timeout=20", f"-artifact_prefix={folder}/", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=120)


def test_the_device_takes_whatever_comes(tmp_path: Path) -> None:
    fuzzers = built(tmp_path / "built", QUICK)
    seeds = write_seeds(tmp_path / "seeds")
    for done in (
        run(fuzzers["fuzz_wire"], tmp_path, "-runs=2000", "-max_len=200"),
        run(fuzzers["fuzz_state"], tmp_path, "-runs=2000", "-max_len=100"),
        run(fuzzers["fuzz_decoder"], tmp_path, "-runs=20000", f"-max_len={LONGEST}", "-len_control=0", seeds),
    ):
        assert done.returncode == 0, done.stderr[-3000:]
        assert re.search(r"Done \d+ runs", done.stderr)


@pytest.mark.slow
def test_the_loader_refuses_or_runs_whatever_comes(tmp_path: Path) -> None:
    program, blobs = build_loader(tmp_path)
    assert len(blobs) == 4
    for blob in blobs:
        done = subprocess.run([program, blob, "500", "1"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        refused, ran = (int(word) for word in done.stdout.split() if word.isdigit())
        assert refused > 50, blob
        assert ran > 50, blob


def test_a_loop_counts_its_executions_and_a_process_that_fails_ends_it() -> None:
    seeds: list[int] = []

    def ends_with(code: int, number: int) -> list[str]:
        seeds.append(number)
        return [sys.executable, "-S", "-c", f"raise SystemExit({code})"]

    right = looped("name", partial(ends_with, 0), 500, 0.05)
    assert (right.name, right.findings) == ("name, loop", {})
    assert right.executions == 500 * len(seeds) >= 500
    assert seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    seeds.clear()
    (finding,) = looped("name", partial(ends_with, 3), 500, 60).findings
    assert finding.startswith(f"{sys.executable} -S -c raise SystemExit(3): ")
    assert len(seeds) == 1


@pytest.mark.slow
def test_every_edge_of_the_decoder_is_reached_with_short_inputs(tmp_path: Path) -> None:
    """LONGEST bytes have room for frames that are too long, blocks that end early and valid checksums."""
    if shutil.which("llvm-symbolizer") is None:
        pytest.skip("llvm-symbolizer is not on this machine; sudo apt-get install llvm")
    decoder = built(tmp_path / "built", EDGES)["fuzz_decoder"]
    seeds = write_seeds(tmp_path / "seeds")
    options = (f"-max_len={LONGEST}", "-len_control=0", "-print_coverage=1")
    done = run(decoder, tmp_path, "-runs=50000", *options, seeds)
    assert done.returncode == 0, done.stderr[-3000:]
    reached = re.findall(r"^COVERED_FUNC: hits: \d+ edges: (\d+)/(\d+) (\w+) ", done.stderr, re.MULTILINE)
    edges = {name: (int(some), int(of)) for some, of, name in reached}
    for name in ("es_wire_receive", "store", "end_frame"):
        assert edges[name][0] == edges[name][1], f"{name}: {edges[name]}"


@pytest.mark.slow
def test_a_planted_overflow_is_found(tmp_path: Path) -> None:
    """The fuzzer finds a decoder that stores one byte too many, so the sanitizers are on."""
    bound = "if (wire->length < wire->setup->body_bytes) {"
    text = WIRE.read_text(encoding="utf-8")
    assert text.count(bound) == 1
    planted = tmp_path / "es_wire.c"
    planted.write_text(text.replace(bound, bound.replace("<", "<=")), encoding="utf-8")
    decoder = built(tmp_path / "built", QUICK, planted)["fuzz_decoder"]
    seeds = write_seeds(tmp_path / "seeds")
    # No seed is too long: only inputs that the fuzzer makes exceed the bound.
    assert run(decoder, tmp_path, *seeds.iterdir()).returncode == 0
    done = run(decoder, tmp_path, "-runs=1000000", f"-max_len={LONGEST}", "-len_control=0", seeds)
    assert done.returncode != 0
    assert "AddressSanitizer: global-buffer-overflow" in done.stderr
    assert "in store" in done.stderr
    assert "Test unit written to" in done.stderr


PLANTED = "from edge_seq.device import framing; framing.OVERHEAD_BYTES = 3"  # lets a body of 3 bytes through


@pytest.mark.parametrize("planted", ["", PLANTED], ids=["as it is", "planted"])
def test_the_host_takes_whatever_comes(planted: str, tmp_path: Path) -> None:
    """Coverage-guided fuzzing; `tests/device/test_framing.py` tests the same function with hypothesis."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed; it has wheels for Linux on x86-64: pip install 'edge-seq[test]'")
    (tmp_path / "corpus").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    code = "\n".join(["from tests.fuzz import atheris_decoder", planted, "atheris_decoder.main()"])
    runs = 100_000 if planted else 5000  # upper limit; the run ends with the finding
    done = subprocess.run(
        [sys.executable, "-c", code, "-seed=1", f"-runs={runs}", "-max_len=400", "-len_control=0", "corpus"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=120,
    )
    if planted:
        assert done.returncode != 0
        assert "Uncaught Python exception" in done.stdout
        assert "unpack requires a buffer of 4 bytes" in done.stdout
    else:
        assert done.returncode == 0, done.stderr[-3000:]
        assert "Done 5000 runs" in done.stderr
