"""One stream of a board, decided four times: by the board, sample by sample, from a file, and as evaluate does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx_run import load_onnx
from edge_seq.device.client import SampleBlock, open_device
from edge_seq.device.messages import Decision as BoardDecision
from edge_seq.ir.model import IntModel
from edge_seq.workflow.quantize import int_probabilities
from edge_seq.workflow.run import Decision, decide
from tests.cli.conftest import ok


def stream_of(port: str, num_samples: int) -> tuple[NDArray[np.int16], list[BoardDecision], int]:
    """Samples int16 [n, C] without a gap, the board's own decisions on them, and the index of the first sample."""
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
    """The labels of so many windows of a board's stream, by who decided; a model that resets after each window."""
    contract = model.contract
    length = contract.window_length
    counts, own, first = stream_of(port, windows * length)
    by_board = [model.labels[one.label] for one in own if one.position - first < len(counts)]
    one_by_one = [one.label for one in decide(load_onnx(onnx), counts) if isinstance(one, Decision)]
    per_unit = np.array([channel.counts_per_unit for channel in contract.channels])
    lines = [
        ",".join([repr(index / contract.sample_rate_hz), *map(repr, values)])
        for index, values in enumerate((counts / per_unit).tolist())
    ]
    path = folder / "stream.csv"
    path.write_text("\n".join([",".join(["t", *contract.channel_names]), *lines]) + "\n")
    of_file = [json.loads(line)["label"] for line in ok("run", onnx, "--source", path, "--json").out.splitlines()]
    evaluated = int_probabilities(model, counts.reshape(windows, length, -1)).argmax(axis=1)
    return {
        "board": by_board,
        "stream": one_by_one,
        "file": of_file,
        "evaluate": [model.labels[label] for label in evaluated],
    }
