"""The client against a simulated device: every message, and its results against the reference."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.device.client import Device, connect, expected_contract
from edge_seq.device.follow import SampleBlock
from edge_seq.device.line import Timing
from edge_seq.device.messages import Capability, Decision, SelfTest
from edge_seq.device.transport import LoopbackTransport
from edge_seq.device.twin import Twin
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.parity.compare import compare
from edge_seq.support.errors import DeviceError, DeviceRefusedError
from firmware_export.emission.words import trace_of_words
from tests.zoo import CELLS, awkward_specs, quantized_model, random_counts, spec

FAST = Timing(timeout_s=0.2, retries=1, silence_s=0.2)


def car(**options: object) -> IntModel:
    return quantized_model(spec("lstm", 6, window_length=7, step="difference", pooling="mean", **options))  # type: ignore[arg-type]


def attach(twin: Twin) -> Device:
    return connect(lambda: LoopbackTransport(twin.receive), timing=FAST)


def test_hello_says_what_the_model_is() -> None:
    model = car()
    with attach(Twin(model)) as device:
        assert device.info.model_hash == model_hash(model)
        assert (device.info.num_channels, device.info.num_classes, device.info.window_length) == (3, 4, 7)
        assert device.hello() == device.info
        assert device.frame_errors == 0


def test_the_contract_is_that_of_the_model() -> None:
    model = replace(car(), labels=("parked", "straße" * 20, "c", "d"))
    with attach(Twin(model)) as device:
        assert device.contract() == expected_contract(model.contract, model.labels)
        assert device.contract().labels[1] == ("straße" * 20).encode()[:40].decode("utf-8", "ignore")


@pytest.mark.parametrize("body", [256, 1024])
@pytest.mark.parametrize("name", list(awkward_specs("lstm")))
def test_push_and_trace_give_what_the_reference_gives(name: str, body: int) -> None:
    model = quantized_model(awkward_specs("lstm")[name], amplitude=3.0)
    counts = random_counts(1, 40, model.num_channels)[0]
    expected = run_reference(model, counts[np.newaxis])
    with attach(Twin(model, max_body_bytes=body)) as device:
        rows = trace_of_words(model, device.trace(counts)[np.newaxis], traced=False)
        comparison = compare(expected, rows)
        assert comparison.holds, comparison.first
        assert ("decision" in comparison.names) == (name in ("decided", "distance"))
        device.reset()
        decisions = device.push(counts)
    due = [t for t, label in enumerate(expected.values["label"][0, :, 0]) if label >= 0]
    assert [one.position for one in decisions] == due
    assert [one.logits for one in decisions] == [tuple(expected.values["logits"][0, t]) for t in due]
    assert [one.label for one in decisions] == expected.values["label"][0, due, 0].tolist()
    decided = expected.values["decision"][0, due, 0].tolist() if name in ("decided", "distance") else [None] * len(due)
    assert [one.decision for one in decisions] == decided


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "name", ["deep", "decided", *(pytest.param(name, marks=pytest.mark.slow) for name in ("stream", "car", "distance"))]
)
def test_a_saved_state_goes_on_where_it_was(cell: str, name: str) -> None:
    model = quantized_model(awkward_specs(cell)[name])
    counts = random_counts(1, 30, model.num_channels)[0]
    for cut in (0, 4, 5, 9):
        with attach(Twin(model, max_body_bytes=256)) as device:
            if cut:
                device.push(counts[:cut])
            state = device.save_state()
            expected = device.trace(counts[cut:])
            device.restore_state(state)
            assert device.save_state() == state
            assert np.array_equal(device.trace(counts[cut:]), expected)


def test_a_damaged_state_is_refused_and_changes_nothing() -> None:
    with attach(Twin(car())) as device:
        device.push(random_counts(1, 5, 3)[0])
        state = device.save_state()
        with pytest.raises(DeviceRefusedError, match="state is damaged") as caught:
            device.restore_state(state[:-1] + bytes([state[-1] ^ 1]))
        assert caught.value.code == 8
        assert device.save_state() == state
        with pytest.raises(DeviceError, match=r"expected .*; it is from another model"):
            device.restore_state(state[:-1])


def test_the_self_test_says_where_it_failed() -> None:
    with attach(Twin(car())) as device:
        assert device.self_test().passed
    with attach(Twin(car(), self_test=SelfTest(7, 2, 31))) as device:
        assert device.self_test() == SelfTest(7, 2, 31)
        assert not device.self_test().passed


def test_cost_counts_steps() -> None:
    with attach(Twin(car())) as device:
        device.push(random_counts(1, 5, 3)[0])
        assert device.cost().steps == 5
        assert device.cost().mean_us is None


def test_counts_of_another_shape_are_refused_before_anything_is_sent() -> None:
    with attach(Twin(car())) as device:
        for wrong in (np.zeros((4, 2), np.int16), np.zeros((4, 3), np.int32), np.zeros((0, 3), np.int16)):
            with pytest.raises(DeviceError, match=r"expected int16 \[samples, 3\]"):
                device.push(wrong)


def test_a_stream_counts_what_the_device_drops_and_decides_as_the_reference() -> None:
    model = car()
    recording = random_counts(1, 50, 3)[0]
    clock = iter([0] * 4 + [*range(0, 40, 3), 200, 203, 210] + [300] * 1000)
    twin = Twin(model, recording=recording, samples_so_far=lambda: next(clock))
    with attach(twin) as device:
        items = list(islice(device.stream(decisions=True), 120))
    blocks = [item for item in items if isinstance(item, SampleBlock)]
    decisions = [item for item in items if isinstance(item, Decision)]
    indices = [index for block in blocks for index in range(block.first_index, block.first_index + len(block.counts))]
    assert sum(block.lost for block in blocks) == 1 + indices[-1] - indices[0] - len(indices) > 0
    counts = np.concatenate([block.counts for block in blocks])
    assert np.array_equal(counts, recording[np.array(indices) % 50])
    expected = run_reference(model, counts[np.newaxis]).values["label"][0, :, 0]
    assert [one.label for one in decisions] == expected[expected >= 0].tolist()[: len(decisions)]
    assert [one.position for one in decisions] == np.array(indices)[expected >= 0].tolist()[: len(decisions)]
    assert len(decisions) > 3


def test_a_board_without_a_sensor_does_not_stream() -> None:
    with attach(Twin(car())) as device:
        assert Capability.SENSOR not in device.info.capabilities
        with pytest.raises(DeviceError, match="cannot stream samples"):
            next(device.stream())
