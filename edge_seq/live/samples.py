"""A board's sensor as a source of samples. The contract is checked before the first sample; every loss is marked."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.checks import check_saturation
from edge_seq.data.recording import Recording
from edge_seq.data.stored import blocks
from edge_seq.device.client import Device
from edge_seq.device.contract import contract_differences
from edge_seq.device.follow import SampleBlock
from edge_seq.ir.contract import Channel, Preprocessing, SensorContract, Unit, verify_contract
from edge_seq.support.errors import ContractError

# The defaults of a data source (edge_seq.data.source): what was good enough for training is good enough here.
RATE_TOLERANCE, MAX_SATURATED_SHARE = 0.05, 0.05
RATE_SPAN_S, RATE_SHORTEST_S = 5.0, 2.0  # longest and shortest span to measure the rate over
DRIFT_SPAN_S, DRIFT_POINTS = 120.0, 480  # span over which the rate is compared with the contract, and points kept of it
# Longest believable delay of a block: on a busy computer (all buffers on the way are full), and of the first or last
# block of a recording.
BACKLOG_S, ARRIVAL_JITTER_S = 2.0, 0.3
_PORT = re.compile(r"[A-Za-z0-9_+]+://|/dev/|COM\d+$")

BLOCK_SAMPLES = 4096  # of a recording at a time
UNKNOWN = "unknown"  # decision if no class leads by enough

Warn = Callable[[str], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Gap:
    """A gap: samples that are missing.

    Attributes:
        sample: index of the first sample after the gap, from 0 at the start of the stream; lost samples count.
        lost: number of missing samples; None if the device restarted, as the number is unknown then.
    """

    sample: int
    lost: int | None

    def __str__(self) -> str:
        lost = "an unknown number of samples lost, the device restarted" if self.lost is None else f"{self.lost} lost"
        return f"gap before sample {self.sample}: {lost}"


@dataclass(frozen=True)
class Start:
    """The start of a recording: the model starts anew, and samples are counted from 0 again.

    Attributes:
        recording: name of the recording.
        samples: number of its samples.
    """

    recording: str
    samples: int


def is_port(source: str) -> bool:
    """True if a text names a serial port (``/dev/...`` or a link to it, ``COM3``, a URL of pyserial) and not a file.

    >>> is_port("/dev/ttyACM0"), is_port("socket://localhost:7000"), is_port("COM4"), is_port("drive.csv")
    (True, True, True, False)
    """
    path = Path(source)
    return not path.is_file() and (_PORT.match(source) is not None or path.is_char_device())


def contract_of(device: Device) -> tuple[SensorContract, tuple[str, ...]]:
    """Ask a device for its sensor contract and class names.

    Raises:
        ContractError: the device's texts do not form a valid contract.
    """
    told = device.contract()
    try:
        contract = SensorContract(
            sample_rate_hz=float(told.sample_rate_hz),
            channels=tuple(
                Channel(name, cast(Unit, unit), float(per_unit), float(scale))
                for name, unit, per_unit, scale in told.channels
            ),
            window_length=device.info.window_length,
            window_stride=int(told.window_stride),
            preprocessing=Preprocessing.from_text(told.preprocessing),
        )
        verify_contract(contract)
    except (ValueError, ContractError) as error:
        raise ContractError(
            f"asking {device.name} for its sensor contract: {error}. Build the firmware again with edge-seq export"
        ) from error
    return contract, told.labels


def require_contract(device: Device, contract: SensorContract) -> None:
    """Check that a device's sensor contract equals the model's, before the first sample is taken.

    Raises:
        ContractError: the contracts differ; the message names each field with both values.
    """
    if differences := contract_differences(device, contract):
        raise ContractError(
            f"the board on {device.name} and the model do not fit: {'; '.join(differences)}. Flash the firmware that "
            "was exported with this model, or give the run that the board's firmware was exported from"
        )


class RateMeter:
    """Measures the sample rate by the host's clock, in bounded memory.

    Args:
        expected_hz: sample rate of the contract.
        clock: function that returns the time in seconds.
    """

    def __init__(self, expected_hz: float, clock: Clock = time.monotonic) -> None:
        self._expected_hz, self._clock = expected_hz, clock
        self._recent: deque[tuple[float, int]] = deque()
        self._long: deque[tuple[float, int]] = deque()

    def add(self, end_index: int) -> None:
        """Note that the samples before ``end_index`` have arrived. Lost samples count, as the sensor produced them."""
        now = self._clock()
        for points, span_s in ((self._recent, RATE_SPAN_S), (self._long, DRIFT_SPAN_S)):
            if points and now - points[-1][0] < span_s / DRIFT_POINTS:
                continue
            points.append((now, end_index))
            while now - points[0][0] > span_s and len(points) > 2:
                points.popleft()

    def gap(self, lost: int) -> bool:
        """Note that ``lost`` samples are missing before the next one.

        Returns:
            True if the measurement starts again, because time and index disagree on the length of the gap (as after
            this computer slept).
        """
        anew = bool(self._recent) and abs(lost / self._expected_hz - self._clock() + self._recent[-1][0]) > BACKLOG_S
        if anew:
            self.clear()
        return anew

    def clear(self) -> None:
        """Start the measurement again, as after a restart of the device."""
        self._recent.clear()
        self._long.clear()

    @property
    def rate_hz(self) -> float | None:
        """Rate over the last :data:`RATE_SPAN_S` seconds; None if too little is known or nothing came for a while."""
        if self._recent and self._clock() - self._recent[-1][0] > RATE_SHORTEST_S:
            return None
        span_s, samples = _from_first_to_last(self._recent)
        return samples / span_s if span_s >= RATE_SHORTEST_S else None

    @property
    def off_hz(self) -> float | None:
        """The measured rate if it differs from the contract's by more than late blocks explain; else None."""
        span_s, samples = _from_first_to_last(self._long)
        if abs(samples / self._expected_hz - span_s) <= RATE_TOLERANCE * span_s + BACKLOG_S:
            return None
        return samples / span_s if span_s else float("inf")


def _from_first_to_last(points: deque[tuple[float, int]]) -> tuple[float, int]:
    return (points[-1][0] - points[0][0], points[-1][1] - points[0][1]) if points else (0.0, 0)


def rate_holds(rate_hz: float, expected_hz: float, span_s: float) -> bool:
    """True if a rate measured over ``span_s`` seconds equals the contract's within tolerance and arrival jitter."""
    return abs(rate_hz - expected_hz) <= expected_hz * (RATE_TOLERANCE + ARRIVAL_JITTER_S / span_s)


def constant_channels(values: NDArray[np.generic], contract: SensorContract) -> tuple[str, ...]:
    """Names of the channels that are constant in values [n, C]; empty if n < 2."""
    if len(values) < 2:
        return ()
    still = (values == values[0]).all(axis=0)
    return tuple(name for name, is_still in zip(contract.channel_names, still, strict=True) if is_still)


class InputWatch:
    """Warns once about each channel that is constant for a window, and once about a window with much saturation.

    Args:
        contract: sensor contract of the samples.
        name: name of the stream, for messages.
        warn: function that takes the warning.
    """

    def __init__(self, contract: SensorContract, name: str, warn: Warn) -> None:
        self._contract, self._name, self._warn = contract, name, warn
        self._block: list[NDArray[np.float64]] = []
        self._size, self._seen, self._saturation_told = 0, 0, False
        self._told: set[str] = set()
        self._full_scale = np.array([channel.full_scale for channel in contract.channels])

    def add(self, values: NDArray[np.float64]) -> None:
        """Add samples float64 [n, C] in the contract's units. Whole windows are looked at."""
        self._block.append(values)
        self._size += len(values)
        length = max(2, self._contract.window_length)
        count = self._size // length
        if not count:
            return
        block = np.concatenate(self._block)
        windows = block[: count * length].reshape(count, length, -1)
        for window in np.flatnonzero(self.notable(windows)).tolist():
            self.look(windows[window], f"up to sample {self._seen + (window + 1) * length}")
        self._seen += count * length
        self._block, self._size = [block[count * length :]], self._size - count * length

    def notable(self, windows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for each window of float64 [W, n, C] of which :meth:`look` might say something new, [W]."""
        low, high = windows.min(axis=1), windows.max(axis=1)
        found = low == high
        if self._told:
            found &= np.array([name not in self._told for name in self._contract.channel_names])
        if not self._saturation_told and (np.maximum(-low, high) > self._full_scale).any():
            beyond = np.count_nonzero(np.abs(windows) > self._full_scale, axis=1)
            found |= beyond > MAX_SATURATED_SHARE * windows.shape[1]
        return np.asarray(found.any(axis=1))

    def look(self, block: NDArray[np.float64], where: str) -> None:
        """Check a whole window, float64 [n, C], whose end is described by ``where``."""
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
    """Convert counts [n, C] to float64 [n, C] in each channel's unit."""
    return np.divide(counts, contract.counts_per_unit, dtype=np.float64)


def off_rate_message(name: str, rate_hz: float, expected_hz: float) -> str:
    """Message for a stream whose measured rate differs from the contract's."""
    return (
        f"stream {name}: {rate_hz:.4g} samples a second by this computer's clock, the sensor contract says "
        f"{expected_hz:g} Hz with a tolerance of {RATE_TOLERANCE:.0%}. Correct the sensor's rate in the firmware, or "
        "train for this rate"
    )


def samples_of_recordings(
    recordings: Iterable[Recording], contract: SensorContract, *, name: str, warn: Warn
) -> Iterator[NDArray[np.int16] | Start]:
    """Yield the start of each recording, and its samples in blocks, int16 [n, C].

    Args:
        recordings: recordings under the contract.
        contract: sensor contract of the model that takes the samples.
        name: name of their source, for warnings.
        warn: called once for each constant channel and once for saturation.
    """
    watch = InputWatch(contract, name, warn)
    for recording in recordings:
        yield Start(recording.name, len(recording.counts))
        for block in blocks(recording.counts, BLOCK_SAMPLES):
            watch.add(in_units(block, contract))
            yield block


def samples_of(
    device: Device,
    contract: SensorContract,
    *,
    warn: Warn,
    meter: RateMeter | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Generator[NDArray[np.int16] | Gap, None, None]:
    """Yield the samples of a board's sensor as they arrive, int16 [n, C], and the gaps between them, without end.

    Args:
        device: an open device.
        contract: sensor contract of the model that takes the samples.
        warn: called once for each constant channel and once for saturation.
        meter: rate meter for the contract's rate, for callers that read it.
        tick: see :meth:`edge_seq.device.client.Device.stream`.

    Raises:
        ContractError: the board's contract differs, or the measured rate of its sensor does.
        DeviceError, PortLostError: see :meth:`edge_seq.device.client.Device.stream`.
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
        yield block.counts
