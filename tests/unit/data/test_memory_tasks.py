"""The memory tasks test memory: the label is in the first samples, and not in the last ones."""

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.data.simulator.memory_tasks import (
    AMPLITUDE,
    LABELS,
    MEMORY_TASKS,
    MemoryTask,
    make_memory_windows,
    memory_contract,
)
from edge_seq.ir.contract import verify_contract
from edge_seq.support.errors import ConfigError


def draw(task: MemoryTask, time_steps: int = 40, count: int = 400, seed: int = 0) -> Windows:
    return make_memory_windows(task, time_steps=time_steps, count=count, seed=(seed, 0))


@pytest.mark.parametrize("task", MEMORY_TASKS)
def test_windows_fit_their_contract_and_all_classes_occur(task: MemoryTask) -> None:
    contract = memory_contract(task, 40)
    verify_contract(contract)
    windows = draw(task)
    assert windows.counts.shape == (400, 40, contract.num_channels)
    assert windows.counts.dtype == np.int16
    assert np.bincount(windows.labels).min() > 400 / len(LABELS[task]) / 2
    assert len(np.bincount(windows.labels)) == len(LABELS[task])
    assert len(set(windows.groups.tolist())) == 400


@pytest.mark.parametrize("task", MEMORY_TASKS)
def test_the_same_seed_gives_the_same_windows_and_another_seed_others(task: MemoryTask) -> None:
    np.testing.assert_array_equal(draw(task).counts, draw(task).counts)
    assert (draw(task, seed=1).counts != draw(task).counts).any()


def test_recall_shows_the_cue_in_the_first_sample_only() -> None:
    windows = draw("recall")
    bits = windows.counts[:, 0] > 0
    assert ((bits[:, 0] + 2 * bits[:, 1]) == windows.labels).mean() > 0.99
    later = windows.counts[:, 1:].astype(float)
    of_class = np.stack([later[windows.labels == k].mean(axis=(0, 1)) for k in range(4)])
    assert np.abs(of_class).max() < 0.05 * AMPLITUDE


def test_the_latch_has_the_direction_of_its_last_pulse_all_in_the_first_quarter() -> None:
    windows = draw("latch")
    signal = windows.counts[:, :, 0] / AMPLITUDE
    pulses = np.abs(signal) > 0.5
    assert pulses[:, 0].all()
    assert not pulses[:, 10:].any()
    assert 1.5 < pulses.sum(axis=1).mean() < 2.5
    last = np.where(pulses, np.arange(40), 0).max(axis=1)
    np.testing.assert_array_equal(signal[np.arange(400), last] > 0, windows.labels == 1)


@pytest.mark.parametrize(("time_steps", "count"), [(1, 5), (5, 0)])
def test_what_cannot_be_drawn_is_refused(time_steps: int, count: int) -> None:
    with pytest.raises(ConfigError, match=r"task recall: . windows of . samples; give at least 1 window of at least 2"):
        make_memory_windows("recall", time_steps=time_steps, count=count, seed=(0,))
