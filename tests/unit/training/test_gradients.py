"""The norm of the gradient k steps back agrees with finite differences, and is 0 without a path back in time."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from edge_seq.data.recording import Windows  # noqa: E402
from edge_seq.ir.contract import SensorContract  # noqa: E402
from edge_seq.ir.kind_names import CELL_NAMES  # noqa: E402
from edge_seq.training.config import InitialisationConfig, TrainingConfig  # noqa: E402
from edge_seq.training.gradients import input_gradient_norms, input_gradients  # noqa: E402
from edge_seq.training.initialise import initialise  # noqa: E402
from edge_seq.training.loop import train  # noqa: E402
from edge_seq.training.modules import SequenceClassifier  # noqa: E402

STEPS = 7


def make(cell: str = "gru", pooling: str = "last") -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(input_size=2, num_classes=3, cell=cell, hidden_size=4, pooling=pooling, dropout=0.5)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_norms_agree_with_finite_differences(cell: str, pooling: str) -> None:
    module = make(cell, pooling).double()
    x, labels = torch.randn(5, STEPS, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    found = input_gradient_norms(module, x, labels)
    module.eval()
    step, gradient = 1e-5, torch.zeros_like(x)
    with torch.no_grad():
        for index in np.ndindex(*x.shape):
            moved = [x.clone(), x.clone()]
            moved[0][index] += step
            moved[1][index] -= step
            high, low = (F.cross_entropy(module(one), labels, reduction="sum") for one in moved)
            gradient[index] = (high - low) / (2 * step)
    expected = gradient.norm(dim=2).mean(dim=0).flip(0).numpy()
    assert found.shape == (STEPS,)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_newest_sample_comes_first_and_the_mode_stays() -> None:
    module = make()
    module.train()
    x = torch.randn(3, STEPS, 2)
    with torch.no_grad():
        module.recurrent.weight_hh_l0.zero_()
        module.recurrent.bias_ih_l0[4:8] = -20.0  # z = 0: nothing of the old state stays
        module.recurrent.bias_hh_l0.zero_()
    norms = input_gradient_norms(module, x, torch.tensor([0, 1, 2]))
    assert module.training
    assert norms[0] > 1e-3
    assert norms[1:].max() < 1e-6 * norms[0]


def test_torchs_first_weights_forget_where_chrono_remembers() -> None:
    x, labels = torch.randn(8, 100, 2), torch.zeros(8, dtype=torch.int64)
    shares = {}
    for name, config in (
        ("default", InitialisationConfig(recurrent="default", forget_bias="default", chrono_max_steps="none")),
        ("chrono", InitialisationConfig()),
    ):
        module = make("lstm")
        initialise(module, config, window_length=100)
        norms = input_gradient_norms(module, x, labels)
        shares[name] = norms[-1] / norms[0]
    assert shares["default"] < 1e-12
    assert shares["chrono"] > 1e-3


def test_before_is_the_network_that_the_training_began_with(train_windows: Windows, contract: SensorContract) -> None:
    tiny = TrainingConfig(cell="gru", hidden_size=4, epochs=1, learning_rate=1e-9, keep="last", pooling="last")
    result = train(train_windows, None, contract, 3, tiny)
    norms = input_gradients(result, train_windows)
    np.testing.assert_allclose(norms.before, norms.after, rtol=1e-4)
    longer = train(train_windows, None, contract, 3, tiny.model_copy(update={"epochs": 3, "learning_rate": 0.02}))
    moved = input_gradients(longer, train_windows)
    np.testing.assert_array_equal(moved.before, norms.before)
    assert not np.allclose(moved.after, moved.before, rtol=0.01)
