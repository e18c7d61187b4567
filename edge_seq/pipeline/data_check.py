"""edge-seq data check: contents of a data set, and findings that would spoil a training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from edge_seq.arithmetic.fixed_point import COMPANDED_FRAC_BITS
from edge_seq.backends.preprocess import companding_near, typical_magnitude
from edge_seq.data.audit.audit import Audit, AuditSummary, audit, summarize
from edge_seq.data.audit.finding import Finding
from edge_seq.data.audit.look import DataLook, look_closer
from edge_seq.data.guess.clues.columns import ColumnRole
from edge_seq.data.source import load_source
from edge_seq.ir.contract import SensorContract, to_counts
from edge_seq.pipeline.config import read_config
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.drawing import require_matplotlib
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.figure_text import counted, percent
from edge_seq.support.files import check_can_write, write_atomically
from edge_seq.support.results import Result, written

if TYPE_CHECKING:
    from edge_seq.data.audit.plots import PlotFormat
    from edge_seq.data.guess import Guess

PLOT_FORMATS = ("png", "svg")
FAR_ABOVE = 8  # times the typical feature: there a logarithm differs from a line by less than 6 % of the feature


@dataclass(frozen=True)
class DataCheck(Result, ShownAsTables):
    """Contents of a data set, and findings that would spoil a training.

    Attributes:
        path: path of the data source, file or folder that was checked.
        found: totals and findings.
        assumptions: assumptions of a guessed data source; empty if it was given.
        header: how the files of a guessed data source are written, one line.
        columns: what each column was taken for, and why, for a guessed data source.
        rate: rate and jitter of a guessed data source, one line.
        source_file: path of the guessed data source that was written; None if none was.
        plots: paths of the pictures that were drawn; None if none were asked for.
        look: what a page shows; None if it was not asked for.
    """

    path: Path
    found: AuditSummary = field(metadata=written(inline=True))
    assumptions: tuple[str, ...]
    header: str = ""
    columns: tuple[ColumnRole, ...] = ()
    rate: str = ""
    source_file: Path | None = field(default=None, metadata=written(unless_none=True))
    plots: tuple[Path, ...] | None = field(default=None, metadata=written(unless_none=True))
    look: DataLook | None = field(default=None, metadata=written(unless_none=True))

    @property
    def is_guess(self) -> bool:
        """True if the data source was guessed."""
        return bool(self.header or self.columns or self.assumptions)

    @property
    def usable(self) -> bool:
        """False if something was found that would spoil a training."""
        return self.found.usable

    def headline(self) -> str:
        """The totals in one sentence."""
        one = self.found
        rates = "no times" if one.rate_hz is None else one.rate_hz.text()
        return (
            f"{one.name}: {counted(one.recordings, 'recording')} of {counted(one.groups, 'group')}, "
            f"{counted(one.samples, 'sample')}, "
            f"{one.hours:.2f} h, {rates}, {percent(one.unlabelled_share)} unlabelled"
        )

    def roles(self) -> Table:
        """Table of what each column was taken for; those that are not used come last."""
        ordered = sorted(self.columns, key=lambda one: one.role == "unused")
        rows = [[one.column, one.role, one.detail, one.reason] for one in ordered]
        return Table("columns", ["column", "taken for", "", "why"], rows)

    def findings(self) -> Table:
        """Table of the findings, errors first."""
        rows = [[one.severity.upper(), one.check, one.message] for one in self.found.findings]
        return Table("findings", ["", "check", "finding, and what to do"], rows)

    def tables(self) -> Sequence[Table]:
        """Tables of columns (of a guess), classes, channels, and findings if there are any."""
        total = sum(one.windows for one in self.found.labels.values())
        classes = [
            [label, str(one.windows), percent(one.windows / total if total else None), str(one.groups)]
            for label, one in self.found.labels.items()
        ]
        channels = [
            [name, one.unit, f"{one.lowest:.4g} to {one.highest:.4g}", f"{one.full_scale:g}"]
            for name, one in self.found.channels.items()
        ]
        return [
            *([self.roles()] if self.columns else []),
            Table("classes", ["class", "windows", "share", "groups"], classes),
            Table("channels", ["channel", "unit", "values", "full scale"], channels),
            *([self.findings()] if self.found.findings else []),
        ]


def check_data(
    path: Path,
    *,
    plots: Path | None = None,
    plot_format: PlotFormat = "png",
    model_contract: SensorContract | None = None,
    write: Path | None = None,
    closer: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> DataCheck:
    """Check a data set.

    Args:
        path: data source (TOML), file of recordings or folder of recordings. For the last two a source is guessed.
        plots: folder for pictures; None draws none.
        plot_format: ``png`` or ``svg``.
        model_contract: sensor contract of a model, compared with that of the data; None compares nothing.
        write: TOML file for the guessed data source, for a file or a folder only. An existing file is not replaced.
        closer: take the closer look that a page shows: examples, a map of windows, doubtful labels.
        progress: called with the number of recordings that were checked.

    Returns:
        Totals, findings and, for a guessed source, its assumptions.

    Raises:
        ConfigError: options exclude each other, the path is no data source, or the file to write exists.
        DataError, ContractError: the data cannot be read.
        ToolError: a package is missing, for example matplotlib for pictures.
    """
    if plot_format not in PLOT_FORMATS:
        raise ConfigError(f"data check: plot format {plot_format!r} is unknown; give one of {list(PLOT_FORMATS)}")
    if plots is not None:
        require_matplotlib("data check --plots")
        check_can_write(plots)
    guess: Guess | None = None
    if (path / "config.toml").is_file():
        of_run = read_config(path / "config.toml").data.source
        raise ConfigError(
            f"data check: {path} is the folder of a run, whose data source is {of_run}. "
            f"Give that, or recordings to compare with the model: edge-seq data check RECORDINGS --run {path}"
        )
    if path.suffix == ".toml":
        if write is not None:
            raise ConfigError(f"data check: {path} is a data source already; leave --write out")
        source, base = load_source(path), path.parent
    else:
        from edge_seq.data.guess import guess_source

        if write is not None:
            _check_target(write)
        guess = guess_source(path)
        source, base = guess.source, guess.base
        if write is not None:
            _write_source(write, guess)
    problems = () if guess is None else guess.problems
    try:
        result = audit(source, base=base, model_contract=model_contract, progress=progress, problems=problems)
    except DataError as error:
        if write is None:
            raise
        raise type(error)(f"{error}. The guessed data source is in {write}; correct it there") from error
    result = result.with_findings(_check_companding(result))
    drawn = None
    if plots is not None:
        from edge_seq.data.audit.plots import draw_plots

        drawn = tuple(draw_plots(result, plots, kind=plot_format))
    found, look = summarize(result), look_closer(result) if closer else None
    if guess is None:
        return DataCheck(path, found, (), plots=drawn, look=look)
    of_guess = (guess.assumptions, guess.header, guess.columns, guess.rate)
    return DataCheck(path, found, *of_guess, source_file=write, plots=drawn, look=look)


def _check_companding(result: Audit) -> list[Finding]:
    """Find a logarithm that begins far above the features, where it is straight."""
    contract = result.source.contract
    bits = contract.preprocessing.companding
    if bits is None or result.sample is None:
        return []
    typical = typical_magnitude(to_counts(result.sample.values, contract), contract)
    if not typical or 2**bits < FAR_ABOVE * typical:
        return []
    coarse = 2 ** (bits - COMPANDED_FRAC_BITS) if bits > COMPANDED_FRAC_BITS else 1
    loss = f", and differences below {coarse} counts are lost" if coarse > 1 else ""
    return [
        Finding(
            "companding",
            "warning",
            f"companding is {bits}, a logarithm above 2^{bits} = {2**bits:,} counts, but half of the features are "
            f"within {typical:g} counts, where it is straight: it has next to no effect{loss}. Give a value near "
            f"{companding_near(typical)}, or leave companding out",
        )
    ]


def _check_target(path: Path) -> None:
    if path.exists():
        raise ConfigError(f"data check: {path} exists; give another --write")
    check_can_write(path.parent)


def _write_source(path: Path, guess: Guess) -> None:
    """Write a guessed data source, with its ``path`` relative to the file."""
    recordings = (guess.base / guess.fields["path"]).absolute()
    try:
        relative = Path(os.path.relpath(recordings, path.absolute().parent)).as_posix()
    except ValueError:  # another drive
        relative = str(recordings)
    notes = "".join(f"#   {_one_line(one)}\n" for one in (*guess.problems, *guess.assumptions))
    text = f"# Written by edge-seq data check. It assumed the following; correct what is wrong:\n{notes}\n"
    write_atomically(path, text + tomli_w.dumps({**guess.fields, "path": relative}))


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)
