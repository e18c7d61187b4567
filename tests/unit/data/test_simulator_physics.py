"""The parts of the simulator agree with the equations in their docstrings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_seq.data.simulator.course import draw_gear_changes, label_slides
from edge_seq.data.simulator.lateral import Driver, LateralInput, brush_force, move, steer_for
from edge_seq.data.simulator.parked import ParkedPeriod, engine_vibration, people
from edge_seq.data.simulator.quarter_car import body_acceleration_response, ride
from edge_seq.data.simulator.road import GRID_M, Obstacle, make_tracks, track_coherence
from edge_seq.data.simulator.sensor import Sensor, draw_sensor, sample
from edge_seq.data.simulator.spectrum import apply_response, coloured_noise
from edge_seq.data.simulator.vehicle import GRAVITY, Vehicle, draw_vehicle


@pytest.fixture
def vehicle() -> Vehicle:
    return draw_vehicle(np.random.default_rng(5))


def test_a_road_has_the_spectrum_of_its_iso_8608_class() -> None:
    size = 400_000  # 20 km
    roughness = np.full(size, 64e-6)
    left, right = make_tracks(np.random.default_rng(1), roughness, track=1.5, contact_length=0.05, obstacles=())
    for profile in (left, right):
        segments = profile[: size // 8000 * 8000].reshape(-1, 8000) * np.hanning(8000)
        wavenumber = np.fft.rfftfreq(8000, GRID_M)
        density = (
            2.0 * GRID_M * (np.abs(np.fft.rfft(segments, axis=1)) ** 2).mean(axis=0) / (np.hanning(8000) ** 2).sum()
        )
        band = (wavenumber > 0.05) & (wavenumber < 1.0)
        ratio = density[band] / (64e-6 * (wavenumber[band] / 0.1) ** -2)
        assert np.exp(np.log(ratio).mean()) == pytest.approx(1.0, abs=0.1)
        assert np.log(ratio).std() < 0.35  # no trend either: the waviness is 2


def test_the_coherence_of_the_tracks_is_that_of_an_isotropic_road() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.linspace(0.02, 8.0, 200)
    found = track_coherence(x / (2.0 * np.pi * 1.5), 1.5)
    np.testing.assert_allclose(found, x * special.k1(x), atol=0.03)


def test_an_obstacle_lies_on_its_track_and_has_its_height() -> None:
    flat = np.zeros(2000)
    hole = Obstacle(position=40.0, length=1.0, height=-0.05, left=True, right=False)
    left, right = make_tracks(np.random.default_rng(0), flat, track=1.5, contact_length=0.1, obstacles=(hole,))
    assert left.min() == pytest.approx(-0.05, rel=0.05)
    assert np.argmin(left) * GRID_M == pytest.approx(40.5, abs=0.06)
    assert np.abs(right).max() < 1e-12


def integrate_quarter_car(vehicle: Vehicle, height: np.ndarray, step: float) -> np.ndarray:
    """Integrate the two differential equations in small steps, as a slow and obvious reference."""
    k = (2 * np.pi * vehicle.sprung_hz) ** 2
    c = 2 * vehicle.damping_ratio * 2 * np.pi * vehicle.sprung_hz
    tyre, r = k * vehicle.tyre_stiffness_ratio, vehicle.unsprung_ratio
    zs = vs = zu = vu = 0.0
    result = np.zeros_like(height)
    for t, road in enumerate(height):
        force = k * (zs - zu) + c * (vs - vu)
        result[t] = -force
        vu += step * (force - tyre * (zu - road)) / r
        vs += step * -force
        zu += step * vu
        zs += step * vs
    return result


def test_the_quarter_car_in_frequency_is_the_quarter_car_in_time(vehicle: Vehicle) -> None:
    rate = 4000.0
    clock = np.arange(int(4.0 * rate)) / rate
    height = 0.03 * np.exp(-(((clock - 1.0) / 0.06) ** 2))
    expected = integrate_quarter_car(vehicle, height, 1.0 / rate)
    found = apply_response(height, rate, body_acceleration_response(vehicle))
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_a_car_at_rest_feels_no_road(vehicle: Vehicle) -> None:
    rng = np.random.default_rng(0)
    left, right = make_tracks(rng, np.full(4000, 4096e-6), track=1.5, contact_length=0.2, obstacles=())
    felt = ride(vehicle, left, right, np.full(2000, 50.0), 200.0)
    assert np.abs(felt.vertical).max() < 1e-9


def test_rough_and_fast_shake_more(vehicle: Vehicle) -> None:
    def rms(roughness: float, speed: float) -> float:
        profile = make_tracks(
            np.random.default_rng(2), np.full(20_000, roughness), track=1.5, contact_length=0.2, obstacles=()
        )
        felt = ride(vehicle, *profile, 10.0 + speed * np.arange(6000) / 200.0, 200.0)
        return float(np.sqrt(np.mean(felt.vertical**2)))

    assert rms(256e-6, 10.0) == pytest.approx(2.0 * rms(64e-6, 10.0), rel=1e-6)  # linear in the square root of Gd
    assert rms(64e-6, 30.0) > 1.2 * rms(64e-6, 10.0)
    # The classes are hard to separate because a fast car on class B shakes as much as a slow one on class D.
    assert rms(110e-6, 30.0) > 0.8 * rms(560e-6, 5.0)


def test_a_tyre_saturates_smoothly() -> None:
    assert brush_force(0.0, 12.0, 0.8) == (0.0, 0.0)
    small, _ = brush_force(1e-4, 12.0, 0.8)
    assert small == pytest.approx(-12.0e-4, rel=1e-2)
    limit = np.arctan(3 * 0.8 / 12.0)
    assert brush_force(limit, 12.0, 0.8)[0] == pytest.approx(-0.8)
    assert brush_force(limit, 12.0, 0.8)[1] == pytest.approx(1.0)
    assert brush_force(-1.0, 12.0, 0.3)[0] == 0.3
    slips = np.linspace(0, limit, 50)
    assert (np.diff([brush_force(slip, 12.0, 0.8)[0] for slip in slips]) < 0).all()


def constant_drive(vehicle: Vehicle, *, speed: float, side: float, friction: float, seconds: float) -> LateralInput:
    count = int(seconds * 50.0)
    ramp = np.clip(np.arange(count) / 500.0, 0.0, 1.0)
    planned = speed * ramp
    steer = steer_for(vehicle, np.full(count, side), np.full(count, speed)) * np.clip(
        np.arange(count) / 50.0 - 11.0, 0, 1
    )
    return LateralInput(
        speed=planned,
        acceleration=np.gradient(planned) * 50.0,
        path_steer=steer,
        flick=np.zeros(count),
        grip=np.full(count, friction),
        friction=np.full(count, friction),
        rear_grip=np.ones(count),
        yaw_moment=np.zeros(count),
        catching=np.zeros(count, dtype=bool),
    )


DRIVER = Driver(delay_s=0.2, sideslip_gain=1.2, yaw_gain=0.2)


def test_a_gripping_car_corners_as_the_linear_bicycle_model_says(vehicle: Vehicle) -> None:
    motion = move(vehicle, DRIVER, constant_drive(vehicle, speed=15.0, side=0.8, friction=1.0, seconds=20.0))
    assert motion.lateral[-1] == pytest.approx(0.8, rel=0.05)
    assert motion.slide.max() < 0.2
    assert motion.speed[-1] == pytest.approx(15.0, rel=0.02)


def test_on_ice_the_same_steering_slides_and_gives_no_more_than_the_grip(vehicle: Vehicle) -> None:
    motion = move(vehicle, DRIVER, constant_drive(vehicle, speed=15.0, side=5.0, friction=0.2, seconds=20.0))
    assert motion.slide.max() >= 1.0
    level = dataclasses.replace(vehicle, sensor_forward=0.0)
    motion = move(level, DRIVER, constant_drive(level, speed=15.0, side=5.0, friction=0.2, seconds=20.0))
    assert np.abs(motion.lateral).max() <= 0.2 * GRAVITY + 1e-9


def test_changing_up_costs_acceleration_for_a_moment() -> None:
    planned = np.clip(np.arange(1000) / 50.0, 0.0, 12.0)  # 1 m/s^2 through 5 and 9 m/s
    lost = draw_gear_changes(np.random.default_rng(0), planned)
    assert lost.min() == pytest.approx(-1.0, abs=0.02)
    assert (lost[:245] == 0).all()
    assert 0.8 < (lost < 0).sum() / 50.0 < 1.8
    assert (draw_gear_changes(np.random.default_rng(0), planned[::-1]) == 0).all()  # downshifts are not modelled


def test_slides_close_together_are_one_skid_and_blips_are_none() -> None:
    sliding = np.zeros(1000, dtype=bool)
    sliding[100:140] = sliding[180:260] = True  # 0.8 s apart
    sliding[600:620] = True  # 0.4 s long
    labelled = label_slides(sliding)
    assert labelled[100:260].all()
    assert labelled.sum() == 160


def ideal_sensor(**changes: object) -> Sensor:
    base = Sensor(
        rotation=np.eye(3),
        bandwidth_hz=20.0,
        rate_error=0.0,
        jitter_s=0.0,
        bias=np.zeros(3),
        gain=np.ones(3),
        noise_density=0.0,
        range_g=4.0,
        resolution_bits=16,
    )
    return dataclasses.replace(base, **changes)


def measure(sensor: Sensor, force: np.ndarray, count: int = 100) -> np.ndarray:
    counts, _ = sample(np.random.default_rng(0), sensor, force, 200.0, sample_rate_hz=10.0, count=count)
    return counts.astype(int)


def standing(seconds: float = 12.0) -> np.ndarray:
    force = np.zeros((int(200 * seconds), 3))
    force[:, 2] = GRAVITY
    return force


def test_an_ideal_part_at_rest_gives_one_g() -> None:
    counts = measure(ideal_sensor(), standing())
    np.testing.assert_array_equal(counts, np.tile([0, 0, 8192], (100, 1)))


def test_a_part_saturates_at_its_own_range() -> None:
    force = standing()
    force[1000:1400, 0] = 30.0
    counts = measure(ideal_sensor(range_g=2.0), force)
    assert counts[:, 0].max() == 2 * 8192  # 16 bits over +-2 g: half a count a step, and the top step rounds up
    assert measure(ideal_sensor(), force)[:, 0].max() == pytest.approx(30.0 / GRAVITY * 8192, rel=0.06)


def test_a_coarse_part_has_steps() -> None:
    force = standing() + np.random.default_rng(1).normal(0, 1.0, (2400, 3))
    counts = measure(ideal_sensor(resolution_bits=12), force)
    np.testing.assert_array_equal(counts % 16, 0)  # 8 g in 4096 steps of 16 counts
    assert len(np.unique(counts)) > 20


def test_bias_gain_and_mounting_show() -> None:
    counts = measure(ideal_sensor(bias=np.array([0.1 * GRAVITY, 0, 0]), gain=np.array([1, 1, 1.02])), standing())
    np.testing.assert_array_equal(counts[0], [819, 0, 8356])
    tilted = measure(ideal_sensor(rotation=np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])), standing())
    np.testing.assert_array_equal(tilted[0], [8192, 0, 0])


def test_noise_has_the_density_of_the_part() -> None:
    counts = measure(ideal_sensor(noise_density=0.01), standing(300.0), count=2900)
    sigma = 0.01 * np.sqrt(20.0 * np.pi / 2.0) / GRAVITY * 8192
    assert counts[:, 0].std() == pytest.approx(sigma, rel=0.05)


def test_the_clock_is_off_and_jitters() -> None:
    _, times = sample(
        np.random.default_rng(0),
        ideal_sensor(rate_error=0.01, jitter_s=0.004),
        standing(),
        200.0,
        sample_rate_hz=10.0,
        count=100,
    )
    assert np.diff(times).mean() == pytest.approx(0.101, abs=2e-4)
    assert 0.003 < np.diff(times).std() < 0.009
    assert (np.diff(times) > 0).all()


def test_idle_is_folded_below_half_the_sample_rate(vehicle: Vehicle) -> None:
    engine = dataclasses.replace(vehicle, cylinders=4, idle_rpm=700.0, idle_amplitude=0.2)
    still = np.zeros(4000)
    felt = engine_vibration(np.random.default_rng(0), engine, still, np.ones(4000), 200.0)
    frequency = np.fft.rfftfreq(4000, 1 / 200.0)[np.abs(np.fft.rfft(felt[:, 2])).argmax()]
    assert frequency == pytest.approx(700.0 / 60.0 * 2.0, rel=0.05)  # two firings per turn: 23 Hz
    counts = measure(ideal_sensor(bandwidth_hz=25.0), standing(20.0) + felt, count=190)
    assert counts[:, 2].std() > 20.0  # it is aliased at 10 Hz, but still there
    off = engine_vibration(np.random.default_rng(0), engine, still, np.zeros(4000), 200.0)
    assert np.abs(off).max() == 0.0


def test_a_battery_car_does_not_idle(vehicle: Vehicle) -> None:
    car = dataclasses.replace(vehicle, cylinders=0)
    felt = engine_vibration(np.random.default_rng(0), car, np.zeros(400), np.ones(400), 200.0)
    assert np.abs(felt).max() == 0.0


def test_people_move_the_car_only_while_it_is_parked(vehicle: Vehicle) -> None:
    stay = ParkedPeriod(start_s=10.0, end_s=30.0, engine_off_s=30.0, engine_on_s=30.0, busy=0.5)
    felt = people(np.random.default_rng(3), vehicle, stay, 8000, 200.0)
    assert np.abs(felt[2000:6000]).max() > 0.1
    assert np.abs(felt[:1990]).max() == 0.0
    assert np.abs(felt[6010:]).max() == 0.0


def test_coloured_noise_has_unit_deviation_and_its_band() -> None:
    noise = coloured_noise(np.random.default_rng(0), 100_000, 100.0, 0.5, 5.0)
    assert noise.std() == pytest.approx(1.0, rel=0.05)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(100_000, 0.01)
    assert power[frequency < 0.05].mean() < 0.05 * power[(frequency > 1) & (frequency < 3)].mean()
    assert power[frequency > 40].mean() < 0.05 * power[(frequency > 1) & (frequency < 3)].mean()


def test_parts_and_cars_differ() -> None:
    rng = np.random.default_rng(0)
    sensors = [draw_sensor(rng, 10.0) for _ in range(50)]
    assert {sensor.range_g for sensor in sensors} == {2.0, 4.0}
    assert {sensor.resolution_bits for sensor in sensors} == {12, 14, 16}
    assert len({draw_vehicle(rng).mass for _ in range(10)}) == 10
    for sensor in sensors:
        np.testing.assert_allclose(sensor.rotation @ sensor.rotation.T, np.eye(3), atol=1e-12)
