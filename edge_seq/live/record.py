"""edge-seq record: a labelled capture of a board's sensor, in a CSV that the readers take, written as it comes."""

from __future__ import annotations

import csv
import io
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tomli_w

from edge_seq.device.client import Device, SampleBlock
from edge_seq.ir.contract import SensorContract
from edge_seq.live.samples import (
    Clock,
    Gap,
    InputWatch,
    RateMeter,
    Warn,
    contract_of,
    in_units,
    off_rate_message,
    rate_holds,
    require_contract,
)
from edge_seq.support.errors import ConfigError, ContractError, DataError, DeviceError, PortLostError
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.names import check_name

MARK = "# Written by edge-seq record.\n"
BEFORE, AFTER = ("recording", "session", "index", "t"), ("label", "lost_before", "received_s")
UNKNOWN = "unknown"  # in the column lost_before, where the device started anew
SYNC_EVERY_S = 1.0
WAITING_BLOCKS = 4096  # between the port and the disk; some minutes of samples
LISTED_GAPS, TOLD_GAPS = 1000, 20  # in the summary, and while recording; the file marks all


@dataclass
class Capture:
    """What was recorded so far; of bounded size.

    Attributes:
        expected_hz: the contract's rate.
        samples: rows handed to the file.
        lost: samples known to be missing, in all gaps.
        gaps: the first of them.
        num_gaps: all.
        restarts: of the device.
        by_label: samples of each label; the empty text is unlabelled.
        rate_hz: measured now, over the last seconds; None at the beginning.
        mean_rate_hz: measured over the whole capture; None where it was too short to tell.
        rate_held: whether no rate measured was another than the contract's.
        frame_errors: pieces that came and were no frames.
        reconnects: of the port.
        dropped: of the lost samples, those that the board itself did not take in time.
        beyond_full_scale: samples with a value that readers will saturate, as the contract says.
    """

    expected_hz: float
    samples: int = 0
    lost: int = 0
    gaps: list[Gap] = field(default_factory=list)
    num_gaps: int = 0
    restarts: int = 0
    by_label: dict[str, int] = field(default_factory=dict)
    rate_hz: float | None = None
    mean_rate_hz: float | None = None
    rate_held: bool = True
    frame_errors: int = 0
    reconnects: int = 0
    dropped: int = 0
    beyond_full_scale: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is missing and the rate is the contract's."""
        return self.num_gaps == 0 and self.rate_held

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "samples": self.samples,
            "duration_s": self.samples / self.expected_hz,
            "samples_by_label": {name or "(unlabelled)": number for name, number in self.by_label.items()},
            "lost": self.lost,
            "gaps": self.num_gaps,
            "restarts": self.restarts,
            "first_gaps": [{"before_sample": gap.sample, "lost": gap.lost} for gap in self.gaps],
            "expected_hz": self.expected_hz,
            "mean_rate_hz": self.mean_rate_hz,
            "rate_holds": self.rate_held,
            "frame_errors": self.frame_errors,
            "reconnects": self.reconnects,
            "dropped_by_board": self.dropped,
            "beyond_full_scale": self.beyond_full_scale,
            "whole": self.whole,
        }


class SteadyWriter:
    """Appends bytes to a file in a thread of its own, so that a slow disk does not keep a port waiting.

    Each piece goes to the system as it comes, and to the disk about once a second. Where the file takes no more, what
    it took stays, cut at the end of the last whole piece, and is brought to the disk.

    Args:
        file: unbuffered, open for writing, empty.
        name: for messages.

    Attributes:
        rows_written: that the system took.
        rows_on_disk: of these, what it brought to the disk.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._waiting: queue.Queue[tuple[bytes, int] | None] = queue.Queue(WAITING_BLOCKS)
        self._error: OSError | None = None
        self.rows_written = self.rows_on_disk = 0
        self._thread = threading.Thread(target=self._run, name="edge-seq record: disk", daemon=True)
        self._thread.start()

    def put(self, piece: bytes, rows: int) -> None:
        """Hand over whole rows.

        Raises:
            DataError: where the file took no more, now or before, or the disk is too far behind.
        """
        self._raise_error()
        try:
            self._waiting.put_nowait((piece, rows))
        except queue.Full:
            raise DataError(
                f"recording to {self._name}: the disk is {WAITING_BLOCKS} blocks of samples behind the port. Record to "
                "a faster disk"
            ) from None

    def close(self) -> None:
        """Write what waits, bring it to the disk, and close the file.

        Raises:
            DataError: where the file took no more.
        """
        self._waiting.put(None)  # the thread always takes, so this waits for the disk at most
        self._thread.join()
        self._file.close()
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is None:
            return
        unsure = self.rows_written - self.rows_on_disk
        later = f", {unsure:,} more were written and may not have come to the disk" if unsure else ""
        raise DataError(
            f"recording to {self._name}: {self._error.strerror or self._error}. The first {self.rows_on_disk:,} "
            f"samples are on the disk and can be read{later}; make room there, and record on into another file"
        ) from self._error

    def _run(self) -> None:
        synced, dirty = time.monotonic(), False
        while True:
            try:
                item = self._waiting.get(timeout=SYNC_EVERY_S)
            except queue.Empty:
                item = (b"", 0)
            try:
                if item is not None and self._error is None:
                    dirty = self._write(*item) or dirty
                # Once more at the end, whatever ended it; not after a sync that failed, which the next would hide.
                if dirty and (item is None or time.monotonic() - synced >= SYNC_EVERY_S):
                    dirty = False
                    os.fsync(self._file.fileno())
                    synced, self.rows_on_disk = time.monotonic(), self.rows_written
            except OSError as error:
                self._error = self._error or error
            if item is None:
                return

    def _write(self, piece: bytes, rows: int) -> bool:
        before, left = self._file.tell(), memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._cut(before)
            raise
        self.rows_written += rows
        return bool(piece)

    def _cut(self, length: int) -> None:
        try:
            self._file.truncate(length)
        except OSError:
            return  # no regular file; the error that is raised says what happened


@dataclass(frozen=True)
class _Rows:
    """Makes rows of samples: the contract's units with digits enough to give back every count."""

    contract: SensorContract
    session: str

    def header(self) -> bytes:
        return _csv_line([*BEFORE, *self.contract.channel_names, *AFTER])

    def of(self, block: SampleBlock, *, part: int, label: str, lost_before: str, received_s: float) -> bytes:
        ends = _csv_line([label])[:-1].decode()
        first = _csv_line([f"{self.session}.{part}", self.session])[:-1].decode()
        rate_hz = self.contract.sample_rate_hz
        lines = []
        for offset, values in enumerate(in_units(block.counts, self.contract).tolist()):
            index = block.first_index + offset
            numbers = ",".join([f"{value:.9g}" for value in values])
            lost = lost_before if offset == 0 else "0"
            lines.append(f"{first},{index},{index / rate_hz:.9f},{numbers},{ends},{lost},{received_s:.3f}\n")
        return "".join(lines).encode()


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def source_of(contract: SensorContract, path: Path, labels: Sequence[str]) -> dict[str, Any]:
    """The data source of a recording at ``path``: gaps cut it, and so does a restart; all parts are of one group."""
    return {
        "name": path.stem,
        "path": path.name,
        "recording_column": "recording",
        "group_column": "session",
        "index_column": "index",
        "label_column": "label",
        "labels": list(labels),
        "sample_rate_hz": contract.sample_rate_hz,
        "max_gap_s": 1.5 / contract.sample_rate_hz,  # not one sample is passed over
        "on_gap": "split",
        "on_short": "skip",
        "window_length": contract.window_length,
        "window_stride": contract.window_stride,
        "preprocessing": {
            "step": contract.preprocessing.step,
            "gravity_shift": contract.preprocessing.gravity_shift,
        },
        "channels": [
            {"name": c.name, "unit": c.unit, "counts_per_unit": c.counts_per_unit, "full_scale": c.full_scale}
            for c in contract.channels
        ],
    }


def check_target(path: Path, *, force: bool) -> None:
    """See, before a port is opened, that the file may be written.

    Raises:
        ConfigError: another ending, a folder that cannot be written to, or a file there and no ``force``.
    """
    if path.suffix != ".csv":
        raise ConfigError(f"record: {path.name} ends in {path.suffix!r}; give a file that ends in .csv")
    check_can_write(path.parent)
    there = next((one for one in (path, path.with_suffix(".toml")) if one.exists() or one.is_symlink()), None)
    if there is not None and not force:
        raise ConfigError(f"record: {there} exists; give another --out, or --force to replace it")


def choose_labels(told: Sequence[str], given: Sequence[str], label: str | None) -> tuple[str, ...]:
    """The classes of a recording: those given, or else those that the board tells.

    Raises:
        ConfigError: where a class is empty, comes twice or cannot be printed, or ``label`` is none of them.
    """
    labels = tuple(given) or tuple(told)
    formulas = [name for name in labels if name[:1] in "=@" and name]
    if formulas and not given:
        raise ConfigError(f"record: the board calls classes {formulas}, formulas to a spreadsheet; give --labels")
    if not all(name.strip() == name and name for name in labels) or len(set(labels)) != len(labels):
        raise ConfigError(f"record: labels {list(labels)}; give each class once, and none that is empty")
    if label is not None and label not in labels:
        if given:
            raise ConfigError(f"record: --label {label!r} is none of --labels {list(labels)}")
        labels = (*labels, label)
    for name in labels:
        check_name(name, ConfigError, what="record: label", remedy="Give another --label or --labels")
    return labels


def _check_channel_names(contract: SensorContract, name: str) -> None:
    """Names come from the board; those of other columns, and what a spreadsheet takes for a formula, are refused."""
    for channel in contract.channel_names:
        if channel in (*BEFORE, *AFTER) or channel[0] in "=+-@":
            raise ContractError(
                f"recording from {name}: a channel is called {channel!r}, which cannot be a column of the recording. "
                "Rename the channel in the data source of the model, and export it again"
            )


def record(
    device: Device,
    path: Path,
    *,
    label_now: Callable[[], str | None],
    labels: Sequence[str],
    contract: SensorContract | None = None,
    duration_s: float | None = None,
    force: bool = False,
    warn: Warn = lambda _: None,
    progress: Callable[[Capture], None] = lambda _: None,
    clock: Clock = time.monotonic,
    capture: Capture | None = None,
    open_file: Callable[[Path], BinaryIO] | None = None,
) -> Capture:
    """Record a board's sensor to ``path`` (CSV), and how to read it to the data source beside it (``.toml``).

    One row a sample, in the contract's units: ``recording`` (a new one after a restart of the device), ``session``,
    ``index`` (the device's number of the sample), ``t`` (seconds, by that number and the contract's rate), the
    channels, ``label``, ``lost_before`` (samples missing before this one), ``received_s`` (this computer's clock).

    Args:
        device: that said hello.
        label_now: asked for each block; the empty text is no label, None ends the recording.
        labels: the classes.
        contract: which the board's must equal; its own where None.
        duration_s: of samples by the contract's rate, lost ones too; None for no end.
        force: replace files that are there.
        warn: told of each gap (the first twenty), a rate that is off, a dead axis, saturation.
        progress: told after each block.
        clock: seconds.
        capture: filled as the recording goes on, also where it ends with an error.
        open_file: for tests.

    Raises:
        ConfigError: as :func:`check_target`.
        ContractError: where the board's contract is another, or not usable.
        DataError: where the file takes no more: what it took stays.
        DeviceError, PortLostError: as :meth:`edge_seq.device.client.Device.stream`; what was recorded stays.
    """
    check_target(path, force=force)
    told, _ = contract_of(device)
    if contract is not None:
        require_contract(device, contract)
    contract = contract or told
    _check_channel_names(contract, device.name)
    capture = Capture(contract.sample_rate_hz) if capture is None else capture
    capture.expected_hz = contract.sample_rate_hz
    write_atomically(path.with_suffix(".toml"), MARK + tomli_w.dumps(source_of(contract, path, labels)))
    writer = SteadyWriter(_open(path, force) if open_file is None else open_file(path), path.name)
    recorder = _Recorder(device, contract, capture, _Rows(contract, path.stem), writer, warn, clock)
    try:
        recorder.run(label_now, duration_s, progress)
    except DeviceError as error:
        kind = PortLostError if isinstance(error, PortLostError) else DeviceError
        raise kind(
            f"{str(error).rstrip('.')}. {capture.samples:,} samples were recorded, and stay in {path.name}"
        ) from error
    finally:
        recorder.finish()
        try:
            writer.close()
        finally:
            capture.samples = writer.rows_written
    return capture


def _open(path: Path, force: bool) -> BinaryIO:
    return path.open("wb" if force else "xb", buffering=0)


class _EndedError(Exception):
    """The end of the recording was asked for."""


class _Recorder:
    """Takes blocks of a stream, and brings what they hold to the file and to the figures."""

    def __init__(
        self,
        device: Device,
        contract: SensorContract,
        capture: Capture,
        rows: _Rows,
        writer: SteadyWriter,
        warn: Warn,
        clock: Clock,
    ) -> None:
        self._device, self._contract, self._capture = device, contract, capture
        self._rows, self._writer, self._warn = rows, writer, warn
        self._watch = InputWatch(contract, device.name, warn)
        self._rate = _Rate(contract.sample_rate_hz, clock)
        self._limits = [channel.count_limit for channel in contract.channels]

    def run(
        self, label_now: Callable[[], str | None], duration_s: float | None, progress: Callable[[Capture], None]
    ) -> None:
        """Until ``label_now`` says None, or the duration is over."""
        self._writer.put(self._rows.header(), 0)
        most = None if duration_s is None else max(1, round(duration_s * self._contract.sample_rate_hz))
        capture = self._capture

        def label_or_end() -> str:
            if (label := label_now()) is None:
                raise _EndedError
            return label

        def tick() -> None:  # also where no samples come
            label_or_end()
            self._look_at_the_wire()
            progress(capture)

        # Closing the stream switches the device's off.
        with suppress(_EndedError), closing(self._device.stream(tick=tick)) as stream:
            for block in stream:
                assert isinstance(block, SampleBlock)  # decisions were not asked for
                label = label_or_end()
                self._mark_gap(block)
                if most is not None:
                    left = most - capture.samples - capture.lost
                    block = replace(block, counts=block.counts[: max(0, left)])
                self._take(block, label)
                progress(capture)
                if most is not None and capture.samples + capture.lost >= most:
                    break

    def finish(self) -> None:
        """Figures of the whole capture."""
        self._rate.finish(self._capture)
        self._look_at_the_wire()

    def _look_at_the_wire(self) -> None:
        capture, counters = self._capture, self._device.counters
        capture.rate_hz = self._rate.rate_hz
        capture.frame_errors, capture.reconnects = counters.faults.total(), counters.reconnects
        capture.dropped = counters.dropped

    def _take(self, block: SampleBlock, label: str) -> None:
        if not len(block.counts):
            return
        capture, received_s = self._capture, self._rate.add(block, self._capture, self._device.name, self._warn)
        lost = UNKNOWN if block.restarted else str(block.lost)
        rows = self._rows.of(block, part=capture.restarts + 1, label=label, lost_before=lost, received_s=received_s)
        self._writer.put(rows, len(block.counts))
        capture.samples += len(block.counts)
        capture.by_label[label] = capture.by_label.get(label, 0) + len(block.counts)
        capture.beyond_full_scale += int((np.abs(block.counts.astype(np.int32)) > self._limits).any(axis=1).sum())
        self._look_at_the_wire()
        self._watch.add(in_units(block.counts, self._contract))

    def _mark_gap(self, block: SampleBlock) -> None:
        if not (block.lost or block.restarted):
            return
        capture = self._capture
        gap = Gap(capture.samples + capture.lost + block.lost, None if block.restarted else block.lost)
        capture.num_gaps += 1
        capture.lost += block.lost
        if len(capture.gaps) < LISTED_GAPS:
            capture.gaps.append(gap)
        if capture.num_gaps <= TOLD_GAPS:
            last = capture.num_gaps == TOLD_GAPS
            self._warn(f"{gap}{'; further gaps are marked in the file, and not told here' if last else ''}")
        self._rate.gap(block.lost, restarted=block.restarted)
        capture.restarts += block.restarted


class _Rate:
    """The rate over the last seconds, and over the whole capture since measuring last began anew."""

    def __init__(self, expected_hz: float, clock: Clock) -> None:
        self._expected_hz, self._clock = expected_hz, clock
        self._meter = RateMeter(expected_hz, clock)
        self._began_s = clock()
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None
        self._told = False

    @property
    def rate_hz(self) -> float | None:
        """Now."""
        return self._meter.rate_hz

    def gap(self, lost: int, *, restarted: bool) -> None:
        """Samples that are lost have their indices; after a restart these begin anew."""
        if restarted:
            self._meter.clear()
        if restarted or self._meter.gap(lost):
            self._first = self._last = None

    def add(self, block: SampleBlock, capture: Capture, name: str, warn: Warn) -> float:
        """Seconds since the capture began."""
        end = block.first_index + len(block.counts)
        self._meter.add(end)
        self._last = (self._clock(), end)
        self._first = self._first or self._last
        off_hz = self._meter.off_hz
        if off_hz is not None and not self._told:
            self._told, capture.rate_held = True, False
            warn(off_rate_message(name, off_hz, self._expected_hz))
        return self._last[0] - self._began_s

    def finish(self, capture: Capture) -> None:
        if self._first is None or self._last is None:
            return
        span_s = self._last[0] - self._first[0]
        if span_s >= 1.0:
            capture.mean_rate_hz = (self._last[1] - self._first[1]) / span_s
            if not rate_holds(capture.mean_rate_hz, self._expected_hz, span_s):
                capture.rate_held = False
