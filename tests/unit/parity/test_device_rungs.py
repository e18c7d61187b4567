"""The rungs of a board: what is compared, and what a board says of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.device.client import connect
from edge_seq.device.messages import Capability
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import model_hash
from edge_seq.parity import device_rungs
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ParityError
from tests.unit.parity.small import COUNTS, MODEL, Counts
from tests.zoo import quantized_model, spec


def climb(twin: Twin, counts: Counts, **more: int) -> tuple[Rung, Rung, Rung]:
    with connect(lambda: LoopbackTransport(twin.receive)) as device:
        return (
            device_rungs.model_rung(device, MODEL),
            device_rungs.self_test_rung(device),
            device_rungs.steps_rung(device, MODEL, counts, **more),
        )


def test_a_board_that_computes_right(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = COUNTS[:, :2]
    model, _, steps = climb(Twin(MODEL), streams)
    assert (model.name, model.kind, model.verdict) == (device_rungs.MODEL_RUNG, "exact", "holds")
    assert ", runtime " in model.detail
    assert (steps.name, steps.kind, steps.verdict) == (device_rungs.STEPS_RUNG, "exact", "holds")
    assert steps.comparison is not None
    assert (steps.comparison.steps, steps.comparison.windows) == (9 * 2, 9)
    ran: list[Counts] = []
    monkeypatch.setattr(
        device_rungs, "run_reference", lambda model, part: ran.append(part) or run_reference(model, part)
    )
    for least, chosen in ((2, [0]), (3, [0, 8]), (6, [0, 4, 8]), (7, [0, 2, 5, 8])):
        ran.clear()
        (_, _, steps) = climb(Twin(MODEL), streams, min_steps=least)
        assert np.array_equal(ran[0], streams[chosen]), least
        assert steps.comparison is not None
        assert steps.comparison.steps == 2 * len(chosen)
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
