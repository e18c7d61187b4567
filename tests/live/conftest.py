"""A board as a process on a pseudo-terminal, with a model of 3 axes at 1.6 kHz and its ONNX exports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.contract import Channel
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import PortLostError
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.board import Firmware, RunningBoard, build_board, start_board
from tests.once import made_once
from tests.zoo import quantized_model, random_counts, spec

RATE_HZ = 1600.0
LABELS = ("still", "turning", "worn <b>bearing</b>", "broken")


def vibration_model(*, rate_hz: float = RATE_HZ, window_length: int = 80) -> IntModel:
    """A small GRU with the contract of a vibration sensor and a decision stage."""
    stage = DecisionStage(smoothing_shift=1, hysteresis=2**10, min_labels=2, unknown_margin=2**12)
    model = quantized_model(spec("gru", 6, window_length=window_length, step="difference", decision=stage))
    channels = tuple(Channel(name, "g", 2048.0, 16.0) for name in ("ax", "ay", "az"))
    contract = replace(model.contract, sample_rate_hz=rate_hz, channels=channels)
    return replace(model, name="vibration", labels=LABELS, contract=contract)


def recording() -> NDArray[np.int16]:
    """Counts of the board's sensor, int16 [1000, 3], played in a loop."""
    return random_counts(1, 1000, 3)[0] // 4


@dataclass(frozen=True)
class Exports:
    """A model, its C export and its ONNX step model."""

    model: IntModel
    c: Path
    onnx: Path


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    model = vibration_model()

    def make(folder: Path) -> None:
        export_c(model, make_golden(model, random_counts(1, 80, 3)), folder / "c")
        onnx = export_onnx_int(model, form="step").SerializeToString(deterministic=True)
        (folder / "int_step.onnx").write_bytes(onnx)

    folder = made_once(tmp_path_factory, "vibration", make)
    return Exports(model, folder / "c", folder / "int_step.onnx")


@pytest.fixture(scope="session")
def firmware(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    if os.name != "posix":
        pytest.skip("a board as a process needs pseudo-terminals")
    return build_board(exports.c, tmp_path_factory.mktemp("board"), "posix", recording=recording(), rate_hz=RATE_HZ)


@pytest.fixture
def board(firmware: Firmware) -> Iterator[RunningBoard]:
    with start_board(firmware) as running:
        yield running


class Recorded:
    """A simulated device whose sensor gives samples as fast as they are read.

    Args:
        model: model of the device.
        jump_at, jump: at sample ``jump_at``, ``jump`` samples are left out.
        last: last sample.
        at_once: number of new samples whenever the device is asked.
    """

    def __init__(
        self, model: IntModel, *, jump_at: int = -1, jump: int = 0, last: int = sys.maxsize, at_once: int = 16
    ) -> None:
        self.given, self.jump_at, self.jump, self.last, self.at_once = 0, jump_at, jump, last, at_once
        self.twin = Twin(model, recording=recording(), samples_so_far=self)
        self.gone = False

    def __call__(self) -> int:
        self.given = min(self.given + self.at_once, self.last)
        if 0 <= self.jump_at <= self.given:
            self.given, self.jump_at = self.given + self.jump, -1
        return self.given

    def opener(self) -> LoopbackTransport:
        if self.gone:
            raise PortLostError("opening port twin: it is gone")
        return LoopbackTransport(self.twin.receive)


FAST = Timing(timeout_s=0.2, retries=1, silence_s=0.2, reconnect_s=0.3, reconnect_every_s=0.05)


class Ticks:
    """A clock with which samples arrive at the contract's rate."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now
