"""Two tasks that test nothing but memory: a cue to be recalled, and a one-bit latch. numpy only.

**recall**: the first sample shows one of four cues, two bits as the signs of two channels; T - 1 samples of noise
follow; the label of the window is the cue. It is the memory task of Hochreiter & Schmidhuber (1997, experiment 2) with
noise as distractor: a network must carry something over T steps that nothing reminds it of.

**latch**: one channel; the first sample is a pulse up or down, and in the first quarter of the window others may come
(one on average), which overwrite it; the label is the direction of the last one. A bit has to be set, overwritten, and
held against noise over three quarters of the window (the latching of Bengio, Simard & Frasconi 1994, with overwriting).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.support.errors import ConfigError

MemoryTask = Literal["recall", "latch"]
MEMORY_TASKS: tuple[str, ...] = get_args(MemoryTask)

LABELS: dict[str, tuple[str, ...]] = {
    "recall": ("low_low", "high_low", "low_high", "high_high"),
    "latch": ("reset", "set"),
}
_CHANNELS: dict[str, tuple[str, ...]] = {"recall": ("bit0", "bit1"), "latch": ("pulse",)}
AMPLITUDE = 4000  # of a cue or a pulse, counts
NOISE: dict[str, float] = {"recall": 0.3, "latch": 0.1}  # standard deviation, as a share of the amplitude
FURTHER_PULSES = 1  # on average, in the first quarter of a window of the latch
SAMPLE_RATE_HZ = 100.0  # a number that the contract needs and nothing depends on


def memory_contract(task: MemoryTask, time_steps: int) -> SensorContract:
    """The contract of a task: channels in counts, one window after another, no preprocessing."""
    channels = tuple(Channel(name, "counts", 1.0, 32767.0) for name in _CHANNELS[task])
    return SensorContract(SAMPLE_RATE_HZ, channels, window_length=time_steps, window_stride=time_steps)


def make_memory_windows(task: MemoryTask, *, time_steps: int, count: int, seed: tuple[int, ...]) -> Windows:
    """Draw windows of a task.

    Args:
        task: ``recall`` or ``latch``.
        time_steps: T, at least 2.
        count: B.
        seed: of everything; the same numbers give the same windows.

    Returns:
        counts int16 [B, T, C] with C = 2 (recall) or 1 (latch), labels int16 [B]; each window is a group of its own, as
        all are independent.

    Raises:
        ConfigError: a window too short to remember anything, or no windows.

    >>> windows = make_memory_windows("recall", time_steps=8, count=2, seed=(0,))
    >>> windows.counts.shape, windows.labels.shape
    ((2, 8, 2), (2,))
    """
    if time_steps < 2 or count < 1:
        raise ConfigError(
            f"task {task}: {count} windows of {time_steps} samples; give at least 1 window of at least 2 samples"
        )
    rng = np.random.default_rng(np.random.SeedSequence([MEMORY_TASKS.index(task), time_steps, *seed]))
    signal, labels = (_recall if task == "recall" else _latch)(rng, count, time_steps)
    counts = AMPLITUDE * (signal + rng.normal(0.0, NOISE[task], signal.shape))
    return Windows(
        counts=np.clip(np.rint(counts), -32768, 32767).astype(np.int16),
        labels=labels.astype(np.int16),
        groups=np.array([f"w{index}" for index in range(count)]),
    )


def _recall(rng: np.random.Generator, count: int, time_steps: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    labels = rng.integers(0, 4, count)
    signal = np.zeros((count, time_steps, 2))
    signal[:, 0] = np.stack([2 * (labels % 2) - 1, 2 * (labels // 2) - 1], axis=1)
    return signal, labels


def _latch(rng: np.random.Generator, count: int, time_steps: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    quarter = max(1, time_steps // 4)
    is_pulse = np.zeros((count, time_steps), dtype=np.bool_)
    is_pulse[:, :quarter] = rng.random((count, quarter)) < FURTHER_PULSES / quarter
    is_pulse[:, 0] = True
    direction = rng.choice(np.array([-1, 1]), (count, time_steps)) * is_pulse
    last = np.where(is_pulse, np.arange(time_steps), 0).max(axis=1)
    labels = (direction[np.arange(count), last] > 0).astype(np.int64)
    return direction[:, :, np.newaxis].astype(np.float64), labels
