"""Every branch of ``es_load.c`` is taken (by gcov): by models of each kind, wrong blobs, and wrong calls.

Wrong blobs are asked for by name, number by number; nothing hangs on random ones.
"""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.front import TimePool
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import Compiler, compile_c
from tests.device.test_c_coverage import OWN_PATHS, counting_gcc, uncovered
from tests.load.conftest import HERE, INCLUDES
from tests.load.test_blob import CONTRACT, MODEL, OK, blob_of, mended, shapes, small
from tests.zoo import CELLS, Spec, convolution, quantized_model, some_distance, spec

NUMBERS = 64  # where they begin
ONE = (5, 5)  # a bidirectional layer
CONVOLUTION = convolution(4, "relu", 3, padding="same", zeros=(1, 1))
SHAPES: dict[str, Spec] = {
    "plain": spec("gru", 5),
    "one channel": spec("gru", 5, channels=1),
    "dense": spec("rnn", 5, dense=((4, "tanh"), (6, "none"))),
    "front": spec(
        *("gru", 5),
        front=(CONVOLUTION, TimePool("mean", 2, 1), TimePool("max", 2, 2), convolution(4, "none", 1)),
        window_length=9,
    ),
    "eight channels": spec("gru", 5, channels=8, front=(convolution(4, "tanh", 3),)),
    "both": spec("gru", *ONE, backward=(1,)),
    "nibbles": Spec(CELLS, (9, 5, 8, 12), weight_bits=(4, 4, 4, 4)),
    "two both": spec("lstm", 5, 5, 4, 4, backward=(1, 3), pooling="mean"),
    "both behind front": spec(
        "gru", *ONE, backward=(1,), front=(convolution(4, "relu", 3, padding="valid"),), pooling="max", window_length=9
    ),
    "flatten": spec("gru", 5, pooling="flatten"),
    "flatten dense": spec("gru", 5, pooling="flatten", dense=((4, "relu"),)),
    "decided": spec("rnn", 5, decision=DecisionStage(unknown_margin=2**14)),
    "distance": spec("gru", 5, decision=DecisionStage(2, 2**14, 2, 0, some_distance(4, 5, radius=400))),
    "mean of samples": spec("gru", 5, pooling="mean", label_every="sample"),
    "magnitude": spec("gru", 5, step="difference", magnitude=True),
    "magnitude companded": spec("gru", 5, companding=5, magnitude=True),
}
# Numbers of a blob that cannot be, each refused by another check.
WRONG: list[tuple[str, dict[str, int]]] = [
    ("plain", {"text": 1 << 30}),
    ("plain", {"pooling": 4, "label_every": 1}),
    ("plain", {"channels": 256}),
    ("plain", {"channels": 65}),
    ("plain", {"channels": 3 + 256 * 4}),
    ("magnitude", {"axis0": 3}),
    ("magnitude companded", {"shift3": 1}),
    ("magnitude", {"step": 3}),
    ("plain", {"reciprocals": 1}),
    ("plain", {"windows": 4096, "steps": 4096}),
    ("plain", {"windows": 0xFFFF, "steps": 0xFFFF}),
    ("plain", {"windows": 0xFFFF, "labels": 0xFFFF}),
    ("plain", {"layer0.kind": 7}),
    ("plain", {"layer0.kind": 9}),
    ("plain", {"layer0.kind": 23}),
    ("nibbles", {"layer0.kind": 0}),
    ("front", {"front1.units": 5}),
    ("front", {"front1.dilation": 2}),
    ("front", {"front1.after": 9}),
    ("front", {"front1.taps": 4096, "front1.dilation": 2}),
    ("front", {"front1.taps": 4096, "front0.units": 1024, "front1.units": 1024}),
    ("eight channels", {"window": 16383, "front0.units": 1024, "front0.taps": 3900, "front0.first": 0}),
    ("front", {"window": 1}),
    ("both", {"label_every": 1}),
    ("both", {"carry": 1}),
    ("both", {"window": 16383}),
    ("both", {"window": 0}),
    ("both", {"pooling": 4}),
    ("both", {"layer0.kind": 9, "layer1.kind": 1}),
    ("both", {"layer1.units": 6}),
    ("two both", {"layer2.kind": 10}),
    ("two both", {"window": 16383, "reciprocals": 1}),
    ("both behind front", {"window": 1}),
    ("distance", {"hysteresis": 1 << 20}),
    ("distance", {"margin": 1 << 20}),
    ("distance", {"pooling": 4}),
    ("distance", {"pooling": 3, "layer0.units": 1024}),
    ("flatten", {"window": 16383, "layer0.units": 1024}),
]
CHECKED = (
    *("text", "channels", "classes", "layers", "dense", "front", "window", "label_every", "carry", "step", "gravity"),
    *("pooling", "reciprocals", "shift0", "decision", "hysteresis", "margin", "smoothing", "min_labels", "windows"),
    *("steps", "labels", "layer0.kind", "layer0.units", "layer0.bits"),
)
OTHER_KINDS = ("dense", "front", "both", "flatten", "flatten dense", "nibbles")  # beside recurrent layers


def numbers_of(blob: bytes) -> dict[str, tuple[int, int]]:
    """Place and size of each number of a blob by its name (SPEC.md, section 20)."""
    found: dict[str, tuple[int, int]] = {}
    at = NUMBERS

    def next_ones(names: str, prefix: str = "", size: int = 2) -> None:
        nonlocal at
        for name in names.split():
            found[prefix + name] = (at, size)
            at += size

    def value(name: str) -> int:
        place, size = found[name]
        return int.from_bytes(blob[place : place + size], "little")

    next_ones("text", size=4)
    next_ones("channels classes layers dense front")
    next_ones("stride", size=4)
    next_ones("window label_every carry step gravity pooling reciprocals")
    features = value("channels") % 256 + value("channels") // 256  # channels, and magnitudes
    next_ones(" ".join(map(str, range(features))), "shift")
    next_ones(" ".join(map(str, range(3 * (value("channels") // 256)))), "axis")
    next_ones("decision")
    next_ones("hysteresis margin", size=4)
    next_ones("smoothing min_labels windows steps labels")
    for index in range(value("front")):
        next_ones("kind pads units taps dilation stride first reciprocal after", f"front{index}.")
        at += 2 * value(f"front{index}.pads") * (features + features % 2)
    for index in range(value("layers")):
        next_ones("kind units bits", f"layer{index}.")
    for index in range(value("dense")):
        next_ones("activation units", f"dense{index}.")
    found["end"] = (at, 0)
    return found


def changed(blob: bytes, values: dict[str, int]) -> bytes:
    """The blob with other numbers, and a right checksum."""
    numbers = numbers_of(blob)
    for name, value in values.items():
        at, size = numbers[name]
        blob = mended(blob, at, value.to_bytes(size, "little"))
    return blob


def sized(blob: bytes, size: int) -> bytes:
    """The blob cut to a size, with a right size and checksum."""
    cut = blob[:12] + size.to_bytes(4, "little") + bytes(4) + blob[20:size]
    return cut[:16] + zlib.crc32(cut[:16] + cut[20:]).to_bytes(4, "little") + cut[20:]


def damaged(blob: bytes) -> Iterator[bytes]:
    """A header that cannot be, sizes that do not fit, and numbers that are as large as they can be."""
    yield from (blob[:8], blob[:40], b"x" + blob[1:], blob[:3] + b"x" + blob[4:], blob[:30] + b"x" + blob[31:])
    yield from (mended(blob, 4, b"\2\0"), mended(blob, 6, b"\2\0"), mended(blob, 8, b"\1\1"), mended(blob, 8, b"\2\2"))
    yield from (blob + bytes(1 << 10), sized(blob, len(blob) - 3), sized(blob + bytes(4), len(blob) + 4))
    yield from (sized(blob, size) for size in range(NUMBERS + 16, len(blob), 4))
    numbers = numbers_of(blob)
    yield from (changed(blob, {name: 256 ** numbers[name][1] - 1}) for name in CHECKED)
    (at, _), text_bytes = numbers["end"], int.from_bytes(blob[NUMBERS : NUMBERS + 4], "little")
    yield mended(blob, -(-at // 4) * 4 + text_bytes - 1, b"x")  # the last text has no end


def contracts(model: IntModel) -> Iterator[IntModel]:
    """Models that take other samples, or give other labels."""
    contract = model.contract
    for name, value in (("name", "other"), ("unit", "g"), ("counts_per_unit", 7.0), ("full_scale", 3.0)):
        channels = (*contract.channels[:2], replace(contract.channels[2], **{name: value}))
        yield replace(model, contract=replace(contract, channels=channels))
    yield replace(model, contract=replace(contract, sample_rate_hz=12.5))
    yield replace(model, labels=(*model.labels[:3], "other"))
    yield replace(model, labels=("other", *model.labels[1:]))
    yield small(classes=5)
    yield small(channels=2)


class Loader:
    """The program try_load.c with an object of es_load.c of its own; its runs count in one place."""

    def __init__(self, compiler: Compiler, folder: Path, name: str, flags: tuple[str, ...] = ()) -> None:
        self._folder = folder / name
        counting = ["-std=c99", "-O0", "--coverage", *flags, "-c"]
        plain = ["-std=c99", "-O1"]
        loader = compile_c(
            compiler,
            [RUNTIME_FOLDER / "load" / "es_load.c"],
            folder / f"{name}_es_load.o",
            flags=counting,
            include_folders=INCLUDES,
            environment=OWN_PATHS,
        )
        runtime = [
            compile_c(compiler, [source], folder / f"{source.stem}.o", flags=[*plain, "-c"], include_folders=INCLUDES)
            for source in sorted((RUNTIME_FOLDER / "src").glob("*.c"))
        ]
        self._program = compile_c(
            compiler,
            [loader, *runtime, HERE / "try_load.c"],
            self._folder / "try_load",
            flags=[*plain, "--coverage"],
            include_folders=INCLUDES,
        )

    def load(self, *cases: tuple[bytes, bytes]) -> list[int]:
        """Status of es_load for each blob, with the blob whose contract it must have; empty if any will do."""
        with (self._folder / "cases").open("wb") as file:
            for one in (part for case in cases for part in case):
                file.write(len(one).to_bytes(4, "little") + one)
        done = subprocess.run(
            [str(self._program), str(self._folder / "cases")], capture_output=True, text=True, check=True
        )
        found = [int(line) for line in done.stdout.split()]
        assert len(found) == len(cases)
        return found


@pytest.mark.slow
def test_every_branch_is_taken(tmp_path: Path) -> None:
    compiler = counting_gcc()
    models = {name: quantized_model(shape, name="small") for name, shape in SHAPES.items()}
    models |= {f"{cell}{n}": quantized_model(shape, name="m") for cell in CELLS for n, shape in enumerate(shapes(cell))}
    blobs = {name: blob_of(model) for name, model in models.items()}
    loader = Loader(compiler, tmp_path, "all")
    few = Loader(compiler, tmp_path, "few", ("-DES_LOAD_KINDS=2",))  # gru alone
    assert loader.load(*((blob, b"") for blob in blobs.values())) == [OK] * len(blobs)

    wrong = [changed(blobs[name], values) for name, values in WRONG]
    found = dict(zip(map(str, WRONG), loader.load(*((blob, b"") for blob in wrong)), strict=True))
    assert [one for one, status in found.items() if status == OK] == []
    assert OK not in loader.load(*((blob, b"") for blob in damaged(blobs["plain"])))
    assert OK not in loader.load((blob_of(models["plain"], "big"), b""))

    expected = blob_of(small())
    assert set(loader.load(*((blob_of(one), expected) for one in contracts(small())))) == {CONTRACT}
    assert loader.load((expected, expected)) == [OK]

    assert few.load((expected, b""), *((blobs[f"{cell}0"], b"") for cell in CELLS)) == [
        OK if cell == "gru" else MODEL for cell in ("gru", *CELLS)
    ]
    assert set(few.load(*((blobs[name], b"") for name in OTHER_KINDS))) == {MODEL}
    assert uncovered(tmp_path, "es_load") == []
