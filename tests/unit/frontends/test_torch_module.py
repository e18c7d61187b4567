"""PyTorch modules: what torch.export makes of them becomes the same numbers, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from edge_seq.backends.reference_float import run_float  # noqa: E402
from edge_seq.frontends.chain import Bidirectional, Collapse, Convolution, Pool, arranged  # noqa: E402
from edge_seq.frontends.lower import lower, original_outputs  # noqa: E402
from edge_seq.frontends.torch_module import chain_of_module, run_module  # noqa: E402
from edge_seq.ir.contract import Channel, Normalisation, SensorContract  # noqa: E402
from edge_seq.support.errors import ModelError  # noqa: E402

AXES = tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az"))
CONTRACT = SensorContract(50.0, AXES, 20, 20)
IN_UNITS = Normalisation((0.0,) * 3, (1000.0,) * 3)


class Net(nn.Module):
    """A module whose forward is a function of its own parts."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def normalised(size: int) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(size)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    norm.running_mean, norm.running_var = torch.randn(size), torch.rand(size) + 0.5
    return norm


def turned(size: int) -> nn.BatchNorm1d:
    """A normalisation that turns the first channel round."""
    norm = normalised(size)
    norm.weight.data[0] *= -1
    return norm


def lstm(**options: Any) -> nn.LSTM:
    return nn.LSTM(3, 5, batch_first=True, **options)


NETS: dict[str, Callable[[], nn.Module]] = {
    "the last output": lambda: Net(lambda s, x: s.fc(s.r(x)[0][:, -1]), r=lstm(), fc=nn.Linear(5, 4)),
    "h_n of two layers": lambda: Net(
        lambda s, x: s.fc(s.drop(s.r(x)[1][0][-1])), r=lstm(num_layers=2), drop=nn.Dropout(0.5), fc=nn.Linear(5, 4)
    ),
    "h_n squeezed": lambda: Net(
        lambda s, x: s.fc(s.r(x)[1].squeeze(0)), r=nn.GRU(3, 5, batch_first=True), fc=nn.Linear(5, 4)
    ),
    "time first": lambda: Net(lambda s, x: s.fc(s.r(x)[0][-1]), r=nn.GRU(3, 5, 2), fc=nn.Linear(5, 4)),
    "channels first": lambda: Net(
        lambda s, x: s.fc(s.r(s.norm(x).transpose(1, 2))[0].mean(1)), norm=normalised(3), r=lstm(), fc=nn.Linear(5, 4)
    ),
    "batch norm between": lambda: Net(
        lambda s, x: torch.log_softmax(
            s.fc(s.after(s.r2(s.between(s.r(x)[0].permute(0, 2, 1)).permute(0, 2, 1))[0][:, -1, :])), -1
        ),
        r=nn.RNN(3, 5, batch_first=True),
        between=normalised(5),
        r2=nn.GRU(5, 6, batch_first=True, bias=False),
        after=normalised(6),
        fc=nn.Linear(6, 4),
    ),
    "linear at each step": lambda: Net(
        lambda s, x: torch.softmax(s.fc(s.r((x - 0.1) / 2)[0])[:, -1], dim=1), r=lstm(), fc=nn.Linear(5, 4)
    ),
    "max over time": lambda: Net(lambda s, x: s.fc(s.r(x)[0].max(dim=1)[0]), r=lstm(), fc=nn.Linear(5, 4)),
    "adaptive pooling": lambda: Net(
        lambda s, x: s.fc(s.pool(s.r(x)[0].transpose(1, 2)).squeeze(-1)),
        r=lstm(),
        pool=nn.AdaptiveMaxPool1d(1),
        fc=nn.Linear(5, 4),
    ),
    "mean and max": lambda: Net(
        lambda s, x: s.fc(torch.cat([(y := s.r(x)[0]).mean(1), y.amax(1)], dim=1)), r=lstm(), fc=nn.Linear(10, 4)
    ),
    "bidirectional, mean": lambda: Net(
        lambda s, x: s.fc(s.r(x)[0].mean(1)),
        r=nn.GRU(3, 5, batch_first=True, bidirectional=True),
        fc=nn.Linear(10, 4),
    ),
    "two bidirectional layers, the last state of each direction": lambda: Net(
        lambda s, x: s.fc2(torch.relu(s.fc(torch.cat([(h := s.r(x)[1][0])[-2], h[-1]], dim=1)))),
        r=lstm(num_layers=2, bidirectional=True),
        fc=nn.Linear(10, 6),
        fc2=nn.Linear(6, 4),
    ),
    "bidirectional behind a convolution, before a forward layer": lambda: Net(
        lambda s, x: s.fc(s.r2(s.r(torch.tanh(s.conv(x.transpose(1, 2))).transpose(1, 2))[0])[0].amax(1)),
        conv=nn.Conv1d(3, 6, 3, padding=1, stride=2),
        r=nn.RNN(6, 5, batch_first=True, bidirectional=True),
        r2=nn.LSTM(10, 7, batch_first=True),
        fc=nn.Linear(7, 4),
    ),
    "bidirectional of which the last step is read out, above another": lambda: Net(
        lambda s, x: s.fc(s.r(x)[0][:, -1]), r=lstm(num_layers=2, bidirectional=True), fc=nn.Linear(10, 4)
    ),
    "convolution, normalisation, relu, pool": lambda: Net(
        lambda s, x: s.fc(s.r(s.pool(torch.relu(s.norm(s.conv(x.transpose(1, 2))))).transpose(1, 2))[0][:, -1]),
        conv=nn.Conv1d(3, 8, 4, stride=2, bias=False),
        norm=normalised(8),
        pool=nn.MaxPool1d(2),
        r=nn.LSTM(8, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "normalisations before convolutions and behind relu": lambda: Net(
        lambda s, x: s.fc(s.r(s.front(x.transpose(1, 2)).transpose(1, 2))[0].mean(1)),
        front=nn.Sequential(
            turned(3),
            nn.Conv1d(3, 6, 3, dilation=2, groups=3),
            nn.ReLU(),
            turned(6),
            nn.AvgPool1d(3, 1),
            nn.Dropout(),
            nn.Conv1d(6, 4, 1),
            nn.Tanh(),
            turned(4),
            nn.MaxPool1d(2, 1),
        ),
        r=nn.GRU(4, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "causal padding behind an offset, pools first": lambda: Net(
        lambda s, x: s.fc(s.r(s.front(x.transpose(1, 2)).transpose(1, 2))[0].amax(1)),
        front=nn.Sequential(
            nn.AvgPool1d(2),
            nn.ConstantPad1d((2, 0), 0.0),
            nn.Conv1d(3, 6, 3),
            nn.MaxPool1d(2),
            nn.Sigmoid(),
            nn.ConstantPad1d((1, 0), 0.0),
            nn.Conv1d(6, 4, 2),
            nn.ReLU(),
        ),
        r=nn.GRU(4, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "separable convolution, linear layers at each step": lambda: Net(
        lambda s, x: s.fc(
            torch.sigmoid(s.hidden(s.r(torch.relu(s.step(s.front(x.transpose(1, 2)).transpose(1, 2))))[0][:, -1]))
        ),
        front=nn.Sequential(nn.Conv1d(3, 6, 3, groups=3), nn.Conv1d(6, 4, 1)),
        step=nn.Linear(4, 7),
        r=nn.RNN(7, 5, batch_first=True),
        hidden=nn.Linear(5, 6),
        fc=nn.Linear(6, 4),
    ),
    "filters along time, the same for each channel": lambda: Net(
        lambda s, x: s.fc(s.r(s.front(x.unsqueeze(1)).permute(0, 2, 1, 3).reshape(-1, 8, 12))[0][:, -1]),
        front=nn.Sequential(
            nn.BatchNorm2d(1),
            nn.Conv2d(1, 5, (4, 1)),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 4, (2, 1)),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        ),
        r=nn.LSTM(12, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "a plane of channels and time, over all channels": lambda: Net(
        lambda s, x: s.fc(s.r(s.front(x).squeeze(2).transpose(1, 2))[0][:, -1]),
        front=nn.Sequential(nn.Conv2d(1, 5, (1, 3), stride=(1, 2)), nn.Tanh(), nn.Conv2d(5, 6, (3, 2))),
        r=nn.LSTM(6, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "a causal convolution whose end is cut off": lambda: Net(
        lambda s, x: s.fc(s.r(torch.relu(s.conv(x.transpose(1, 2))[:, :, :-4]).transpose(1, 2))[0][:, -1]),
        conv=nn.Conv1d(3, 6, 3, dilation=2, padding=4),
        r=nn.GRU(6, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "the last output of both directions": lambda: Net(
        lambda s, x: s.fc(s.r2(s.r(x)[0])[0][:, -1]),
        r=nn.GRU(3, 4, batch_first=True),
        r2=nn.LSTM(4, 5, batch_first=True, bidirectional=True),
        fc=nn.Linear(10, 4),
    ),
    "the last output of both directions of an RNN": lambda: Net(
        lambda s, x: s.fc(torch.relu(s.r(x)[0][:, -1])),
        r=nn.RNN(3, 5, batch_first=True, bidirectional=True),
        fc=nn.Linear(10, 4),
    ),
    "zeros before and behind the window": lambda: Net(
        lambda s, x: s.fc(s.r(s.front(x.transpose(1, 2)).transpose(1, 2))[0].mean(1)),
        front=nn.Sequential(
            nn.Conv1d(3, 6, 5, padding="same", dilation=2),
            turned(6),
            nn.ReLU(),
            nn.Conv1d(6, 5, 4, padding=1, stride=3),
            nn.ReLU(),
            nn.MaxPool1d(2, 1),
            nn.Conv1d(5, 4, 3, padding=1),
            nn.Tanh(),
        ),
        r=nn.LSTM(4, 5, batch_first=True),
        fc=nn.Linear(5, 4),
    ),
    "the states of all steps, and dense layers": lambda: Net(
        lambda s, x: s.fc(torch.relu(s.hidden(s.norm(s.r(x)[0].transpose(1, 2)).transpose(1, 2).reshape(-1, 100)))),
        r=nn.LSTM(3, 5, batch_first=True),
        norm=turned(5),
        hidden=nn.Linear(100, 6),
        fc=nn.Linear(6, 4),
    ),
    "the states of all steps behind a convolution": lambda: Net(
        lambda s, x: s.fc(s.r(torch.relu(s.conv(x.transpose(1, 2))).transpose(1, 2))[0].flatten(1)),
        conv=nn.Conv1d(3, 6, 3, stride=2, padding=1),
        r=nn.GRU(6, 5, batch_first=True),
        fc=nn.Linear(50, 4),
    ),
    "zero states": lambda: Net(
        lambda s, x: s.fc(s.r(x, (torch.zeros(1, x.size(0), 5), torch.zeros(1, x.size(0), 5)))[0][:, -1]),
        r=lstm(),
        fc=nn.Linear(5, 4),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_a_module_gives_what_torch_computes(name: str) -> None:
    torch.manual_seed(1)
    module = NETS[name]()
    chain = chain_of_module(module, time_steps=20, channels=3)
    assert module.training, "its mode is the same afterwards"
    found = lower(chain, name="net", labels="abcd", contract=CONTRACT, scaler=IN_UNITS)
    counts = np.random.default_rng(0).normal(0, 900, (5, 20, 3)).astype(np.int16)
    expected, by = run_module(module, arranged((counts / 1000).astype(np.float32), chain.input_axes))
    outputs = original_outputs(found, run_float(found.model, counts).values["logits"][:, -1])
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert by.startswith("PyTorch")


def test_convolutions_and_bidirectional_layers_are_read() -> None:
    module = Net(
        lambda s, x: s.fc(s.r(s.pool(torch.relu(s.conv(x.transpose(1, 2)))).transpose(1, 2))[0].flatten(1)),
        conv=nn.Conv1d(3, 6, 3, padding=1, groups=3),
        pool=nn.MaxPool1d(2),
        r=nn.LSTM(6, 5, batch_first=True, bidirectional=True),
        fc=nn.Linear(100, 4),
    )
    chain = chain_of_module(module, time_steps=20, channels=3)
    kinds = [type(record) for record in chain.records]
    assert [kinds.count(kind) for kind in (Convolution, Pool, Bidirectional)] == [1, 1, 1]
    assert [one.kind for one in chain.records if isinstance(one, Collapse)] == ["flatten"]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Net(
                lambda s, x: s.fc(s.r(x)[0][:, -1]),
                r=nn.RNN(3, 5, nonlinearity="relu", batch_first=True),
                fc=nn.Linear(5, 4),
            ),
            r'rnn_relu.input .*: nonlinearity="relu", which is not supported; train with tanh',
        ),
        (Net(lambda s, x: s.fc(s.r(x)[0][:, -1]), r=lstm(proj_size=2), fc=nn.Linear(2, 4)), "proj_size"),
        (Net(lambda s, x: s.fc(s.r(x)[0][:, 0]), r=lstm(), fc=nn.Linear(5, 4)), "only the last step can be taken"),
        (
            Net(
                lambda s, x: s.fc(s.r(x, (torch.ones(1, 3, 5), torch.zeros(1, 3, 5)))[0][:, -1]),
                r=lstm(),
                fc=nn.Linear(5, 4),
            ),
            "an initial state that is not zero",
        ),
        (
            Net(lambda s, x: s.fc(s.r(x)[1][0][0]), r=lstm(num_layers=2), fc=nn.Linear(5, 4)),
            "the last state of layer 0.*take that of the last layer",
        ),
        (
            Net(lambda s, x: s.fc(s.norm(s.r(x)[0])[:, -1]), r=lstm(), norm=nn.LayerNorm(5), fc=nn.Linear(5, 4)),
            r"operator layer_norm.default .* use BatchNorm1d, which is folded",
        ),
        (
            Net(lambda s, x: s.fc((y := s.r(x)[0])[:, -1] + y.mean(1)), r=lstm(), fc=nn.Linear(5, 4)),
            "combines two branches; expected a chain",
        ),
        (
            Net(lambda s, x: s.fc(s.r(x)[1][1][-1]), r=lstm(), fc=nn.Linear(5, 4)),
            "it takes the last cell states.*take the last output, or h_n",
        ),
        (
            Net(lambda s, x: s.fc(s.r(x)[1][0][-1]), r=lstm(bidirectional=True), fc=nn.Linear(5, 4)),
            "it takes the last state of one direction.*torch.cat",
        ),
        (
            Net(
                lambda s, x: s.fc(torch.cat([(h := s.r(x)[1][0])[1], h[0]], 1)),
                r=lstm(bidirectional=True),
                fc=nn.Linear(10, 4),
            ),
            "it takes the last state of one direction.*torch.cat",
        ),
        (
            Net(
                lambda s, x: s.fc(torch.cat([(h := s.r(x)[1][0])[0], h[1]], 1)),
                r=lstm(num_layers=2, bidirectional=True),
                fc=nn.Linear(10, 4),
            ),
            "it takes the last state 0 of a bidirectional layer.*the last layer's two directions",
        ),
        (
            Net(
                lambda s, x: s.fc(s.r(x)[0].max(1)[1].float()),
                r=lstm(),
                fc=nn.Linear(5, 4),
            ),
            "it takes the place of the maximum",
        ),
        (
            Net(lambda s, x: s.fc(nn.functional.dropout(s.r(x)[0][:, -1])), r=lstm(), fc=nn.Linear(5, 4)),
            r"a dropout that is active in evaluation mode too.*training=self.training",
        ),
        (
            Net(lambda s, x: s.fc(s.r(x.int().float())[0][:, -1]), r=lstm(), fc=nn.Linear(5, 4)),
            "a conversion to torch.int32, which is not supported; train without rounding",
        ),
        (
            Net(lambda s, x: s.fc(s.r(torch.div(x, 2, rounding_mode="floor"))[0][:, -1]), r=lstm(), fc=nn.Linear(5, 4)),
            "rounding_mode='floor'",
        ),
        (
            Net(lambda s, x: s.fc(torch.max(s.r(x)[0][:, -1], torch.zeros(5))), r=lstm(), fc=nn.Linear(5, 4)),
            "its arguments cannot be followed",
        ),
        (
            Net(
                lambda s, x: s.fc(s.conv(x.unsqueeze(1)).mean((1, 2))), conv=nn.Conv2d(1, 2, (3, 2)), fc=nn.Linear(2, 4)
            ),
            "spans 2 of 3 sensor channels; expected one or all of them",
        ),
        (
            Net(
                lambda s, x: s.fc(s.r(nn.functional.pad(x, (0, 0, 2, 0), value=1.0))[0][:, -1]),
                r=lstm(),
                fc=nn.Linear(5, 4),
            ),
            "pad with zeros",
        ),
        (
            Net(lambda s, x: s.fc(s.r(x)), r=nn.Linear(7, 5), fc=nn.Linear(5, 4)),
            "torch.export cannot export it with an input",
        ),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(module: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_module(module, time_steps=20, channels=3)
