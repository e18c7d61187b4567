"""edge-seq measure: what the C export of a run costs on targets, and whether it keeps to its budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_seq.ir.model import model_hash
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.export import emitted_c
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_int
from firmware_export.measuring.measure import check_budgets, measure, measurement_to_dict
from firmware_export.toolchain.budgets import Budgets, first_of
from firmware_export.toolchain.target import MissingToolError, Target


@dataclass(frozen=True)
class MeasureReport:
    """One table a target, and whether all budgets hold.

    Attributes:
        model_hash: of the integer model that was measured.
        targets: from :func:`firmware_export.measuring.measure.measurement_to_dict`, with budgets and overruns.
    """

    model_hash: str
    targets: tuple[dict[str, Any], ...]

    @property
    def overruns(self) -> list[str]:
        """What is over budget, in words."""
        return [text for table in self.targets for text in table["over_budget"]]

    @property
    def holds(self) -> bool:
        """Whether no budget is exceeded."""
        return not self.overruns

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"model_hash": self.model_hash, "holds": self.holds, "targets": list(self.targets)}


def measure_run(
    run: RunFolder,
    targets: Sequence[Target],
    budgets: Budgets,
    *,
    steps: int,
    progress: Callable[..., None] = lambda *_args: None,
) -> MeasureReport:
    """Measure the C export of a run, and write reports/measure.json.

    Args:
        run: exported.
        targets: on which.
        budgets: before those of the run's configuration, which are before those of the target.
        steps: how many to count at least.
        progress: called with targets done, their number and a name.

    Raises:
        ParityError: where the export is stale.
        ConfigError, ExportError, ToolError: as the steps say.
    """
    model = load_run_int(run)
    of_run = load_run_config(run).budgets
    tables = []
    with emitted_c(run, model, doing=f"measuring {run.path.name}") as sources:
        for index, target in enumerate(targets):
            progress(index, len(targets), target.name)
            limits = first_of(budgets, of_run, target.budgets)
            table: dict[str, Any] = {
                "budgets": limits.model_dump(exclude_none=True),
                "over_budget": [],
                "unchecked": [],
            }
            try:
                found = measure(sources, model, target, steps=steps)
            except MissingToolError as error:
                skipped = {"model": model.name, "target": target.name, "status": "skipped", "notes": [str(error)]}
                tables.append({**skipped, **table, "unchecked": list(table["budgets"])})
                continue
            overruns, unchecked = check_budgets(found, limits)
            table |= {"over_budget": [str(overrun) for overrun in overruns], "unchecked": unchecked}
            tables.append({**measurement_to_dict(found), **table})
    progress(len(targets), len(targets), "done")
    report = MeasureReport(model_hash(model), tuple(tables))
    save_json(run.reports / "measure.json", report.to_dict())
    return report
