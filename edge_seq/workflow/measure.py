"""edge-seq measure: cost of a run's C export on targets, and comparison with budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_seq.ir.model import model_hash
from edge_seq.pipeline.exports import c_sha256, render_c
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.export import emitted_c, golden_counts_of
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_int, writes_to_run
from firmware_export.measuring.measure import check_budgets, measure
from firmware_export.measuring.report import MeasureReport, Skipped, TargetReport, measured_figures
from firmware_export.toolchain.budgets import Budgets, first_of
from firmware_export.toolchain.target import MissingToolError, Target, options_of_files


@writes_to_run
def measure_run(
    run: RunFolder,
    targets: Sequence[Target],
    budgets: Budgets,
    *,
    steps: int | None = None,
    progress: Callable[..., None] = lambda *_args: None,
) -> MeasureReport:
    """Measure the C export of a run, and write reports/measure.json.

    Args:
        run: Folder of an exported run.
        targets: Emulated targets.
        budgets: Budgets. They take precedence over those of the run's configuration, which take precedence over those
            of the target.
        steps: Least number of time steps to count; None as :func:`firmware_export.measuring.measure.measure` says.
        progress: Called with targets done, targets in all, and the name of the next.

    Returns:
        The measured figures, which are also written to reports/measure.json.

    Raises:
        ParityError: the export differs from what the run's model gives now.
        ConfigError, ExportError, ToolError: as the steps say.
    """
    model = load_run_int(run)
    of_run = load_run_config(run).budgets
    reports = []
    with emitted_c(run, model, doing=f"measuring {run.path.name}") as sources:
        for index, target in enumerate(targets):
            progress(index, len(targets), target.name)
            limits = first_of(budgets, of_run, target.budgets)
            given = limits.model_dump(exclude_none=True)
            try:
                found = measure(sources, model, target, steps=steps)
            except MissingToolError as error:
                skipped = Skipped(model.name, target.name, "skipped", (str(error),))
                reports.append(TargetReport(skipped, given, (), tuple(given)))
                continue
            overruns, unchecked = check_budgets(found, limits)
            reports.append(TargetReport(measured_figures(found), given, tuple(map(str, overruns)), tuple(unchecked)))
    progress(len(targets), len(targets), "done")
    holds = not any(one.over_budget for one in reports)
    rendered = render_c(model, golden_counts_of(run))
    options = (*options_of_files(targets), *(() if steps is None else ("--steps", str(steps))))
    report = MeasureReport(model_hash(model), holds, tuple(reports), c_sha256(rendered), options or None)
    save_json(run.reports / "measure.json", report)
    return report
