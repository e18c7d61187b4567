"""The decision stage on every emulated target: the same decisions, in a constant number of instructions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import compare
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.running.run_target import build_for_target, run_on_target
from firmware_export.toolchain.target import MissingToolError, load_target, target_names
from tests.targets.running import FURTHER_TARGETS
from tests.zoo import quantized_model, random_counts, some_distance, spec, with_decision

BARE = [name for name in target_names() if load_target(name).memory is not None]
STAGE = DecisionStage(smoothing_shift=2, hysteresis=2**13, min_labels=2, unknown_margin=2**12)
DISTANT = replace(STAGE, unknown_distance=some_distance(4, 16, radius=1000))
SHAPE = spec("gru", 16, window_length=3, label_every="sample", at_window_end="carry")


def exported(folder: Path, stage: DecisionStage | None = STAGE) -> IntModel:
    model = with_decision(quantized_model(SHAPE, name="staged", amplitude=3.0), stage)
    export_c(model, make_golden(model, random_counts(1, 6, 3, sigma=300)), folder)
    return model


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in FURTHER_TARGETS else ()) for name in BARE]
)
def test_every_target_decides_as_the_reference(name: str, tmp_path: Path) -> None:
    model = exported(tmp_path / "export", DISTANT)  # the widest: all that a stage does
    try:
        program = build_for_target(tmp_path / "export", tmp_path / "build", load_target(name))
        counts = random_counts(4, 60, 3, seed=1, sigma=300)
        comparison = compare(run_reference(model, counts), run_on_target(program, model, counts))
    except MissingToolError as error:
        pytest.skip(str(error))
    assert comparison.holds, comparison.first
    assert comparison.names[-3:] == ("scores", "excess", "decision")


@pytest.mark.parametrize(
    ("stage", "least", "most"),
    [pytest.param(STAGE, 60, 70 * 4, marks=pytest.mark.slow), (DISTANT, 60 + 8 * 16, 70 * 4 + 20 * 16)],
)
@pytest.mark.parametrize(
    "name", ["cortex_m4", *(pytest.param(one, marks=pytest.mark.slow) for one in ("cortex_m3", "cortex_m55"))]
)
def test_it_takes_as_long_whatever_is_decided(
    name: str, stage: DecisionStage, least: int, most: int, tmp_path: Path
) -> None:
    model, plain = exported(tmp_path / "staged", stage), exported(tmp_path / "plain", None)
    try:
        found = measure(tmp_path / "staged", model, load_target(name), steps=300)
        without = measure(tmp_path / "plain", plain, load_target(name), steps=300)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    assert without.steps is not None
    assert found.steps.constant, found.steps.classes
    assert found.stack is not None
    assert found.stack.unknown == ()
    each = (found.steps.window - without.steps.window) / SHAPE.window_length
    assert least < each < most, f"{each} instructions a label"
