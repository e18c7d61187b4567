"""Course of a drive: the plan as signals over time, with speed, position, steering, friction, labels and events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.simulator.drive import BUMPY_ROAD, PARKED, SKID, Leg
from edge_seq.data.simulator.lateral import (
    LATERAL_RATE_HZ,
    Driver,
    LateralInput,
    LateralMotion,
    move,
    steer_for,
)
from edge_seq.data.simulator.parked import ParkedPeriod
from edge_seq.data.simulator.road import GRID_M, Obstacle
from edge_seq.data.simulator.spectrum import FloatArray, coloured_noise
from edge_seq.data.simulator.vehicle import GEAR_SPEEDS, GRAVITY, Vehicle

SLIDE_GAP_S = 1.5  # in a counter-swing the tyres grip for a moment, but it is still the same skid
SHORTEST_SKID_S = 1.0
SLIPPERY = 0.5  # mu below which the grip varies from patch to patch of ice and snow


@dataclass(frozen=True)
class Course:
    """Signals of a drive at ``LATERAL_RATE_HZ``, float64 [N] unless stated otherwise.

    Attributes:
        speed: speed over ground, m/s.
        position: distance covered by the front axle, m; it starts ahead of 0 so that the rear axle is on the road too.
        motion: accelerations from driving and cornering, and the slide.
        brake_ripple: longitudinal acceleration from the pulses of the anti-lock brakes, m/s^2.
        labels: class index, int16 [N].
        running: 1 while the engine runs, else 0.
        parked: periods in which the car is parked.
    """

    speed: FloatArray
    position: FloatArray
    motion: LateralMotion
    brake_ripple: FloatArray
    labels: NDArray[np.int16]
    running: FloatArray
    parked: tuple[ParkedPeriod, ...]


def smooth(signal: FloatArray, width_s: float) -> FloatArray:
    """Average with a raised-cosine window. It limits the jerk, as a foot on a pedal does."""
    count = max(1, round(width_s * LATERAL_RATE_HZ))
    kernel = np.hanning(count + 2)[1:-1]
    padded = np.pad(signal, (count // 2, count - 1 - count // 2), mode="edge")
    result: FloatArray = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return result


def lay_out_speed(legs: tuple[Leg, ...], duration_s: float) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
    """Lay out the speed of a plan in time.

    Returns:
        speed, m/s [N]; index of the leg at each time step [N]; start of each leg and end of the last, s [legs + 1].
    """
    starts = np.concatenate([[0.0], np.cumsum([leg.duration_s for leg in legs])])
    knots = np.concatenate([[0.0], [leg.end_speed for leg in legs]])
    clock = np.arange(int(duration_s * LATERAL_RATE_HZ)) / LATERAL_RATE_HZ
    speed = np.maximum(smooth(np.interp(clock, starts, knots), 0.5), 0.0)
    speed[speed < 0.02] = 0.0
    index = np.minimum(np.searchsorted(starts, clock, side="right") - 1, len(legs) - 1)
    return speed, index, starts


def draw_gear_changes(rng: np.random.Generator, planned: FloatArray) -> FloatArray:
    """Draw the acceleration lost during upshifts of a manual gearbox (0.4 to 0.9 s each), m/s^2 [N], negative."""
    acceleration = np.gradient(planned) * LATERAL_RATE_HZ
    lost = np.zeros(planned.shape[0])
    for threshold in GEAR_SPEEDS[1:]:
        for at in np.flatnonzero((planned[:-1] < threshold) & (planned[1:] >= threshold)):
            count = round(rng.uniform(0.4, 0.9) * LATERAL_RATE_HZ)
            stop = min(lost.shape[0], int(at) + count)
            lost[at:stop] -= acceleration[at] * np.hanning(count + 2)[1 : 1 + stop - at]
    return lost


def draw_side_wish(
    rng: np.random.Generator, speed: FloatArray, leg_of: NDArray[np.int64], legs: tuple[Leg, ...]
) -> FloatArray:
    """Draw the lateral acceleration that the driver wants in corners, lane changes, swerves and slaloms, m/s^2 [N].

    On a dry road a swerve reaches 5 m/s^2, more than any skid on ice. So the strength alone does not identify a skid.
    """
    length = speed.shape[0]
    wish = np.zeros(length)
    clock = np.arange(length) / LATERAL_RATE_HZ
    at = rng.exponential(5.0)
    while at * LATERAL_RATE_HZ < length:
        leg = legs[int(leg_of[int(at * LATERAL_RATE_HZ)])]
        grip = 0.45 * leg.surface.friction * GRAVITY
        sign = rng.choice([-1.0, 1.0])
        kind = rng.choice(["corner", "lane_change", "swerve", "slalom"], p=[0.5, 0.2, 0.15, 0.15])
        if kind == "corner":
            duration, peak = rng.uniform(2.5, 9.0), min(rng.uniform(0.6, 4.5), grip)
            phase = np.clip((clock - at) / duration, 0.0, 1.0)
            edge = rng.uniform(0.2, 0.5)
            shape = np.clip(np.minimum(phase, 1.0 - phase) / edge, 0.0, 1.0)
            shape = 0.5 - 0.5 * np.cos(np.pi * shape)
        else:
            cycles = 1 if kind != "slalom" else int(rng.integers(2, 5))
            period = rng.uniform(1.6, 3.2) if kind == "swerve" else rng.uniform(2.2, 6.0)
            duration = cycles * period
            peak = min(rng.uniform(2.0, 5.5) if kind == "swerve" else rng.uniform(0.4, 3.5), grip)
            phase = np.clip((clock - at) / duration, 0.0, 1.0)
            shape = np.sin(2.0 * np.pi * cycles * phase)
        if leg.kind == "drive":
            wish += sign * peak * shape
        at += duration + rng.exponential(1.0 / leg.surface.swerving)
    # A corner has a radius of at least 6 m, so creeping cars have little lateral acceleration.
    limit = speed**2 / 6.0
    wander = rng.uniform(0.05, 0.25) * coloured_noise(rng, length, LATERAL_RATE_HZ, 0.05, 0.4) * speed / (speed + 8.0)
    return np.clip(wish, -limit, limit) + wander


def draw_driver(rng: np.random.Generator) -> Driver:
    """Draw a driver, between quick and trained, and slow and overreacting."""
    return Driver(delay_s=rng.uniform(0.15, 0.35), sideslip_gain=rng.uniform(1.0, 1.7), yaw_gain=rng.uniform(0.1, 0.3))


@dataclass(frozen=True)
class SlideInput:
    """Part of the input of the lateral model that the skid legs give, each [N]; see :class:`LateralInput`."""

    flick: FloatArray
    friction: FloatArray
    rear_grip: FloatArray
    yaw_moment: FloatArray
    catching: NDArray[np.bool_]
    braking: NDArray[np.bool_]
    brake_ripple: FloatArray


def draw_slides(
    rng: np.random.Generator, vehicle: Vehicle, legs: tuple[Leg, ...], starts: FloatArray, friction: FloatArray
) -> SlideInput:
    """Draw the causes of each skid.

    - Patches: the grip on ice and snow varies by 20 % within a quarter of a metre to a few metres.
    - Fishtail: the driver flicks the steering, with power or hand brake at the rear axle, and repeats it every 1.4 to
      3 s.
    - Brake slide: braking uses most of the grip lengthwise (friction ellipse: ``sqrt(1 - 0.92^2)`` is left sideways).
      The two sides grip unequally, which turns the car. The anti-lock brakes pulse at 2 to 5 Hz, slowly as on ice.
    """
    length = friction.shape[0]
    patches = np.clip(1.0 + 0.2 * coloured_noise(rng, length, LATERAL_RATE_HZ, 0.0, 8.0), 0.5, 1.5)
    patches[friction >= SLIPPERY] = 1.0
    clock = np.arange(length) / LATERAL_RATE_HZ
    flick, moment, ripple = np.zeros(length), np.zeros(length), np.zeros(length)
    rear, left_sideways = np.ones(length), np.ones(length)
    catching, braking = np.zeros(length, dtype=bool), np.zeros(length, dtype=bool)
    for leg, start, end in zip(legs, starts[:-1], starts[1:], strict=True):
        if leg.kind not in ("fishtail", "brake_slide") or start >= clock[-1]:
            continue
        inside = (clock >= start) & (clock < end)
        catching |= (clock >= start) & (clock < end + 2.5)
        if leg.kind == "fishtail":
            at = start
            while at < end - 1.0:
                period = rng.uniform(0.9, 2.2)
                phase = np.clip((clock - at) / period, 0.0, 1.0)
                amplitude = rng.choice([-1.0, 1.0]) * rng.uniform(0.08, 0.2)
                flick += amplitude * np.sin(2.0 * np.pi * phase)
                rear[(clock >= at) & (clock < at + rng.uniform(0.6, 1.6))] = rng.uniform(0.4, 0.7)
                at += rng.uniform(1.4, 3.0)
        else:
            braking |= inside
            left_sideways[inside] = 0.39
            unequal = rng.uniform(0.15, 0.5) * leg.surface.friction * GRAVITY * vehicle.track / 2.0
            unequal /= vehicle.front_to_cg * vehicle.cg_to_rear  # over the radius of gyration squared
            moment[inside] += unequal * np.clip(coloured_noise(rng, length, LATERAL_RATE_HZ, 0.1, 1.0), -2, 2)[inside]
            pulse = (
                2.0
                * np.pi
                * np.cumsum(
                    rng.uniform(2.0, 5.0) * (1.0 + 0.1 * coloured_noise(rng, length, LATERAL_RATE_HZ, 0.1, 1.0))
                )
                / LATERAL_RATE_HZ
            )
            depth = rng.uniform(0.15, 0.4) * leg.surface.friction * GRAVITY
            ripple += np.where(inside, depth * np.sin(pulse), 0.0)
    return SlideInput(
        flick=flick,
        friction=friction * left_sideways * patches,
        rear_grip=rear,
        yaw_moment=moment,
        catching=catching,
        braking=braking,
        brake_ripple=ripple,
    )


def label_slides(sliding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Join slides that are at most ``SLIDE_GAP_S`` apart, then drop those shorter than ``SHORTEST_SKID_S``.

    >>> label_slides(np.array([False] * 5 + [True] * 10 + [False] * 85)).any()
    np.False_
    """
    result: NDArray[np.bool_] = sliding.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sliding.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    for end, following in zip(ends[:-1], starts[1:], strict=True):
        if following - end <= SLIDE_GAP_S * LATERAL_RATE_HZ:
            result[end:following] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], result.astype(np.int8), [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start < SHORTEST_SKID_S * LATERAL_RATE_HZ:
            result[start:end] = False
    return result


def draw_stays(
    rng: np.random.Generator, legs: tuple[Leg, ...], starts: FloatArray, duration_s: float
) -> tuple[ParkedPeriod, ...]:
    """Draw engine and activity of each parked period. In 40 % the engine idles throughout, else it is mostly off."""
    stays = []
    for leg, start, end in zip(legs, starts[:-1], starts[1:], strict=True):
        if leg.kind != "park" or start >= duration_s:
            continue
        end = min(end, duration_s)
        off, on = end, end
        if rng.random() < 0.6:
            off = start + rng.uniform(0.5, 8.0)
            on = end - rng.uniform(0.8, 5.0)
        busy = math.exp(rng.uniform(math.log(0.02), math.log(0.35)))
        stays.append(ParkedPeriod(start, end, off, max(on, off), busy))
    return tuple(stays)


def lay_out(rng: np.random.Generator, vehicle: Vehicle, legs: tuple[Leg, ...], duration_s: float) -> Course:
    """Drive a plan: compute speed, position, motion, labels and engine state over time."""
    planned, leg_of, starts = lay_out_speed(legs, duration_s)
    friction = np.array([leg.surface.friction for leg in legs])[leg_of]
    slides = draw_slides(rng, vehicle, legs, starts, friction)
    acceleration = np.gradient(planned) * LATERAL_RATE_HZ
    if vehicle.manual_gearbox:
        acceleration += draw_gear_changes(rng, planned)
    motion = move(
        vehicle,
        draw_driver(rng),
        LateralInput(
            speed=planned,
            acceleration=acceleration,
            path_steer=steer_for(vehicle, draw_side_wish(rng, planned, leg_of, legs), planned),
            flick=slides.flick,
            grip=friction,
            friction=slides.friction,
            rear_grip=slides.rear_grip,
            yaw_moment=slides.yaw_moment,
            catching=slides.catching,
        ),
    )
    speed = motion.speed
    labels = np.array([leg.surface.label for leg in legs], dtype=np.int16)[leg_of]
    labels[label_slides((motion.slide >= 1.0) | (slides.braking & (speed > 0.5)))] = SKID
    stays = draw_stays(rng, legs, starts, duration_s)
    clock = np.arange(speed.shape[0]) / LATERAL_RATE_HZ
    running = np.ones(speed.shape[0])
    for stay in stays:
        labels[(clock >= stay.start_s) & (clock < stay.end_s) & (speed == 0.0)] = PARKED
        running[(clock >= stay.engine_off_s) & (clock < stay.engine_on_s)] = 0.0
    position = vehicle.wheelbase + 1.0 + np.cumsum(speed) / LATERAL_RATE_HZ
    return Course(speed, position, motion, slides.brake_ripple, labels, running, stays)


def lay_road(
    rng: np.random.Generator, legs: tuple[Leg, ...], course: Course
) -> tuple[FloatArray, tuple[Obstacle, ...]]:
    """Draw the roughness Gd(n0) along the way on the grid of ``GRID_M``, m^3 [S], and the obstacles.

    Within a stretch the roughness varies by a factor of about 1.5, because real roads are not stationary.
    """
    surfaces = [leg.surface for leg in legs]
    clock = np.concatenate([[0.0], np.cumsum([leg.duration_s for leg in legs])])
    at = np.interp(clock, np.arange(course.position.shape[0]) / LATERAL_RATE_HZ, course.position)
    grid = np.arange(int(course.position[-1] / GRID_M) + 40) * GRID_M
    which = np.clip(np.searchsorted(at, grid, side="right") - 1, 0, len(surfaces) - 1)
    wander = np.exp(0.4 * coloured_noise(rng, grid.shape[0], 1.0 / GRID_M, 0.005, 0.05))
    roughness = np.array([surface.roughness for surface in surfaces])[which] * wander
    obstacles: list[Obstacle] = []
    for surface, begin, end in zip(surfaces, at[:-1], at[1:], strict=True):
        for _ in range(rng.poisson(surface.holes_per_km * (end - begin) / 1000.0)):
            left = bool(rng.random() < 0.5)
            depth = -math.exp(rng.uniform(math.log(0.01), math.log(0.06)))
            obstacles.append(Obstacle(rng.uniform(begin, end), rng.uniform(0.4, 1.2), depth, left, not left))
        for _ in range(rng.poisson(surface.bumps_per_km * (end - begin) / 1000.0)):
            height = rng.uniform(0.03, 0.08)
            obstacles.append(Obstacle(rng.uniform(begin, end), rng.uniform(0.6, 4.0), height, True, True))
        if surface.slab_m > 0 and surface.label != BUMPY_ROAD:
            for position in np.arange(begin, end, surface.slab_m):
                obstacles.append(Obstacle(float(position), 0.3, surface.step_m, True, True))
    return roughness, tuple(obstacles)
