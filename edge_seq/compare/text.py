"""A comparison as text: the rows of its tables, and all of it in Markdown."""

from __future__ import annotations

from typing import Any

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
READOUTS: dict[str, str] = {"last": "last state", "mean": "mean of states"}
_READOUT_NOTES: dict[tuple[str, ...], str] = {
    ("last",): "readout: the last hidden state, for which the cell has to remember; if the mean of all states is an "
    "option, compare with --readout last --readout mean, because the verdict may differ",
    ("mean",): "readout: the mean of all hidden states, which remembers for the cell",
}
_BOTH_READOUTS = (
    "readouts: the last hidden state, for which the cell has to remember, and the mean of all, which remembers for the "
    "cell; a candidate without a named readout uses the last state"
)


def how_of(first_weights: str, readout: str) -> str:
    """Describe how a candidate differs from others of its cell and units: initial weights, and readout unless last.

    >>> how_of("chrono", "last"), how_of("chrono", "mean")
    ('chrono', 'chrono, mean of states')
    """
    return first_weights if readout == "last" else f"{first_weights}, {READOUTS[readout]}"


def candidates_at(result: dict[str, Any], size: dict[str, Any]) -> list[dict[str, Any]]:
    """List the candidates at one of ``result["sizes"]``."""
    return [one for one in result["candidates"] if size["name"] in one["sizes"]]


def columns(result: dict[str, Any]) -> list[str]:
    """List the column headings of the table of a comparison."""
    return [column.format(score=result["config"]["score"].replace("_", " ")) for column in COLUMNS]


def candidate_row(one: dict[str, Any]) -> list[str]:
    """Make the table row of one candidate, for :func:`columns`."""
    cost, gradient, integer = one["cost"], one["gradient"], one["integer"]
    return [
        one["cell"],
        one["first_weights"],
        str(one["hidden_size"]),
        str(one["time_steps"]),
        one["readout"],
        _interval(one["interval"]),
        f"{100 * integer['score']:.1f}" if integer["status"] == "measured" else "refused",
        f"{one['training_cpu_seconds']:.1f}",
        _number(cost["parameters"]),
        _number(cost.get("flash_bytes")),
        _number(cost.get("ram_bytes")),
        _number(cost.get("per_step")),
        _ratio(gradient["oldest_to_newest_before"]),
        _ratio(gradient["oldest_to_newest_after"]),
    ]


def rows_of_size(result: dict[str, Any], size: dict[str, Any]) -> list[list[str]]:
    """Make the rows of all candidates at a size: short windows first, then readouts and cells in configured order."""
    cells = result["config"]["cells"]
    chosen = candidates_at(result, size)
    readouts = result["config"]["readouts"]
    chosen.sort(key=lambda one: (one["time_steps"], readouts.index(one["readout"]), cells.index(one["cell"])))
    return [candidate_row(one) for one in chosen]


def notes(result: dict[str, Any]) -> list[str]:
    """List the notes to the tables, one line each."""
    readout = _READOUT_NOTES.get(tuple(result["config"]["readouts"]), _BOTH_READOUTS)
    lines = [f"data: {result['data_note']}", readout]
    costs = [one["cost"] for one in result["candidates"]]
    for found in dict.fromkeys((c["target"], c["detail"], c["unit"]) for c in costs if c["status"] == "measured"):
        lines.append("cost on {}: {}; a step in {}".format(*found))
    lines += [f"cost not measured: {why}" for why in dict.fromkeys(c.get("reason") for c in costs) if why]
    lines += [f"FAILED {key}: {why}" for key, why in result["failures"].items()]
    if result["trainings_left"]:
        left = f"{result['trainings_left']} trainings are not done yet"
        lines.append(f"{left}; the same command with --workers 1 or more continues")
    if result["takeovers"]:
        lines.append(f"trainings taken over from workers that stopped sending heartbeats: {result['takeovers']}")
    if result["solved_up_to"]:
        solved = [
            f"{one['cell']} {one['hidden_size']} {one['first_weights']} {one['time_steps'] or 'none'}"
            for one in result["solved_up_to"]
        ]
        lines.append(f"longest T with at least 95 % accuracy: {', '.join(solved)}")
    return lines


def verdict_lines(result: dict[str, Any]) -> list[str]:
    """List the verdicts, the one over all last."""
    first, *others = result["verdicts"]
    return [*(f"{one['scope']}: {one['why']}" for one in others), f"OVER {first['scope'].upper()}: {first['why']}"]


def to_markdown(result: dict[str, Any]) -> str:
    """Write a comparison as Markdown: command, tables, notes, verdicts and rules."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items()))
    seeds = result["config"]["seeds"]
    lines = [f"# {result['task']}: RNN, GRU or LSTM", "", "```", result["command"], "```", ""]
    for size in result["sizes"]:
        lines += [f"## {size['name']}, {seeds} seeds", "", _row(columns(result)), _row(["---"] * len(COLUMNS))]
        lines += [*map(_row, rows_of_size(result, size)), ""]
    lines += [f"{LEGEND[0].upper()}{LEGEND[1:]}.", "", *(f"- {note}" for note in notes(result)), ""]
    lines += ["## Verdict", "", *(f"- {line}" for line in verdict_lines(result)), ""]
    lines += ["Rules:", "", *(f"{index}. {rule}" for index, rule in enumerate(result["rules"], 1)), ""]
    return "\n".join([*lines, f"Made with {versions}."]) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _interval(value: dict[str, Any]) -> str:
    mean = f"{100 * value['value']:.1f}"
    return mean if value["low"] is None else f"{mean} [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _ratio(value: float | None) -> str:
    if value in (None, 0):
        return "-" if value is None else "0"  # too small for a float32
    return f"{value:.0e}" if not 0.01 <= value < 1000 else f"{value:.2g}"
