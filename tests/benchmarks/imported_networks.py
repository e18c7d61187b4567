"""Published shapes of networks, trained briefly on hapt, imported by file, and proven the same down to a Cortex-M4.

    python -m tests.benchmarks.imported_networks --work build/imported --out docs/results/imported_networks.md

Each network leaves ``<name>.json`` in the work folder, so that an interrupted run goes on. Names after the options make
these networks alone; the table holds all that are there. It needs Keras and torch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # steps of so small layers are slower on several threads

import numpy as np

import edge_seq as es
from edge_seq.data.windows import spread
from edge_seq.frontends.originals import run_original
from edge_seq.ir.model import IntModel
from edge_seq.parity.ladder import Ladder
from edge_seq.support.files import write_atomically
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.toolchain.target import load_target
from tests.benchmarks.networks import CATEGORIES, KERAS, REFUSED, TORCH, of_keras, of_torch

TARGET = "cortex_m4"
WINDOWS = 600  # of hapt's training part, spread evenly; split again by subject
STEPS, BATCH = 12, 32  # of the training
VERIFIED, EXTREME = 6, 2  # windows of 128 samples


def small_data(path: Path) -> es.Data:
    """Some windows of hapt, split by subject."""
    source = es.load(path)
    chosen = spread(len(source.train.labels), WINDOWS)
    side = source.train
    return es.windows(
        side.counts[chosen],
        side.labels[chosen],
        side.groups[chosen],
        source.contract,
        label_names=source.labels,
        name="hapt",
        validation_fraction=0.15,
        test_fraction=0.3,
    )


def trained_file(name: str, x: Any, labels: Any, folder: Path) -> Path:
    """Train a network for some steps and save it: ``.keras``, or ``.onnx`` by torch's exporter. A file that an
    interrupted run has left is taken."""
    path = folder / f"{name}{'.keras' if name in KERAS else '.onnx'}"
    if path.exists():
        return path
    import torch

    torch.manual_seed(0)
    order = np.random.default_rng(0).permutation(len(x))
    batches = [order[np.arange(step * BATCH, (step + 1) * BATCH) % len(x)] for step in range(STEPS)]
    if name in KERAS:
        import keras

        keras.utils.set_random_seed(0)
        network = keras.Sequential(
            [keras.Input(x.shape[1:]), *of_keras(name), keras.layers.Dense(6, activation="softmax")]
        )
        network.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
        for batch in batches:
            network.train_on_batch(x[batch], labels[batch])
        network.save(path)
        return path
    module = of_torch(name)
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    given, expected = torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64))
    for batch in batches:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(given[batch]), expected[batch]).backward()
        optimizer.step()
    shapes = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(
        module.eval(), (given[:2],), path, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=shapes
    )
    return path


def figures_on_target(model: IntModel, counts: Any) -> dict[str, int | str]:
    """Flash, RAM and instructions of a window on the target, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "c"
        export_c(model, make_golden(model, counts[:1]), exported)
        try:
            found = measure(exported, model, load_target(TARGET), steps=1)
        except es.EdgeSeqError as error:
            return {"note": str(error).splitlines()[0][:200]}
    assert found.sizes is not None
    assert found.instructions is not None
    return {"flash": found.sizes.flash, "ram": found.sizes.ram, "instructions": found.instructions}


def commit() -> str:
    """The commit that is measured, as git names it in short."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def measured(name: str, data: es.Data, folder: Path) -> dict[str, Any]:
    """Train, import, quantize, verify and measure a network."""
    per_unit = np.array([channel.counts_per_unit for channel in data.contract.channels])
    values = (data.train.counts / per_unit).astype(np.float32)
    mean, scale = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    path = trained_file(name, ((values - mean) / scale).astype(np.float32), data.train.labels, folder)
    load = es.from_keras if path.suffix == ".keras" else es.from_onnx
    network = load(path, data, mean=mean.tolist(), scale=scale.tolist(), name=name)
    chip = es.quantize(network, calibration=data, quiet=True)
    test = data.test
    assert test is not None
    original = run_original(network.imported.original, network.imported.network_input(test.counts))
    same = float((original.outputs.argmax(axis=1) == chip.predict(test.counts).indices).mean())
    ladder = es.verify(chip, data, targets=[TARGET], max_windows=VERIFIED, extreme_windows=EXTREME, quiet=True)
    return {
        "name": name,
        "from": path.suffix,
        "batches": STEPS,
        "commit": commit(),
        "same_label": same,
        "windows": len(test.labels),
        "rungs": [[rung.name, rung.kind, rung.verdict, rung.detail] for rung in ladder.rungs],
        **_exact(ladder),
        **figures_on_target(chip.model, test.counts),
    }


def _exact(ladder: Ladder) -> dict[str, Any]:
    exact = [rung for rung in ladder.rungs if rung.kind == "exact"]
    host = [rung for rung in exact if TARGET not in rung.name]
    on_target = [rung for rung in exact if TARGET in rung.name]
    return {
        "original": next((rung.verdict for rung in ladder.rungs if rung.name.startswith("imported")), "missing"),
        "host": all(rung.verdict == "holds" for rung in host),
        "target": all(rung.verdict == "holds" for rung in on_target) and bool(on_target),
    }


def page(results: list[dict[str, Any]]) -> str:
    """The table as a page."""
    rows = [
        f"| {one['name']} | `{one['from']}` | {one['original']} | {'exact' if one['host'] else 'differs'} | "
        f"{'exact' if one['target'] else 'not shown'} | {100 * one['same_label']:.1f} % | "
        + (
            f"{one['flash']:,} | {one['ram']:,} | {one['instructions']:,} |"
            if "flash" in one
            else f"{one['note']} | - | - |"
        )
        + f" {one['commit']} |"
        for one in results
    ]
    refused = "\n".join(f"| {what} | {why} |" for what, why in REFUSED.items())
    done = {one["name"] for one in results if one["host"]}
    shares = "\n".join(
        f"| {category} | {share} % | {', '.join(name for name in names if name in done) or 'none'} | "
        f"{', '.join(name for name in names if name not in done) or 'none'} |"
        for category, (share, names) in CATEGORIES.items()
    )
    batches = " or ".join(str(count) for count in sorted({one["batches"] for one in results}))
    exact = sum(one["host"] for one in results)
    on_target = sum(one["target"] for one in results)
    return f"""# Imported networks

Shapes of networks that are published for the recognition of activities, written anew in Keras and PyTorch
(`tests/benchmarks/networks.py`), trained for {batches} batches on some windows of [hapt](../../datasets/hapt.md)
(128 samples of 6 channels), saved, and imported by file. They are trained too briefly for their accuracy to mean
anything; what counts is that the integer model gives the labels of the original.

`python -m tests.benchmarks.imported_networks --work build/imported --out docs/results/imported_networks.md` makes this
page. {len(results)} of {len(KERAS) + len(TORCH)} networks were measured. {exact} are exact on every exact rung on the
host (integer reference, ONNX Runtime, C), and {on_target} on an emulated Cortex-M4, on {VERIFIED} windows of the test
part and {EXTREME} of random and extreme counts.

- original: the file, evaluated by Keras or ONNX Runtime, and the float reference agree within the tolerance;
- same label: share of {results[0]["windows"] if results else 0} windows of other subjects on which the integer model
  gives the label of the original;
- flash and RAM in bytes of the linked program without the harness; instructions of a window of 128 samples.

| network | file | original | host | {TARGET} | same label | flash | RAM | instructions | commit |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

## Share of published networks

A survey of public repositories found 78 definitions of networks that classify activities, driving, falls and gestures
from motion, 45 in Keras, 29 in PyTorch and 4 in TensorFlow 1. The shares are of those with nothing but what a category,
and those above it, have. They are the survey's; its definitions are not kept here, so a category counts as taken if
networks of its usual forms are imported and exact above. All categories together are 74 %. That is an upper bound: the
last category also has the forms of the first two rows of the table below, which are refused, and the survey did not
count them apart.

| category | definitions | exact here | not measured |
|---|--:|---|---|
{shares}

Each network is also built untrained, imported by file and compared with its framework by
`pytest -m slow tests/unit/frontends/test_published_networks.py`.

## What is refused

| in the network | why |
|---|---|
{refused}
"""


def main() -> None:
    """Measure the networks that have no result yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("datasets/hapt.toml"))
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    names = given.names or [*KERAS, *TORCH]
    data = None
    for name in names:
        result = given.work / f"{name}.json"
        if not result.exists():
            data = small_data(given.data) if data is None else data
            write_atomically(result, json.dumps(measured(name, data, given.work), indent=1).encode())
            print(name, "done", flush=True)  # noqa: T201
    every = [given.work / f"{name}.json" for name in (*KERAS, *TORCH)]
    results = [json.loads(path.read_text()) for path in every if path.exists()]
    write_atomically(given.out, page(results).encode())


if __name__ == "__main__":
    main()
