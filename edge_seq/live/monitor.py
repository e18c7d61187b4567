"""State of a monitor (signals, decisions, losses, in buffers of fixed size), and the sources that fill it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
from edge_seq.device.client import Device
from edge_seq.device.line import Counters
from edge_seq.device.messages import Decision as BoardDecision
from edge_seq.device.messages import clean_text, printable
from edge_seq.ir.contract import SensorContract
from edge_seq.live.samples import (
    UNKNOWN,
    Gap,
    InputWatch,
    RateMeter,
    Start,
    contract_of,
    in_units,
    off_rate_message,
    require_contract,
    samples_of,
)
from edge_seq.scores.metrics import softmax
from edge_seq.support.results import Result, written

if TYPE_CHECKING:
    from edge_seq.live.engine import Engine
    from edge_seq.live.run import Decision

BINS = 600  # columns of the signal plot
DECISIONS, MESSAGES, MESSAGE_CHARACTERS = 200, 20, 1000
PIECE_S = 0.02  # samples of a file are given in pieces of this length
SHOWN_S = 10.0  # length of the signal plot, seconds, if the sample rate allows


@dataclass(frozen=True)
class Shown(Result):
    """A decision as the monitor shows it.

    Attributes:
        number: number of the decision, from 0.
        time_s: time since the start of the stream at the contract's rate, seconds.
        label: class index of the model's label.
        decision: class index from the decision stage, K for unknown; the label if there is no decision stage.
        probabilities: probability of each class, [K].
    """

    number: int = field(metadata=written("n"))
    time_s: float = field(metadata=written("t"))
    label: int
    decision: int = field(metadata=written("d"))
    probabilities: tuple[float, ...] = field(metadata=written("p"))


@dataclass(frozen=True)
class ShownChannel(Result):
    """Name and unit of a channel, safe to print."""

    name: str
    unit: str


@dataclass(frozen=True)
class About(Result):
    """The part of a monitor's state that does not change.

    Attributes:
        source: name of the source of the samples.
        decider: name of the device or model that decides.
        labels: class names.
        unknown: name of the decision for no class.
        channels: channels in the order of the samples.
        expected_hz: sample rate of the contract.
        bins: number of columns of the signal plot.
        bin_s: time of one column, seconds.
        decisions: number of decisions that are kept.
    """

    source: str
    decider: str
    labels: tuple[str, ...]
    unknown: str
    channels: tuple[ShownChannel, ...]
    expected_hz: float
    bins: int
    bin_s: float
    decisions: int


@dataclass(frozen=True)
class Snapshot(Result):
    """The state of a monitor at one time.

    Attributes:
        next_bin: number of the next column of the signal plot.
        bins: kept columns, least and largest value of each channel; an empty column is a gap.
        next_decision: number of the next decision.
        decisions: kept decisions.
        samples: samples received.
        lost: samples known to be missing.
        dropped_by_board: samples that the board dropped.
        gaps: number of gaps.
        restarts: number of device restarts.
        frame_errors: pieces received that were not valid frames.
        reconnects: number of reconnections.
        rate_hz: measured sample rate; None if it is not known yet.
        seconds: time since the monitor started.
        messages: warnings.
        ended: reason why the source ended; None while it runs.
    """

    next_bin: int
    bins: tuple[tuple[float, ...], ...]
    next_decision: int
    decisions: tuple[Shown, ...]
    samples: int
    lost: int
    dropped_by_board: int
    gaps: int
    restarts: int
    frame_errors: int
    reconnects: int
    rate_hz: float | None
    seconds: float
    messages: tuple[str, ...]
    ended: str | None


@dataclass
class MonitorState:
    """Current state of a monitor. One thread writes it, others read it; every part has a bounded size.

    Attributes:
        source: name of the source of the samples, to show.
        decider: name of the device or model that decides, to show.
        contract: sensor contract of the samples.
        labels: class names, safe to print.
        counters: transmission errors; all zero if the source is not a device.
        shown_s: length of the signal plot, seconds.
        samples: samples received.
        lost: samples known to be missing.
        gaps: number of gaps.
        restarts: number of device restarts.
        rate_hz: measured sample rate; None if it is not known yet.
        ended: reason why the source ended; None while it runs.
    """

    source: str
    decider: str
    contract: SensorContract
    labels: tuple[str, ...]
    counters: Counters = field(default_factory=Counters)
    shown_s: float = SHOWN_S
    samples: int = 0
    lost: int = 0
    gaps: int = 0
    restarts: int = 0
    rate_hz: float | None = None
    ended: str | None = None
    _messages: deque[str] = field(default_factory=lambda: deque(maxlen=MESSAGES))
    _decisions: deque[Shown] = field(default_factory=lambda: deque(maxlen=DECISIONS))
    _bins: deque[tuple[float, ...]] = field(default_factory=lambda: deque(maxlen=BINS))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open_bin: list[NDArray[np.float64]] = field(default_factory=list)
    _open_size: int = 0
    _num_bins: int = 0
    _num_decisions: int = 0
    _began_s: float = field(default_factory=time.monotonic)

    @property
    def bin_samples(self) -> int:
        """Number of samples drawn as one column, from their minimum to their maximum."""
        return max(1, round(self.shown_s * self.contract.sample_rate_hz / BINS))

    def add_samples(self, counts: NDArray[np.int16]) -> None:
        """Add raw counts, int16 [n, C]."""
        values = in_units(counts, self.contract)
        with self._lock:
            self.samples += len(values)
            while len(values):
                room = self.bin_samples - self._open_size
                self._open_bin.append(values[:room])
                self._open_size += len(values[:room])
                values = values[room:]
                if self._open_size == self.bin_samples:
                    self._close_bin()

    def _close_bin(self) -> None:
        block = np.concatenate(self._open_bin)
        pairs = np.stack([block.min(axis=0), block.max(axis=0)], axis=1)  # [C, 2]
        self._bins.append(tuple(float(f"{value:.5g}") for value in pairs.ravel()))
        self._open_bin, self._open_size = [], 0
        self._num_bins += 1

    def add_gap(self, gap: Gap) -> None:
        """Add a gap in the signals."""
        with self._lock:
            self.gaps += 1
            self.lost += gap.lost or 0
            self.restarts += gap.lost is None
            self._open_bin, self._open_size = [], 0
            self._bins.append(())  # an empty bin is drawn as a break
            self._num_bins += 1
        self.say(str(gap))

    def add_start(self, start: Start) -> None:
        """Add the start of a recording: a break in the signals."""
        with self._lock:
            self._open_bin, self._open_size = [], 0
            self._bins.append(())
            self._num_bins += 1
        self.say(f"recording {start.recording}: {start.samples:,} samples")

    def add_decision(
        self, time_s: float, label: int, probabilities: Iterable[float], decision: int | None = None
    ) -> None:
        """Add a label (class index), the class probabilities [K], and the decision if there is a decision stage."""
        with self._lock:
            rounded = tuple(round(float(value), 4) for value in probabilities)
            decided = label if decision is None else decision
            self._decisions.append(Shown(self._num_decisions, round(time_s, 3), label, decided, rounded))
            self._num_decisions += 1

    def say(self, text: str) -> None:
        """Add a warning to show. Characters that would control a terminal are removed."""
        with self._lock:
            self._messages.append(f"{time.monotonic() - self._began_s:.1f} s: {printable(text[:MESSAGE_CHARACTERS])}")

    def about(self) -> About:
        """The part of the state that does not change."""
        return About(
            source=self.source,
            decider=self.decider,
            labels=self.labels,
            unknown=UNKNOWN,
            channels=tuple(ShownChannel(clean(c.name), c.unit) for c in self.contract.channels),
            expected_hz=self.contract.sample_rate_hz,
            bins=BINS,
            bin_s=self.bin_samples / self.contract.sample_rate_hz,
            decisions=DECISIONS,
        )

    def snapshot(self, *, first_bin: int = 0, first_decision: int = 0) -> Snapshot:
        """The current state, with the kept bins and decisions from the given numbers on."""
        with self._lock:
            return Snapshot(
                next_bin=self._num_bins,
                bins=tuple(self._bins)[max(0, len(self._bins) - max(0, self._num_bins - first_bin)) :],
                next_decision=self._num_decisions,
                decisions=tuple(one for one in self._decisions if one.number >= first_decision),
                samples=self.samples,
                lost=self.lost,
                dropped_by_board=self.counters.dropped,
                gaps=self.gaps,
                restarts=self.restarts,
                frame_errors=self.counters.faults.total(),
                reconnects=self.counters.reconnects,
                rate_hz=None if self.rate_hz is None else round(self.rate_hz, 1),
                seconds=round(time.monotonic() - self._began_s, 1),
                messages=tuple(self._messages),
                ended=self.ended,
            )


def clean(text: str) -> str:
    """Make untrusted text safe to print."""
    return clean_text(text.encode())


def state_of_board(device: Device, model: Engine | None) -> MonitorState:
    """Create the state of a monitor for a board.

        Args:
            device: an open device.
            model: model on this computer whose decisions are shown; None shows the board's own.

    Raises:
        ContractError: the board's contract is not usable, or differs from the model's.
    """
    contract, labels = contract_of(device)
    decider = f"the board ({device.info.board}), model {device.info.model_hash[:12]}"
    if model is not None:
        require_contract(device, model.contract)
        labels, decider = model.labels, f"{model.kind} model {model.model_sha256[:12]} on this computer"
    return MonitorState(clean(device.name), clean(decider), contract, tuple(map(clean, labels)), device.counters)


class _StoppedError(Exception):
    """The monitor was closed."""


def watch_board(device: Device, state: MonitorState, stop: threading.Event, model: Engine | None) -> None:
    """Fill the state from a board until ``stop`` is set.

    Raises:
        DeviceError, PortLostError: see :meth:`edge_seq.device.client.Device.stream`.
    """
    meter = RateMeter(state.contract.sample_rate_hz)

    def tick() -> None:
        state.rate_hz = meter.rate_hz
        if stop.is_set():
            raise _StoppedError

    with suppress(_StoppedError):
        if model is None:
            _watch_board_decide(device, state, meter, tick)
        else:
            samples = samples_of(device, model.contract, warn=state.say, meter=meter, tick=tick)
            with closing(samples):
                _watch_model(samples, state, model, stop)


def _watch_board_decide(device: Device, state: MonitorState, meter: RateMeter, tick: Callable[[], None]) -> None:
    watch = InputWatch(state.contract, state.source, state.say)
    first: int | None = None  # index of the sample at time 0
    rate_told = False
    with closing(device.stream(decisions=True, tick=tick)) as stream:
        for item in stream:
            if isinstance(item, BoardDecision):
                probabilities = softmax(np.array(item.logits, dtype=np.float64) / 2.0**LOGIT_FRAC_BITS)
                time_s = (item.position - (first or 0)) / state.contract.sample_rate_hz
                state.add_decision(time_s, item.label, probabilities, item.decision)
                continue
            if first is None or item.restarted:  # a board that restarted counts from 0; the time shown continues
                first = item.first_index - state.samples - state.lost
                meter.clear()
            elif item.lost:
                meter.gap(item.lost)
            if item.restarted or item.lost:
                state.add_gap(Gap(state.samples + state.lost + item.lost, None if item.restarted else item.lost))
            meter.add(item.first_index + len(item.counts))
            if (off_hz := meter.off_hz) is not None and not rate_told:
                rate_told = True
                state.say(off_rate_message(state.source, off_hz, state.contract.sample_rate_hz))
            watch.add(in_units(item.counts, state.contract))
            state.add_samples(item.counts)


def state_of_file(name: str, model: Engine) -> MonitorState:
    """Create the state of a monitor for a recording that a model on this computer classifies."""
    decider = f"{model.kind} model {model.model_sha256[:12]} on this computer"
    return MonitorState(clean(name), clean(decider), model.contract, tuple(map(clean, model.labels)))


def watch_samples(
    samples: Iterable[NDArray[np.int16] | Gap | Start],
    state: MonitorState,
    stop: threading.Event,
    model: Engine,
    *,
    speed: float,
) -> None:
    """Fill the state from the samples of a file, ``speed`` times as fast as they were recorded.

    Raises:
        ContractError, DataError: as reading the samples says.
    """
    paced = _paced(samples, model.contract.sample_rate_hz * speed, stop)
    _watch_model(_metered(paced, state, speed), state, model, stop)


def _paced(
    samples: Iterable[NDArray[np.int16] | Gap | Start], rate_hz: float, stop: threading.Event
) -> Iterator[NDArray[np.int16] | Gap | Start]:
    began_s, given = time.monotonic(), 0
    at_once = max(1, int(PIECE_S * rate_hz))
    for item in samples:
        pieces = [item] if isinstance(item, Gap | Start) else np.split(item, range(at_once, len(item), at_once))
        for piece in pieces:
            ahead_s = given / rate_hz - (time.monotonic() - began_s)
            if ahead_s > PIECE_S and stop.wait(ahead_s):
                return
            given += 0 if isinstance(piece, Gap | Start) else len(piece)
            yield piece


def _metered(
    samples: Iterable[NDArray[np.int16] | Gap | Start], state: MonitorState, speed: float
) -> Iterator[NDArray[np.int16] | Gap | Start]:
    meter, given = RateMeter(state.contract.sample_rate_hz * speed), 0
    for item in samples:
        if not isinstance(item, Gap | Start):
            given += len(item)
            meter.add(given)
            state.rate_hz = None if meter.rate_hz is None else meter.rate_hz / speed
        yield item


def _watch_model(
    samples: Iterable[NDArray[np.int16] | Gap | Start], state: MonitorState, model: Engine, stop: threading.Event
) -> None:
    from edge_seq.live.run import decide

    def seen() -> Iterator[NDArray[np.int16] | Gap | Start]:
        for item in samples:
            if stop.is_set():
                return
            if isinstance(item, Gap):
                state.add_gap(item)
            elif isinstance(item, Start):
                state.add_start(item)
            else:
                state.add_samples(item)
            yield item

    for decision in decide(model, seen()):
        if not isinstance(decision, Gap | Start):
            _add_named(decision, state, model)


def _add_named(decision: Decision, state: MonitorState, model: Engine) -> None:
    names = (*model.labels, UNKNOWN)
    decided = None if decision.decision is None else names.index(decision.decision)
    state.add_decision(decision.time_s, names.index(decision.label), decision.probabilities.values(), decided)
