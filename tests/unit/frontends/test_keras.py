"""Files of Keras: what they hold becomes the same numbers; what cannot be represented is refused by name."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from edge_seq.backends.reference_float import run_float  # noqa: E402
from edge_seq.frontends.chain import Bidirectional, Collapse, Convolution, Pool  # noqa: E402
from edge_seq.frontends.files import chain_of_file  # noqa: E402
from edge_seq.frontends.keras.from_keras import chain_of_keras  # noqa: E402
from edge_seq.frontends.lower import Lowered, lower, original_outputs  # noqa: E402
from edge_seq.ir.contract import Channel, Normalisation, SensorContract  # noqa: E402
from edge_seq.support.errors import ContractError, ModelError, ToolError  # noqa: E402
from tests.unit.frontends.keras_case import Named, dense, description, recurrent, write_h5, write_keras  # noqa: E402

SAVED = Path(__file__).parent / "saved"
AXES = tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az"))
LABELS = ("a", "b", "c", "d")
IN_UNITS = Normalisation((0.0,) * 3, (1000.0,) * 3)


def contract(window_length: int) -> SensorContract:
    return SensorContract(50.0, AXES, window_length, window_length)


def lowered(path: Path, window_length: int = 50, labels: tuple[str, ...] = LABELS) -> Lowered:
    chain = chain_of_file(path, time_steps=window_length)
    return lower(chain, name="net", labels=labels, contract=contract(window_length), scaler=IN_UNITS)


BY_KERAS = ("stack.keras", "normalised.keras", "binary.h5", "convolutions.keras", "planes.keras", "parts.keras")
BY_OLDER = ("keras_2_2_4.h5", "keras_2_15.keras", "keras_3_0.keras")


@pytest.mark.parametrize("name", [*BY_KERAS, *BY_OLDER])
def test_a_file_that_keras_wrote_gives_what_keras_computed(name: str) -> None:
    with np.load((SAVED / name).with_suffix(".npz")) as arrays:
        x, expected = arrays["x"], arrays["y"]
    found = lowered(SAVED / name, 20, LABELS if expected.shape[1] == 4 else ("no", "yes"))
    counts = np.rint(1000 * x).astype(np.int16)  # rounding moves the inputs by half a count
    logits = run_float(found.model, counts).values["logits"][:, -1]
    np.testing.assert_allclose(original_outputs(found, logits), expected, atol=1e-3)
    assert "gets the channels ax [g], ay [g], az [g], in this order, at 50 Hz" in found.notes[0]


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_h5_of_keras_2_equals_its_keras_twin(kind: str, tmp_path: Path) -> None:
    layers = [recurrent(kind, 4, 3, return_sequences=True), recurrent(kind, 5, 4), dense(4, 5, "softmax")]
    counts = np.random.default_rng(0).normal(0, 900, (3, 50, 3)).astype(np.int16)
    both = [
        run_float(lowered(path).model, counts).values["logits"]
        for path in (write_keras(tmp_path / "a.keras", layers), write_h5(tmp_path / "a.h5", layers))
    ]
    np.testing.assert_array_equal(*both)
    assert np.abs(both[0]).max() > 0.1


def test_flattened_states_are_those_of_all_steps(tmp_path: Path) -> None:
    """As in many tutorials: LSTM(return_sequences=True), Flatten, Dense with relu, Dense with softmax."""
    layers: list[Named] = [
        recurrent("LSTM", 4, 3, return_sequences=True),
        ("Dropout", {"rate": 0.5}, []),
        ("Flatten", {}, []),
        dense(6, 200, "relu"),
        dense(4, 6, "softmax"),
    ]
    found = lowered(write_keras(tmp_path / "a.keras", layers))
    assert found.model.readout.pooling == "flatten"
    note = r"layer_2 flattens the states of all steps; layer_3 has 1,200 weights for them, 50 times as many"
    assert any(re.match(note, one) for one in found.notes), found.notes
    counts = np.random.default_rng(0).normal(0, 900, (3, 50, 3)).astype(np.int16)
    values = run_float(found.model, counts).values
    flat = values["layer0.hidden_state"].reshape(3, -1)
    hidden = np.maximum(flat @ layers[3][2][0] + layers[3][2][1], 0)
    expected = hidden @ layers[4][2][0] + layers[4][2][1]
    np.testing.assert_allclose(values["logits"][:, -1], expected, atol=1e-5)


def test_layers_without_effect_are_passed_over_and_said(tmp_path: Path) -> None:
    layers: list[Named] = [
        ("GaussianNoise", {}, []),
        recurrent("GRU", 4, 3),
        ("Dropout", {"rate": 0.5}, []),
        dense(4, 4),
    ]
    notes = lowered(write_keras(tmp_path / "a.keras", layers)).notes
    assert "GaussianNoise layer_0 changes nothing at inference and was passed over" in notes
    assert "Dropout layer_2 changes nothing at inference and was passed over" in notes


def normalisation(size: int, seed: int = 1) -> Named:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(1, 0.3, size), rng.normal(0, 1, size), rng.normal(0, 1, size), rng.uniform(0.5, 2, size)]
    return "BatchNormalization", {"axis": -1, "epsilon": 1e-3}, weights


def test_batch_normalisation_folds_between_and_after_layers(tmp_path: Path) -> None:
    """Against numpy: BN, LSTM, BN, GRU, mean, BN, linear, BN."""
    first, second, head = recurrent("LSTM", 4, 3, return_sequences=True), recurrent("GRU", 5, 4), dense(4, 5)
    second[1]["return_sequences"] = True
    norms = [normalisation(3, 1), normalisation(4, 2), normalisation(5, 3), normalisation(4, 4)]
    norms[0][2][0][1] *= -1  # turns a channel round, so that it cannot be part of the normalisation
    layers: list[Named] = [
        norms[0],
        first,
        norms[1],
        second,
        ("GlobalAveragePooling1D", {}, []),
        norms[2],
        head,
        norms[3],
    ]
    model = lowered(write_keras(tmp_path / "a.keras", layers)).model
    counts = np.random.default_rng(0).normal(0, 900, (3, 50, 3)).astype(np.int16)

    def normed(x: np.ndarray, named: Named) -> np.ndarray:
        gamma, beta, mean, variance = named[2]
        return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    x = normed(counts / 1000, norms[0])
    kernel, recurrence, bias = first[2]
    h = c = np.zeros((3, 4))
    states = []
    for t in range(50):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrence + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    x = normed(np.stack(states, axis=1), norms[1])
    kernel, recurrence, bias = second[2]
    h = np.zeros((3, 5))
    states = []
    for t in range(50):
        (xz, xr, xh), (hz, hr, hh) = (
            np.split(x[:, t] @ kernel + bias[0], 3, 1),
            np.split(h @ recurrence + bias[1], 3, 1),
        )
        z = sigmoid(xz + hz)
        h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)
        states.append(h)
    pooled = normed(np.mean(states, axis=0), norms[2])
    expected = normed(pooled @ head[2][0] + head[2][1], norms[3])
    np.testing.assert_allclose(run_float(model, counts).values["logits"][:, -1], expected, atol=2e-5)


def test_two_linear_layers_without_activation_become_one(tmp_path: Path) -> None:
    layers = [recurrent("GRU", 4, 3), dense(6, 4), dense(4, 6)]
    head = lowered(write_keras(tmp_path / "a.keras", layers)).model.head
    np.testing.assert_allclose(head.weight_input, (layers[1][2][0] @ layers[2][2][0]).T, rtol=1e-5)


def test_hidden_dense_layers_and_their_normalisation(tmp_path: Path) -> None:
    """As in many tutorials: LSTM, dense with relu, batch normalisation, dense with tanh, softmax."""
    norm = normalisation(6)
    layers = [recurrent("LSTM", 4, 3), dense(6, 4, "relu"), norm, dense(5, 6, "tanh"), dense(4, 5, "softmax")]
    found = lowered(write_keras(tmp_path / "a.keras", layers))
    assert [layer.activation for layer in found.model.dense] == ["relu", "tanh"]
    counts = np.random.default_rng(0).normal(0, 900, (3, 50, 3)).astype(np.int16)
    values = run_float(found.model, counts).values
    x = values["layer0.hidden_state"][:, -1]
    x = np.maximum(x @ layers[1][2][0] + layers[1][2][1], 0)
    gamma, beta, mean, variance = norm[2]
    x = np.tanh((gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta) @ layers[3][2][0] + layers[3][2][1])
    expected = x @ layers[4][2][0] + layers[4][2][1]
    np.testing.assert_allclose(values["logits"][:, -1], expected, atol=2e-5)
    with pytest.raises(ModelError, match="the activation elu, which is not supported"):
        lowered(write_keras(tmp_path / "b.keras", [layers[0], dense(6, 4, "elu"), dense(4, 6)]))


def test_labels_can_have_another_order_than_the_outputs(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "a.keras", [recurrent("GRU", 4, 3), dense(4, 4, "softmax")])
    plain = lowered(path)
    chain = chain_of_file(path, time_steps=50)
    turned = lower(
        chain, name="net", labels=LABELS, contract=contract(50), scaler=IN_UNITS, class_order=("c", "a", "d", "b")
    )
    counts = np.random.default_rng(0).normal(0, 900, (2, 50, 3)).astype(np.int16)
    before, after = (run_float(one.model, counts).values["logits"][:, -1] for one in (plain, turned))
    np.testing.assert_array_equal(after[:, LABELS.index("c")], before[:, 0])  # the first output
    np.testing.assert_allclose(original_outputs(turned, after), original_outputs(plain, before))


def functional(kind: str, name: str, source: str | list[str], **options: Any) -> dict[str, Any]:
    names = [source] if isinstance(source, str) else source
    tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [one, 0, 0]}} for one in names]
    given: Any = tensors[0] if isinstance(source, str) else tensors
    return {
        "class_name": kind,
        "config": {"name": name, **options},
        "inbound_nodes": [{"args": [given], "kwargs": {}}] if names else [],
    }


def branched(*, max_first: bool = False, joins: bool = True) -> dict[str, Any]:
    pools = (
        ["GlobalMaxPooling1D", "GlobalAveragePooling1D"]
        if max_first
        else ["GlobalAveragePooling1D", "GlobalMaxPooling1D"]
    )
    options = recurrent("GRU", 4, 3, return_sequences=True)[1]
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 50, 3]}, "inbound_nodes": []},
        functional("GRU", "gru", "x", **options),
        functional(pools[0], "one", "gru"),
        functional(pools[1], "two", "gru"),
        functional("Concatenate" if joins else "Add", "both", ["one", "two"]),
        functional("Dense", "head", "both", units=4, activation="softmax"),
    ]
    return {"class_name": "Functional", "config": {"name": "net", "layers": layers}}


def test_mean_and_max_together_are_one_readout(tmp_path: Path) -> None:
    layers = [recurrent("GRU", 4, 3), dense(4, 8)]
    both = lowered(write_keras(tmp_path / "a.keras", layers, config=branched())).model
    counts = np.random.default_rng(0).normal(0, 900, (3, 50, 3)).astype(np.int16)
    values = run_float(both, counts).values
    states = values["layer0.hidden_state"]
    pooled = np.concatenate([states.mean(axis=1), states.max(axis=1)], axis=1)
    expected = pooled @ layers[1][2][0] + layers[1][2][1]
    np.testing.assert_allclose(values["logits"][:, -1], expected, atol=1e-5)
    with pytest.raises(ModelError, match="has the maximum before the mean"):
        chain_of_keras(write_keras(tmp_path / "b.keras", layers, config=branched(max_first=True)), time_steps=50)
    with pytest.raises(ModelError, match=r"branches after gru, into \['one', 'two'\]; expected a chain"):
        chain_of_keras(write_keras(tmp_path / "c.keras", layers, config=branched(joins=False)), time_steps=50)


def test_convolutions_pooling_and_bidirectional_layers_are_read(tmp_path: Path) -> None:
    inner = {"class_name": "LSTM", "config": {"units": 4, "return_sequences": False}}
    lstm = recurrent("LSTM", 4, 6)[2]
    rng = np.random.default_rng(0)
    layers: list[Named] = [
        (
            "Conv1D",
            {"strides": [2], "padding": "causal", "activation": "relu"},
            [rng.normal(size=(3, 3, 5)), np.ones(5)],
        ),
        ("SeparableConv1D", {}, [rng.normal(size=(3, 5, 2)), rng.normal(size=(1, 10, 6)), np.ones(6)]),
        ("MaxPooling1D", {"pool_size": [2]}, []),
        ("Bidirectional", {"layer": inner, "merge_mode": "concat"}, [*lstm, *lstm]),
        dense(4, 8, "softmax"),
    ]
    chain = chain_of_keras(write_keras(tmp_path / "a.keras", layers), time_steps=50)
    first, depthwise = (record for record in chain.records if isinstance(record, Convolution))
    assert (first.weight.shape, first.stride, first.padding) == ((5, 3, 3), 2, (2, 0))
    assert (depthwise.weight.shape, depthwise.groups) == ((10, 1, 3), 5)
    assert [(one.kind, one.size, one.stride) for one in chain.records if isinstance(one, Pool)] == [("max", 2, 2)]
    assert [type(one) for one in chain.records].count(Bidirectional) == 1
    assert Collapse("layer_3", "ends") in [one for one in chain.records if isinstance(one, Collapse)]


def convolution(units: int, inputs: int = 3, **options: Any) -> Named:
    return "Conv1D", options, [np.ones((3, inputs, units)), np.ones(units)]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("Conv1D", {"strides": [2**40]}, "front layer 0: stride is 1099511627776; expected 1 to 4096"),
        ("Conv1D", {"dilation_rate": [2**40]}, "needs 2199023255553 steps of a window of 50"),
        ("Conv1D", {"groups": 2**40}, r"has a weight \[4, 3, 3\] for 3 channels"),
        ("Conv1D", {"groups": -1}, "groups=-1"),
        ("Conv1D", {"strides": [0]}, r"strides=\[0\]"),
        ("Conv1D", {"strides": "2"}, "strides='2'"),
        ("Conv1D", {"padding": "reflect"}, "padding='reflect'"),
        ("MaxPooling1D", {"pool_size": [2**62]}, "needs 4611686018427387904 steps of a window of 50"),
        ("MaxPooling1D", {"pool_size": [True]}, r"pool_size=\[True\]"),
        ("ZeroPadding1D", {"padding": [-1, 0]}, r"padding=\[-1, 0\]"),
        ("Reshape", {"target_shape": [2**62, -1]}, "reshapes"),
        ("Reshape", {"target_shape": "x"}, "target_shape='x'"),
        ("Permute", {"dims": [1, 1]}, "transposes"),
    ],
)
def test_absurd_options_are_refused_before_memory_is_taken(
    kind: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = [np.ones((3, 3, 4)), np.ones(4)] if kind == "Conv1D" else []
    layers: list[Named] = [(kind, options, given), recurrent("LSTM", 4, 4 if given else 3), dense(4, 4)]
    with pytest.raises(ModelError, match=message):
        lowered(write_keras(tmp_path / "a.keras", layers))


SMALL = [recurrent("GRU", 4, 3), dense(4, 4, "softmax")]


def gru(**options: Any) -> list[Named]:
    return [recurrent("GRU", 4, 3, **options), dense(4, 4)]


def lstm(**options: Any) -> list[Named]:
    return [recurrent("LSTM", 4, 3, **options), dense(4, 4)]


backwards = {"class_name": "LSTM", "config": lstm(go_backwards=True)[0][1]}
sideways = {"class_name": "LSTM", "config": lstm()[0][1]}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (gru(reset_after=False), r"GRU layer_0 has reset_after=False.*train with reset_after=True"),
        (
            [("GRU", {k: v for k, v in gru()[0][1].items() if k != "reset_after"}, gru()[0][2]), dense(4, 4)],
            "reset_after=False",
        ),
        (lstm(recurrent_activation="hard_sigmoid"), r"LSTM layer_0 has recurrent_activation='hard_sigmoid'.*'sigmoid'"),
        (lstm(activation="relu"), r"LSTM layer_0 has activation='relu'.*train with activation='tanh'"),
        ([recurrent("SimpleRNN", 4, 3, activation="relu"), dense(4, 4)], "SimpleRNN layer_0 has activation='relu'"),
        (lstm(go_backwards=True), "go_backwards=True.*the device sees samples in their order"),
        (lstm(stateful=True), "stateful=True.*cut into windows by the contract"),
        (lstm(return_state=True), "return_state=True.*take the output of the layer alone"),
        ([("Masking", {"mask_value": 0.0}, []), *gru()], "Masking layer_0 is not supported.*windows of one length"),
        ([("Lambda", {"function": "os.system('x')"}, []), *gru()], "Lambda layer_0 is not supported; it holds code"),
        ([("LayerNormalization", {}, [np.ones(3), np.ones(3)]), *gru()], "LayerNormalization.*use BatchNormalization"),
        ([("Attention", {}, []), *gru()], "Attention layer_0 is not supported; train without it. Supported: .*LSTM"),
        ([("Sequential", {"layers": []}, []), *gru()], "layer_0 is a model within the model"),
        ([gru()[0], ("BatchNormalization", {"axis": 0}, [np.ones(4)] * 4), dense(4, 4)], "axis=0"),
        (  # on [B, T, C] it is the axis of time, although its length may be that of the channels
            [recurrent("LSTM", 50, 3, return_sequences=True), ("BatchNormalization", {"axis": 1}, [np.ones(50)] * 4)],
            "axis=1.*normalise the channels",
        ),
        (
            [gru()[0], ("Dense", {"activation": {"class_name": "function", "config": "relu"}}, dense(4, 4)[2])],
            "activation='relu', a function of its own.*use an activation of Keras",
        ),
        (
            [("Bidirectional", {"merge_mode": "concat", "layer": backwards}, [])],
            "go_backwards=True",
        ),
        (
            [("Bidirectional", {"layer": sideways, "backward_layer": {"class_name": "GRU"}}, [])],
            "a backward_layer of another kind",
        ),
        (
            [("LSTM", {**lstm()[0][1], "units": 5}, lstm()[0][2]), dense(4, 4)],
            r"of 5 units has weights .* expected \[I, 20\]",
        ),
        (
            [("LSTM", lstm()[0][1], lstm()[0][2][:2]), dense(4, 4)],
            r"has weights .*; expected 3: kernel, recurrent kernel",
        ),
        ([("LSTM", lstm()[0][1], [np.full((3, 16), np.nan), *lstm()[0][2][1:]]), dense(4, 4)], "not finite"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(layers: list[Named], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_keras(write_keras(tmp_path / "a.keras", layers), time_steps=50)


def test_several_outputs_are_refused(tmp_path: Path) -> None:
    layers = [recurrent("GRU", 4, 3), dense(4, 8)]
    config = branched()
    config["config"]["output_layers"] = [["both", 0, 0], ["head", 0, 0]]
    with pytest.raises(ModelError, match=r"it has the outputs \['both', 'head'\]; expected one"):
        chain_of_keras(write_keras(tmp_path / "a.keras", layers, config=config), time_steps=50)
    for one in (["head", 0, 0], [["head", 0, 0]]):  # as Keras 3 and Keras 2 write one
        config["config"]["output_layers"] = one
        assert chain_of_keras(write_keras(tmp_path / "a.keras", layers, config=config), time_steps=50).records


@pytest.mark.parametrize("origin", [{"module": "mine.layers"}, {"module": None, "registered_name": "mine>Dense"}])
def test_a_class_of_the_user_with_a_name_of_keras_is_refused(origin: dict[str, Any], tmp_path: Path) -> None:
    config = description(gru())
    config["config"]["layers"][-1] |= origin
    with pytest.raises(ModelError, match="Dense layer_1 is no layer of Keras itself, but of 'mine"):
        chain_of_keras(write_keras(tmp_path / "a.keras", gru(), config=config), time_steps=50)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([recurrent("LSTM", 4, 3, return_sequences=True), dense(4, 4)], "gives an output for each time step"),
        ([("Flatten", {}, []), dense(4, 150)], "has no recurrent layer"),
        ([recurrent("LSTM", 4, 3)], "no linear layer follows its states"),
        (
            [
                recurrent("LSTM", 4, 3, return_sequences=True),
                ("Flatten", {}, []),
                ("Activation", {"activation": "relu"}, []),
                dense(4, 200),
            ],
            "layer_2.activation is the activation relu, which is not supported",
        ),
        (
            [("ZeroPadding1D", {"padding": [3, 1]}, []), convolution(4), recurrent("LSTM", 4, 4), dense(4, 4)],
            "layer_1 adds 3 zeros before the window and 1 behind it, .* expected at most 2 each",
        ),
        (
            [convolution(4, activation="elu"), recurrent("LSTM", 4, 4), dense(4, 4)],
            "the activation elu, which is not supported",
        ),
        (
            [
                convolution(4),
                ("MaxPooling1D", {"padding": "same", "pool_size": [5]}, []),
                recurrent("LSTM", 4, 4),
                dense(4, 4),
            ],
            "pooling over time with padding 1 and 1",
        ),
        (
            [
                recurrent("LSTM", 3, 3, return_sequences=True),
                convolution(4),
                ("GlobalMaxPooling1D", {}, []),
                dense(4, 4),
            ],
            "layer_1 is a convolution behind a recurrent layer",
        ),
        (
            [convolution(1030), recurrent("LSTM", 4, 1030), dense(4, 4)],
            "front layer 0: 1030 units; expected 1 to 1024",
        ),
        (  # weights between the groups would take 9 GB
            [
                ("Conv1D", {}, [np.zeros((1, 3, 30000)), np.zeros(30000)]),
                ("DepthwiseConv1D", {}, [np.ones((3, 30000, 1)), np.ones(30000)]),
                recurrent("LSTM", 2, 30000),
                dense(4, 2),
            ],
            r"layer_1 with its groups has shape \[30000, 30000, 3\]; expected at most",
        ),
        ([normalisation(7), *lstm()], "layer_0 has 7 scales for 3 channels"),
        ([lstm()[0], normalisation(7), dense(4, 4)], "layer_1 has 7 scales for 4 channels"),
        ([lstm()[0], dense(8, 4), dense(4, 9)], r"layer_2 has a weight \[4, 9\] for 8 channels"),
        ([recurrent("LSTM", 4, 5), dense(4, 4)], "layer_0 takes 5 values, and gets 3"),
        (
            [("Normalization", {"mean": [0.0], "variance": [float("nan")]}, []), *lstm()],
            "layer_0 has scales or offsets that are not finite",
        ),
        ([recurrent("LSTM", 4, 3), dense(3, 4, "softmax")], "3 outputs, but there are 4 classes"),
        ([recurrent("LSTM", 4, 3), dense(4, 4, "sigmoid")], "sigmoid on 4 outputs"),
    ],
)
def test_a_chain_that_is_no_model_is_refused(layers: list[Named], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        lowered(write_keras(tmp_path / "a.keras", layers))


def test_the_input_must_be_that_of_the_contract(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "a.keras", gru())
    with pytest.raises(ContractError, match="takes windows of 50 samples, the contract has 40; set window_length = 50"):
        lowered(path, 40)
    four = SensorContract(50.0, (*AXES, Channel("gx", "deg/s", 16.0, 2000.0)), 50, 50)
    with pytest.raises(ContractError, match="its input has 3 channels, the contract has 4"):
        lower(chain_of_keras(path, time_steps=50), name="net", labels=LABELS, contract=four, scaler=IN_UNITS)
    with pytest.raises(ModelError, match=r"classes .* are given for the network's outputs"):
        lower(
            chain_of_keras(path, time_steps=50),
            name="net",
            labels=LABELS,
            contract=contract(50),
            scaler=IN_UNITS,
            class_order=("a", "b"),
        )


# --- hostile files ---------------------------------------------------------------------------------------------------


def kernel(file: Any) -> Any:
    return file["layers/gru/cell/vars"]


def replace_kernel(**options: Any) -> Any:
    def change(file: Any) -> None:
        del kernel(file)["0"]
        kernel(file).create_dataset("0", **options)

    return change


def link_kernel(link: Any) -> Any:
    def change(file: Any) -> None:
        del kernel(file)["0"]
        kernel(file)["0"] = link

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            link_kernel(h5py.ExternalLink("/etc/passwd", "/x")),
            "is a link .ExternalLink, to the file '/etc/passwd'.*not followed",
        ),
        (link_kernel(h5py.SoftLink("/layers/gru/cell/vars/1")), "is a link .SoftLink"),
        (
            replace_kernel(shape=(2**40, 12), dtype="f4", chunks=(1024, 12)),
            r"has shape \[1099511627776, 12\]; expected at most",
        ),
        (replace_kernel(shape=(2048, 1024), dtype="f4"), r"has 0 bytes in the file; expected 8,388,608"),
        (
            replace_kernel(shape=(2048, 1024), dtype="f4", compression="gzip", data=np.zeros((2048, 1024))),
            "bytes in the file; expected 8,388,608",
        ),
        (replace_kernel(data=np.array([b"text"] * 3)), "expected floating point"),
        (replace_kernel(shape=(3, 12), dtype="f4", external=[("/etc/passwd", 0, 144)]), "are in another file"),
        (lambda file: kernel(file).create_group("3"), "vars/3 is missing"),
    ],
)
def test_hostile_weights_are_refused_before_they_are_read(change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_keras(write_keras(tmp_path / "a.keras", SMALL, change=change), time_steps=50)


def test_a_zip_that_unpacks_to_more_than_a_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(1 << 26))
    with pytest.raises(ModelError, match=r"model.weights.h5 in it would unpack to 67,108,864 bytes, expected at most"):
        chain_of_keras(path, time_steps=50)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.tflite", b"")
    with pytest.raises(
        ModelError, match=r"the zip holds \['model.tflite'\]; expected config.json and model.weights.h5"
    ):
        chain_of_keras(path, time_steps=50)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (description([("Dense", {}, [])] * 300), "it has 301 layers; expected at most 256"),
        ({"class_name": "MyModel", "config": {}}, "its model is a 'MyModel'; expected a Sequential or a Functional"),
        ({"class_name": "Sequential", "config": {"layers": [3]}}, "cannot be read as a file of Keras"),
        ({"class_name": "Functional", "config": {"layers": []}}, "it has 0 inputs; expected one"),
    ],
)
def test_a_hostile_description_is_refused(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_keras(write_keras(tmp_path / "a.keras", SMALL, config=config), time_steps=50)


def test_a_deeply_nested_description_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 200_000)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ModelError, match="the description of its layers is no JSON"):
        chain_of_keras(path, time_steps=50)


def test_other_files_are_refused(tmp_path: Path) -> None:
    weights_only = tmp_path / "weights.h5"
    with h5py.File(weights_only, "w") as file:
        file["layers/x"] = np.ones(3)
    with pytest.raises(ModelError, match="it has weights, but no description of the layers"):
        chain_of_keras(weights_only, time_steps=50)
    text = tmp_path / "text.keras"
    text.write_text("hello")
    with pytest.raises(ModelError, match=r"neither a zip .* nor HDF5"):
        chain_of_keras(text, time_steps=50)
    whole = write_keras(tmp_path / "whole.keras", SMALL).read_bytes()
    text.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read as a file of Keras: BadZipFile"):
        chain_of_keras(text, time_steps=50)
    with pytest.raises(ModelError, match="cannot be opened"):
        chain_of_keras(tmp_path / "none.keras", time_steps=50)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.keras")
        with pytest.raises(ModelError, match="is not a regular file"):
            chain_of_keras(tmp_path / "pipe.keras", time_steps=50)
    large = tmp_path / "large.keras"
    with large.open("wb") as sparse:
        sparse.truncate(1 << 30)
    with pytest.raises(ModelError, match="1,073,741,824 bytes; expected at most"):
        chain_of_keras(large, time_steps=50)
    for name, message in (
        ("net.tflite", "give the .keras file that it was converted from"),
        ("net.pt2", "es.from_torch"),
        ("net.pkl", "a pickle runs code"),
        ("net", "files without a suffix cannot be read; expected .keras"),
    ):
        with pytest.raises(ModelError, match=message):
            chain_of_file(tmp_path / name, time_steps=50)
    with pytest.raises(ModelError, match="a folder; give a"):
        chain_of_file(tmp_path, time_steps=50)


def test_without_h5py_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ToolError, match=r"h5py is missing; pip install 'edge-seq\[hdf5\]'"):
        chain_of_keras(SAVED / "stack.keras", time_steps=50)
