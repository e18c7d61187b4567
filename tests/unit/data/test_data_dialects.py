"""A recording that is written in any dialect is read as it was written, or refused; it is never read differently."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_seq.data.guess import guess_source
from edge_seq.data.readers import read_signals
from edge_seq.data.units import STANDARD_GRAVITY
from edge_seq.support.errors import EdgeSeqError
from tests.unit.data.dialects import (
    ACCELERATION_NAMES,
    ACCELERATION_UNITS,
    GARBAGE,
    ROTATION_NAMES,
    ROTATION_UNITS,
    TIMES,
    Dialect,
    write,
)

TO_BASE = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000, "deg/s": 1.0, "rad/s": 180 / np.pi}
PREAMBLES = (
    (),
    ("# logger 1.2", "# rate 50 Hz"),
    ("Initializing I2C devices...", "MPU6050 connection successful"),
    ("", "% made by hand", ""),
    ("Device: phone, model 3", "Sensors: 6"),
)


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    quoted = draw(st.booleans()) and delimiter != " "
    decimal = draw(st.sampled_from([".", ","])) if delimiter != "," or quoted else "."
    acceleration, rotation = draw(st.sampled_from(ACCELERATION_NAMES)), draw(st.sampled_from(ROTATION_NAMES))
    time = draw(st.sampled_from(list(TIMES)))
    units_in = draw(st.sampled_from(["nothing", "brackets", "row"]))
    known = units_in != "nothing"
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    if delimiter == " ":  # names and times with a blank in them cannot be told apart there
        acceleration, rotation = acceleration.replace(" ", "_"), rotation.replace(" ", "_")
        time = time if TIMES[time][0] != "blank" and " " not in time else "t"
        units_in = "nothing" if units_in == "brackets" else units_in
        known = units_in != "nothing"
    return Dialect(
        delimiter=delimiter,
        decimal=decimal,
        names=(acceleration, rotation),
        units=(
            draw(st.sampled_from(sorted(ACCELERATION_UNITS))),
            draw(st.sampled_from(sorted(ROTATION_UNITS) if known else ["deg/s", "rad/s"])),
        ),
        units_in=units_in,
        time=time,
        rate_hz=draw(st.sampled_from([25.0, 50.0, 100.0, 104.0])) if TIMES[time][0] in ("us", "ns") else 50.0,
        preamble=draw(st.sampled_from(PREAMBLES)),
        encoding=encoding,
        line_end=draw(st.sampled_from(["\n", "\r\n"])),
        row_end=draw(st.sampled_from(["", "", delimiter.strip(), ";" if delimiter != ";" else ""])),
        quoted=quoted,
        order=tuple(draw(st.permutations(range(8)))),
        garbage=tuple(
            (row, text)
            for row, text in draw(
                st.lists(
                    st.tuples(st.integers(5, 230), st.sampled_from(GARBAGE)), max_size=2, unique_by=lambda one: one[0]
                )
            )
        ),
        label=draw(st.booleans()),
        packed=draw(st.booleans()),
        six=draw(st.booleans()),
        seed=draw(st.integers(0, 5)),
    )


def check(dialect: Dialect) -> bool:
    """Write, guess, read, compare. True if the file was read, False if it was refused."""
    written = write(dialect)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("walk_01.csv.gz" if dialect.packed else "walk_01.csv")
        path.write_bytes(written.content)
        try:
            guess = guess_source(path)
            signals = list(read_signals(guess.source, base=guess.base))
        except EdgeSeqError:
            return False
    if guess.problems:
        return False
    columns = dict(zip(guess.source.channel_columns, range(len(guess.source.channels)), strict=True))
    assert set(columns) == set(written.columns), (guess.fields["channels"], list(written.columns))
    values = np.concatenate([one.values for one in signals])
    assert len(values) == written.rows
    for column, truth in written.columns.items():
        channel = guess.source.channels[columns[column]]
        found = values[:, columns[column]] * TO_BASE[channel.unit]
        assert np.allclose(found, truth, rtol=1e-4, atol=1e-3), (column, channel.unit, found[:3], truth[:3])
    if written.time_s is not None:
        assert all(one.time_s is not None for one in signals)
        times = np.concatenate([one.time_s for one in signals if one.time_s is not None])
        assert np.allclose(times - times[0], written.time_s - written.time_s[0], atol=1.1e-3)
        assert guess.source.sample_rate_hz == pytest.approx(dialect.rate_hz, rel=0.02)
    if dialect.label:
        assert {value for one in signals for value in one.label_values} == {"walk", "run"}
    return True


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(dialects())
def test_a_recording_in_any_dialect_is_read_as_written_or_refused(dialect: Dialect) -> None:
    check(dialect)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(dialects())
def test_ten_thousand_dialects(dialect: Dialect) -> None:
    check(dialect)


def test_most_dialects_are_read(tmp_path: Path) -> None:
    plain = [Dialect(time=time) for time in TIMES]
    plain += [Dialect(names=(name, "gyr{X}"), time="t") for name in ACCELERATION_NAMES]
    plain += [Dialect(names=("acc{X}", name), time="t") for name in ROTATION_NAMES]
    plain += [Dialect(delimiter=delimiter, decimal=",") for delimiter in (";", "\t", " ", "|")]
    plain += [Dialect(preamble=preamble, encoding="utf-16", line_end="\r\n") for preamble in PREAMBLES]
    refused = [dialect for dialect in plain if not check(dialect)]
    assert not refused
