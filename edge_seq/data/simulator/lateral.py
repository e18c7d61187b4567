"""Lateral and yaw dynamics: the bicycle model with saturating brush tyres and a driver who counter-steers late.

    m (v_y' + u r) = F_f + F_r          alpha_f = atan((v_y + a r) / u) - delta
    I_z r'         = a F_f - b F_r + M  alpha_r = atan((v_y - b r) / u)

The axle force is Fiala's brush model (Fiala 1954; Pacejka, Tyre and Vehicle Dynamics, section 3.2), with
``theta = C / (3 mu F_z)`` and ``sigma = theta |tan alpha|``:

    F = -mu F_z sign(alpha) (3 sigma - 3 sigma^2 + sigma^3)   for sigma < 1, and -mu F_z sign(alpha) beyond.

At sigma = 1 the whole contact patch slides. This data set calls that a skid. In a skid the driver steers towards the
direction in which the car travels, ``delta = k_b beta(t - tau) - k_r r(t - tau)``, with a human delay. Delay and
saturation together cause the swings of a fishtail (a limit cycle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.simulator.spectrum import FloatArray
from edge_seq.data.simulator.vehicle import GRAVITY, Vehicle

LATERAL_RATE_HZ = 50.0
SLOWEST_DYNAMIC_SPEED = 3.0  # m/s; below, the car follows its wheels, since slip angles are undefined at standstill
MAX_ROAD_WHEEL_ANGLE = 0.6  # rad
STANDSTILL_SPEED = 0.05  # m/s; slower than this the brakes hold the car
SPEED_GAIN = 1.5  # k, 1/s
PROVOKED_SIDESLIP = 0.18  # rad; beyond it a driver who provokes a skid stops doing so
STEERING_LAG_S = 0.08  # lag of arms and steering gear


@dataclass(frozen=True)
class Driver:
    """Reaction of a driver to a skid.

    Attributes:
        delay_s: reaction and neuromuscular delay, s.
        sideslip_gain: k_b, steering angle per sideslip angle.
        yaw_gain: k_r, steering angle per yaw rate, s.
    """

    delay_s: float
    sideslip_gain: float
    yaw_gain: float


@dataclass(frozen=True)
class LateralInput:
    """Inputs of the lateral model at ``LATERAL_RATE_HZ``, float64 [N] unless stated otherwise.

    Attributes:
        speed: planned speed V, m/s.
        acceleration: planned acceleration V', m/s^2.
        path_steer: road-wheel angle for the path that the driver wants, rad.
        flick: road-wheel angle that provokes a skid, rad.
        grip: friction coefficient lengthwise.
        friction: friction coefficient sideways, which braking reduces.
        rear_grip: share of it at the rear axle; below 1 under power or hand brake.
        yaw_moment: disturbance M / I_z from braking on unequal friction, rad/s^2.
        catching: bool [N], True while the driver counter-steers.
    """

    speed: FloatArray
    acceleration: FloatArray
    path_steer: FloatArray
    flick: FloatArray
    grip: FloatArray
    friction: FloatArray
    rear_grip: FloatArray
    yaw_moment: FloatArray
    catching: NDArray[np.bool_]


@dataclass(frozen=True)
class LateralMotion:
    """Motion of the car at ``LATERAL_RATE_HZ``, float64 [N].

    Attributes:
        speed: speed over ground, m/s.
        longitudinal: acceleration along the car at the sensor, ``u' - r v_y - x r^2``, m/s^2.
        lateral: acceleration across the car at the sensor, ``v_y' + u r + x r'``, m/s^2.
        slide: larger sigma of the two axles; 1 and more is full sliding.
        sideslip: sideslip angle beta at the centre of gravity, rad.
    """

    speed: FloatArray
    longitudinal: FloatArray
    lateral: FloatArray
    slide: FloatArray
    sideslip: FloatArray


def understeer_gradient(vehicle: Vehicle) -> float:
    """Compute K of ``delta = L kappa + K a_y`` for small slip, rad per m/s^2: ``(1 / c_f - 1 / c_r) / g``.

    ``c_f`` and ``c_r`` are the cornering stiffnesses of the axles over their loads.
    """
    return (1.0 / vehicle.cornering_front - 1.0 / vehicle.cornering_rear) / GRAVITY


def steer_for(vehicle: Vehicle, lateral_acceleration: FloatArray, speed: FloatArray) -> FloatArray:
    """Compute the road-wheel angle that gives a lateral acceleration in the steady state, rad, float64 [N]."""
    slow = np.maximum(speed, SLOWEST_DYNAMIC_SPEED)
    angle: FloatArray = lateral_acceleration * (vehicle.wheelbase / slow**2 + understeer_gradient(vehicle))
    return np.clip(angle, -MAX_ROAD_WHEEL_ANGLE, MAX_ROAD_WHEEL_ANGLE)


def clamp(value: float, limit: float) -> float:
    """Limit ``value`` to the range from ``-limit`` to ``limit``."""
    return limit if value > limit else -limit if value < -limit else value


def brush_force(slip: float, stiffness: float, limit: float) -> tuple[float, float]:
    """Compute the side force of an axle over its load, and sigma.

    Args:
        slip: slip angle, rad.
        stiffness: cornering stiffness over load, 1/rad.
        limit: friction coefficient, mu.

    >>> brush_force(0.5, 12.0, 0.3)[0]
    -0.3
    """
    sigma = stiffness * abs(math.tan(slip)) / (3.0 * limit)
    share = 1.0 if sigma >= 1.0 else sigma * (3.0 - 3.0 * sigma + sigma * sigma)
    return -math.copysign(limit * share, slip), sigma


def move(vehicle: Vehicle, driver: Driver, given: LateralInput) -> LateralMotion:
    """Integrate the equations of this module from standstill, with the semi-implicit Euler method.

    Lengthwise the driver follows the planned speed within the grip, ``a_x = V' + k (V - u)``, so a car that has lost
    speed in a skid catches up afterwards. At about 3 m/s the model changes to a car that follows its wheels, blended
    over 2 m/s. The loop uses Python scalars, because each step needs the one before, and a drive must not depend on
    other drives.
    """
    step = 1.0 / LATERAL_RATE_HZ
    delay = max(1, round(driver.delay_s * LATERAL_RATE_HZ))
    length = given.speed.shape[0]
    a, b, wheelbase = vehicle.front_to_cg, vehicle.cg_to_rear, vehicle.wheelbase
    front_weight, rear_weight = vehicle.front_share * GRAVITY, (1 - vehicle.front_share) * GRAVITY  # force per mass
    gyration = vehicle.yaw_inertia / vehicle.mass
    lag = step / STEERING_LAG_S
    plans, plan_accelerations = given.speed.tolist(), given.acceleration.tolist()
    wishes, flicks = given.path_steer.tolist(), given.flick.tolist()
    frictions, rear_grips = given.friction.tolist(), given.rear_grip.tolist()
    grips = given.grip.tolist()
    moments, catching = given.yaw_moment.tolist(), given.catching.tolist()
    u = sway = yaw_rate = steer = beta = 0.0
    ahead, lateral, speed, yaw, slide, sideslip = ([0.0] * length for _ in range(6))
    for t in range(length):
        if u == 0.0 and plans[t] == 0.0:
            sway = yaw_rate = steer = beta = 0.0
            continue
        wish = wishes[t]
        rear_grip = 1.0
        if abs(beta) < PROVOKED_SIDESLIP:
            wish += flicks[t]
            rear_grip = rear_grips[t]
        if catching[t] and t >= delay:
            wish += driver.sideslip_gain * sideslip[t - delay] - driver.yaw_gain * yaw[t - delay]
            wish = clamp(wish, MAX_ROAD_WHEEL_ANGLE)
        steer += lag * (wish - steer)

        limit = grips[t] * GRAVITY
        drive = clamp(plan_accelerations[t] + SPEED_GAIN * (plans[t] - u), limit)
        forward = u if u > 1.0 else max(-u, 1.0)
        dynamic = 1.0
        if forward < SLOWEST_DYNAMIC_SPEED + 1.0:
            dynamic = min(1.0, max(0.0, 0.5 * (math.hypot(u, sway) - SLOWEST_DYNAMIC_SPEED + 1.0)))
        kinematic_yaw = yaw_rate + 0.3 * (u * math.tan(steer) / wheelbase - yaw_rate)
        kinematic_sway = sway + 0.3 * (b * kinematic_yaw - sway)
        if dynamic > 0.0:
            front_slip = math.atan2(sway + a * yaw_rate, forward) - math.copysign(steer, steer * u)
            front, front_sigma = brush_force(front_slip, vehicle.cornering_front, frictions[t])
            rear_slip = math.atan2(sway - b * yaw_rate, forward)
            rear, rear_sigma = brush_force(rear_slip, vehicle.cornering_rear, frictions[t] * rear_grip)
            front, rear = front * front_weight, rear * rear_weight
            dynamic_yaw = yaw_rate + step * ((a * front - b * rear) / gyration + moments[t])
            dynamic_sway = sway + step * (front + rear - u * dynamic_yaw)
            new_yaw = kinematic_yaw + dynamic * (dynamic_yaw - kinematic_yaw)
            new_sway = kinematic_sway + dynamic * (dynamic_sway - kinematic_sway)
            slide[t] = dynamic * max(front_sigma, rear_sigma)
        else:
            new_yaw, new_sway = kinematic_yaw, kinematic_sway
        # The blend at walking pace must not exceed the grip either.
        most_yaw = step * limit * wheelbase / gyration
        new_yaw = yaw_rate + clamp(new_yaw - yaw_rate, most_yaw)
        across = clamp((new_sway - sway) / step + u * new_yaw, limit)
        new_sway = sway + step * (across - u * new_yaw)
        new_u = u + step * (drive + new_yaw * new_sway)
        if plans[t] == 0.0 and abs(new_u) < STANDSTILL_SPEED:
            new_u = 0.0
        yaw_acceleration = (new_yaw - yaw_rate) / step
        ahead[t] = (new_u - u) / step - new_yaw * new_sway - vehicle.sensor_forward * new_yaw * new_yaw
        lateral[t] = across + vehicle.sensor_forward * yaw_acceleration
        u, sway, yaw_rate = new_u, new_sway, new_yaw
        speed[t] = math.hypot(u, sway)
        yaw[t] = yaw_rate
        beta = math.atan2(sway, max(abs(u), SLOWEST_DYNAMIC_SPEED))
        sideslip[t] = beta
    return LateralMotion(
        speed=np.array(speed),
        longitudinal=np.array(ahead),
        lateral=np.array(lateral),
        slide=np.array(slide),
        sideslip=np.array(sideslip),
    )
