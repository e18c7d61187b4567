"""Each rung of the ladder by itself: what it compares, what it says, and what it sees of a small fault.

What a rung runs is exchanged for functions that give the reference's values, or values with one fault in them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.data.recording import Windows
from edge_seq.device.client import connect
from edge_seq.device.messages import Capability
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.parity import c_rungs, cost, device_rungs, float_rungs, int_rungs, original_rung
from edge_seq.parity.compare import Runner
from edge_seq.parity.export_rungs import changed_files, exports_rung, require_unchanged
from edge_seq.parity.inputs import Inputs, choose_inputs, streams_of
from edge_seq.parity.ladder import Rung
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.support.errors import ModelError, ParityError, ToolError
from firmware_export.toolchain.build import Compiler
from firmware_export.toolchain.target import MissingToolError
from tests.zoo import (
    DECISIONS,
    DISTANCES,
    Spec,
    convolution,
    quantized_model,
    random_counts,
    random_float_model,
    spec,
)

Counts = NDArray[np.int16]
FLOAT = random_float_model(spec("gru", 5), name="small", seed=3)
MODEL = quantize(FLOAT, calibrate(FLOAT, random_counts(8, 7, 3, sigma=400)))
COUNTS = random_counts(9, 7, 3, sigma=400, seed=4)
WINDOWS = Windows(COUNTS, np.arange(9, dtype=np.int16) % 4, np.array([f"g{i % 3}" for i in range(9)]))
INPUTS = Inputs(WINDOWS, COUNTS[:4], COUNTS)
GCC = Compiler("gcc 12", ("gcc",))


def with_fault(trace: Trace, name: str, place: tuple[int, int, int], by: float = 1) -> Trace:
    values = {key: np.array(array) for key, array in trace.values.items()}
    values[name][place] += by
    return Trace(values)


# What is compared


def test_windows_are_spread_evenly_and_extreme_ones_follow() -> None:
    for most, chosen in ((3, [0, 4, 8]), (4, [0, 2, 5, 8]), (9, list(range(9))), (50, list(range(9))), (1, [0])):
        found = choose_inputs(WINDOWS, MODEL, max_windows=most, extreme_windows=6)
        assert np.array_equal(found.held_out, COUNTS[chosen]), most
        assert np.array_equal(found.exact[: len(chosen)], found.held_out)
        extreme = windows_in_turn(extreme_makers(np.random.default_rng(0), (7, 3)), 6)
        assert np.array_equal(found.exact[len(chosen) :], np.array(extreme))
        assert found.side is WINDOWS
    one = Windows(COUNTS[:1], WINDOWS.labels[:1], WINDOWS.groups[:1])
    assert len(choose_inputs(one, MODEL, max_windows=5, extreme_windows=0).exact) == 1


def test_each_window_of_a_stream_follows_another() -> None:
    found = streams_of(COUNTS)
    assert found.shape == (9, 14, 3)
    for index in range(9):
        assert np.array_equal(found[index], np.concatenate([COUNTS[index], COUNTS[index - 1]]))


# The C


def host(monkeypatch: pytest.MonkeyPatch, plain: Runner, traced: Runner) -> Rung:
    """The rung of the host, whose builds give these traces; files are built in two folders."""
    built: list[tuple[str, bool]] = []

    def build(_: Path, program: Path, *, compiler: Compiler, traced: bool) -> tuple[bool, Compiler]:
        built.append((f"{program.parent.name}/{program.name}", traced))
        return traced, compiler

    monkeypatch.setattr(c_rungs, "build_host", build)
    monkeypatch.setattr(c_rungs, "run_on_host", lambda it, _, part: (traced if it[0] else plain)(part))
    rung = c_rungs.host_rung("on the host", Path("c"), MODEL, COUNTS, GCC)
    first, second = ("plain/host", False), ("traced/host", True)
    assert built == [first] if rung.verdict == "holds" else [first, second]
    return rung


def test_c_that_differs_is_located_by_a_traced_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def right(part: Counts) -> Trace:
        return run_reference(MODEL, part)

    def late(part: Counts) -> Trace:
        return with_fault(right(part), "logits", (2, 6, 1))

    def early(part: Counts) -> Trace:
        return with_fault(late(part), "layer0.update_gate", (2, 5, 3))

    holds = host(monkeypatch, right, right)
    assert (holds.name, holds.kind, holds.verdict, holds.detail) == (
        "on the host", "exact", "holds", "built with gcc 12"
    )  # fmt: skip
    assert holds.comparison is not None
    assert holds.comparison.steps == 9 * 7
    wrong = host(monkeypatch, late, early)
    assert (wrong.verdict, wrong.kind) == ("failed", "exact")
    assert wrong.detail.startswith("window 2, time step 5, layer 0, update_gate[3]")
    # A traced build that is right shows that the fault is in the plain one, which is told.
    assert host(monkeypatch, late, right).detail.startswith("window 2, time step 6, logits[1]")


def test_the_fast_library_is_compared_at_the_ends_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    wrong = 0

    def windows_of(library: str, part: Counts) -> tuple[NDArray[Any], NDArray[Any]]:
        assert library == "loaded"
        trace = run_reference(MODEL, part)
        return trace.logits, trace.labels + wrong * (np.arange(len(part)) == 3)

    def load(sources: Path, model: IntModel, path: Path, *, compiler: Compiler) -> str:
        loaded.append(path.name)
        return "loaded"

    monkeypatch.setattr(c_rungs, "load_host_library", load)
    monkeypatch.setattr(c_rungs, "infer_windows", windows_of)
    rung = c_rungs.host_library_rung("fast", Path("c"), MODEL, COUNTS, GCC)
    assert rung.comparison is not None
    assert (rung.name, rung.kind, rung.verdict, rung.comparison.values) == ("fast", "exact", "holds", 9 * 5)
    assert rung.detail.startswith("built with gcc 12 -O3")
    assert loaded == ["library.so"]
    wrong = 1
    rung = c_rungs.host_library_rung("fast", Path("c"), MODEL, COUNTS, GCC)
    assert (rung.verdict, rung.detail.split(":")[0]) == ("failed", "window 3, time step 6, label[0]")


def test_the_self_test_and_the_rung_of_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    monkeypatch.setattr(c_rungs, "self_test_on_host", lambda sources, path, **more: ran.append((path.name, more)))
    rung = c_rungs.self_test_rung("self-test", Path("c"), GCC)
    assert rung == Rung("self-test", "exact", "holds", "built with gcc 12")
    assert ran == [("self_test", {"compiler": GCC})]

    target: Any = SimpleNamespace(name="cortex_m9")
    monkeypatch.setattr(c_rungs, "find_target_compiler", lambda _: (GCC, ""))
    monkeypatch.setattr(c_rungs, "find_emulator", lambda _: SimpleNamespace(name="an emulator"))
    monkeypatch.setattr(c_rungs, "build_for_target", lambda _, folder, to, *, traced: (folder.name, to, traced))
    monkeypatch.setattr(c_rungs, "require_answer", lambda program, model: ran.append((program, model)))
    monkeypatch.setattr(c_rungs, "run_on_target", lambda program, model, part: run_reference(model, part))
    rung = c_rungs.target_rung("on it", Path("c"), MODEL, COUNTS, target)
    assert (rung.name, rung.verdict, rung.detail) == ("on it", "holds", "built with gcc 12, run in an emulator")
    assert ran[1:] == [(("plain", target, False), MODEL)]

    def missing(_: object) -> object:
        raise MissingToolError("no emulator; apt-get install one")

    monkeypatch.setattr(c_rungs, "find_emulator", missing)
    rung = c_rungs.target_rung("on it", Path("c"), MODEL, COUNTS, target)
    assert rung == Rung("on it", "exact", "skipped", "no emulator; apt-get install one")


# The cost of integers


def cost_of(monkeypatch: pytest.MonkeyPatch, changed: int, windows: int, *, wrong: int, **limits: float) -> Rung:
    """Of so many windows of two classes, the float model is right about all; the integer model changes some labels,
    the first ``wrong`` of them of class 0, the others of class 1."""
    labels = (np.arange(windows) % 2).astype(np.int16)
    shares = np.where(labels[:, None] == np.arange(2), 0.75, 0.25)
    ours = shares.copy()
    places = [*np.flatnonzero(labels == 0)[:wrong], *np.flatnonzero(labels == 1)[: changed - wrong]]
    ours[places] = ours[places, ::-1]
    given = {id(FLOAT): shares, id(MODEL): ours}
    monkeypatch.setattr(cost, "probabilities_of", lambda model, _: given[id(model)])
    monkeypatch.setattr(cost, "macro_f1", lambda table: np.trace(table) / table.sum())
    side = Windows(np.zeros((windows, 7, 3), dtype=np.int16), labels, np.array(["g"] * windows))
    return cost.cost_rung("cost", FLOAT, MODEL, side, **limits)


def test_the_cost_of_integers_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = cost_of(monkeypatch, 4, 800, wrong=2)
    assert (rung.name, rung.kind, rung.verdict, rung.comparison) == ("cost", "cost", "holds", None)
    assert rung.detail == (
        "same label 99.50 % (at least 99 %), macro-F1 loss 0.50 points (at most 0.5); 4 of 800 labels changed, mean "
        "difference of probabilities 0.0025"
    )
    assert rung.figures is not None
    assert rung.figures["macro_f1_float"] == 1.0
    assert rung.figures["macro_f1_int"] == pytest.approx(0.995)
    assert rung.figures["agreement_rate"] == pytest.approx(0.995)
    assert cost_of(monkeypatch, 5, 800, wrong=2).verdict == "failed"  # macro-F1 loses 0.625 points
    assert cost_of(monkeypatch, 8, 800, wrong=2, max_macro_f1_loss=0.02).verdict == "holds"  # exactly 99 %
    assert cost_of(monkeypatch, 9, 800, wrong=2, max_macro_f1_loss=0.02).verdict == "failed"
    assert cost_of(monkeypatch, 9, 800, wrong=2, max_macro_f1_loss=0.02, min_agreement_rate=0.98).verdict == "holds"


def test_one_changed_label_of_few_windows_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = cost_of(monkeypatch, 1, 50, wrong=0)
    assert (rung.verdict, rung.kind) == ("skipped", "cost")
    assert rung.detail.endswith("0.0100: too few windows for a verdict")
    assert rung.figures is not None
    assert cost_of(monkeypatch, 2, 50, wrong=1).verdict == "failed"
    assert cost_of(monkeypatch, 1, 500, wrong=0).verdict == "holds"


# A board


def climb(twin: Twin, counts: Counts, **more: int) -> tuple[Rung, Rung, Rung]:
    with connect(lambda: LoopbackTransport(twin.receive)) as device:
        return (
            device_rungs.model_rung(device, MODEL),
            device_rungs.self_test_rung(device),
            device_rungs.steps_rung(device, MODEL, counts, **more),
        )


def test_a_board_that_computes_right(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = streams_of(COUNTS)
    model, _, steps = climb(Twin(MODEL), streams)
    assert (model.name, model.kind, model.verdict) == (device_rungs.MODEL_RUNG, "exact", "holds")
    assert ", runtime " in model.detail
    assert (steps.name, steps.kind, steps.verdict) == (device_rungs.STEPS_RUNG, "exact", "holds")
    assert steps.comparison is not None
    assert (steps.comparison.steps, steps.comparison.windows) == (9 * 14, 9)
    ran: list[Counts] = []
    monkeypatch.setattr(
        device_rungs, "run_reference", lambda model, part: ran.append(part) or run_reference(model, part)
    )
    for least, chosen in ((14, [0]), (15, [0, 8]), (42, [0, 4, 8]), (43, [0, 2, 5, 8])):
        ran.clear()
        (_, _, steps) = climb(Twin(MODEL), streams, min_steps=least)
        assert np.array_equal(ran[0], streams[chosen]), least
        assert steps.comparison is not None
        assert steps.comparison.steps == 14 * len(chosen)
    assert device_rungs.DEFAULT_STEPS == 10_000


class Board:
    """A device with figures of our own, and one wrong word of the trace."""

    def __init__(self, *, free: int | None, mean_us: float | None, wrong: int = 0) -> None:
        self.info = SimpleNamespace(
            frame_errors=2, free_stack_bytes=free, capabilities=Capability(0), board="b", runtime_version="1"
        )
        self.frame_errors, self.counters, self.name, self.wrong = 3, SimpleNamespace(retries=4), "port", wrong
        self.figures = SimpleNamespace(mean=1234.5, lowest=1000, highest=2000, mean_us=mean_us, unit="cycles")
        self.resets = 0
        self.result = SimpleNamespace(passed=True, status=0, fault="")

    def reset(self) -> None:
        self.resets += 1

    def trace(self, stream: Counts) -> NDArray[np.int32]:
        with connect(lambda: LoopbackTransport(Twin(MODEL).receive)) as device:
            words = device.trace(stream)
        words[3, 0] += self.wrong
        return words

    def cost(self) -> SimpleNamespace:
        return self.figures

    def hello(self) -> SimpleNamespace:
        return self.info

    def self_test(self) -> SimpleNamespace:
        return self.result


def test_what_a_board_says_of_itself_is_told() -> None:
    board: Any = Board(free=12_345, mean_us=77.25)
    rung = device_rungs.steps_rung(board, MODEL, COUNTS[:2])
    assert board.resets == 2
    assert rung.figures == {
        "ticks_a_step": 1234.5, "ticks_lowest": 1000.0, "ticks_highest": 2000.0, "microseconds_a_step": 77.25,
        "free_stack_bytes": 12_345.0, "frame_errors": 5.0, "retries": 4.0,
    }  # fmt: skip
    assert rung.detail == (
        "a step costs 1,234.5 ticks (1,000 to 2,000; cycles), 77.2 us; free stack 12,345 bytes; 5 frame errors, 4 "
        "retries"
    )
    board = Board(free=None, mean_us=None)
    rung = device_rungs.steps_rung(board, MODEL, COUNTS[:2])
    assert rung.figures is not None
    assert set(rung.figures).isdisjoint({"free_stack_bytes", "microseconds_a_step"})
    assert "cycles); free stack not known to the port; 5" in rung.detail
    board = Board(free=None, mean_us=None, wrong=1)
    rung = device_rungs.steps_rung(board, MODEL, COUNTS[:2])
    assert (rung.verdict, rung.figures is None) == ("failed", False)
    assert "time step 3" in rung.detail
    assert device_rungs.self_test_rung(board) == Rung(
        device_rungs.SELF_TEST_RUNG, "exact", "skipped", "the firmware has no golden vectors; link <name>_golden.c"
    )
    board.info.capabilities = Capability.SELF_TEST
    assert device_rungs.self_test_rung(board) == Rung(
        device_rungs.SELF_TEST_RUNG, "exact", "holds", "run by the board's firmware"
    )
    board.result = SimpleNamespace(passed=False, status=7, fault="window 3")
    assert device_rungs.self_test_rung(board) == Rung(
        device_rungs.SELF_TEST_RUNG, "exact", "failed", "status 7 (es_status_t): window 3"
    )


def test_another_board_is_refused_with_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    other = quantized_model(spec("gru", 5), seed=9)
    with (
        connect(lambda: LoopbackTransport(Twin(other).receive)) as device,
        pytest.raises(ParityError) as refused,
    ):
        device_rungs.require_same_board(device, MODEL)
    words = str(refused.value)
    assert f": model: board {model_hash(other)[:16]}..., run {model_hash(MODEL)[:16]}.... No sample was sent" in words
    with connect(lambda: LoopbackTransport(Twin(MODEL).receive)) as device:
        device_rungs.require_same_board(device, MODEL)
        monkeypatch.setattr(device_rungs, "word_columns", lambda model, *, traced: ({}, 999 if not traced else 0))
        with pytest.raises(ParityError, match=rf"values per time step: board {device.info.row_words}, model 999\. No"):
            device_rungs.require_same_board(device, MODEL)


# Exported files


def test_exported_files_that_differ_are_named(tmp_path: Path) -> None:
    graph = export_onnx_int(MODEL, form="step")
    rendered = {name: name.encode() for name in ("c/a.c", "c/b.c", "c/c.c", "c/d.c", "c/e.c", "c/f.c")}
    rendered["onnx/int_step.onnx"] = graph.SerializeToString(deterministic=True)
    for name, content in rendered.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert changed_files(tmp_path, rendered) == ()
    assert exports_rung("files", (), rendered) == Rung("files", "exact", "holds", "7 files")
    require_unchanged(tmp_path, rendered, doing="measuring it")
    (tmp_path / "onnx" / "int_step.onnx").write_bytes(onnx.load_model_from_string(
        rendered["onnx/int_step.onnx"]).SerializeToString(deterministic=False))  # fmt: skip
    assert changed_files(tmp_path, rendered) == (), "other bytes of the same graph"
    (tmp_path / "onnx" / "int_step.onnx").write_bytes(b"no graph")
    (tmp_path / "c" / "b.c").write_bytes(b"c/B.c")  # as long as before
    (tmp_path / "c" / "a.c").unlink()
    found = changed_files(tmp_path, rendered)
    assert found == ("c/a.c", "c/b.c", "onnx/int_step.onnx")
    with pytest.raises(ParityError, match=r"^measuring it: c/a\.c, c/b\.c, onnx/int_step\.onnx: not what this release"):
        require_unchanged(tmp_path, rendered, doing="measuring it")
    four = exports_rung("files", ("a", "b", "c", "d"), rendered)
    assert (four.name, four.kind, four.verdict) == ("files", "exact", "failed")
    assert four.detail.startswith("a, b, c, d: not what this release of edge_seq makes from the run's models (stale")
    assert exports_rung("files", ("a", "b", "c", "d", "e"), rendered).detail.startswith("a, b, c, d and 1 more: not")
    assert exports_rung("files", tuple("abcdefg"), rendered).detail.startswith("a, b, c, d and 3 more: not")


# Floats


def float_rung(which: str, monkeypatch: pytest.MonkeyPatch, by: float, *, every: str = "window") -> Rung:
    """A rung of the float model, whose candidate is the reference with one logit off by ``by``."""
    model = replace(FLOAT, readout=replace(FLOAT.readout, label_every=every))  # type: ignore[arg-type]

    def off(trace: Trace) -> Trace:
        return with_fault(trace, "logits", (1, -1, 2), by)

    if which == "torch":
        fake: Any = ModuleType("edge_seq.training.loop")

        def logits_of_weights(*given: Any) -> NDArray[Any]:
            weights, config, contract, classes, normalisation, counts = given
            assert (weights, config, classes) == ({"w": 1}, "config", 4)
            assert (contract, normalisation) == (model.contract, model.number_format.normalisation)
            return np.asarray(off(run_float(model, counts)).logits)

        fake.logits_of_weights = logits_of_weights
        monkeypatch.setitem(sys.modules, "edge_seq.training.loop", fake)
        monkeypatch.setattr(float_rungs, "has_torch", lambda: True)
        return float_rungs.torch_rung("rung", {"w": 1}, "config", model, INPUTS)  # type: ignore[arg-type,dict-item]
    monkeypatch.setattr(float_rungs, "open_export", lambda path, _: path)
    if which == "window":
        monkeypatch.setattr(
            float_rungs,
            "window_outputs",
            lambda _, counts: off(float_rungs.due_outputs(model, run_float(model, counts))),
        )
        return float_rungs.float_window_rung("rung", Path("x"), model, INPUTS)

    def steps(path: Path, counts: Counts, dtype: type) -> Trace:
        assert (path, dtype) == (Path("x"), np.float64)
        trace = off(float_rungs.run_float_stream(model, counts))
        return Trace({name: array.astype(np.float64) for name, array in trace.values.items()})

    monkeypatch.setattr(float_rungs, "step_outputs", steps)
    return float_rungs.float_step_rung("rung", Path("x"), model, INPUTS)


@pytest.mark.parametrize(("which", "values"), [("torch", 4 * 4), ("window", 4 * 4), ("step", 4 * 14 * (4 + 5))])
def test_floats_hold_within_their_tolerance(which: str, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = float_rung(which, monkeypatch, 1e-4), float_rung(which, monkeypatch, 3e-4)
    assert (near.name, near.kind, near.verdict) == ("rung", "budget", "holds")
    assert near.comparison is not None
    assert near.comparison.values == values
    states = " (for a state, times its largest value if that is above 1)" if which == "step" else ""
    assert near.detail == f"largest difference 1.0e-04, allowed 2e-04{states}"
    assert (far.kind, far.verdict) == ("budget", "failed")
    assert far.detail.startswith(f"window 1, time step {13 if which == 'step' else 6}, logits[2]")


def test_a_label_after_each_sample_is_compared_after_each(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = float_rung("window", monkeypatch, 3e-4, every="sample")
    assert rung.comparison is not None
    assert rung.comparison.values == 4 * 7 * 4
    assert rung.detail.startswith("window 1, time step 6, logits[2]")


def test_without_torch_or_its_weights_the_rung_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = None
    monkeypatch.setattr(float_rungs, "has_torch", lambda: False)
    rung = float_rungs.torch_rung("rung", {}, config, FLOAT, INPUTS)
    assert rung == Rung("rung", "budget", "skipped", "torch is not installed; pip install 'edge-seq[train]'")
    monkeypatch.setattr(float_rungs, "has_torch", lambda: True)
    rung = float_rungs.torch_rung("rung", None, config, FLOAT, INPUTS)
    assert rung == Rung("rung", "budget", "skipped", "the run has no torch weights; train it again")


def original(
    found: Callable[[Counts], Any], model: FloatModel, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> Rung:
    monkeypatch.setattr(original_rung, "run_original", lambda network, given: found(given))
    monkeypatch.setattr(original_rung, "original_outputs", lambda lowered, logits: logits.astype(np.float64))
    imported: Any = SimpleNamespace(
        lowered=SimpleNamespace(model=model), original="network", network_input=lambda given: given
    )
    return original_rung.original_rung("rung", imported, counts)


def test_an_imported_network_is_compared_with_its_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of windows; the tolerance grows with outputs above 1."""
    counts = random_counts(130, 7, 3, sigma=400, seed=5)
    traced = run_float(FLOAT, counts)
    largest = float(np.abs(traced.logits).max())
    assert largest > 1

    def network(
        output: float, state: float, *, states: bool = True, scale: float = 1.0
    ) -> Callable[[Counts], SimpleNamespace]:
        outputs, hidden = traced.logits.astype(np.float64) * scale, traced.values["layer0.hidden_state"].copy()
        outputs[129, 2] += output
        hidden[129, 4, 1] += state
        return lambda _: SimpleNamespace(outputs=outputs, states={0: hidden} if states else {}, by="its framework")

    rung = original(network(0, 0), FLOAT, counts, monkeypatch)
    assert (rung.name, rung.kind, rung.verdict) == ("rung", "budget", "holds")
    assert rung.comparison is not None
    assert rung.comparison.values == 130 * 7 * 5 + 130 * 4
    assert rung.comparison.names == ("layer0.hidden_state", "outputs")
    assert rung.detail == (
        f"its framework: largest difference 0.0e+00, allowed {2e-4 * largest:.0e}, with the states of 1 of 1 layers at "
        "every step"
    )
    alone = original(network(0, 0, states=False), FLOAT, counts, monkeypatch)
    assert alone.comparison is not None
    assert (alone.comparison.values, alone.detail.endswith(f"allowed {2e-4 * largest:.0e}")) == (130 * 4, True)
    assert original(network(1.5e-4 * largest, 0), FLOAT, counts, monkeypatch).verdict == "holds"
    far = original(network(2.5e-4 * largest, 0), FLOAT, counts, monkeypatch)
    assert far.verdict == "failed"
    assert far.detail.startswith("window 129, time step 6, outputs[2]")
    both = original(network(1, 3e-4), FLOAT, counts, monkeypatch)
    assert both.detail.startswith("window 129, time step 4, layer 0, hidden_state[1]")
    assert both.comparison is not None
    assert (both.comparison.mismatches, both.comparison.max_abs_error) == (2, pytest.approx(1, rel=1e-3))

    small = replace(FLOAT, head=replace(FLOAT.head, weight_input=FLOAT.head.weight_input / 1000))
    traced = run_float(small, counts)
    assert "allowed 2e-04" in original(network(0, 0), small, counts, monkeypatch).detail


def test_an_import_is_checked_on_windows_of_the_whole_data(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Counts] = []
    monkeypatch.setattr(original_rung, "original_rung", lambda name, _, counts: ran.append(counts) or name)
    imported: Any = None
    many = np.arange(1000, dtype=np.int16).reshape(1000, 1, 1)
    assert original_rung.check_import(imported, many) == original_rung.ORIGINAL_RUNG  # type: ignore[comparison-overlap]
    original_rung.check_import(imported, many[:7])
    assert (len(ran[0]), ran[0].min(), ran[0].max()) == (200, 0, 999)
    assert np.abs(np.diff(ran[0].ravel()) - 5).max() <= 1
    assert np.array_equal(ran[1], many[:7])

    def no_framework(_: Counts) -> Any:
        raise ToolError("tensorflow is not installed")

    monkeypatch.undo()
    rung = original(no_framework, FLOAT, COUNTS, monkeypatch)
    assert rung == Rung("rung", "budget", "skipped", "tensorflow is not installed")


# ONNX

GRAPHS: dict[str, Spec] = {
    "plain": spec("rnn", 3, step="difference", window_length=3),
    "every sample": spec("gru", 5, label_every="sample", at_window_end="carry", pooling="mean"),
    "decision": DECISIONS["rnn"],
    "distance": DISTANCES["gru"],
    "front": spec("lstm", 5, 3, window_length=6, pooling="mean_max", front=(convolution(5, "relu", 3, stride=2),)),
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_exported_graphs_hold_and_a_fault_in_their_outputs_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = quantized_model(GRAPHS[name], seed=2)
    length, counts = model.contract.window_length, random_counts(5, GRAPHS[name].window_length, model.input_size)
    inputs = Inputs(WINDOWS, counts[:2], counts)
    for form in ("window", "step"):
        (tmp_path / f"{form}.onnx").write_bytes(export_onnx_int(model, form=form).SerializeToString())  # type: ignore[arg-type]
    window = int_rungs.int_window_rung("window", tmp_path / "window.onnx", model, inputs)
    steps = int_rungs.int_step_rung("step", tmp_path / "step.onnx", model, inputs)
    traced = int_rungs.trace_rung("trace", model, inputs)
    decides = model.readout.decision is not None
    every = length if model.readout.label_every == "sample" else 1
    for rung, values in ((window, 5 * every * (model.num_classes + 1 + decides)), (steps, None), (traced, None)):
        assert (rung.kind, rung.verdict, rung.comparison is None) == ("exact", "holds", False), rung
        assert values is None or (rung.comparison is not None and rung.comparison.values == values)
    assert steps.comparison is not None
    assert steps.comparison.steps == 5 * 2 * length
    assert {"logits", "label"} <= set(steps.comparison.names)
    kept = {one.name.removesuffix("_next") for one in export_onnx_int(model, form="step").graph.output}
    assert set(steps.comparison.names) == kept, "every state of the graph is compared"

    last = (model.readout.decision and "decision") or "label"
    outputs = int_rungs.window_outputs
    monkeypatch.setattr(
        int_rungs, "window_outputs", lambda graph, part: with_fault(outputs(graph, part), last, (2, -1, 0))
    )
    wrong = int_rungs.int_window_rung("window", tmp_path / "window.onnx", model, inputs)
    assert wrong.detail.startswith(f"window 2, time step {length - 1}, {last}[0]")


def test_another_runtime_is_given_a_short_part_of_some_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Counts] = []

    def shown(length: int, windows: int, *, evaluator: bool, openvino: bool) -> str:
        model = quantized_model(spec("rnn", 3, window_length=length))
        monkeypatch.setattr(int_rungs, "open_export", lambda path, _: path)
        monkeypatch.setattr(int_rungs, "in_runtime", lambda path, runtime: (path, runtime))
        monkeypatch.setattr(int_rungs, "is_installed", lambda runtime: runtime == int_rungs.OPENVINO and openvino)
        monkeypatch.setattr(int_rungs, "_step_rung", lambda n, e, m, counts, detail: given.append(counts) or detail)
        exact = np.arange(windows * length, dtype=np.int16).reshape(windows, length, 1)
        inputs = Inputs(WINDOWS, exact, exact)
        runtime = int_rungs.EVALUATOR if evaluator else int_rungs.OPENVINO
        found = str(int_rungs.other_runtime_rung("r", Path("x"), model, inputs, runtime))
        chosen = np.unique(np.linspace(0, windows - 1, 8).astype(int))
        assert np.array_equal(given[-1][:, :length], exact[chosen])
        return found

    hint = "; OpenVINO would be compared too if it was installed"
    assert shown(50, 30, evaluator=True, openvino=True) == "the first 52 steps of 8 streams"
    assert shown(50, 30, evaluator=True, openvino=False) == f"the first 52 steps of 8 streams{hint}"
    assert shown(50, 5, evaluator=False, openvino=False) == "the first 52 steps of 5 streams"
    assert shown(12, 30, evaluator=False, openvino=True) == "the first 20 steps of 8 streams"
    assert shown(128, 3, evaluator=False, openvino=True) == "the first 130 steps of 3 streams"
    length = 129
    model = quantized_model(spec("rnn", 3, window_length=length))
    exact = np.zeros((3, length, 1), dtype=np.int16)
    int_rungs.other_runtime_rung("r", Path("x"), model, Inputs(WINDOWS, exact, exact), int_rungs.OPENVINO)
    assert given[-1].shape == (3, 130, 1)


def test_float_graphs_hold_too(tmp_path: Path) -> None:
    for form, rung in (("window", float_rungs.float_window_rung), ("step", float_rungs.float_step_rung)):
        path = tmp_path / f"{form}.onnx"
        path.write_bytes(export_onnx_float(FLOAT, form=form).SerializeToString())  # type: ignore[arg-type]
        assert rung("rung", path, FLOAT, INPUTS).verdict == "holds"
        with pytest.raises((ModelError, ParityError)):
            rung("rung", path, random_float_model(spec("gru", 5), name="small", seed=8), INPUTS)
