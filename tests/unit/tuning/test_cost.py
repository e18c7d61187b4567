"""The cost of a network from its shape: bytes are exact, instructions and code are close to what is measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.pipeline.choosing.untrained import measure_network, untrained_model
from edge_seq.support.errors import ConfigError
from edge_seq.training.config import TrainingConfig
from edge_seq.tuning.cost import Bits, context_bytes, costs_on, known_targets, network_cost, weight_bytes, work_of
from edge_seq.tuning.lanes import recurrent_lanes, rows_lanes
from firmware_export.emission.emit import CONTEXT_HEADER_BYTES_32BIT, export_c
from firmware_export.emission.golden import make_golden
from firmware_export.emission.layout import pack_model
from firmware_export.toolchain.target import MissingToolError, load_target

pytest.importorskip("torch")
LABELS = ("a", "b", "c", "d", "e")
CONV = {"kind": "conv", "units": 10, "kernel": 3, "stride": 2}
EIGHT: Bits = (8,)
FOUR: Bits = (4,)
Options = dict[str, Any]


def contract_of(channels: int, samples: int, step: str = "none") -> SensorContract:
    names = [stem + axis for stem in "agm" for axis in "xyz"][:channels]
    named = tuple(Channel(name, "g", 8192, 4) for name in names)
    return SensorContract(50.0, named, samples, samples, Preprocessing.from_text(step))


@pytest.mark.parametrize(
    ("channels", "step", "options", "bits"),
    [
        (3, "none", {"cell": "gru", "hidden_size": 7}, EIGHT),
        (5, "difference", {"cell": "fastgrnn", "hidden_size": 10, "num_layers": 2, "pooling": "mean_max"}, FOUR),
        (
            2,
            "none",
            {"cell": "lstm", "hidden_size": 9, "front": [CONV, {"kind": "max", "kernel": 2, "stride": 2}]},
            (4,),
        ),
        (3, "none", {"cell": "rnn", "hidden_size": 5, "pooling": "flatten"}, FOUR),
        (2, "none", {"cell": "gru", "hidden_size": 3, "pooling": "flatten", "dense": [9, 6], "front": [CONV]}, FOUR),
        (
            3,
            "remove_gravity",
            {"cell": "rnn", "hidden_size": 6, "dense": [7], "front": [CONV] * 2, "pooling": "max"},
            EIGHT,
        ),
        (3, "none", {"cell": "lstm", "hidden_size": 12, "num_layers": 2}, (8, 4)),
        (2, "none", {"cell": "gru", "hidden_size": 20, "num_layers": 2, "front": [CONV]}, (4, 8)),
    ],
)
def test_bytes_of_weights_and_context_are_those_of_the_export(
    channels: int, step: str, options: Options, bits: Bits, tmp_path: Path
) -> None:
    config, contract = TrainingConfig.model_validate(options), contract_of(channels, 12, step)
    model = untrained_model(config, contract, LABELS, bits)
    assert weight_bytes(config, contract, len(LABELS), bits) == pack_model(model).num_bytes
    export_c(model, make_golden(model, np.zeros((1, 12, channels), np.int16)), tmp_path)
    stated = json.loads((tmp_path / "manifest.json").read_text())["bytes"]
    assert context_bytes(config, contract, len(LABELS)) + CONTEXT_HEADER_BYTES_32BIT == stated["context_32bit"]


def test_every_target_with_costs_is_in_the_documents() -> None:
    """As the name of a target that edge-seq measure knows, with its row in the table of errors."""
    results, how_to = (
        Path("docs", *name).read_text("utf-8") for name in (("results", "search.md"), ("how-to", "find-a-model.md"))
    )
    rows = re.findall(r"^\| (\w+) \| \d+ \| -[\d.]+ to \+[\d.]+ % \| -[\d.]+ to \+[\d.]+ % \|$", results, re.M)
    assert rows == list(known_targets())
    for name, costs in known_targets().items():
        assert load_target(name).name == name
        assert f"`{name}`" in how_to or name == "cortex_m4"
        assert costs.lanes == (name == "cortex_m55")


def test_a_cost_of_a_pool_between_layers_that_was_not_measured_is_not_guessed() -> None:
    config = TrainingConfig.model_validate({"front": [CONV, {"kind": "max", "kernel": 2, "stride": 2}]})
    with pytest.raises(ConfigError, match="the cost of a maximum over time between layers on this target is not known"):
        network_cost(config, contract_of(3, 12), len(LABELS), costs_on("cortex_m4"))


@pytest.mark.parametrize("target", list(known_targets()))
def test_the_costs_of_a_target_know_every_part_that_a_search_may_choose(target: str) -> None:
    costs, contract = costs_on(target), contract_of(3, 24, "remove_gravity, companding 4")
    fronts: tuple[list[Options], ...] = ([], [CONV], [CONV, CONV])
    for cell, front, pooling, bits in product(
        CELL_NAMES, fronts, ("last", "mean_max", "flatten"), (EIGHT, FOUR, (4, 8))
    ):
        options = {"cell": cell, "front": front, "pooling": pooling, "num_layers": 2, "dense": [8] if front else []}
        config = TrainingConfig.model_validate(options)
        cost = network_cost(config, contract, 4, costs, bits=bits)
        assert work_of(config, contract, 4, bits, lanes=costs.lanes).keys() <= costs.instructions.keys()
        assert cost.flash_bytes > 3000 + cost.weight_bytes
        assert cost.instructions > 24 * 100


def test_work_in_vector_lanes_by_hand() -> None:
    """Passes over blocks: 45 instructions a block in a first layer of 32 units on three features; else a pass of eight
    quads has 38, one of four 22, of four pairs of features 14, and setting the sums to the biases 4."""
    known = recurrent_lanes("lstm", 32, 3, 10, raw=True)
    assert known == {"lstm_step": 10, "lstm_group": 80, "lane_known": 10, "lane_loop": 10 * 32 * 45}
    begun = recurrent_lanes("lstm", 42, 3, 10, raw=True)  # two batches; eleven quads: a pass that begins, one of three
    assert begun == {
        "lstm_step": 10,
        "lstm_group": 10 * (8 + 3),
        "lane_loop": 10 * 42 * (47 + 22),
        "lane_begin": 20,
        "lane_rest": 20,
        "lane_pass": 20,
        "lane_quad": 110,
    }
    above = recurrent_lanes("rnn", 16, 48, 10, raw=False)  # twelve quads below and four of its own
    assert (above["lane_loop"], above["lane_pass"]) == (10 * 4 * (4 + 38 + 22 + 22), 30)
    odd = recurrent_lanes("gru", 8, 9, 10, raw=True)  # three rows a block see four pairs, and a column alone
    assert (odd["lane_loop"], odd["gru_column"]) == (10 * 8 * (4 + 12 + 18), 20)
    # Twelve blocks in two calls: each begins and ends (9), and passes over eight quads and over one.
    assert rows_lanes(48, (8, 1), raw=False) == {
        "lane_loop": 12 * (9 + 38 + 22),
        "lane_narrow_rows": 2,
        "lane_narrow_pass": 4,
    }
    assert rows_lanes(8, (20, 5), raw=True)["lane_loop"] == 2 * (9 + 38 + 22 + 14)  # seven vectors: four, two, one


def test_a_cost_of_flatten_that_was_not_measured_is_not_guessed() -> None:
    config, known = TrainingConfig(pooling="flatten"), costs_on("cortex_m4")
    without = replace(known, flash={name: cost for name, cost in known.flash.items() if name != "flatten"})
    with pytest.raises(ConfigError, match="the cost of the readout flatten on this target is not known from its shape"):
        network_cost(config, contract_of(3, 12), len(LABELS), without)


def test_a_cost_of_4_bits_that_was_not_measured_is_not_guessed() -> None:
    config, known = TrainingConfig(), costs_on("cortex_m4")
    without = replace(known, flash={name: cost for name, cost in known.flash.items() if name != "lstm_4_bits"})
    with pytest.raises(ConfigError, match="the cost of lstm with weights of 4 bits on this target is not known"):
        network_cost(config, contract_of(3, 12), len(LABELS), without, bits=FOUR)


@pytest.mark.parametrize(("part", "text"), [("companding", "companding 5"), ("magnitude", "magnitude")])
def test_a_cost_of_preprocessing_that_was_not_measured_is_not_guessed(part: str, text: str) -> None:
    known, more = costs_on("cortex_m4"), contract_of(3, 12, f"difference, {text}")
    without = replace(known, flash={name: cost for name, cost in known.flash.items() if name != part})
    with pytest.raises(ConfigError, match=f"the cost of {part} on this target is not known from its shape"):
        network_cost(TrainingConfig(), more, len(LABELS), without)


@pytest.mark.slow
@pytest.mark.parametrize("target", list(known_targets()))
@pytest.mark.parametrize(
    ("channels", "step", "options", "bits"),
    [
        (4, "none", {"cell": "lstm", "hidden_size": 20, "pooling": "mean_max"}, EIGHT),
        (6, "none", {"cell": "gru", "hidden_size": 28, "pooling": "mean"}, EIGHT),
        (6, "none", {"cell": "gru", "hidden_size": 28, "pooling": "mean"}, FOUR),
        (3, "remove_gravity", {"cell": "fastgrnn", "hidden_size": 40, "pooling": "max"}, EIGHT),
        (6, "remove_gravity, shift 6, magnitude", {"cell": "gru", "hidden_size": 20, "pooling": "mean"}, EIGHT),
        (3, "difference, magnitude, companding 3", {"cell": "rnn", "hidden_size": 16, "pooling": "max"}, EIGHT),
        (3, "difference, companding 3", {"cell": "lstm", "hidden_size": 12, "pooling": "mean"}, EIGHT),
        (3, "difference", {"cell": "rnn", "hidden_size": 18, "num_layers": 2, "pooling": "last"}, EIGHT),
        (
            6,
            "none",
            {"cell": "lstm", "hidden_size": 24, "front": [CONV | {"units": 16, "kernel": 5, "stride": 4}]},
            EIGHT,
        ),
        (6, "none", {"cell": "lstm", "hidden_size": 24, "front": [CONV | {"activation": "tanh"}]}, FOUR),
        (
            2,
            "none",
            {"hidden_size": 32, "front": [CONV | {"units": 32, "kernel": 15, "stride": 4, "activation": "tanh"}]},
            EIGHT,
        ),
        (3, "none", {"cell": "lstm", "hidden_size": 20, "num_layers": 2}, (4, 8)),
        (3, "none", {"cell": "gru", "hidden_size": 20, "num_layers": 2}, (8, 4)),
    ],
)
def test_cost_of_networks_that_were_not_fitted_is_within_some_percent_of_the_measured_one(
    channels: int, step: str, options: Options, bits: Bits, target: str
) -> None:
    config, contract = TrainingConfig.model_validate(options), contract_of(channels, 64, step)
    try:
        found = measure_network(config, contract, LABELS, load_target(target), bits, deepest=False)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.stack is None
    assert found.sizes is not None
    assert found.steps is not None
    cost = network_cost(config, contract, len(LABELS), costs_on(target), bits=bits)
    assert cost.ram_bytes == found.sizes.ram
    assert cost.weight_bytes == found.sizes.weights
    assert cost.flash_bytes == pytest.approx(found.sizes.flash, rel=0.04)
    assert cost.instructions == pytest.approx(found.steps.window, rel=0.05)
