"""Every message of verify(), each raised by the smallest change of a valid model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_seq.ir.contract import Preprocessing
from edge_seq.ir.decision import DecisionStage
from edge_seq.ir.front import TimePool
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.kinds import Rnn, row_groups
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.ir.verify import MAX_CLASSES, MAX_HIDDEN_SIZE, MAX_LAYERS, verify
from edge_seq.support.errors import ContractError, ModelError, RangeProofError
from tests.zoo import convolution, extreme_model, quantized_model, random_float_model, some_distance, spec

Model = Any
FLOAT: FloatModel = random_float_model(spec("gru", 5, 3, pooling="mean"))
INT: IntModel = quantized_model(spec("gru", 5, 3, pooling="mean"))


def with_rows(model: Model, layer: int, gate: str, **change: object) -> Model:
    cell = model.layers[layer]
    changed = replace(cell, **{gate: replace(row_groups(cell)[gate], **change)})
    layers = list(model.layers)
    layers[layer] = changed
    return replace(model, layers=tuple(layers))


FRONT = random_float_model(spec("gru", 5, front=(convolution(6, "relu", 2),)))
DENSE = random_float_model(spec("gru", 5, pooling="mean_max", dense=((6, "relu"), (5, "tanh"))))


def with_front(*front: Any) -> FloatModel:
    return replace(FRONT, front=front)


def with_readout(model: Model, **change: object) -> Model:
    return replace(model, readout=replace(model.readout, **change))


def with_format(model: Model, **change: object) -> Model:
    return replace(model, number_format=replace(model.number_format, **change))


def with_normalisation(**change: object) -> Model:
    return with_format(FLOAT, normalisation=replace(FLOAT.number_format.normalisation, **change))


def patched(array: np.ndarray, value: float) -> np.ndarray:
    result = array.copy()
    result.flat[-1] = value
    return result


FLAT = random_float_model(spec("gru", 5, pooling="flatten"))
FAST: FloatModel = random_float_model(spec("fastgrnn", 5))
FAST_INT: IntModel = quantized_model(spec("fastgrnn", 5))


def with_constant(model: Model, name: str, array: object) -> Model:
    return replace(model, layers=(replace(model.layers[0], **{name: array}),))


BIG_RNN = np.zeros((MAX_HIDDEN_SIZE + 1, 1), dtype=np.float32)
REFUSED: dict[str, tuple[Callable[[], Model], str]] = {
    "name with capitals": (lambda: replace(FLOAT, name="Car"), "model name 'Car' must be a C identifier"),
    "name that is empty": (lambda: replace(FLOAT, name=""), "model name '' must be"),
    "name that is long": (lambda: replace(FLOAT, name="a" * 49), "at most 48 long"),
    "name with a line end": (lambda: replace(FLOAT, name="car\n"), "must be a C identifier"),
    "name that is no text": (lambda: replace(FLOAT, name=3), "model name 3 must be"),
    "one label": (lambda: replace(FLOAT, labels=("a",)), "labels \\['a'\\] must be 2 to 256 different names"),
    "labels that repeat": (lambda: replace(FLOAT, labels=("a", "b", "c", "a")), "different names"),
    "a label that is empty": (lambda: replace(FLOAT, labels=("a", "b", "c", "")), "different names"),
    "a label of two lines": (
        lambda: replace(FLOAT, labels=("a", "b", "c", "d\nd")),
        r"label 'd\\nd': holds U\+000A; expected printable characters, at most 255\. Rename the class in the data",
    ),
    "a label that is too long": (
        lambda: replace(FLOAT, labels=("a", "b", "c", 256 * "d")),
        "label 'd{40}\\.\\.\\.': has 256 characters; expected",
    ),
    "a label that is no text": (lambda: replace(FLOAT, labels=("a", "b", "c", [1])), "different names"),
    "too many labels": (lambda: replace(FLOAT, labels=tuple(map(str, range(MAX_CLASSES + 1)))), "must be 2 to 256"),
    "flatten with a label after each sample": (
        lambda: with_readout(FLAT, label_every="sample"),
        "readout.label_every is 'sample' with the pooling flatten; expected 'window': before its end",
    ),
    "flatten with weights of another window": (
        lambda: replace(FLAT, contract=replace(FLAT.contract, window_length=8)),
        r"head.weight_input is float32 \[4, 35\]; expected float32 \[4, 40\]",
    ),
    "flatten with a distance of its states": (
        lambda: with_readout(
            quantized_model(spec("gru", 5, pooling="flatten")),
            decision=DecisionStage(1, 0, 1, 0, some_distance(4, 35, radius=500)),
        ),
        "unknown_distance is given in a model whose head sees the states of all steps, which are not kept",
    ),
    "pooling": (
        lambda: with_readout(FLOAT, pooling="median"),
        "readout.pooling is 'median'; expected one of \\['last', 'mean', 'max', 'mean_max'",
    ),
    "label_every": (lambda: with_readout(FLOAT, label_every="hour"), "readout.label_every is 'hour'; expected one of"),
    "at_window_end": (
        lambda: with_readout(FLOAT, at_window_end=None),
        "readout.at_window_end is None; expected one of",
    ),
    "no layers": (lambda: replace(FLOAT, layers=()), "0 layers; expected 1 to 8"),
    "too many layers": (
        lambda: replace(FLOAT, layers=FLOAT.layers[:1] * (MAX_LAYERS + 1)),
        "9 layers; expected 1 to 8",
    ),
    "number format": (
        lambda: replace(FLOAT, number_format=None),
        "number_format is a NoneType; expected FloatFormat or",
    ),
    "a layer that is no cell": (
        lambda: replace(FLOAT, layers=(FLOAT.head,)),
        "layer 0 is a FloatRows; expected one of",
    ),
    "integer rows in a float model": (
        lambda: replace(FLOAT, layers=INT.layers),
        "layer0.reset_gate is a IntRows; expected FloatRows",
    ),
    "float rows in an integer model": (lambda: replace(INT, head=FLOAT.head), "head is a FloatRows; expected IntRows"),
    "a bias that is no array": (
        lambda: with_rows(FLOAT, 0, "reset_gate", bias=None),
        "layer0.reset_gate.bias is None; expected a numpy array",
    ),
    "hidden size 0": (
        lambda: replace(FLOAT, layers=(Rnn(replace(FLOAT.head, bias=np.zeros(0, dtype=np.float32))),)),
        "layer 0: hidden_size 0; expected 1 to 1024",
    ),
    "hidden size too large": (
        lambda: replace(FLOAT, layers=(Rnn(replace(FLOAT.head, bias=BIG_RNN[:, 0])),)),
        "layer 0: hidden_size 1025; expected 1 to 1024",
    ),
    "float dtype": (
        lambda: with_rows(FLOAT, 0, "update_gate", weight_input=np.zeros((5, 3))),
        "layer0.update_gate.weight_input is float64 \\[5, 3\\]; expected float32 \\[5, 3\\]",
    ),
    "float weights that are a list": (
        lambda: with_rows(FLOAT, 0, "update_gate", weight_input=[[0.0]]),
        "layer0.update_gate.weight_input is list \\[\\]; expected float32",
    ),
    "float shape": (
        lambda: with_rows(FLOAT, 1, "update_gate", weight_hidden=np.zeros((3, 5), dtype=np.float32)),
        "layer1.update_gate.weight_hidden is float32 \\[3, 5\\]; expected float32 \\[3, 3\\]",
    ),
    "float bias of another size": (
        lambda: with_rows(FLOAT, 1, "new_gate_input", bias=np.zeros(4, dtype=np.float32)),
        "layer1.new_gate_input.bias is float32 \\[4\\]; expected float32 \\[3\\]",
    ),
    "a GRU's input part that sees the state": (
        lambda: with_rows(FLOAT, 0, "new_gate_input", weight_hidden=np.zeros((5, 5), dtype=np.float32)),
        "new_gate_input.weight_hidden is float32 \\[5, 5\\]; expected float32 \\[5, 0\\]",
    ),
    "a GRU's state part that sees the input": (
        lambda: with_rows(FLOAT, 0, "new_gate_hidden", weight_input=np.zeros((5, 3), dtype=np.float32)),
        "new_gate_hidden.weight_input is float32 \\[5, 3\\]; expected float32 \\[5, 0\\]",
    ),
    "not finite": (
        lambda: with_rows(FLOAT, 0, "reset_gate", bias=patched(FLOAT.layers[0].reset_gate.bias, math.nan)),  # type: ignore[union-attr]
        "layer0.reset_gate.bias has values that are not finite; train again",
    ),
    "infinite": (
        lambda: replace(FLOAT, head=replace(FLOAT.head, weight_input=patched(FLOAT.head.weight_input, math.inf))),
        "head.weight_input has values that are not finite",
    ),
    "head of another number of classes": (
        lambda: replace(FLOAT, labels=("a", "b", "c")),
        "head.weight_input is float32 \\[4, 3\\]; expected float32 \\[3, 3\\]",
    ),
    "wide dtype": (
        lambda: with_rows(INT, 0, "reset_gate", wide=np.zeros((5, 3), dtype=np.int32)),
        "layer0.reset_gate.wide is int32 \\[5, 3\\]; expected int16 \\[5, 3\\]",
    ),
    "wide of another byte order": (
        lambda: with_rows(INT, 0, "reset_gate", wide=np.zeros((5, 3), dtype=">i2")),
        "layer0.reset_gate.wide is >i2 \\[5, 3\\]; expected int16",
    ),
    "wide weights above the first layer": (
        lambda: with_rows(INT, 1, "reset_gate", wide=np.zeros((3, 5), dtype=np.int16)),
        "layer1.reset_gate.wide is int16 \\[3, 5\\]; expected int16 \\[3, 0\\]",
    ),
    "narrow input in the first layer": (
        lambda: with_rows(INT, 0, "reset_gate", narrow_input=np.zeros((5, 4), dtype=np.int8)),
        "layer0.reset_gate.narrow_input is int8 \\[5, 4\\]; expected int8 \\[5, 0\\]",
    ),
    "narrow weights without padding": (
        lambda: with_rows(INT, 0, "reset_gate", narrow_hidden=np.zeros((5, 5), dtype=np.int8)),
        "layer0.reset_gate.narrow_hidden is int8 \\[5, 5\\]; expected int8 \\[5, 8\\]",
    ),
    "integer bias dtype": (
        lambda: with_rows(INT, 0, "reset_gate", bias=np.zeros(5, dtype=np.int64)),
        "layer0.reset_gate.bias is int64 \\[5\\]; expected int32 \\[5\\]",
    ),
    "multiplier dtype": (
        lambda: with_rows(INT, 0, "reset_gate", multiplier=np.ones(5, dtype=np.uint16)),
        "layer0.reset_gate.multiplier is uint16 \\[5\\]; expected int16 \\[5\\]",
    ),
    "multiplier of 0": (
        lambda: replace(INT, head=replace(INT.head, multiplier=patched(INT.head.multiplier, 0))),
        "head.multiplier has values below 1; quantize again",
    ),
    "a constant of another type": (
        lambda: with_constant(FAST_INT, "zeta", FAST.layers[0].zeta),  # type: ignore[union-attr]
        "layer0.zeta is float32 \\[1\\]; expected int32 \\[1\\]",
    ),
    "a constant that is no array": (
        lambda: with_constant(FAST, "nu", 0.5),
        "layer0.nu is float \\[\\]; expected float32",
    ),
    "a constant for other units": (
        lambda: with_constant(FAST, "update_offset", np.zeros(4, np.float32)),
        "layer0.update_offset is float32 \\[4\\]; expected float32 \\[5\\]",
    ),
    "a constant out of range": (
        lambda: with_constant(FAST, "zeta", np.array([1.5], np.float32)),
        "layer0.zeta has values of 1.5 to 1.5; expected 0.0 to 1.0. Train again",
    ),
    "a constant not finite": (
        lambda: with_constant(FAST, "update_offset", np.array([0, 0, 0, 0, np.inf], np.float32)),
        "layer0.update_offset has values of 0.0 to inf; expected finite numbers. Train again",
    ),
    "an integer constant out of range": (
        lambda: with_constant(FAST_INT, "nu", np.array([2**30 + 1], np.int32)),
        "layer0.nu has values of 1073741825 to 1073741825; expected 0 to 1073741824. Quantize again",
    ),
    "normalisation of another number of channels": (
        lambda: with_normalisation(mean=(0.0,)),
        "normalisation has 1 means and 3 scales; expected 3, one a feature",
    ),
    "mean not finite": (lambda: with_normalisation(mean=(0.0, 0.0, math.nan)), "normalisation has means .*nan"),
    "mean beyond 16 bits": (
        lambda: with_normalisation(mean=(0.0, 0.0, 4e4)),
        "expected finite counts of -32768 to 32768",
    ),
    "scale 0": (lambda: with_normalisation(scale=(1.0, 1.0, 0.0)), "normalisation has scales \\[1.0, 1.0, 0.0\\]"),
    "scale negative": (lambda: with_normalisation(scale=(1.0, 1.0, -1.0)), "normalisation has scales"),
    "scale not finite": (lambda: with_normalisation(scale=(1.0, 1.0, math.inf)), "normalisation has means|scales"),
    "scale not a number": (lambda: with_normalisation(scale=(math.nan, 1.0, 1.0)), "normalisation has means|scales"),
    "input_shift of another number of channels": (
        lambda: with_format(INT, input_shift=(0,)),
        "input_shift is \\[0\\]; expected 3 whole numbers from 0 to 12",
    ),
    "input_shift too large": (
        lambda: with_format(INT, input_shift=(0, 0, 13)),
        "input_shift is \\[0, 0, 13\\]; expected",
    ),
    "input_shift negative": (lambda: with_format(INT, input_shift=(0, 0, -1)), "input_shift is"),
    "input_shift a float": (lambda: with_format(INT, input_shift=(0, 0, 1.0)), "input_shift is .*whole numbers"),
    "input_shift of companded features": (
        lambda: replace(
            with_format(INT, input_shift=(0, 2, 0)),
            contract=replace(INT.contract, preprocessing=Preprocessing("difference", companding=4)),
        ),
        "input_shift is \\[0, 2, 0\\] where features are companded; expected zeros",
    ),
    "cell_frac_bits too few": (
        lambda: with_format(INT, cell_frac_bits=(15,)),
        "cell_frac_bits is \\[15\\]; expected 2",
    ),
    "cell_frac_bits 16": (lambda: with_format(INT, cell_frac_bits=(15, 16)), "expected 2 whole numbers from 8 to 15"),
    "cell_frac_bits 7": (lambda: with_format(INT, cell_frac_bits=(7, 15)), "expected 2 whole numbers from 8 to 15"),
    "pool_reciprocals of another window": (
        lambda: with_format(INT, pool_reciprocals=(1,)),
        "pool_reciprocals has 1 values that are not those of a window of 7; quantize again",
    ),
    "too many dense layers": (lambda: replace(DENSE, dense=DENSE.dense * 5), "10 dense layers; expected at most 8"),
    "a dense layer that is none": (
        lambda: replace(DENSE, dense=(DENSE.head,)),
        "dense layer 0 is a FloatRows; expected a Dense",
    ),
    "activation": (
        lambda: replace(DENSE, dense=(replace(DENSE.dense[0], activation="elu"),)),
        "dense layer 0 has activation 'elu'; expected one of \\['relu', 'tanh', 'none'\\]",
    ),
    "dense rows of another input": (
        lambda: replace(DENSE, dense=DENSE.dense[::-1]),
        "dense0.weight_input is float32 \\[5, 6\\]; expected float32 \\[5, 10\\]",
    ),
    "dense layers that the head does not see": (
        lambda: replace(DENSE, dense=()),
        "head.weight_input is float32 \\[4, 5\\]; expected float32 \\[4, 10\\]",
    ),
    "integer dense rows in a float model": (
        lambda: replace(DENSE, dense=(replace(DENSE.dense[0], rows=INT.head),)),
        "dense0 is a IntRows; expected FloatRows",
    ),
    "a front layer that is none": (lambda: with_front(FRONT.head), "front layer 0 is a FloatRows; expected a Conv or"),
    "a pool before all convolutions": (
        lambda: with_front(TimePool("max", 2, 2)),
        "front layer 0 is a TimePool; expected a Conv before it",
    ),
    "kernel of another size": (
        lambda: with_front(replace(FRONT.front[0], kernel=3)),
        "front0.weight_input is float32 \\[6, 6\\]; expected float32 \\[6, 9\\]",
    ),
    "no stride": (lambda: with_front(replace(FRONT.front[0], stride=0)), "front layer 0: stride is 0; expected 1 to"),
    "a reach that is too long": (
        lambda: with_front(replace(FRONT.front[0], dilation=4096)),
        "front layer 0 reaches 4096 inputs back; expected at most 4095",
    ),
    "padding": (
        lambda: with_front(replace(FRONT.front[0], padding="reflect")),
        "front layer 0: padding is 'reflect'; expected one of \\['causal', 'valid', 'same'\\]",
    ),
    "more zeros than are seen": (
        lambda: with_front(replace(FRONT.front[0], padding="same", zeros=(1, 2))),
        r"front layer 0: zeros is \(1, 2\) with same padding; expected two numbers from 0 to the 1 inputs",
    ),
    "zeros with another padding": (
        lambda: with_front(replace(FRONT.front[0], zeros=(1, 0))),
        r"front layer 0: zeros is \(1, 0\) with causal padding; .* \(0, 0\) with another",
    ),
    "zeros behind the window and a label after each sample": (
        lambda: replace(
            with_front(replace(FRONT.front[0], padding="same", zeros=(0, 1))),
            readout=replace(FRONT.readout, label_every="sample"),
        ),
        "label_every is 'sample' in a model with same padding; expected 'window'",
    ),
    "statistic of a pool": (
        lambda: with_front(FRONT.front[0], TimePool("min", 2, 2)),
        "front layer 1: statistic is 'min'; expected one of",
    ),
    "a pad in a float model": (
        lambda: with_front(replace(FRONT.front[0], pad=(1, 2, 3))),
        "front layer 0: pad is \\(1, 2, 3\\); expected 0 counts of 16 bits",
    ),
    "states carried behind front layers": (
        lambda: with_readout(FRONT, at_window_end="carry"),
        "readout.at_window_end is 'carry' in a model with front layers; expected 'reset'",
    ),
    "front layers without an output": (
        lambda: with_front(FRONT.front[0], TimePool("max", 8, 1)),
        "the front layers give no output in a window of 7 samples",
    ),
    "rings that are too long": (
        lambda: with_front(replace(FRONT.front[0], dilation=4095), *[TimePool("max", 4096, 1)] * 2),
        "front layers keep \\d+ values of 16 bits; expected at most 32768",
    ),
    "pool_reciprocals without pooling": (lambda: with_readout(INT, pooling="last"), "pool_reciprocals has 1 values"),
    "pool_reciprocals of labels at windows": (
        lambda: with_readout(INT, label_every="sample"),
        "pool_reciprocals has 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ModelError, match=message) as raised:
        verify(make())
    assert type(raised.value) is ModelError


def test_a_contract_that_is_not_usable_is_refused() -> None:
    with pytest.raises(ContractError, match="window_length is 0; give 1 to 16383"):
        verify(replace(FLOAT, contract=replace(FLOAT.contract, window_length=0)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("window_length", 7.0, "window_length is 7.0, a float; give a whole number"),
        ("window_stride", 1.5, "window_stride is 1.5, a float; give a whole number"),
        ("window_length", np.int64(7), "window_length is .*7.*, a int64; give a whole number"),
    ],
)
def test_a_window_of_half_a_sample_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        verify(replace(FLOAT, contract=replace(FLOAT.contract, **{field: value})))  # type: ignore[arg-type]


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    bias = INT.head.bias.copy()
    bias[2] = 2**31 - 1
    with pytest.raises(RangeProofError, match=r"head accumulator, row 2 can reach .* 32 bits hold 2,147,483,647"):
        verify(replace(INT, head=replace(INT.head, bias=bias)))


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_good_models_pass(cell: str) -> None:
    for hidden in ((1,), (5, 3), (1,) * MAX_LAYERS):
        shape = spec(cell, *hidden, channels=2, classes=2)
        verify(random_float_model(shape))
        verify(quantized_model(shape))
        verify(extreme_model(shape))
