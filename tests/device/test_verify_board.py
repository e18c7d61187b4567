"""The ladder's last rungs with a decision stage: scores and decisions are compared, and a fault in it is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.device.client import connect
from edge_seq.device.transport import LoopbackTransport
from edge_seq.ir.decision import SCORE_LIMIT, DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.parity.device_rungs import model_rung, self_test_rung, steps_rung
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ParityError
from tests.device.c_device import build_driver, run_driver
from tests.zoo import DECISIONS, DISTANCES, quantized_model, random_counts, some_distance, with_decision

# Faults that a compiler or an author could introduce in es_decision.c.
FAULTS = {
    "smoothing that begins at 0": ("(unsigned)state[ES_DECISION_PRIMED] * stage", "stage"),
    "scores that do not stop": ("select(less(gap, -ES_SCORE_LIMIT), -ES_SCORE_LIMIT, gap)", "gap"),
    "hysteresis of another class": ("equal(code, decided)", "equal(code, decided + 1)"),
    "what was asked for is forgotten": ("state[ES_DECISION_PENDING] = target", "state[ES_DECISION_PENDING] = decided"),
    "the run one too long": ("less(run, (int32_t)stage->min_labels)", "less(run, (int32_t)stage->min_labels + 1)"),
    "distance to another label's centroid": ("(size_t)context->label *", "(size_t)(context->label ^ 1u) *"),
    "distance of units as if all were fine": ("es_is_coarse(unit) ? (int32_t)seen[unit] : ", ""),
    "distance without smoothing": ("(context) - *excess, shift", "(context) - *excess, 0"),
    "a margin to another class": ("behind = select(leads, first, score)", "behind = score"),
}  # fmt: skip


def climb(program: Path, model: IntModel, counts: np.ndarray) -> tuple[Rung, Rung]:
    """Run the rungs of a board: its self-test, and every step."""
    with run_driver(program) as receive, connect(lambda: LoopbackTransport(receive)) as device:
        assert model_rung(device, model).verdict == "holds"
        return self_test_rung(device), steps_rung(device, model, counts, min_steps=10**6)


SHAPES = {**DECISIONS, **{f"{cell} with a distance": shape for cell, shape in DISTANCES.items()}}


QUICK = ("rnn", "gru with a distance")


@pytest.fixture(
    scope="module", params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHAPES]
)
def model(request: pytest.FixtureRequest) -> IntModel:
    return quantized_model(SHAPES[request.param], name="board", amplitude=3.0)


def test_every_score_and_decision_of_a_board_is_compared(model: IntModel, tmp_path: Path) -> None:
    program = build_driver(model, tmp_path, random_counts(1, 9, model.num_channels)[0], body_bytes=256)
    counts = random_counts(6, 60, model.num_channels, sigma=300)
    self_test, steps = climb(program, model, counts)
    assert (self_test.verdict, steps.verdict) == ("holds", "holds"), steps.detail
    assert steps.comparison is not None
    assert steps.comparison.steps == 360
    stage = model.readout.decision
    assert stage is not None
    by_distance = () if stage.unknown_distance is None else ("excess",)
    assert steps.comparison.names[-2 - len(by_distance) :] == ("scores", *by_distance, "decision")


def test_a_board_without_the_stage_is_refused(tmp_path: Path) -> None:
    model = quantized_model(DECISIONS["lstm"], name="board")
    plain = with_decision(model, None)
    program = build_driver(plain, tmp_path, random_counts(1, 9, model.num_channels)[0])
    with run_driver(program) as receive, connect(lambda: LoopbackTransport(receive)) as device:
        with pytest.raises(ParityError, match=r"model: board .* No sample was sent"):
            model_rung(device, model)
        assert device.cost().steps == 0


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow if place % 3 else ()) for place, one in enumerate(FAULTS)]
)
def test_a_fault_in_the_stage_is_found(name: str, tmp_path: Path) -> None:
    right, wrong = FAULTS[name]
    distance = some_distance(4, 5, radius=350) if name.startswith("distance") else None
    stage = DecisionStage(1, hysteresis=2**14, min_labels=3, unknown_margin=2**13, unknown_distance=distance)
    shape = replace(DECISIONS["gru"], readout=replace(DECISIONS["gru"].readout, decision=stage))
    model = quantized_model(shape, name="board", amplitude=12.0)  # logits that differ by more than scores can
    counts = random_counts(6, 60, model.num_channels, sigma=300)
    scores = run_reference(model, counts).values["scores"]
    assert (scores == -SCORE_LIMIT).any()

    def spoil(folder: Path) -> None:
        texts = {path: path.read_text() for path in (folder / "runtime" / "src").glob("es_d*.c")}
        (place,) = (path for path, text in texts.items() if right in text)
        place.write_text(texts[place].replace(right, wrong))

    program = build_driver(model, tmp_path, random_counts(1, 9, model.num_channels)[0], spoil=spoil)
    _, steps = climb(program, model, counts)
    assert steps.verdict == "failed"
    assert steps.comparison is not None
    assert steps.comparison.first is not None
    assert steps.comparison.first.name in ("scores", "excess", "decision")
