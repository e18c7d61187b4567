"""edge-seq decide: choose the decision stage of a run's integer model on its validation recordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge_seq.ir.decision import SCORE_LIMIT
from edge_seq.ir.kinds import narrow_bits
from edge_seq.ir.model import IntModel, model_hash, without_decision
from edge_seq.ir.serialize import save_model
from edge_seq.pipeline.decision_search import (
    ONE_LOGIT,
    Decision,
    DecisionSearch,
    candidates,
    fit_distance,
    search,
)
from edge_seq.pipeline.streams import int_streams, tolerance_of
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import RunFolder, load_run_int, load_validated, writes_to_run
from edge_seq.workflow.quantize import load_streams
from edge_seq.workflow.streams import load_recordings

DECIDE_STEPS = 3

Progress = Callable[[int, int, str], None]


@writes_to_run
def decide_run(
    run: RunFolder,
    *,
    max_extra_delay_s: float | None = None,
    allow_unknown: bool = False,
    unknown_margin: float | None = None,
    unknown_distance: float | None = None,
    remove: bool = False,
    progress: Progress = lambda *_: None,
) -> Decision:
    """Choose a decision stage on the validation recordings only, and make it part of the integer model.

    Where the model was trained again on the validation recordings too, the stage is chosen with the labels of the
    training without them.

    Args:
        run: Folder of a quantized run.
        max_extra_delay_s: Largest growth of the median detection delay in seconds; None takes half of a window.
        allow_unknown: True lets the search use a margin for "unknown".
        unknown_margin: Margin for "unknown" in logits. The search uses no other, and the model gets a stage in any
            case. None gives no margin.
        unknown_distance: Share of the correct labels of each class on validation that may be beyond the distance from
            which a decision is "unknown", 0 to below 1. No stage is taken that makes a larger share of the correct
            labels unknown, and the model gets a stage in any case. None uses no distance.
        remove: True removes the stage from the model instead.
        progress: Called with steps done, steps in all, and the current step.

    Returns:
        The stage and how it was chosen, which are also written to decision.json.

    Raises:
        ConfigError: the run is not quantized, options exclude each other, or a distance is asked for and the model has
            learnt the validation recordings.
        DataError: there are no validation recordings, or a number is out of range.
    """
    chosen = (max_extra_delay_s, unknown_margin, unknown_distance)
    if remove and (allow_unknown or any(value is not None for value in chosen)):
        raise ConfigError("decide: --remove takes the stage out and searches none; give it without other options")
    if allow_unknown and unknown_margin is not None:
        raise ConfigError("decide: --allow-unknown searches a margin, --unknown-margin sets one; give one of the two")
    margin_limit = SCORE_LIMIT / ONE_LOGIT
    if unknown_margin is not None and not 0 <= unknown_margin <= margin_limit:
        raise DataError(f"decide: unknown_margin is {unknown_margin}; give 0 to {margin_limit:g} logits")
    if unknown_distance is not None and not 0 <= unknown_distance < 1:
        raise DataError(f"decide: unknown_distance is {unknown_distance}; give a share of 0 to below 1, such as 0.05")
    if unknown_distance is not None and run.validated_model.is_file():
        raise ConfigError(
            "decide: --unknown-distance measures on validation recordings how far from its classes the model's states "
            "are, and this model has learnt those recordings too; train it with --set training.learn_from=train"
        )
    model = without_decision(load_run_int(run))
    window_s = tolerance_of(model)
    extra = window_s / 2 if max_extra_delay_s is None else max_extra_delay_s
    if extra < 0:
        raise DataError(f"decide: max_extra_delay_s is {extra}; give 0 or more seconds")
    if remove:
        save_model(model, run.int_model)
        removed = Decision(model_hash(model), None)
        save_json(run.decision, removed)
        return removed

    progress(0, DECIDE_STEPS, "reading validation recordings")
    recordings = load_recordings(run, "validation").recordings
    progress(1, DECIDE_STEPS, "running the integer model")
    streams = int_streams(_not_seen(run, model), recordings)
    if not streams:
        raise DataError(f"decide: no label is due in the {len(recordings)} validation recordings; record longer ones")
    progress(2, DECIDE_STEPS, "searching")
    stages = candidates(model, allow_unknown=allow_unknown)
    if unknown_margin is not None:
        margin = round(unknown_margin * ONE_LOGIT)
        stages = [replace(stage, unknown_margin=margin) for stage in stages]
    if unknown_distance is not None:
        training = int_streams(model, load_recordings(run, "train").recordings)
        distance = fit_distance(model, training, streams, share=unknown_distance)
        stages = [replace(stage, unknown_distance=distance) for stage in stages]
    plain, best = search(
        model,
        streams,
        stages,
        max_extra_delay_s=extra,
        none_allowed=unknown_margin is None and unknown_distance is None,
        max_unknown_of_right=1.0 if unknown_distance is None else unknown_distance,
    )
    decided = replace(model, readout=replace(model.readout, decision=best.stage))
    save_model(decided, run.int_model)
    made = DecisionSearch(
        unknown_distance=unknown_distance,
        objective="macro-F1 of events on validation recordings",
        max_extra_delay_s=extra,
        allow_unknown=allow_unknown,
        unknown_margin=unknown_margin,
        tried=len(stages),
        recordings=len(recordings),
        labels=plain.scores,
        decisions=best.scores,
    )
    decision = Decision(model_hash(decided), best.stage, made)
    save_json(run.decision, decision)
    progress(DECIDE_STEPS, DECIDE_STEPS, "done")
    return decision


def _not_seen(run: RunFolder, model: IntModel) -> IntModel:
    """The integer model of the training without the validation recordings, if the model has learnt them; else it."""
    validated = load_validated(run)
    if validated is None:
        return model
    bits = [narrow_bits(layer) for layer in model.layers]
    return quantize(validated, calibrate(validated, load_streams(run)), bits)
