"""A board's sensor as a source of samples: its contract is checked before the first one, every loss is marked."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.checks import check_saturation
from edge_seq.device.client import Device, SampleBlock
from edge_seq.device.contract import contract_differences
from edge_seq.ir.contract import Channel, Preprocessing, PreprocessingStep, SensorContract, Unit, verify_contract
from edge_seq.support.errors import ContractError

# As the defaults of a data source (edge_seq.data.source): what was good enough to train on.
RATE_TOLERANCE, MAX_SATURATED_SHARE = 0.05, 0.05
RATE_SPAN_S, RATE_SHORTEST_S = 5.0, 2.0  # over which the rate is measured
DRIFT_SPAN_S, DRIFT_POINTS = 120.0, 480  # over which it is judged
# How late a block may come: on a computer that is short of time, by what all buffers on the way hold; and the first or
# the last block of a recording.
BACKLOG_S, ARRIVAL_JITTER_S = 2.0, 0.3
_PORT = re.compile(r"[A-Za-z0-9_+]+://|/dev/|COM\d+$")

UNKNOWN = "unknown"  # a decision, where no class leads by enough

Warn = Callable[[str], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Gap:
    """Samples that are missing.

    Attributes:
        sample: index of the first sample after the gap; from 0 at the stream's start, the lost ones count.
        lost: how many; None where the device started anew, so that nobody knows.
    """

    sample: int
    lost: int | None

    def __str__(self) -> str:
        lost = (
            "an unknown number of samples lost, the device started anew" if self.lost is None else f"{self.lost} lost"
        )
        return f"gap before sample {self.sample}: {lost}"


def is_port(source: str) -> bool:
    """Whether a text names a serial port and no file: ``/dev/...`` or a link to it, ``COM3``, or a URL of pyserial.

    >>> is_port("/dev/ttyACM0"), is_port("socket://localhost:7000"), is_port("COM4"), is_port("drive.csv")
    (True, True, True, False)
    """
    path = Path(source)
    return not path.is_file() and (_PORT.match(source) is not None or path.is_char_device())


def contract_of(device: Device) -> tuple[SensorContract, tuple[str, ...]]:
    """The sensor contract and the class names that a device tells.

    Raises:
        ContractError: where they are no usable contract.
    """
    told = device.contract()
    step, _, shift = told.preprocessing.partition(", shift ")
    try:
        contract = SensorContract(
            sample_rate_hz=float(told.sample_rate_hz),
            channels=tuple(
                Channel(name, cast(Unit, unit), float(per_unit), float(scale))
                for name, unit, per_unit, scale in told.channels
            ),
            window_length=device.info.window_length,
            window_stride=int(told.window_stride),
            preprocessing=Preprocessing(cast(PreprocessingStep, step), int(shift) if shift else 6),
        )
        verify_contract(contract)
    except (ValueError, ContractError) as error:
        raise ContractError(
            f"asking {device.name} for its sensor contract: {error}. Build the firmware again with edge-seq export"
        ) from error
    return contract, told.labels


def require_contract(device: Device, contract: SensorContract) -> None:
    """See that a device's samples are what a model was made for, before one is taken.

    Raises:
        ContractError: naming each field that differs, with both values.
    """
    if differences := contract_differences(device, contract):
        raise ContractError(
            f"the board on {device.name} and the model do not fit: {'; '.join(differences)}. Flash the firmware that "
            "was exported with this model, or give the run that the board's firmware was exported from"
        )


class RateMeter:
    """Samples a second by the host's clock; of bounded size.

    Args:
        expected_hz: of the contract.
        clock: seconds.
    """

    def __init__(self, expected_hz: float, clock: Clock = time.monotonic) -> None:
        self._expected_hz, self._clock = expected_hz, clock
        self._recent: deque[tuple[float, int]] = deque()
        self._long: deque[tuple[float, int]] = deque()

    def add(self, end_index: int) -> None:
        """Samples up to ``end_index``, without it, are there; those that were lost count, as the sensor gave them."""
        now = self._clock()
        for points, span_s in ((self._recent, RATE_SPAN_S), (self._long, DRIFT_SPAN_S)):
            if points and now - points[-1][0] < span_s / DRIFT_POINTS:
                continue
            points.append((now, end_index))
            while now - points[0][0] > span_s and len(points) > 2:
                points.popleft()

    def gap(self, lost: int) -> bool:
        """So many samples are missing before the next. Whether measuring begins anew: where time and index do not agree
        on how long that was, as after this computer slept."""
        anew = bool(self._recent) and abs(lost / self._expected_hz - self._clock() + self._recent[-1][0]) > BACKLOG_S
        if anew:
            self.clear()
        return anew

    def clear(self) -> None:
        """Indices begin anew."""
        self._recent.clear()
        self._long.clear()

    @property
    def rate_hz(self) -> float | None:
        """Over the last :data:`RATE_SPAN_S`; None where too little is known, or nothing came for some time."""
        if self._recent and self._clock() - self._recent[-1][0] > RATE_SHORTEST_S:
            return None
        span_s, samples = _from_first_to_last(self._recent)
        return samples / span_s if span_s >= RATE_SHORTEST_S else None

    @property
    def off_hz(self) -> float | None:
        """The rate where it is another than the contract's, by more than blocks that come late explain; else None."""
        span_s, samples = _from_first_to_last(self._long)
        if abs(samples / self._expected_hz - span_s) <= RATE_TOLERANCE * span_s + BACKLOG_S:
            return None
        return samples / span_s if span_s else float("inf")


def _from_first_to_last(points: deque[tuple[float, int]]) -> tuple[float, int]:
    return (points[-1][0] - points[0][0], points[-1][1] - points[0][1]) if points else (0.0, 0)


def rate_holds(rate_hz: float, expected_hz: float, span_s: float) -> bool:
    """Whether a rate measured over ``span_s`` is the contract's, within the tolerance and the jitter of arrival."""
    return abs(rate_hz - expected_hz) <= expected_hz * (RATE_TOLERANCE + ARRIVAL_JITTER_S / span_s)


def constant_channels(values: NDArray[np.generic], contract: SensorContract) -> tuple[str, ...]:
    """Names of the channels that do not change in values [n, C]; none where n < 2."""
    if len(values) < 2:
        return ()
    still = (values == values[0]).all(axis=0)
    return tuple(name for name, is_still in zip(contract.channel_names, still, strict=True) if is_still)


class InputWatch:
    """Warns once of each axis that stands still for a window, and once of a window with much beyond full scale.

    Args:
        contract: of the samples.
        name: of the stream, for messages.
        warn: told.
    """

    def __init__(self, contract: SensorContract, name: str, warn: Warn) -> None:
        self._contract, self._name, self._warn = contract, name, warn
        self._block: list[NDArray[np.float64]] = []
        self._size, self._seen, self._saturation_told = 0, 0, False
        self._told: set[str] = set()

    def add(self, values: NDArray[np.float64]) -> None:
        """Samples float64 [n, C] in the contract's units."""
        self._block.append(values)
        self._size += len(values)
        if self._size >= max(2, self._contract.window_length):
            self._seen += self._size
            self.look(np.concatenate(self._block), f"up to sample {self._seen}")
            self._block, self._size = [], 0

    def look(self, block: NDArray[np.float64], where: str) -> None:
        """At a whole window, float64 [n, C], that ends ``where``."""
        for channel in constant_channels(block, self._contract):
            if channel not in self._told:
                self._told.add(channel)
                index = self._contract.channel_names.index(channel)
                self._warn(
                    f"stream {self._name}, {where}: channel {channel} is {block[0, index]:g} in all of the last "
                    f"{len(block)} samples. Is the axis dead, or a wire off?"
                )
        if self._saturation_told:
            return
        try:
            check_saturation(
                block,
                name=f"{self._name}, {where}",
                contract=self._contract,
                max_saturated_share=MAX_SATURATED_SHARE,
            )
        except ContractError as error:
            self._saturation_told = True
            self._warn(str(error))


def in_units(counts: NDArray[np.int16] | NDArray[np.float64], contract: SensorContract) -> NDArray[np.float64]:
    """Counts [n, C] as float64 [n, C] in each channel's unit."""
    per_unit = np.array([channel.counts_per_unit for channel in contract.channels], dtype=np.float64)
    return np.divide(counts, per_unit, dtype=np.float64)


def off_rate_message(name: str, rate_hz: float, expected_hz: float) -> str:
    """What to say of a board whose rate is another."""
    return (
        f"stream {name}: {rate_hz:.4g} samples a second by this computer's clock, the sensor contract says "
        f"{expected_hz:g} Hz with a tolerance of {RATE_TOLERANCE:.0%}. Correct the sensor's rate in the firmware, or "
        "train for this rate"
    )


def samples_of(
    device: Device,
    contract: SensorContract,
    *,
    warn: Warn,
    meter: RateMeter | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Generator[NDArray[np.int16] | Gap, None, None]:
    """Samples int16 [C] of a board's sensor, one by one, and the gaps between them, without end.

    Args:
        device: that said hello.
        contract: of the model that they are for.
        warn: told once of each dead axis and of saturation.
        meter: of the contract's rate, to be read by the caller.
        tick: as of :meth:`edge_seq.device.client.Device.stream`.

    Raises:
        ContractError: where the board's contract is another, or its sensor's rate.
        DeviceError, PortLostError: as :meth:`edge_seq.device.client.Device.stream`.
    """
    require_contract(device, contract)
    meter = RateMeter(contract.sample_rate_hz) if meter is None else meter
    watch = InputWatch(contract, device.name, warn)
    index = 0
    for block in device.stream(tick=tick):
        assert isinstance(block, SampleBlock)  # decisions were not asked for
        if block.restarted or block.lost:
            index += block.lost
            yield Gap(index, None if block.restarted else block.lost)
        if block.restarted:
            meter.clear()
        elif block.lost:
            meter.gap(block.lost)
        meter.add(block.first_index + len(block.counts))
        if (off_hz := meter.off_hz) is not None:
            raise ContractError(off_rate_message(device.name, off_hz, contract.sample_rate_hz))
        watch.add(in_units(block.counts, contract))
        index += len(block.counts)
        yield from block.counts
