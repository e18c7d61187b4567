"""The rungs of floats: torch, an imported network and float ONNX, within their tolerance."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.trace import Trace
from edge_seq.ir.model import FloatModel
from edge_seq.parity import float_rungs, original_rung
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ModelError, ParityError, ToolError
from tests.unit.parity.small import COUNTS, FLOAT, INPUTS, Counts, with_fault
from tests.zoo import random_counts, random_float_model, spec


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


def test_float_graphs_hold_too(tmp_path: Path) -> None:
    for form, rung in (("window", float_rungs.float_window_rung), ("step", float_rungs.float_step_rung)):
        path = tmp_path / f"{form}.onnx"
        path.write_bytes(export_onnx_float(FLOAT, form=form).SerializeToString())  # type: ignore[arg-type]
        assert rung("rung", path, FLOAT, INPUTS).verdict == "holds"
        with pytest.raises((ModelError, ParityError)):
            rung("rung", path, random_float_model(spec("gru", 5), name="small", seed=8), INPUTS)
