"""Blobs: every model of the zoo loads and passes its self-test; everything else is refused by name."""

from __future__ import annotations

import ctypes
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.contract import Preprocessing
from edge_seq.ir.kind_names import CellName
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ConfigError, ExportError, ModelError
from firmware_export.emission.blob import choose_byte_order, emit_blob, read_blob
from firmware_export.emission.golden import make_golden
from firmware_export.toolchain.build import STRICT_FLAGS
from tests.load.conftest import SANITIZE, WRAP, build
from tests.zoo import (
    CELLS,
    DISTANCES,
    Spec,
    awkward_models,
    convolution,
    quantized_model,
    random_chain,
    random_counts,
    random_front_chain,
    random_two_way_chain,
    spec,
)

OK, MODEL, BLOB, BYTE_ORDER, CONTRACT = 0, 3, 9, 10, 11  # es_status_t


def blob_of(model: IntModel, order: str = "little", seed: int = 0) -> bytes:
    counts = random_counts(2, 2 * model.contract.window_length, model.num_channels, seed=seed, sigma=500)
    return emit_blob(model, make_golden(model, counts), choose_byte_order(order))


def mended(blob: bytes, at: int = 0, new: bytes = b"") -> bytes:
    """The blob with other bytes at one place, and a right checksum."""
    changed = blob[:at] + new + blob[at + len(new) :]
    return changed[:16] + zlib.crc32(changed[:16] + changed[20:]).to_bytes(4, "little") + changed[20:]


def chain_models() -> list[IntModel]:
    """Models with dense layers, with convolutions and pools over time, and with bidirectional layers."""
    specs = [random_front_chain(seed) for seed in range(2)] + [random_chain(seed) for seed in range(2)]
    specs += [random_two_way_chain(seed) for seed in range(2)]
    specs += [spec("gru", 5, pooling="flatten"), spec("rnn", 6, 3, pooling="flatten", dense=((5, "tanh"), (6, "relu")))]
    return [quantized_model(spec, name=f"chain{index}", seed=index) for index, spec in enumerate(specs)]


def shapes(cell: CellName) -> list[Spec]:
    """Two layers with an odd number of channels; every optional part at once."""
    two = spec(cell, 5, 3, channels=5, label_every="sample", at_window_end="carry", pooling="mean_max")
    return [two, DISTANCES[cell], replace(DISTANCES[cell], preprocessing=Preprocessing("remove_gravity", 4))]


def small(**more: object) -> IntModel:
    return quantized_model(spec("gru", 5, **more), name="small")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def load(load_library: Path) -> Callable[..., int]:
    return loader_of(load_library)


def loader_of(load_library: Path) -> Callable[..., int]:
    """A function from a blob, and perhaps one with the expected contract, to es_load's and es_self_test's status."""
    library = ctypes.CDLL(str(load_library))
    none, zero = None, ctypes.c_size_t(0)

    def status(blob: bytes, expected: bytes | None = None) -> int:
        size = ctypes.c_size_t(0 if expected is None else len(expected))
        got: int = library.load_and_run(blob, ctypes.c_size_t(len(blob)), expected, size, none, zero, 1, none)
        return got

    return status


def test_every_model_of_the_zoo_loads_and_passes_its_self_test(load: Callable[..., int]) -> None:
    models = [
        *[quantized_model(shape, name=f"{cell}{index}") for cell in CELLS for index, shape in enumerate(shapes(cell))],
        *chain_models(),
    ]
    found = {model.name: load(blob_of(model, seed=seed)) for seed, model in enumerate(models)}
    assert found == dict.fromkeys(found, OK)
    assert len(found) == 20


@pytest.mark.slow
def test_every_model_of_the_whole_zoo_loads(load: Callable[..., int]) -> None:
    assert {load(blob_of(model)) for model in awkward_models()} == {OK}
    assert {load(blob_of(model, "big")) for model in awkward_models()} == {BYTE_ORDER}


def test_a_loaded_model_gives_the_reference_labels(load_library: Path) -> None:
    model = quantized_model(spec("lstm", 6, step="difference", pooling="mean", label_every="sample"), name="same")
    counts = random_counts(1, 30, 3, sigma=500)
    results = np.zeros((30, 3), dtype=np.int32)
    blob = blob_of(model)
    library = ctypes.CDLL(str(load_library))
    steps, size = ctypes.c_size_t(30), ctypes.c_size_t(len(blob))
    pointer = ctypes.c_void_p(results.ctypes.data)
    status = library.load_and_run(
        blob, size, None, ctypes.c_size_t(0), ctypes.c_void_p(counts.ctypes.data), steps, 0, pointer
    )
    trace = run_reference(model, counts)
    assert status == OK
    assert results[:, 1].tolist() == trace.values["label"][0, :, 0].tolist()
    assert results[:, 2].tolist() == trace.values["logits"][0, :, 0].tolist()


def test_damage_is_refused(load: Callable[..., int]) -> None:
    blob = blob_of(small())
    assert {load(blob[:at] + bytes([blob[at] ^ 4]) + blob[at + 1 :]) for at in range(12, len(blob), 7)} == {BLOB}
    assert {load(blob[:size]) for size in range(0, len(blob), 11)} == {BLOB}
    assert load(blob + bytes(4)) == BLOB
    assert load(mended(blob + bytes(4), 12, (len(blob) + 4).to_bytes(4, "little"))) == BLOB  # bytes left at the end


def test_other_versions_and_byte_orders_are_refused_by_name(load: Callable[..., int]) -> None:
    blob = blob_of(small())
    assert load(mended(blob, 4, b"\2\0")) == MODEL
    assert load(mended(blob, 6, b"\2\0")) == MODEL
    assert load(blob_of(small(), "big")) == BYTE_ORDER


def test_layers_that_cannot_run_backward_are_refused(load: Callable[..., int]) -> None:
    two = quantized_model(spec("gru", 5, 3), name="two")
    for model, layer in ((small(), 0), (two, 1)):  # the first layer; one with other units than the layer before it
        bits = model.number_format.cell_frac_bits[layer]
        blob = blob_of(model)
        at = blob.index(struct.pack("<3H", 1, model.hidden_sizes[layer], bits), 64)
        assert load(mended(blob, at, bytes([1 + 8]))) == BLOB


def test_a_preprocessing_that_there_is_not_is_refused(load: Callable[..., int]) -> None:
    blob, companded = blob_of(small()), blob_of(small(step="difference", companding=14))
    assert struct.unpack_from("<HxxxxxxH", companded, 88) == (1 + 4 * 14, 0)
    assert load(companded) == OK
    assert {load(mended(blob, 88, bytes([number]))) for number in (3, 7, 4 * 14 + 3, 4 * 15)} == {BLOB}
    assert load(mended(companded, 96, b"\1")) == BLOB  # a shift of what is companded


def test_magnitudes_that_there_cannot_be_are_refused(load: Callable[..., int]) -> None:
    blob, longer = blob_of(small()), blob_of(small(channels=4, magnitude=True))
    assert struct.unpack_from("<H", longer, 68) == (4 + 256,)
    assert load(longer) == OK
    assert {load(mended(blob, 69, bytes([number]))) for number in (1, 4, 255)} == {BLOB}  # their axes are missing
    axes = 96 + 2 * 5
    assert struct.unpack_from("<3H", longer, axes) == (2, 3, 1)
    assert load(mended(longer, axes, struct.pack("<H", 4))) == BLOB  # there are channels 0 to 3
    assert load(mended(longer, axes, struct.pack("<H", 0))) not in (OK, BLOB)  # differs from the checksum


def test_another_contract_is_refused(load: Callable[..., int]) -> None:
    model = small()
    contract = model.contract
    other = {
        "rate": replace(model, contract=replace(contract, sample_rate_hz=12.5)),
        "unit": replace(
            model,
            contract=replace(contract, channels=(*contract.channels[:2], replace(contract.channels[2], unit="g"))),
        ),
        "labels": replace(model, labels=(*model.labels[:3], "other")),
        "classes": small(classes=5),
        "channels": small(channels=2),
    }
    expected = blob_of(model)
    assert {name: load(blob_of(one), expected) for name, one in other.items()} == dict.fromkeys(other, CONTRACT)
    assert (
        load(blob_of(small(pooling="mean", window_length=9)), expected) == OK
    )  # what goes in and comes out is the same
    assert load(expected, expected) == OK


def test_forged_blobs_are_refused_or_run(load_library: Path) -> None:
    fuzz = ctypes.CDLL(str(load_library)).fuzz_load
    blob = blob_of(quantized_model(spec("gru", 5, 3), name="two"))
    ran = fuzz(blob, ctypes.c_size_t(len(blob)), ctypes.c_ulong(400), ctypes.c_ulong(1))
    assert 40 < ran < 360


@pytest.mark.slow
def test_no_forged_blob_of_the_whole_zoo_leads_outside_its_memory(tmp_path: Path) -> None:
    fuzz = build(["fuzz_load.c"], tmp_path / "fuzz", [*SANITIZE, *WRAP])
    for seed, model in enumerate([*awkward_models(), *chain_models()]):
        _fuzz(fuzz, model, tmp_path / "model.blob", 2000, seed + 1)


def _fuzz(program: Path, model: IntModel, blob: Path, rounds: int, seed: int) -> None:
    blob.write_bytes(blob_of(model))
    done = subprocess.run(
        [str(program), str(blob), str(rounds), str(seed)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (model.name, done.stderr)
    refused, ran = (int(word) for word in done.stdout.split() if word.isdigit())
    assert refused > rounds // 10, model.name
    assert ran > rounds // 20, model.name


def test_reading_a_blob_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "small.blob"
    with pytest.raises(ModelError, match=r"reading the blob small\.blob: No such file"):
        read_blob(path)
    path.write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match=r"not a blob of a model\. Give a file that edge-seq export RUN --blob"):
        read_blob(path)
    blob = blob_of(small(), "big")
    path.write_bytes(blob)
    assert read_blob(path).byte_order == "big"
    path.write_bytes(blob[:-1] + b"x")
    with pytest.raises(ModelError, match="damaged or cut"):
        read_blob(path)


def test_an_unknown_byte_order_and_foreign_golden_vectors_are_refused() -> None:
    with pytest.raises(ConfigError, match="byte order 'middle' is unknown; give one of little, big"):
        choose_byte_order("middle")
    model, other = small(), small(classes=5)
    with pytest.raises(ExportError, match="the golden vectors are of model"):
        emit_blob(model, make_golden(other, random_counts(1, 7, 3)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        spec("gru", 5, pooling="flatten"),
        spec("gru", 5, pooling="flatten", dense=((4, "relu"),)),
        spec("gru", 5, pooling="flatten", front=(convolution(4, "relu", 3),)),
    ],
)
def test_a_kind_that_is_not_linked_is_refused(shape: Spec, tmp_path: Path) -> None:
    """ES_LOAD_KINDS without rows that see all steps of a window."""
    flags = [*STRICT_FLAGS, "-O1", "-fPIC", "-shared", "-DES_LOAD_KINDS=63"]
    without = loader_of(build(["load_library.c", "fuzz_load.c"], tmp_path / "load.so", flags))
    assert without(blob_of(quantized_model(shape, name="small"))) == MODEL
    assert without(blob_of(small())) == OK
