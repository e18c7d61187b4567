"""edge-seq run: run an exported step model on a stream, one sample at a time, carrying the state. Needs no torch."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.metadata import COUNTS, DECISION
from edge_seq.backends.onnx.run import OnnxModel, initial_states
from edge_seq.backends.onnx.window import NEXT
from edge_seq.data.checks import check_finite, check_rate, check_saturation, find_gaps
from edge_seq.ir.contract import COUNT_MAX, COUNT_MIN, SensorContract, to_counts
from edge_seq.live.samples import (
    MAX_SATURATED_SHARE,
    RATE_TOLERANCE,
    UNKNOWN,
    Gap,
    InputWatch,
    Start,
    Warn,
    in_units,
)
from edge_seq.support.errors import ConfigError, ContractError, DataError

TIME_COLUMNS = ("t", "time")  # default names of the time column, seconds
MAX_GAP_PERIODS = 2.0  # the default of a data source


@dataclass(frozen=True)
class Decision:
    """A label for the samples up to one.

    Attributes:
        sample: index of the latest sample, from 0 at the start of the stream or recording.
        time_s: time of that sample since that start at the contract's rate, seconds.
        label: class name.
        probabilities: probability of each class, by name.
        decision: output of the decision stage, a class name or ``UNKNOWN``; None if there is no decision stage.
    """

    sample: int
    time_s: float
    label: str
    probabilities: dict[str, float]
    decision: str | None = None


@dataclass
class RunStats:
    """Statistics of a run so far.

    Attributes:
        samples: samples given to the model.
        labels: labels that the model gave.
        gaps: gaps in the samples.
        busy_s: time spent in the model, seconds.
        recordings: recordings that began, if the source tells them apart.
    """

    samples: int = 0
    labels: int = 0
    gaps: int = 0
    busy_s: float = 0.0
    recordings: int = 0

    @property
    def samples_per_second(self) -> float:
        """Samples per second that the model can process on this computer; 0 before the first sample."""
        return self.samples / self.busy_s if self.busy_s else 0.0

    def __str__(self) -> str:
        gaps = f", {self.gaps} gaps" if self.gaps else ""
        apart = f" in {self.recordings:,} recordings" if self.recordings > 1 else ""
        speed = f"; the model takes {self.samples_per_second:,.0f} samples a second here" if self.samples else ""
        return f"{self.samples:,} samples{apart}, {self.labels:,} labels{gaps}{speed}"


def decide(
    model: OnnxModel, samples: Iterable[NDArray[np.int16] | Gap | Start], stats: RunStats | None = None
) -> Iterator[Decision | Gap | Start]:
    """Run the model on samples int16 [C] one by one; yields a decision whenever the model gives a label.

    A gap resets the states, starts a new window and is yielded too. Lost samples count in ``Decision.sample``. The
    start of a recording does the same, and samples are counted from 0 again.
    """
    stats = RunStats() if stats is None else stats
    states = initial_states(model, 1)
    index = -1
    for counts in samples:
        if isinstance(counts, Gap):
            states, stats.gaps = initial_states(model, 1), stats.gaps + 1
            index += counts.lost or 0
            yield counts
            continue
        if isinstance(counts, Start):
            states, index, stats.recordings = initial_states(model, 1), -1, stats.recordings + 1
            yield counts
            continue
        index += 1
        began = time.perf_counter()
        outputs = model.run({COUNTS: counts[np.newaxis], **states})
        stats.busy_s += time.perf_counter() - began
        stats.samples += 1
        states = {name: outputs[name + NEXT] for name in states}
        label = int(outputs["label"][0])
        if label >= 0:
            stats.labels += 1
            probabilities = _probabilities(outputs)
            yield Decision(
                sample=index,
                time_s=index / model.contract.sample_rate_hz,
                label=model.labels[label],
                probabilities=dict(zip(model.labels, probabilities, strict=True)),
                decision=(*model.labels, UNKNOWN)[int(outputs[DECISION][0])] if DECISION in outputs else None,
            )


def _probabilities(outputs: dict[str, NDArray[Any]]) -> list[float]:
    if "probabilities" in outputs:
        values = outputs["probabilities"][0]
    else:
        from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS
        from edge_seq.scores.metrics import softmax

        values = softmax(outputs["logits"][0].astype(np.float64) / 2.0**LOGIT_FRAC_BITS)
    return [round(float(value), 6) for value in values]


@dataclass(frozen=True)
class _Row:
    """One line of a stream: line number, values float64 [1, C] as written, and time in seconds if there is one."""

    line: int
    values: NDArray[np.float64]
    time_s: float | None


def read_samples(
    lines: Iterable[str],
    contract: SensorContract,
    *,
    raw_counts: bool,
    name: str,
    time_column: str | None = None,
    warn: Warn = lambda _: None,
) -> Iterator[NDArray[np.int16]]:
    """Read samples int16 [C] from the lines of a CSV with a header, and check them against the contract.

    Columns are found by channel name. The first window (or the whole stream, if it is shorter) must match the
    contract's rate and full scale; each later window must match the rate. Each sample must follow the previous one in
    time without a gap.

    Args:
        lines: lines of the CSV, header first.
        contract: sensor contract; values are in its units.
        raw_counts: True if the values are raw counts instead.
        name: name of the stream, for messages.
        time_column: column of the time in seconds. None takes ``t`` or ``time`` if there is one; empty text takes none.
        warn: called once if a later window has too many samples beyond full scale, and once for each channel that is
            constant in a window.

    Raises:
        ConfigError: the header does not hold ``time_column`` once.
        ContractError: a channel has no column, the rate differs, there is a gap, or too much is beyond full scale.
        DataError: a line is short, a value is not a finite number, a raw count does not fit 16 bits, or a time is not
            later than the previous one.
    """
    reader = csv.reader(lines)
    rows = _read_rows(reader, name)
    header = next(rows, None)
    if header is None:
        raise DataError(f"stream {name} is empty; expected a header with the channels {list(contract.channel_names)}")
    columns = [column.strip().removeprefix("\ufeff") for column in header]  # some programs write a byte order mark
    missing = [channel for channel in contract.channel_names if columns.count(channel) != 1]
    if missing:
        raise ContractError(
            f"stream {name}: the header {columns} must hold each channel of the model once; {missing} it does not. "
            "Rename the columns, or give the data source of the file (TOML) with --data"
        )
    positions = [columns.index(channel) for channel in contract.channel_names]
    time_position = _find_time(columns, contract, time_column, name)

    def parse(row: Sequence[str]) -> _Row:
        where = f"stream {name}, line {reader.line_num}"
        try:
            values = np.array([[float(row[position]) for position in positions]])
        except (IndexError, ValueError) as error:
            raise DataError(
                f"{where}: {row} does not hold a number for each of {list(contract.channel_names)} ({error})"
            ) from error
        if not np.isfinite(values).all():  # a cheap test first, as it runs for every sample
            check_finite(values, name=f"{name}, line {reader.line_num}", channel_names=contract.channel_names)
        return _Row(reader.line_num, values, None if time_position is None else _time_of(row, time_position, where))

    parsed = (parse(row) for row in rows if row)
    for row in _hold_to_contract(parsed, contract, raw_counts=raw_counts, name=name, warn=warn):
        if not raw_counts:
            yield to_counts(row.values, contract)[0]
            continue
        if row.values.min() < COUNT_MIN or row.values.max() > COUNT_MAX or (row.values != np.rint(row.values)).any():
            raise DataError(
                f"stream {name}, line {row.line}: {row.values[0].tolist()} are not raw counts; expected whole numbers "
                f"from {COUNT_MIN} to {COUNT_MAX}. Leave --counts away for values in the contract's units"
            )
        yield row.values[0].astype(np.int16)


def _read_rows(reader: Any, name: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except UnicodeDecodeError as error:
        raise DataError(
            f"stream {name}, after line {reader.line_num}: not text in UTF-8 ({error}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"stream {name}, after line {reader.line_num}: not a CSV ({error}); expected text") from error


def _find_time(columns: Sequence[str], contract: SensorContract, wanted: str | None, name: str) -> int | None:
    """Index of the time column, or None."""
    if wanted is None:
        found = [column for column in TIME_COLUMNS if columns.count(column) == 1]
        return columns.index(found[0]) if found and found[0] not in contract.channel_names else None
    if wanted and columns.count(wanted) != 1:
        raise ConfigError(f"stream {name}: the header {columns} must hold the time column {wanted!r} once")
    return columns.index(wanted) if wanted else None


def _time_of(row: Sequence[str], position: int, where: str) -> float:
    try:
        time_s = float(row[position])
    except (IndexError, ValueError) as error:
        raise DataError(f"{where}: {row} holds no time in seconds ({error}); {_TIME_ADVICE}") from error
    if not math.isfinite(time_s):
        raise DataError(f"{where}: the time {time_s} is not finite; {_TIME_ADVICE}")
    return time_s


_TIME_ADVICE = "name the column that does with --time-column, or check no times with --time-column ''"


def _hold_to_contract(
    rows: Iterable[_Row], contract: SensorContract, *, raw_counts: bool, name: str, warn: Warn
) -> Iterator[_Row]:
    """Yield rows after checking each; a window's rate and saturation are checked with its last row."""
    block: list[_Row] = []
    previous: _Row | None = None
    first, watch = True, InputWatch(contract, name, warn)
    for row in rows:
        if previous is not None:
            _check_follows(previous, row, contract, name)
        previous = row
        block.append(row)
        if len(block) >= max(2, contract.window_length):
            if first:
                _check_block(block, contract, raw_counts=raw_counts, name=name)
            else:
                _check_later_rate(block, contract, name)
            watch.look(_values(block, contract, raw_counts=raw_counts), f"up to line {row.line}")
            first, block = False, []
        yield row
    if first and block:
        _check_block(block, contract, raw_counts=raw_counts, name=name)
        if len(block) < contract.window_length:
            warn(
                f"stream {name} has {len(block)} samples, a window has {contract.window_length}: a model that gives a "
                "label at the end of a window gives none"
            )


def _check_follows(previous: _Row, row: _Row, contract: SensorContract, name: str) -> None:
    if previous.time_s is None or row.time_s is None:
        return
    where = f"stream {name}, line {row.line}"
    if row.time_s <= previous.time_s:
        raise DataError(
            f"{where}: t = {row.time_s:g} s is not later than the sample before, t = {previous.time_s:g} s. Run each "
            f"recording by itself; or {_TIME_ADVICE}"
        )
    max_gap_s = MAX_GAP_PERIODS / contract.sample_rate_hz
    if row.time_s - previous.time_s <= max_gap_s:
        return
    if find_gaps(np.array([previous.time_s, row.time_s]), max_gap_s=max_gap_s).size:
        raise ContractError(
            f"{where}: {row.time_s - previous.time_s:.4g} s after the sample before; the sensor contract says "
            f"{contract.sample_rate_hz:g} Hz, and at most {MAX_GAP_PERIODS:g} periods may pass. Resample it, or run "
            f"the parts by themselves; or {_TIME_ADVICE}"
        )


def _check_block(block: Sequence[_Row], contract: SensorContract, *, raw_counts: bool, name: str) -> None:
    check_rate(_times(block), name=name, sample_rate_hz=contract.sample_rate_hz, tolerance=RATE_TOLERANCE)
    values = _values(block, contract, raw_counts=raw_counts)
    check_saturation(values, name=name, contract=contract, max_saturated_share=MAX_SATURATED_SHARE)


def _check_later_rate(block: Sequence[_Row], contract: SensorContract, name: str) -> None:
    """Check the rate of a later window. A few late times or a lost sample must not end a long stream."""
    times = _times(block)
    if len(times) < 2:
        return
    mean_hz = (len(times) - 1) / float(times[-1] - times[0])
    if abs(mean_hz - contract.sample_rate_hz) > RATE_TOLERANCE * contract.sample_rate_hz:
        where = f"{name}, lines {block[0].line} to {block[-1].line}"
        check_rate(times, name=where, sample_rate_hz=contract.sample_rate_hz, tolerance=RATE_TOLERANCE)


def _times(block: Sequence[_Row]) -> NDArray[np.float64]:
    return np.array([row.time_s for row in block if row.time_s is not None])


def _values(block: Sequence[_Row], contract: SensorContract, *, raw_counts: bool) -> NDArray[np.float64]:
    """Values of the rows, float64 [n, C], in the contract's units."""
    values = np.concatenate([row.values for row in block])
    return in_units(values, contract) if raw_counts else values
