"""The network for a set of recordings, by search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_seq.api.boundary import in_python
from edge_seq.api.runs import Run, open_run
from edge_seq.support.display import ShownAsTables, Table, progress
from edge_seq.trials.where import Where
from edge_seq.tuning.config import SearchConfig, make_search_config, parse_budget
from edge_seq.tuning.result import Choice, Point, SearchResult

if TYPE_CHECKING:
    from edge_seq.tuning.final import TestScores


@dataclass(frozen=True)
class Search(ShownAsTables):
    """What a search found. It shows itself as a table of the front, with the choice.

    Attributes:
        result: Front, choice and other classifiers.
        config: Configuration of the search.
        folder: Folder of the search.
    """

    result: SearchResult
    config: SearchConfig
    folder: Path

    @property
    def points(self) -> tuple[Point, ...]:
        """The front of score and cost, the cheapest point first."""
        return self.result.points

    @property
    def choice(self) -> Choice:
        """The point to take, and why."""
        return self.result.choice

    def train(self, out: str | Path, *, point: int | None = None, seeds: int = 3) -> list[Run]:
        """Train a point with the whole training part.

        Args:
            out: Folder of the runs, one for each seed; with one seed it is the folder of the run.
            point: Number of the point; None takes the choice.
            seeds: Number of trainings.

        Raises:
            ConfigError: There is no such point, or the folder cannot be used.
            DataError, ContractError: The recordings cannot be used any more.
        """
        from edge_seq.pipeline.config import load_config
        from edge_seq.tuning.points import point_config
        from edge_seq.workflow.train import train_seeds

        config = load_config(point_config(self.folder, point))
        return [open_run(path) for path in train_seeds(Path(out), config, seeds)]

    def test(self, *, seeds: int = 3) -> TestScores:
        """Train the chosen point, and score it on the test part. Do this once, when the search is finished.

        The scores are kept; a second call for the same point reads them.

        Raises:
            ConfigError: There is no test part.
        """
        from edge_seq.tuning.final import score_test_part

        return score_test_part(self.result, self.config, self.folder, seeds=seeds)

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain values, ready for JSON."""
        return self.result.to_dict()

    def tables(self) -> Sequence[Table]:
        """The front, and other classifiers on the same folds."""
        return self.result.tables()

    def closing(self) -> str:
        """The choice, and what its score is worth."""
        return self.result.closing()


@in_python
def search(
    source: str | Path,
    out: str | Path,
    *,
    budget: str = "10min",
    workers: int = 1,
    scheduler: str | None = None,
    max_flash: int | None = None,
    max_weights: int | None = None,
    max_ram: int | None = None,
    max_instructions: int | None = None,
    quiet: bool = False,
    **options: Any,
) -> Search:
    """Find a network for recordings within limits of cost, as ``edge-seq search`` does. The test part is put aside.

    An interrupted search is continued by the same call, and a larger budget extends a finished one.

    Args:
        source: TOML file of a data source, or ``car_states``.
        out: Folder of the search.
        budget: Time or number of trainings: ``10min``, ``2h``, ``200 trials``.
        workers: Number of processes on this machine.
        scheduler: Address of a Dask scheduler instead.
        max_flash: Largest flash: code, tables and weights, bytes.
        max_weights: Largest weights in flash, bytes.
        max_ram: Largest RAM of a context, bytes.
        max_instructions: Largest number of instructions of a window.
        quiet: True shows no progress bar.
        options: Further fields of :class:`edge_seq.tuning.config.SearchConfig`, such as ``target`` or ``cells``.

    Raises:
        ConfigError: An option is unknown or out of range, nothing fits the limits, or the folder cannot be used.
        DataError, ContractError: The recordings cannot be used.
        ToolError: torch is not installed, or the scheduler cannot be reached.

    Example:
        >>> import edge_seq as es
        >>> found = es.search("drives.toml", "study", budget="200 trials", max_flash=16_000)  # doctest: +SKIP
        >>> runs = found.train("found")  # doctest: +SKIP
    """
    from edge_seq.tuning.run import search as run_search

    limits = {
        "max_flash": max_flash,
        "max_weights": max_weights,
        "max_ram": max_ram,
        "max_instructions": max_instructions,
    }
    config = make_search_config(str(source), budget=parse_budget(budget), limits=limits, **options)
    with progress("searching", 100, quiet=quiet) as update:
        result = run_search(config, Where(Path(out), workers, scheduler), command="es.search", tell=update)
    return Search(result, config, Path(out))
