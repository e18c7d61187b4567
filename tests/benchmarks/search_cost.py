"""Measures networks of many shapes on a target, and fits what each part of a network adds to their cost there.

The result is the target's entry in ``edge_seq/tuning/costs.json``::

    python -m tests.benchmarks.search_cost cortex_m4 cortex_m0

Each network leaves a file in ``build/search_cost``, with a hash of its sources. An interrupted call goes on, and a
network whose sources have not changed is not measured again. A network that does not fit on the target is left out.

Companding and magnitudes cost the difference between networks with them and without.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.ir.kind_names import CELL_NAMES, WeightBits
from edge_seq.pipeline.choosing.untrained import export_untrained
from edge_seq.support.errors import ToolError
from edge_seq.support.files import json_text, write_atomically
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result
from edge_seq.training.config import TrainingConfig
from edge_seq.tuning.cost import TABLE, Bits, TargetCosts, context_bytes, parts_of, weight_bytes, work_of
from firmware_export.measuring.measure import measure
from firmware_export.toolchain.sources import hash_of_sources
from firmware_export.toolchain.target import MissingToolError, load_target

WORK = Path("build/search_cost")

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
    (1, "none", {"front": [CONV | {"units": 32, "kernel": 15, "stride": 4}], "pooling": "mean"}, 8),
    (3, "none", {"front": [CONV | {"units": 16, "kernel": 15}], "pooling": "mean"}, 8),
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
LANES = ("cortex_m55",)  # targets whose kernels compute in vector lanes


def contract_of(channels: int, preprocessing: str, samples: int) -> SensorContract:
    names = [stem + axis for stem in "agm" for axis in "xyz"][:channels]
    named = tuple(Channel(name, "g", 8192, 4) for name in names)
    return SensorContract(50.0, named, samples, samples, Preprocessing.from_text(preprocessing))


@dataclass(frozen=True)
class Counted(Result):
    """A network that was built and counted.

    Attributes:
        network: its shape, as text.
        refused: why it does not fit on the target; empty if it does. The numbers are then zero.
        unit: what is counted.
        window: instructions or cycles of a window.
        flash, weights, ram: bytes of the linked image.
        sources: see ``hash_of_sources``.
    """

    network: str
    refused: str
    unit: str
    window: int
    flash: int
    weights: int
    ram: int
    sources: str


def counted(target_name: str, config: TrainingConfig, contract: SensorContract, bits: Bits = (8,)) -> Counted:
    """Build and count a network on a target, unless the kept file is of the same sources."""
    target = load_target(target_name)
    shape = config.model_dump(mode="json", include={"cell", "hidden_size", "num_layers", "pooling", "front", "dense"})
    steps, seen = contract.window_length, contract.preprocessing.text
    network = json_text({**shape, "bits": bits, "channels": contract.num_channels, "steps": steps, "features": seen})
    kept = WORK / target_name / f"{hashlib.sha256(network.encode()).hexdigest()[:16]}.json"
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "c"
        model = export_untrained(config, contract, LABELS, bits, exported)
        sources = hash_of_sources(exported, target)
        if kept.is_file() and (old := load_result(kept, Counted)).sources == sources:
            return old
        try:
            found = measure(exported, model, target, steps=1, deepest=False)
        except MissingToolError:
            raise
        except ToolError as error:
            made = Counted(network, str(error), "", 0, 0, 0, 0, sources)
        else:
            assert found.sizes is not None
            assert found.steps is not None
            sizes, steps = found.sizes, found.steps
            made = Counted(network, "", steps.unit, steps.window, sizes.flash, sizes.weights, sizes.ram, sources)
    save_json(kept, made)
    return made


def fit(target_name: str, *, say: Callable[[str], None]) -> TargetCosts:
    codes: list[tuple[tuple[str, ...], float]] = []
    works: list[tuple[dict[str, int], int]] = []
    bases, unit, lanes = set(), "", target_name in LANES
    for index, (channels, step, options, given) in enumerate(SHAPES):
        bits: Bits = given if isinstance(given, tuple) else (given,)
        config = TrainingConfig.model_validate({"hidden_size": 16, "pooling": "mean", **options})
        contract = contract_of(channels, step, SAMPLES[index % len(SAMPLES)])
        found = counted(target_name, config, contract, bits)
        if found.refused:
            say(f"{target_name} {index + 1}/{len(SHAPES)}: left out, {found.refused}")
            continue
        weights = weight_bytes(config, contract, len(LABELS), bits)
        assert found.weights == weights, (options, found.weights, weights)
        unit = found.unit
        texts = sum(len(channel.name) for channel in contract.channels)
        codes.append((parts_of(config, contract, bits), found.flash - weights - texts))
        works.append((dict(work_of(config, contract, len(LABELS), bits, lanes=lanes)), found.window))
        bases.add(found.ram - context_bytes(config, contract, len(LABELS)))
        say(f"{target_name} {index + 1}/{len(SHAPES)}: {found.flash} bytes, {found.window} {unit}")
    assert len(bases) == 1, bases
    flash = _fitted([dict.fromkeys(parts, 1) for parts, _ in codes], [value for _, value in codes], say)
    instructions = _fitted([work for work, _ in works], [value for _, value in works], say)
    fitted = TargetCosts(unit, flash, bases.pop(), instructions, lanes)
    return with_added(target_name, fitted, say=say)


def with_added(target_name: str, costs: TargetCosts, *, say: Callable[[str], None]) -> TargetCosts:
    """The costs with those of each of :data:`ADDED`: what is measured more in networks with it, less what the other
    parts of the costs say (features more take more weights)."""
    for part, (text, of_work) in ADDED.items():
        code, work = [], []
        for channels, step, options in PAIRS:
            config = TrainingConfig.model_validate(options)
            contracts = [contract_of(channels, one, SAMPLES[0]) for one in (step, f"{step}, {text}")]
            flash, steps = [], []
            for contract in contracts:
                found = counted(target_name, config, contract)
                assert not found.refused, found.refused
                terms = work_of(config, contract, len(LABELS), lanes=costs.lanes)
                flash.append(found.flash - weight_bytes(config, contract, len(LABELS)))
                steps.append(found.window - sum(costs.instructions.get(name, 0.0) * n for name, n in terms.items()))
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

    for name in targets or ["cortex_m4"]:
        made = fit(name, say=say)
        table = json.loads(TABLE.read_text("utf-8")) if TABLE.is_file() else {}
        write_atomically(TABLE, json_text({**table, name: made.to_dict()}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
