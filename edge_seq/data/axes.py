"""Triples of channels that are the three axes of one sensor, and rotations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.contract import SensorContract

AXES = "xyz"


def axis_triples(contract: SensorContract) -> tuple[tuple[int, int, int], ...]:
    """Find the channel indices of each x, y, z that share a name stem and a unit, for example ax, ay, az.

    The names differ in their last or their first letter only: ``ax``, ``gyro_x``, ``x`` and ``x_acc`` all count.
    """
    by_name = {channel.name.lower(): index for index, channel in enumerate(contract.channels)}
    triples = []
    for name, index in by_name.items():
        candidates = []
        if name.endswith("x"):
            candidates.append([name[:-1] + axis for axis in AXES])
        if name.startswith("x") and len(name) > 1:
            candidates.append([axis + name[1:] for axis in AXES])
        for names in candidates:
            units = {contract.channels[by_name[n]].unit for n in names if n in by_name}
            if all(n in by_name for n in names) and len(units) == 1:
                triples.append((index, by_name[names[1]], by_name[names[2]]))
                break
    return tuple(triples)


def rotation_about(axis: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """Compute the rotation matrix float64 [3, 3] about a unit vector (Rodrigues 1840): I + sin(a) K + (1 - cos(a)) K K.

    >>> (rotation_about(np.array([0.0, 0.0, 1.0]), 90.0) @ [1, 0, 0]).round(12).tolist()
    [0.0, 1.0, 0.0]
    """
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(degrees)
    rotation: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation
