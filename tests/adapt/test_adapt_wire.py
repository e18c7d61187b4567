"""A head that learns over the wire: the C answers with the twin's bytes; the client; refusals; every branch."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.adapt import save_learned
from edge_seq.device import messages
from edge_seq.device.client import Device, connect
from edge_seq.device.framing import Frame, encode_body, encode_frame
from edge_seq.device.messages import Capability, HeadStatus, HeadUse, Type
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import DeviceError, DeviceRefusedError
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.running.board import WIRE_FOLDER
from firmware_export.toolchain.build import STRICT_FLAGS, Compiler, compile_c, find_compiler
from tests.adapt.program import run
from tests.device.c_device import HERE, build_driver, export_board, run_driver
from tests.device.test_c_coverage import OWN_PATHS, counting_gcc, session, uncovered
from tests.device.test_c_wire import normal, turns
from tests.zoo import DISTANCES, convolution, quantized_model, random_counts, spec

BODY, EXAMPLES = 256, 20
SHAPES = {
    "sample": spec("gru", 5, channels=2, classes=3, window_length=4, label_every="sample"),
    "distance": DISTANCES["gru"],
    "window": spec("lstm", 6, window_length=5, pooling="mean_max", dense=((7, "relu"),)),
}


@pytest.fixture(
    scope="module", params=["sample", *[pytest.param(w, marks=pytest.mark.slow) for w in ("distance", "window")]]
)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[IntModel, np.ndarray, Path]:
    model = quantized_model(SHAPES[request.param], name="board", amplitude=3.0)
    recording = random_counts(1, 37, model.num_channels)[0]
    flags = ("-std=c99", "-O1", "-DDRIVER_LEARNS=1")
    return model, recording, build_driver(model, tmp_path_factory.mktemp("c"), recording, body_bytes=BODY, flags=flags)


@pytest.mark.parametrize(("seed", "count"), [(0, 300), pytest.param(1, 3000, marks=pytest.mark.slow)])
def test_c_and_twin_send_the_same(pair: tuple[IntModel, np.ndarray, Path], seed: int, count: int) -> None:
    model, recording, program = pair
    rng = np.random.default_rng(seed)
    now = 0
    twin = Twin(model, recording=recording, samples_so_far=lambda: now, max_body_bytes=BODY, examples=EXAMPLES)
    kinds = set()
    with run_driver(program, lambda: now) as receive:
        for turn, data in enumerate(turns(model, rng, count)):
            now += int(rng.choice([0, 0, 1, 3, 20]))
            expected, found = normal(twin.receive(data)), normal(receive(data))
            assert found == expected, (turn, data.hex())
            kinds |= {frame.type for frame in found}
    learning = {
        kind | messages.REPLY for kind in (Type.ADAPT_STATUS, Type.ADAPT_LEARN, Type.ADAPT_USE, Type.ADAPT_READ)
    }
    assert kinds >= learning


@contextmanager
def both(pair: tuple[IntModel, np.ndarray, Path]) -> Iterator[tuple[Device, Device]]:
    """The C and the twin."""
    model, recording, program = pair
    twin = Twin(model, recording=recording, max_body_bytes=BODY, examples=EXAMPLES)
    with (
        run_driver(program) as receive,
        connect(lambda: LoopbackTransport(receive)) as real,
        connect(lambda: LoopbackTransport(twin.receive)) as other,
    ):
        yield real, other


def test_the_client_teaches_saves_and_restores(pair: tuple[IntModel, np.ndarray, Path]) -> None:
    model = pair[0]
    counts = random_counts(1, 40, model.num_channels, seed=4)[0]
    lessons = [k % model.num_classes for k in range(8)]
    with both(pair) as devices:
        seen = []
        for device in devices:
            assert Capability.LEARNING in device.info.capabilities
            assert device.head() == HeadStatus(True, 0, 0, EXAMPLES, 20 + EXAMPLES * (model.head_size + 4))
            labels, taught = [], iter(lessons)
            for sample in counts:
                for decision in device.push(sample[np.newaxis]):
                    labels.append(decision.logits)
                    if (lesson := next(taught, None)) is not None:
                        status = device.learn(lesson)
            assert status.samples == len(lessons)
            saved = device.save_learned()
            assert not device.use_head(HeadUse.FACTORY).in_use
            assert device.use_head(HeadUse.LEARNED).in_use
            assert device.use_head(HeadUse.FORGET).held == 0
            assert device.restore_learned(saved) == replace(status, in_use=True)
            with pytest.raises(DeviceRefusedError, match="STATE"):
                device.restore_learned(saved[:-1] + bytes([saved[-1] ^ 1]))
            with pytest.raises(DeviceRefusedError, match="VALUE"):
                device.learn(model.num_classes)
            device.reset()
            with pytest.raises(DeviceRefusedError, match="STATE"):
                device.learn(0)
            with pytest.raises(DeviceError, match="it is from another model"):
                device.restore_learned(saved[1:])
            seen.append((labels, saved))
        assert seen[0] == seen[1]
    expected = run(model, counts, [*lessons, *[-1] * 40], EXAMPLES)
    assert np.array_equal(expected.logits, seen[0][0])
    assert save_learned(model, expected.learned) == seen[0][1]


def test_numbers_that_cannot_be_are_refused_by_both(pair: tuple[IntModel, np.ndarray, Path]) -> None:
    with both(pair) as devices:
        content = devices[0].save_learned()[:-4]
        size = EXAMPLES
        for at, byte in (
            (0, 1),
            (10, 99),
            (12, 21),
            (14, size),
            (17, 0x81),
            (16 + 2 * size, 200),
            (16 + 3 * size, 200),
        ):
            wrong = content[:at] + bytes([content[at] ^ 1 if at == 0 else byte]) + content[at + 1 :]
            wrong += zlib.crc32(wrong).to_bytes(4, "little")
            for device in devices:
                with pytest.raises(DeviceRefusedError, match="STATE"):
                    device.restore_learned(wrong)


def test_a_board_without_such_a_head() -> None:
    model = quantized_model(SHAPES["sample"], name="board")
    twin = Twin(model)
    with connect(lambda: LoopbackTransport(twin.receive)) as device:
        for ask in (device.head, lambda: device.learn(0), lambda: device.use_head(HeadUse.FORGET)):
            with pytest.raises(DeviceError, match="cannot learn: its port does not support it"):
                ask()


@pytest.mark.slow  # by default over the wire
def test_every_refusal_of_the_interface(tmp_path: Path) -> None:
    model = quantized_model(SHAPES["distance"], name="case", amplitude=3.0)
    program = _checks(model, tmp_path, [*STRICT_FLAGS, "-O1", "-fsanitize=address,undefined"], find_compiler(), [])
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout + done.stderr == "all hold\n"


def _checks(model: IntModel, folder: Path, flags: list[str], compiler: Compiler, built: list[Path]) -> Path:
    sources, includes = export_board(
        model, folder / "checks", random_counts(1, 8, model.num_channels)[0], body_bytes=BODY, stream_bytes=200
    )
    own = [source for source in sources if source.name == "case.c"]
    runtime = built or [*sorted((RUNTIME_FOLDER / "src").glob("*.c"))]
    here = Path(__file__).parent / "adapt_checks.c"
    return compile_c(compiler, [*runtime, *own, here], folder / "checks" / "run", flags=flags, include_folders=includes)


def wrong_parts(model: IntModel) -> bytes:
    """Turns for the driver: a part without bytes, and one that begins within what is kept and ends behind it."""
    whole = 20 + EXAMPLES * (model.head_size + 4)
    sent = b""
    for number, fields in enumerate((messages.pack_part(0), messages.pack_part(whole - 1, bytes(3)))):
        frame = encode_frame(encode_body(Frame(Type.ADAPT_WRITE, 1000 + number, fields)))
        sent += np.array([10**6, len(frame)], dtype=np.uint32).tobytes() + frame
    return sent


@pytest.mark.slow
def test_every_branch_is_taken(tmp_path: Path) -> None:
    """Every branch of es_adapt.c, by wild hosts and the checks of the interface."""
    compiler = counting_gcc()
    headers = [RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src", WIRE_FOLDER]
    runtime = []
    for source in sorted((RUNTIME_FOLDER / "src").glob("*.c")):
        counting = ["--coverage"] if source.stem == "es_adapt" else []
        flags = ["-std=c99", "-O0", *counting, "-c"]
        runtime.append(
            compile_c(
                compiler,
                [source],
                tmp_path / f"{source.stem}.o",
                flags=flags,
                include_folders=headers,
                environment=OWN_PATHS,
            )
        )
    models = {name: quantized_model(shape, name="case", amplitude=3.0) for name, shape in SHAPES.items()}
    models["front"] = quantized_model(spec("gru", 5, front=(convolution(4, "relu", 3),)), name="case", amplitude=3.0)
    for name, model in models.items():
        recording = random_counts(1, 37, model.num_channels)[0]
        sources, includes = export_board(model, tmp_path / name, recording, body_bytes=BODY, stream_bytes=200)
        own = [source for source in sources if source.parent.name in (name, "wire")]
        for learns in (1, 2):
            driver = compile_c(
                compiler,
                [*runtime, *own, HERE / "wire_main.c"],
                tmp_path / name / "driver",
                flags=["-std=c99", "-O1", "--coverage", f"-DDRIVER_LEARNS={learns}"],
                include_folders=includes,
            )
            for seed in range(4):
                given = session(model, seed) + wrong_parts(model)
                subprocess.run([str(driver)], input=given, stdout=subprocess.DEVNULL, check=True)
        if name not in SHAPES:
            continue  # of their weights no lesson is known to change the label
        checks = _checks(model, tmp_path / name, ["-std=c99", "-O1", "--coverage"], compiler, runtime)
        subprocess.run([str(checks)], stdout=subprocess.DEVNULL, check=True)
    # A head's logits stay 2^15 below LOGIT_LIMIT; only lessons on two of them that are nearly so large reach it.
    assert [place for place in uncovered(tmp_path, "es_adapt") if "LOGIT_LIMIT" not in place] == []
