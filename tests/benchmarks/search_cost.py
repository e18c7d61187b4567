"""Measures networks of many shapes on a target, and fits what each part of a network adds to their cost there.

The result is the target's entry in ``edge_seq/tuning/costs.json``::

    python -m tests.benchmarks.search_cost cortex_m4 cortex_m0

Companding and magnitudes cost the difference between networks with them and without; ``--added`` measures this alone,
for targets that have an entry.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.ir.kind_names import CELL_NAMES, WeightBits
from edge_seq.pipeline.choosing.untrained import measure_network
from edge_seq.support.files import json_text, write_atomically
from edge_seq.training.config import TrainingConfig
from edge_seq.tuning.cost import TABLE, Bits, TargetCosts, context_bytes, costs_on, parts_of, weight_bytes, work_of
from firmware_export.toolchain.target import load_target

LABELS = ("a", "b", "c", "d")
CONV = {"kind": "conv", "units": 8, "kernel": 5, "stride": 2, "activation": "tanh"}
SHAPES: tuple[tuple[int, str, dict[str, Any], WeightBits | Bits], ...] = (
    *(
        (channels, "none", {"cell": cell, **options}, 8)
        for cell in CELL_NAMES
        for channels, options in (
            (3, {"hidden_size": 8, "pooling": "last"}),
            (6, {"hidden_size": 16, "pooling": "mean"}),
            (3, {"hidden_size": 32, "pooling": "max"}),
            (6, {"hidden_size": 48, "pooling": "mean_max"}),
            (6, {"hidden_size": 24, "num_layers": 2, "pooling": "mean"}),
            (2, {"hidden_size": 16, "front": [CONV], "pooling": "mean_max"}),
            (9, {"hidden_size": 12, "pooling": "mean_max"}),
            (3, {"hidden_size": 40, "num_layers": 2, "pooling": "last"}),
            (3, {"hidden_size": 64, "front": [CONV | {"units": 16}], "pooling": "max"}),
        )
    ),
    *(
        (channels, "none", {"cell": cell, **options}, 4)
        for cell in CELL_NAMES
        for channels, options in (
            (3, {"hidden_size": 16, "pooling": "mean"}),
            (6, {"hidden_size": 32, "pooling": "last"}),
            (9, {"hidden_size": 12, "pooling": "mean"}),
            (3, {"hidden_size": 64, "pooling": "max"}),
            (6, {"hidden_size": 24, "num_layers": 2, "pooling": "max"}),
            (3, {"hidden_size": 12, "num_layers": 2, "pooling": "mean"}),
            (3, {"hidden_size": 48, "front": [CONV | {"units": 16}], "pooling": "mean"}),
        )
    ),
    *(
        (3, "none", {"cell": cell, "num_layers": 2, "hidden_size": units}, bits)
        for cell in CELL_NAMES
        for units, bits in ((20, (4, 8)), (40, (8, 4)))
    ),
    (3, "none", {"front": [CONV | {"units": 16}], "pooling": "mean"}, 8),
    (6, "none", {"front": [CONV | {"units": 32, "stride": 4}], "pooling": "mean"}, 8),
    (6, "none", {"front": [CONV | {"units": 16, "kernel": 9}], "hidden_size": 8, "pooling": "mean"}, 8),
    (9, "none", {"front": [CONV | {"units": 32, "kernel": 3, "stride": 1}], "hidden_size": 8, "pooling": "max"}, 8),
    (6, "none", {"front": [CONV | {"units": 16, "activation": "relu"}], "pooling": "mean"}, 8),
    (3, "none", {"front": [CONV | {"units": 32, "stride": 1, "activation": "relu"}], "hidden_size": 8}, 8),
    (3, "none", {"front": [CONV | {"units": 16, "stride": 4}] * 2, "pooling": "mean"}, 8),
    (6, "none", {"front": [CONV | {"units": 16}, CONV | {"units": 32}], "pooling": "mean"}, 8),
    (3, "none", {"front": [CONV | {"units": 16}, CONV | {"units": 16}, CONV | {"units": 32}], "pooling": "mean"}, 8),
    (3, "none", {"dense": [16], "pooling": "mean_max"}, 8),
    (3, "none", {"dense": [32, 16], "pooling": "mean", "hidden_size": 32}, 8),
    (3, "none", {"pooling": "flatten", "hidden_size": 16}, 8),
    (6, "none", {"pooling": "flatten", "hidden_size": 32, "dense": [32]}, 8),
    (3, "none", {"pooling": "flatten", "hidden_size": 8, "dense": [64, 16], "cell": "gru"}, 8),
    (3, "difference", {"pooling": "mean"}, 8),
    (6, "difference", {"pooling": "max"}, 8),
    (3, "remove_gravity", {"pooling": "mean"}, 8),
    (6, "remove_gravity", {"pooling": "max"}, 8),
)
PAIRS = ((3, "difference", {"pooling": "mean"}), (6, "none", {"pooling": "max"}))  # measured with and without:
ADDED = {"companding": ("companding 5", "companded_value"), "magnitude": ("magnitude", "magnitude")}  # text, work
SAMPLES = (24, 48)


def contract_of(channels: int, preprocessing: str, samples: int) -> SensorContract:
    names = [stem + axis for stem in "agm" for axis in "xyz"][:channels]
    named = tuple(Channel(name, "g", 8192, 4) for name in names)
    return SensorContract(50.0, named, samples, samples, Preprocessing.from_text(preprocessing))


def fit(target_name: str, *, say: Callable[[str], None]) -> TargetCosts:
    target = load_target(target_name)
    codes: list[tuple[tuple[str, ...], float]] = []
    works: list[tuple[dict[str, int], int]] = []
    bases, unit = set(), ""
    for index, (channels, step, options, given) in enumerate(SHAPES):
        bits: Bits = given if isinstance(given, tuple) else (given,)
        config = TrainingConfig.model_validate({"hidden_size": 16, "pooling": "mean", **options})
        contract = contract_of(channels, step, SAMPLES[index % len(SAMPLES)])
        found = measure_network(config, contract, LABELS, target, bits)
        assert found.sizes is not None
        assert found.steps is not None
        unit = found.steps.unit
        weights = weight_bytes(config, contract, len(LABELS), bits)
        assert found.sizes.weights == weights, (options, found.sizes.weights, weights)
        texts = sum(len(channel.name) for channel in contract.channels)
        codes.append((parts_of(config, contract, bits), found.sizes.flash - weights - texts))
        works.append((dict(work_of(config, contract, len(LABELS), bits)), found.steps.window))
        bases.add(found.sizes.ram - context_bytes(config, contract, len(LABELS)))
        say(f"{target_name} {index + 1}/{len(SHAPES)}: {found.sizes.flash} bytes, {found.steps.window} {unit}")
    assert len(bases) == 1, bases
    flash = _fitted([dict.fromkeys(parts, 1) for parts, _ in codes], [value for _, value in codes], say)
    fitted = TargetCosts(unit, flash, bases.pop(), _fitted([work for work, _ in works], [v for _, v in works], say))
    return with_added(target_name, fitted, say=say)


def with_added(target_name: str, costs: TargetCosts, *, say: Callable[[str], None]) -> TargetCosts:
    """The costs with those of each of :data:`ADDED`: what is measured more in networks with it, less what the other
    parts of the costs say (features more take more weights)."""
    target = load_target(target_name)
    for part, (text, of_work) in ADDED.items():
        known = replace(
            costs,
            flash={name: cost for name, cost in costs.flash.items() if name != part},
            instructions={name: cost for name, cost in costs.instructions.items() if name != of_work},
        )
        code, work = [], []
        for channels, step, options in PAIRS:
            config = TrainingConfig.model_validate(options)
            contracts = [contract_of(channels, one, SAMPLES[0]) for one in (step, f"{step}, {text}")]
            flash, steps = [], []
            for contract in contracts:
                found = measure_network(config, contract, LABELS, target)
                assert found.sizes is not None
                assert found.steps is not None
                terms = work_of(config, contract, len(LABELS))
                flash.append(found.sizes.flash - weight_bytes(config, contract, len(LABELS)))
                steps.append(
                    found.steps.window - sum(known.instructions.get(name, 0.0) * n for name, n in terms.items())
                )
            amount = work_of(config, contracts[1], len(LABELS))[of_work]
            code.append(flash[1] - flash[0])
            work.append((steps[1] - steps[0]) / amount)
            say(
                f"{target_name} {part}, {channels} channels, {step}: {code[-1]} bytes, {work[-1]:.2f} {costs.unit} "
                f"each of {amount}"
            )
        costs = replace(
            costs,
            flash={**costs.flash, part: round(float(np.mean(code)), 2)},
            instructions={**costs.instructions, of_work: round(float(np.mean(work)), 2)},
        )
    return costs


def _fitted(terms: list[dict[str, int]], values: list[float], say: Callable[[str], None]) -> dict[str, float]:
    """Fit the non-negative amount of each term, so that relative errors are small."""
    names = sorted({name for row in terms for name in row})
    matrix: NDArray[np.float64] = np.array([[row.get(name, 0) for name in names] for row in terms], np.float64)
    wanted = np.array(values, np.float64)
    scaled = matrix / wanted[:, None]
    largest = scaled.max(axis=0)
    found = nnls(scaled / largest, np.ones(len(wanted)))[0] / largest
    errors = matrix @ found / wanted - 1
    say(f"{len(names)} terms, {len(values)} networks: errors {100 * errors.min():.1f} to {100 * errors.max():.1f} %")
    return {name: round(float(value), 2) for name, value in zip(names, found, strict=True)}


def main(targets: list[str]) -> None:
    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    alone = "--added" in targets
    for name in [one for one in targets if one != "--added"] or ["cortex_m4"]:
        made = with_added(name, costs_on(name), say=say) if alone else fit(name, say=say)
        table = json.loads(TABLE.read_text("utf-8")) if TABLE.is_file() else {}
        write_atomically(TABLE, json_text({**table, name: replace(made).to_dict()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
