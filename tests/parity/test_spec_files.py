"""What SPEC.md says of files, graphs and ranges is read from its text, and compared with what is written."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import firmware_export
from edge_seq.backends.onnx.int_export import export_onnx_int, int_states
from edge_seq.backends.onnx.run import open_onnx, run_steps_onnx
from edge_seq.backends.reference_int import run_reference
from edge_seq.ir import contract, verify
from edge_seq.ir.kind_names import CELL_NAMES
from edge_seq.ir.model import model_hash
from edge_seq.ir.serialize import save_model
from tests import zoo

SPEC = (Path(firmware_export.__file__).parent / "SPEC.md").read_text(encoding="utf-8")
ZOO = {model.name: model for model in zoo.awkward_models()}
GROUPS = {
    "rnn": ["hidden"],
    "gru": ["reset_gate", "update_gate", "new_gate_input", "new_gate_hidden"],
    "lstm": ["input_gate", "forget_gate", "cell_gate", "output_gate"],
    "fastgrnn": ["new_gate"],
}
CLASSES = {"rnn": "Rnn", "gru": "Gru", "lstm": "Lstm", "fastgrnn": "FastGrnn"}


def section(number: int) -> str:
    return SPEC.split(f"\n## {number}. ")[1].split("\n## ")[0]


def rows_of(text: str) -> dict[str, str]:
    """First and last cell of the rows of a section's tables."""
    found = re.findall(r"^\| ([^|]+) \|(?:.*\|)? ([^|]*) \|$", text, flags=re.MULTILINE)
    return {first.strip(): last.strip() for first, last in found}


def test_ranges_are_those_that_a_model_is_held_to() -> None:
    ranges = rows_of(section(1))
    expected = {
        "channels `C`": (1, contract.MAX_CHANNELS),
        "classes `K`": (2, verify.MAX_CLASSES),
        "window length `T`": (1, contract.MAX_WINDOW_LENGTH),
        "recurrent layers": (1, verify.MAX_LAYERS),
        "front layers": (0, verify.MAX_FRONT_LAYERS),
        "dense layers": (0, verify.MAX_DENSE_LAYERS),
        "units of a layer `H`": (1, verify.MAX_HIDDEN_SIZE),
        "inputs that a front layer keeps besides the latest": (0, verify.MAX_REACH),
        "`input_shift` of a feature": (0, verify.INPUT_SHIFT_MAX),
        "shift of `remove_gravity`": (1, 12),
        "companding `k`, where there is one": (contract.MIN_COMPANDING, contract.MAX_COMPANDING),
        "`cell_frac_bits` of a layer": (verify.CELL_FRAC_BITS[0], verify.CELL_FRAC_BITS[-1]),
    }
    for name, (low, high) in expected.items():
        assert ranges[name] == f"{low} .. {high}", name


def read_safetensors(content: bytes) -> tuple[dict[str, tuple[str, list[int], bytes]], dict[str, Any]]:
    """Type, shape and bytes of each tensor by name, and the header, from the format's own description."""
    (size,) = struct.unpack("<Q", content[:8])
    entries, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header = json.loads(entries.pop("__metadata__")["edge_seq"])
    types = {"I8": "int8", "I16": "int16", "I32": "int32"}
    return {
        name: (types[one["dtype"]], one["shape"], data[slice(*one["data_offsets"])]) for name, one in entries.items()
    }, header


def hash_by_the_text(content: bytes) -> str:
    """The model hash of a file, as section 22 says."""
    tensors, header = read_safetensors(content)
    fields = ["wide", "narrow_input", "narrow_hidden", "bias", "multiplier"]
    names: list[str] = []
    for index, kind in enumerate(header["cells"]):
        names += [f"layer{index}.{group}.{field}" for group in GROUPS[kind] for field in fields]
        names += [f"layer{index}.{name}" for name in ("update_offset", "zeta", "nu")] if kind == "fastgrnn" else []
    places = [f"front{i}" for i, one in enumerate(header.get("front", [])) if one["layer"] == "conv"]
    places += [f"dense{i}" for i in range(len(header.get("dense", [])))] + ["head"]
    names += [f"{place}.{field}" for place in places for field in fields]
    assert sorted(names) == sorted(tensors)
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(json.dumps(value, sort_keys=True).encode())

    add([header[key] for key in ("labels", "contract", "readout", "number_format")])
    for name in names:
        kind, shape, data = tensors[name]
        written = f"({shape[0]},)" if len(shape) == 1 else f"({shape[0]}, {shape[1]})"
        digest.update(f"{name}{written}{kind}".encode() + data)
    classes = ", ".join(f"'{CLASSES[kind]}'" for kind in header["cells"])
    digest.update(f"({classes},)".encode() if len(header["cells"]) == 1 else f"({classes})".encode())
    for key in ("front", "dense"):
        if key in header:
            add(header[key])
    if "backward" in header:
        add({"backward": header["backward"]})
    return digest.hexdigest()


@pytest.mark.parametrize("name", [f"{cell}_{shape}" for cell in CELL_NAMES for shape in ("mixed", "distance", "deep")])
def test_the_model_file_and_its_hash(name: str, tmp_path: Path) -> None:
    model = ZOO[name]
    save_model(model, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    header = read_safetensors(content)[1]
    assert set(header) <= {key.strip("`") for key in rows_of(section(22))}
    assert hash_by_the_text(content) == header["sha256"] == model_hash(model)


def state_names() -> set[str]:
    """Names of the states in the table of section 23."""
    names: set[str] = set()
    for cell in rows_of(section(23)):
        quoted = re.findall(r"`([^`]+)`", cell)
        names |= {one if not one.startswith(".") else quoted[0].rsplit(".", 1)[0] + one for one in quoted}
    return names


@pytest.mark.parametrize("name", ["lstm_deep", "gru_distance", "fastgrnn_mixed", "rnn_decided"])
def test_the_step_graph_has_the_interface_of_the_text(name: str) -> None:
    model = ZOO[name]
    exported = open_onnx(export_onnx_int(model, form="step"))
    inputs = [port.name for port in exported.session.get_inputs()]
    states = {one for one in inputs if one != "counts"}
    assert {re.sub(r"(layer|front)\d", r"\1<i>", one) for one in states} <= state_names()
    decision = {"decision"} if model.readout.decision else set()
    assert set(exported.outputs) == {"logits", "label", *decision, *(f"{one}.next" for one in states)}
    length = model.contract.window_length
    counts = zoo.random_counts(2, length, model.num_channels, sigma=400)
    expected = run_reference(model, counts).values["label"]
    for t, outputs in enumerate(run_steps_onnx(exported, counts)):
        assert np.array_equal(outputs["label"], expected[:, t, 0])
        if outputs["label"][0] == -1:
            assert not outputs["logits"].any()
    if model.readout.at_window_end == "reset":  # with the window's last sample
        kept = {"decision.scores", "decision.decided", "decision.pending", "decision.run", "decision.excess"}
        for one in states - kept - {"decision.primed"}:
            assert not outputs[f"{one}.next"].any(), one
    metadata = {entry.key.removeprefix("edge_seq.") for entry in exported.proto.metadata_props}
    said = re.search(r"Metadata have the prefix `edge_seq.`: (.*?), the\s+SHA-256", section(23), flags=re.DOTALL)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[1])) == metadata


def test_states_of_the_table_are_those_of_some_model() -> None:
    found: set[str] = set()
    for model in ZOO.values():
        found |= {re.sub(r"(layer|front)\d", r"\1<i>", port.name) for port in int_states(model)}
    assert found == state_names()
