"""Scenario of a drive: a plan of legs, drawn phase by phase.

A drive consists of rounds. Each round has these phases once, in random order: parked, a normal road (town, country,
motorway or creeping), a bumpy road, a patchwork of both, and a slippery road on which the tyres slide. The speed is
linear within a leg. Corners, swerves and obstacles are drawn when the plan is laid out in time
(:mod:`edge_seq.data.simulator.course`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_seq.data.simulator.road import draw_roughness
from edge_seq.data.simulator.vehicle import GRAVITY

LABELS = ("parked", "normal_road", "bumpy_road", "skid")
PARKED, NORMAL_ROAD, BUMPY_ROAD, SKID = range(4)

LegKind = Literal["drive", "stand", "park", "fishtail", "brake_slide"]
Style = Literal["creep", "town", "country", "motorway", "track"]


@dataclass(frozen=True)
class Surface:
    """A stretch of road.

    Attributes:
        label: class of the road, NORMAL_ROAD or BUMPY_ROAD.
        style: style of driving.
        roughness: Gd(n0), m^3.
        friction: friction coefficient, mu.
        holes_per_km: potholes and manhole covers per km.
        bumps_per_km: speed bumps per km.
        slab_m: length of the concrete slabs, m; 0 for asphalt.
        step_m: height of the joints between slabs, m.
        swerving: corners, lane changes and swerves per second.
    """

    label: int
    style: Style
    roughness: float
    friction: float
    holes_per_km: float
    bumps_per_km: float
    slab_m: float
    step_m: float
    swerving: float


@dataclass(frozen=True)
class Leg:
    """A part of the plan, with linear speed.

    Attributes:
        kind: event of the leg.
        duration_s: duration, s.
        end_speed: speed at the end, m/s. The leg starts with the end speed of the leg before.
        surface: road surface.
    """

    kind: LegKind
    duration_s: float
    end_speed: float
    surface: Surface


SPEED_RANGES: dict[Style, tuple[float, float]] = {
    "creep": (1.5, 5.0),
    "town": (5.0, 15.0),
    "country": (13.0, 26.0),
    "motorway": (24.0, 38.0),
    "track": (5.0, 13.0),
}
STOP_SHARE: dict[Style, float] = {"creep": 0.3, "town": 0.3, "country": 0.08, "motorway": 0.0, "track": 0.06}
RIDE_LIMIT = 0.05  # m^4/s: drivers keep Gd(n0) times speed below this, 2 to 4 m/s^2 rms of body acceleration


def draw_normal_surface(rng: np.random.Generator) -> Surface:
    """Draw a road of class A or B: from new asphalt to a worn town road with single potholes, bumps and slabs."""
    style: Style = rng.choice(["creep", "town", "country", "motorway"], p=[0.15, 0.4, 0.25, 0.2])
    in_town = style in ("creep", "town")
    slabs = rng.random() < 0.2
    return Surface(
        label=NORMAL_ROAD,
        style=style,
        roughness=draw_roughness(rng, "AB"),
        friction=rng.uniform(0.7, 1.0),
        holes_per_km=rng.choice([1.0, 5.0, 15.0]) if in_town else rng.choice([0.3, 1.5, 4.0]),
        bumps_per_km=rng.choice([0.0, 4.0, 10.0]) if in_town else 0.0,
        slab_m=rng.uniform(4.5, 7.5) if slabs else 0.0,
        step_m=rng.uniform(0.001, 0.005) if slabs else 0.0,
        swerving=math.exp(rng.uniform(math.log(0.02), math.log(0.15))),
    )


def draw_bumpy_surface(rng: np.random.Generator) -> Surface:
    """Draw a road of class D or E: cobbles, broken asphalt, gravel and tracks."""
    style: Style = rng.choice(["track", "town", "country"], p=[0.5, 0.35, 0.15])
    return Surface(
        label=BUMPY_ROAD,
        style=style,
        roughness=draw_roughness(rng, "DE"),
        friction=rng.uniform(0.5, 0.8),
        holes_per_km=rng.choice([0.0, 10.0]),
        bumps_per_km=0.0,
        slab_m=0.0,
        step_m=0.0,
        swerving=math.exp(rng.uniform(math.log(0.02), math.log(0.1))),
    )


def draw_slippery_surface(rng: np.random.Generator) -> Surface:
    """Draw a road with ice, packed snow or wet leaves (mu 0.15 to 0.45), 80 % of class A or B, 20 % of D or E."""
    base = draw_bumpy_surface(rng) if rng.random() < 0.2 else draw_normal_surface(rng)
    return Surface(
        label=base.label,
        style="town",
        roughness=min(base.roughness, 1500e-6),  # class E is too rough for skids at up to 70 km/h
        friction=math.exp(rng.uniform(math.log(0.15), math.log(0.45))),
        holes_per_km=min(base.holes_per_km, 3.0),
        bumps_per_km=0.0,
        slab_m=0.0,
        step_m=0.0,
        swerving=base.swerving,
    )


def draw_target_speed(rng: np.random.Generator, surface: Surface) -> float:
    """Draw a speed that suits the style and that the road allows, m/s."""
    slowest, fastest = SPEED_RANGES[surface.style]
    limit = RIDE_LIMIT / surface.roughness
    return float(max(slowest, min(rng.uniform(slowest, fastest), limit * rng.uniform(0.6, 1.2))))


def change_speed(rng: np.random.Generator, speed: float, target: float, surface: Surface) -> Leg:
    """Draw an acceleration or braking leg: mostly gentle, sometimes hard, at most half of the grip."""
    hard = rng.random() < 0.2
    if target > speed:
        rate = rng.uniform(2.0, 3.5) if hard else rng.uniform(0.5, 1.8)
    else:
        rate = rng.uniform(3.0, 7.0) if hard else rng.uniform(0.6, 2.4)
    rate = min(rate, 0.5 * surface.friction * GRAVITY)
    return Leg("drive", max(0.5, abs(target - speed) / rate), target, surface)


def cruise(rng: np.random.Generator, surface: Surface, speed: float, duration_s: float) -> list[Leg]:
    """Draw legs with constant and changing speeds, and stops in traffic of at most 8 s."""
    legs: list[Leg] = []
    left = duration_s
    while left > 0:
        stop = speed > 0 and rng.random() < STOP_SHARE[surface.style]
        target = 0.0 if stop else draw_target_speed(rng, surface)
        legs.append(change_speed(rng, speed, target, surface))
        if stop:
            legs.append(Leg("stand", rng.uniform(1.0, 8.0), 0.0, surface))
        else:
            drift = target * rng.uniform(0.93, 1.07)
            legs.append(Leg("drive", rng.uniform(3.0, 14.0), drift, surface))
        speed = legs[-1].end_speed
        left -= legs[-1].duration_s + legs[-2].duration_s
    return legs


def patchwork(rng: np.random.Generator, speed: float, duration_s: float) -> list[Leg]:
    """Draw a road that changes between good and bad every few seconds, at about the same speed, as at road works."""
    surfaces = [draw_normal_surface(rng), draw_bumpy_surface(rng)]
    rng.shuffle(surfaces)
    target = draw_target_speed(rng, max(surfaces, key=lambda surface: surface.roughness))
    legs = [change_speed(rng, speed, target, surfaces[0])]
    left = duration_s
    while left > 0:
        for surface in surfaces:
            legs.append(Leg("drive", rng.uniform(4.0, 9.0), target * rng.uniform(0.85, 1.15), surface))
            left -= legs[-1].duration_s
    return legs


def slide_about(rng: np.random.Generator, surface: Surface, speed: float, duration_s: float) -> list[Leg]:
    """Draw skids on one slippery surface, with stretches of full grip between them."""
    legs: list[Leg] = []
    left = duration_s
    while left > 0:
        target = rng.uniform(8.0, 19.0)
        legs.append(change_speed(rng, speed, target, surface))
        legs.append(Leg("drive", rng.uniform(1.5, 4.5), target, surface))
        if rng.random() < 0.6:
            duration = rng.uniform(5.0, 10.0)
            loss = duration * rng.uniform(0.05, 0.35) * surface.friction * GRAVITY
            legs.append(Leg("fishtail", duration, max(5.0, target - loss), surface))
        else:
            deceleration = surface.friction * GRAVITY * rng.uniform(0.8, 0.95)
            slowest = max(rng.uniform(0.0, 0.3) * target, target - 7.0 * deceleration)
            legs.append(Leg("brake_slide", (target - slowest) / deceleration, slowest, surface))
        speed = legs[-1].end_speed
        left -= sum(leg.duration_s for leg in legs[-3:])
    return legs


def plan_drive(rng: np.random.Generator, duration_s: float) -> tuple[Leg, ...]:
    """Draw a plan that lasts at least ``duration_s``."""
    legs: list[Leg] = []
    speed = 0.0
    while sum(leg.duration_s for leg in legs) < duration_s:
        for phase in rng.permutation(["park", "normal", "bumpy", "patchwork", "slippery"]):
            match phase:
                case "park":
                    surface = legs[-1].surface if legs else draw_normal_surface(rng)
                    if speed > 0:
                        legs.append(change_speed(rng, speed, 0.0, surface))
                        legs.append(Leg("stand", rng.uniform(0.5, 3.0), 0.0, surface))
                    legs.append(Leg("park", rng.uniform(12.0, 26.0), 0.0, surface))
                case "normal":
                    legs += cruise(rng, draw_normal_surface(rng), speed, rng.uniform(12.0, 28.0))
                case "bumpy":
                    legs += cruise(rng, draw_bumpy_surface(rng), speed, rng.uniform(10.0, 22.0))
                case "patchwork":
                    legs += patchwork(rng, speed, rng.uniform(35.0, 65.0))
                case _:
                    legs += slide_about(rng, draw_slippery_surface(rng), speed, rng.uniform(55.0, 85.0))
            speed = legs[-1].end_speed
    return tuple(legs)
