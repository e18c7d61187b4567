"""edge-seq record: record a board's sensor with labels to a CSV that the readers accept, written as samples arrive."""

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

from edge_seq.device.client import Device
from edge_seq.device.follow import SampleBlock
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
from edge_seq.support.results import to_plain

MARK = "# Written by edge-seq record.\n"
BEFORE, AFTER = ("recording", "session", "index", "t"), ("label", "lost_before", "received_s")
UNKNOWN = "unknown"  # value of the column lost_before after a restart of the device
SYNC_EVERY_S = 1.0
WAITING_BLOCKS = 4096  # queue between port and disk; some minutes of samples
LISTED_GAPS, TOLD_GAPS = 1000, 20  # gaps in the summary, and warnings while recording; the file marks all gaps


@dataclass
class Capture:
    """Statistics of a recording so far, in bounded memory.

    Attributes:
        expected_hz: the contract's rate.
        samples: rows handed to the file.
        lost: samples known to be missing, in all gaps.
        gaps: the first gaps, at most :data:`LISTED_GAPS`.
        num_gaps: number of all gaps.
        restarts: restarts of the device.
        by_label: number of samples per label; the empty text is unlabelled.
        rate_hz: sample rate over the last seconds; None at the beginning.
        mean_rate_hz: sample rate over the whole recording; None if it was too short to tell.
        rate_held: True if every measured rate agreed with the contract's.
        rate_measured: True if the recording was long enough to compare its rate with the contract's.
        frame_errors: pieces received that were not valid frames.
        reconnects: how often the port was reopened.
        dropped: how many of the lost samples the board itself was too late to read.
        beyond_full_scale: samples with a value beyond full scale, which readers will saturate.
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
    rate_measured: bool = False
    frame_errors: int = 0
    reconnects: int = 0
    dropped: int = 0
    beyond_full_scale: int = 0

    @property
    def whole(self) -> bool | None:
        """True if no sample is missing and the rate agreed with the contract's; None if it was not measured."""
        if self.num_gaps or not self.rate_held:
            return False
        return True if self.rate_measured else None

    def to_dict(self) -> dict[str, Any]:
        """The statistics, ready for JSON."""
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
            "rate_holds": self.rate_held if self.rate_measured or not self.rate_held else None,
            "frame_errors": self.frame_errors,
            "reconnects": self.reconnects,
            "dropped_by_board": self.dropped,
            "beyond_full_scale": self.beyond_full_scale,
            "whole": self.whole,
        }


class SteadyWriter:
    """Appends bytes to a file in its own thread, so that a slow disk does not block reading the port.

    Each piece is written as it comes, and synced to disk about once per second. If a write fails, the file is cut at
    the end of the last complete piece and synced.

    Args:
        file: unbuffered file, open for writing, empty.
        name: name of the file, for messages.

    Attributes:
        rows_written: rows that the operating system has accepted.
        rows_on_disk: rows of these that are synced to disk.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._waiting: queue.Queue[tuple[bytes, int] | None] = queue.Queue(WAITING_BLOCKS)
        self._error: OSError | None = None
        self.rows_written = self.rows_on_disk = 0
        self._thread = threading.Thread(target=self._run, name="edge-seq record: disk", daemon=True)
        self._thread.start()

    def put(self, piece: bytes, rows: int) -> None:
        """Queue complete rows.

        Raises:
            DataError: writing failed, now or before, or the disk is too far behind.
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
        """Write what is queued, sync it to disk and close the file.

        Raises:
            DataError: writing failed.
        """
        self._waiting.put(None)  # the thread never stops taking, so this waits only for the disk
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
                # Sync once more at the end, however it ended. Do not repeat a failed sync: a later one could hide it.
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
            return  # not a regular file; the error that is raised says what happened


@dataclass(frozen=True)
class _Rows:
    """Turns samples into CSV rows, in the contract's units, with enough digits to recover every count."""

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
    """Data source for a recording at ``path``. Gaps and restarts split it; all its parts form one group."""
    return {
        "name": path.stem,
        "path": path.name,
        "recording_column": "recording",
        "group_column": "session",
        "index_column": "index",
        "label_column": "label",
        "labels": list(labels),
        "sample_rate_hz": contract.sample_rate_hz,
        "max_gap_s": 1.5 / contract.sample_rate_hz,  # a single missing sample is a gap
        "on_gap": "split",
        "on_short": "skip",
        "window_length": contract.window_length,
        "window_stride": contract.window_stride,
        "preprocessing": to_plain(contract.preprocessing),
        "channels": [
            {"name": c.name, "unit": c.unit, "counts_per_unit": c.counts_per_unit, "full_scale": c.full_scale}
            for c in contract.channels
        ],
    }


def check_target(path: Path, *, force: bool) -> None:
    """Check that the file may be written, before a port is opened.

    Raises:
        ConfigError: the name does not end in .csv, the folder is not writable, or a file exists without ``force``.
    """
    if path.suffix != ".csv":
        raise ConfigError(f"record: {path.name} ends in {path.suffix!r}; give a file that ends in .csv")
    check_can_write(path.parent)
    there = next((one for one in (path, path.with_suffix(".toml")) if one.exists() or one.is_symlink()), None)
    if there is not None and not force:
        raise ConfigError(f"record: {there} exists; give another --out, or --force to replace it")


def choose_labels(told: Sequence[str], given: Sequence[str], label: str | None) -> tuple[str, ...]:
    """Choose the classes of a recording: those given, or else those that the board reports.

    Raises:
        ConfigError: a class is empty, repeated or not printable, or ``label`` is not one of the given classes.
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
    """Refuse channel names (from the board) that equal another column or that a spreadsheet takes for a formula."""
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
    """Record a board's sensor to ``path`` (CSV), and write the data source that reads it beside it (``.toml``).

    The file has one row per sample, with the columns ``recording`` (a new one after a restart of the device),
    ``session``, ``index`` (the device's index of the sample), ``t`` (index divided by the contract's rate, seconds),
    the channels in the contract's units, ``label``, ``lost_before`` (samples missing before this one) and
    ``received_s`` (this computer's clock, seconds since the start).

    Args:
        device: an open device.
        path: CSV file to write.
        label_now: called for each block; returns the label, the empty text for none, or None to end the recording.
        labels: names of the classes, for the data source.
        contract: contract that the board's must equal; None accepts the board's contract.
        duration_s: length of the recording at the contract's rate, lost samples included; None for no limit.
        force: replace existing files.
        warn: called for each of the first twenty gaps, a wrong rate, a constant channel and saturation.
        progress: called after each block.
        clock: function that returns the time in seconds.
        capture: statistics to fill while recording; valid also if the recording ends with an error.
        open_file: opens the file; for tests.

    Raises:
        ConfigError: see :func:`check_target`.
        ContractError: the board's contract differs, or is not usable.
        DataError: writing failed; the rows written before stay.
        DeviceError, PortLostError: see :meth:`edge_seq.device.client.Device.stream`; the rows written before stay.
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
    """The caller ended the recording."""


class _Recorder:
    """Takes the blocks of a stream, writes their samples to the file and updates the statistics."""

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
        """Record until ``label_now`` returns None or the duration is over."""
        self._writer.put(self._rows.header(), 0)
        most = None if duration_s is None else max(1, round(duration_s * self._contract.sample_rate_hz))
        capture = self._capture

        def label_or_end() -> str:
            if (label := label_now()) is None:
                raise _EndedError
            return label

        def tick() -> None:  # called even if no samples arrive
            label_or_end()
            self._look_at_the_wire()
            progress(capture)

        # Closing the generator also switches the device's stream off.
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
        """Compute the statistics of the whole recording."""
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
            self._warn(f"{gap}{'; further gaps are marked in the file and not shown here' if last else ''}")
        self._rate.gap(block.lost, restarted=block.restarted)
        capture.restarts += block.restarted


class _Rate:
    """Measures the rate over the last seconds, and over the recording since the measurement last started again."""

    def __init__(self, expected_hz: float, clock: Clock) -> None:
        self._expected_hz, self._clock = expected_hz, clock
        self._meter = RateMeter(expected_hz, clock)
        self._began_s = clock()
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None
        self._told = False

    @property
    def rate_hz(self) -> float | None:
        """Current sample rate, Hz."""
        return self._meter.rate_hz

    def gap(self, lost: int, *, restarted: bool) -> None:
        """Note a gap. Lost samples keep their indices; after a restart the indices start again."""
        if restarted:
            self._meter.clear()
        if restarted or self._meter.gap(lost):
            self._first = self._last = None

    def add(self, block: SampleBlock, capture: Capture, name: str, warn: Warn) -> float:
        """Note a block; returns the seconds since the recording began."""
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
        span_s, samples = self._last[0] - self._first[0], self._last[1] - self._first[1]
        if span_s <= 0.0:
            return
        rate_hz = samples / span_s
        holds = rate_holds(rate_hz, self._expected_hz, span_s)
        if span_s >= 1.0 or not holds:  # a short time allows for jitter, and still tells a rate that is far off
            capture.mean_rate_hz, capture.rate_measured = rate_hz, True
            capture.rate_held = capture.rate_held and holds
