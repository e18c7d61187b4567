"""Vibration of a parked car from the engine, doors, people and luggage; and of the running engine while driving."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge_seq.data.simulator.spectrum import FloatArray, apply_response, coloured_noise, second_order_acceleration
from edge_seq.data.simulator.vehicle import GEAR_SPEEDS, GRAVITY, Vehicle


@dataclass(frozen=True)
class ParkedPeriod:
    """One period in which the car is parked. Times count from the start of the drive.

    Attributes:
        start_s: time at which the parking brake is set.
        end_s: time at which it is released.
        engine_off_s: time at which the engine stops; ``end_s`` if it idles all the time.
        engine_on_s: time at which it starts again.
        busy: expected number of events (doors, people, luggage) per second.
    """

    start_s: float
    end_s: float
    engine_off_s: float
    engine_on_s: float
    busy: float


def _ring(
    force: FloatArray, rate_hz: float, start_s: float, frequency_hz: float, decay_s: float, peak: FloatArray
) -> None:
    """Add ``peak * exp(-t / decay) * sin(2 pi f t)`` to the three axes, in place."""
    start = int(start_s * rate_hz)
    stop = min(force.shape[0], start + int(6.0 * decay_s * rate_hz))
    if 0 <= start < stop:
        t = np.arange(stop - start)[:, None] / rate_hz
        force[start:stop] += peak[None, :] * np.exp(-t / decay_s) * np.sin(2.0 * np.pi * frequency_hz * t)


def door_slam(rng: np.random.Generator, vehicle: Vehicle, force: FloatArray, rate_hz: float, start_s: float) -> None:
    """Add a door slam, in place: the body shell rings (8 to 20 Hz), and the car rocks on its springs (roll mode)."""
    strength = math.exp(rng.uniform(math.log(0.3), math.log(4.0)))
    side = rng.choice([-1.0, 1.0])
    shell = strength * np.array([0.3 * rng.normal(), side * rng.uniform(0.4, 1.0), rng.uniform(0.3, 1.0)])
    _ring(force, rate_hz, start_s, rng.uniform(8.0, 20.0), rng.uniform(0.05, 0.2), shell)
    rock = 0.12 * strength * np.array([0.1 * rng.normal(), side, 0.3 * rng.normal()])
    mode_decay = 1.0 / (2.0 * np.pi * vehicle.roll_hz * vehicle.body_damping_ratio)
    _ring(force, rate_hz, start_s, vehicle.roll_hz, mode_decay, rock)


def engine_shake(rng: np.random.Generator, force: FloatArray, rate_hz: float, start_s: float) -> None:
    """Add a start or stop of the engine, in place: it passes the resonance of its mounts (5 to 10 Hz)."""
    strength = math.exp(rng.uniform(math.log(0.15), math.log(1.2)))
    peak = strength * np.array([0.4 * rng.normal(), rng.uniform(0.5, 1.0), rng.uniform(0.3, 1.0)])
    _ring(force, rate_hz, start_s, rng.uniform(5.0, 10.0), rng.uniform(0.1, 0.35), peak)


def people(rng: np.random.Generator, vehicle: Vehicle, period: ParkedPeriod, length: int, rate_hz: float) -> FloatArray:
    """Draw the acceleration from doors, people who get in and out, luggage, and children on the back seat.

    A load F on the springs accelerates the body by ``F/m * -w^2 / (w0^2 - w^2 + 2 j D w0 w)``: the body dips at its
    natural frequency. A load away from the middle rolls the car too.

    Returns:
        acceleration during the whole drive, float64 [length, 3], m/s^2; zero outside the period.
    """
    force = np.zeros((length, 3))
    load = np.zeros(length)
    sideways = np.zeros(length)
    clock = np.arange(length) / rate_hz
    for _ in range(rng.poisson(period.busy * (period.end_s - period.start_s))):
        at = rng.uniform(period.start_s, period.end_s)
        match rng.choice(["door", "person", "luggage", "rocking"], p=[0.45, 0.3, 0.13, 0.12]):
            case "door":
                door_slam(rng, vehicle, force, rate_hz, at)
            case "person":
                weight = rng.choice([-1.0, 1.0]) * rng.uniform(45.0, 110.0) * GRAVITY / vehicle.mass
                ramp = np.clip((clock - at) / rng.uniform(0.4, 1.2), 0.0, 1.0)
                load -= weight * ramp
                sideways += weight * rng.choice([-0.6, 0.6]) * ramp
                if rng.random() < 0.8:
                    door_slam(rng, vehicle, force, rate_hz, at + rng.uniform(1.5, 4.0))
            case "luggage":
                for delay in np.cumsum(rng.uniform(0.6, 2.5, rng.integers(2, 6))):
                    peak = rng.uniform(0.2, 1.2) * np.array([rng.normal(0, 0.5), rng.normal(0, 0.3), -1.0])
                    _ring(force, rate_hz, at + float(delay), rng.uniform(2.0, 9.0), rng.uniform(0.08, 0.3), peak)
            case _:
                envelope = np.where((clock >= at) & (clock < at + rng.uniform(3.0, 10.0)), 1.0, 0.0)
                strength = math.exp(rng.uniform(math.log(0.05), math.log(0.5)))
                for axis, share in enumerate((0.4, 1.0, 0.7)):
                    force[:, axis] += envelope * strength * share * coloured_noise(rng, length, rate_hz, 0.8, 3.0)
    if load.any():
        bounce = second_order_acceleration(vehicle.sprung_hz, vehicle.damping_ratio)
        roll = second_order_acceleration(vehicle.roll_hz, vehicle.body_damping_ratio)
        force[:, 2] += apply_response(load, rate_hz, bounce)
        force[:, 1] += apply_response(sideways, rate_hz, roll)
    force[(clock < period.start_s) | (clock > period.end_s)] = 0.0
    return force


def engine_vibration(
    rng: np.random.Generator, vehicle: Vehicle, speed: FloatArray, running: FloatArray, rate_hz: float
) -> FloatArray:
    """Draw the vibration of the engine: its firing order, ``cylinders / 2`` times the crankshaft's frequency, and half.

    At idle the firing order is at 16 to 45 Hz. A sensor at 10 Hz aliases it to any frequency below 5 Hz. While driving,
    the frequency follows the speed through the gear, and the filter of the sensor removes most of it.

    Args:
        rng: source of the phase noise and of the shares of the axes.
        vehicle: vehicle with cylinders, idle speed and amplitude.
        speed: float64 [N], m/s.
        running: float64 [N], 1 while the engine runs, else 0.
        rate_hz: time steps per second.

    Returns:
        float64 [N, 3], m/s^2.
    """
    shares = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.3, 1.0), rng.uniform(0.5, 1.0)])
    if vehicle.cylinders == 0:
        return np.zeros((speed.shape[0], 3))
    revs_per_metre = np.array([150.0, 105.0, 80.0, 66.0, 54.0])  # rev/min per m/s, by gear
    gear = np.searchsorted(GEAR_SPEEDS, speed, side="right") - 1
    rpm = np.maximum(vehicle.idle_rpm, speed * revs_per_metre[np.maximum(gear, 0)])
    wander = 1.0 + 0.012 * coloured_noise(rng, speed.shape[0], rate_hz, 0.05, 1.0)
    firing_hz = np.minimum(rpm * wander * vehicle.cylinders / 120.0, 0.45 * rate_hz)
    phase = 2.0 * np.pi * np.cumsum(firing_hz) / rate_hz
    amplitude = vehicle.idle_amplitude * running * (0.6 + 0.4 * rpm / vehicle.idle_rpm)
    vibration = amplitude * (np.sin(phase) + 0.35 * np.sin(0.5 * phase + 0.7))
    result: FloatArray = vibration[:, None] * shares[None, :]
    return result
