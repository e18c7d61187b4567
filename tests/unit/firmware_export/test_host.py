"""Running exported C: errors, and planted faults that must be found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ExportError, ParityError, ToolError
from firmware_export.emission.emit import MANIFEST, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import find_compilers
from firmware_export.toolchain.host import (
    HostProgram,
    build_host,
    read_manifest,
    run_chunks,
    run_on_host,
    self_test_on_host,
)
from tests.zoo import quantized_model, random_counts, spec

needs_compiler = pytest.mark.skipif(not find_compilers(), reason="no C compiler on this machine")


def car() -> IntModel:
    return quantized_model(spec("lstm", 3, step="difference"), name="car", seed=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    export_c(car(), make_golden(car(), random_counts(1, 7, 3, sigma=300)), tmp_path / "car")
    return tmp_path / "car"


@needs_compiler
def test_run_and_chunks(folder: Path, tmp_path: Path) -> None:
    model = car()
    program = build_host(folder, tmp_path / "program")
    counts = random_counts(5, 16, 3, sigma=300)
    expected = run_reference(model, counts)
    trace = run_on_host(program, model, counts)
    assert "layer0.cell_state" in trace.values
    assert "layer0.input_gate" not in trace.values
    for name, values in trace.values.items():
        assert np.array_equal(values, expected.values[name]), name
    parts = [part for part, _ in run_chunks(program, model, counts, chunk_steps=40)]
    assert parts == [slice(0, 2), slice(2, 4), slice(4, 5)]
    (longer_than_a_chunk,) = [t for _, t in run_chunks(program, model, counts[:1], chunk_steps=3)]
    assert np.array_equal(longer_than_a_chunk.values["label"], expected.values["label"][:1])


@needs_compiler
def test_paths_may_be_relative(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is a file in the folder that was current when it was built, never a program on PATH."""
    model, counts = car(), random_counts(2, 7, 3, sigma=300)
    expected = run_reference(model, counts).values["label"]
    monkeypatch.chdir(tmp_path)
    self_test_on_host(Path(folder.name), Path("ls"))
    program = build_host(Path(folder.name), Path("true"))
    assert np.array_equal(run_on_host(program, model, counts).values["label"], expected)
    assert np.array_equal(run_on_host(HostProgram(Path("true"), ("car",)), model, counts).values["label"], expected)
    monkeypatch.chdir(folder)
    assert np.array_equal(run_on_host(program, model, counts).values["label"], expected)


@needs_compiler
def test_a_model_may_have_the_name_of_a_source(tmp_path: Path) -> None:
    model = replace(car(), name="host_main")
    counts = random_counts(3, 7, 3, sigma=300)
    export_c(model, make_golden(model, counts[:1]), tmp_path / "c")
    program = build_host(tmp_path / "c", tmp_path / "program")
    expected = run_reference(model, counts).values
    for name, values in run_on_host(program, model, counts).values.items():
        assert np.array_equal(values, expected[name])


@needs_compiler
def test_stale_export(folder: Path, tmp_path: Path) -> None:
    program = build_host(folder, tmp_path / "program")
    other = replace(car(), labels=("a", "b", "c", "d"))
    with pytest.raises(ParityError, match=r"the program holds model .* the C export is stale"):
        run_on_host(program, other, random_counts(1, 7, 3))


@needs_compiler
def test_planted_faults_are_seen_and_located(folder: Path, tmp_path: Path) -> None:
    """A changed number in the data, two swapped gates in the runtime, a changed rounding: each shows where expected."""
    model = car()
    counts = random_counts(4, 7, 3, sigma=300)
    expected = run_reference(model, counts)
    plants = {
        "car.c": (r"(car_layer0_blocks\[3\] = \{\s*\{\.bias = \{)(\d+)", r"\g<1>9\g<2>", "layer0.input_gate"),
        "runtime/src/es_units.h": (
            r"ES_INPUT_GATE, ES_FORGET_GATE, ES_CELL",
            "ES_FORGET_GATE, ES_INPUT_GATE, ES_CELL",
            "layer0.cell_state",
        ),
        "runtime/src/es_fixed.h": (r"\(\(uint32_t\)1 << n\) >> 1", "0u", "layer0.cell_state"),
    }
    for name, (pattern, replacement, first) in plants.items():
        path = folder / name
        right = path.read_text()
        wrong, changes = re.subn(pattern, replacement, right)
        assert changes == 1, name
        path.write_text(wrong)
        program = build_host(folder, tmp_path / "program", traced=True)
        trace = run_on_host(program, model, counts)
        differing = [
            value
            for value, array in expected.values.items()
            if not np.array_equal(array[:, 0], trace.values[value][:, 0])
        ]
        assert differing[0] == first, (name, differing)
        path.write_text(right)


@needs_compiler
def test_counts_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    program = build_host(folder, tmp_path / "program")
    with pytest.raises(ParityError, match=r"counts are int16 \[1, 7, 2\]; expected int16 .windows, steps, 3."):
        run_on_host(program, car(), random_counts(1, 7, 2))
    with pytest.raises(ParityError, match=r"the program holds \['car'\]"):
        run_on_host(program, replace(car(), name="bus"), random_counts(1, 7, 3))


def script(path: Path, text: str) -> HostProgram:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return HostProgram(path, ("car",))


def test_programs_that_fail(tmp_path: Path) -> None:
    counts = random_counts(1, 7, 3)
    with pytest.raises(ToolError, match=r"exit code 3, and it says:\nno luck"):
        run_on_host(script(tmp_path / "fails", "cat >/dev/null; echo no luck >&2; exit 3"), car(), counts)
    with pytest.raises(ToolError, match="cannot be started"):
        run_on_host(HostProgram(tmp_path / "absent", ("car",)), car(), counts)
    with pytest.raises(ToolError, match=r"not done after 0\.1 s"):
        run_on_host(script(tmp_path / "slow", "exec sleep 5"), car(), counts, timeout_s=0.1)


@needs_compiler
def test_program_of_another_release(folder: Path, tmp_path: Path) -> None:
    """The hash is right, but the words are not those expected: a traced build that is declared plain."""
    program = replace(build_host(folder, tmp_path / "program", traced=True), traced=False)
    with pytest.raises(ToolError, match=r"it wrote .* words, expected 1 x 7 x .* Build it again"):
        run_on_host(program, car(), random_counts(1, 7, 3))


def test_folders_that_are_no_exports(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"no {MANIFEST} there"):
        build_host(tmp_path, tmp_path / "program")
    with pytest.raises(ExportError, match="repeat a name"):
        build_host([folder, folder], tmp_path / "program")
    manifest = folder / MANIFEST
    manifest.write_text("{")
    with pytest.raises(ExportError, match="not a manifest"):
        read_manifest(folder)
    manifest.write_text(json.dumps({"manifest_version": 99}))
    with pytest.raises(ExportError, match="version 99; this release reads 1"):
        read_manifest(folder)
    manifest.write_text(json.dumps({"manifest_version": 1, "name": "car"}))
    with pytest.raises(ExportError, match="it lacks model_hash, sources"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sources": ["runtime/../../secret.c"]},
            "it names 'runtime/../../secret.c', expected paths inside the folder",
        ),
        ({"sources": ["/secret.c"]}, "it names '/secret.c'"),
        ({"sources": ["runtime\\..\\..\\secret.c"]}, "it names 'runtime"),
        ({"sources": ["C:/secret.c"]}, "it names 'C:/secret.c'"),
        ({"golden_sources": ["../secret.c"]}, "it names '../secret.c'"),
        ({"include_folders": [".."]}, "it names '..'"),
        ({"name": "../secret"}, "it names '../secret.c'"),
        ({"sources": "car.c"}, "sources is not a list of file names"),
        ({"sources": [1]}, "sources is not a list of file names"),
    ],
)
def test_a_manifest_cannot_name_files_elsewhere(folder: Path, change: dict[str, object], message: str) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ExportError, match=re.escape(message)):
        read_manifest(folder)
