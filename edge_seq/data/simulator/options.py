"""Options of the simulator of car states: one table for configurations, commands and Python."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from edge_seq.support.tables import StrictTable

WINDOW_S, STRIDE_S = 5.0, 2.5


def simulated_windows(sample_rate_hz: float) -> tuple[int, int]:
    """Window length and stride of simulated car states in samples: 5 s and 2.5 s, as in ST's car-state kit.

    >>> simulated_windows(10.0), simulated_windows(26.0)
    ((50, 25), (130, 65))
    """
    return max(1, round(WINDOW_S * sample_rate_hz)), max(1, round(STRIDE_S * sample_rate_hz))


class CarStatesOptions(StrictTable):
    """Options of the simulator.

    Attributes:
        drives: number of drives. Drive k is the same whatever their number.
        drive_duration_s: nominal duration of each drive in seconds.
        sample_rate_hz: nominal rate of the sensor, 5 to 100 Hz.
        window_length, window_stride: window length and stride of the contract in samples; by default 5 s and 2.5 s at
            the sample rate.
        seed: seed of the simulation's random numbers.

    >>> CarStatesOptions(sample_rate_hz=26.0).window_length
    130
    """

    drives: int = 48
    drive_duration_s: float = 300.0
    sample_rate_hz: float = 10.0
    window_length: int = 50
    window_stride: int = 25
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _windows_follow_the_rate(cls, table: Any) -> Any:
        rate = table.get("sample_rate_hz") if isinstance(table, dict) else None
        if isinstance(rate, int | float) and 0 < rate < 1e6:  # the simulator refuses other rates
            length, stride = simulated_windows(rate)
            return {"window_length": length, "window_stride": stride, **table}
        return table
