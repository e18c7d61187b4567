"""A comparison as text: the rows of its tables, and all of it in Markdown."""

from __future__ import annotations

from edge_seq.compare.result import CandidateFigures, Comparison, ForestFigures, IntegerFigures, NoCost, SizeFigures
from edge_seq.scores.metrics import Estimate

FORMAT, COMPARISON = "edge_seq.compare/1", "comparison.json"
COLUMNS = (
    "cell",
    "first weights",
    "units",
    "T",
    "readout",
    "{score}, % [95 %]",
    "integer",
    "CPU s",
    "parameters",
    "flash",
    "RAM",
    "a step",
    "oldest : newest before",
    "after",
)
LEGEND = (
    "integer: score of the integer model; CPU s: processor time of a training; flash and RAM in bytes, a step in "
    "instructions or cycles, of the integer model on the target; oldest : newest: norm of the gradient of the loss "
    "with respect to the oldest input of the window, divided by that for the newest, before and after the training"
)
_READOUT_NOTES: dict[tuple[str, ...], str] = {
    ("last",): "readout: the last hidden state, for which the cell has to remember; if the mean of all states is an "
    "option, compare with --readout last --readout mean, because the verdict may differ",
    ("mean",): "readout: the mean of all hidden states, which remembers for the cell",
    ("max",): "readout: the largest value of each unit over all hidden states, which remembers for the cell",
    (
        "mean_max",
    ): "readout: the mean and the largest value of each unit over all hidden states, which remember for the cell",
}
_SEVERAL_READOUTS = (
    "readouts: the last hidden state, for which the cell has to remember, or the mean, the largest value or both over "
    "all hidden states, which remember for the cell; a candidate without a named readout uses the last state"
)


def columns(result: Comparison) -> list[str]:
    """List the column headings of the table of a comparison."""
    return [column.format(score=result.config["score"].replace("_", " ")) for column in COLUMNS]


def candidate_row(one: CandidateFigures) -> list[str]:
    """Make the table row of one candidate, for :func:`columns`."""
    of, cost = one.candidate, one.cost.measured
    return [
        of.cell,
        of.first_weights,
        str(of.hidden_size),
        str(of.time_steps),
        of.readout,
        _interval(one.interval),
        f"{100 * one.integer.score:.1f}" if isinstance(one.integer, IntegerFigures) else "refused",
        f"{one.training_cpu_seconds:.1f}",
        _number(one.cost.parameters),
        _number(None if cost is None else cost.flash_bytes),
        _number(None if cost is None else cost.ram_bytes),
        _number(None if cost is None else cost.per_step),
        _ratio(one.gradient.oldest_to_newest_before),
        _ratio(one.gradient.oldest_to_newest_after),
    ]


def rows_of_size(result: Comparison, size: SizeFigures) -> list[list[str]]:
    """Make the rows of all candidates at a size: short windows first, then readouts and cells in configured order."""
    cells, readouts = result.config["cells"], result.config["readouts"]

    def place(one: CandidateFigures) -> tuple[int, int, int]:
        of = one.candidate
        return of.time_steps, readouts.index(of.readout), cells.index(of.cell)

    return [candidate_row(one) for one in sorted(result.at(size), key=place)]


def notes(result: Comparison) -> list[str]:
    """List the notes to the tables, one line each."""
    readout = _READOUT_NOTES.get(tuple(result.config["readouts"]), _SEVERAL_READOUTS)
    lines = [f"data: {result.data_note}", readout]
    costs = [one.cost for one in result.candidates]
    measured = [f"cost on {c.target}: {of.detail}; a step in {of.unit}" for c in costs if (of := c.measured)]
    refused = [f"cost not measured: {c.found.reason}" for c in costs if isinstance(c.found, NoCost) and c.found.reason]
    lines += dict.fromkeys([*measured, *refused])
    lines += [_of_forest(one) for one in result.forests or ()]
    lines += [f"FAILED {key}: {why}" for key, why in result.failures.items()]
    if result.trainings_left:
        left = f"{result.trainings_left} trainings are not done yet"
        lines.append(f"{left}; the same command with --workers 1 or more continues")
    if result.lost:
        lines.append(f"workers that died on a training, which another then did: {result.lost}")
    if result.solved_up_to:
        solved = [
            f"{one.cell} {one.hidden_size} {one.first_weights} {one.time_steps or 'none'}"
            for one in result.solved_up_to
        ]
        lines.append(f"longest T with at least 95 % accuracy: {', '.join(solved)}")
    return lines


def _of_forest(one: ForestFigures) -> str:
    """Sentence about a random forest."""
    cost = one.cost
    price = (
        "cost on the target not known"
        if cost is None
        else f"about {cost.per_window:,} instructions a window and {cost.flash_bytes:,} bytes of flash on "
        f"{cost.target}, estimated from the shape of its trees"
    )
    return (
        f"random forest, T = {one.time_steps}: {_interval(one.interval)} with {one.trees} trees of at most "
        f"{one.leaves} leaves on integer statistics of the same windows; {price}"
    )


def verdict_lines(result: Comparison) -> list[str]:
    """List the verdicts, the one over all last."""
    first, *others = result.verdicts
    return [*(f"{one.scope}: {one.why}" for one in others), f"OVER {first.scope.upper()}: {first.why}"]


def to_markdown(result: Comparison) -> str:
    """Write a comparison as Markdown: command, tables, notes, verdicts and rules."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    seeds = result.config["seeds"]
    lines = [f"# {result.task}: RNN, GRU or LSTM", "", "```", result.execution.command, "```", ""]
    for size in result.sizes:
        lines += [f"## {size.name}, {seeds} seeds", "", _row(columns(result)), _row(["---"] * len(COLUMNS))]
        lines += [*map(_row, rows_of_size(result, size)), ""]
    lines += [f"{LEGEND[0].upper()}{LEGEND[1:]}.", "", *(f"- {note}" for note in notes(result)), ""]
    lines += ["## Verdict", "", *(f"- {line}" for line in verdict_lines(result)), ""]
    lines += ["Rules:", "", *(f"{index}. {rule}" for index, rule in enumerate(result.rules, 1)), ""]
    return "\n".join([*lines, f"Made with {versions}."]) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _interval(estimate: Estimate) -> str:
    mean = f"{100 * estimate.value:.1f}"
    if estimate.low is None or estimate.high is None:
        return mean
    return f"{mean} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    if value in (None, 0):
        return "-" if value is None else "0"  # too small for a float32
    return f"{value:.0e}" if not 0.01 <= value < 1000 else f"{value:.2g}"
