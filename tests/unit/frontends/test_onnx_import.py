"""ONNX of other exporters: the standard's own cases, what exporters write, refusals by name, and hostile files."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edge_seq.backends.reference_float import float_features, run_float, sequences_of
from edge_seq.frontends.chain import Affine, Bidirectional, Collapse, Convolution, Pool, Recurrent
from edge_seq.frontends.lower import Lowered, lower, original_outputs
from edge_seq.frontends.onnx.from_onnx import chain_of_onnx, chain_of_onnx_model
from edge_seq.frontends.originals import Original, run_original
from edge_seq.ir.contract import Channel, Normalisation, SensorContract
from edge_seq.ir.kinds import Layer
from edge_seq.ir.model import FloatFormat, Readout, SequenceModel
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ModelError
from tests.unit.frontends.onnx_case import linear, model, node, plain, weights

AXES = tuple(Channel(name, "g", 1000.0, 4.0) for name in ("ax", "ay", "az"))
CONTRACT = SensorContract(50.0, AXES, 50, 50)
IN_UNITS = Normalisation((0.0,) * 3, (1000.0,) * 3)


def lowered(proto: ModelProto, labels: tuple[str, ...] = ("a", "b", "c", "d")) -> Lowered:
    chain = chain_of_onnx_model(proto, what="net.onnx", time_steps=50)
    return lower(chain, name="net", labels=labels, contract=CONTRACT, scaler=IN_UNITS)


def check_equal(proto: ModelProto, tmp_path: Path, labels: tuple[str, ...] = ("a", "b", "c", "d")) -> Lowered:
    """The float model computes what ONNX Runtime does, states of all steps too where the file names them."""
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    chain = chain_of_onnx(path, time_steps=50)
    found = lower(chain, name="net", labels=labels, contract=CONTRACT, scaler=IN_UNITS)
    counts = np.random.default_rng(0).normal(0, 900, (4, 50, 3)).astype(np.int16)
    original = Original("onnx", path, chain.input_axes, found.layer_outputs)
    given = run_original(original, (counts / 1000).astype(np.float32))
    values = run_float(found.model, counts).values
    outputs = original_outputs(found, values["logits"][:, -1])
    np.testing.assert_allclose(outputs, given.outputs, atol=1e-5)
    assert np.abs(given.outputs).max() > 0.1
    at_steps = sequences_of(found.model, float_features(found.model, counts))
    for layer, states in given.states.items():
        np.testing.assert_allclose(at_steps[f"layer{layer}.hidden_state"], states, atol=1e-5)
    return found


# --- the standard's cases --------------------------------------------------------------------------------------------

REFUSED = {
    "test_gru_defaults": "linear_before_reset=0",
    "test_gru_with_initial_bias": "linear_before_reset=0",
    "test_gru_seq_length": "linear_before_reset=0",
    "test_gru_batchwise": "linear_before_reset=0",
    "test_gru_reverse": "direction='reverse'",
    "test_gru_bidirectional": "linear_before_reset=0",
    "test_lstm_reverse": "direction='reverse'",
    "test_lstm_with_peepholes": "peepholes",
    "test_simple_rnn_reverse": "direction='reverse'",
}


def standard_cases() -> list[Any]:
    """The node cases of RNN, GRU and LSTM in onnx.backend.test, made by the package itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = importlib.import_module("onnx.backend.test.case.node")
        for name in ("rnn", "gru", "lstm"):
            importlib.import_module(f"onnx.backend.test.case.node.{name}")
    found = [one for one in cases._NodeTestCases if one.model.graph.node[0].op_type in ("RNN", "GRU", "LSTM")]
    return [pytest.param(one, id=one.name) for one in found]


def states_of(layer: Layer[FloatRows], x: np.ndarray) -> np.ndarray:
    """States [B, T, H] of one layer for any input [B, T, I]."""
    channels = x.shape[2]
    axes = tuple(Channel(f"c{index}", "counts", 1.0, 32767.0) for index in range(channels))
    size = next(iter(vars(layer).values())).bias.shape[0]
    head = FloatRows(np.zeros((2, size), np.float32), np.zeros((2, 0), np.float32), np.zeros(2, np.float32))
    contract = SensorContract(50.0, axes, x.shape[1], x.shape[1])
    number_format = FloatFormat(Normalisation((0.0,) * channels, (1.0,) * channels))
    net = SequenceModel("net", ("a", "b"), contract, (layer,), head, Readout(), number_format)
    states: np.ndarray = run_float(net, x.astype(np.int16)).values["layer0.hidden_state"]
    return states


@pytest.mark.parametrize("case", standard_cases())
def test_each_case_of_the_standard_passes_or_is_refused_for_a_stated_reason(case: Any) -> None:
    proto, (arrays, expected) = ModelProto(), case.data_sets[0]
    proto.CopyFrom(case.model)
    names = [one.name for one in proto.graph.input]
    given = dict(zip(names, arrays, strict=True))
    proto.graph.initializer.extend(numpy_helper.from_array(given[name], name) for name in names[1:])
    batch_first = any(one.name == "layout" and one.i for one in proto.graph.node[0].attribute)
    x = given[names[0]] if batch_first else given[names[0]].transpose(1, 0, 2)
    if case.name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[case.name]):
            chain_of_onnx_model(proto, what=case.name, time_steps=x.shape[1])
        return
    assert np.array_equal(x, np.rint(x))  # the cases count 1, 2, 3, ..., so that they are raw counts too
    record = chain_of_onnx_model(proto, what=case.name, time_steps=x.shape[1]).records[0]
    if isinstance(record, Bidirectional):
        forward, backward = states_of(record.forward, x), states_of(record.backward, x[:, ::-1])
        last = [forward[:, -1], backward[:, -1]]
    else:
        assert isinstance(record, Recurrent)
        last = [states_of(record.layer, x)[:, -1]]
    states = expected[[one.name for one in proto.graph.output].index("Y_h")]
    final = states if not batch_first else states.swapaxes(0, 1)  # [D, B, H]
    np.testing.assert_allclose(last, final.reshape(len(last), *last[0].shape), atol=1e-5)


def test_the_standard_has_18_cases() -> None:
    names = {one.values[0].name for one in standard_cases()}
    # ONNX 1.16 has no test of another direction yet.
    later = {f"test_{kind}_{way}" for kind in ("gru", "lstm", "simple_rnn") for way in ("reverse", "bidirectional")}
    assert len(names - later) == 12
    assert len(names | later) == 18
    assert REFUSED.keys() < names | later


# --- what exporters write --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_network_of_torch(kind: str, tmp_path: Path) -> None:
    found = check_equal(plain(kind), tmp_path)
    assert found.layer_outputs == ("Y",)


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
def test_the_states_of_all_steps(kind: str, tmp_path: Path) -> None:
    made = {"Flatten": node("Flatten", ["states"], ["flat"]), "Reshape": node("Reshape", ["states", "to"], ["flat"])}
    nodes = [
        node("Transpose", ["x"], ["time_first"], perm=[1, 0, 2]),
        node("LSTM", ["time_first", "W", "R", "B"], ["Y", "Y_h"], hidden_size=5),
        node("Squeeze", ["Y", "one"], ["squeezed"]),
        node("Transpose", ["squeezed"], ["states"], perm=[1, 0, 2]),
        made[kind],
        node("Gemm", ["flat", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {"one": np.array([1]), "to": np.array([-1, 250])}
    found = check_equal(model(nodes, {**weights("LSTM", 3, 5), **linear(4, 250), **numbers}), tmp_path)
    assert found.model.readout.pooling == "flatten"


def test_shapes_of_initial_states_are_computed(tmp_path: Path) -> None:
    """torch's older exporter: zeros expanded to [1, batch, H], with the batch from the input's shape."""
    proto = plain("GRU")
    chain = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "zeros"], ["batch_1"]),
        node("Concat", ["ones", "batch_1", "units"], ["shape_h"], axis=0),
        node("ConstantOfShape", ["shape_h"], ["h"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0])),
    ]
    for name, value in (("zero", 0), ("zeros", [0]), ("ones", [1]), ("units", [5])):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    gru = next(one for one in proto.graph.node if one.op_type == "GRU")
    gru.input.extend(["", "h"])
    nodes = [*chain, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    check_equal(proto, tmp_path)


def test_a_scaler_batch_normalisation_and_softmax(tmp_path: Path) -> None:
    """skl2onnx's Scaler, then as tf2onnx writes: MatMul and Add, mean, Softmax."""
    norm = {"g": [0.5, 2, 1], "b": [0.1, 0.2, 0.3], "m": [0.4, 0, -1], "v": [1.0, 2, 3]}
    nodes = [
        helper.make_node("Scaler", ["x"], ["scaled"], domain="ai.onnx.ml", offset=[0.1], scale=[2.0]),
        node("Transpose", ["scaled"], ["channels_first"], perm=[0, 2, 1]),
        node("BatchNormalization", ["channels_first", "g", "b", "m", "v"], ["normed"]),
        node("Transpose", ["normed"], ["time_first"], perm=[2, 0, 1]),
        node("GRU", ["time_first", "W", "R", "B"], ["Y", ""], hidden_size=5, linear_before_reset=1),
        node("Squeeze", ["Y", "one"], ["squeezed"]),
        node("Transpose", ["squeezed"], ["states"], perm=[1, 0, 2]),
        node("ReduceMean", ["states"], ["pooled"], axes=[1], keepdims=0),
        node("MatMul", ["pooled", "kernel"], ["product"]),
        node("Add", ["product", "fc.bias"], ["logits"]),
        node("Softmax", ["logits"], ["y"], axis=-1),
    ]
    numbers: dict[str, Any] = {name: np.array(value, dtype=np.float32) for name, value in norm.items()}
    fc = linear(4, 5)
    numbers |= {"one": np.array([1]), "kernel": fc["fc.weight"].T, "fc.bias": fc["fc.bias"]}
    found = check_equal(model(nodes, {**weights("GRU", 3, 5), **numbers}), tmp_path)
    assert found.output == "softmax"
    assert found.model.readout.pooling == "mean"
    assert found.model.number_format.normalisation.scale[0] == pytest.approx(1000 / 2 / 0.5, rel=1e-4)


def test_final_state_two_layers_and_one_output(tmp_path: Path) -> None:
    """Y_h of the second layer, as torch's h_n[-1], and a sigmoid for two classes; time comes first in the input."""
    nodes = [
        node("LSTM", ["x", "W", "R", "B"], ["Y"], hidden_size=5),
        node("Squeeze", ["Y", "one"], ["below"]),
        node("LSTM", ["below", "sW", "sR", "sB"], ["", "Y_h"], hidden_size=4),
        node("Reshape", ["Y_h", "flat"], ["state"]),
        node("Gemm", ["state", "fc.weight", "fc.bias"], ["logit"], transB=1),
        node("Sigmoid", ["logit"], ["y"]),
    ]
    numbers = {"one": np.array([1]), "flat": np.array([-1, 4])}
    both = {**weights("LSTM", 3, 5), **weights("LSTM", 5, 4, prefix="s")}
    found = check_equal(
        model(nodes, {**both, **linear(1, 4), **numbers}, shape=(50, "batch", 3)), tmp_path, ("no", "yes")
    )
    assert found.output == "sigmoid"
    assert found.layer_outputs == ("Y", "")


def test_layout_1_of_the_standard_is_taken() -> None:
    """ONNX Runtime does not run it, so it is compared with the same network without it."""
    nodes = [
        node("RNN", ["x", "W", "R", "B"], ["Y", ""], hidden_size=5, layout=1),
        node("Squeeze", ["Y", "two"], ["states"]),
        node("Slice", ["states", "minus", "end", "axis"], ["kept"]),
        node("Squeeze", ["kept", "axis"], ["state"]),
        node("Gemm", ["state", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {"two": np.array([2]), "minus": np.array([-1]), "end": np.array([2**31]), "axis": np.array([1])}
    counts = np.random.default_rng(0).normal(0, 900, (4, 50, 3)).astype(np.int16)
    found = lowered(model(nodes, {**weights("RNN", 3, 5), **linear(4, 5), **numbers}))
    expected = run_float(lowered(plain("RNN")).model, counts).values["logits"]
    np.testing.assert_array_equal(run_float(found.model, counts).values["logits"], expected)


def test_convolution_pooling_mean_and_max_are_read() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        node("Transpose", ["x"], ["channels_first"], perm=[0, 2, 1]),
        node("Conv", ["channels_first", "kernel"], ["conv"], strides=[2], pads=[2, 0]),
        node("Relu", ["conv"], ["relu"]),
        node("MaxPool", ["relu"], ["pool"], kernel_shape=[2], strides=[2]),
        node("Transpose", ["pool"], ["time_first"], perm=[2, 0, 1]),
        node("LSTM", ["time_first", "W", "R", "B"], ["Y"], direction="bidirectional"),
        node("Transpose", ["Y"], ["batch_first"], perm=[2, 0, 1, 3]),
        node("Reshape", ["batch_first", "merged"], ["states"]),
        node("ReduceMean", ["states"], ["mean"], axes=[1], keepdims=0),
        node("ReduceMax", ["states"], ["max"], axes=[1], keepdims=0),
        node("Concat", ["mean", "max"], ["both"], axis=-1),
        node("Gemm", ["both", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {"kernel": rng.normal(size=(6, 3, 3)).astype(np.float32), "merged": np.array([0, 0, -1])}
    proto = model(nodes, {**weights("LSTM", 6, 5, directions=2), **linear(4, 20), **numbers})
    chain = chain_of_onnx_model(proto, what="net.onnx", time_steps=50)
    kinds = [type(record) for record in chain.records]
    assert [kinds.count(kind) for kind in (Convolution, Pool, Bidirectional)] == [1, 1, 1]
    assert [one.kind for one in chain.records if isinstance(one, Collapse)] == ["mean_max"]


def test_a_network_with_convolutions(tmp_path: Path) -> None:
    """As torch's exporters write it, with causal padding by a node of its own, and by the convolution."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Transpose", ["x"], ["channels_first"], perm=[0, 2, 1]),
        node("Pad", ["channels_first", "pads"], ["padded"]),
        node("Conv", ["padded", "kernel"], ["conv"], dilations=[2]),
        node("BatchNormalization", ["conv", "scale", "offset", "mean", "variance"], ["normed"]),
        node("Relu", ["normed"], ["relu"]),
        node("MaxPool", ["relu"], ["pool"], kernel_shape=[2], strides=[2]),
        node("Conv", ["pool", "second"], ["grouped"], group=5, pads=[1, 0], strides=[2]),
        node("Tanh", ["grouped"], ["tanh"]),
        node("AveragePool", ["tanh"], ["means"], kernel_shape=[3], strides=[1]),
        node("Transpose", ["means"], ["time_first"], perm=[2, 0, 1]),
        node("LSTM", ["time_first", "W", "R", "B"], ["Y"], hidden_size=5),
        node("Squeeze", ["Y", "one"], ["squeezed"]),
        node("Transpose", ["squeezed"], ["states"], perm=[1, 0, 2]),
        node("Gather", ["states", "last"], ["state"], axis=1),
        node("Gemm", ["state", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {
        "pads": np.array([0, 0, 4, 0, 0, 0]),
        "kernel": rng.normal(size=(5, 3, 3)).astype(np.float32),
        "second": rng.normal(size=(5, 1, 2)).astype(np.float32),
        "one": np.array([1]),
        "last": np.array(-1),
        **statistics(),
    }
    found = check_equal(model(nodes, {**weights("LSTM", 5, 5), **linear(4, 5), **numbers}), tmp_path)
    assert len(found.model.front) == 4
    assert any("has 5 groups; the weights between groups are stored as zeros" in note for note in found.notes)


def test_a_network_with_convolutions_in_two_dimensions(tmp_path: Path) -> None:
    """An input [B, 1, T, C], as DeepConvLSTM takes it."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Conv", ["x", "kernel"], ["conv"], pads=[2, 0, 0, 0]),
        node("Relu", ["conv"], ["relu"]),
        node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 1], strides=[2, 1]),
        node("Transpose", ["pool"], ["time_first"], perm=[2, 0, 1, 3]),
        node("Reshape", ["time_first", "merged"], ["below"]),
        node("GRU", ["below", "W", "R", "B"], ["", "Y_h"], hidden_size=5, linear_before_reset=1),
        node("Reshape", ["Y_h", "flat"], ["state"]),
        node("Gemm", ["state", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    numbers = {
        "kernel": rng.normal(size=(2, 1, 3, 1)).astype(np.float32),
        "merged": np.array([0, 0, -1]),
        "flat": np.array([-1, 5]),
    }
    proto = model(nodes, {**weights("GRU", 6, 5), **linear(4, 5), **numbers}, shape=("batch", 1, 50, 3))
    assert check_equal(proto, tmp_path).model.front_sizes == (6, 6)


def test_arithmetic_with_constants_is_a_scaling() -> None:
    nodes = [
        node("Sub", ["x", "mean"], ["centred"]),
        node("Div", ["centred", "scale"], ["scaled"]),
        node("Mul", ["half", "scaled"], ["halved"]),
        node("Add", ["halved", "half"], ["moved"]),
        node("Sub", ["half", "moved"], ["turned"]),
        node("Identity", ["turned"], ["y"]),
    ]
    numbers = {"mean": np.array([1.0, 2, 3]), "scale": np.array([[[2.0, 4, 8]]]), "half": np.array(0.5)}
    chain = chain_of_onnx_model(model(nodes, numbers), what="net.onnx", time_steps=50)
    x = np.array([3.0, 10.0, 19.0])
    for record in chain.records:
        assert isinstance(record, Affine)
        x = record.scale * x + record.offset
    np.testing.assert_allclose(x, 0.5 - (0.5 * np.array([1.0, 2.0, 2.0]) + 0.5))


# --- refusals --------------------------------------------------------------------------------------------------------


def with_input(index: int, name: str, value: np.ndarray, kind: str = "LSTM") -> ModelProto:
    proto = plain(kind)
    recurrent = next(one for one in proto.graph.node if one.op_type == kind)
    recurrent.input.extend([""] * (index + 1 - len(recurrent.input)))
    recurrent.input[index] = name
    proto.graph.initializer.append(numpy_helper.from_array(value, name))
    return proto


def cell_state() -> ModelProto:
    proto = plain("LSTM")
    recurrent = next(one for one in proto.graph.node if one.op_type == "LSTM")
    recurrent.output.append("Y_c")
    proto.graph.node.insert(len(proto.graph.node) - 1, node("Squeeze", ["Y_c", "zero"], ["cells"]))
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0]), "zero"))
    proto.graph.node[-1].input[0] = "cells"
    return proto


def residual() -> ModelProto:
    proto = plain()
    proto.graph.node[-1].output[0] = "first"
    proto.graph.node.extend([node("Add", ["first", "first"], ["y"])])
    return proto


def unrolled() -> ModelProto:
    nodes = [node("Gather", ["x", "zero"], ["step"], axis=1), node("Tanh", ["step"], ["y"])]
    return model(nodes, {"zero": np.array(0)})


def looped() -> ModelProto:
    body = helper.make_graph([], "body", [], [])
    return model([helper.make_node("Scan", ["x"], ["y"], name="loop", body=body, num_scan_inputs=1)], {})


def mean_of_units() -> ModelProto:
    proto = plain()
    proto.graph.node[-2].CopyFrom(node("ReduceMean", ["states"], ["state"], axes=[2], keepdims=0))
    return proto


def scalers() -> ModelProto:
    scaler = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", name="s", offset=[0.0] * 3, scale=[1.0] * 3)
    return model([scaler], {})


def second_input() -> ModelProto:
    state = helper.make_tensor_value_info("h0", TensorProto.FLOAT, [1, 1, 5])
    return model([node("Identity", ["x"], ["y"])], {}, inputs=[state])


def two_dimensional() -> ModelProto:
    nodes = [node("Transpose", ["x"], ["c"], perm=[0, 2, 1]), node("Conv", ["c", "kernel"], ["y"])]
    return model(nodes, {"kernel": np.ones((4, 3, 3, 3), dtype=np.float32)})


def before_head(kind: str, constants: dict[str, np.ndarray], **attributes: Any) -> ModelProto:
    """A network with an operator between the last state and the head."""
    proto = plain()
    proto.graph.node[-1].input[0] = "made"
    proto.graph.node.insert(len(proto.graph.node) - 1, node(kind, ["state", *constants], ["made"], **attributes))
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return proto


def statistics() -> dict[str, np.ndarray]:
    return {name: np.full(5, 0.5, dtype=np.float32) for name in ("scale", "offset", "mean", "variance")}


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (plain("GRU", linear_before_reset=0), r"GRU n_Y: linear_before_reset=0 \(reset_after=False in Keras\)"),
        (plain("LSTM", direction="reverse"), "LSTM n_Y: direction='reverse'.*train forward"),
        (plain("LSTM", clip=3.0), "LSTM n_Y: clip=3.0.*without clipping"),
        (plain("LSTM", input_forget=1), "input_forget=1"),
        (plain("RNN", activations=["Relu"]), r"RNN n_Y: activations=\['Relu'\].*train with \['Tanh'\]"),
        (plain("LSTM", activations=["HardSigmoid", "Tanh", "Tanh"]), r"activations=\['HardSigmoid', 'Tanh', 'Tanh'\]"),
        (
            with_input(4, "lens", np.array([50, 40, 50], dtype=np.int32)),
            r"sequence_lens \[40, 50\].*windows of one length",
        ),
        (with_input(5, "h0", np.ones((1, 3, 5), dtype=np.float32)), "initial_h that is not zero"),
        (with_input(6, "c0", np.ones((1, 3, 5), dtype=np.float32)), "initial_c that is not zero"),
        (with_input(7, "P", np.ones((1, 15), dtype=np.float32)), "peepholes"),
        (with_input(1, "W", np.ones((1, 20, 4), dtype=np.float32)), r"has W \[1, 20, 4\]"),
        (before_head("BatchNormalization", statistics(), training_mode=1), "training_mode=1.*in evaluation mode"),
        (
            before_head("Dropout", {"ratio": np.array(0.5, dtype=np.float32), "training": np.array(True)}),
            "Dropout n_made: training_mode=1.*in evaluation mode",
        ),
        (before_head("Cast", {}, to=TensorProto.INT32), "Cast n_made: a conversion to whole numbers"),
        (before_head("CastLike", {"whole": np.array(1)}), "CastLike n_made: a conversion to whole numbers"),
        (cell_state(), r"LSTM n_Y: its last cell states \(Y_c\) are used, .*the last ones \(Y_h\)"),
        (residual(), "Add n_y combines two branches; expected a chain"),
        (unrolled(), "takes index 0 of the axis T of length 50; only the last step can be taken"),
        (looped(), "Scan loop: operator of ai.onnx, which is not supported; export LSTM, GRU or RNN nodes"),
        (second_input(), r"it has the inputs \['x', 'h0'\]; expected one"),
        (
            two_dimensional(),
            r"Conv n_y convolves the axes .'B', 'C', 'T'.; expected batch, channels, and time and width",
        ),
        (
            model([node("Erf", ["x"], ["y"])], {}),
            "operator Erf n_y is not supported; train without it. Supported: .*LSTM",
        ),
        (
            model([node("LayerNormalization", ["x", "s"], ["y"])], {"s": np.ones(3, np.float32)}),
            "use batch normalisation",
        ),
        (mean_of_units(), r"takes the mean over \['C'\]"),
        (scalers(), "3 scales and 3 offsets along the second axis, which is time.*--scaler"),
        (model([node("Identity", ["nothing"], ["y"])], {}), r"\['nothing'\] come from nowhere"),
        (model([node("Identity", ["x"], ["y"])], {}, shape=("batch", 50)), "expected three axes"),
        (model([node("Identity", ["x"], ["y"])], {}, shape=("batch", 50, 0)), "expected sizes from 1"),
        (model([node("Identity", ["c"], ["y"])], {"c": np.ones(3)}), "its outputs do not depend on its input"),
        (model([node("Identity", ["x"], ["y"])] * 5000, {}), "5000 nodes; expected at most 4096"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(proto: ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_onnx_model(proto, what="net.onnx", time_steps=50)


# --- hostile files ---------------------------------------------------------------------------------------------------


def external() -> ModelProto:
    proto = plain()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    return proto


def bomb(kind: str, constants: dict[str, np.ndarray], inputs: list[str]) -> ModelProto:
    return model([node(kind, inputs, ["big"]), node("Add", ["x", "big"], ["y"])], constants)


def absurd() -> ModelProto:
    proto = plain()
    proto.graph.initializer[0].dims[1] = 2**40
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (external(), r"its numbers \['W'\] are in other files .external data., which are not read"),
        (absurd(), "initializer W has shape .1, 1099511627776, 3.; expected at most"),
        (
            bomb("ConstantOfShape", {"s": np.array([2**33, 3])}, ["s"]),
            "its result has 25,769,803,776 numbers, expected at most",
        ),
        (
            bomb("Expand", {"one": np.ones(1, np.float32), "s": np.array([2**33])}, ["one", "s"]),
            "numbers, expected at most",
        ),
        (
            bomb("Tile", {"one": np.ones(1, np.float32), "s": np.array([2**33])}, ["one", "s"]),
            "numbers, expected at most",
        ),
        (
            bomb("Range", {"a": np.array(0), "b": np.array(2**40), "c": np.array(1)}, ["a", "b", "c"]),
            "1,099,511,627,776 numbers",
        ),
        (bomb("MatMul", {"a": np.ones((9999, 1)), "b": np.ones((1, 9999))}, ["a", "b"]), "99,980,001 numbers"),
    ],
)
def test_hostile_files_are_refused_before_memory_is_taken(proto: ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        chain_of_onnx_model(proto, what="net.onnx", time_steps=50)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(plain().SerializeToString()[:-50])
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        chain_of_onnx(path, time_steps=50)
    path.write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(ModelError, match=r"it has the inputs \[\]; expected one"):
        chain_of_onnx(path, time_steps=50)
