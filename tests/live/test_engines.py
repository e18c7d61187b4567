"""Both engines give the labels, decisions and probabilities of the reference, whatever the blocks of samples are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_seq.support.cache as cache
import firmware_export.running.host_model as host_model
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.onnx.run import open_onnx
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.ir.serialize import save_model
from edge_seq.live.engine import Engine, OnnxEngine, probabilities_of_logits
from edge_seq.live.run import Decision, RunStats, decide
from edge_seq.live.samples import Gap, Start
from edge_seq.pipeline.exports import render_exports, write_exports
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.support.errors import ConfigError, EdgeSeqError, ExportError, ParityError, ToolError
from edge_seq.support.files import json_text
from edge_seq.workflow.export import open_engine
from edge_seq.workflow.folder import RunFolder
from firmware_export.running.host_model import HostEngine, library_key, load_model_library
from firmware_export.toolchain.build import find_compilers
from firmware_export.toolchain.host_library import HostStream
from tests.zoo import (
    CELLS,
    Spec,
    awkward_models,
    quantized_model,
    random_counts,
    random_float_model,
    some_distance,
    spec,
    with_decision,
)

needs_compiler = pytest.mark.skipif(not find_compilers(), reason="no C compiler on this machine")

STAGE = DecisionStage(smoothing_shift=1, hysteresis=2**8, min_labels=2, unknown_margin=2**10)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "_folder", lambda kind: tmp_path / "cache" / kind)
    return tmp_path / "cache"


def engines_of(model: IntModel) -> tuple[Engine, Engine]:
    return (
        HostEngine(load_model_library(model)),
        OnnxEngine(open_onnx(export_onnx_int(model, form="step"))),
    )


def in_blocks(
    counts: NDArray[np.int16], seed: int, marks: dict[int, Gap | Start]
) -> Iterator[NDArray[np.int16] | Gap | Start]:
    """Counts [n, C] in blocks of random sizes, with gaps and starts before some samples."""
    rng, begins = np.random.default_rng(seed), sorted(marks)
    cuts = sorted({0, len(counts), *begins, *rng.integers(0, len(counts), len(counts) // 3).tolist()})
    for start, end in pairwise(cuts):
        if start in marks:
            yield marks[start]
        yield counts[start:end]


def expected_of(model: IntModel, counts: NDArray[np.int16], first: int) -> list[Decision]:
    """Decisions of the reference on one stream from a reset, whose first sample has the given index."""
    values = {name: array[0] for name, array in run_reference(model, counts[np.newaxis]).values.items()}
    names = (*model.labels, "unknown")
    found = []
    for index in np.flatnonzero(values["label"][:, 0] >= 0).tolist():
        shares = np.round(probabilities_of_logits(values["logits"][index]), 6).tolist()
        decision = names[int(values["decision"][index, 0])] if "decision" in values else None
        label = names[int(values["label"][index, 0])]
        sample = first + index
        seconds = sample / model.contract.sample_rate_hz
        found.append(Decision(sample, seconds, label, dict(zip(model.labels, shares, strict=True)), decision))
    return found


def require_same(model: IntModel, seed: int = 0) -> None:
    length = 6 * model.contract.window_length + 5
    counts = random_counts(1, length, model.num_channels, sigma=3000, seed=seed)[0]
    gap, lost, start = length // 3, 11, 2 * length // 3
    marks: dict[int, Gap | Start] = {gap: Gap(gap + lost, lost), start: Start("second", length - start)}
    expected = [
        *expected_of(model, counts[:gap], 0),
        marks[gap],
        *expected_of(model, counts[gap:start], gap + lost),
        marks[start],
        *expected_of(model, counts[start:], 0),
    ]
    assert any(isinstance(one, Decision) for one in expected)
    for engine in engines_of(model):
        for again in range(2):
            stats = RunStats()
            assert list(decide(engine, in_blocks(counts, seed + again, marks), stats)) == expected, engine.described
            assert (stats.samples, stats.gaps, stats.recordings) == (length, 1, 1)
            assert stats.labels == len(expected) - 2


def models() -> list[IntModel]:
    by_distance = quantized_model(spec("gru", 5, classes=3, label_every="sample", at_window_end="carry"), seed=2)
    stage = replace(STAGE, unknown_distance=some_distance(3, 5, radius=40))
    return [
        quantized_model(spec("lstm", 6, step="difference", at_window_end="carry", decision=STAGE), seed=1),
        with_decision(by_distance, stage),
    ]


@needs_compiler
def test_engines_give_what_the_reference_gives() -> None:
    for seed, model in enumerate(models()):
        require_same(model, seed)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_engines_agree_on_awkward_models(cell: str) -> None:
    for seed, model in enumerate(awkward_models((cell,))):
        require_same(model, seed)


# ---------------------------------------------------------------------------------------------------- choice and cache


def make_run(folder: Path, model_spec: Spec | None = None) -> tuple[RunFolder, IntModel]:
    """The files of a run that running it needs."""
    made: FloatModel = random_float_model(model_spec or spec("rnn", 4), name="little")
    counts = random_counts(4, made.contract.window_length, made.num_channels, sigma=300)
    model = quantize(made, calibrate(made, counts))
    folder.mkdir()
    run = RunFolder(folder)
    save_model(made, run.float_model)
    save_model(model, run.int_model)
    run.quantization.write_text(json_text({"float_model_hash": model_hash(made)}))
    write_exports(render_exports(model, made, counts[:1]), run.exports.path)
    return run, model


@needs_compiler
def test_a_library_is_built_once(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, model = make_run(tmp_path / "run")
    said: list[str] = []
    engine = open_engine(run.path, building=lambda: said.append("built"))
    assert engine.described == "C"
    assert open_engine(run.path, engine="c", building=lambda: said.append("built")).described == "C"
    assert said == ["built"]
    (kept,) = (own_cache / "libraries").iterdir()
    monkeypatch.setattr(host_model, "find_compiler", no_compiler)
    assert open_engine(run.path).described == "C", "a library that was built before needs no compiler"
    kept.chmod(0o777)
    assert open_engine(run.path).described == "ONNX Runtime", "a library that others can write to is not loaded"
    other = quantized_model(spec("rnn", 4), name="other")
    damaged = cache.keep("libraries", library_key(other), b"\x7fELF, but no more", most=9)
    assert damaged is not None
    with pytest.raises(ToolError, match="no compiler here"):
        load_model_library(other)
    assert not damaged.exists()
    with pytest.raises(ToolError, match="no compiler here"):
        open_engine(run.path, engine="c")
    with pytest.raises(ToolError, match="no compiler here"):
        load_model_library(model)


def no_compiler() -> None:
    raise ToolError("no compiler here")


@needs_compiler
def test_a_library_that_computes_wrong_is_neither_kept_nor_used(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = run_reference

    def off(model: IntModel, counts: NDArray[np.int16]) -> object:
        trace = right(model, counts)
        trace.values["logits"] += 1
        return trace

    monkeypatch.setattr(host_model, "run_reference", off)
    with pytest.raises(ParityError, match="labels differ from those of the integer reference"):
        load_model_library(quantized_model(spec("rnn", 4)))
    assert not own_cache.exists()


def test_without_a_compiler_onnx_runtime_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, model = make_run(tmp_path / "run")
    monkeypatch.setattr(host_model, "find_compiler", no_compiler)
    assert open_engine(run.path).described == "ONNX Runtime"
    assert open_engine(run.path, kind="float").kind == "float"
    step = run.exports.onnx("int", "step")
    assert open_engine(step).model_sha256 == model_hash(model)
    run.int_model.unlink()  # an export alone, copied to another computer
    assert open_engine(run.path).described == "ONNX Runtime"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"engine": "rust"}, ConfigError, "engine 'rust' is unknown; give c or onnx"),
        (
            {"engine": "c", "kind": "float"},
            ConfigError,
            "but the float model has no C; give such a folder, or --engine",
        ),
        ({"kind": "double"}, ConfigError, "kind 'double' is unknown"),
    ],
)
def test_wrong_engines(options: dict[str, str], error: type[EdgeSeqError], message: str, tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run")
    with pytest.raises(error, match=message):
        open_engine(run.path, **options)


def test_a_file_has_no_c_and_a_stale_export_is_refused(tmp_path: Path) -> None:
    run, model = make_run(tmp_path / "run")
    with pytest.raises(ConfigError, match="takes the integer model of a run folder, but this is a file"):
        open_engine(run.exports.onnx("int", "step"), engine="c")
    save_model(with_decision(model, STAGE), run.int_model)
    with pytest.raises(ParityError, match=r"the export is stale\. Run edge-seq export"):
        open_engine(run.path)
    (run.exports.c_dir / "manifest.json").unlink()
    with pytest.raises(ExportError, match=r"no manifest\.json there"):
        open_engine(run.path)


@needs_compiler
def test_a_stream_takes_no_other_counts() -> None:
    stream = HostStream(load_model_library(quantized_model(spec("rnn", 4))))
    for counts in (np.zeros((3, 2), np.int16), np.zeros((3, 3), np.int32), np.zeros((0, 3), np.int16)):
        with pytest.raises(ParityError, match=r"expected int16 \[steps, 3\] with at least one step"):
            stream.push(counts)


def test_kept_results_are_few_and_ones_own(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.find_kept("some", "a") is None
    for key in "abc":
        path = cache.keep("some", key, key.encode(), most=2)
        assert path is not None
        assert path.read_bytes() == key.encode()
        assert cache.find_kept("some", "a") == own_cache / "some" / "a"
    assert sorted(path.name for path in (own_cache / "some").iterdir()) == ["a", "c"], "b was used least recently"
    (own_cache / "some").chmod(0o777)
    assert cache.find_kept("some", "a") is None
    assert cache.keep("some", "d", b"", most=2) is None
    (own_cache / "in the way").write_text("")
    assert cache.keep("in the way", "a", b"", most=2) is None
    assert cache.cache_key(["a", b"b"]) != cache.cache_key(["ab"])


def test_the_cache_is_in_the_users_folder(tmp_path: Path) -> None:
    code = "import edge_seq.support.cache as c; print(c.keep('some', 'key', b'x', most=1))"
    environment = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
    assert "edge_seq" in Path(done.stdout.strip()).parts
