"""Imported networks in Python: from a file, a module or weights to an integer model, with the network as first rung."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import edge_seq as es
from edge_seq.ir.contract import Preprocessing
from edge_seq.ir.kinds import Lstm
from edge_seq.parity.original_rung import ORIGINAL_RUNG, check_import
from edge_seq.support.errors import ContractError, ModelError
from tests.unit.frontends.onnx_case import plain
from tests.unit.frontends.test_torch_weights import HEAD, layer

CONTRACT = es.SensorContract(
    sample_rate_hz=50.0,
    channels=tuple(es.Channel(axis, "g", 4096.0, 8.0) for axis in ("ax", "ay", "az")),
    window_length=50,
    window_stride=50,
)


@pytest.fixture(scope="module")
def data() -> es.Data:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(level, 1.0, (24, 50, 3)) for level in (-1.0, -0.3, 0.3, 1.0)])
    labels = np.repeat(["a", "b", "c", "d"], 24)
    return es.windows(values, labels, list(range(12)) * 8, CONTRACT)


def test_a_file_is_imported_quantized_and_scored(data: es.Data, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString())
    network = es.from_onnx(path, data, scale=[1.0, 1.0, 2.0], name="net")
    assert network.check is not None
    assert network.check.verdict == "holds"
    assert network.model.number_format.normalisation.scale == (4096.0, 4096.0, 8192.0)
    assert "gets the channels ax [g]" in repr(network)
    assert network.to_dict()["check"].startswith("holds: ONNX Runtime")
    assert network.predict(data.train.counts[:3]).probabilities.shape == (3, 4)
    chip = es.quantize(network, calibration=data, quiet=True)
    assert es.evaluate(network, data).metrics.num_windows == es.evaluate(chip, data).metrics.num_windows
    assert chip.imported is network.imported


@pytest.mark.slow  # tests/cli/test_import_command.py has the same ladder by default
def test_the_ladder_of_an_imported_network(data: es.Data, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString())
    chip = es.quantize(es.from_onnx(path, data), calibration=data, quiet=True)
    ladder = es.verify(chip, data, max_windows=4, extreme_windows=2, quiet=True)
    assert (ladder.rungs[0].name, ladder.rungs[0].verdict) == (ORIGINAL_RUNG, "holds")


def test_a_module_and_its_weights_give_the_same_model(data: es.Data) -> None:
    torch = pytest.importorskip("torch")
    weights = {**layer("lstm", 3, 5), **HEAD}
    of_weights = es.from_torch(weights, data, layers=["lstm", "last", "fc"])

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.fc = torch.nn.LSTM(3, 5, batch_first=True), torch.nn.Linear(5, 4)

        def forward(self, x: object) -> object:
            return self.fc(self.lstm(x)[0][:, -1])

    module = Net()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    of_module = es.from_torch(module, data)
    for one in (of_weights, of_module):
        assert one.check is not None
        assert one.check.verdict == "holds"
        assert one.check.detail.startswith("PyTorch")
    first, second = (one.model.layers[0] for one in (of_weights, of_module))
    assert isinstance(first, Lstm)
    assert isinstance(second, Lstm)
    np.testing.assert_array_equal(first.forget_gate.weight_input, second.forget_gate.weight_input)
    with pytest.raises(ModelError, match="layers are for a state_dict"):
        es.from_torch(module, data, layers=["lstm"])


def test_a_difference_is_shown_as_a_warning(data: es.Data, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString())
    network = es.from_onnx(path, data)
    lstm = network.model.layers[0]
    assert isinstance(lstm, Lstm)
    swapped = dataclasses.replace(lstm, input_gate=lstm.output_gate, output_gate=lstm.input_gate)
    lowered = dataclasses.replace(network.imported.lowered, model=dataclasses.replace(network.model, layers=(swapped,)))
    wrong = dataclasses.replace(network.imported, lowered=lowered)
    shown = es.ImportedModel(wrong, check_import(wrong, data.train.counts))
    assert f"{ORIGINAL_RUNG} FAILED: window 0, time step 0, layer 0" in (shown.warned() or "")


def test_a_contract_alone_needs_labels(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString())
    assert es.from_onnx(path, CONTRACT, labels=["a", "b", "c", "d"]).check is None
    with pytest.raises(ModelError, match="the names of the classes are not known"):
        es.from_onnx(path, CONTRACT)
    with pytest.raises(ModelError, match=r"expected a file .keras or .h5"):
        es.from_keras(path, CONTRACT)


@pytest.mark.parametrize(
    "preprocessing", [Preprocessing("difference", companding=5), Preprocessing("difference", magnitude=True)]
)
def test_a_network_is_not_imported_behind_a_companding_or_a_magnitude(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    contract = dataclasses.replace(CONTRACT, preprocessing=preprocessing)
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString())
    with pytest.raises(
        ContractError, match=rf"importing net: .* '{preprocessing.text}'; .* Leave companding and magnitude out"
    ):
        es.from_onnx(path, contract, labels=("a", "b", "c", "d"), name="net")
