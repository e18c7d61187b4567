from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.ir.kind_names import CELL_NAMES, POOLINGS  # noqa: E402
from edge_seq.support.errors import ConfigError  # noqa: E402
from edge_seq.training.config import InitialisationConfig  # noqa: E402
from edge_seq.training.initialise import initialise  # noqa: E402
from edge_seq.training.modules import ConvolutionalBaseline, SequenceClassifier  # noqa: E402


def _classifier(cell: str, hidden_size: int = 6, num_layers: int = 2, pooling: str = "mean") -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(
        input_size=3, num_classes=4, cell=cell, hidden_size=hidden_size, num_layers=num_layers, pooling=pooling
    ).eval()


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("pooling", [one for one in POOLINGS if one != "flatten"])
def test_each_step_is_what_a_window_ending_there_gives(cell: str, pooling: str) -> None:
    module = _classifier(cell, pooling=pooling)
    x = torch.randn(2, 9, 3)
    steps = module.forward_steps(x)
    assert steps.shape == (2, 9, 4)
    for t in range(9):
        torch.testing.assert_close(steps[:, t], module(x[:, : t + 1]), atol=1e-6, rtol=1e-5)


def test_convolutional_baseline_has_the_parameters_of_the_kit() -> None:
    module = ConvolutionalBaseline(window_length=50, input_size=3, num_classes=4)
    assert sum(parameter.numel() for parameter in module.parameters()) == 24_428
    assert module(torch.zeros(2, 50, 3)).shape == (2, 4)


def test_convolutional_baseline_refuses_short_windows() -> None:
    with pytest.raises(ConfigError, match=r"window_length is 4; .* at least 5"):
        ConvolutionalBaseline(window_length=4, input_size=3, num_classes=4)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_orthogonal_recurrent_weights(cell: str) -> None:
    module = _classifier(cell)
    initialise(module, InitialisationConfig(), window_length=50)
    for layer in range(2):
        for gate in torch.split(getattr(module.recurrent, f"weight_hh_l{layer}").detach(), 6):
            torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)


def test_default_recurrent_weights_are_left_alone() -> None:
    module = _classifier("lstm")
    before = module.recurrent.weight_hh_l0.detach().clone()
    initialise(module, InitialisationConfig(recurrent="default"), window_length=50)
    assert torch.equal(module.recurrent.weight_hh_l0, before)


def _gate_bias(module: SequenceClassifier, gate: int, layer: int = 0) -> np.ndarray:
    rows = slice(gate * 400, (gate + 1) * 400)
    recurrent = module.recurrent
    biases = [getattr(recurrent, f"{name}_l{layer}", None) for name in ("bias_ih", "bias_hh")]
    return sum(bias[rows] for bias in biases if bias is not None).detach().numpy()


@pytest.mark.parametrize("layer", [0, 1])
def test_chrono_lstm(layer: int) -> None:
    module = _classifier("lstm", hidden_size=400)
    initialise(module, InitialisationConfig(chrono_max_steps=64, recurrent="default"), window_length=50)
    forget = _gate_bias(module, 1, layer)
    steps = np.exp(forget)  # uniform in 1 .. T_max - 1
    assert 1 <= steps.min() < 3
    assert 60 < steps.max() <= 63.001
    assert steps.mean() == pytest.approx(32, rel=0.1)
    np.testing.assert_allclose(_gate_bias(module, 0, layer), -forget)
    assert np.abs(_gate_bias(module, 3, layer)).max() < 0.2  # the output gate is torch's


def test_chrono_gru_keeps_by_the_update_gate() -> None:
    module = _classifier("gru", hidden_size=400)
    initialise(module, InitialisationConfig(recurrent="default"), window_length=30)
    steps = np.exp(_gate_bias(module, 1))
    assert steps.max() <= 29.001
    assert steps.mean() == pytest.approx(15, rel=0.1)
    module.recurrent.weight_ih_l0.data.zero_()
    module.recurrent.weight_hh_l0.data.zero_()
    kept = module.recurrent(torch.zeros(1, 1, 3), torch.ones(2, 1, 400))[1][0, 0].detach().numpy()
    new = np.tanh(module.recurrent.bias_ih_l0.detach().numpy()[800:])  # + r * b_hn, which is within 0.05
    expected = steps / (1 + steps) + new / (1 + steps)
    np.testing.assert_allclose(kept, expected, atol=0.05)


@pytest.mark.parametrize("layer", [0, 1])
def test_chrono_fastgrnn_keeps_by_the_update_gate(layer: int) -> None:
    module = _classifier("fastgrnn", hidden_size=400)
    new = _gate_bias(module, 1, layer).copy()
    initialise(module, InitialisationConfig(recurrent="default"), window_length=30)
    steps = np.exp(_gate_bias(module, 0, layer))
    assert steps.max() <= 29.001
    assert steps.mean() == pytest.approx(15, rel=0.1)
    np.testing.assert_array_equal(_gate_bias(module, 1, layer), new)


def test_fastgrnn_is_the_equation_of_the_paper() -> None:
    """By hand, for one unit: z = sigmoid(a + b_z), h' = (zeta (1 - z) + nu) tanh(a + b_h) + z h."""
    module = _classifier("fastgrnn", hidden_size=1, num_layers=1).recurrent
    x = torch.randn(2, 3, 3)
    with torch.no_grad():
        states, last = module(x)
    parameters = {name: value.detach().numpy() for name, value in module.named_parameters()}
    zeta, nu = (1 / (1 + np.exp(-parameters[f"{name}_l0"][0])) for name in ("zeta", "nu"))
    assert (zeta, nu) == (pytest.approx(0.731059, abs=1e-6), pytest.approx(0.0179862, abs=1e-6))
    update_bias, new_bias = parameters["bias_ih_l0"]
    for stream in range(2):
        h = 0.0
        for t in range(3):
            a = (
                float(parameters["weight_ih_l0"][0] @ x[stream, t].numpy())
                + float(parameters["weight_hh_l0"][0, 0]) * h
            )
            z = 1 / (1 + np.exp(-(a + update_bias)))
            h = (zeta * (1 - z) + nu) * np.tanh(a + new_bias) + z * h
            assert float(states[stream, t, 0]) == pytest.approx(h, abs=1e-6)
        assert float(last[stream, 0]) == pytest.approx(h, abs=1e-6)


def test_forget_bias_without_chrono() -> None:
    config = InitialisationConfig(chrono_max_steps="none", forget_bias=2.0, recurrent="default")
    lstm, gru = _classifier("lstm", hidden_size=400), _classifier("gru", hidden_size=400)
    for module in (lstm, gru):
        initialise(module, config, window_length=50)
        np.testing.assert_array_equal(_gate_bias(module, 1), 2.0)
        assert np.abs(_gate_bias(module, 0)).max() < 0.2


def test_default_gates_stay_as_torch_draws_them() -> None:
    for cell in ("gru", "lstm", "fastgrnn"):
        torch.manual_seed(3)
        module = SequenceClassifier(input_size=2, num_classes=2, cell=cell, hidden_size=4)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        config = InitialisationConfig(recurrent="default", forget_bias="default", chrono_max_steps="none")
        initialise(module, config, window_length=50)
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name]), name
