"""The quarter-car model, solved in the frequency domain, and the body on its four corners.

    ms z_s'' = -ks (z_s - z_u) - cs (z_s' - z_u')
    mu z_u'' =  ks (z_s - z_u) + cs (z_s' - z_u') - kt (z_u - z_r)

(Gillespie, Fundamentals of Vehicle Dynamics, 1992, chapter 5; Wong, Theory of Ground Vehicles, chapter 7.) A body whose
dynamic index is 1 (pitch inertia = m a b) bounces at each axle independently. So the four corners are four quarter
cars; the rear ones follow the front ones at the distance of the wheelbase. Heave, pitch and roll follow from the
accelerations of the corners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_seq.data.simulator.road import GRID_M
from edge_seq.data.simulator.spectrum import ComplexArray, FloatArray, apply_response
from edge_seq.data.simulator.vehicle import Vehicle


@dataclass(frozen=True)
class BodyVibration:
    """Acceleration at the sensor from the road, float64 [T], m/s^2.

    Attributes:
        vertical: vertical acceleration.
        longitudinal: longitudinal acceleration, from pitch.
        lateral: lateral acceleration, from roll.
    """

    vertical: FloatArray
    longitudinal: FloatArray
    lateral: FloatArray


def body_acceleration_response(vehicle: Vehicle) -> Callable[[FloatArray], ComplexArray]:
    """Build H(f), the response from the height of the road at the tyre, m, to the acceleration of the body, m/s^2.

    All coefficients are divided by ms: ``k = w_s^2``, ``c = 2 D w_s``, ``r = mu / ms``, ``t = kt / ms``. Then
    ``z_s / z_r = t (k + j w c) / ((k - w^2 + j w c)(k + t - r w^2 + j w c) - (k + j w c)^2)``.
    """
    stiffness = (2.0 * np.pi * vehicle.sprung_hz) ** 2
    damping = 2.0 * vehicle.damping_ratio * (2.0 * np.pi * vehicle.sprung_hz)
    tyre = stiffness * vehicle.tyre_stiffness_ratio

    def response(frequencies: FloatArray) -> ComplexArray:
        omega = 2.0 * np.pi * frequencies
        coupling = stiffness + 1j * omega * damping
        sprung = coupling - omega**2
        unsprung = coupling + tyre - vehicle.unsprung_ratio * omega**2
        result: ComplexArray = -(omega**2) * tyre * coupling / (sprung * unsprung - coupling**2)
        return result

    return response


def ride(vehicle: Vehicle, left: FloatArray, right: FloatArray, position: FloatArray, rate_hz: float) -> BodyVibration:
    """Drive the body over the two tracks.

    Args:
        vehicle: the car.
        left: float64 [S], profile of the left track on the grid of ``GRID_M``, m.
        right: float64 [S], profile of the right track.
        position: float64 [T], distance covered by the front axle at each time step, m, not decreasing.
        rate_hz: time steps per second.

    Returns:
        accelerations at the sensor.
    """
    response = body_acceleration_response(vehicle)
    grid = np.arange(left.shape[0]) * GRID_M

    def corner(profile: FloatArray, behind: float) -> FloatArray:
        height = np.interp(position - behind, grid, profile)
        return apply_response(height, rate_hz, response)

    front_left, front_right = corner(left, 0.0), corner(right, 0.0)
    rear_left, rear_right = corner(left, vehicle.wheelbase), corner(right, vehicle.wheelbase)
    front, rear = 0.5 * (front_left + front_right), 0.5 * (rear_left + rear_right)
    pitch = (rear - front) / vehicle.wheelbase  # rad/s^2, nose down positive
    roll = 0.5 * (front_left + rear_left - front_right - rear_right) / vehicle.track  # rad/s^2, left side up positive
    heave = (vehicle.cg_to_rear * front + vehicle.front_to_cg * rear) / vehicle.wheelbase
    return BodyVibration(
        vertical=heave - vehicle.sensor_forward * pitch + vehicle.sensor_left * roll,
        longitudinal=vehicle.sensor_height * pitch,
        lateral=-vehicle.sensor_height * roll,
    )
