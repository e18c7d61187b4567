"""edge-seq data check: what is in a data set, and what in it would spoil a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from edge_seq.data.source import load_source
from edge_seq.ir.contract import SensorContract
from edge_seq.support.drawing import require_matplotlib
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, write_atomically

if TYPE_CHECKING:
    from edge_seq.data.audit.plots import PlotFormat

PLOT_FORMATS = ("png", "svg")


def check_data(
    path: Path,
    *,
    plots: Path | None = None,
    plot_format: PlotFormat = "png",
    model_contract: SensorContract | None = None,
    write: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Look at a data set.

    Args:
        path: a data source (TOML), a file of recordings or a folder of them; for the last two a source is guessed.
        plots: folder for pictures.
        plot_format: ``png`` or ``svg``.
        model_contract: Sensor contract of a model, compared with that of the data.
        write: TOML file for the guessed data source; for a file or a folder only, and never over another file.
        progress: called with the number of recordings looked at.

    Returns:
        Totals, findings and, where a source was guessed, what was taken for granted.

    Raises:
        ConfigError: options that do not fit, a path that is no data source, a file in the way.
        DataError, ContractError, ToolError: nothing can be read, or pictures are asked for and matplotlib is missing.
    """
    from edge_seq.data.audit.audit import audit, audit_to_dict

    if plot_format not in PLOT_FORMATS:
        raise ConfigError(f"data check: plots as {plot_format!r} are unknown; give one of {list(PLOT_FORMATS)}")
    if plots is not None:
        require_matplotlib("data check --plots")
        check_can_write(plots)
    assumptions: tuple[str, ...] = ()
    if path.suffix == ".toml":
        if write is not None:
            raise ConfigError(f"data check: {path} is a data source already; leave --write out")
        source, base = load_source(path), path.parent
    else:
        from edge_seq.data.guess import guess_source

        guess = guess_source(path)
        source, base, assumptions = guess.source, guess.base, guess.assumptions
        if write is not None:
            _write_source(write, {**guess.fields, "path": str(path.absolute())}, assumptions)
    result = audit(source, base=base, model_contract=model_contract, progress=progress)
    summary = {"path": str(path), **audit_to_dict(result), "assumptions": list(assumptions)}
    if write is not None:
        summary["source_file"] = str(write)
    if plots is not None:
        from edge_seq.data.audit.plots import draw_plots

        summary["plots"] = [str(one) for one in draw_plots(result, plots, kind=plot_format)]
    return summary


def _write_source(path: Path, fields: dict[str, Any], assumptions: tuple[str, ...]) -> None:
    if path.exists():
        raise ConfigError(f"data check: {path} exists; give another --write")
    check_can_write(path.parent)
    notes = "".join(f"#   {one}\n" for one in assumptions)
    text = f"# Written by edge-seq data check. What it took for granted; correct what is wrong:\n{notes}\n"
    write_atomically(path, text + tomli_w.dumps(fields))
