"""The documented figures of the emulated board. The test takes about six minutes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.readers import load_dataset
from firmware_export.running.board import RunningBoard, build_board, start_board
from firmware_export.toolchain.target import MissingToolError
from tests.cli.conftest import ok
from tests.live.conftest import RATE_HZ, Exports, recording
from tests.live.same_labels import decide_four_times
from tests.live.test_record import counts_at, rows_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def emulated(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBoard]:
    folder = tmp_path_factory.mktemp("qemu")
    try:
        firmware = build_board(exports.c, folder, "qemu", recording=recording(), rate_hz=RATE_HZ, clock="host")
    except MissingToolError as error:
        pytest.skip(str(error))
    with start_board(firmware) as running:
        yield running


def test_five_minutes_of_3_axes_at_1600_hz_are_whole(emulated: RunningBoard, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    command = ["record", "--port", emulated.port, "--out", path, "--label", "still", "--duration-s", 300, "--json"]
    result = ok(*command, timeout_s=600)
    assert (result.json["samples"], result.json["lost"], result.json["whole"]) == (480_000, 0, True)
    index = np.array([int(row["index"]) for row in rows_of(path)])
    (one,) = load_dataset(path.with_suffix(".toml")).recordings
    assert np.array_equal(np.diff(index), np.ones(479_999))
    assert np.array_equal(one.counts, counts_at(index))


def test_the_emulated_board_decides_as_this_computer_does(
    emulated: RunningBoard, exports: Exports, tmp_path: Path
) -> None:
    labels = decide_four_times(exports.model, exports.onnx, emulated.port, tmp_path, windows=1000)
    assert len(set(labels["evaluate"])) > 1
    assert labels["board"] == labels["stream"] == labels["file"] == labels["evaluate"]
