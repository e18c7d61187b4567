"""Simulation of drives: joins plan, course, road, car and sensor, and gives one recording for each drive."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.simulator.course import Course, lay_out, lay_road
from edge_seq.data.simulator.drive import LABELS, plan_drive
from edge_seq.data.simulator.lateral import LATERAL_RATE_HZ
from edge_seq.data.simulator.options import CarStatesOptions
from edge_seq.data.simulator.parked import engine_shake, engine_vibration, people
from edge_seq.data.simulator.quarter_car import ride
from edge_seq.data.simulator.road import make_tracks
from edge_seq.data.simulator.sensor import CHANNELS, draw_sensor, sample
from edge_seq.data.simulator.spectrum import FloatArray, apply_response, coloured_noise, second_order
from edge_seq.data.simulator.vehicle import GRAVITY, Vehicle, draw_vehicle
from edge_seq.ir.contract import Preprocessing, SensorContract, verify_contract
from edge_seq.support.errors import ConfigError

DATASET_NAME = "car_states"
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 5.0, 100.0
LOWEST_SIMULATION_RATE_HZ = 200.0
CLOCK_MARGIN = 1.06  # the drive is simulated for longer than its samples, for a sensor whose clock is slow


def car_states_contract(options: CarStatesOptions) -> SensorContract:
    """Build the sensor contract: three axes in m/s^2, 8192 counts per g, +-4 g, preprocessing by first differences."""
    return SensorContract(
        sample_rate_hz=options.sample_rate_hz,
        channels=CHANNELS,
        window_length=options.window_length,
        window_stride=options.window_stride,
        preprocessing=Preprocessing("difference"),
    )


def verify_options(options: CarStatesOptions) -> None:
    """Check the options, before any simulation.

    Raises:
        ConfigError: an option is out of range; the message names the option, its value and its range.
        ContractError: the window length or stride is not usable.
    """
    if options.drives < 1:
        raise ConfigError(f"simulate: drives is {options.drives}; give at least 1")
    if options.seed < 0:
        raise ConfigError(f"simulate: seed is {options.seed}; give 0 or more")
    if not LOWEST_RATE_HZ <= options.sample_rate_hz <= HIGHEST_RATE_HZ:
        raise ConfigError(
            f"simulate: sample_rate_hz is {options.sample_rate_hz}; give {LOWEST_RATE_HZ:g} to {HIGHEST_RATE_HZ:g} Hz "
            "(the car is simulated up to about 100 Hz)"
        )
    verify_contract(car_states_contract(options))
    shortest_s = options.window_length / options.sample_rate_hz
    if not (math.isfinite(options.drive_duration_s) and shortest_s <= options.drive_duration_s <= 36000.0):
        raise ConfigError(
            f"simulate: drive_duration_s is {options.drive_duration_s}; give at least one window "
            f"({shortest_s:g} s) and at most 36000 s"
        )


def specific_force(
    rng: np.random.Generator, vehicle: Vehicle, duration_s: float, rate_hz: float
) -> tuple[FloatArray, Course]:
    """Plan a drive, drive it, and compute the specific force at the sensor, in the axes of the car.

    Returns:
        specific force float64 [N, 3] (ahead, left, up), m/s^2, gravity included, at ``rate_hz``; and the course.
    """
    legs = plan_drive(rng, duration_s)
    course = lay_out(rng, vehicle, legs, duration_s)
    count = int(duration_s * rate_hz)
    clock = np.arange(count) / rate_hz
    coarse = np.arange(course.speed.shape[0]) / LATERAL_RATE_HZ

    def fine(signal: FloatArray) -> FloatArray:
        return np.interp(clock, coarse, signal)

    speed = fine(course.speed)
    roughness, obstacles = lay_road(rng, legs, course)
    left, right = make_tracks(
        rng, roughness, track=vehicle.track, contact_length=rng.uniform(0.12, 0.25), obstacles=obstacles
    )
    road = ride(vehicle, left, right, fine(course.position), rate_hz)
    ahead, side = fine(course.motion.longitudinal + course.brake_ripple), fine(course.motion.lateral)
    # The body rolls in corners and pitches under braking, so a part of gravity appears in the horizontal axes.
    roll = vehicle.roll_gain * apply_response(side, rate_hz, second_order(vehicle.roll_hz, vehicle.body_damping_ratio))
    pitch = vehicle.pitch_gain * apply_response(
        ahead, rate_hz, second_order(vehicle.pitch_hz, vehicle.body_damping_ratio)
    )
    grade = 0.02 * coloured_noise(rng, count, rate_hz, 0.001, 0.01) + draw_slope(rng, course, clock)
    camber = 0.015 * coloured_noise(rng, count, rate_hz, 0.001, 0.01)
    force = np.stack(
        [
            ahead + road.longitudinal + GRAVITY * np.sin(pitch + grade),
            side + road.lateral + GRAVITY * np.sin(roll + camber),
            road.vertical + GRAVITY * np.cos(pitch + grade) * np.cos(roll + camber),
        ],
        axis=1,
    )
    force += engine_vibration(rng, vehicle, speed, np.where(fine(course.running) > 0.5, 1.0, 0.0), rate_hz)
    # Noise of tyres and wind is broadband and grows with the square of the speed.
    rush = rng.uniform(0.02, 0.12, 3) * (speed[:, None] / 30.0) ** 2
    force += rush * np.stack([coloured_noise(rng, count, rate_hz, 0.5, 20.0) for _ in range(3)], axis=1)
    gust = math.exp(rng.uniform(math.log(0.005), math.log(0.06)))
    force[:, 1] += gust * coloured_noise(rng, count, rate_hz, 0.3, 2.0)
    for stay in course.parked:
        force += people(rng, vehicle, stay, count, rate_hz)
        for moment in (stay.engine_off_s, stay.engine_on_s):
            if vehicle.cylinders > 0 and moment < stay.end_s:
                engine_shake(rng, force, rate_hz, moment)
    return force, course


def draw_slope(rng: np.random.Generator, course: Course, clock: FloatArray) -> FloatArray:
    """Draw the slope of the parking places (standard deviation 5 %), with ramps before and after them, rad [N]."""
    slope = np.zeros(clock.shape[0])
    for stay in course.parked:
        ramp = np.clip((clock - stay.start_s + 6.0) / 5.0, 0.0, 1.0) * np.clip(
            (stay.end_s + 6.0 - clock) / 5.0, 0.0, 1.0
        )
        slope += math.atan(rng.normal(0.0, 0.05)) * ramp
    return slope


def simulate_drive(options: CarStatesOptions, index: int) -> Recording:
    """Simulate one drive. It depends on its index, the seed, the duration and the sample rate only."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(index,)))
    vehicle = draw_vehicle(rng)
    sensor = draw_sensor(rng, options.sample_rate_hz)
    rate_hz = max(LOWEST_SIMULATION_RATE_HZ, 4.0 * options.sample_rate_hz)
    count = round(options.drive_duration_s * options.sample_rate_hz)
    force, course = specific_force(rng, vehicle, options.drive_duration_s * CLOCK_MARGIN + 1.0, rate_hz)
    counts, times = sample(rng, sensor, force, rate_hz, sample_rate_hz=options.sample_rate_hz, count=count)
    nearest = np.minimum(np.rint(times * LATERAL_RATE_HZ).astype(np.int64), course.labels.shape[0] - 1)
    name = f"drive_{index:03d}"
    return Recording(name=name, group=name, counts=counts, labels=course.labels[nearest])


def simulate_car_states(options: CarStatesOptions, *, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Simulate the car-state data set: parked, normal road, bumpy road, skid.

    The equations and their sources are in ``datasets/car_states.md``. The same options give the same counts. Drive k
    does not depend on the number of drives.

    Args:
        options: options of the simulator.
        progress: called with the number of finished drives and the number of all drives.

    Returns:
        data set with one recording for each drive: counts int16 [T, 3] of ax (ahead), ay (left), az (up), gravity
        included, and labels int16 [T]. Each drive is a group.

    Raises:
        ConfigError, ContractError: an option is out of range; see :func:`verify_options`.

    >>> dataset = simulate_car_states(CarStatesOptions(drives=1, drive_duration_s=20.0))
    >>> dataset.recordings[0].counts.shape
    (200, 3)
    """
    verify_options(options)
    recordings = []
    for index in range(options.drives):
        recordings.append(simulate_drive(options, index))
        if progress is not None:
            progress(index + 1, options.drives)
    return Dataset(DATASET_NAME, car_states_contract(options), LABELS, tuple(recordings))
