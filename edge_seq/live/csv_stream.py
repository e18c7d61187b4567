"""Samples from the lines of a CSV, read, checked and converted in blocks of as many lines as have arrived."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.checks import check_finite, check_rate, check_saturation, find_gaps
from edge_seq.ir.contract import COUNT_MAX, COUNT_MIN, SensorContract, to_counts
from edge_seq.live.csv_lines import Pace, Plain, header_of, no_csv, until_labels
from edge_seq.live.samples import MAX_SATURATED_SHARE, RATE_TOLERANCE, InputWatch, Warn, in_units
from edge_seq.support.errors import ConfigError, ContractError, DataError, EdgeSeqError

TIME_COLUMNS = ("t", "time")  # default names of the time column, seconds
MAX_GAP_PERIODS = 2.0  # the default of a data source
MANY_LINES = 32  # from which numpy's reader is faster than Python's


@dataclass(frozen=True)
class _Rows:
    """Rows of a stream.

    Attributes:
        lines: line number of each, int64 [n].
        values: as written, float64 [n, C].
        times: seconds, float64 [n], if there is a time column.
    """

    lines: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.lines)

    def part(self, first: int, end: int) -> _Rows:
        """The rows from ``first`` to before ``end``."""
        times = None if self.times is None else self.times[first:end]
        return _Rows(self.lines[first:end], self.values[first:end], times)


def _joined(parts: Sequence[_Rows]) -> _Rows:
    if len(parts) == 1:
        return parts[0]
    times = [part.times for part in parts if part.times is not None]
    return _Rows(
        np.concatenate([p.lines for p in parts]),
        np.concatenate([p.values for p in parts]),
        np.concatenate(times) if times else None,
    )


@dataclass(frozen=True)
class _Columns:
    """Where the channels and the time stand in a line, and how errors in it are told."""

    name: str
    contract: SensorContract
    positions: tuple[int, ...]
    time_position: int | None

    @property
    def _wanted(self) -> tuple[int, ...]:
        return self.positions if self.time_position is None else (*self.positions, self.time_position)

    def read_lines(self, plain: Plain) -> tuple[_Rows, EdgeSeqError | None]:
        """Read the numbers of lines. Where one has none, the rows before it are given, and its error."""
        lines = plain.lines
        numbers = np.arange(plain.first, plain.first + len(lines))
        if len(lines) >= MANY_LINES and lines[-1].strip():  # numpy's reader takes less than half of the time
            with suppress(ValueError):  # for a line that it does not take, the way below says which
                table = np.loadtxt(lines, delimiter=",", usecols=self._wanted, comments=None, ndmin=2)
                if len(table) == len(lines) and np.isfinite(table).all():
                    return self._rows(table, numbers), None
        rows: list[list[str]] = []
        error: EdgeSeqError | None = None
        try:
            rows.extend(csv.reader(lines))
        except csv.Error as found:
            error = no_csv(found, self.name, plain.first + len(rows))
        filled = [index for index, row in enumerate(rows) if row]
        read, found_first = self.read([rows[index] for index in filled], numbers[filled])
        return read, found_first or error

    def _rows(self, table: NDArray[np.float64], lines: NDArray[np.int64]) -> _Rows:
        values = table[:, : len(self.positions)]
        return _Rows(lines, values, None if self.time_position is None else table[:, -1])

    def read(self, rows: Sequence[Sequence[str]], lines: NDArray[np.int64]) -> tuple[_Rows, EdgeSeqError | None]:
        """Read the numbers of rows. Where one has none, the rows before it are given, and its error."""
        wanted = self._wanted
        try:
            table = np.array([[float(row[position]) for position in wanted] for row in rows])
        except (IndexError, ValueError):
            table = np.array(math.nan)
        if not np.isfinite(table).all():
            for index, row in enumerate(rows):
                try:
                    self._require_numbers(row, int(lines[index]))
                except EdgeSeqError as error:
                    return self.read(rows[:index], lines[:index])[0], error
        return self._rows(table.reshape(len(rows), len(wanted)), lines), None

    def _require_numbers(self, row: Sequence[str], line: int) -> None:
        where = f"stream {self.name}, line {line}"
        channels = self.contract.channel_names
        try:
            values = np.array([[float(row[position]) for position in self.positions]])
        except (IndexError, ValueError) as error:
            raise DataError(f"{where}: {row} does not hold a number for each of {list(channels)} ({error})") from error
        check_finite(values, name=f"{self.name}, line {line}", channel_names=channels)
        if self.time_position is None:
            return
        try:
            time_s = float(row[self.time_position])
        except (IndexError, ValueError) as error:
            raise DataError(f"{where}: {row} holds no time in seconds ({error}); {_TIME_ADVICE}") from error
        if not math.isfinite(time_s):
            raise DataError(f"{where}: the time {time_s} is not finite; {_TIME_ADVICE}")


_TIME_ADVICE = "name the column that does with --time-column, or check no times with --time-column ''"


def read_samples(
    blocks: Iterable[list[str]],
    contract: SensorContract,
    *,
    raw_counts: bool,
    name: str,
    time_column: str | None = None,
    warn: Warn = lambda _: None,
    label_every: int = 1,
) -> Iterator[NDArray[np.int16]]:
    """Read samples int16 [n, C] from the lines of a CSV with a header, and check them against the contract.

    Columns are found by channel name. The first window (or the whole stream, if it is shorter) must match the
    contract's rate and full scale; each later window must match the rate. Each sample must follow the previous one in
    time without a gap. The samples before one that is refused are given before the error is raised.

    Args:
        blocks: lines of the CSV, header first, as :func:`edge_seq.live.csv_lines.line_blocks` gives them.
        contract: sensor contract; values are in its units.
        raw_counts: True if the values are raw counts instead.
        name: name of the stream, for messages.
        time_column: column of the time in seconds. None takes ``t`` or ``time`` if there is one; empty text takes none.
        warn: called once if a later window has too many samples beyond full scale, and once for each channel that is
            constant in a window.
        label_every: samples from one label to the next. Lines that arrive one by one are taken together up to the
            sample at which the next label is due, which costs a fraction of the time; see
            :class:`edge_seq.live.csv_lines.Pace`.

    Raises:
        ConfigError: the header does not hold ``time_column`` once.
        ContractError: a channel has no column, the rate differs, there is a gap, or too much is beyond full scale.
        DataError: a line is short, a value is not a finite number, a raw count does not fit 16 bits, or a time is not
            later than the previous one.
    """
    blocks = iter(blocks)
    header, rest = header_of(blocks, name)
    if header is None:
        raise DataError(f"stream {name} is empty; expected a header with the channels {list(contract.channel_names)}")
    columns = [column.strip().removeprefix("\ufeff") for column in header]  # some programs write a byte order mark
    missing = [channel for channel in contract.channel_names if columns.count(channel) != 1]
    if missing:
        raise ContractError(
            f"stream {name}: the header {columns} must hold each channel of the model once; {missing} it does not. "
            "Rename the columns, or give the data source of the file (TOML) with --data"
        )
    positions = tuple(columns.index(channel) for channel in contract.channel_names)
    read = _Columns(name, contract, positions, _find_time(columns, contract, time_column, name))
    checks = _Checks(contract, raw_counts=raw_counts, name=name, warn=warn)
    if label_every > 1:
        rest = until_labels(rest, label_every, Pace(contract.sample_rate_hz))
    for texts in rest:
        if isinstance(texts, Plain):
            rows, error = read.read_lines(texts)
        else:
            rows, error = read.read(texts.rows, texts.lines)
            error = error or texts.error
        for check in (checks.times, checks.counts, checks.windows):
            rows, found = check(rows)
            error = found or error
        if len(rows):
            yield rows.values.astype(np.int16) if raw_counts else to_counts(rows.values, contract)
        if error is not None:
            raise error
    checks.end()


def _find_time(columns: Sequence[str], contract: SensorContract, wanted: str | None, name: str) -> int | None:
    """Index of the time column, or None."""
    if wanted is None:
        found = [column for column in TIME_COLUMNS if columns.count(column) == 1]
        return columns.index(found[0]) if found and found[0] not in contract.channel_names else None
    if wanted and columns.count(wanted) != 1:
        raise ConfigError(f"stream {name}: the header {columns} must hold the time column {wanted!r} once")
    return columns.index(wanted) if wanted else None


class _Checks:
    """Checks of the rows of a stream, in order. Each gives the rows before the first that it refuses, and its error."""

    def __init__(self, contract: SensorContract, *, raw_counts: bool, name: str, warn: Warn) -> None:
        self._contract, self._raw_counts, self._name, self._warn = contract, raw_counts, name, warn
        self._watch = InputWatch(contract, name, warn)
        self._size = max(2, contract.window_length)
        self._open: list[_Rows] = []  # rows since the last whole window
        self._num_open, self._first = 0, True
        self._last_time_s = -math.inf

    def times(self, rows: _Rows) -> tuple[_Rows, EdgeSeqError | None]:
        """Each sample must follow the one before without a gap."""
        if rows.times is None or not len(rows):
            return rows, None
        max_gap_s = MAX_GAP_PERIODS / self._contract.sample_rate_hz
        first_s = float(rows.times[0])
        before_s, self._last_time_s = self._last_time_s, float(rows.times[-1])
        passed = rows.times[1:] - rows.times[:-1]
        first_follows = 0 < first_s - before_s <= max_gap_s or not math.isfinite(before_s)
        if first_follows and (not len(passed) or (passed.min() > 0 and passed.max() <= max_gap_s)):
            return rows, None
        passed = np.concatenate([[max_gap_s if first_follows else first_s - before_s], passed])
        for index in np.flatnonzero((passed <= 0) | (passed > max_gap_s)).tolist():
            before_s = float(rows.times[index - 1]) if index else before_s
            error = self._follows(before_s, float(rows.times[index]), int(rows.lines[index]))
            if error is not None:
                return rows.part(0, index), error
        return rows, None

    def _follows(self, before_s: float, time_s: float, line: int) -> EdgeSeqError | None:
        where, rate_hz = f"stream {self._name}, line {line}", self._contract.sample_rate_hz
        if time_s <= before_s:
            return DataError(
                f"{where}: t = {time_s:g} s is not later than the sample before, t = {before_s:g} s. Run each "
                f"recording by itself; or {_TIME_ADVICE}"
            )
        if not find_gaps(np.array([before_s, time_s]), max_gap_s=MAX_GAP_PERIODS / rate_hz).size:
            return None
        return ContractError(
            f"{where}: {time_s - before_s:.4g} s after the sample before; the sensor contract says "
            f"{rate_hz:g} Hz, and at most {MAX_GAP_PERIODS:g} periods may pass. Resample it, or run "
            f"the parts by themselves; or {_TIME_ADVICE}"
        )

    def counts(self, rows: _Rows) -> tuple[_Rows, EdgeSeqError | None]:
        """Raw counts must be whole numbers of 16 bits."""
        if not self._raw_counts or not len(rows):
            return rows, None
        values = rows.values
        bad = ((values < COUNT_MIN) | (values > COUNT_MAX) | (values != np.rint(values))).any(axis=1)
        if not bad.any():
            return rows, None
        index = int(bad.argmax())
        return rows.part(0, index), DataError(
            f"stream {self._name}, line {rows.lines[index]}: {values[index].tolist()} are not raw counts; expected "
            f"whole numbers from {COUNT_MIN} to {COUNT_MAX}. Leave --counts away for values in the contract's units"
        )

    def windows(self, rows: _Rows) -> tuple[_Rows, EdgeSeqError | None]:
        """A window's rate and saturation are checked with its last row. Only windows that differ cost time."""
        self._open.append(rows)
        self._num_open += len(rows)
        if self._num_open < self._size:
            return rows, None
        whole, size = _joined(self._open), self._size
        count = self._num_open // size
        earlier = self._num_open - len(rows)
        left = self._num_open - count * size
        self._open, self._num_open = [whole.part(count * size, self._num_open)] if left else [], left
        values = self._in_units(whole)[: count * size].reshape(count, size, -1)
        looked_at = self._watch.notable(values) | self._off_rate(whole, count)
        looked_at[0] |= self._first
        for window in np.flatnonzero(looked_at).tolist():
            block = whole.part(window * size, (window + 1) * size)
            try:
                self._check_rate(block)
                if self._first:
                    self._check_saturation(block)
            except EdgeSeqError as error:
                return rows.part(0, (window + 1) * size - 1 - earlier), error
            self._watch.look(values[window], f"up to line {block.lines[-1]}")
            self._first = False
        return rows, None

    def end(self) -> None:
        """A stream shorter than a window is checked at its end.

        Raises:
            ContractError: its rate or full scale differs.
        """
        if not self._first or not self._num_open:
            return
        block = _joined(self._open)
        self._check_rate(block)
        self._check_saturation(block)
        if len(block) < self._contract.window_length:
            self._warn(
                f"stream {self._name} has {len(block)} samples, a window has {self._contract.window_length}: a model "
                "that gives a label at the end of a window gives none"
            )

    def _off_rate(self, whole: _Rows, count: int) -> NDArray[np.bool_]:
        """Whole windows whose mean rate is off, [count]. A few late times must not end a long stream."""
        if whole.times is None:
            return np.zeros(count, dtype=np.bool_)
        times = whole.times[: count * self._size].reshape(count, self._size)
        rate_hz = self._contract.sample_rate_hz
        mean_hz = (self._size - 1) / (times[:, -1] - times[:, 0])
        off: NDArray[np.bool_] = np.abs(mean_hz - rate_hz) > RATE_TOLERANCE * rate_hz
        return off

    def _check_rate(self, block: _Rows) -> None:
        if block.times is None or not (self._first or self._off_rate(block, 1)[0]):
            return
        where = self._name if self._first else f"{self._name}, lines {block.lines[0]} to {block.lines[-1]}"
        check_rate(block.times, name=where, sample_rate_hz=self._contract.sample_rate_hz, tolerance=RATE_TOLERANCE)

    def _check_saturation(self, block: _Rows) -> None:
        values = self._in_units(block)
        check_saturation(values, name=self._name, contract=self._contract, max_saturated_share=MAX_SATURATED_SHARE)

    def _in_units(self, rows: _Rows) -> NDArray[np.float64]:
        return in_units(rows.values, self._contract) if self._raw_counts else rows.values
