"""The WebAssembly package in Node.js: bytes, samples a second, and random samples compared with the C on this machine.

python -m tests.benchmarks.wasm_speed --out docs/results/webassembly.md
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.pipeline.exports import render_c, render_packages, write_exports
from firmware_export.measuring.reference_models import CELLS, SHAPES, reference_counts, reference_model
from firmware_export.toolchain.host_library import infer_windows, load_host_library
from tests.benchmarks.host_speed import machine

STEPS = 2_000_000
# Takes the counts from a file, and writes the logits of every answer. The first tenth warms the engine up.
SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import { contract, load } from "./index.js";
const [counts, out] = process.argv.slice(2);
const bytes = readFileSync(counts), width = contract.channels.length;
const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
const model = await load(), answers = [];
const steps = samples.length / width;
const busy = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
let begun = 0;
for (let at = 0; at < steps; at++) {
  if (at === Math.floor(steps / 10)) begun = busy();
  const answer = model.step(samples.subarray(at * width, (at + 1) * width));
  if (answer !== null) answers.push(answer.logits);
}
const seconds = busy() - begun;
const logits = new Int32Array(answers.flatMap((one) => [...one]));
writeFileSync(out, new Uint8Array(logits.buffer));
console.log(JSON.stringify({ rate: (steps - Math.floor(steps / 10)) / seconds, node: process.version }));
"""


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        module_bytes, packed_bytes: WebAssembly module, and the same with gzip.
        rate: samples in a second of processor time through ``model.step``, its checks included.
        steps, windows: samples and answers that were compared with the C on this machine.
        mismatches: answers with any other logit.
        node: release of Node.js.
    """

    model: str
    cell: str
    module_bytes: int
    packed_bytes: int
    rate: float
    steps: int
    windows: int
    mismatches: int
    node: str


def random_windows(time_steps: int, channels: int, usual: NDArray[np.int16], steps: int) -> NDArray[np.int16]:
    """Windows int16 [W, T, C] of at least ``steps`` samples: half with any 16-bit values, half a signal with noise."""
    rng = np.random.default_rng(7)
    windows = -(-steps // time_steps)
    counts = rng.integers(-(2**15), 2**15, (windows, time_steps, channels), dtype=np.int16)
    noise = rng.normal(0, 50, counts[1::2].shape)
    like = np.resize(usual, noise.shape) + noise
    counts[1::2] = np.clip(np.rint(like), -(2**15), 2**15 - 1).astype(np.int16)
    return counts


def measure(name: str, cell: str, folder: Path, steps: int) -> Row:
    """Package a reference model, run it, and compare it with the C of this machine."""
    shape, model = SHAPES[name], reference_model(name, cell)  # type: ignore[arg-type]
    usual = reference_counts(shape, windows=8)
    c_files = render_c(model, usual[:1])
    package = render_packages(["wasm"], c_files)
    write_exports({**c_files, **package}, folder)
    (place,) = (path.parent for path in folder.rglob("index.js"))
    module = (place / f"{model.name}.wasm").read_bytes()
    counts = random_windows(shape.time_steps, model.num_channels, usual, steps)
    (place / "counts.bin").write_bytes(counts.astype("<i2").tobytes())
    (place / "run.mjs").write_text(SCRIPT)
    command = ["node", "run.mjs", "counts.bin", "logits.bin"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    logits = np.frombuffer((place / "logits.bin").read_bytes(), dtype="<i4").reshape(-1, model.num_classes)
    expected, _ = infer_windows(load_host_library(folder / "c", model, folder / "host.so"), counts)
    assert logits.shape == expected.shape, f"{len(logits)} answers, expected {len(expected)}"
    return Row(
        model=name,
        cell=cell,
        module_bytes=len(module),
        packed_bytes=len(gzip.compress(module, mtime=0)),
        rate=float(found["rate"]),
        steps=counts.shape[0] * counts.shape[1],
        windows=len(counts),
        mismatches=int((logits != expected).any(axis=1).sum()),
        node=str(found["node"]),
    )


def document(rows: list[Row], steps: int) -> str:
    """Markdown."""
    lines = [
        f"| {row.model} {row.cell.upper()} | {row.module_bytes:,} | {row.packed_bytes:,} | {row.rate:,.0f} "
        f"| {row.steps:,} | {row.windows:,} | {row.mismatches} |"
        for row in rows
    ]
    table = "\n".join(lines)
    return f"""# WebAssembly

`python -m tests.benchmarks.wasm_speed --out docs/results/webassembly.md` wrote this page. Each reference model was
exported with `--package wasm` and ran in Node.js {rows[0].node} on {machine()}. The module holds runtime, model,
golden vectors and self-test; "packed" is the module with gzip. Samples a second are calls of `model.step` in a second
of processor time, its checks and the copy of the counts included.

The samples are random: {steps:,} a model, half of the windows with any 16-bit values, half a signal with noise. The
logits of every window were compared with those of the C on this machine, compiled with its fastest kernel.

| model | module, bytes | packed | samples a second | samples compared | windows | other logits |
|---|--:|--:|--:|--:|--:|--:|
{table}

`edge-seq verify RUN --target wasm32` compares every step and state in `wasmtime`.
"""


def main() -> None:
    """Measure, print, and write where asked to. Exit code 1 if any logit differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write Markdown here")
    parser.add_argument("--models", nargs="*", default=["car"], choices=list(SHAPES))
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in options.models:
            for cell in CELLS:
                rows.append(measure(name, cell, Path(folder) / f"{name}_{cell}", options.steps))
    text = document(rows, options.steps)
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    if any(row.mismatches for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
