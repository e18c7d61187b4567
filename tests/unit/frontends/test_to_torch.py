"""A float model as a state_dict, and a training that begins with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from edge_seq.data.recording import Windows
from edge_seq.frontends.from_torch import from_torch, from_training
from edge_seq.frontends.to_torch import state_dict_of, training_options
from edge_seq.ir.front import TimePool
from edge_seq.ir.kind_names import CELL_NAMES, CellName
from edge_seq.ir.model import model_hash, named_arrays
from edge_seq.pipeline.config import load_config
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.training.config import TrainingConfig
from edge_seq.training.loop import Start, train
from edge_seq.workflow.cross_validate import cross_validate
from tests.zoo import Spec, convolution, random_counts, random_float_model, spec


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_there_and_back_is_the_same_model(cell: CellName) -> None:
    model = random_float_model(spec(cell, 5, 5))
    back = from_torch(
        state_dict_of(model),
        name=model.name,
        labels=model.labels,
        contract=model.contract,
        normalisation=model.number_format.normalisation,
        readout=model.readout,
        nonlinearity="tanh",
    )
    for name, array in named_arrays(model).items():
        np.testing.assert_allclose(named_arrays(back)[name], array, atol=1e-6)
    assert training_options(model)["cell"] == cell


def test_dense_layers_go_there_and_back() -> None:
    model = random_float_model(spec("gru", 5, dense=((6, "tanh"), (4, "tanh"))))
    assert training_options(model)["dense"] == (6, 4)
    assert training_options(model)["dense_activation"] == "tanh"
    back = from_torch(
        state_dict_of(model),
        name=model.name,
        labels=model.labels,
        contract=model.contract,
        normalisation=model.number_format.normalisation,
        readout=model.readout,
        dense_activations=("tanh", "tanh"),
    )
    assert model_hash(back) == model_hash(model)
    with pytest.raises(ModelError, match=r"activations \['relu', 'tanh'\]; a training makes all with relu or all with"):
        training_options(random_float_model(spec("gru", 5, dense=((6, "relu"), (4, "tanh")))))


def test_layers_of_several_sizes_are_refused() -> None:
    model = random_float_model(Spec(("gru", "lstm"), (5, 4)))
    with pytest.raises(ModelError, match="its layers are gru 5, lstm 4; a training makes layers of one kind"):
        state_dict_of(model)


FRONT = spec(
    "gru",
    5,
    pooling="flatten",
    front=(convolution(4, "relu", 3, stride=2, dilation=2), TimePool("max", 2, 1), convolution(6, "tanh", 2)),
)


def test_layers_before_the_recurrent_ones_go_there_and_back() -> None:
    model = random_float_model(FRONT)
    front = TrainingConfig.model_validate({"front": training_options(model)["front"]}).front
    assert [(one.kind, one.kernel, one.stride, one.dilation) for one in front] == [
        ("conv", 3, 2, 2),
        ("max", 2, 1, 1),
        ("conv", 2, 1, 1),
    ]
    back = from_torch(
        state_dict_of(model),
        name=model.name,
        labels=model.labels,
        contract=model.contract,
        normalisation=model.number_format.normalisation,
        readout=model.readout,
        front=front,
    )
    assert model_hash(back) == model_hash(model)


def test_zeros_behind_the_window_are_refused() -> None:
    model = random_float_model(spec("gru", 5, front=(convolution(4, "relu", 3, padding="same", zeros=(1, 1)),)))
    with pytest.raises(ModelError, match="front layer 0 sees 1 zeros before the window and 1 behind it; a training"):
        state_dict_of(model)


def windows(seed: int) -> Windows:
    counts = random_counts(12, 7, 3)
    return Windows(counts, np.arange(12, dtype=np.int64) % 4, np.array([f"g{seed}{i}" for i in range(12)]))


@pytest.mark.parametrize("shape", [spec("gru", 5), FRONT], ids=["plain", "front layers and flatten"])
def test_a_training_begins_with_the_weights_and_keeps_the_normalisation(shape: Spec) -> None:
    model = random_float_model(shape)
    options: dict[str, Any] = training_options(model)
    config = TrainingConfig(**options, epochs=1, learning_rate=1e-9, dropout=0.0)
    start = Start(state_dict_of(model), model.number_format.normalisation)
    result = train(windows(0), windows(1), model.contract, 4, config, start=start)
    assert result.normalisation == start.normalisation
    trained = from_training(result, name="net", labels=model.labels)
    for name, array in named_arrays(model).items():
        np.testing.assert_allclose(named_arrays(trained)[name], array, atol=1e-5)
    with pytest.raises(ModelError, match="do not fit the configured network"):
        train(windows(0), windows(1), model.contract, 4, config.model_copy(update={"hidden_size": 6}), start=start)


def test_a_resumed_training_must_have_the_same_start(tmp_path: Any) -> None:
    model = random_float_model(spec("gru", 5))
    options: dict[str, Any] = training_options(model)
    config = TrainingConfig(**options, epochs=1)
    start = Start(state_dict_of(model), model.number_format.normalisation)
    train(windows(0), windows(1), model.contract, 4, config, start=start, checkpoint_dir=tmp_path)
    other = dataclasses.replace(start, state_dict={name: 2 * array for name, array in start.state_dict.items()})
    with pytest.raises(ConfigError, match="or the network differ from those it was written with"):
        train(windows(0), windows(1), model.contract, 4, config, start=other, checkpoint_dir=tmp_path)


def test_a_cross_validation_does_not_begin_with_a_trained_model(tmp_path: Any) -> None:
    config = load_config(None, ['start_from="/runs/car"'])
    with pytest.raises(
        ConfigError, match="start_from is '/runs/car', a model that has learnt from recordings of every"
    ):
        cross_validate(tmp_path / "folds", config, folds=2, repeats=1)
