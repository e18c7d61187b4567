"""The rungs of a board: it has the run's model, passes its self-test, and computes the same as the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.reference_int import run_reference
from edge_seq.backends.trace import Trace
from edge_seq.data.windows import spread
from edge_seq.device.client import Device
from edge_seq.device.contract import contract_differences
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.parity.compare import compare_runs
from edge_seq.parity.ladder import Rung, comparison_rung
from edge_seq.support.errors import ParityError
from firmware_export.emission.words import trace_of_words, word_columns

MODEL_RUNG = "the run's model = the board's"
SELF_TEST_RUNG = "C self-test on the board"
STEPS_RUNG = "integer reference = C on the board"
DEFAULT_STEPS = 10_000


def require_same_board(device: Device, model: IntModel) -> None:
    """Check, before a sample is sent, that a board has this model and this sensor contract.

    Raises:
        ParityError: they differ; the message names each difference with both values.
    """
    info = device.info
    differences = contract_differences(device, model.contract, model.labels)
    if info.model_hash != model_hash(model):
        differences.insert(0, f"model: board {info.model_hash[:16]}..., run {model_hash(model)[:16]}...")
    _, row_words = word_columns(model, traced=False)
    if not differences and info.row_words != row_words:
        differences.append(f"values per time step: board {info.row_words}, model {row_words}")
    if differences:
        raise ParityError(
            f"the board on {device.name} ({info.board}) does not match the run: {'; '.join(differences)}. No sample "
            "was sent. Flash the firmware of this run (edge-seq export, then build it), or give the board's own run"
        )


def model_rung(device: Device, model: IntModel) -> Rung:
    """Check that the board has the run's model and sensor contract.

    Raises:
        ParityError: they differ.
    """
    require_same_board(device, model)
    info = device.info
    return Rung(MODEL_RUNG, "exact", "holds", f"{info.board}, runtime {info.runtime_version}, on {device.name}")


def self_test_rung(device: Device) -> Rung:
    """Run the self-test of the board's firmware. The rung is skipped if the firmware has none."""
    from edge_seq.device.messages import Capability

    if Capability.SELF_TEST not in device.info.capabilities:
        return Rung(SELF_TEST_RUNG, "exact", "skipped", "the firmware has no golden vectors; link <name>_golden.c")
    result = device.self_test()
    if result.passed:
        return Rung(SELF_TEST_RUNG, "exact", "holds", "run by the board's firmware")
    return Rung(SELF_TEST_RUNG, "exact", "failed", f"status {result.status} (es_status_t): {result.fault}")


def steps_rung(device: Device, model: IntModel, counts: NDArray[np.int16], *, min_steps: int = DEFAULT_STEPS) -> Rung:
    """Compare the board with the integer reference: every time step and every state.

    Args:
        device: board that has the run's model, see :func:`require_same_board`.
        model: integer model of the run.
        counts: int16 [B, T, C], streams. Only as many as give ``min_steps`` are run, spread evenly.
        min_steps: least number of time steps, if the streams have that many.
    """
    streams = min(len(counts), -(-min_steps // counts.shape[1]))
    chosen = counts[spread(len(counts), streams)]

    def on_board(part: NDArray[np.int16]) -> Trace:
        rows = []
        for stream in part:
            device.reset()
            rows.append(device.trace(stream))
        return trace_of_words(model, np.stack(rows), traced=False)

    comparison = compare_runs(chosen, lambda part: run_reference(model, part), on_board)
    cost, info = device.cost(), device.hello()
    free = None if info.free_stack_bytes is None else float(info.free_stack_bytes)
    figures = {
        "ticks_a_step": cost.mean,
        "ticks_lowest": float(cost.lowest),
        "ticks_highest": float(cost.highest),
        **({} if cost.mean_us is None else {"microseconds_a_step": cost.mean_us}),
        **({} if free is None else {"free_stack_bytes": free}),
        "frame_errors": float(device.frame_errors + info.frame_errors),
        "retries": float(device.counters.retries),
    }
    took = "" if cost.mean_us is None else f", {cost.mean_us:.1f} us"
    stack = "not known to the port" if free is None else f"{free:,.0f} bytes"
    detail = (
        f"a step costs {cost.mean:,.1f} ticks ({cost.lowest:,} to {cost.highest:,}; {cost.unit}){took}; free stack "
        f"{stack}; {device.frame_errors + info.frame_errors} frame errors, {device.counters.retries} retries"
    )
    rung = comparison_rung(STEPS_RUNG, comparison, detail=detail)
    return Rung(rung.name, rung.kind, rung.verdict, rung.detail, rung.comparison, figures)
