"""Small windows whose classes are frequencies, at random orientations. They are learnt quickly and are not trivial."""

from __future__ import annotations

import numpy as np
import pytest

from edge_seq.data.recording import Windows
from edge_seq.ir.contract import Channel, SensorContract

CLASSES = 3


def make_test_windows(num_windows: int, seed: int, *, time_steps: int = 20) -> Windows:
    generator = np.random.default_rng(seed)
    labels = (np.arange(num_windows) % CLASSES).astype(np.int16)
    phase = 0.35 * (1 + labels)[:, None] * np.arange(time_steps) + generator.uniform(0, 6, (num_windows, 1))
    direction = generator.normal(size=(num_windows, 1, 3)) * [3000, 3000, 1500]
    noise = generator.normal(size=(num_windows, time_steps, 3)) * 500
    counts = np.sin(phase)[:, :, None] * direction + noise + [0, 1000, 8192]
    groups = np.array([f"drive{seed}_{i % 6}" for i in range(num_windows)])
    of_samples = np.repeat(labels[:, None], time_steps, axis=1)
    return Windows(np.clip(counts, -32767, 32767).astype(np.int16), labels, groups, of_samples)


@pytest.fixture
def contract() -> SensorContract:
    channels = tuple(Channel(name, "g", 8192.0, 4.0) for name in ("ax", "ay", "az"))
    return SensorContract(sample_rate_hz=10.0, channels=channels, window_length=20, window_stride=20)


@pytest.fixture
def train_windows() -> Windows:
    return make_test_windows(180, seed=1)


@pytest.fixture
def validation_windows() -> Windows:
    return make_test_windows(90, seed=2)
