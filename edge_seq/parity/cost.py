"""The rung of the quantisation cost: agreement of labels, differences of probabilities, loss of macro-F1."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.parity.ladder import Rung
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.scores.agreement import quantisation_cost
from edge_seq.scores.metrics import confusion_matrix, macro_f1

MIN_AGREEMENT_RATE, MAX_MACRO_F1_LOSS = 0.99, 0.005  # default limits


def cost_rung(
    name: str,
    float_model: FloatModel,
    int_model: IntModel,
    side: Windows,
    *,
    min_agreement_rate: float = MIN_AGREEMENT_RATE,
    max_macro_f1_loss: float = MAX_MACRO_F1_LOSS,
) -> Rung:
    """Measure the quantisation cost on all windows of a side.

    The rung is skipped if the windows are so few that one changed label exceeds a limit.

    Args:
        name: Name of the rung.
        float_model: Float model.
        int_model: Integer model made from it.
        side: Labelled windows.
        min_agreement_rate: Least share of windows with the same label from both models.
        max_macro_f1_loss: Largest loss of macro-F1, as a share of 1.
    """
    float_shares = probabilities_of(float_model, side.counts)
    int_shares = probabilities_of(int_model, side.counts)
    cost = quantisation_cost(float_shares, int_shares)

    def f1(shares: NDArray[np.float64]) -> float:
        return float(macro_f1(confusion_matrix(side.labels, shares.argmax(axis=1), float_model.num_classes)))

    figures = {**asdict(cost), "macro_f1_float": f1(float_shares), "macro_f1_int": f1(int_shares)}
    loss = figures["macro_f1_float"] - figures["macro_f1_int"]
    changed = round((1 - cost.agreement_rate) * cost.windows)
    within = cost.agreement_rate >= min_agreement_rate and loss <= max_macro_f1_loss
    detail = (
        f"same label {100 * cost.agreement_rate:.2f} % (at least {100 * min_agreement_rate:g} %), macro-F1 loss "
        f"{100 * loss:.2f} points (at most {100 * max_macro_f1_loss:g}); {changed} of {cost.windows} labels changed, "
        f"mean difference of probabilities {cost.mean_abs_probability_error:.4f}"
    )
    if not within and changed <= 1:
        return Rung(name, "cost", "skipped", f"{detail}: too few windows for a verdict", figures=figures)
    return Rung(name, "cost", "holds" if within else "failed", detail, figures=figures)
