"""The first rung of an imported model: the user's own network, evaluated by its framework, and the float reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_float import float_features, run_float, sequences_of
from edge_seq.backends.trace import Trace
from edge_seq.data.windows import spread
from edge_seq.frontends.imports import Imported
from edge_seq.frontends.lower import original_outputs
from edge_seq.frontends.originals import run_original
from edge_seq.parity.compare import BATCH, Comparison, compare, merge
from edge_seq.parity.float_rungs import FLOAT_TOLERANCE
from edge_seq.parity.ladder import Rung, comparison_rung
from edge_seq.support.errors import ToolError

ORIGINAL_RUNG = "imported network = float reference"
CHECKED_WINDOWS = 200  # of the training part, on which an import compares the network with the float model


def check_import(imported: Imported, counts: NDArray[np.int16]) -> Rung:
    """Compare the imported network with the float reference on some of the windows int16 [B, T, C], spread evenly."""
    chosen = spread(len(counts), CHECKED_WINDOWS)
    return original_rung(ORIGINAL_RUNG, imported, np.ascontiguousarray(counts[chosen]))


def original_rung(name: str, imported: Imported, counts: NDArray[np.int16]) -> Rung:
    """Compare the imported network with the float reference: outputs of each window, and states of each step.

    The tolerance is relative to the largest output if that is above 1. States are compared where the framework gives
    those of all steps.

    Args:
        name: Name of the rung.
        imported: The float model and the network.
        counts: int16 [B, T, C], windows to compare.

    Raises:
        ModelError: The file of the network is damaged.
    """
    model = imported.lowered.model
    try:
        found = run_original(imported.original, imported.network_input(counts))
    except ToolError as error:
        return Rung(name, "budget", "skipped", str(error))
    tolerance = FLOAT_TOLERANCE * max(1.0, float(np.abs(found.outputs).max(initial=0.0)))
    of_states: list[Comparison] = []
    of_outputs: list[Comparison] = []
    for start in range(0, len(counts), BATCH):
        block = slice(start, start + BATCH)
        values = run_float(model, counts[block]).values
        states = {f"layer{index}.hidden_state": array[block] for index, array in found.states.items()}
        if states:
            whole = model.front or model.backward  # values at samples are not those of each step
            steps = sequences_of(model, float_features(model, counts[block])) if whole else values
            of_states.append(compare(Trace(states), Trace(steps), tolerance=FLOAT_TOLERANCE, first_window=start))
        outputs = original_outputs(imported.lowered, values["logits"][:, -1])
        of_outputs.append(
            compare(
                Trace({"outputs": found.outputs[block][:, np.newaxis]}),
                Trace({"outputs": outputs[:, np.newaxis]}),
                tolerance=tolerance,
                first_window=start,
                first_step=model.contract.window_length - 1,
            )
        )
    comparison = merge(of_outputs)
    if of_states:
        comparison = _together(merge(of_states), comparison)
    detail = f"{found.by}: largest difference {comparison.max_abs_error:.1e}, allowed {tolerance:.0e}"
    if of_states:
        detail += f", with the states of {len(found.states)} of {len(model.layers)} layers at every step"
    return comparison_rung(name, comparison, tolerance=tolerance, detail=detail)


def _together(states: Comparison, outputs: Comparison) -> Comparison:
    """One comparison of both. The first mismatch of a state comes before that of an output."""
    return replace(
        states,
        values=states.values + outputs.values,
        mismatches=states.mismatches + outputs.mismatches,
        first=states.first or outputs.first,
        max_abs_error=max(states.max_abs_error, outputs.max_abs_error),
        names=(*states.names, *outputs.names),
    )
