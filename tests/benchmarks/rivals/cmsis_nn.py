"""An LSTM in int8 by Arm's CMSIS-NN, the kernels that TFLite Micro calls on a Cortex-M.

A float LSTM is quantized after its training as TFLite does it (input, state and weights int8, a scale for each matrix,
cell state int16), with the C around it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.kinds import Lstm
from edge_seq.ir.model import FloatModel
from edge_seq.ir.rows import FloatRows
from edge_seq.support.errors import ToolError
from edge_seq.training.features import preprocessed_counts
from firmware_export.toolchain.build import compile_c, find_compiler
from tests.benchmarks.rivals.features import preprocessing

_SOURCES = (
    "LSTMFunctions/arm_lstm_unidirectional_s8",
    "NNSupportFunctions/arm_nn_lstm_step_s8",
    "NNSupportFunctions/arm_nn_lstm_calculate_gate_s8_s16",
    "NNSupportFunctions/arm_nn_vec_mat_mul_result_acc_s8_s16",
    "NNSupportFunctions/arm_nntables",
    "ActivationFunctions/arm_nn_activation_s16",
    "BasicMathFunctions/arm_elementwise_mul_s16",
    "BasicMathFunctions/arm_elementwise_mul_acc_s16",
    "BasicMathFunctions/arm_elementwise_mul_s16_s8",
)
_STATE_SCALE = 2.0**-7
_GATE_SCALE = 2.0**-12  # of sums, before the activation
_CALIBRATED = 512  # windows
# Firmware is compiled with -ffreestanding here, which makes a call of each copy of four bytes.
_COPIES = "#include <string.h>\n#define memcpy __builtin_memcpy\n"

_STEP = """
static int8_t x[SAMPLES][CHANNELS], states[SAMPLES][UNITS];
static int16_t first[UNITS], second[UNITS], cell[UNITS];

int32_t rival_step(const int16_t *counts)
{
    int16_t feature[CHANNELS];
    int32_t sum[UNITS], best = 0, highest = INT32_MIN;
    unsigned c, k, t;
    preprocess(counts, feature);
    for (c = 0; c < CHANNELS; c++) {
        const float value = ((float)feature[c] - mean[c]) * factor[c];
        const float whole = value + (value < 0.0f ? -0.5f : 0.5f);
        x[count][c] = (int8_t)(whole > 127.0f ? 127.0f : whole < -128.0f ? -128.0f : whole);
    }
    if (++count < SAMPLES) return -1;
    count = 0;
    {
        cmsis_nn_lstm_context buffers = {first, second, cell, NULL};
        arm_lstm_unidirectional_s8(&x[0][0], &states[0][0], &lstm, &buffers);
    }
    for (c = 0; c < UNITS; c++) {
        sum[c] = 0;
        for (t = FIRST_READ; t < SAMPLES; t++) sum[c] += states[t][c];
    }
    for (k = 0; k < CLASSES; k++) {
        int32_t logit = head_bias[k];
        for (c = 0; c < UNITS; c++) logit += head[k][c] * sum[c];
        if (logit > highest) {
            highest = logit;
            best = (int32_t)k;
        }
    }
    return best;
}
"""


def lstm_program(folder: Path, model: FloatModel, counts: NDArray[np.int16]) -> str:
    """C of ``rival_step``: preprocessing, normalisation, the LSTM by CMSIS-NN, the readout and the head.

    Args:
        folder: the sources of CMSIS-NN, a folder of headers for the build too, with its ``Include``.
        model: one LSTM, the mean or the last of its states, and the head.
        counts: raw counts of training windows, int16 [B, T, C], which choose the ranges of input and cell state.

    Raises:
        ToolError: the network is another one, or the folder lacks the sources.
    """
    (layer,) = model.layers
    if not isinstance(layer, Lstm) or model.readout.pooling not in ("mean", "last") or model.front or model.dense:
        raise ToolError(f"{model.name}: only one LSTM with the mean or the last of its states is written for CMSIS-NN")
    missing = [name for name in _SOURCES if not (folder / "Source" / f"{name}.c").is_file()]
    if missing:
        raise ToolError(f"CMSIS-NN: {folder.name} has no Source/{missing[0]}.c; give the folder of its repository")
    contract, normalisation = model.contract, model.number_format.normalisation
    features = preprocessed_counts(counts[:: max(1, len(counts) // _CALIBRATED)], contract)
    inputs = (features - np.asarray(normalisation.mean)) / np.asarray(normalisation.scale)
    input_scale = float(np.abs(inputs).max()) / 127
    cell_bits = math.ceil(math.log2(_largest_cell(layer, inputs)))  # above the binary point
    power = 15 - cell_bits
    reads = contract.window_length if model.readout.pooling == "mean" else 1
    head, head_scale = _int8(model.head.weight_input)
    head_bias = np.round(model.head.bias / (head_scale * _STATE_SCALE / reads)).astype(np.int64)
    arrays = [
        _array("float", "mean", normalisation.mean, "f"),
        _array("float", "factor", (1 / (one * input_scale) for one in normalisation.scale), "f"),
        _array("int8_t", "head", head),
        _array("int32_t", "head_bias", head_bias),
        _array("int32_t", "no_bias", np.zeros(layer.input_gate.bias.size, np.int64)),
    ]
    gates = []
    for name in ("forget", "input", "cell", "output"):
        more, gate = _gate(name, getattr(layer, f"{name}_gate"), input_scale)
        arrays += more
        gates.append(gate)
    numbers = (1, 1, "SAMPLES", "CHANNELS", "UNITS", 0, *_scaling(2.0**-15), *_scaling(2.0 ** (power - 30)), 32767)
    output = (-power, *_scaling(2.0**-30 / _STATE_SCALE), 0)
    return "".join(
        [
            _COPIES,
            *(f'#include "Source/{name}.c"\n' for name in _SOURCES),
            preprocessing(contract),
            f"\n#define UNITS {layer.input_gate.bias.size}\n#define CLASSES {len(model.labels)}\n"
            f"#define FIRST_READ (SAMPLES - {reads}u)\n",
            *arrays,
            f"static const cmsis_nn_lstm_params lstm = {{{_listed((*numbers, *output, *gates))}}};\n",
            _STEP,
        ]
    )


def host_labels(program: str, folder: Path, counts: NDArray[np.int16], include: Sequence[Path]) -> NDArray[np.int64]:
    """Labels int64 [B] of windows, int16 [B, T, C], by a program that is compiled for this host.

    CMSIS-NN's plain C gives the integers of its code for Cortex-M. The floats before it are kept apart, as on the chip:
    no multiplication and addition in one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "host.c"
    source.write_text(program, encoding="utf-8")
    flags = ["-O2", "-shared", "-fPIC", "-ffp-contract=off"]
    step = ctypes.CDLL(
        str(compile_c(find_compiler(), [source], folder / "host.so", flags=flags, include_folders=include))
    ).rival_step
    labels = []
    for window in np.ascontiguousarray(counts, np.int16):
        answers = [step(ctypes.c_void_p(sample.ctypes.data)) for sample in window]
        labels.append(answers[-1])
    return np.array(labels)


def _largest_cell(layer: Lstm[FloatRows], inputs: NDArray[np.float64]) -> float:
    """The largest magnitude of a cell state over windows, float [B, T, C]."""

    def gate(rows: FloatRows, x: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
        return x @ rows.weight_input.T + h @ rows.weight_hidden.T + rows.bias

    hidden = cell = np.zeros((len(inputs), layer.input_gate.bias.size))
    largest = 0.0
    for step in range(inputs.shape[1]):
        x = inputs[:, step]
        i, f, o = (
            1 / (1 + np.exp(-gate(rows, x, hidden)))
            for rows in (layer.input_gate, layer.forget_gate, layer.output_gate)
        )
        cell = f * cell + i * np.tanh(gate(layer.cell_gate, x, hidden))
        hidden = o * np.tanh(cell)
        largest = max(largest, float(np.abs(cell).max()))
    return largest


def _int8(weights: NDArray[np.float32]) -> tuple[NDArray[np.int64], float]:
    scale = float(np.abs(weights).max()) / 127
    return np.round(weights / scale).astype(np.int64), scale


def _scaling(factor: float) -> tuple[int, int]:
    """Multiplier, below 1 in Q31, and left shift."""
    fraction, exponent = math.frexp(factor)
    multiplier = round(fraction * 2**31)
    return (2**30, exponent + 1) if multiplier == 2**31 else (multiplier, exponent)


def _gate(name: str, rows: FloatRows, input_scale: float) -> tuple[list[str], str]:
    """Arrays of a gate, and its fields."""
    weight_input, scale_input = _int8(rows.weight_input)
    weight_hidden, scale_hidden = _int8(rows.weight_hidden)
    bias = np.round(rows.bias / (input_scale * scale_input)).astype(np.int64)
    arrays = [
        _array("int8_t", f"{name}_input", weight_input),
        _array("int8_t", f"{name}_hidden", weight_hidden),
        _array("int32_t", f"{name}_bias", bias),
    ]
    fields = (
        *_scaling(input_scale * scale_input / _GATE_SCALE),
        *(f"{name}_input", f"{name}_bias"),
        *_scaling(_STATE_SCALE * scale_hidden / _GATE_SCALE),
        *(f"{name}_hidden", "no_bias", "no_bias", "ARM_TANH" if name == "cell" else "ARM_SIGMOID"),
    )
    return arrays, f"{{{_listed(fields)}}}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


def _array(kind: str, name: str, values: Iterable[float] | NDArray[np.int64], suffix: str = "") -> str:
    whole = np.asarray(list(values))
    text = _listed(f"{one!r}{suffix}" for one in whole.ravel().tolist())
    if whole.ndim == 2 and name == "head":
        return f"static const {kind} {name}[][{whole.shape[1]}] = {{{text}}};\n"
    return f"static const {kind} {name}[] = {{{text}}};\n"
