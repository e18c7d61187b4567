"""Which channels are x, y and z of one sensor."""

from __future__ import annotations

from edge_seq.ir.contract import SensorContract

_AXES = "xyz"


def axis_triples(contract: SensorContract) -> tuple[tuple[int, int, int], ...]:
    """Channel indices of each x, y, z that share a name stem and a unit, for example ax, ay, az.

    Names differ in one letter only, their last or their first: ``ax``, ``gyro_x``, ``x`` and ``x_acc`` all count.
    """
    by_name = {channel.name.lower(): index for index, channel in enumerate(contract.channels)}
    triples = []
    for name, index in by_name.items():
        candidates = []
        if name.endswith("x"):
            candidates.append([name[:-1] + axis for axis in _AXES])
        if name.startswith("x") and len(name) > 1:
            candidates.append([axis + name[1:] for axis in _AXES])
        for names in candidates:
            units = {contract.channels[by_name[n]].unit for n in names if n in by_name}
            if all(n in by_name for n in names) and len(units) == 1:
                triples.append((index, by_name[names[1]], by_name[names[2]]))
                break
    return tuple(triples)
