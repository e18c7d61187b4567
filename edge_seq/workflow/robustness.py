"""edge-seq robustness: scores of a run's models on a sensor that differs from the one of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_seq.ir.contract import axis_triples
from edge_seq.ir.model import model_hash
from edge_seq.pipeline.robustness import (
    Robustness,
    SweepPoint,
    SweepScores,
    choose_sweeps,
    disturbed_windows,
    score_model,
)
from edge_seq.report.sweeps import draw
from edge_seq.support.drawing import require_matplotlib
from edge_seq.support.errors import DataError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import (
    RunFolder,
    load_run_config,
    load_run_float,
    load_run_int,
    note_of_run,
    writes_to_run,
)
from edge_seq.workflow.streams import load_recordings

Progress = Callable[[int, int, str], None]


@writes_to_run
def run_robustness(
    run: RunFolder,
    side: str = "test",
    *,
    names: Sequence[str] = (),
    plot: bool = True,
    progress: Progress = lambda *_: None,
) -> Robustness:
    """Score the models of a run over each sweep, on windows of disturbed recordings.

    Args:
        run: Folder of a run.
        side: Side of the split whose recordings are used.
        names: Names of the sweeps; empty takes all that the channels allow.
        plot: True also draws reports/robustness.<side>.png.
        progress: Called with values done, values in all, and the current value.

    Returns:
        The scores, which are also written to reports/robustness.<side>.json.

    Raises:
        ConfigError, DataError: as the steps say.
        ToolError: a plot is asked for and matplotlib is not installed.
    """
    chosen = choose_sweeps(names)
    if plot:
        require_matplotlib("edge-seq robustness", instead="give --no-plot")
    model = load_run_float(run)
    quantized = load_run_int(run) if run.int_model.is_file() else None
    config = load_run_config(run)
    contract, seed = model.contract, config.training.seed
    if not names and not axis_triples(contract):
        chosen = tuple(sweep for sweep in chosen if sweep.name != "mounting_angle")
    total = sum(len(sweep.values) for sweep in chosen)
    progress(0, total, "reading recordings")
    loaded = load_recordings(run, side)
    recordings, minimum_share = loaded.recordings, loaded.minimum_share
    sweeps, done = [], 0
    for sweep in chosen:
        points, skipped = [], []
        for value in sweep.values:
            progress(done, total, f"{sweep.quantity} {value:g}")
            done += 1
            windows = disturbed_windows(recordings, contract, sweep, value, minimum_share=minimum_share, seed=seed)
            if windows is None:
                skipped.append(float(value))
                continue
            points.append(
                SweepPoint(
                    value=float(value),
                    windows=len(windows.labels),
                    float_model=score_model(model, windows, seed=seed),
                    int_model=None if quantized is None else score_model(quantized, windows, seed=seed),
                )
            )
        if sweep.nominal in skipped:
            raise DataError(
                f"robustness: no recording of the {side} side is as long as a window of {contract.window_length} "
                "samples; give another --side"
            )
        sweeps.append(SweepScores(sweep.name, sweep.quantity, float(sweep.nominal), tuple(points), tuple(skipped)))
    results = Robustness(
        side=side,
        note=note_of_run(run, side),
        model_hash=model_hash(quantized or model),
        recordings=len(recordings),
        sweeps=tuple(sweeps),
    )
    save_json(run.reports / f"robustness.{side}.json", results)
    if plot:
        draw(results, run.reports / f"robustness.{side}.png")
    progress(total, total, "done")
    return results
