"""Every branch of ``es_wire.c`` is taken (by gcov), by a wild host and a few calls that a host cannot cause."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.device import messages
from edge_seq.device.framing import Frame, encode_body, encode_frame
from edge_seq.device.messages import Type
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.running.board import WIRE_FOLDER
from firmware_export.toolchain.build import Compiler, compile_c
from tests.device.c_device import HERE, export_board
from tests.device.test_c_wire import turns
from tests.zoo import DISTANCES, quantized_model, random_counts, spec

MODELS = {
    "window": spec("lstm", 6, window_length=7, step="difference", pooling="mean"),
    "sample": spec("gru", 61, channels=5, classes=9, window_length=3, label_every="sample"),
    "distance": DISTANCES["lstm"],
    "chain": spec("gru", 5, window_length=5, pooling="mean_max", dense=((6, "relu"),)),
    "decided": spec("rnn", 5, channels=5, window_length=3, decision=DecisionStage(unknown_margin=2**14)),
}


OWN_PATHS = {"CCACHE_DISABLE": "1"}  # ccache may write paths that gcov does not find


def counting_gcc() -> Compiler:
    """The gcc whose gcov counts; a test is skipped where one of them is missing."""
    gcc = shutil.which("gcc")
    if gcc is None or shutil.which("gcov") is None:
        pytest.skip("gcc or gcov is not on this machine; sudo apt-get install gcc")
    return Compiler("gcc", (gcc,))


def uncovered(folder: Path, source: str) -> list[str]:
    """Lines of a source that were never run, or that have a branch that was never taken. Its object was compiled with
    :data:`OWN_PATHS`."""
    done = subprocess.run(
        ["gcov", "--branch-probabilities", "--branch-counts", "--stdout", *map(str, folder.glob(f"*{source}.gcda"))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    taken: dict[str, bool] = {}  # a source may have been compiled in several ways
    line, own = "", False
    for text in done.stdout.splitlines():
        if found := re.match(r"\s*-:\s*0:Source:(.*)", text):
            own = found[1].endswith(f"{source}.c")
        elif own and (found := re.match(r"branch\s+(\d+) (.*)", text)):
            place = f"branch {found[1]} of {line}"
            taken[place] = taken.get(place, False) or not re.match(r"taken 0\b|never", found[2])
        elif own and (found := re.match(r"\s*(\d+|#####)\*?:\s*(.*)", text)):
            line = found[2]
            taken[line] = taken.get(line, False) or found[1] != "#####"
    assert taken, f"gcov shows nothing of {source}.c: {done.stdout[:500]}{done.stderr[:500]}"
    return [place for place, was_taken in taken.items() if not was_taken]


def board_model(name: str) -> IntModel:
    """A model with a label longer than the wire allows, and a stride of two digits."""
    model = quantized_model(MODELS[name], name="board")
    contract = replace(model.contract, window_stride=25)
    return replace(model, labels=("straße" * 8, *model.labels[1:]), contract=contract)


RARE: list[tuple[int, bytes]] = [
    (Type.DESCRIBE, messages.pack_describe(messages.Item.GENERAL, 0)),
    (Type.DESCRIBE, messages.pack_describe(messages.Item.GENERAL, 1)),
    (Type.DESCRIBE, messages.pack_describe(messages.Item.LABEL, 0)),
    *[(Type.DESCRIBE, messages.pack_describe(item, 60_000)) for item in (messages.Item.CHANNEL, messages.Item.LABEL)],
    (Type.PUSH, b"x"),
    (Type.PUSH, b"\2\0" + bytes(2)),
    (Type.PUSH, b"\2\0" + bytes(30)),
    (Type.STATE_WRITE, bytes(4)),
    (Type.STATE_WRITE, messages.pack_part(0, bytes(20))),
    (Type.STATE_WRITE, messages.pack_part(1, bytes(150))),
    (Type.STATE_WRITE, messages.pack_part(100_000, b"x")),
    (Type.STATE_WRITE, messages.pack_part(0, bytes(20))),
    (Type.STATE_RESTORE, b""),
    *[(Type.STATE_READ, messages.pack_part(at)) for at in (0, 1, 100_000)],
    *[(kind, b"x") for kind in (Type.MODEL_STATUS, Type.MODEL_WRITE, Type.MODEL_COMMIT)],
    (0x14, b""),
    *[(Type.STREAM, bytes(fields)) for fields in ([0, 0], [3, 3], [1, 255], [2, 1], [3, 0], [1, 0])],
]
BROKEN = (b"\3ab\0", b"\5x\0", b"\5" + b"x" * 600 + b"\0", b"\xff" + b"x" * 254 + b"\1\0")


def session(model: IntModel, seed: int) -> bytes:
    """Turns for the driver; see wire_main.c."""
    rng = np.random.default_rng(seed)
    rare = [encode_frame(encode_body(Frame(kind, 2 + index, fields))) for index, (kind, fields) in enumerate(RARE)]
    stranger, hello = (encode_frame(encode_body(Frame(kind, 1, b""))) for kind in (Type.RESET, Type.HELLO))
    sent, given = b"", 0
    for data in [stranger, *turns(model, rng, 300), hello, *BROKEN, *rare, *[b""] * 9]:
        given += int(rng.choice([0, 1, 3, 20, 90]))
        sent += np.array([given, len(data)], dtype=np.uint32).tobytes() + data
    for _ in range(40):  # a stream of samples that loses none, so that frames become as large as they can
        given += 8
        sent += np.array([given, 0], dtype=np.uint32).tobytes()
    return sent


def test_every_branch_is_taken(tmp_path: Path) -> None:
    compiler = counting_gcc()
    wire = tmp_path / "es_wire.o"  # compiled once, so that all runs count in one place
    headers = [RUNTIME_FOLDER / "include", RUNTIME_FOLDER / "src", WIRE_FOLDER]
    counting = ["-std=c99", "-O0", "--coverage", "-c"]
    compile_c(
        compiler, [WIRE_FOLDER / "es_wire.c"], wire, flags=counting, include_folders=headers, environment=OWN_PATHS
    )
    # The runtime is the same for every model.
    runtime = [
        compile_c(
            compiler, [source], tmp_path / f"{source.stem}.o", flags=["-std=c99", "-O1", "-c"], include_folders=headers
        )
        for source in sorted((RUNTIME_FOLDER / "src").glob("*.c"))
    ]
    for name in MODELS:
        model = board_model(name)
        stream_bytes = 114 if name == "window" else 2800  # room for 16 samples, and for more than a frame may have
        recording = random_counts(1, 37, model.num_channels)[0] | 0x0101  # long runs of bytes without a zero
        sources, includes = export_board(model, tmp_path / name, recording, body_bytes=256, stream_bytes=stream_bytes)
        sources = [source for source in sources if source.parent == tmp_path / name]
        for define in ("DRIVER", "DRIVER_BARE", *(["DRIVER_LEARNS"] if name == "window" else [])):
            program = compile_c(
                compiler,
                [wire, *runtime, *sources, HERE / "wire_main.c"],
                tmp_path / name / "driver",
                flags=["-std=c99", "-O1", "--coverage", f"-D{define}"],
                include_folders=includes,
            )
            for seed in range(3):
                subprocess.run([str(program)], input=session(model, seed), stdout=subprocess.DEVNULL, check=True)
    assert uncovered(tmp_path, "es_wire") == []
