"""The words of a step, as programs of exported C output them (``runtime/port/es_words.h``), and traces from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace, trace_names
from edge_seq.ir.kinds import kind_of
from edge_seq.ir.model import POOLED_NAMES, IntModel, model_hash
from edge_seq.ir.rows import padded
from edge_seq.support.errors import ParityError

TRACED_GATES = 4  # slots for gates of each layer in the words of a traced build


def word_columns(model: IntModel, *, traced: bool) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Columns of each value in the words of a step, int64 [N], by name, and the number of words of a step."""
    columns: dict[str, NDArray[np.int64]] = {}
    position = 0

    def take(name: str, size: int, width: int | None = None, parts: int = 1) -> None:
        nonlocal position
        each = size if width is None else width
        columns[name] = position + (np.arange(parts)[:, None] * each + np.arange(size)).ravel()
        position += parts * each

    take("features", model.input_size)
    for index, (layer, units, size) in enumerate(zip(model.front, model.front_inputs, model.front_sizes, strict=True)):
        position += (layer.reach + 1) * (padded(units) if index else units + units % 2)  # the ring is not compared
        take(f"front{index}", size, padded(size))
    for index, (units, parts) in model.kept_inputs.items():  # the kept inputs are not compared
        position += model.kept_steps * (parts * padded(units) if index or model.front else units + units % 2)
    for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True)):
        kind = kind_of(cell)
        for state in kind.saved:
            # Operands are the hidden state of a kind that keeps none beside them.
            name = "hidden_state" if state == "operands" and not kind.hidden_is_saved else state
            take(f"layer{index}.{name}", size, padded(size))
    for one in model.readout.statistics:
        take(POOLED_NAMES[one], model.hidden_sizes[-1], padded(model.hidden_sizes[-1]), model.top_parts)
    for index, size in enumerate(model.dense_sizes):
        take(f"dense{index}", size, padded(size))
    take("logits", model.num_classes)
    take("label", 1)
    if model.readout.decision is not None:
        take("scores", model.num_classes)
        if model.readout.decision.unknown_distance is not None:
            take("excess", 1)
        take("decision", 1)
    if traced:
        for index, (cell, size) in enumerate(zip(model.layers, model.hidden_sizes, strict=True)):
            names = kind_of(cell).gate_names
            for gate in range(TRACED_GATES):
                take(f"layer{index}.{names[gate] if gate < len(names) else f'unused{gate}'}", size)
    return columns, position


def trace_of_words(model: IntModel, words: NDArray[np.int32], *, traced: bool) -> Trace:
    """Make a trace of int64 [B, T, N] from int32 words [B, T, W]; without gates unless they are traced."""
    columns, _ = word_columns(model, traced=traced)
    names = [name for name in trace_names(model) if name in columns]
    return Trace({name: words[:, :, columns[name]].astype(np.int64) for name in names})


def require_usable_counts(model: IntModel, counts: NDArray[np.int16], names: Sequence[str], *, where: str) -> None:
    """Check counts and model before a run.

    Raises:
        ParityError: the counts do not fit the model, or the program does not contain the model.
    """
    if counts.dtype != np.int16 or counts.ndim != 3 or counts.shape[2] != model.num_channels or not counts.size:
        raise ParityError(
            f"running {model.name} on {where}: counts are {counts.dtype} {list(counts.shape)}; expected int16 "
            f"[windows, steps, {model.num_channels}] with at least one of each"
        )
    if model.name not in names:
        raise ParityError(f"running {model.name} on {where}: the program holds {list(names)}; build it again")


def require_same_model(model: IntModel, found: str, *, where: str) -> None:
    """Check that a program contains the model, by its hash (64 hexadecimal digits).

    Raises:
        ParityError: the hash is that of another model.
    """
    expected = model_hash(model)
    if found != expected:
        raise ParityError(
            f"running {model.name} on {where}: the program holds model {found[:16]}..., expected {expected[:16]}...: "
            "the C export is stale. Export and build it again"
        )
