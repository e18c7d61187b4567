"""Layout of text files, as a data source states it."""

from __future__ import annotations

from dataclasses import dataclass

BLANK_LINE = "blank"
SENSOR_MARK = "/"  # `Accelerometer/x` is the column `x` of the sensor `Accelerometer`


@dataclass(frozen=True)
class Layout:
    """Layout of text files, as a data source states it. Omitted fields are found in each file.

    Attributes:
        delimiter: character between columns; ``" "`` stands for any run of blanks and tabs.
        decimal: decimal mark, ``"."`` or ``","``.
        encoding: name of the encoding, for example ``"utf-16"``.
        comment: text at the start of lines to pass over. Found by itself: ``#``, ``%``, ``//``.
        skip_rows: lines before the header (or before the first row if there is no header).
        column_names: names of the columns of a file without a header.
        recording_break: what ends a recording: ``"blank"`` for a blank line, else a regular expression that matches a
            whole line.
        rows_per_recording: number of rows after which another recording begins.
        max_lost_share: largest share of rows that may be torn or garbage.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    comment: str | None = None
    skip_rows: int | None = None
    column_names: tuple[str, ...] = ()
    recording_break: str | None = None
    rows_per_recording: int | None = None
    max_lost_share: float = 0.01


def sensor_of(column: str) -> tuple[str, str]:
    """Split the column of a channel into the name of its sensor and the column there.

    >>> sensor_of("Gyroscope/Gyroscope x (rad/s)")
    ('Gyroscope', 'Gyroscope x (rad/s)')
    """
    sensor, _, name = column.partition(SENSOR_MARK)
    return sensor, name
