"""Networks with untrained weights, whose cost on a target is that of trained ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from edge_seq.ir.contract import SensorContract
from edge_seq.ir.kind_names import WeightBits
from edge_seq.ir.model import IntModel, Readout
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.training.config import TrainingConfig
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import Measurement, measure
from firmware_export.toolchain.target import Target

_LOUDNESS = 300  # standard deviation of the counts


def untrained_model(
    config: TrainingConfig, contract: SensorContract, labels: tuple[str, ...], bits: tuple[WeightBits, ...] = (8,)
) -> IntModel:
    """Make the integer model of a configuration with untrained weights from a fixed seed.

    Args:
        config: shape of the network.
        contract: sensor contract with the window length T.
        labels: K class names.
        bits: bits of the recurrent layers' weights on states, one number for all layers or one for each.
    """
    from edge_seq.frontends.from_torch import from_torch
    from edge_seq.training.untrained import untrained_weights

    weights, normalisation = untrained_weights(contract, len(labels), config, loudness=_LOUDNESS)
    model = from_torch(
        weights,
        name="compared",
        labels=labels,
        contract=contract,
        normalisation=normalisation,
        readout=Readout(pooling=config.pooling, label_every=config.label_every),
        nonlinearity="tanh",
        front=config.front,
        dense_activations=(config.dense_activation,) * len(config.dense),
    )
    noise = np.random.default_rng(0).normal(0, _LOUDNESS, (4, contract.window_length, contract.num_channels))
    return quantize(model, calibrate(model, np.rint(noise).astype(np.int16)), bits)


def measure_network(
    config: TrainingConfig,
    contract: SensorContract,
    labels: tuple[str, ...],
    target: Target,
    bits: tuple[WeightBits, ...] = (8,),
    *,
    deepest: bool = True,
) -> Measurement:
    """Build the network of a configuration for a target, and count its instructions.

    Args:
        config: shape of the network.
        contract: sensor contract with the window length T.
        labels: K class names.
        target: chip to build for.
        bits: bits of the recurrent layers' weights on states, one number for all layers or one for each.
        deepest: False leaves out the worst-case stack; see :func:`firmware_export.measuring.measure.measure`.

    Raises:
        MissingToolError: a compiler or an emulator is missing.
        ToolError: the network does not compile or does not fit on the target.
    """
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "c"
        model = export_untrained(config, contract, labels, bits, exported)
        return measure(exported, model, target, steps=1, deepest=deepest)


def export_untrained(
    config: TrainingConfig,
    contract: SensorContract,
    labels: tuple[str, ...],
    bits: tuple[WeightBits, ...],
    folder: Path,
) -> IntModel:
    """Write the C of a configuration's network with untrained weights, and return the network.

    Args:
        config: shape of the network.
        contract: sensor contract with the window length T.
        labels: K class names.
        bits: bits of the recurrent layers' weights on states, one number for all layers or one for each.
        folder: new folder of the C.
    """
    model = untrained_model(config, contract, labels, bits)
    counts = np.zeros((1, contract.window_length, contract.num_channels), np.int16)
    export_c(model, make_golden(model, counts), folder)
    return model
