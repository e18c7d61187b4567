"""Advice where a model scores far below what the data hold, as commands to type."""

from __future__ import annotations

from edge_seq.data.recording import Windows, select_windows
from edge_seq.data.windows import spread
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import FloatModel
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.logits import float_logits
from edge_seq.training.config import FEWEST_STEPS

FAR_BEHIND_FOREST = 0.03  # of accuracy; smaller differences are within the spread of most test parts
FAR_BEHIND_TRAINING = 0.15
FEW_OPTIMISER_STEPS = 500  # a training with fewer steps has often not learnt its classes yet
TRAINING_WINDOWS_SCORED = 1000  # at most, spread evenly


def training_accuracy(model: FloatModel, train: Windows) -> float:
    """Accuracy of a model on at most 1,000 of its training windows, to compare a score on other windows with."""
    few = spread(len(train.labels), TRAINING_WINDOWS_SCORED)
    seen = select_windows(train, few)
    return float((float_logits(model, seen.counts).argmax(axis=1) == seen.labels).mean())


def more_steps(config: RunConfig) -> str:
    """Options that give a training as many steps as it takes to judge the data."""
    smaller = max(8, config.training.batch_size // 4)
    return (
        f"--set training.epochs=0 for at least {FEWEST_STEPS:,} steps, or a smaller batch: --set "
        f"training.batch_size={smaller}"
    )


def few_steps_warning(steps: int, config: RunConfig) -> str | None:
    """Warn of a training that is too short to judge the data by; None where it is long enough."""
    if steps >= FEW_OPTIMISER_STEPS:
        return None
    return (
        f"only {steps} optimiser steps, which is often too few to learn the classes (below {FEW_OPTIMISER_STEPS}): try "
        f"{more_steps(config)}"
    )


def mixing_note(mixup: float | None, config: RunConfig) -> str:
    """What ``training.mixup = "auto"`` came to, to stand behind the number of steps; nothing where it was given.

    >>> from edge_seq.pipeline.config import load_config
    >>> mixing_note(0.2, load_config(None)), mixing_note(0.2, load_config(None, ["training.mixup=0.2"]))
    (', windows mixed (training.mixup: 0.2 by default)', '')
    >>> mixing_note(0.0, load_config(None))
    '; windows are not mixed below 1,000 steps (training.mixup)'
    """
    if config.training.mixup != "auto":
        return ""
    if mixup:
        return f", windows mixed (training.mixup: {mixup:g} by default)"
    return f"; windows are not mixed below {FEWEST_STEPS:,} steps (training.mixup)"


def agreement_warning(agreement: float, least: float, *, side: str) -> str | None:
    """Warn of an integer model that gives too many other labels than its float model; None where it does not.

    Args:
        agreement: Share of windows with the same label from both models.
        least: Least share that is asked for.
        side: Side of the split that the windows are from.

    >>> agreement_warning(0.995, 0.99, side="validation")
    """
    if agreement >= least:
        return None
    return (
        f"the integer model gives the label of the float model on {100 * agreement:.2f} % of the {side} windows, "
        f"and at least {100 * least:g} % are asked for (quantization.min_agreement_rate), so edge-seq verify fails. "
        "Such labels are close calls of the float model, or of states that run far beyond 1. Train again, with other "
        "options: more optimiser steps (--set training.epochs=80), label smoothing (--set "
        "training.label_smoothing=0.1), another readout (--set training.pooling=mean_max) or a lower input_gain; or "
        "let edge-seq search choose"
    )


def advise(
    config: RunConfig,
    contract: SensorContract,
    *,
    accuracy: float,
    forest: float | None,
    training: float,
    training_windows: int,
) -> tuple[str, ...]:
    """Say what to try first where a model is far behind the random forest or behind its own training score.

    Args:
        config: Configuration of the run.
        contract: Sensor contract of the model.
        accuracy: Accuracy on windows of groups that training did not see, as a share of 1.
        forest: Accuracy of the random forest on the same windows; None if it was not scored.
        training: Accuracy on training windows.
        training_windows: Number of training windows.

    Returns:
        Lines of advice; none where the model is near both.

    >>> from edge_seq.ir.contract import Channel
    >>> from edge_seq.pipeline.config import load_config
    >>> contract = SensorContract(10.0, (Channel("ax", "g", 100.0, 4.0),), 50, 25)
    >>> advise(load_config(None), contract, accuracy=0.9, forest=0.91, training=0.95, training_windows=9000)
    ()
    """
    lines: list[str] = []
    behind_forest = forest is not None and forest - accuracy > FAR_BEHIND_FOREST
    behind_training = training - accuracy > FAR_BEHIND_TRAINING
    if behind_forest and forest is not None:
        lines.append(
            f"The random forest is {100 * (forest - accuracy):.1f} points of accuracy better on these windows, so the "
            "data hold more than this model has learnt. Options to try, each in a new run:"
        )
    if behind_training:
        lines.append(
            f"The model scores {100 * training:.1f} % on its training windows and {100 * accuracy:.1f} % here: it "
            "knows its training groups better than new ones. More groups help most. Options to try, each in a new run:"
        )
    if not lines:
        return ()
    steps = config.training.steps_for(training_windows)
    if steps < FEW_OPTIMISER_STEPS:
        lines.append(f"more optimiser steps than {steps}: {more_steps(config)}")
    if contract.preprocessing.step == "none":
        lines.append(
            'without gravity, so that a mounting angle does not count: [preprocessing] step = "remove_gravity" in the '
            "data source"
        )
    if config.training.augmentation.rotation == "none":
        lines.append("other mountings in training: --set training.augmentation.rotation=any")
    other = "mean" if config.training.pooling == "mean_max" else "mean_max"
    lines.append(f"another readout: --set training.pooling={other}")
    if behind_forest:
        lines.append(
            f"a longer or shorter window than {contract.window_length} samples: window_length and window_stride in the "
            "data source"
        )
    lines.append("compare options by cross-validation, without the test part: edge-seq cross-validate --against")
    return tuple(lines)
