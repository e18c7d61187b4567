"""Weights of PyTorch with a list of their layers, and scalers from files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from edge_seq.backends.reference_float import run_float
from edge_seq.frontends.chain import Affine
from edge_seq.frontends.files import chain_of_file
from edge_seq.frontends.lower import lower, original_outputs
from edge_seq.frontends.originals import Original, run_original
from edge_seq.frontends.scaler import parse_numbers, read_scaler, scaler_in_counts, warn_of_scale
from edge_seq.frontends.torch_weights import chain_of_weights, read_weights
from edge_seq.ir.contract import Channel, Normalisation, SensorContract
from edge_seq.support.errors import ConfigError, ModelError

AXES = tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az"))
CONTRACT = SensorContract(50.0, AXES, 50, 50)
IN_UNITS = Normalisation((0.0,) * 3, (1000.0,) * 3)
RNG = np.random.default_rng(2)


def layer(kind: str, inputs: int, units: int, number: int = 0) -> dict[str, np.ndarray]:
    rows = {"rnn": 1, "gru": 3, "lstm": 4}[kind] * units
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, units)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    arrays = {name: RNG.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    return {f"{kind}.{name}_l{number}": array for name, array in arrays.items()}


HEAD = {"fc.weight": RNG.normal(0, 0.5, (4, 5)).astype(np.float32), "fc.bias": np.ones(4, dtype=np.float32)}
NORM = {
    "bn.weight": np.array([1.0, 2.0, 0.5], dtype=np.float32),
    "bn.bias": np.array([0.1, 0.2, 0.3], dtype=np.float32),
    "bn.running_mean": np.array([0.3, 0.0, -1.0], dtype=np.float32),
    "bn.running_var": np.array([1.0, 2.0, 3.0], dtype=np.float32),
    "bn.num_batches_tracked": np.array(7),
}


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_weights_give_what_torch_computes(kind: str, pooling: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save({**NORM, **layer(kind, 3, 5), **layer(kind, 5, 5, 1), **HEAD}))
    words = ("bn(0.3)", "rnn(tanh)" if kind == "rnn" else kind, pooling, "fc", "softmax")
    chain = chain_of_file(path, time_steps=50, layers=words)
    found = lower(chain, name="net", labels="abcd", contract=CONTRACT, scaler=IN_UNITS)
    counts = np.random.default_rng(0).normal(0, 900, (4, 50, 3)).astype(np.int16)
    given = run_original(Original("torch", path, layers=words), (counts / 1000).astype(np.float32))
    outputs = original_outputs(found, run_float(found.model, counts).values["logits"][:, -1])
    np.testing.assert_allclose(outputs, given.outputs, atol=1e-5)
    assert given.by.startswith("PyTorch")


def test_the_eps_of_a_batch_normalisation_can_be_given() -> None:
    scales = []
    for word, eps in (("bn", 1e-5), ("bn(1e-3)", 1e-3)):
        record = chain_of_weights({**NORM, **LSTM}, (word, "lstm", "last", "fc"), what="weights").records[0]
        assert isinstance(record, Affine)
        np.testing.assert_allclose(record.scale, NORM["bn.weight"] / np.sqrt(NORM["bn.running_var"] + eps), rtol=1e-6)
        scales.append(record.scale)
    assert (scales[0] > scales[1]).all()


def test_a_state_dict_that_torch_saved(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(3, 4, batch_first=True)
    torch.save({f"gru.{name}": value for name, value in module.state_dict().items()}, tmp_path / "w.pt")
    assert sorted(read_weights(tmp_path / "w.pt")) == sorted(layer("gru", 3, 4))
    torch.save(module, tmp_path / "module.pt")
    with pytest.raises(ModelError, match=r"holds more than weights, which may run code.*es.from_torch"):
        read_weights(tmp_path / "module.pt")
    torch.save({"model": module.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match=r"it holds \['epoch', 'model'\]; expected the tensors of one state_dict"):
        read_weights(tmp_path / "checkpoint.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelError, match=r"text.pt: (holds more than weights|cannot be read|it holds)"):
        read_weights(tmp_path / "text.pt")


LSTM = {**layer("lstm", 3, 5), **HEAD}


@pytest.mark.parametrize(
    ("weights", "layers", "message"),
    [
        (LSTM, (), r"give the layers in their order with --layers, for example --layers 'lstm,last,fc'"),
        (LSTM, ("lstm", "last"), r"\['fc'\] are not among --layers lstm,last; add them"),
        (
            LSTM,
            ("gru", "last", "fc"),
            r"'gru' is neither a module of the weights nor a function; modules: \['lstm', 'fc'\]",
        ),
        (
            {**layer("rnn", 3, 5), **HEAD},
            ("rnn", "last", "fc"),
            r"is a torch.nn.RNN.* does not say .*write rnn\(tanh\)",
        ),
        (
            {**layer("rnn", 3, 5), **HEAD},
            ("rnn(relu)", "last", "fc"),
            r"rnn\(relu\) in --layers: expected no option, or tanh.*relu is not supported: train with tanh",
        ),
        (LSTM, ("lstm", "last", "fc(relu)"), r"'fc\(relu\)' in --layers: only .* have an option; .*example fc,relu"),
        ({**NORM, **LSTM}, ("bn(two)", "lstm", "last", "fc"), r"bn\(two\) in --layers: expected the eps"),
        ({"conv.weight": np.ones((4, 3, 3), np.float32)}, ("conv",), r"conv has weights \[4, 3, 3\].*export ONNX"),
        (
            {**LSTM, "fc.bias": np.ones(3, np.float32)},
            ("lstm", "last", "fc"),
            r"fc.bias has shape \[3\]; expected \[4\]",
        ),
        (
            {**LSTM, "lstm.weight_ih_l0_reverse": np.ones((20, 3), np.float32)},
            ("lstm", "last", "fc"),
            "bidirectional=True",
        ),
        ({**LSTM, "fc.weight": np.ones((4, 5), np.int8)}, ("lstm", "last", "fc"), "expected floating point"),
    ],
)
def test_weights_that_do_not_fit_their_layers_are_refused(
    weights: dict[str, np.ndarray], layers: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_weights(weights, layers, what="weights")


def test_layers_are_only_for_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the file itself says what its layers are; leave --layers out"):
        chain_of_file(tmp_path / "a.onnx", time_steps=50, layers=("lstm",))
    (tmp_path / "a.safetensors").write_text("hello")
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        chain_of_file(tmp_path / "a.safetensors", time_steps=50, layers=("lstm",))


def test_a_scaler_comes_from_each_kind_of_file(tmp_path: Path) -> None:
    mean, scale = np.array([0.1, 0.2, 9.8]), np.array([1.0, 2.0, 3.0])
    (tmp_path / "s.json").write_text(json.dumps({"mean": mean.tolist(), "std": scale.tolist()}))
    np.savez(tmp_path / "s.npz", mean_=mean, scale_=scale, other=np.array(["x"]))
    (tmp_path / "s.safetensors").write_bytes(safetensors.numpy.save({"mean": mean, "scale": scale}))
    for name in ("s.json", "s.npz", "s.safetensors"):
        assert read_scaler(tmp_path / name) == ((0.1, 0.2, 9.8), (1.0, 2.0, 3.0))
    normalisation = scaler_in_counts(CONTRACT, *read_scaler(tmp_path / "s.npz"))
    assert normalisation == Normalisation((100.0, 200.0, 9800.0), (1000.0, 2000.0, 3000.0))
    assert scaler_in_counts(CONTRACT, None, [2.0]) == Normalisation((0.0,) * 3, (2000.0,) * 3)


def test_a_scaler_that_unpacks_to_more_than_numbers_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", mean=np.zeros(1 << 20), scale=np.ones(3))
    with pytest.raises(ConfigError, match="an array in it has 8,388,736 bytes, expected at most 1,048,576"):
        read_scaler(tmp_path / "bomb.npz")


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def scaler_file(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.pkl", b"x", "files .pkl are not read; expected .json, .npz or .safetensors.*runs code"),
        ("s.json", b'{"mean": [1]}', r"it holds \['mean'\]; expected mean and scale"),
        ("s.json", b"[", "cannot be read as a scaler"),
        ("s.npz", b"PK\x03\x04", "cannot be read as a scaler"),
        ("s.json", b'{"mean": [[1], [2, 3]], "scale": [1]}', "cannot be read as a scaler: ValueError"),
        ("s.json", b'{"mean": ["1_5"], "scale": [1]}', "scaler s.json: mean is of type <U3; expected numbers"),
        ("s.npz", npz(mean=np.array([1j]), scale=np.ones(1)), "mean is of type complex128; expected numbers"),
        ("s.npz", npz(mean_=np.zeros(1), scale_=np.zeros(1, "m8[s]")), "scale_ is of type timedelta64"),
    ],
)
def test_a_scaler_that_cannot_be_read_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        read_scaler(scaler_file(tmp_path, name, content))


@pytest.mark.parametrize(
    ("mean", "scale", "message"),
    [
        ([1.0, 2.0], None, r"mean has 2 values; expected one for each of the 3 channels \['ax', 'ay', 'az'\]"),
        (None, [1.0] * 150, "scale has 150 values.*with a value for each sample, cannot be folded"),
        (None, [0.0], "expected finite numbers, scales above 0"),
        ([float("nan")], None, "expected finite numbers"),
    ],
)
def test_a_scaler_that_does_not_fit_is_refused(mean: Any, scale: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        scaler_in_counts(CONTRACT, mean, scale)
    for text in ("1,x", "1_5,2", "\uff11,2", ""):  # float takes the second for 15, and digits of all scripts
        with pytest.raises(ConfigError, match="expected numbers with commas between them"):
            parse_numbers(text, "--mean")


def test_features_far_from_unit_scale_are_a_warning_with_numbers() -> None:
    features = np.random.default_rng(0).normal(0, 1, (4, 50, 3)).astype(np.float32)
    assert warn_of_scale(features, CONTRACT) is None
    warning = warn_of_scale(features * [1, 1, 100] + [0, 9.8, 0], CONTRACT) or ""
    assert "ay 9.7" in warning or "ay 9.8" in warning
    assert "az" in warning
    assert "ax" not in warning
    assert "--scaler" in warning
