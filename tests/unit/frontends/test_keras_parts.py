"""Windows in parts: layers of Keras within TimeDistributed that see several samples, as a CNN-LSTM has them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

from edge_seq.backends.reference_float import run_float
from edge_seq.frontends.files import chain_of_file
from edge_seq.frontends.lower import Lowered, lower
from edge_seq.frontends.originals import Original, run_original
from edge_seq.ir.contract import Channel, Normalisation, SensorContract
from edge_seq.support.errors import ContractError, ModelError, ToolError
from tests.unit.frontends.keras_case import Named, dense, description, recurrent, write_keras

SAVED = Path(__file__).parent / "saved"
AXES = tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az"))
RNG = np.random.default_rng(1)


def lowered(path: Path, window_length: int = 24) -> Lowered:
    contract = SensorContract(50.0, AXES, window_length, window_length)
    chain = chain_of_file(path, time_steps=window_length)
    in_units = Normalisation((0.0,) * 3, (1000.0,) * 3)
    return lower(chain, name="net", labels=("a", "b", "c", "d"), contract=contract, scaler=in_units)


def reshape(*shape: int) -> Named:
    return "Reshape", {"target_shape": list(shape)}, []


def each(kind: str, weights: list[np.ndarray] | None = None, **options: Any) -> Named:
    inner = {"class_name": kind, "config": {"name": "inner", **options}}
    return "TimeDistributed", {"layer": inner}, weights or []


def convolution(inputs: int, units: int, size: int, **options: Any) -> Named:
    weights = [RNG.normal(0, 0.5, (size, inputs, units)), RNG.normal(0, 0.5, units)]
    return each("Conv1D", weights, **{"activation": "relu", **options})


def head(kind: str, inputs: int) -> list[Named]:
    return [recurrent(kind, 5, inputs), dense(4, 5, "softmax")]


def counts(steps: int = 24) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(0).normal(0, 900, (3, steps, 3)).astype(np.int16)


@pytest.mark.parametrize(("pool", "stride"), [("MaxPooling1D", 1), ("AveragePooling1D", 2), ("GlobalMaxPooling1D", 1)])
def test_each_part_is_convolved_alone(pool: str, stride: int, tmp_path: Path) -> None:
    """Against numpy: a convolution of each part, pooled, in one vector, which the recurrent layer gets."""
    conv = convolution(3, 6, 3, strides=[stride])
    kernel, bias = conv[2]
    parts = counts().reshape(3, 3, 8, 3) / 1000
    seen = np.stack([parts[:, :, t : t + 3] for t in range(0, 6, stride)], axis=2)  # [B, N, t, K, C]
    values = np.maximum(np.einsum("bntkc,kcu->bntu", seen, kernel) + bias, 0)
    if pool == "GlobalMaxPooling1D":
        expected, layers = values.max(axis=2), [each(pool)]
    else:
        pairs = values[:, :, : values.shape[2] // 2 * 2].reshape(3, 3, -1, 2, 6)
        pooled = pairs.max(axis=3) if pool == "MaxPooling1D" else pairs.mean(axis=3)
        expected, layers = pooled.reshape(3, 3, -1), [each(pool, pool_size=[2]), each("Flatten")]
    path = write_keras(
        tmp_path / "a.keras",
        [reshape(3, 8, 3), conv, *layers, *head("LSTM", expected.shape[2])],
        time_steps=24,
    )
    found = lowered(path)
    index = len(found.model.front) - 1
    assert found.model.front[index].stride == 8 // stride // (1 if pool == "GlobalMaxPooling1D" else 2)
    outputs = run_float(found.model, counts()).values[f"front{index}"]
    np.testing.assert_allclose(outputs[:, 7::8], expected, atol=1e-5)  # at the last sample of each part
    copies = "puts 3 steps of 6 values in one vector; that is a convolution with 324 weights, all but 18 of them zeros"
    assert any(copies in note for note in found.notes) == (pool == "MaxPooling1D")


def test_a_reshape_joins_parts_as_flatten_does(tmp_path: Path) -> None:
    conv, rest = convolution(3, 2, 3), head("GRU", 12)
    both = [
        lowered(write_keras(tmp_path / name, [reshape(-1, 8, 3), conv, joins, *rest], time_steps=24))
        for name, joins in (("a.keras", each("Flatten")), ("b.keras", reshape(3, 12)))
    ]
    logits = [run_float(one.model, counts()).logits for one in both]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [convolution(3, 6, 3, padding="same"), each("Flatten")],
            "TimeDistributed layer_1 adds zeros at the ends of each part of a window; expected padding 'valid'",
        ),
        (
            [convolution(3, 6, 3, strides=[3]), each("Flatten")],
            "takes every 3th step of parts of 8 steps; expected a divisor",
        ),
        ([convolution(3, 300, 3), each("Flatten")], "gives 6 x 300 units; expected at most 1024"),
        ([each("LSTM")], "has a LSTM in it.*use TimeDistributed with Activation, .*SeparableConv1D or Flatten"),
        ([convolution(3, 6, 9)], "needs 9 steps of a window of 8"),
        ([each("GlobalMaxPooling1D", keepdims=True)], "has keepdims=True"),
    ],
)
def test_what_parts_cannot_be_is_refused(layers: list[Named], message: str, tmp_path: Path) -> None:
    path = write_keras(tmp_path / "a.keras", [reshape(3, 8, 3), *layers, *head("LSTM", 36)], time_steps=24)
    with pytest.raises(ModelError, match=message):
        lowered(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([None, -4, -6, 3], "its input has the shape"),
        ([None, "4", 6, 3], "cannot be read as a file of Keras"),
        ([None, 1 << 40, 4, 3], "takes windows of 4398046511104 samples"),
        ([None, None, 7, 3], "takes windows of 21 samples, the contract has 24"),
    ],
)
def test_absurd_parts_are_refused(shape: list[Any], message: str, tmp_path: Path) -> None:
    layers = [each("Flatten"), *head("GRU", 3 * abs(shape[2]))]
    config = description(layers)
    config["config"]["layers"][0]["config"]["batch_shape"] = shape
    path = write_keras(tmp_path / "a.keras", layers, config=config)
    with pytest.raises((ModelError, ContractError), match=message):
        lowered(path)


def test_an_input_in_parts_has_the_length_of_the_contract() -> None:
    with pytest.raises(ContractError, match="takes windows of 20 samples, the contract has 24; set window_length = 20"):
        lowered(SAVED / "parts.keras")


def test_what_changes_nothing_in_a_part_is_said() -> None:
    notes = lowered(SAVED / "parts.keras", 20).notes
    assert any(re.match(r"Dropout time_distributed\w* changes nothing at inference", note) for note in notes), notes


def test_a_class_of_the_user_in_a_part_is_not_passed_over(tmp_path: Path) -> None:
    mine: Named = ("TimeDistributed", {"layer": {"class_name": "Dropout", "module": "mine.layers", "config": {}}}, [])
    path = write_keras(
        tmp_path / "a.keras", [reshape(3, 8, 3), mine, each("Flatten"), *head("LSTM", 24)], time_steps=24
    )
    with pytest.raises(ModelError, match="TimeDistributed layer_1 has a Dropout in it, which is not supported"):
        lowered(path)


@pytest.mark.slow  # starts Keras
@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras")
def test_keras_gets_the_window_in_parts() -> None:
    with np.load(SAVED / "parts.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    np.testing.assert_allclose(run_original(Original("keras", SAVED / "parts.keras"), x).outputs, y, atol=1e-5)


@pytest.mark.slow  # starts Keras
@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras")
def test_an_original_of_keras_2_is_read_but_not_evaluated() -> None:
    """Keras 3 cannot load it: the import works, and the rung of the original is skipped for the reason it gives."""
    with np.load(SAVED / "keras_2_2_4.npz") as arrays:
        x = arrays["x"]
    with pytest.raises(ToolError, match=r"cannot evaluate keras_2_2_4\.h5"):
        run_original(Original("keras", SAVED / "keras_2_2_4.h5"), x)
