"""Calibration of front layers and dense layers, step by step from the values of the float model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_seq.backends.reference_float import float_features, run_float, sequences_of
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kinds import Dense
from edge_seq.quant import calibrate as module
from edge_seq.quant.calibrate import calibrate, count_saturation
from tests.zoo import quantized_model, random_counts, random_float_model, spec

LENGTH, WINDOWS = 8, 5
FRONT = (
    Conv(4, "relu", 3, 2, 1, "causal"),
    TimePool("max", 2, 1),
    Conv(3, "none", 2, 1, 2, "same", zeros=(1, 1)),
)
SHAPE = spec("lstm", 5, window_length=LENGTH, pooling="mean_max", dense=((8, "relu"), (4, "tanh")), front=FRONT)
COUNTS = random_counts(WINDOWS, LENGTH, 3, sigma=300.0, seed=2)
Real = NDArray[np.float64]


def outer(seen: list[list[float]]) -> Real:
    """Mean of v v^T with a 1 behind each v."""
    vectors = np.array([[*one, 1.0] for one in seen], dtype=np.float64)
    return np.asarray(vectors.T @ vectors / len(vectors))


def conv_inputs(
    below: NDArray[np.float32], kernel: int, stride: int, dilation: int, zeros: tuple[int, int] | None
) -> list[list[float]]:
    """What each output of a convolution sees, the oldest first; ``zeros`` before and behind, None for causal."""
    found = []
    for window in below:
        before, behind = ((kernel - 1) * dilation, 0) if zeros is None else zeros
        padded = np.concatenate([np.zeros((before, window.shape[1])), window, np.zeros((behind, window.shape[1]))])
        for latest in range((kernel - 1) * dilation, len(padded), stride):
            found.append(np.concatenate([padded[latest - (kernel - 1 - k) * dilation] for k in range(kernel)]).tolist())
    return found


def test_moments_and_limits_of_every_layer() -> None:
    model = random_float_model(SHAPE, seed=1)
    seen = calibrate(model, COUNTS)
    features = float_features(model, COUNTS)
    values = sequences_of(model, features)
    states, pools = values["layer0.hidden_state"], [values["pooled"], values["pooled_max"]]
    read_out = np.concatenate(pools, axis=2)
    first, second = model.dense
    hidden = np.maximum(read_out @ first.rows.weight_input.T + first.rows.bias, 0)
    outputs = np.tanh(hidden @ second.rows.weight_input.T + second.rows.bias)
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    below = values["front2"]

    def rows(array: NDArray[np.float32]) -> list[list[float]]:
        return array.reshape(-1, array.shape[2]).tolist()  # type: ignore[no-any-return]

    expected = [
        outer(conv_inputs(features, 3, 2, 1, None)),
        outer(conv_inputs(values["front1"], 2, 1, 2, (1, 1))),
        outer(rows(np.concatenate([below, before], axis=2))),
        outer(rows(read_out)),
        outer(rows(hidden)),
        outer(rows(outputs)),
    ]
    assert [one.shape for one in seen.moments] == [one.shape for one in expected]
    for found, wanted in zip(seen.moments, expected, strict=True):
        assert np.allclose(found, wanted, rtol=1e-4, atol=1e-6)

    def limits(array: NDArray[np.float32]) -> tuple[float, ...]:
        magnitudes = np.abs(array.reshape(-1, array.shape[2]).astype(np.float64))
        each = [float(np.quantile(column, 0.9999)) for column in magnitudes.T]
        return tuple(max(one, max(each) / 64) for one in each)

    of_front, of_dense = [limits(values["front0"]), limits(below)], [limits(hidden), limits(outputs)]
    parts = calibrate(model, COUNTS, batch_size=2)
    for one in (seen, parts):
        assert list(map(len, one.front_limit)) == [4, 3]
        assert list(map(len, one.dense_limit)) == [8, 4]
        assert np.concatenate(one.front_limit) == pytest.approx(np.concatenate(of_front), rel=1e-5)
        assert np.concatenate(one.dense_limit) == pytest.approx(np.concatenate(of_dense), rel=1e-5)
    assert (seen.num_windows, seen.num_steps) == (WINDOWS, WINDOWS * LENGTH)


def test_a_part_of_a_window_has_no_zeros_behind_it() -> None:
    model = random_float_model(
        spec("rnn", 4, window_length=LENGTH, front=(Conv(3, "tanh", 3, 1, 1, "same", zeros=(1, 1)),))
    )
    for length, zeros in ((LENGTH, (1, 1)), (5, (1, 0))):
        counts = COUNTS[:, :length]
        (found, *_) = calibrate(model, counts).moments
        expected = outer(conv_inputs(float_features(model, counts), 3, 1, 1, zeros))
        assert np.allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_with_flatten_what_is_behind_the_readout_is_measured_at_the_ends_of_windows() -> None:
    """The moments of the rows that see all steps are those of one state; those of the layers behind them, of the
    values at the last step. So it is over windows that follow each other."""
    for at_end in ("reset", "carry"):
        shape = spec(
            "gru", 5, window_length=4, pooling="flatten", at_window_end=at_end, dense=((4, "none"), (3, "none"))
        )
        model = random_float_model(shape)
        seen = calibrate(model, COUNTS)
        windows = COUNTS.reshape(-1, 4, 3) if at_end == "reset" else COUNTS
        values = run_float(model, windows).values
        states, first, second = (
            values[name].astype(np.float64) for name in ("layer0.hidden_state", "dense0", "dense1")
        )
        assert np.allclose(seen.moments[1], outer(states.reshape(-1, 5).tolist()), rtol=1e-4, atol=1e-6)
        for place, (outputs, limit) in enumerate(zip((first, second), seen.dense_limit, strict=True)):
            ends = outputs[:, 3::4].reshape(-1, outputs.shape[2])
            assert len(ends) == 2 * WINDOWS
            assert np.allclose(seen.moments[2 + place], outer(ends.tolist()), rtol=1e-4, atol=1e-6)
            wanted = np.quantile(np.abs(ends), 0.9999, axis=0)
            assert limit == pytest.approx(np.maximum(wanted, wanted.max() / 64), rel=1e-5)
    (limit, _) = calibrate(model, COUNTS[:, :3]).dense_limit  # a part of a window: at its end
    ends = np.abs(run_float(model, COUNTS[:, :3]).values["dense0"][:, -1])
    assert limit == pytest.approx(np.quantile(ends.astype(np.float64), 0.9999, axis=0), rel=1e-5)


def test_units_that_calibration_hardly_used_have_a_share_of_the_largest() -> None:
    model = random_float_model(spec("gru", 5, dense=((4, "none"),)))
    (dense,) = model.dense
    quiet = np.array([1, 1e-6, 1, 1], dtype=np.float32)
    rows = replace(dense.rows, weight_input=dense.rows.weight_input * quiet[:, None], bias=dense.rows.bias * quiet)
    model = replace(model, dense=(Dense(rows, "none"),))
    (found,) = calibrate(model, COUNTS).dense_limit
    assert found[1] == max(found) / 64


@pytest.mark.parametrize(
    ("limit", "drop"),
    [(0.0, -8), (2.0**-9, -8), (1.5 / 128, -6), (0.79, 0), (0.8, 0), (0.81, 1), (1.6, 1), (1.61, 2), (1e9, 15)],
)
def test_outputs_are_divided_until_a_quarter_more_fits(limit: float, drop: int) -> None:
    """The division 2^d with the smallest d for which 1.25 limit / 2^d is at most 1, from -8 to 15."""
    model = random_float_model(spec("gru", 5, dense=((4, "none"),)))
    seen = replace(calibrate(model, COUNTS), dense_limit=((limit, 1.0),), front_limit=((1.0, limit),))
    assert [one.tolist() for one in seen.dense_drops] == [[drop, 1]]
    assert [one.tolist() for one in seen.front_drops] == [[1, drop]]
    assert seen.dense_drops[0].dtype == np.int64


def test_the_published_figures_were_measured_with_these_constants() -> None:
    assert (module.CELL_QUANTILE, module.DENSE_QUANTILE, module.DENSE_HEADROOM) == (0.999, 0.9999, 1.25)
    assert (module.CELL_FRAC_BITS_MIN, module.CELL_FRAC_BITS_MAX, module.CELL_SATURATES) == (8, 15, 8.0)
    assert (module.DENSE_LEAST, module.DENSE_DROP_MIN, module.DENSE_DROP_MAX) == (1 / 64, -8, 15)


def test_saturated_outputs_of_convolutions_and_dense_layers_are_counted() -> None:
    """Fine units alone: a convolution's at every sample, a dense layer's where a label is due; tanh is no end."""
    shape = spec(
        "rnn", 4, window_length=4, dense=((4, "none"), (4, "tanh")),
        front=(Conv(4, "none", 1), TimePool("mean", 2, 2), Conv(4, "tanh", 1)),
    )  # fmt: skip
    model = quantized_model(shape)

    def pinned(layer: Any, biases: list[int]) -> Any:
        nothing = {name: np.zeros_like(getattr(layer.rows, name)) for name in ("wide", "narrow_input", "narrow_hidden")}
        multiplier = np.full(4, 1000, dtype=np.int16)
        rows = replace(layer.rows, **nothing, bias=np.array(biases, dtype=np.int32), multiplier=multiplier)
        return replace(layer, rows=rows)

    # As a result is floor(bias * 1000 / 2^16), which saturates at 2^15: fine units 0 and 1, coarse units 2 and 3.
    large = 2**24
    front = (pinned(model.front[0], [large, 7, -large, 7]), *model.front[1:])
    dense = (pinned(model.dense[0], [-large, large, large, 7]), model.dense[1])
    model = replace(model, front=front, dense=dense)
    found = {one.name: (one.saturated, one.values) for one in count_saturation(model, random_counts(3, 8, 3))}
    assert {name for name in found if not name.startswith("layer0")} == {"features", "front0", "dense0"}
    assert found["front0"] == (3 * 8, 3 * 8 * 2)
    assert found["dense0"] == (3 * 2 * 2, 3 * 2 * 2)
