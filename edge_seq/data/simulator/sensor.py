"""Model of the accelerometer: mounting, filter, aliasing, sample clock, bias, noise, range, resolution, counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.simulator.spectrum import FloatArray, apply_response, second_order
from edge_seq.data.simulator.vehicle import GRAVITY
from edge_seq.ir.contract import Channel

COUNTS_PER_G = 8192.0  # 0.122 mg per count: the +-4 g range of ST's ASM330LHH and of most 16-bit accelerometers
FULL_SCALE_G = 4.0
CHANNELS = tuple(
    Channel(name=name, unit="m/s^2", counts_per_unit=COUNTS_PER_G / GRAVITY, full_scale=FULL_SCALE_G * GRAVITY)
    for name in ("ax", "ay", "az")
)


@dataclass(frozen=True)
class Sensor:
    """An accelerometer in one car.

    Attributes:
        rotation: float64 [3, 3], rotation from the axes of the car (ahead, left, up) to those of the sensor.
        bandwidth_hz: corner frequency of its second-order filter. It is above half the sample rate, so vibration is
            aliased.
        rate_error: relative error of its sample period.
        jitter_s: standard deviation of the sample times.
        bias: float64 [3], m/s^2.
        gain: float64 [3], sensitivity over nominal sensitivity.
        noise_density: noise density, m/s^2 per root hertz.
        range_g: configured range, g; at most that of the contract.
        resolution_bits: bits of its converter over its range.
    """

    rotation: FloatArray
    bandwidth_hz: float
    rate_error: float
    jitter_s: float
    bias: FloatArray
    gain: FloatArray
    noise_density: float
    range_g: float
    resolution_bits: int


def rotation_matrix(roll: float, pitch: float, yaw: float) -> FloatArray:
    """Compute the matrix of a rotation about x, then y, then z, float64 [3, 3]. Angles are in rad.

    >>> bool(np.allclose(rotation_matrix(0.1, 0.2, 0.3) @ rotation_matrix(0.1, 0.2, 0.3).T, np.eye(3)))
    True
    """
    cr, sr, cp, sp, cy, sy = (f(angle) for angle in (roll, pitch, yaw) for f in (math.cos, math.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    rotation: FloatArray = about_z @ about_y @ about_x
    return rotation


def draw_sensor(rng: np.random.Generator, sample_rate_hz: float) -> Sensor:
    """Draw a sensor from the spread of data sheets: 60 to 250 ug per root hertz, 40 mg of bias, 2 or 4 g range."""
    roll, pitch, yaw = np.radians(rng.normal(0.0, (4.0, 4.0, 7.0)))
    return Sensor(
        rotation=rotation_matrix(roll, pitch, yaw),
        bandwidth_hz=sample_rate_hz * rng.uniform(0.6, 2.5),
        rate_error=rng.normal(0.0, 0.008),
        jitter_s=rng.uniform(0.0, 0.06) / sample_rate_hz,
        bias=rng.normal(0.0, 0.04 * GRAVITY, 3),
        gain=1.0 + rng.normal(0.0, 0.015, 3),
        noise_density=math.exp(rng.uniform(math.log(60e-6), math.log(250e-6))) * GRAVITY,
        range_g=float(rng.choice([2.0, 4.0])),
        resolution_bits=int(rng.choice([12, 14, 16])),
    )


def sample(
    rng: np.random.Generator,
    sensor: Sensor,
    force: FloatArray,
    rate_hz: float,
    *,
    sample_rate_hz: float,
    count: int,
) -> tuple[NDArray[np.int16], FloatArray]:
    """Measure a specific force.

    Args:
        rng: source of noise and jitter.
        sensor: the sensor.
        force: float64 [N, 3], specific force in the axes of the car, gravity included, m/s^2.
        rate_hz: rate of ``force``.
        sample_rate_hz: nominal rate of the sensor.
        count: number of samples to take, T.

    Returns:
        counts int16 [T, 3] on the contract's scale, and the true times of the samples, float64 [T], s.
    """
    rotated = force @ sensor.rotation.T
    # The corner frequency must stay below the Nyquist frequency of the simulation. Damping of 0.7 avoids ringing.
    low_pass = second_order(min(sensor.bandwidth_hz, 0.45 * rate_hz), 0.7)
    period = (1.0 + sensor.rate_error) / sample_rate_hz
    jitter = np.clip(rng.normal(0.0, sensor.jitter_s, count), -0.3 * period, 0.3 * period)
    times = np.asarray(np.arange(count) * period + jitter, dtype=np.float64)
    times -= min(0.0, float(times[0]))
    clock = np.arange(force.shape[0]) / rate_hz
    noise_sigma = sensor.noise_density * math.sqrt(sensor.bandwidth_hz * math.pi / 2.0)
    step = 2.0 * sensor.range_g / 2**sensor.resolution_bits  # g
    counts = np.empty((count, 3), dtype=np.int16)
    for axis in range(3):
        filtered = np.interp(times, clock, apply_response(rotated[:, axis], rate_hz, low_pass))
        measured = filtered * sensor.gain[axis] + sensor.bias[axis] + rng.normal(0.0, noise_sigma, count)
        in_g = np.clip(measured / GRAVITY, -sensor.range_g, sensor.range_g - step)
        codes = np.rint(in_g / step) * (step * COUNTS_PER_G)
        counts[:, axis] = np.clip(np.rint(codes), -CHANNELS[axis].count_limit, CHANNELS[axis].count_limit)
    return counts, times
