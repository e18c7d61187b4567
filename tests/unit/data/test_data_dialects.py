"""A recording that is written in any dialect is read as it was written, or refused; it is never read differently."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from edge_seq.data.guess import Guess, guess_source
from edge_seq.data.readers import read_signals
from edge_seq.data.readers.signals import Signal
from edge_seq.pipeline.data_check import check_data
from edge_seq.support.errors import EdgeSeqError
from tests.unit.data import dialect_names as names
from tests.unit.data.dialects import Dialect, Written, write

Outcome = Literal["read", "guessed", "refused"]
TO_BASE = {"m/s^2": 1.0, "g": names.STANDARD_GRAVITY, "mg": names.STANDARD_GRAVITY / 1000, "deg/s": 1.0,
           "rad/s": 180 / np.pi}  # fmt: skip
RATES_HZ = (12.5, 20.0, 25.0, 50.0, 50.0, 62.5, 100.0, 104.0, 119.0, 200.0, 400.0)
COUNTS_PER_G = (16384.0, 8192.0, 4096.0, 2048.0, 1024.0, 256.0, 1 / 0.000061, 1 / 0.000122, 1 / 0.000488)
COUNTS_PER_DPS = (131.0, 65.5, 16.4, 1 / 0.00875, 1 / 0.07)
PARTS, IN_PART = 10, 1000


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    """Any dialect that a file can be written in; most of its parts are the plain ones."""

    def seldom(usual: object, *others: object) -> object:
        return draw(st.sampled_from((*[usual] * 2 * len(others), *others)))

    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|", " "]))
    quoted = bool(seldom(False, True)) and delimiter != " "
    decimal = draw(st.sampled_from([".", ","])) if delimiter != "," or quoted else "."
    six = draw(st.booleans())
    gravity = bool(seldom(True, True, False))
    plain = not six and bool(seldom(False, True))
    acceleration = names.LINEAR_NAMES if not gravity else names.PLAIN_NAMES if plain else names.ACCELERATION_NAMES
    units = (
        draw(st.sampled_from([*names.ACCELERATION_UNITS, "g", "m/s^2", "mg", "counts"])),
        draw(st.sampled_from([*names.ROTATION_UNITS, "deg/s", "rad/s", "mdps", "counts"])),
    )
    times = tuple(
        draw(st.lists(st.sampled_from(sorted(names.TIMES)), max_size=2, unique_by=lambda one: one.split("|")[0]))
    )
    header = draw(st.sampled_from([True] * 7 + [False]))
    dialect = Dialect(
        delimiter=delimiter,
        decimal=decimal,
        encoding=str(seldom("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")),
        line_end=str(seldom("\n", "\r\n", "\r\n", "\r")),
        quoted=quoted,
        row_end=str(seldom("", delimiter.strip(), delimiter.strip(), ";" if delimiter != ";" else "")),
        names=(draw(st.sampled_from(acceleration)), draw(st.sampled_from(names.ROTATION_NAMES))),
        units=units,
        spelled=(draw(st.sampled_from(names.SPELLED[units[0]])), draw(st.sampled_from(names.SPELLED[units[1]]))),
        units_in=draw(st.sampled_from(["nothing", "nothing", "(u)", " (u)", "[u]", " [u]", "_u", "row"])),
        digits=int(str(seldom(5, 3, 2, 8))),
        gravity=gravity,
        turning=float(str(seldom(90.0, 5.0, 400.0))),
        lsb=(draw(st.sampled_from(COUNTS_PER_G)), draw(st.sampled_from(COUNTS_PER_DPS))),
        times=times,
        batch=int(str(seldom(1, 5, 10))) if times else 1,
        rate_hz=draw(st.sampled_from(RATES_HZ)),
        header=header,
        preamble=draw(st.sampled_from(names.PREAMBLES)),
        order=tuple(draw(st.permutations(range(12)))) if header and draw(st.booleans()) else (),
        shuffled=header and bool(seldom(False, True)),
        extras=tuple(draw(st.lists(st.sampled_from(names.EXTRAS), max_size=2, unique=True))),
        faults=tuple(draw(st.lists(st.tuples(st.integers(5, 80), st.sampled_from(names.FAULTS)), max_size=2,
                                   unique_by=lambda one: one[0]))) if draw(st.booleans()) else (),
        label=draw(st.sampled_from((None, None, *names.LABELS))),
        codes=draw(st.sampled_from(names.CODES)),
        layout=str(seldom("one", "files", "folders")),
        file_name=draw(st.sampled_from(names.FILE_NAMES)),
        suffix=str(seldom(".csv", ".txt", ".tsv", ".dat", ".log", ".CSV")),
        packed=str(seldom("", ".gz", ".zip")),
        six=six,
        seed=draw(st.integers(0, 50)),
    )  # fmt: skip
    return possible(dialect)


def possible(dialect: Dialect) -> Dialect:
    """The nearest dialect in which a table can be told at all."""
    changes: dict[str, object] = {}
    rate = f"{dialect.rate_hz:g}"
    changes["preamble"] = tuple(line.format(rate=rate) for line in dialect.preamble)
    if dialect.delimiter == " ":  # names and times with a blank in them are several columns there
        changes["names"] = tuple(name.replace(" ", "_") for name in dialect.names)
        changes["spelled"] = tuple(unit.replace(" ", "") for unit in dialect.spelled)
        changes["units_in"] = dialect.units_in.strip()
        changes["times"] = tuple(
            one for one in dialect.times if " " not in names.TIMES[one].name and " " not in names.TIMES[one].unit
        )
        changes["codes"] = tuple(code.replace(" ", "_") for code in dialect.codes)
        changes["label"] = None if dialect.label is None else dialect.label.replace(" ", "_")
    if dialect.layout == "folders" or dialect.layout == "files":
        changes["faults"] = ()
        changes["label"] = None
    if not dialect.header:  # only gravity tells the sensors apart, and other triples look like theirs
        changes["gravity"] = True
        changes["extras"] = tuple(
            one for one in dialect.extras if one not in ("magnetometer", "gravity", "orientation")
        )
    if dialect.six and dialect.names[0].lower() == dialect.names[1].lower():
        changes["six"] = False
    written = (*dialect.names, *dialect.spelled, *dialect.codes, *dialect.times, dialect.label or "")
    if dialect.encoding == "cp1252" and not all(map(_is_western, written)):
        changes["encoding"] = "utf-8"
    return replace(dialect, **changes)  # type: ignore[arg-type]


def _is_western(text: str) -> bool:
    return text.encode("cp1252", "ignore").decode("cp1252") == text


def outcome(dialect: Dialect) -> Outcome:
    """Write, guess, read, compare.

    Returns:
        ``read`` as written; ``guessed``: a unit or the rate is wrong, and is said to be only a guess; ``refused``.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = write(dialect, Path(folder))
        try:
            guess = guess_source(written.path)
            signals = list(read_signals(guess.source, base=guess.base))
        except EdgeSeqError:
            return "refused"
        if guess.problems:
            return "refused"
        try:
            return compare(dialect, written, guess, signals)
        except AssertionError:
            try:
                if not check_data(written.path).usable:
                    return "refused"
            except EdgeSeqError:
                return "refused"
            raise


def compare(dialect: Dialect, written: Written, guess: Guess, signals: list[Signal]) -> Outcome:
    """Compare what was read with what was written.

    Raises:
        AssertionError: it is different, and nothing says so.
    """
    said = "\n".join(guess.assumptions)
    source, result = guess.source, set[Outcome]()
    own = dict(zip(source.column_names, written.positions, strict=False))  # a delimiter at the end adds a column
    channels = {own.get(column, column): n for n, column in enumerate(source.channel_columns)}
    if any(line.startswith("no column names an axis") for line in guess.assumptions):
        return "guessed"
    assert set(channels) == set(written.columns), ("channels", list(channels), list(written.columns))
    values = np.concatenate([one.values for one in signals])
    assert len(values) == len(next(iter(written.columns.values()))), ("rows", len(values))
    for column, n in channels.items():
        channel = source.channels[n]
        title = f"{source.channel_columns[n]}"
        if channel.unit == "counts":
            assert np.allclose(values[:, n], written.raw[column]), ("counts", column)
            assert any(title in line and "in counts of the sensor" in line for line in guess.assumptions), (
                "said",
                column,
            )
            continue
        found, truth = values[:, n] * TO_BASE.get(channel.unit, np.nan), written.columns[column]
        tolerance = 2e-3 if channel.column_unit == "counts" else 1e-4
        if not np.allclose(found, truth, rtol=tolerance, atol=1e-3 * tolerance / 1e-4):
            is_said = any(title in line and "only a guess" in line for line in guess.assumptions)
            assert is_said, ("values", column, channel.unit, channel.column_unit, found[:3], truth[:3])
            result.add("guessed")
    if written.time_s is None:
        if source.sample_rate_hz != pytest.approx(dialect.rate_hz, rel=0.02):
            assert "Hz is only a guess" in said, ("rate", source.sample_rate_hz)
            result.add("guessed")
    else:
        assert all(one.time_s is not None for one in signals), "no times"
        times = np.concatenate([one.time_s - one.time_s[0] for one in signals if one.time_s is not None])
        ends = np.cumsum(written.lengths)
        truth = np.concatenate([part - part[0] for part in np.split(written.time_s, ends[:-1])])
        assert source.sample_rate_hz == pytest.approx(dialect.rate_hz, rel=0.02), ("rate", source.sample_rate_hz)
        exact = dialect.batch == 1 and len(dialect.times) == 1 and not dialect.times[0].endswith("%S|0")
        late = 1.1e-3 if exact else 2.0 * dialect.batch / dialect.rate_hz
        assert len(times) == len(truth)
        assert np.allclose(times, truth, atol=late), ("times", times[:5], truth[:5])
    if written.labels is not None:
        read = [one.label_values[code] for one in signals for code in one.label_codes]
        assert list(map(_code, read)) == list(map(_code, written.labels)), ("labels", Counter(read))
    return "guessed" if result else "read"


def _code(label: str) -> str:
    return label.removesuffix(".0")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(dialects())
def test_a_recording_in_any_dialect_is_read_as_written_or_refused(dialect: Dialect) -> None:
    outcome(dialect)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_ten_thousand_dialects(part: int) -> None:
    outcomes: Counter[Outcome] = Counter()

    @seed(part)
    @settings(max_examples=IN_PART, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(dialects())
    def each(dialect: Dialect) -> None:
        outcomes[outcome(dialect)] += 1

    each()
    sys.stdout.write(f"part {part}: {dict(outcomes)}\n")
    assert outcomes["read"] > 0.3 * outcomes.total()


def ways() -> Iterator[tuple[str, Outcome, Dialect]]:
    """Each name, unit and layout alone, in a plain dialect otherwise, and what comes of it."""
    plain = Dialect()
    for name in names.ACCELERATION_NAMES:
        yield name, "read", replace(plain, names=(name, "gyr{X}"))
    for name in names.PLAIN_NAMES:
        yield name, "read", replace(plain, names=(name, "gyr{X}"), six=False)
    for name in names.LINEAR_NAMES:
        yield name, "read", replace(plain, names=(name, "gyr{X}"), gravity=False, units_in=" (u)")
    for name in names.ROTATION_NAMES:
        yield name, "read", replace(plain, names=("acc{X}", name))
    for time in names.TIMES:
        yield time, "refused" if time == BASIC_FORMAT else "read", replace(plain, times=(time,))
    for unit, spellings in names.SPELLED.items():
        strange: Outcome = "refused" if unit in ("ft/s^2", "rpm", "rev/s") else "read"
        for spelled, units_in in product(spellings, ("(u)", " [u]", "row")):
            one = replace(plain, units_in=units_in)
            if unit in names.ACCELERATION_UNITS or unit == "counts":
                yield f"{spelled} {units_in}", strange, replace(one, units=(unit, "deg/s"), spelled=(spelled, "deg/s"))
            if unit in names.ROTATION_UNITS or unit == "counts":
                yield f"{spelled} {units_in}", strange, replace(one, units=("g", unit), spelled=("g", spelled))
    for lsb in COUNTS_PER_G:
        yield f"{lsb:g}", "read", replace(plain, units=("counts", "deg/s"), lsb=(lsb, 1.0))
    for preamble, header in product(names.PREAMBLES, (True, False)):
        yield f"{preamble} {header}", "read", replace(plain, preamble=preamble, header=header)
    for label in names.LABELS:
        yield label, "read", replace(plain, label=label)
    for codes in names.CODES:
        yield str(codes), "read", replace(plain, codes=codes, label="label")
        yield f"folders {codes}", "read", replace(plain, codes=codes, layout="folders")
    for name in names.FILE_NAMES:
        yield name, "read", replace(plain, file_name=name, layout="files")
    for extra in names.EXTRAS:
        yield extra, "read", replace(plain, extras=(extra,))
    for fault in names.FAULTS:
        yield fault, "read", replace(plain, faults=((30, fault),))
    for encoding, line_end in product(
        ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"), ("\n", "\r\n", "\r")
    ):
        yield encoding, "read", replace(plain, encoding=encoding, line_end=line_end)
    for delimiter, decimal in product((",", ";", "\t", "|", " "), (".", ",")):
        one = replace(plain, delimiter=delimiter, decimal=decimal, quoted=delimiter == decimal)
        yield f"{delimiter} {decimal}", "read", one
        yield f"{delimiter} at the end", "read", replace(one, row_end=delimiter.strip(), header=False)
    for suffix, packed in product((".csv", ".txt", ".tsv", ".dat", ".log", ".CSV"), ("", ".gz", ".zip")):
        yield f"{suffix}{packed}", "read", replace(plain, suffix=suffix, packed=packed)
    yield "samples that share a stamp", "read", replace(plain, batch=10)


BASIC_FORMAT = "timestamp|%Y%m%dT%H%M%S.|Z|0"
WAYS = list(ways())


def differences(some: Sequence[tuple[str, Outcome, Dialect]]) -> list[tuple[str, Outcome]]:
    return [(name, found) for name, expected, one in some if (found := outcome(possible(one))) != expected]


def test_some_names_units_and_layouts_are_read() -> None:
    assert not differences(WAYS[::7])


@pytest.mark.slow
def test_all_names_units_and_layouts_are_read() -> None:
    assert not differences(WAYS)
