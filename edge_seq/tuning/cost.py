"""Cost of a network on a target, from its shape alone: no compiler, no emulator, no weights.

Weights and RAM follow from the layout of the runtime. Code and instructions are sums of what each part of a network
adds; ``costs.json`` holds what a part adds on each target. ``python -m tests.benchmarks.search_cost TARGET`` measures a
set of networks there, and fits these numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edge_seq.ir.contract import SensorContract
from edge_seq.ir.kind_names import CELL_NAMES, WeightBits
from edge_seq.ir.kinds import kind_named
from edge_seq.ir.model import Readout
from edge_seq.ir.rows import BLOCK_ROWS, BYTES_OF_A_ROW, QUAD, padded
from edge_seq.support.errors import ConfigError
from edge_seq.support.results import Result
from edge_seq.training.config import FrontConfig, TrainingConfig
from edge_seq.tuning.lanes import recurrent_lanes, rows_lanes

TABLE = Path(__file__).with_name("costs.json")


Bits = tuple[WeightBits, ...]


@dataclass(frozen=True)
class NetworkCost(Result):
    """Cost of a network on a target.

    Attributes:
        flash_bytes: code, tables and weights.
        weight_bytes: weights, biases and multipliers, with padding.
        ram_bytes: context of the model.
        instructions: instructions of one window, or cycles where the target counts cycles.
    """

    flash_bytes: int
    weight_bytes: int
    ram_bytes: int
    instructions: int


@dataclass(frozen=True)
class TargetCosts(Result):
    """What the parts of a network add to its cost on a target.

    Attributes:
        unit: what is counted, ``instructions`` or ``cycles``.
        flash: bytes of code and tables that a part adds.
        ram_base: bytes of RAM besides the words of a context.
        instructions: instructions of a window for each unit of work; :func:`work_of` names them.
        lanes: True if its kernels compute in vector lanes; see :mod:`edge_seq.tuning.lanes`.
    """

    unit: str
    flash: dict[str, float]
    ram_base: int
    instructions: dict[str, float]
    lanes: bool = False


@cache
def known_targets() -> Mapping[str, TargetCosts]:
    """Costs of parts by the name of the target."""
    from edge_seq.support.results import from_plain

    return {name: from_plain(TargetCosts, table) for name, table in json.loads(TABLE.read_text("utf-8")).items()}


def costs_on(target: str) -> TargetCosts:
    """Costs of parts on a target.

    Raises:
        ConfigError: the target is not in the table.
    """
    known = known_targets()
    if target not in known:
        raise ConfigError(
            f"search: the cost of a network on {target!r} is not known from its shape; give one of {list(known)}, and "
            "measure the trained model there with: edge-seq measure"
        )
    return known[target]


BOTH_BITS = "both_bits"  # the part of a network whose layers have weights of 4 and of 8 bits
# What people call parts that a target's entry may lack: a network with one is refused, not counted without it.
_WORDS = {
    "flatten": "the readout flatten",
    "flatten_dense": "a dense layer that sees the states of all steps",
    "conv_values": "a convolution behind another one",
    "time_mean": "a mean over time between layers",
    "time_max": "a maximum over time between layers",
    "companding": "companding",
    "magnitude": "magnitude",
    BOTH_BITS: "layers of 4 and of 8 bits in one network",
    **{f"{cell}_4_bits": f"{cell} with weights of 4 bits" for cell in CELL_NAMES},
}


def network_cost(
    config: TrainingConfig, contract: SensorContract, num_classes: int, target: TargetCosts, *, bits: Bits = (8,)
) -> NetworkCost:
    """Compute the cost of a network.

    Args:
        config: shape of the network. The label is given at the end of each window.
        contract: sensor contract with channels, window length and preprocessing.
        num_classes: K.
        target: costs of parts on the target.
        bits: bits of the recurrent layers' weights on states, one number for all layers or one for each.

    Raises:
        ConfigError: what a part of the network adds was not measured on the target.

    >>> from edge_seq.ir.contract import Channel
    >>> contract = SensorContract(50.0, (Channel("ax", "g", 8192, 4),) * 3, 100, 50)
    >>> network_cost(TrainingConfig(hidden_size=16, pooling="mean"), contract, 4, costs_on("cortex_m4")).weight_bytes
    2008
    """
    parts = parts_of(config, contract, bits)
    for part in parts:
        if part not in target.flash:
            raise ConfigError(
                f"search: the cost of {_WORDS.get(part, part)} on this target is not known from its shape; "
                "train the network, and measure it with: edge-seq measure"
            )
    weights = weight_bytes(config, contract, num_classes, bits)
    work = work_of(config, contract, num_classes, bits, lanes=target.lanes)
    flash = sum(target.flash[part] for part in parts)
    texts = sum(len(channel.name) for channel in contract.channels)
    return NetworkCost(
        flash_bytes=round(flash + texts) + weights,
        weight_bytes=weights,
        ram_bytes=target.ram_base + context_bytes(config, contract, num_classes),
        instructions=round(sum(target.instructions[name] * amount for name, amount in work.items())),
    )


def parts_of(config: TrainingConfig, contract: SensorContract, bits: Bits = (8,)) -> tuple[str, ...]:
    """Names of the parts of a network that need code of their own."""
    pre = contract.preprocessing.step
    recurrent: dict[str, None] = {}  # names in order, each once
    for index, of_layer in enumerate(_of_each(config, bits)):
        narrow, above = _is_narrow(config, of_layer), index > 0 or bool(config.front)
        recurrent[f"{config.cell}_4_bits" if narrow else config.cell] = None
        if above:
            recurrent["above_4_bits" if narrow else f"{config.cell}_above"] = None
    kinds = {_is_narrow(config, of_layer) for of_layer in _of_each(config, bits)}
    return (
        "runtime",
        *(f"conv_{'values' if index else 'features'}" for index, one in enumerate(config.front) if one.kind == "conv"),
        *(f"time_{one.kind}" for one in config.front if one.kind != "conv"),
        *recurrent,
        *((BOTH_BITS,) if len(kinds) > 1 else ()),
        *Readout(config.pooling).statistics,
        *(("flatten",) if config.pooling == "flatten" else ()),
        *(("flatten_dense",) if config.pooling == "flatten" and config.dense else ()),
        # The rows that see the states of all steps are not those of a dense layer.
        *(("dense",) if len(config.dense) > (config.pooling == "flatten") else ()),
        *((pre,) if pre != "none" else ()),
        *(("companding",) if contract.preprocessing.companding is not None else ()),
        *(("magnitude",) if contract.magnitude_axes else ()),
    )


def weight_bytes(config: TrainingConfig, contract: SensorContract, num_classes: int, bits: Bits = (8,)) -> int:
    """Bytes of packed weights, biases and multipliers (SPEC.md, section 12)."""
    total = 0
    inputs, raw = contract.num_features, True
    for layer in config.front:
        if layer.kind == "conv":
            total += _rows(layer.units, 2 * layer.kernel * _even(inputs) if raw else layer.kernel * padded(inputs))
            inputs, raw = layer.units, False
    for of_layer in _of_each(config, bits):
        total += _recurrent(config.cell, config.hidden_size, inputs, raw=raw, bits=of_layer)
        inputs, raw = config.hidden_size, False
    sees = padded(config.hidden_size) * Readout(config.pooling).parts(_steps(config, contract))
    for units in (*config.dense, num_classes):
        total += _rows(units, sees)
        sees = padded(units)
    return total


def _rows(count: int, bytes_of_weights: int) -> int:
    return (count + -count % BLOCK_ROWS) * (bytes_of_weights + BYTES_OF_A_ROW)


def _even(count: int) -> int:
    return count + count % 2


def _has_column_alone(inputs: int) -> bool:
    """True if three gates of a GRU share the words of the last of so many columns (SPEC.md, section 12)."""
    return inputs % 2 == 1 and inputs > 1


def _quads(units: int, bits: WeightBits) -> tuple[int, int]:
    """Number of quads of states with words of their own, and of pairs of quads that share words (SPEC.md, section
    12)."""
    quads = padded(units) // QUAD
    return (quads, 0) if bits == 8 else (quads % 2, quads // 2)


def _of_each(config: TrainingConfig, bits: Bits) -> Bits:
    """Bits of each recurrent layer."""
    return bits * config.num_layers if len(bits) == 1 else bits


def _is_narrow(config: TrainingConfig, bits: WeightBits) -> bool:
    """True if a recurrent layer has weights of 4 bits, and so a kernel of their own. A layer that has two quads
    side by side nowhere has 8 bits."""
    return bits == 4 and config.hidden_size > QUAD


def _recurrent(cell: str, units: int, inputs: int, *, raw: bool, bits: WeightBits) -> int:
    """Bytes of a recurrent layer on features (``raw``, 16-bit weights) or on states of a layer before it."""
    of_state = QUAD * sum(_quads(units, bits))
    of_input = 2 * _even(inputs) if raw else QUAD * sum(_quads(inputs, bits))
    if cell == "gru":
        seen = 3 * 2 * (inputs - 1) + 2 * BLOCK_ROWS if raw and _has_column_alone(inputs) else 3 * of_input
        return units * (seen + 3 * of_state + 4 * BYTES_OF_A_ROW)
    if cell == "lstm":
        return units * 4 * (of_input + of_state + BYTES_OF_A_ROW)
    extra = 0 if cell == "rnn" else 8 + 4 * (units + -units % BLOCK_ROWS)  # zeta and nu, offsets of the gate
    return _rows(units, of_input + of_state) + extra


def context_bytes(config: TrainingConfig, contract: SensorContract, num_classes: int) -> int:
    """Bytes of the words of a context, without its header."""
    features, states = contract.num_features, padded(config.hidden_size)
    pool = len(Readout(config.pooling).statistics) * states
    read_out = pool + sum(padded(size) for size in config.dense)
    if config.pooling == "flatten":  # sums of the first rows behind the readout
        pool = padded((*config.dense, num_classes)[0])
    words32 = (0 if contract.preprocessing.step == "none" else contract.num_channels) + pool + num_classes
    front, inputs = 0, features
    for index, layer in enumerate(config.front):
        slots = (layer.kernel - 1) * (layer.dilation if layer.kind == "conv" else 1) + 1
        units = layer.units if layer.kind == "conv" else inputs
        front += slots * (padded(inputs) if index else _even(inputs)) + padded(units)
        inputs = units
    layers = config.num_layers * len(kind_named(config.cell).saved) * states
    scratch = max(states, read_out)
    return 4 * words32 + 2 * (_even(features) + front + layers + scratch)


def work_of(
    config: TrainingConfig, contract: SensorContract, num_classes: int, bits: Bits = (8,), *, lanes: bool = False
) -> Counter[str]:
    """Amounts of work of one window, by name. The runtime does the same work for any data.

    Args:
        config: shape of the network.
        contract: sensor contract.
        num_classes: K.
        bits: see :func:`network_cost`.
        lanes: see :class:`TargetCosts`.
    """
    work: Counter[str] = Counter()
    samples, inputs, raw = contract.window_length, contract.num_features, True
    work["window"] = 1
    work["sample"] = samples
    work[f"{contract.preprocessing.step}_value"] = samples * contract.num_channels
    if contract.magnitude_axes:
        work["magnitude"] = samples * len(contract.magnitude_axes)
    if contract.preprocessing.companding is not None:
        work["companded_value"] = samples * inputs
    for index, layer in enumerate(config.front):
        outputs = steps_of(layer, samples)
        if layer.kind == "conv":
            work["conv_input"] += samples
            work["conv_output"] += outputs
            work["conv_block"] += outputs * -(-layer.units // BLOCK_ROWS)
            if layer.activation == "tanh":
                work["conv_tanh"] += outputs * layer.units
            work += _conv_rows(layer, inputs, outputs, raw=index == 0, lanes=lanes)
            inputs, raw = layer.units, False
        else:
            work[f"time_{layer.kind}_value"] += outputs * inputs * layer.kernel
        samples = outputs
    units = config.hidden_size
    for of_layer in _of_each(config, bits):
        if lanes and not _is_narrow(config, of_layer):
            work += recurrent_lanes(config.cell, units, inputs, samples, raw=raw)
        else:
            work += _recurrent_work(config, of_layer, inputs, samples, raw=raw)
        inputs, raw = units, False
    for statistic in Readout(config.pooling).statistics:
        work[f"{statistic}_unit"] += samples * units
        work[f"{statistic}_step"] += samples
    sees = padded(units) * Readout(config.pooling).parts(samples)
    if config.pooling == "flatten":
        work["flatten_step"] += samples
        work["flatten_block"] += samples * -(-(*config.dense, num_classes)[0] // BLOCK_ROWS)
    for index, rows in enumerate((*config.dense, num_classes)):
        in_lanes = lanes and index < len(config.dense) and (index > 0 or config.pooling != "flatten")
        if in_lanes:
            work += rows_lanes(rows, (sees // QUAD,), raw=False)
        else:
            work["head_quad"] += -(-rows // BLOCK_ROWS) * (sees // QUAD)
        sees = padded(rows)
    return work


def _conv_rows(layer: FrontConfig, inputs: int, outputs: int, *, raw: bool, lanes: bool) -> Counter[str]:
    """Work of the rows of a convolution in a window.

    Inputs that lie beside each other in the ring are seen in at most two pieces, others tap by tap: with dilation, and
    where features before the window are seen.
    """
    work: Counter[str] = Counter()
    blocks, of_input = -(-layer.units // BLOCK_ROWS), _even(inputs) // 2 if raw else padded(inputs) // QUAD
    first = 1 + (0 if layer.padding == "causal" else (layer.kernel - 1) * layer.dilation)
    for number in range(first, first + outputs * layer.stride, layer.stride):
        by_taps = layer.dilation > 1 or (raw and number < layer.kernel)
        if by_taps:
            work["conv_tap"] += blocks * layer.kernel
        if by_taps or not lanes:
            work["conv_word" if raw else "conv_quad"] += blocks * layer.kernel * of_input
        else:
            second = number % layer.kernel  # inputs of the second piece
            work += rows_lanes(layer.units, ((layer.kernel - second) * of_input, second * of_input), raw=raw)
    return work


def _recurrent_work(config: TrainingConfig, bits: WeightBits, inputs: int, steps: int, *, raw: bool) -> Counter[str]:
    """Work of a recurrent layer in a window of so many steps."""
    work: Counter[str] = Counter()
    units = config.hidden_size
    cell = f"{config.cell}_4_bits" if _is_narrow(config, bits) else config.cell
    rows = steps * (units if config.cell in ("lstm", "gru") else padded(units))  # the others have blocks of four units
    work[f"{cell}_step"] = steps
    work[f"{cell}_unit"] = rows
    quads, pairs = _quads(units, bits)
    work[f"{cell}_state_quad"] = rows * quads
    work[f"{cell}_state_pair"] = rows * pairs
    if raw and config.cell == "gru" and _has_column_alone(inputs):
        work[f"{cell}_word"] = rows * (inputs // 2)
        work[f"{cell}_column"] = rows
    elif raw:
        work[f"{cell}_word"] = rows * (_even(inputs) // 2)
    else:
        quads, pairs = _quads(inputs, bits)
        work[f"{cell}_quad"] = rows * quads
        work[f"{cell}_pair"] = rows * pairs
    return +work


def _steps(config: TrainingConfig, contract: SensorContract) -> int:
    """Number of steps of the recurrent layers in a window."""
    samples = contract.window_length
    for layer in config.front:
        samples = steps_of(layer, samples)
    return samples


def steps_of(layer: FrontConfig, samples: int) -> int:
    """Number of outputs of a front layer for a window of so many inputs."""
    waits = layer.kind != "conv" or layer.padding == "valid"
    first = (layer.kernel - 1) * (layer.dilation if layer.kind == "conv" else 1) if waits else 0
    return max(0, (samples - 1 - first) // layer.stride + 1)
