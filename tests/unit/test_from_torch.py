"""The float model computes what torch computed, for each cell; what cannot be converted is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.backends.reference_float import run_float  # noqa: E402
from edge_seq.frontends.from_torch import from_torch, from_training  # noqa: E402
from edge_seq.ir.contract import Channel, Normalisation, SensorContract  # noqa: E402
from edge_seq.ir.kind_names import CELL_NAMES  # noqa: E402
from edge_seq.ir.kinds import Gru  # noqa: E402
from edge_seq.ir.model import Readout, num_parameters  # noqa: E402
from edge_seq.support.errors import ModelError  # noqa: E402
from edge_seq.training.config import TrainingConfig  # noqa: E402
from edge_seq.training.loop import TrainingResult, classifier_of, predict  # noqa: E402
from edge_seq.training.modules import FastGrnn, SequenceClassifier  # noqa: E402

CONTRACT = SensorContract(
    sample_rate_hz=10.0,
    channels=tuple(Channel(name, "g", 8192.0, 4.0) for name in ("ax", "ay", "az")),
    window_length=7,
    window_stride=7,
)
NORMALISATION = Normalisation(mean=(100.0, -50.0, 8192.0), scale=(900.0, 1100.0, 1000.0))
LABELS = ("a", "b", "c", "d")
COMMON = {
    "name": "car",
    "labels": LABELS,
    "contract": CONTRACT,
    "normalisation": NORMALISATION,
    "readout": Readout("last"),
}


def _result(config: TrainingConfig) -> TrainingResult:
    """A result with large random weights, so that a swapped gate cannot hide."""
    torch.manual_seed(3)
    module = SequenceClassifier(
        input_size=3,
        num_classes=4,
        cell=config.cell,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        pooling=config.pooling,
        window_length=CONTRACT.window_length,
        front=config.front,
        dense=config.dense,
        dense_activation=config.dense_activation,
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-1.5, 1.5)
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    return TrainingResult(state, NORMALISATION, CONTRACT, 4, (), 1, config, 0, {}, 0.0)


def _counts() -> np.ndarray:
    generator = np.random.default_rng(1)
    return (generator.normal(size=(5, 7, 3)) * 1000 + [100, -50, 8192]).astype(np.int16)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_logits_equal_torch(cell: str, num_layers: int, pooling: str) -> None:
    require_equal(TrainingConfig(cell=cell, hidden_size=5, num_layers=num_layers, pooling=pooling))


@pytest.mark.parametrize("pooling", ["max", "mean_max", "flatten"])
@pytest.mark.parametrize(("dense", "activation"), [((), "relu"), ((6,), "relu"), ((7, 3), "tanh")])
def test_logits_with_the_largest_states_and_dense_layers_equal_torch(
    pooling: str, dense: tuple[int, ...], activation: str
) -> None:
    require_equal(TrainingConfig(cell="gru", hidden_size=5, pooling=pooling, dense=dense, dense_activation=activation))


@pytest.mark.parametrize("padding", ["causal", "valid"])
@pytest.mark.parametrize("label_every", ["window", "sample"])
def test_logits_with_front_layers_equal_torch(padding: str, label_every: str) -> None:
    front = (
        {"units": 6, "kernel": 2, "dilation": 2, "padding": padding, "activation": "tanh"},
        {"kind": "max", "kernel": 2},
        {"units": 5, "kernel": 2, "stride": 2, "padding": padding},
        {"kind": "mean", "kernel": 1},
    )
    require_equal(TrainingConfig(cell="lstm", hidden_size=5, front=front, label_every=label_every))


def require_equal(config: TrainingConfig) -> None:
    """The float reference gives torch's logits at every step."""
    result = _result(config)
    model = from_training(result, name="car", labels=LABELS)
    logits = run_float(model, _counts()).values["logits"]
    np.testing.assert_allclose(logits[:, -1], predict(result, _counts()), atol=2e-5)
    if config.pooling == "flatten":
        return  # it has no logits within a window
    features = torch.from_numpy(
        ((_counts() - np.array(NORMALISATION.mean)) / np.array(NORMALISATION.scale)).astype(np.float32)
    )
    with torch.no_grad():
        steps = classifier_of(result).forward_steps(features).numpy()
    np.testing.assert_allclose(logits, steps, atol=2e-5)
    assert model.readout == Readout(config.pooling, config.label_every, "reset")
    assert model.dense_sizes == config.dense


def test_gru_keeps_the_hidden_bias_of_the_new_gate() -> None:
    result = _result(TrainingConfig(cell="gru", hidden_size=5))
    model = from_training(result, name="car", labels=LABELS)
    (cell,) = model.layers
    assert isinstance(cell, Gru)
    np.testing.assert_array_equal(cell.new_gate_hidden.bias, result.state_dict["recurrent.bias_hh_l0"][10:])
    np.testing.assert_array_equal(cell.new_gate_input.bias, result.state_dict["recurrent.bias_ih_l0"][10:])


def test_double_biases_are_counted_once() -> None:
    result = _result(TrainingConfig(cell="lstm", hidden_size=5))
    model = from_training(result, name="car", labels=LABELS)
    assert num_parameters(model) == sum(value.size for value in result.state_dict.values()) - 4 * 5


def test_missing_biases_are_zero_and_prefixes_are_free() -> None:
    lstm = torch.nn.LSTM(3, 4, bias=False, batch_first=True)
    head = torch.nn.Linear(4, 4, bias=False)
    state = {f"net.{k}": v for k, v in lstm.state_dict().items()} | {
        f"out.{k}": v for k, v in head.state_dict().items()
    }
    model = from_torch(state, **COMMON, recurrent_prefix="net.", head_prefix="out.")
    x = torch.from_numpy(((_counts() - NORMALISATION.mean) / NORMALISATION.scale).astype(np.float32))
    with torch.no_grad():
        expected = head(lstm(x)[0]).numpy()
    np.testing.assert_allclose(run_float(model, _counts()).values["logits"], expected, atol=2e-6)


def _state(module: torch.nn.Module, head: int = 4) -> dict[str, object]:
    recurrent = {f"recurrent.{name}": value for name, value in module.state_dict().items()}
    return {**recurrent, "head.weight": torch.zeros(4, head), "head.bias": torch.zeros(4)}


def test_dense_layers_are_named_by_their_activations() -> None:
    state = _state(torch.nn.GRU(3, 4), head=6) | {"dense.0.weight": torch.zeros(6, 4), "dense.0.bias": torch.zeros(6)}
    model = from_torch(state, **COMMON, dense_activations=("relu",))
    assert [layer.activation for layer in model.dense] == ["relu"]
    with pytest.raises(ModelError, match=r"holds \['dense.0.bias', 'dense.0.weight'\], which cannot be converted"):
        from_torch(state, **COMMON)
    with pytest.raises(ModelError, match=r"dense.1.weight is missing; .* dense_prefix, or fewer dense_activations"):
        from_torch(state, **COMMON, dense_activations=("relu", "relu"))


FAST = _state(FastGrnn(3, 4, num_layers=1, dropout=0.0))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            _state(torch.nn.GRU(3, 4, bidirectional=True)),
            "_reverse belongs to .* bidirectional=True.*export the network as ONNX",
        ),
        (_state(torch.nn.LSTM(3, 4, proj_size=2)), "weight_hr_l0 belongs to .* proj_size"),
        ({"head.weight": torch.zeros(4, 4)}, r"has no recurrent.weight_ih_l0; found \['head.weight'\]"),
        ({"recurrent.weight_ih_l0": torch.zeros(4, 3)}, "weight_hh_l0 is not"),
        (
            {"recurrent.weight_ih_l0": torch.zeros(8, 3), "recurrent.weight_hh_l0": torch.zeros(8, 4)},
            r"\[8, 3\] .* are no layer; expected \[G H, I\]",
        ),
        (
            {
                "recurrent.weight_ih_l0": torch.zeros(4, 3),
                "recurrent.weight_hh_l0": torch.zeros(4, 4),
                "recurrent.bias_ih_l0": torch.zeros(3),
            },
            r"bias_ih_l0 \[3\] .* expected \[4\]",
        ),
        (
            {"recurrent.weight_ih_l0": torch.zeros(4, 3), "recurrent.weight_hh_l0": torch.zeros(4, 4)},
            "head.weight is missing",
        ),
        (FAST | {"recurrent.bias_ih_l0": torch.zeros(4)}, r"bias_ih_l0 \[4\] .* expected \[8\], two for each row"),
        (
            FAST | {"recurrent.weight_ih_l0": torch.zeros(12, 3)},
            r"\[12, 3\] .* are no layer; .* G = 1 \(RNN, FastGRNN\)",
        ),
        (
            {k: v for k, v in FAST.items() if "zeta" not in k},
            "nu_l0 is there and recurrent.zeta_l0 is not; .* needs both",
        ),
        (
            {k: v for k, v in FAST.items() if ".nu" not in k},
            "zeta_l0 is there and recurrent.nu_l0 is not; .* needs both",
        ),
        (FAST | {"recurrent.nu_l0": torch.zeros(2)}, r"layer0.nu is float32 \[2\]; expected float32 \[1\]"),
        ({**_state(torch.nn.RNN(3, 4)), "head.weight": torch.zeros(4)}, r"head.weight has shape \[4\]"),
        ({**_state(torch.nn.RNN(3, 4)), "norm.weight": torch.zeros(4)}, r"holds \['norm.weight'\]"),
        ({"recurrent.weight_ih_l0": torch.zeros(4, 3, dtype=torch.int8)}, "dtype int8; expected floating"),
        (_state(torch.nn.RNN(2, 4)), r"weight_input is float32 \[4, 2\]; expected float32 \[4, 3\]"),
        (_state(torch.nn.RNN(3, 4), head=5), r"head.weight_input is float32 \[4, 5\]"),
        (_state(torch.nn.RNN(3, 4)) | {"head.bias": torch.full((4,), float("nan"))}, "not finite"),
    ],
)
def test_refusals(state: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        from_torch(state, **COMMON)
