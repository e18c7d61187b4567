"""Model of the vehicle: masses, springs, dampers, tyres, engine and position of the sensor, drawn for each drive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

GRAVITY = 9.80665  # m/s^2
GEAR_SPEEDS = (0.0, 5.0, 9.0, 14.0, 20.0)  # m/s from which the first, second, ... gear is used


@dataclass(frozen=True)
class Vehicle:
    """A passenger car or light van.

    Attributes:
        mass: mass with load, kg.
        wheelbase: distance between the axles, m.
        front_share: share of the static load on the front axle; the centre of gravity is
            ``a = (1 - front_share) * wheelbase`` behind the front axle.
        track: distance between the left and the right wheels, m.
        yaw_inertia: moment of inertia about the vertical axis, kg m^2.
        sprung_hz: undamped natural frequency of the body on its springs, Hz.
        damping_ratio: damping ratio of the body on its springs.
        unsprung_ratio: unsprung mass / sprung mass of a corner.
        tyre_stiffness_ratio: radial tyre stiffness / spring stiffness.
        cornering_front: cornering stiffness of the front axle / its load, 1/rad.
        cornering_rear: cornering stiffness of the rear axle / its load, 1/rad.
        roll_gain: body roll per lateral acceleration, rad per m/s^2.
        roll_hz: natural frequency of body roll.
        pitch_gain: body pitch per longitudinal acceleration, rad per m/s^2.
        pitch_hz: natural frequency of body pitch.
        body_damping_ratio: damping ratio of roll and pitch.
        sensor_forward: distance of the sensor ahead of the centre of gravity, m.
        sensor_left: distance of the sensor to the left of the centre of gravity, m.
        sensor_height: height of the sensor above the roll and pitch axes, m.
        cylinders: number of cylinders; 0 for an electric car.
        idle_rpm: idle speed of the engine, rev/min.
        idle_amplitude: amplitude of the firing order at the sensor at idle, m/s^2.
        manual_gearbox: True if upshifts interrupt the acceleration.
    """

    mass: float
    wheelbase: float
    front_share: float
    track: float
    yaw_inertia: float
    sprung_hz: float
    damping_ratio: float
    unsprung_ratio: float
    tyre_stiffness_ratio: float
    cornering_front: float
    cornering_rear: float
    roll_gain: float
    roll_hz: float
    pitch_gain: float
    pitch_hz: float
    body_damping_ratio: float
    sensor_forward: float
    sensor_left: float
    sensor_height: float
    cylinders: int
    idle_rpm: float
    idle_amplitude: float
    manual_gearbox: bool

    @property
    def front_to_cg(self) -> float:
        """Distance a from the front axle to the centre of gravity, m."""
        return (1.0 - self.front_share) * self.wheelbase

    @property
    def cg_to_rear(self) -> float:
        """Distance b from the centre of gravity to the rear axle, m."""
        return self.front_share * self.wheelbase


def draw_vehicle(rng: np.random.Generator) -> Vehicle:
    """Draw a vehicle from the ranges that textbooks give for passenger cars (Gillespie 1992; Mitschke & Wallentowitz).

    The yaw inertia is ``m a b`` times 0.9 to 1.1, a dynamic index near 1. Then the corners bounce independently.
    """
    mass = rng.uniform(950.0, 2300.0)
    wheelbase = 2.35 + 0.55 * (mass - 950.0) / 1350.0 + rng.uniform(0.0, 0.25)
    front_share = rng.uniform(0.5, 0.62)
    cornering_front = rng.uniform(10.0, 14.0)
    return Vehicle(
        mass=mass,
        wheelbase=wheelbase,
        front_share=front_share,
        track=rng.uniform(1.42, 1.66),
        yaw_inertia=mass * wheelbase**2 * front_share * (1 - front_share) * rng.uniform(0.9, 1.1),
        sprung_hz=rng.uniform(1.0, 1.7),
        damping_ratio=rng.uniform(0.16, 0.4),
        unsprung_ratio=rng.uniform(0.09, 0.16),
        tyre_stiffness_ratio=rng.uniform(7.0, 12.0),
        cornering_front=cornering_front,
        cornering_rear=cornering_front * rng.uniform(1.05, 1.3),  # all production cars understeer
        roll_gain=math.radians(rng.uniform(0.25, 0.7)),
        roll_hz=rng.uniform(1.3, 2.2),
        pitch_gain=math.radians(rng.uniform(0.12, 0.4)),
        pitch_hz=rng.uniform(1.2, 2.2),
        body_damping_ratio=rng.uniform(0.18, 0.4),
        sensor_forward=rng.uniform(-0.4, 1.2),
        sensor_left=rng.uniform(-0.4, 0.4),
        sensor_height=rng.uniform(0.0, 0.6),
        cylinders=int(rng.choice([0, 3, 4, 4, 4, 6])),
        idle_rpm=rng.uniform(650.0, 900.0),
        idle_amplitude=math.exp(rng.uniform(math.log(0.02), math.log(0.15))),
        manual_gearbox=bool(rng.random() < 0.6),
    )
