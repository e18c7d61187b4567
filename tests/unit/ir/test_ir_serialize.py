"""Models on disk: either complete and unchanged, or one clear error and nothing half written."""

from __future__ import annotations

import dataclasses
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.decision import DecisionStage, UnknownDistance
from edge_seq.ir.front import TimePool
from edge_seq.ir.kinds import row_groups
from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.ir.serialize import load_float_model, load_int_model, load_model, save_model
from edge_seq.support.errors import EdgeSeqError, ModelError
from tests.zoo import (
    CELLS,
    awkward_models,
    awkward_specs,
    convolution,
    quantized_model,
    random_counts,
    random_float_model,
    spec,
)

FLOAT: FloatModel = random_float_model(spec("lstm", 5, pooling="mean", step="remove_gravity"))
INT: IntModel = quantized_model(spec("lstm", 5, pooling="mean", step="remove_gravity"))


def saved(tmp_path: Path, model: FloatModel | IntModel = INT) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(model, path)
    return path


def parts(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    return safetensors.numpy.load(content), json.loads(metadata["edge_seq"])


def rewritten(
    tmp_path: Path,
    *,
    header: Callable[[dict[str, Any]], object] = lambda header: header,
    tensors: Callable[[dict[str, np.ndarray]], object] = lambda tensors: None,
    model: FloatModel | IntModel = INT,
) -> Path:
    """Change the header and tensors of a file in place, or replace its header by the returned value."""
    path = saved(tmp_path, model)
    arrays, old_header = parts(path)
    tensors(arrays)
    path.write_bytes(safetensors.numpy.save(arrays, metadata={"edge_seq": json.dumps(header(old_header))}))
    return path


def same(a: FloatModel | IntModel, b: FloatModel | IntModel) -> None:
    for field in ("name", "labels", "contract", "readout", "number_format"):
        assert getattr(a, field) == getattr(b, field)
    for mine, other in zip((*a.layers, a.head), (*b.layers, b.head), strict=True):
        assert type(mine) is type(other)
    for mine, other in zip(a.layers, b.layers, strict=True):
        for (name, rows), (other_name, other_rows) in zip(
            row_groups(mine).items(), row_groups(other).items(), strict=True
        ):
            assert name == other_name
            for field, array in vars(rows).items():
                found = getattr(other_rows, field)
                assert found.dtype == array.dtype
                assert np.array_equal(found, array), (name, field)
    for field, array in vars(a.head).items():
        assert np.array_equal(getattr(b.head, field), array)


@pytest.mark.parametrize("model", awkward_models(), ids=lambda model: model.name)
def test_integer_models_come_back_as_they_were(model: IntModel, tmp_path: Path) -> None:
    loaded = load_int_model(saved(tmp_path, model))
    same(model, loaded)
    assert model_hash(loaded) == model_hash(model)
    counts = random_counts(1, 5, model.num_channels)
    for value, other in zip(
        run_reference(model, counts).values.values(), run_reference(loaded, counts).values.values(), strict=True
    ):
        assert np.array_equal(value, other)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", list(awkward_specs("rnn")))
def test_float_models_come_back_as_they_were(cell: str, name: str, tmp_path: Path) -> None:
    model = random_float_model(awkward_specs(cell)[name])
    loaded = load_float_model(saved(tmp_path, model))
    same(model, loaded)
    assert model_hash(loaded) == model_hash(model)


def test_numpy_scalars_in_a_model_are_plain_numbers_in_its_file(tmp_path: Path) -> None:
    normalisation = FLOAT.number_format.normalisation
    scale = np.array([1.5, 0.1, 300.0])
    model = replace(
        FLOAT, number_format=replace(FLOAT.number_format, normalisation=replace(normalisation, scale=tuple(scale)))
    )
    single = replace(model.contract, sample_rate_hz=np.float32(10.1))
    for candidate in (model, replace(model, contract=single)):
        loaded = load_float_model(saved(tmp_path, candidate))
        assert model_hash(loaded) == model_hash(candidate)
        assert loaded.number_format.normalisation.scale == (1.5, 0.1, 300.0)
        assert type(loaded.number_format.normalisation.scale[0]) is float


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert saved(tmp_path).read_bytes() == saved(tmp_path).read_bytes()


def test_arrays_that_are_not_contiguous_are_saved_as_they_read(tmp_path: Path) -> None:
    weights = np.asfortranarray(FLOAT.head.weight_input)
    assert not weights.flags.c_contiguous
    model = replace(FLOAT, head=replace(FLOAT.head, weight_input=weights))
    same(FLOAT, load_float_model(saved(tmp_path, model)))


def test_a_file_that_another_process_truncated_at_any_place(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    header_end = 8 + int.from_bytes(content[:8], "little")
    for length in (0, 1, 7, 8, 9, header_end // 2, header_end - 1, header_end, header_end + 1, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"loading model.safetensors: not a whole safetensors file .*Copy or save"):
            load_model(path)


@pytest.mark.parametrize("model", [FLOAT, INT], ids=["float", "int"])
def test_any_changed_byte_of_the_tensors_is_noticed(model: FloatModel | IntModel, tmp_path: Path) -> None:
    path = saved(tmp_path, model)
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for position in range(start, len(content), 7):
        changed = content.copy()
        changed[position] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(ModelError):
            load_model(path)


def test_a_changed_weight_is_called_a_change(tmp_path: Path) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.weight_input"] = tensors["head.weight_input"] + np.float32(1)

    path = rewritten(tmp_path, tensors=change, model=FLOAT)
    with pytest.raises(
        ModelError, match=r"content has SHA-256 .*its header says .*: the file was changed after it was"
    ):
        load_model(path)


def set_field(*keys: str, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(header: dict[str, Any]) -> dict[str, Any]:
        target = header
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value
        return header

    return change


def drop_field(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda header: {name: value for name, value in header.items() if name != key}


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "newer version": (
        set_field("format_version", value=2),
        "format version 2; this release reads 1. Use the release that",
    ),
    "no version": (drop_field("format_version"), "format version None; this release reads 1"),
    "other labels": (set_field("labels", value=["a", "b", "c", "d"]), "content has SHA-256"),
    "another rate": (set_field("contract", "sample_rate_hz", value=11.0), "content has SHA-256"),
    "another readout": (set_field("readout", "at_window_end", value="carry"), "content has SHA-256"),
    "another shift": (set_field("number_format", "input_shift", value=[0, 0, 0]), "content has SHA-256"),
    "another hash": (set_field("sha256", value="0" * 64), "its header says 0000000000000000..."),
    "no hash": (drop_field("sha256"), r"its header does not describe its tensors \(KeyError: 'sha256'\)"),
    "no contract": (drop_field("contract"), r"does not describe its tensors \(KeyError: 'contract'\)"),
    "unknown kind": (set_field("kind", value="complex"), r"does not describe its tensors \(KeyError: 'complex'\)"),
    "float called int": (set_field("kind", value="float"), r"does not describe its tensors \(KeyError"),
    "unknown cell": (set_field("cells", value=["gpt"]), "layer 0 is a 'gpt'; expected one of"),
    "another cell": (set_field("cells", value=["gru"]), r"does not describe its tensors \(KeyError"),
    "fewer layers than tensors": (set_field("cells", value=[]), r"ValueError: tensors \['layer0.cell_gate.bias'"),
    "more layers than tensors": (set_field("cells", value=["lstm", "lstm"]), r"\(KeyError: 'layer1.input_gate.wide'\)"),
    "unknown readout": (set_field("readout", "colour", value="red"), r"does not describe its tensors \(TypeError"),
    "number format a list": (set_field("number_format", value=[]), r"does not describe its tensors \(AttributeError"),
    "shift a number": (
        set_field("number_format", "input_shift", value=3),
        r"does not describe its tensors \(TypeError",
    ),
    "unknown contract field": (set_field("contract", "colour", value=1), "sensor contract cannot be read: .*colour"),
    "contract without channels": (set_field("contract", "channels", value=[]), "sensor contract: 0 channels"),
    "contract of text": (set_field("contract", value="10 Hz"), "sensor contract cannot be read"),
    "rate of text": (set_field("contract", "sample_rate_hz", value="fast"), "sensor contract cannot be read"),
    "name of another kind": (set_field("name", value=None), "model name None must be a C identifier"),
    "labels of another kind": (set_field("labels", value=[1, 2, 3, 4]), "labels .* different names"),
    "a list": (lambda header: [1], "its edge_seq header is a JSON list; expected an object"),
    "a text": (lambda header: "model", "its edge_seq header is a JSON str; expected an object"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_changed_header_is_refused(case: str, tmp_path: Path) -> None:
    change, message = HEADERS[case]
    with pytest.raises(ModelError, match=message):
        load_model(rewritten(tmp_path, header=change))


def test_a_tensor_that_belongs_nowhere_is_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path, tensors=lambda tensors: tensors.update(extra=np.zeros(3, dtype=np.int8)))
    with pytest.raises(ModelError, match=r"ValueError: tensors \['extra'\] belong to no field"):
        load_model(path)


def test_a_missing_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"KeyError: 'head.bias'"):
        load_model(rewritten(tmp_path, tensors=lambda tensors: tensors.pop("head.bias")))


def test_a_header_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(1)}, metadata={"edge_seq": "{"}))
    with pytest.raises(ModelError, match=r"its edge_seq header is not JSON \(.*\); save the model again"):
        load_model(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_others_are_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(1)}, metadata=metadata))
    with pytest.raises(ModelError, match=r"loading other\.safetensors: a safetensors file without an edge_seq header"):
        load_model(path)


class Bomb:
    """Reports if it is ever unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("unpickled"),))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_never_run(protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"weight": Bomb()}, protocol=protocol))
    with pytest.raises(ModelError, match=r"this is a Python pickle .*edge_seq never loads one"):
        load_model(path)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_an_old_pickle_is_no_safetensors_file(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"weight": 1.0}, protocol=protocol))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_model(path)


def test_a_zip_as_torch_writes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    with pytest.raises(ModelError, match="this is a Python pickle"):
        load_model(path)


@pytest.mark.parametrize("length_byte", [0x80])
def test_a_header_whose_length_begins_like_a_pickle_is_read(length_byte: int, tmp_path: Path) -> None:
    """The first byte of a safetensors file is the low byte of its header's length; 0x80 begins a pickle too."""
    for spaces in range(256):
        model = replace(INT, name="a" * (1 + spaces % 48), labels=("a", "b", "c", "d" * (1 + spaces // 6)))
        content = saved(tmp_path, model).read_bytes()
        if content[0] == length_byte:
            break
    else:
        # safetensors pads its header to a multiple of eight; 0x80 is one, so a length with it must have come.
        pytest.fail("no header began with 0x80")
    same(model, load_int_model(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x00" * 64, b"{}" * 40, b"\xff" * 100])
def test_other_content_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_model(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"loading gone.safetensors: there is no such file in {tmp_path.name}"):
        load_model(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="there is no such file"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match="there is no such file in this folder"):
        load_model(Path("gone.safetensors"))


def test_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it holds an integer model; expected a float model"):
        load_float_model(saved(tmp_path, INT))
    with pytest.raises(ModelError, match=r"it holds a float model; expected an integer model\. Run edge-seq quantize"):
        load_int_model(saved(tmp_path, FLOAT))


def test_nothing_is_written_when_verification_fails(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(EdgeSeqError):
        save_model(replace(INT, labels=("one",)), folder / "model.safetensors")
    assert not folder.exists()


def test_an_old_file_stays_when_saving_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ModelError):
        save_model(replace(INT, name="Not an identifier"), path)

    def full_disk(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(FLOAT, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def numbers_of(model: FloatModel | IntModel) -> list[tuple[str, np.ndarray]]:
    named = [
        (f"layer{i}.{gate}.{field}", array)
        for i, cell in enumerate(model.layers)
        for gate, rows in row_groups(cell).items()
        for field, array in vars(rows).items()
    ]
    return [*named, *((f"head.{field}", array) for field, array in vars(model.head).items())]


@pytest.mark.parametrize("model", [FLOAT, INT], ids=["float", "int"])
def test_the_hash_changes_with_every_single_number(model: FloatModel | IntModel) -> None:
    seen = {model_hash(model)}
    count = 1
    for _, array in numbers_of(model):
        for index in np.ndindex(array.shape):
            old = array[index]
            array[index] = old + 1 if old < 100 else old - 1
            seen.add(model_hash(model))
            array[index] = old
            count += 1
    assert len(seen) == count
    assert model_hash(model) in seen


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [leaf for f in dataclasses.fields(value) for leaf in leaves(getattr(value, f.name), (*path, f.name))]
    if isinstance(value, tuple):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, (*path, i))]
    return [(path, value)]


def changed(value: Any, path: tuple[Any, ...]) -> Any:
    if value is None:  # there is no decision stage
        return DecisionStage()
    if not path:
        return value + "x" if isinstance(value, str) else value + 1
    key, *rest = path
    if isinstance(value, tuple):
        return (*value[:key], changed(value[key], tuple(rest)), *value[key + 1 :])
    return replace(value, **{key: changed(getattr(value, key), tuple(rest))})


STAGED = replace(INT, readout=replace(INT.readout, decision=DecisionStage(1, 2, 3, 4)))
UNITS = INT.hidden_sizes[-1]
FAR = UnknownDistance(tuple(tuple(range(k, k + UNITS)) for k in range(INT.num_classes)), tuple(range(INT.num_classes)))
DISTANT = replace(INT, readout=replace(INT.readout, decision=DecisionStage(1, 2, 3, 4, FAR)))


def test_a_decision_stage_survives_the_file_and_is_not_in_files_without(tmp_path: Path) -> None:
    save_model(STAGED, tmp_path / "staged.safetensors")
    assert load_int_model(tmp_path / "staged.safetensors").readout == STAGED.readout
    save_model(INT, tmp_path / "plain.safetensors")
    assert b"smoothing_shift" not in (tmp_path / "plain.safetensors").read_bytes()
    assert b"unknown_distance" not in (tmp_path / "staged.safetensors").read_bytes()
    save_model(DISTANT, tmp_path / "distant.safetensors")
    assert load_int_model(tmp_path / "distant.safetensors").readout == DISTANT.readout
    assert b'\\"decision\\"' not in (tmp_path / "plain.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("centroids", 5, r"does not describe its tensors \(TypeError"),
        ("centroids", [1, 2, 3, 4], r"does not describe its tensors \(TypeError"),
        ("centroids", [[0]], r"centroids has rows of \[1\] units; expected 4 of"),
        ("radii", [1, 2, 3, 2.5], r"radii is \[1, 2, 3, 2.5\]; expected 4 whole numbers from 0 to 262144"),
        ("radii", [1, 2, 3, 5], "content has SHA-256"),
        ("colour", "red", r"does not describe its tensors \(TypeError"),
    ],
)
def test_a_changed_distance_is_refused(field: str, value: object, message: str, tmp_path: Path) -> None:
    change = set_field("readout", "decision", "unknown_distance", field, value=value)
    with pytest.raises(ModelError, match=message):
        load_model(rewritten(tmp_path, header=change, model=DISTANT))


@pytest.mark.parametrize("model", [FLOAT, INT, STAGED, DISTANT], ids=["float", "int", "staged", "distant"])
def test_the_hash_changes_with_labels_contract_readout_and_format(model: FloatModel | IntModel) -> None:
    seen = {model_hash(model)}
    count = 1
    for field in ("labels", "contract", "readout", "number_format"):
        for path, _ in leaves(getattr(model, field)):
            seen.add(model_hash(changed(model, (field, *path))))
            count += 1
    assert count > 25
    assert len(seen) == count


def test_the_hash_sees_activations_of_dense_layers() -> None:
    model = random_float_model(spec("gru", 3, dense=((3, "relu"),)))
    other = replace(model, dense=(replace(model.dense[0], activation="none"),))
    assert model_hash(model) != model_hash(other) != model_hash(replace(model, dense=()))


def test_the_hash_sees_settings_of_front_layers(tmp_path: Path) -> None:
    model = random_float_model(spec("gru", 3, front=(convolution(4, "relu", 2), TimePool("max", 2, 1))))
    conv, pool = model.front
    changes = ({"stride": 2}, {"dilation": 2}, {"padding": "valid"}, {"activation": "tanh"})
    others = [replace(model, front=(replace(conv, **change), pool)) for change in changes]
    others += [
        replace(model, front=(conv, replace(pool, **change))) for change in ({"stride": 2}, {"statistic": "mean"})
    ]
    assert len({model_hash(one) for one in (model, *others)}) == 7
    loaded = load_float_model(saved(tmp_path, model))
    assert loaded.front[1] == pool
    with pytest.raises(ModelError, match="front layer 0 is a 'lstm'; expected 'conv' or 'pool'"):
        load_model(rewritten(tmp_path, header=set_field("front", value=[{"layer": "lstm"}])))


def test_the_hash_does_not_see_the_name_nor_the_memory_order() -> None:
    assert model_hash(replace(INT, name="another")) == model_hash(INT)
    fortran = replace(INT, head=replace(INT.head, narrow_input=np.asfortranarray(INT.head.narrow_input)))
    assert model_hash(fortran) == model_hash(INT)


def test_the_hash_sees_which_layer_and_which_gate_a_number_is_in() -> None:
    cell = INT.layers[0]
    swapped = replace(cell, input_gate=cell.forget_gate, forget_gate=cell.input_gate)  # type: ignore[union-attr]
    assert model_hash(replace(INT, layers=(swapped,))) != model_hash(INT)


def test_what_has_no_place_in_json_is_a_type_error() -> None:
    labels = (*INT.labels[:3], {"a set"})
    with pytest.raises(TypeError, match="has no place in a model; give numbers and strings"):
        model_hash(replace(INT, labels=labels))  # type: ignore[arg-type]
