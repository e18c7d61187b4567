"""edge-seq demo: all steps on simulated car states for three cells; the best on the validation windows is chosen."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_seq.ir.kind_names import CellName
from edge_seq.parity.ladder import Ladder
from edge_seq.pipeline.config import RunConfig, load_config
from edge_seq.pipeline.prepare import prepare, split_note
from edge_seq.scores import words
from edge_seq.scores.evaluation import Evaluation, SplitNote
from edge_seq.scores.metrics import Metrics
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.support.figure_text import percent
from edge_seq.support.json_tables import save_json
from edge_seq.support.results import Result, written
from edge_seq.training.runtime import require_torch
from edge_seq.workflow.evaluate import evaluate_run
from edge_seq.workflow.export import export_run
from edge_seq.workflow.folder import check_can_hold_runs, open_run
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.report import write_report
from edge_seq.workflow.train import train_run
from edge_seq.workflow.verify import verify_run

CELLS: tuple[CellName, ...] = ("rnn", "gru", "lstm")
STEPS_PER_CELL = 5  # train, quantize, evaluate, export, verify
# datasets/recipes/car_states.toml, chosen there by cross-validation over drives; a test keeps the two alike.
RECIPE = (
    "data.training_stride=10",
    "training.epochs=50",
    "training.learning_rate=0.02",
    "training.class_weights=none",
    "training.hidden_size=16",
    "training.pooling=mean",
    "training.input_gain=1.0",
    "training.mixup=0.0",
    "training.learn_from=train",
    "training.augmentation.rotation=any",
    "training.augmentation.max_degrees=30.0",
)
# A vanilla RNN takes half the learning rate (same cross-validation).
RECIPE_OF_CELL = {"rnn": ("training.learning_rate=0.01",)}

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class CellScores(Result):
    """Size and scores of the model of one cell.

    Attributes:
        validation_macro_f1: macro-F1 on validation windows in the epoch that was kept.
        parameters, weight_bytes, deployed_bytes: sizes of the integer model.
        float_model, int_model: scores on the test part.
        holds: True if every rung of the ladder holds.
    """

    validation_macro_f1: float
    parameters: int
    weight_bytes: int
    deployed_bytes: int
    float_model: Metrics = field(metadata=written("float"))
    int_model: Metrics = field(metadata=written("int"))
    holds: bool


@dataclass(frozen=True)
class Demo(Result, ShownAsTables):
    """Results of the demo.

    Attributes:
        note: kind of split, with a warning where it leaks.
        chosen: cell with the highest macro-F1 on validation windows.
        cells: scores by cell.
        majority, random_forest: scores of the baselines on the test part.
        holds: True if every ladder holds.
        seconds: duration of the demo in seconds.
        report: path of the chosen model's report.
    """

    note: SplitNote = field(metadata=written(inline=True))
    chosen: str
    cells: dict[str, CellScores]
    majority: Metrics
    random_forest: Metrics
    holds: bool
    seconds: float
    report: Path

    def tables(self) -> Sequence[Table]:
        """Scores of the integer model of each cell and of the baselines."""
        rows = [
            [
                cell + (" (chosen)" if cell == self.chosen else ""),
                percent(one.validation_macro_f1),
                str(one.int_model.accuracy),
                str(one.int_model.macro_f1),
                percent(one.float_model.macro_f1.value),
                str(one.parameters),
                str(one.deployed_bytes),
            ]
            for cell, one in self.cells.items()
        ]
        for name, one in ((words.RANDOM_FOREST, self.random_forest), (words.MAJORITY, self.majority)):
            rows.append([name, "-", str(one.accuracy), str(one.macro_f1), "-", "-", "-"])
        columns = [words.INT_MODEL, "validation F1", words.ACCURACY, words.MACRO_F1, "float F1", "parameters", "bytes"]
        return [Table("car states, test drives that no training saw (95 % intervals over drives)", columns, rows)]


def run_demo(
    out: Path, *, overrides: Sequence[str] = (), progress: Progress = lambda *_: None
) -> tuple[Demo, dict[str, Ladder]]:
    """Simulate once; train, quantize, evaluate, export and verify each cell; choose by validation macro-F1.

    Args:
        out: folder that gets a run for each cell, ``demo.json``, and a report in the run of the chosen cell.
        overrides: values of the configuration as ``section.key=value``, except cell and name, which the demo sets.
        progress: called with steps done, steps in all, and what is being done.

    Returns:
        The scores, which are also written to demo.json, and the ladder of each cell.

    Raises:
        ConfigError: an override sets cell or name, or the folder cannot be written to.
        ToolError: torch, scikit-learn or matplotlib is not installed.
        EdgeSeqError: as the steps say.
    """
    _check_before(out, overrides)
    started = time.perf_counter()
    total = 1 + STEPS_PER_CELL * len(CELLS)
    done = 0

    def report(what: str) -> None:
        nonlocal done
        progress(done, total, what)
        done += 1

    def config_of(cell: str) -> RunConfig:
        special = RECIPE_OF_CELL.get(cell, ())
        return load_config(None, [*RECIPE, *special, *overrides, f"training.cell={cell}", f"name=car_states_{cell}"])

    report("simulating drives")
    prepared = prepare(config_of(CELLS[0]))
    cells: dict[str, CellScores] = {}
    ladders: dict[str, Ladder] = {}
    scores: Evaluation | None = None
    for cell in CELLS:
        report(f"{cell}: training")
        summary = train_run(out / cell, config_of(cell), prepared=prepared)
        run = open_run(out / cell)
        report(f"{cell}: quantizing")
        quantized = quantize_run(run)
        report(f"{cell}: evaluating")
        scores = evaluate_run(run, "test", earlier=[] if scores is None else [scores])
        report(f"{cell}: exporting")
        export_run(run)
        report(f"{cell}: verifying")
        ladders[cell] = verify_run(run)
        assert scores.int_model is not None  # the run was quantized
        assert summary.best.validation_macro_f1 is not None  # the demo has validation drives
        cells[cell] = CellScores(
            validation_macro_f1=summary.best.validation_macro_f1,
            parameters=quantized.parameters,
            weight_bytes=quantized.weight_bytes,
            deployed_bytes=quantized.deployed_bytes,
            float_model=scores.float_model,
            int_model=scores.int_model,
            holds=ladders[cell].holds,
        )
    progress(total, total, "done")
    assert scores is not None
    assert scores.majority is not None
    assert scores.random_forest is not None  # scikit-learn was looked for before
    chosen = max(cells, key=lambda cell: cells[cell].validation_macro_f1)
    seconds = time.perf_counter() - started
    result = Demo(
        note=split_note(config_of(CELLS[0])),
        chosen=chosen,
        cells=cells,
        majority=scores.majority,
        random_forest=scores.random_forest,
        holds=all(ladder.holds for ladder in ladders.values()),
        seconds=seconds,
        report=write_report(out / chosen)[1],
    )
    save_json(out / "demo.json", result)
    return result, ladders


def _check_before(out: Path, overrides: Sequence[str]) -> None:
    """Check arguments, folder and installed packages before the long work begins."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in ("training.cell", "name"):
            raise ConfigError(
                f"demo: {key} cannot be set, because the demo trains each of {list(CELLS)} under its own name; to "
                "train one cell, use edge-seq train"
            )
    check_can_hold_runs(out, doing="demo")
    require_torch("demo")
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            raise ToolError(f"edge-seq demo needs {package}, which is not installed; pip install 'edge-seq[data]'")
