"""Random chains of layers, step by step on many engines, until each kind of layer has had so many steps.

The integer reference is compared with ONNX Runtime, with C on the host (gcc, clang, sanitizers) and with C on emulated
targets. A chain counts for each kind of layer that it has. Counts are kept in a file after each batch of chains, so
that a run that was stopped goes on::

    python -m tests.benchmarks.random_chains --state chains.json --steps 1000000
    python -m tests.benchmarks.random_chains --state chains.json --steps 100000 --engines cortex_m4 cortex_m0

It ends with 1 at the first value that differs, and names the chain.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import run_trace_onnx
from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.model import IntModel
from edge_seq.parity.compare import compare
from edge_seq.support.errors import RangeProofError
from edge_seq.support.files import json_text, write_atomically
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.run_target import build_for_target, run_on_target
from firmware_export.toolchain.build import Compiler
from firmware_export.toolchain.host import build_host, run_on_host
from firmware_export.toolchain.target import load_target
from tests.zoo import (
    Spec,
    extreme_counts,
    extreme_model,
    quantized_model,
    random_chain,
    random_counts,
    random_front_chain,
    random_two_way_chain,
)

SANITIZED = ("-std=c99", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
HOST: dict[str, tuple[str, tuple[str, ...]]] = {
    "gcc": ("gcc", ("-std=c99", "-O2")),
    "clang": ("clang", ("-std=c99", "-O3")),
    "gcc-sanitizers": ("gcc", SANITIZED),
    "clang-sanitizers": ("clang", SANITIZED),
}
ONNX = "onnxruntime"
CHAINS_AT_ONCE = 4  # shapes of a batch; each is quantized from a float model and built of extreme integers
STEPS_OF_A_MODEL = 30_000
STEPS_ON_A_TARGET = 4_000

KINDS: dict[str, Callable[[Spec], bool]] = {
    "convolution": lambda shape: any(isinstance(one, Conv) for one in shape.front),
    "same padding": lambda shape: any(one.after > 0 for one in shape.front),
    "pool over time": lambda shape: any(isinstance(one, TimePool) for one in shape.front),
    "dense": lambda shape: bool(shape.dense),
    "flatten": lambda shape: shape.readout.flattens,
    "bidirectional": lambda shape: bool(shape.backward),
    "weights of 4 bits": lambda shape: 4 in shape.weight_bits,
}
Counts = dict[str, dict[str, int]]  # steps by kind and engine
Engine = Callable[[IntModel, NDArray[np.int16]], Trace]


def kinds_of(shape: Spec) -> list[str]:
    """Kinds of layers that a shape has."""
    return [name for name, has in KINDS.items() if has(shape)]


def batch_from(seed: int, kind: str) -> tuple[int, list[tuple[int, Spec]]]:
    """The next seed, and some shapes from this one on, each with a kind of layer."""
    chosen: list[tuple[int, Spec]] = []
    while len(chosen) < CHAINS_AT_ONCE:
        for shape in (random_chain(seed), random_front_chain(seed), random_two_way_chain(seed)):
            if KINDS[kind](shape):
                chosen.append((seed, shape))
        seed += 1
    return seed, chosen


def engines_of(names: list[str], models: list[IntModel], folder: Path) -> dict[str, Engine]:
    """What computes the models, by name; C is built in the folder."""
    folders = [folder / model.name for model in models]
    made: dict[str, Engine] = {}
    for name in names:
        if name == ONNX:
            made[name] = run_trace_onnx
        elif name in HOST:
            command, flags = HOST[name]
            program = build_host(folders, folder / name, compiler=Compiler(command, (command,)), flags=flags)
            made[name] = lambda model, counts, program=program: run_on_host(program, model, counts)  # type: ignore[misc]
        else:
            image = build_for_target(folders, folder / name, load_target(name))
            made[name] = lambda model, counts, image=image: run_on_target(image, model, counts)  # type: ignore[misc]
    return made


def counts_for(model: IntModel, steps: int, seed: int) -> NDArray[np.int16]:
    """Extremes, noise and usual counts, int16 [B, T, C], for two windows and a part of one more."""
    time_steps = 2 * model.contract.window_length + 3
    each = -(-steps // (2 * time_steps))
    noise = random_counts(each, time_steps, model.num_channels, seed=seed)
    usual = random_counts(each, time_steps, model.num_channels, seed=seed + 1, sigma=400)
    return np.concatenate([extreme_counts(time_steps, model.num_channels, seed=seed), noise, usual])


def run_batch(shapes: list[tuple[int, Spec]], names: list[str], folder: Path, steps_of_a_model: int) -> Counts:
    """Compare each engine with the reference on all models of some shapes.

    Raises:
        AssertionError: a value differs.
    """
    models: dict[str, tuple[IntModel, Spec]] = {}
    for place, (seed, shape) in enumerate(shapes):
        for make, kind in ((quantized_model, "quantized"), (extreme_model, "extreme")):
            try:
                model = make(shape, name=f"chain{seed}_{place}_{kind}", seed=seed)
            except RangeProofError as refused:  # a random float model that quantize() refuses
                sys.stdout.write(f"seed {seed}: {refused}\n")
                continue
            models[model.name] = model, shape
            counts = random_counts(1, 2 * model.contract.window_length, model.num_channels, sigma=500)
            export_c(model, make_golden(model, counts), folder / model.name)
    engines = engines_of(names, [model for model, _ in models.values()], folder)
    done: Counts = {}
    for model, shape in models.values():
        counts = counts_for(model, steps_of_a_model, len(model.name))
        expected = run_reference(model, counts)
        for name, run in engines.items():
            found = compare(expected, run(model, counts))
            assert found.holds, (name, model.name, found.first)
            for kind in kinds_of(shape):
                of_kind = done.setdefault(kind, {})
                of_kind[name] = of_kind.get(name, 0) + found.steps
    return done


def fewest(counts: Mapping[str, Mapping[str, int]], names: list[str]) -> tuple[int, str]:
    """The fewest steps that a kind of layer has had on an engine, and the kind."""
    return min((min(counts.get(kind, {}).get(name, 0) for name in names), kind) for kind in KINDS)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="file that keeps the counts")
    parser.add_argument("--steps", type=int, default=1_000_000, help="steps for each kind of layer and engine")
    parser.add_argument("--engines", nargs="+", default=[ONNX, *HOST], help="engines, or names of targets")
    given = parser.parse_args(arguments)
    kept = json.loads(given.state.read_text("utf-8")) if given.state.is_file() else {}
    key = " ".join(given.engines)
    seed, counts = kept.get("seeds", {}).get(key, 1000), kept.get("steps", {})
    on_host = all(name in (ONNX, *HOST) for name in given.engines)
    while (least := fewest(counts, given.engines))[0] < given.steps:
        sys.stdout.write(f"seed {seed}: {least[0]:,} steps of {least[1]}\n")
        sys.stdout.flush()
        seed, shapes = batch_from(seed, least[1])
        with tempfile.TemporaryDirectory() as folder:
            done = run_batch(shapes, given.engines, Path(folder), STEPS_OF_A_MODEL if on_host else STEPS_ON_A_TARGET)
        for kind, of_kind in done.items():
            for name, steps in of_kind.items():
                counts.setdefault(kind, {})[name] = counts.get(kind, {}).get(name, 0) + steps
        kept = {"seeds": {**kept.get("seeds", {}), key: seed}, "steps": counts}
        write_atomically(given.state, json_text(kept) + "\n")
    for kind in KINDS:
        sys.stdout.write(f"{kind}: " + ", ".join(f"{name} {counts[kind][name]:,}" for name in given.engines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
