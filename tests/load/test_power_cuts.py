"""Power is cut at random points while a board takes a model: it starts with the old model or the new one, whole."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.device.client import Device, connect
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.support.errors import DeviceError
from firmware_export.emission.blob import emit_blob
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import compile_c, find_compiler
from tests.device.c_device import export_board
from tests.load.test_blob import blob_of, mended
from tests.zoo import quantized_model, random_counts, spec

START, CUT, RECEIVE, WORK, ROT = range(5)
LOAD = RUNTIME_FOLDER / "load"
PATIENCE = Timing(timeout_s=0.004, retries=0, self_test_timeout_s=0.004)


def model(seed: int, **more: object) -> IntModel:
    return quantized_model(spec("gru", 5, label_every="sample", **more), name="board", seed=seed)  # type: ignore[arg-type]


def blob(of: IntModel) -> bytes:
    """A blob of several pages whose self-test is short."""
    return emit_blob(of, make_golden(of, random_counts(1, of.contract.window_length, of.num_channels, seed=3)))


BUILT_IN, FIRST, SECOND = model(0), model(1), model(2)


class Board:
    """The program update_main.c."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def order(self, order: int, number: int = 0, content: bytes = b"") -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("=II", order, number) + content)
        self._process.stdin.flush()
        (answer,) = struct.unpack("=I", self._process.stdout.read(4))
        return int(answer)

    def receive(self, data: bytes) -> bytes:
        size = self.order(RECEIVE, len(data), data)
        assert self._process.stdout is not None
        return self._process.stdout.read(size)

    def start(self) -> Device:
        """Switch the power on."""
        assert self.order(START) == 0
        return connect(lambda: LoopbackTransport(self.receive), timing=Timing(timeout_s=2.0))


@pytest.fixture(
    scope="module", params=[8, pytest.param(1, marks=pytest.mark.slow), pytest.param(64, marks=pytest.mark.slow)]
)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("update")
    sources, includes = export_board(BUILT_IN, folder, random_counts(1, 7, 3)[0], body_bytes=512, stream_bytes=256)
    flags = ["-std=c99", "-O1", f"-DFLASH_WRITE={request.param}u"]
    sources = [source for source in sources if "update_main" not in source.name]
    main = Path(__file__).parent / "update_main.c"
    return compile_c(
        find_compiler(),
        [*sources, *sorted(LOAD.glob("*.c")), main],
        folder / "board",
        flags=flags,
        include_folders=[*includes, LOAD],
    )


@contextmanager
def running(program: Path) -> Iterator[Board]:
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Board(process)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("cuts", [50, pytest.param(400, marks=pytest.mark.slow)])
def test_a_cut_leaves_the_old_model_or_the_new_one(program: Path, cuts: int) -> None:
    rng = np.random.default_rng(cuts)
    blobs = {model_hash(one): blob(one) for one in (FIRST, SECOND)}
    old, new = model_hash(BUILT_IN), model_hash(FIRST)
    kept = taken = resumed = 0
    with running(program) as board:
        board.start()
        for _ in range(cuts):
            with board.start() as device:
                assert device.info.model_hash == old
                before = board.order(WORK)
                load = blobs[new]
                most = len(load) + 600 + 512 * (len(load) // 512 + 2)
                board.order(CUT, int(rng.integers(0, most)))
                with device.patience(PATIENCE):
                    try:
                        device.load_model(load)
                    except DeviceError:
                        assert board.order(WORK) - before < most
            with board.start() as device:
                assert device.info.model_hash in (old, new)
                assert device.self_test().passed
                if device.info.model_hash == old:
                    kept += 1
                    resumed += device.load_model(load).sent_bytes < len(load)
                else:
                    taken += 1
            with board.start() as device:
                assert device.info.model_hash == new
                assert device.self_test().passed
                assert device.model_slots().active in (1, 2)
            old, new = new, next(one for one in blobs if one != new)
    assert kept > cuts // 2
    assert resumed > cuts // 4
    assert taken < cuts


def test_a_damaged_slot_leaves_the_one_before(program: Path) -> None:
    with running(program) as board:
        for one in (FIRST, SECOND):
            board.start().load_model(blob(one))
        device = board.start()
        assert (device.info.model_hash, device.model_slots().sequence) == (model_hash(SECOND), 2)
        board.order(ROT, 400)
        assert board.start().info.model_hash == model_hash(FIRST)
        board.order(ROT, 400)
        device = board.start()
        assert (device.info.model_hash, device.model_slots().active) == (model_hash(BUILT_IN), 0)
        device.load_model(blob(SECOND))
        assert board.start().model_slots().sequence == 3


def test_what_a_board_refuses_it_does_not_start_with(program: Path) -> None:
    wrong = {
        "labels are not those of the firmware": blob(replace(FIRST, labels=(*FIRST.labels[:3], "other"))),
        "made for the other byte order": blob_of(FIRST, "big"),
        "arrived damaged": blob(FIRST)[:-8],
        "self-test failed on the board": mended(blob(FIRST), len(blob(FIRST)) - 8, b"\7"),
        "needs more memory": blob_of(quantized_model(spec("rnn", 9, classes=4, channels=3), name="long", seed=4)),
    }
    big = wrong.pop("needs more memory")
    with running(program) as board:
        device = board.start()
        for message, content in wrong.items():
            with pytest.raises(DeviceError, match=message):
                device.load_model(content)
        with pytest.raises(DeviceError, match=r"the blob has 20,\d+ bytes, a slot of the board takes 16,320"):
            device.load_model(big + bytes(20_500 - len(big)))
        assert board.start().info.model_hash == model_hash(BUILT_IN)
        board.start().load_model(wrong["labels are not those of the firmware"], any_contract=True)
        assert board.start().contract().labels[3] == "other"


def test_the_same_model_again_is_written_from_the_start(program: Path) -> None:
    with running(program) as board:
        for one in (FIRST, SECOND):
            board.start().load_model(blob(one))
        assert board.start().load_model(blob(FIRST)).sent_bytes > len(blob(FIRST)) // 2
        assert board.start().info.model_hash == model_hash(FIRST)


def test_states_run_on_while_a_model_is_sent(program: Path) -> None:
    counts = random_counts(1, 7, 3)[0]
    with running(program) as board:
        device = board.start()
        whole = device.push(counts)
        device.reset()
        begun = device.push(counts[:4])
        with pytest.raises(DeviceError, match="arrived damaged"):
            device.load_model(blob(FIRST)[:-4])
        assert whole[:4] == begun
        assert device.push(counts) == whole  # a trial of a model resets the states
