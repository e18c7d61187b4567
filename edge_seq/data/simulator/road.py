"""Road profiles according to ISO 8608, in two correlated tracks, with potholes, bumps and joints.

ISO 8608:2016 gives the one-sided displacement spectrum ``Gd(n) = Gd(n0) (n / n0)^-2``, n in cycles per metre, n0 = 0.1.
The geometric mean of Gd(n0) is 16, 64, 256, 1024, 4096 times 1e-6 m^3 for the classes A to E, and the class limits are
a factor of 2 to either side. With waviness 2 the slope dz/ds is white: ``G'(n) = (2 pi n0)^2 Gd(n0)``. So a profile
with changing roughness is white noise that is scaled along the way and then integrated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge_seq.data.simulator.spectrum import FloatArray, fast_length

REFERENCE_WAVENUMBER = 0.1  # n0 of ISO 8608, cycles/m
LOWEST_WAVENUMBER = 0.011  # cycles/m; lower limit of ISO 8608, since longer waves are hills and not roughness
GRID_M = 0.05  # spacing of the profile grid
CLASS_GEOMETRIC_MEAN = {"A": 16e-6, "B": 64e-6, "C": 256e-6, "D": 1024e-6, "E": 4096e-6}  # Gd(n0), m^3


@dataclass(frozen=True)
class Obstacle:
    """A single feature of the road with the shape of a raised cosine, on one track or on both.

    Attributes:
        position: position of its start, m.
        length: length, m.
        height: height, m; negative for a hole.
        left: True if it is on the left track.
        right: True if it is on the right track.
    """

    position: float
    length: float
    height: float
    left: bool
    right: bool


def draw_roughness(rng: np.random.Generator, classes: str) -> float:
    """Draw Gd(n0) in m^3, log-uniform from the lower limit of the first class to the upper limit of the last.

    >>> 8e-6 <= draw_roughness(np.random.default_rng(0), "AB") <= 128e-6
    True
    """
    lower = CLASS_GEOMETRIC_MEAN[classes[0]] / 2
    upper = CLASS_GEOMETRIC_MEAN[classes[-1]] * 2
    return math.exp(rng.uniform(math.log(lower), math.log(upper)))


def track_coherence(wavenumber: FloatArray, track: float) -> FloatArray:
    """Coherence of the tracks of an isotropic road (Dodds & Robson 1973), for waviness 2: ``x K1(x)``, x = 2 pi n w.

    ``x K1(x)`` is approximated by ``sqrt(1 + pi x / 2) exp(-x)``, which has the right asymptote and is 1 at x = 0. The
    error is at most 0.03.
    """
    x = 2.0 * np.pi * wavenumber * track
    coherence: FloatArray = np.sqrt(1.0 + 0.5 * np.pi * x) * np.exp(-x)
    return coherence


def make_tracks(
    rng: np.random.Generator,
    roughness: FloatArray,
    *,
    track: float,
    contact_length: float,
    obstacles: tuple[Obstacle, ...],
) -> tuple[FloatArray, FloatArray]:
    """Draw the profiles of the left and the right track, averaged over the contact of the tyre.

    Args:
        rng: source of the profile.
        roughness: float64 [S], Gd(n0) in m^3 on the grid of ``GRID_M``.
        track: distance between the tracks, m.
        contact_length: length of the tyre's contact patch, m, over which the profile is averaged (enveloping).
        obstacles: obstacles to add to the profile.

    Returns:
        left and right profile, float64 [S], m.
    """
    size = roughness.shape[0]
    padded = fast_length(size + int(100.0 / GRID_M))
    wavenumber = np.asarray(np.fft.rfftfreq(padded, GRID_M), dtype=np.float64)
    coherence = track_coherence(wavenumber, track)
    common = np.fft.rfft(rng.standard_normal(padded)) * np.sqrt(0.5 * (1.0 + coherence))
    opposed = np.fft.rfft(rng.standard_normal(padded)) * np.sqrt(0.5 * (1.0 - coherence))
    # White slope noise with the one-sided spectrum S has the variance S / (2 ds) on a grid.
    slope_sigma = 2.0 * np.pi * REFERENCE_WAVENUMBER * np.sqrt(roughness / (2.0 * GRID_M))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = wavenumber / LOWEST_WAVENUMBER
        integrate = np.where(
            wavenumber > 0, (ratio**2 / (1.0 + ratio**2)) / (2j * np.pi * wavenumber), 0.0
        )  # integration with a high-pass at the lowest wave number
    envelope = np.sinc(wavenumber * contact_length)
    profiles = []
    left_obstacles = [obstacle for obstacle in obstacles if obstacle.left]
    right_obstacles = [obstacle for obstacle in obstacles if obstacle.right]
    for sign, on_track in ((1.0, left_obstacles), (-1.0, right_obstacles)):
        slope = np.zeros(padded)
        slope[:size] = np.fft.irfft(common + sign * opposed, padded)[:size] * slope_sigma
        profile = np.fft.irfft(np.fft.rfft(slope) * integrate, padded)
        for obstacle in on_track:
            add_obstacle(profile, obstacle)
        profiles.append(np.fft.irfft(np.fft.rfft(profile) * envelope, padded)[:size])
    return profiles[0], profiles[1]


def add_obstacle(profile: FloatArray, obstacle: Obstacle) -> None:
    """Add ``h/2 (1 - cos(2 pi s / l))`` to a profile, in place. It is cut off at the end of the profile."""
    start = max(0, round(obstacle.position / GRID_M))
    count = max(2, round(obstacle.length / GRID_M))
    stop = min(profile.shape[0], start + count + 1)
    if stop > start:
        steps = np.arange(stop - start)
        profile[start:stop] += 0.5 * obstacle.height * (1.0 - np.cos(2.0 * np.pi * steps / count))
