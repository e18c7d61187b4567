"""All invariants of a model. Checked after conversion, quantisation and loading, and by each exporter."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import mean_reciprocal
from edge_seq.ir.contract import verify_contract
from edge_seq.ir.decision import (
    CENTROID_MAX,
    CENTROID_MIN,
    DISTANCE_LIMIT,
    MIN_LABELS_MAX,
    SCORE_LIMIT,
    SMOOTHING_SHIFT_MAX,
    DecisionStage,
    UnknownDistance,
)
from edge_seq.ir.front import Conv, FrontLayer, TimePool
from edge_seq.ir.kind_names import ACTIVATIONS, KIND_NAMES, PADDINGS, POOLINGS, STATISTICS
from edge_seq.ir.kinds import (
    LAYER_TYPES,
    Constant,
    Dense,
    Layer,
    RowGroup,
    constants_of,
    hidden_size,
    kind_of,
    row_groups,
)
from edge_seq.ir.model import AtWindowEnd, FloatFormat, FloatModel, IntFormat, IntModel, LabelEvery
from edge_seq.ir.range_proof import prove_ranges
from edge_seq.ir.rows import FloatRows, IntRows, padded
from edge_seq.support.errors import ModelError
from edge_seq.support.names import check_name

MAX_HIDDEN_SIZE = 1024
MAX_LAYERS = 8
MAX_DENSE_LAYERS = 8
MAX_FRONT_LAYERS = 16
MAX_REACH = 4095  # inputs that a front layer keeps besides the latest one
MAX_FRONT_WORDS = 2**15  # so that the words of all states fit 16 bits
MAX_STATE_WORDS = 2**16 - 1
MAX_CLASSES = 256
INPUT_SHIFT_MAX = 12
CELL_FRAC_BITS = range(8, 16)
# Limits for 16-bit counts. Values beyond them come from a wrong unit, and would overflow when folded into the weights.
MEAN_MAX = 2**15
SCALE_MIN, SCALE_MAX = 2.0**-16, 2.0**16
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ModelError(message)


def check_model_name(name: object) -> None:
    """Check that a name is usable as a prefix of C symbols and as a file name.

    Raises:
        ModelError: the name breaks the rule; the message states both.
    """
    _require(
        isinstance(name, str) and _NAME.fullmatch(name) is not None,
        f"model name {name!r} must be a C identifier of lower-case letters, digits and _, at most 48 long",
    )


def _require_array(array: NDArray[Any], dtype: type, shape: tuple[int, ...], what: str) -> None:
    _require(
        isinstance(array, np.ndarray) and array.dtype == np.dtype(dtype) and array.shape == shape,
        f"{what} is {getattr(array, 'dtype', type(array).__name__)} {list(getattr(array, 'shape', []))}; expected "
        f"{np.dtype(dtype).name} {list(shape)}",
    )


def _verify_float_rows(rows: FloatRows, what: str, *, inputs: int, hidden: int, outputs: int) -> None:
    for name, shape in (
        ("weight_input", (outputs, inputs)),
        ("weight_hidden", (outputs, hidden)),
        ("bias", (outputs,)),
    ):
        array = getattr(rows, name)
        _require_array(array, np.float32, shape, f"{what}.{name}")
        _require(bool(np.isfinite(array).all()), f"{what}.{name} has values that are not finite; train again")


def _verify_int_rows(
    rows: IntRows, what: str, *, inputs: int, hidden: int, outputs: int, first: bool, parts: int
) -> None:
    operands = 0 if first else parts * padded(inputs // parts)
    _require_array(rows.wide, np.int16, (outputs, inputs if first else 0), f"{what}.wide")
    _require_array(rows.narrow_input, np.int8, (outputs, operands), f"{what}.narrow_input")
    _require_array(rows.narrow_hidden, np.int8, (outputs, padded(hidden)), f"{what}.narrow_hidden")
    _require_array(rows.bias, np.int32, (outputs,), f"{what}.bias")
    _require_array(rows.multiplier, np.int16, (outputs,), f"{what}.multiplier")
    _require(bool((rows.multiplier >= 1).all()), f"{what}.multiplier has values below 1; quantize again")


def _sizes_seen(group: RowGroup, inputs: int, hidden: int) -> tuple[int, int]:
    """Number of inputs and number of hidden units that the rows of a group see."""
    return inputs * group.sees_input, hidden * group.sees_state


def _verify_constant(constant: Constant, array: NDArray[Any], what: str, *, hidden: int, is_int: bool) -> None:
    _require_array(array, np.int32 if is_int else np.float32, constant.shape(hidden), what)
    expected, remedy = f"{constant.int_lowest} to {constant.int_highest}", "Quantize again"
    low, high = float(constant.int_lowest), float(constant.int_highest)
    if not is_int:
        low, high, remedy = constant.lowest, constant.highest, "Train again"
        expected = f"{low} to {high}" if math.isfinite(high) else "finite numbers"
    _require(
        bool(np.isfinite(array).all()) and low <= array.min() and array.max() <= high,
        f"{what} has values of {array.min()} to {array.max()}; expected {expected}. {remedy}",
    )


def _verify_number_format(model: FloatModel | IntModel) -> None:
    number_format = model.number_format
    features = model.input_size
    match number_format:
        case FloatFormat():
            mean, scale = number_format.normalisation.mean, number_format.normalisation.scale
            _require(
                len(mean) == len(scale) == features,
                f"normalisation has {len(mean)} means and {len(scale)} scales; expected {features}, one a feature",
            )
            _require(
                bool(np.isfinite([*mean, *scale]).all()) and all(abs(value) <= MEAN_MAX for value in mean),
                f"normalisation has means {list(mean)}; expected finite counts of -{MEAN_MAX} to {MEAN_MAX}",
            )
            _require(
                all(SCALE_MIN <= value <= SCALE_MAX for value in scale),
                f"normalisation has scales {list(scale)}; expected finite counts of {SCALE_MIN} to {SCALE_MAX}",
            )
        case IntFormat():
            shifts = number_format.input_shift
            _require(
                len(shifts) == features and all(isinstance(s, int) and 0 <= s <= INPUT_SHIFT_MAX for s in shifts),
                f"input_shift is {list(shifts)}; expected {features} whole numbers from 0 to {INPUT_SHIFT_MAX}",
            )
            _require(
                model.contract.preprocessing.companding is None or not any(shifts),
                f"input_shift is {list(shifts)} where features are companded; expected zeros",
            )
            bits = number_format.cell_frac_bits
            _require(
                len(bits) == len(model.layers) and all(isinstance(b, int) and b in CELL_FRAC_BITS for b in bits),
                f"cell_frac_bits is {list(bits)}; expected {len(model.layers)} whole numbers from 8 to 15",
            )
            expected = pool_reciprocals(model)
            _require(
                number_format.pool_reciprocals == expected,
                f"pool_reciprocals has {len(number_format.pool_reciprocals)} values that are not those of a window of "
                f"{model.contract.window_length}; quantize again",
            )


def _verify_decision(model: FloatModel | IntModel) -> None:
    stage = model.readout.decision
    if stage is None:
        return
    _require(
        isinstance(stage, DecisionStage) and isinstance(model.number_format, IntFormat),
        f"readout.decision is {stage!r} in a model with {type(model.number_format).__name__}; expected a DecisionStage "
        "in an integer model, as its parameters are in units of integer logits: quantize first, then add the stage",
    )
    for field, low, high in (
        ("smoothing_shift", 0, SMOOTHING_SHIFT_MAX),
        ("hysteresis", 0, SCORE_LIMIT),
        ("min_labels", 1, MIN_LABELS_MAX),
        ("unknown_margin", 0, SCORE_LIMIT),
    ):
        value = getattr(stage, field)
        _require(
            _is_whole(value, low, high),
            f"readout.decision.{field} is {value!r}; expected a whole number from {low} to {high}",
        )
    if stage.unknown_distance is not None:
        _require(
            not model.readout.flattens or bool(model.dense),
            "readout.decision.unknown_distance is given in a model whose head sees the states of all steps, which are "
            "not kept; expected None, or a dense layer between readout and head, whose outputs a distance can take",
        )
        _verify_distance(stage.unknown_distance, model.num_classes, model.head_size)


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _verify_distance(distance: UnknownDistance, num_classes: int, units: int) -> None:
    what = "readout.decision.unknown_distance"
    _require(
        isinstance(distance, UnknownDistance),
        f"{what} is a {type(distance).__name__}; expected an UnknownDistance, or None",
    )
    _require(
        units <= MAX_HIDDEN_SIZE,
        f"{what} is over {units} values, as many as the head sees; expected at most {MAX_HIDDEN_SIZE}, so that a "
        "distance stays within 2^18: use a readout of one value a unit, fewer units, or no distance",
    )
    sizes = [len(row) for row in distance.centroids]
    _require(
        sizes == [units] * num_classes,
        f"{what}.centroids has rows of {sizes} units; expected {num_classes} of {units}, one a class, as many as the "
        "head sees: choose the distance again (edge-seq decide)",
    )
    _require(
        all(_is_whole(value, CENTROID_MIN, CENTROID_MAX) for row in distance.centroids for value in row),
        f"{what}.centroids has a value that is not a whole number from {CENTROID_MIN} to {CENTROID_MAX}",
    )
    _require(
        len(distance.radii) == num_classes and all(_is_whole(value, 0, DISTANCE_LIMIT) for value in distance.radii),
        f"{what}.radii is {list(distance.radii)}; expected {num_classes} whole numbers from 0 to {DISTANCE_LIMIT}",
    )


def pool_reciprocals(model: FloatModel | IntModel) -> tuple[int, ...]:
    """floor(2^(14 + floor(log2 t)) / t) for each number of steps t at which a mean is computed (SPEC.md, section 8)."""
    if "mean" not in model.readout.statistics:
        return ()
    steps = model.steps_after(model.contract.window_length)
    counts = range(1, steps + 1) if model.readout.label_every == "sample" else (steps,)
    return tuple(mean_reciprocal(count)[0] for count in counts)


def verify(model: FloatModel | IntModel) -> None:
    """Check every invariant of a float or integer model.

    Raises:
        ModelError: an invariant is broken; the message names what was found and what was expected.
        ContractError: the sensor contract is not valid.
        RangeProofError: an accumulator of an integer model could overflow.
    """
    verify_contract(model.contract)
    check_model_name(model.name)
    labels = model.labels
    _require(
        2 <= len(labels) <= MAX_CLASSES
        and all(isinstance(label, str) and label for label in labels)
        and len(set(labels)) == len(labels),
        f"labels {list(labels)} must be 2 to {MAX_CLASSES} different names",
    )
    for label in labels:
        check_name(label, ModelError, what="label", remedy="Rename the class in the data, and train again")
    for field, allowed in (
        ("pooling", POOLINGS),
        ("label_every", get_args(LabelEvery)),
        ("at_window_end", get_args(AtWindowEnd)),
    ):
        value = getattr(model.readout, field)
        _require(value in allowed, f"readout.{field} is {value!r}; expected one of {list(allowed)}")
    _require(
        not model.readout.flattens or model.readout.label_every == "window",
        "readout.label_every is 'sample' with the pooling flatten; expected 'window': before its end, a window has not "
        "all the states that the weights are for. Take another readout for a label after each sample",
    )
    _require(1 <= len(model.layers) <= MAX_LAYERS, f"{len(model.layers)} layers; expected 1 to {MAX_LAYERS}")

    _require(
        isinstance(model.number_format, FloatFormat | IntFormat),
        f"number_format is a {type(model.number_format).__name__}; expected FloatFormat or IntFormat",
    )
    rows_type = IntRows if isinstance(model.number_format, IntFormat) else FloatRows
    _verify_front(model, rows_type)
    _require_backward_indices(model)
    layers: tuple[Layer[Any], ...] = model.layers
    for index, cell in enumerate(layers):
        _require(
            isinstance(cell, LAYER_TYPES),
            f"layer {index} is a {type(cell).__name__}; expected one of the kinds {list(KIND_NAMES)}",
        )
        for name, rows in row_groups(cell).items():
            _require_rows(rows, rows_type, f"layer{index}.{name}")
        hidden = hidden_size(cell)
        _require(
            1 <= hidden <= MAX_HIDDEN_SIZE, f"layer {index}: hidden_size {hidden}; expected 1 to {MAX_HIDDEN_SIZE}"
        )
        kind = kind_of(cell)
        for group, rows in zip(kind.rows, row_groups(cell).values(), strict=True):
            what = f"layer{index}.{group.name}"
            units, parts = model.layer_inputs[index]
            sees = _sizes_seen(group, units * parts, hidden)
            first = index in model.stages[0] and not model.front
            _verify_rows(rows, what, sees, hidden, first, parts=parts)
        for constant, array in zip(kind.constants, constants_of(cell).values(), strict=True):
            what = f"layer{index}.{constant.name}"
            _verify_constant(constant, array, what, hidden=hidden, is_int=rows_type is IntRows)
    _verify_backward(model)
    _verify_dense(model, rows_type)
    _verify_number_format(model)
    _verify_decision(model)
    if isinstance(model.number_format, IntFormat):
        prove_ranges(model)


def _verify_front(model: FloatModel | IntModel, rows_type: type[FloatRows] | type[IntRows]) -> None:
    """Check the front layers."""
    front: tuple[FrontLayer[Any], ...] = model.front
    _require(len(front) <= MAX_FRONT_LAYERS, f"{len(front)} front layers; expected at most {MAX_FRONT_LAYERS}")
    for index, layer in enumerate(front):
        what = f"front layer {index}"
        _require(
            isinstance(layer, Conv | TimePool), f"{what} is a {type(layer).__name__}; expected a Conv or a TimePool"
        )
        _require(index > 0 or isinstance(layer, Conv), f"{what} is a TimePool; expected a Conv before it")
        settings = ("kernel", "stride", "dilation") if isinstance(layer, Conv) else ("size", "stride")
        for field in settings:
            value = getattr(layer, field)
            _require(_is_whole(value, 1, MAX_REACH + 1), f"{what}: {field} is {value!r}; expected 1 to {MAX_REACH + 1}")
        _require(layer.reach <= MAX_REACH, f"{what} reaches {layer.reach} inputs back; expected at most {MAX_REACH}")
        if not isinstance(layer, Conv):
            _require(
                layer.statistic in STATISTICS,
                f"{what}: statistic is {layer.statistic!r}; expected one of {list(STATISTICS)}",
            )
            continue
        for field, allowed in (("activation", ACTIVATIONS), ("padding", PADDINGS)):
            value = getattr(layer, field)
            _require(value in allowed, f"{what}: {field} is {value!r}; expected one of {list(allowed)}")
        _require_rows(layer.rows, rows_type, f"front{index}")
        size = len(layer.rows.bias)
        _require(1 <= size <= MAX_HIDDEN_SIZE, f"{what}: {size} units; expected 1 to {MAX_HIDDEN_SIZE}")
        zeros = layer.zeros
        _require(
            isinstance(zeros, tuple)
            and len(zeros) == 2
            and all(_is_whole(value, 0, layer.reach if layer.padding == "same" else 0) for value in zeros),
            f"{what}: zeros is {zeros!r} with {layer.padding} padding; expected two numbers from 0 to the "
            f"{layer.reach} inputs that it reaches back with same padding, (0, 0) with another",
        )
        padded_features = rows_type is IntRows and index == 0 and layer.sees_outside
        pads = model.input_size if padded_features else 0
        _require(
            isinstance(layer.pad, tuple)
            and len(layer.pad) == pads
            and all(_is_whole(value, -(2**15), 2**15 - 1) for value in layer.pad),
            f"{what}: pad is {layer.pad!r}; expected {pads} counts of 16 bits",
        )
    for index, (layer, units) in enumerate(zip(front, model.front_inputs, strict=True)):
        if isinstance(layer, Conv):
            sees = (units * layer.kernel, 0)
            _verify_rows(layer.rows, f"front{index}", sees, len(layer.rows.bias), index == 0, parts=layer.kernel)
    if front:
        words = sum(
            (layer.reach + 1) * padded(units) + padded(size)
            for layer, units, size in zip(front, model.front_inputs, model.front_sizes, strict=True)
        )
        _require(
            words <= MAX_FRONT_WORDS, f"front layers keep {words} values of 16 bits; expected at most {MAX_FRONT_WORDS}"
        )
        _require(
            model.readout.at_window_end == "reset",
            "readout.at_window_end is 'carry' in a model with front layers; expected 'reset': their steps are counted "
            "from the start of each window",
        )
        _require(
            model.readout.label_every == "window" or not any(layer.after for layer in front),
            "readout.label_every is 'sample' in a model with same padding; expected 'window': outputs that see zeros "
            "behind the window come at its last sample",
        )
        length = model.contract.window_length
        _require(
            model.steps_after(length) >= 1,
            f"the front layers give no output in a window of {length} samples; make the window longer, or kernels, "
            "pools and strides smaller",
        )


def _require_backward_indices(model: FloatModel | IntModel) -> None:
    """Check which layers run backward, before anything asks for their sizes."""
    found, last = model.backward, len(model.layers) - 1
    ordered = isinstance(found, tuple) and all(_is_whole(index, 1, last) for index in found)
    _require(
        ordered and all(after - before >= 2 for before, after in pairwise(found)),
        f"backward is {found!r} in a model with {len(model.layers)} layers; expected rising indices from 1 to {last}, "
        "each behind a layer that runs forward",
    )


def _verify_backward(model: FloatModel | IntModel) -> None:
    """Check the bidirectional layers."""
    if not model.backward:
        return
    for index in model.backward:
        forward, backward = model.hidden_sizes[index - 1], model.hidden_sizes[index]
        _require(
            forward == backward,
            f"layers {index - 1} and {index} are the directions of a bidirectional layer, with {forward} and "
            f"{backward} units; expected the same number",
        )
    _require(
        model.readout.label_every == "window",
        "readout.label_every is 'sample' in a model with a bidirectional layer; expected 'window': its backward "
        "direction begins at a window's last sample",
    )
    _require(
        not model.readout.flattens,
        "readout.pooling is 'flatten' in a model with a bidirectional layer; expected another readout: what sees the "
        "states of all steps is summed while they come, and a backward direction comes at the window's end. Take the "
        "mean, the largest value or both",
    )
    _require(
        model.readout.at_window_end == "reset",
        "readout.at_window_end is 'carry' in a model with a bidirectional layer; expected 'reset': its backward "
        "direction begins anew in each window",
    )
    each = [
        parts * padded(units) if index or model.front else units + units % 2
        for index, (units, parts) in model.kept_inputs.items()
    ]
    kept = sum(each) * model.kept_steps
    around = sum(
        (layer.reach + 1) * padded(units) + padded(size)
        for layer, units, size in zip(model.front, model.front_inputs, model.front_sizes, strict=True)
    )
    words = kept + around + sum(2 * padded(size) for size in model.hidden_sizes)
    _require(
        words <= MAX_STATE_WORDS,
        f"the bidirectional layers keep {kept} values of 16 bits of a window of {model.kept_steps} steps, all layers "
        f"{words}; expected at most {MAX_STATE_WORDS}: shorten the window, let a front layer take every second step "
        "(stride = 2), or take fewer units",
    )


def _verify_dense(model: FloatModel | IntModel, rows_type: type[FloatRows] | type[IntRows]) -> None:
    """Check the dense layers and the head."""
    dense: tuple[Dense[Any], ...] = model.dense
    _require(len(dense) <= MAX_DENSE_LAYERS, f"{len(dense)} dense layers; expected at most {MAX_DENSE_LAYERS}")
    for index, layer in enumerate(dense):
        _require(isinstance(layer, Dense), f"dense layer {index} is a {type(layer).__name__}; expected a Dense")
        _require(
            layer.activation in ACTIVATIONS,
            f"dense layer {index} has activation {layer.activation!r}; expected one of {list(ACTIVATIONS)}",
        )
        _require_rows(layer.rows, rows_type, f"dense{index}")
        size = len(layer.rows.bias)
        _require(1 <= size <= MAX_HIDDEN_SIZE, f"dense layer {index}: {size} units; expected 1 to {MAX_HIDDEN_SIZE}")
    _require_rows(model.head, rows_type, "head")
    rows = {f"dense{index}": layer.rows for index, layer in enumerate(dense)} | {"head": model.head}
    outputs = (*model.dense_sizes, model.num_classes)
    for (what, one), (units, parts), size in zip(rows.items(), model.dense_inputs, outputs, strict=True):
        _verify_rows(one, what, (units * parts, 0), size, False, parts=parts)


def _require_rows(rows: object, rows_type: type[FloatRows] | type[IntRows], what: str) -> None:
    """Check that rows have the number format's type and a one-dimensional bias."""
    _require(
        isinstance(rows, rows_type),
        f"{what} is a {type(rows).__name__}; expected {rows_type.__name__}, as the model's number_format says",
    )
    bias = getattr(rows, "bias", None)
    _require(
        isinstance(bias, np.ndarray) and bias.ndim == 1, f"{what}.bias is {bias!r}; expected a numpy array, one a row"
    )


def _verify_rows(
    rows: FloatRows | IntRows, what: str, sees: tuple[int, int], outputs: int, first: bool, *, parts: int = 1
) -> None:
    inputs, hidden = sees
    match rows:
        case FloatRows():
            _verify_float_rows(rows, what, inputs=inputs, hidden=hidden, outputs=outputs)
        case IntRows():
            _verify_int_rows(rows, what, inputs=inputs, hidden=hidden, outputs=outputs, first=first, parts=parts)
