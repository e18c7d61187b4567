"""Configuration of a training: one frozen, validated table that the command line reads from TOML. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge_seq.ir.kind_names import Activation, CellName, Pooling, TrainedPadding
from edge_seq.ir.model import Readout
from edge_seq.support.tables import StrictTable

TaughtBy = Literal["labels", "forest", "forest_and_rocket"]
FEWEST_EPOCHS, FEWEST_STEPS = 40, 1000  # of a training whose number of epochs is not given
MIXUP = 0.2  # of a training with so many steps; shorter ones lose by it (docs/results/search.md)


class AugmentationConfig(StrictTable):
    """Random changes of each training window that leave its label true; drawn anew in every epoch.

    Attributes:
        rotation: rotation of the sensor, as if it were mounted at another angle: ``none``, ``about_vertical`` (about
            ``vertical_axis``) or ``any`` (about any axis). All triples of axes rotate alike.
        max_degrees: largest angle; 180 with ``any`` draws uniformly from all rotations.
        vertical_axis: axis of the triple that points up, for ``about_vertical``.
        scale: standard deviation of the natural logarithm of one amplitude factor a window (0.1: about 10 %).
        offset: standard deviation of a constant added to each channel of a window, in normalised units (sensor bias).
        noise: standard deviation of white noise added to each sample, in normalised units.
    """

    rotation: Literal["none", "about_vertical", "any"] = "none"
    max_degrees: float = Field(default=180.0, gt=0, le=180)
    vertical_axis: Literal["x", "y", "z"] = "z"
    scale: float = Field(default=0.0, ge=0, le=2)
    offset: float = Field(default=0.0, ge=0, le=10)
    noise: float = Field(default=0.0, ge=0, le=10)

    @property
    def is_active(self) -> bool:
        """True if windows are changed at all."""
        return self.rotation != "none" or max(self.scale, self.offset, self.noise) > 0


class InitialisationConfig(StrictTable):
    """First values of the recurrent weights; see :mod:`edge_seq.training.initialise` for equations and sources.

    Attributes:
        recurrent: ``orthogonal`` hidden-to-hidden weights for each gate, or torch's ``default``.
        forget_bias: bias of the LSTM's forget gate and of the GRU's update gate where chrono is off; ``default`` leaves
            all gates as torch draws them.
        chrono_max_steps: longest dependency in samples that the gates are spread over; ``window`` takes the window
            length of the contract; ``none`` turns it off.
    """

    recurrent: Literal["orthogonal", "default"] = "orthogonal"
    forget_bias: Annotated[float, Field(ge=-10, le=10)] | Literal["default"] = 1.0
    chrono_max_steps: Literal["window", "none"] | int = "window"

    @model_validator(mode="after")
    def _chrono_needs_two_steps(self) -> InitialisationConfig:
        if isinstance(self.chrono_max_steps, int) and self.chrono_max_steps < 3:
            raise ValueError(f"chrono_max_steps is {self.chrono_max_steps}; give at least 3, 'window' or 'none'")
        return self


class FrontConfig(StrictTable):
    """A layer between the features and the recurrent layers.

    Attributes:
        kind: ``conv``, a convolution over time, or a pool over time of its outputs: ``max`` or ``mean``.
        units: units of a convolution.
        kernel: inputs that an output sees.
        stride: inputs from one output to the next; the layers after it run every so many inputs only.
        dilation: inputs from one that an output of a convolution sees to the next.
        padding: ``causal``: the window begins with zeros before it, so that no output is lost. ``valid``: the first
            output waits for all its inputs. A pool is always valid.
        activation: activation of a convolution.
    """

    kind: Literal["conv", "max", "mean"] = "conv"
    units: int = Field(default=16, ge=1, le=1024)
    kernel: int = Field(default=5, ge=1, le=1024)
    stride: int = Field(default=1, ge=1, le=1024)
    dilation: int = Field(default=1, ge=1, le=1024)
    padding: TrainedPadding = "causal"
    activation: Activation = "relu"


class TrainingConfig(StrictTable):
    """Everything that decides a training besides the data and the sensor contract.

    Attributes:
        cell: recurrent cell.
        hidden_size: number of hidden units of each layer, H.
        num_layers: recurrent layers.
        pooling: what the head sees of each unit: the ``last`` hidden state, the running ``mean`` or the largest
            (``max``) of all hidden states, or both (``mean_max``); or the hidden states of all steps (``flatten``): as
            many times more weights as a window has steps.
        front: layers between the features and the recurrent layers, from the input up. The first is a convolution.
        dense: number of units of each dense layer between readout and head; empty for none.
        dense_activation: activation of the dense layers, ``relu`` or ``tanh``.
        label_every: ``window`` takes the loss after the last sample of each window, with the window's label. ``sample``
            takes it after each sample, with the label of that sample; samples without a label do not count. Validation
            is at the end of each window in both cases.
        input_gain: standard deviation that the features of the training windows are scaled to. Above 1 the first layer
            starts in the curved part of its activation functions, and learns amplitudes sooner.
        channel_gains: standard deviation of single channels by name (of a magnitude by ``|ax ay az|``), instead of
            input_gain. Useful for a channel in which the classes differ by amounts that are small compared with its
            largest values.
        epochs: passes over the training windows; 0 makes 40, or as many as give 1,000 steps of the optimiser, so that
            few recordings are learnt as well.
        batch_size: windows in a step of the optimiser.
        learning_rate: peak of the schedule.
        weight_decay: weight decay of AdamW, for weight matrices only, not for biases.
        schedule: ``one_cycle`` (Smith 2018) or ``cosine``, over all steps of all epochs.
        gradient_clip_norm: largest 2-norm of the whole gradient.
        class_weights: ``balanced`` weighs each class by windows / (classes * windows of the class). With
            ``label_every = "sample"`` it counts labelled samples instead of windows.
        early_stopping_patience: epochs without a better validation score before stopping; 0 never stops early.
        keep: epoch whose weights are the result: the best validation ``macro_f1`` (ties: lower loss), the best
            validation ``loss``, or the ``last`` epoch, which needs no validation windows.
        learn_from: ``all`` trains once more from the start, on training and validation windows together, and keeps the
            last weights: groups that only validate are missed where groups are few. The first training gives the scores
            on validation windows, the temperature and, if it stops early, the number of epochs. ``train`` keeps the
            first, as a model of one class always does. Without validation windows both are the same.
        weight_average_decay: decay per step of an exponential moving average of the weights. If it is above 0, the
            averaged weights are validated and kept; 0 turns averaging off.
        dropout: probability, on the input of the head and of each dense layer, and between layers.
        label_smoothing: probability mass spread over all classes.
        mixup: alpha of mixup (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"); 0 turns it off. Each
            window of a batch is mixed with another one of it, a share of Beta(alpha, alpha) and the rest, and so is
            the loss. ``auto`` takes 0.2 in trainings of at least 1,000 steps, and 0 in shorter ones, which lose by it.
        taught_by: ``labels`` alone, or a random ``forest`` too, or ``forest_and_rocket``: the mean of it and MiniRocket
            (needs the extra ``rocket``). Each answers for groups that it has not learnt, and half of the loss is the
            divergence from these answers (:mod:`edge_seq.training.others.teacher`). It helps where they do well on new
            groups, and harms where they do not, so ``edge-seq search`` tries it.
        augmentation: random changes of training windows.
        initialisation: first values of the weights.
        seed: seed of every random choice.
        num_threads: number of torch threads. It is part of the configuration because it may change how sums round.
    """

    cell: CellName = "lstm"
    hidden_size: int = Field(default=32, ge=1, le=512)
    num_layers: int = Field(default=1, ge=1, le=8)
    pooling: Pooling = "mean_max"
    front: tuple[FrontConfig, ...] = Field(default=(), max_length=16)
    dense: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(default=(), max_length=8)
    dense_activation: Literal["relu", "tanh"] = "relu"
    label_every: Literal["window", "sample"] = "window"
    input_gain: float = Field(default=3.0, gt=0, le=100)
    channel_gains: dict[str, Annotated[float, Field(gt=0, le=100, strict=True)]] = Field(default={})
    epochs: int = Field(default=0, ge=0, le=100_000)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=0.01, gt=0, le=10)
    weight_decay: float = Field(default=0.01, ge=0, le=10)
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    gradient_clip_norm: float = Field(default=1.0, gt=0)
    class_weights: Literal["balanced", "none"] = "balanced"
    early_stopping_patience: int = Field(default=0, ge=0)
    keep: Literal["macro_f1", "loss", "last"] = "macro_f1"
    learn_from: Literal["all", "train"] = "all"
    weight_average_decay: float = Field(default=0.0, ge=0, lt=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: Annotated[float, Field(ge=0, le=10)] | Literal["auto"] = "auto"
    taught_by: TaughtBy = "labels"
    augmentation: AugmentationConfig = AugmentationConfig()
    initialisation: InitialisationConfig = InitialisationConfig()
    seed: int = Field(default=0, ge=0, lt=2**31)
    num_threads: int = Field(default=1, ge=1, le=256)

    def epochs_for(self, windows: int) -> int:
        """Number of epochs of a training that learns from so many windows and does not stop early.

        >>> TrainingConfig(batch_size=100).epochs_for(400), TrainingConfig(epochs=3).epochs_for(400)
        (250, 3)
        """
        if self.epochs:
            return self.epochs
        steps = -(-windows // self.batch_size)  # of an epoch
        return max(FEWEST_EPOCHS, -(-FEWEST_STEPS // max(steps, 1)))

    def steps_for(self, windows: int) -> int:
        """Number of optimiser steps of a training that learns from so many windows and does not stop early.

        >>> TrainingConfig(epochs=40, batch_size=128).steps_for(1000)
        320
        """
        return self.epochs_for(windows) * -(-windows // self.batch_size)

    def mixup_for(self, windows: int) -> float:
        """Alpha of mixup in a training that learns from so many windows; 0 for none.

        >>> TrainingConfig().mixup_for(1000), TrainingConfig(epochs=40).mixup_for(1000)
        (0.2, 0.0)
        >>> TrainingConfig(epochs=40, mixup=0.4).mixup_for(1000)
        0.4
        """
        if self.mixup == "auto":
            return MIXUP if self.steps_for(windows) >= FEWEST_STEPS else 0.0
        return self.mixup

    def with_distance(self) -> TrainingConfig:
        """The same network with the dense layer of a model of one class: two units for each value that is read out.

        >>> TrainingConfig(hidden_size=8, pooling="mean_max").with_distance().dense
        (32,)
        """
        values = self.hidden_size * max(1, len(Readout(self.pooling).statistics))
        return self.model_copy(update={"dense": (2 * values,), "dense_activation": "relu"})

    @model_validator(mode="after")
    def _front_begins_with_a_convolution(self) -> TrainingConfig:
        if self.front and self.front[0].kind != "conv":
            raise ValueError(f"front begins with a pool ({self.front[0].kind}); put a convolution before it")
        return self

    @model_validator(mode="after")
    def _flatten_has_whole_windows(self) -> TrainingConfig:
        if self.pooling == "flatten" and self.label_every == "sample":
            raise ValueError(
                "pooling is 'flatten' and label_every is 'sample', but the weights of flatten are for whole windows; "
                "set label_every to 'window', or take another pooling"
            )
        return self

    @model_validator(mode="after")
    def _others_answer_for_windows(self) -> TrainingConfig:
        if self.taught_by != "labels" and self.label_every == "sample":
            raise ValueError(
                f"taught_by is {self.taught_by!r} and label_every is 'sample', but other classifiers answer for whole "
                "windows; set label_every to 'window', or taught_by to 'labels'"
            )
        return self

    @model_validator(mode="after")
    def _keep_fits_early_stopping(self) -> TrainingConfig:
        if self.keep == "last" and self.early_stopping_patience > 0:
            raise ValueError(
                "early_stopping_patience needs a validation score to watch, but keep is 'last'; "
                "set early_stopping_patience to 0 or keep to 'macro_f1' or 'loss'"
            )
        return self
