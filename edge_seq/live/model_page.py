"""A web page of one file with a model in it: it classifies CSV files and a phone's own sensor, without network."""

from __future__ import annotations

import html
import importlib.metadata
from base64 import b64encode
from dataclasses import dataclass

from edge_seq.data.readers.clock import SECONDS_PER_UNIT
from edge_seq.data.source import ChannelSource, DataSource
from edge_seq.data.units import conversion_factor, unit_in_name, unit_named, unit_of
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.live.csv_stream import MAX_GAP_PERIODS, TIME_COLUMNS
from edge_seq.live.samples import MAX_SATURATED_SHARE, RATE_TOLERANCE
from edge_seq.live.web_page import assemble, web_text
from edge_seq.support.errors import ContractError
from edge_seq.support.files import json_text


@dataclass(frozen=True)
class _Column:
    """Column of a channel: its name, its unit, and the factor to the channel's unit."""

    column: str
    unit: str
    factor: float


@dataclass(frozen=True)
class _Time:
    """Column of times: its name, its unit, and the seconds in one."""

    column: str
    unit: str
    seconds: float


@dataclass(frozen=True)
class _Layout:
    """Columns of a CSV and the checks of its samples, for ``web/reading.js``.

    Attributes:
        channels: column of each channel.
        times: columns of times; the first that a file has counts.
        needs_time: True if a file without them is not read.
        recording_column: column that tells recordings apart, if a file has it.
        rate_tolerance, max_gap_s, max_saturated_share: limits, as in a data source.
        cuts_at_gaps: True if a recording is cut at a longer gap, False if it is refused.
        skips_short: True if recordings shorter than a window are left out.
    """

    channels: tuple[_Column, ...]
    times: tuple[_Time, ...]
    needs_time: bool
    recording_column: str | None
    rate_tolerance: float
    max_gap_s: float
    max_saturated_share: float
    cuts_at_gaps: bool
    skips_short: bool

    def described(self) -> str:
        """What a file must have, for people."""
        by_unit = {one.unit: [each.column for each in self.channels if each.unit == one.unit] for one in self.channels}
        columns = ", ".join(f"{', '.join(names)} in {unit.replace('^2', '²')}" for unit, names in by_unit.items())
        times = " or ".join(one.column for one in self.times)
        if not times:
            return columns
        return f"{columns}, {times} in {self.times[0].unit}{'' if self.needs_time else ' if there are times'}"


def model_page(model: IntModel, *, script: str, wasm: bytes, source: DataSource | None = None) -> str:
    """Make the page.

    The page reads CSV files as :func:`edge_seq.live.run.read_samples` does, and, if the data source is about plain CSV
    files with a header, as it says. It refuses what it cannot read.

    Args:
        model: integer model.
        script: ``index.js`` of the WebAssembly package of the model.
        wasm: WebAssembly module of the package.
        source: data source of the model's run.

    Returns:
        Text of the HTML file.
    """
    contract = model.contract
    stated, usual = _layout_of_source(source, contract), _layout_of_contract(contract)
    layouts = [usual] if stated is None else [stated, usual]
    same = stated is not None and stated.channels == usual.channels
    told = {
        "wasm": b64encode(wasm).decode(),
        "rate_hz": contract.sample_rate_hz,
        "rate_tolerance": RATE_TOLERANCE,
        "window_length": contract.window_length,
        "channels": [
            {
                "name": channel.name,
                "unit": channel.unit,
                "counts_per_unit": channel.counts_per_unit,
                "count_limit": channel.count_limit,
                "full_scale": channel.full_scale,
            }
            for channel in contract.channels
        ],
        "layouts": layouts,
    }
    expected = "; or ".join(layout.described() for layout in (layouts[-1:] if same else layouts))
    version = importlib.metadata.version("edge-seq")
    footer = f"Model {model.name}, SHA-256 {model_hash(model)}, by edge_seq {version}. This file is complete."
    return assemble(
        "page.html",
        styles=[web_text("view.css"), web_text("page.css")],
        scripts=[script, *(web_text(f"{part}.js") for part in ("view", "reading", "sensor", "page"))],
        values={
            "name": html.escape(model.name),
            "expected": html.escape(f"It needs the columns {expected}; {contract.sample_rate_hz:g} Hz."),
            "footer": html.escape(footer),
            "model": json_text(told, indent=None).replace("<", "\\u003c"),
        },
    ).html


def _layout_of_contract(contract: SensorContract) -> _Layout:
    return _Layout(
        channels=tuple(_Column(channel.name, channel.unit, 1.0) for channel in contract.channels),
        times=tuple(_Time(name, "s", 1.0) for name in TIME_COLUMNS if name not in contract.channel_names),
        needs_time=False,
        recording_column=None,
        rate_tolerance=RATE_TOLERANCE,
        max_gap_s=MAX_GAP_PERIODS / contract.sample_rate_hz,
        max_saturated_share=MAX_SATURATED_SHARE,
        cuts_at_gaps=False,
        skips_short=False,
    )


def _layout_of_source(source: DataSource | None, contract: SensorContract) -> _Layout | None:
    """Layout that a data source states; None if it is more than columns of a plain CSV with a header and times."""
    if source is None or not _is_plain(source):
        return None
    by_name = {channel.name: channel for channel in source.channels}
    try:
        channels = tuple(_column(by_name[channel.name], channel) for channel in contract.channels)
    except (KeyError, ContractError):
        return None
    return _Layout(
        channels=channels,
        times=(_Time(str(source.time_column), source.time_unit, SECONDS_PER_UNIT[source.time_unit]),),
        needs_time=True,
        recording_column=source.recording_column,
        rate_tolerance=source.rate_tolerance,
        max_gap_s=source.max_gap_at(contract.sample_rate_hz),
        max_saturated_share=source.max_saturated_share,
        cuts_at_gaps=source.on_gap == "split",
        skips_short=True,
    )


def _is_plain(source: DataSource) -> bool:
    table = source.model_dump()
    left_out = (
        "skip_rows", "column_names", "comment", "recording_break", "rows_per_recording", "row_is_window",
        "sensor_files", "sensor_column", "index_column",
    )  # fmt: skip
    return (
        source.format in ("auto", "csv")
        and source.time_column is not None
        and source.time_unit in SECONDS_PER_UNIT
        and not any(table[name] for name in left_out)
        and source.decimal in (None, ".")
        and source.delimiter in (None, ",", ";", "\t")
        and source.encoding in (None, "utf-8")
        and (source.repeated_times, source.on_missing, source.resample) == ("error", "error", "none")
    )


def _column(found: ChannelSource, wanted: Channel) -> _Column:
    name = found.column or found.name
    stated, in_name = found.column_unit, unit_of(unit_in_name(name) or "")
    unit = in_name or found.unit if stated is None else unit_named(stated, what=name)
    if in_name not in (None, unit):
        raise ContractError(f"column {name}: its name says {in_name}, the data source {unit}")
    if unit == "counts" and found.column_full_scale is not None:
        scale = found.column_full_scale * conversion_factor(found.unit, wanted.unit, what=name)
        return _Column(name, unit, scale / 2.0 ** (found.column_bits - 1))
    return _Column(name, unit, conversion_factor(unit, wanted.unit, what=name))
