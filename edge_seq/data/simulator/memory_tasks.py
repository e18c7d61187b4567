"""Two synthetic tasks that test memory only: recall of a cue, and a one-bit latch. numpy only.

**recall**: the first sample shows one of four cues: two bits, as the signs of two channels. T - 1 samples of noise
follow. The label of the window is the cue. It is the memory task of Hochreiter & Schmidhuber (1997, experiment 2) with
noise as distractor: a network must keep the cue for T steps.

**latch**: there is one channel. The first sample is a pulse up or down. Further pulses (one on average) may follow in
the first quarter of the window; each overwrites the one before. The label is the direction of the last pulse. A network
must set a bit, overwrite it, and keep it against noise for three quarters of the window (the latching task of Bengio,
Simard & Frasconi 1994, with overwriting).
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
AMPLITUDE = 4000  # amplitude of a cue or a pulse, counts
NOISE: dict[str, float] = {"recall": 0.3, "latch": 0.1}  # standard deviation, as a share of the amplitude
FURTHER_PULSES = 1  # average number, in the first quarter of a window of the latch
SAMPLE_RATE_HZ = 100.0  # the contract needs a rate, but nothing depends on it


def memory_contract(task: MemoryTask, time_steps: int) -> SensorContract:
    """Build the sensor contract of a task: channels in counts, windows without overlap, no preprocessing."""
    channels = tuple(Channel(name, "counts", 1.0, 32767.0) for name in _CHANNELS[task])
    return SensorContract(SAMPLE_RATE_HZ, channels, window_length=time_steps, window_stride=time_steps)


def make_memory_windows(task: MemoryTask, *, time_steps: int, count: int, seed: tuple[int, ...]) -> Windows:
    """Draw windows of a task.

    Args:
        task: ``recall`` or ``latch``.
        time_steps: samples in a window, T, at least 2.
        count: number of windows, B, at least 1.
        seed: seed of every draw; the same numbers give the same windows.

    Returns:
        windows with counts int16 [B, T, C], C = 2 (recall) or 1 (latch), and labels int16 [B]. The windows are
        independent, so each is a group of its own.

    Raises:
        ConfigError: ``time_steps`` or ``count`` is too small.

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
