"""The rungs of floats: torch and float ONNX, within their tolerance."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.reference_float import run_float
from edge_seq.backends.trace import Trace
from edge_seq.parity import float_rungs
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ModelError, ParityError
from tests.unit.parity.small import FLOAT, INPUTS, Counts, with_fault
from tests.zoo import random_float_model, spec


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


def test_float_graphs_hold_too(tmp_path: Path) -> None:
    for form, rung in (("window", float_rungs.float_window_rung), ("step", float_rungs.float_step_rung)):
        path = tmp_path / f"{form}.onnx"
        path.write_bytes(export_onnx_float(FLOAT, form=form).SerializeToString())  # type: ignore[arg-type]
        assert rung("rung", path, FLOAT, INPUTS).verdict == "holds"
        with pytest.raises((ModelError, ParityError)):
            rung("rung", path, random_float_model(spec("gru", 5), name="small", seed=8), INPUTS)
