"""One stream of a board, classified four times: by the board, sample by sample, from a file, and by evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import load_onnx
from edge_seq.backends.reference_int import run_reference
from edge_seq.device.client import open_device
from edge_seq.device.follow import SampleBlock
from edge_seq.device.messages import Decision as BoardDecision
from edge_seq.ir.model import IntModel
from edge_seq.live.engine import OnnxEngine
from edge_seq.live.run import Decision, decide
from edge_seq.live.samples import UNKNOWN
from edge_seq.pipeline.logits import probabilities_of
from tests.cli.conftest import ok


def stream_of(port: str, num_samples: int) -> tuple[NDArray[np.int16], list[BoardDecision], int]:
    """Samples int16 [n, C] without a gap, the board's decisions on them, and the index of the first sample."""
    blocks: list[SampleBlock] = []
    decisions: list[BoardDecision] = []
    with open_device(port) as device:
        for item in device.stream(decisions=True):
            if isinstance(item, BoardDecision):
                decisions.append(item)
                continue
            if sum(len(block.counts) for block in blocks) >= num_samples:
                break
            assert item.lost == 0, f"{item.lost} samples lost"
            blocks.append(item)
    return np.concatenate([block.counts for block in blocks])[:num_samples], decisions, blocks[0].first_index


def decide_four_times(model: IntModel, onnx: Path, port: str, folder: Path, *, windows: int) -> dict[str, list[str]]:
    """Labels of some windows of a board's stream, by classifier, for a model that resets after each window. With a
    decision stage, each label comes with its decision."""
    contract = model.contract
    length = contract.window_length
    counts, own, first = stream_of(port, windows * length)
    names = (*model.labels, UNKNOWN)

    def named(label: str, decision: str | None) -> str:
        return label if decision is None else f"{label}, decided {decision}"

    by_board = [
        named(names[one.label], None if one.decision is None else names[one.decision])
        for one in own
        if one.position - first < len(counts)
    ]
    one_by_one = [
        named(one.label, one.decision)
        for one in decide(OnnxEngine(load_onnx(onnx)), [counts])
        if isinstance(one, Decision)
    ]
    per_unit = np.array([channel.counts_per_unit for channel in contract.channels])
    lines = [
        ",".join([repr(index / contract.sample_rate_hz), *map(repr, values)])
        for index, values in enumerate((counts / per_unit).tolist())
    ]
    path = folder / "stream.csv"
    path.write_text("\n".join([",".join(["t", *contract.channel_names]), *lines]) + "\n")
    printed = [json.loads(line) for line in ok("run", onnx, "--source", path, "--json").out.splitlines()]
    of_file = [named(one["label"], one.get("decision")) for one in printed]
    evaluated = probabilities_of(model, counts.reshape(windows, length, -1)).argmax(axis=1)
    decided: list[str | None] = [None] * windows
    if model.readout.decision is not None:
        due = run_reference(model, counts[np.newaxis]).values["decision"][0, length - 1 :: length, 0]
        decided = [names[decision] for decision in due]
    return {
        "board": by_board,
        "stream": one_by_one,
        "file": of_file,
        "evaluate": [named(names[label], decision) for label, decision in zip(evaluated, decided, strict=True)],
    }
