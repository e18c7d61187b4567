"""Training of any network that gives logits [B, K]. An interrupted training resumes exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_seq.data.recording import UNLABELLED
from edge_seq.scores.metrics import accuracy, confusion_matrix, macro_f1
from edge_seq.support.errors import ConfigError, ModelError
from edge_seq.training.augment import Augmenter, augment
from edge_seq.training.checkpoint import Arrays, Checkpoint, load_checkpoint, save_checkpoint
from edge_seq.training.config import TrainingConfig
from edge_seq.training.modules import SequenceClassifier
from edge_seq.training.record import EpochRecord, TrainingProgress
from edge_seq.training.stored import StoredFeatures, StoredLabels

_PREDICTION_BATCH = 1024
# Share of the teacher's answers in the loss, and the temperature of both softmaxes in it.
TEACHER_SHARE, TEACHER_TEMPERATURE = 0.5, 2.0
_ONE_CYCLE_WARM_UP = 0.3  # share of all steps
_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4  # share of the peak learning rate


Progress = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class LabelledFeatures:
    """Windows as the network sees them: normalised features and labels.

    Attributes:
        x: float32 [B, T, C], in memory or on disk (:class:`edge_seq.training.stored.StoredFeatures`).
        labels: int64 [B].
        sample_labels: int64 [B, T], UNLABELLED for a sample without a label; only needed for a loss after each sample.
        teacher_logits: float32 [B, K], a teacher's answers at the end of each window; None without a teacher.
    """

    x: Tensor | StoredFeatures
    labels: Tensor
    sample_labels: Tensor | StoredLabels | None = None
    teacher_logits: Tensor | None = None


@dataclass(frozen=True)
class Fitted:
    """Result of :func:`fit`: the weights that were kept, their epoch, and the records of all epochs."""

    state_dict: dict[str, NDArray[np.float32]]
    best_epoch: int
    history: tuple[EpochRecord, ...]


@dataclass
class _Run:
    """State that changes during training. A checkpoint holds all of it."""

    module: nn.Module
    optimizer: torch.optim.AdamW
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    best_epoch: int
    history: list[EpochRecord]


def fit(
    build: Callable[[], nn.Module],
    train: LabelledFeatures,
    validation: LabelledFeatures | None,
    *,
    num_classes: int,
    config: TrainingConfig,
    augmenter: Augmenter | None = None,
    checkpoint_path: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
) -> Fitted:
    """Train a network. The same arguments give the same weights, whether the training was interrupted or not.

    Args:
        build: makes the network; called once, after torch's generator is seeded.
        train: windows to learn from.
        validation: windows that choose the epoch; None is allowed with ``keep = "last"`` only.
        num_classes: K.
        config: all other options.
        augmenter: random changes of training windows; None changes nothing.
        checkpoint_path: file that is written after each epoch, and resumed from if it exists; None writes none.
        fingerprint: hash of data and network, kept in the checkpoint.
        progress: called with the record of each epoch.

    Raises:
        ConfigError: validation windows are needed but missing; ``label_every = "sample"`` with a network that gives no
            logits after each sample, with windows that have no labels of samples, or with a teacher; the checkpoint is
            of another training; the loss is not finite.
        ModelError: the checkpoint is damaged.
    """
    if validation is None and config.keep != "last":
        raise ConfigError(
            f"training: keep is {config.keep!r}, which needs validation windows, and there are none; give some, or set "
            "keep to 'last'"
        )
    targets = train.labels if config.label_every == "window" else train.sample_labels
    if targets is None:
        raise ConfigError(
            "training: label_every is 'sample', but the training windows hold no label for each sample; cut them with "
            "make_windows, or set label_every to 'window'"
        )
    if train.teacher_logits is not None and config.label_every == "sample":
        raise ConfigError(
            "training: label_every is 'sample', but a teacher answers at the end of each window; set label_every to "
            "'window', or leave the teacher out"
        )
    with _threads(config.num_threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        run = _start(build(), config)
        if config.label_every == "sample" and not isinstance(run.module, SequenceClassifier):
            raise ConfigError(
                f"training: label_every is 'sample', but {type(run.module).__name__} gives logits for whole windows "
                "only; set label_every to 'window'"
            )
        if checkpoint_path is not None:
            checkpoint = load_checkpoint(checkpoint_path, config=config, fingerprint=fingerprint)
            if checkpoint is not None:
                try:
                    _restore(run, checkpoint)
                except (KeyError, ValueError, TypeError, RuntimeError) as error:
                    raise ModelError(
                        f"checkpoint {checkpoint_path} is incomplete ({type(error).__name__}: {error}). Delete it to "
                        "train from the start"
                    ) from error
        weights = class_weights(targets, num_classes) if config.class_weights == "balanced" else None
        alpha = config.mixup_for(len(train.labels))
        while len(run.history) < config.epochs_for(len(train.labels)) and not _is_stalled(run, config):
            record = _epoch(run, train, targets, validation, weights, num_classes, config, augmenter, alpha)
            if checkpoint_path is not None:
                save_checkpoint(checkpoint_path, _snapshot(run), config=config, fingerprint=fingerprint)
            if progress is not None:
                progress(record)
    return Fitted(
        state_dict={name: value.numpy().copy() for name, value in run.best.items()},
        best_epoch=run.best_epoch,
        history=tuple(run.history),
    )


def class_weights(labels: Tensor | StoredLabels, num_classes: int) -> Tensor:
    """Compute the weight of each class: labels / (classes present * labels of the class), 0 for an absent class.

    Args:
        labels: int64 of any shape; UNLABELLED does not count.
        num_classes: K.

    Returns:
        float32 [K].
    """
    parts = [labels] if isinstance(labels, Tensor) else labels.blocks()
    counts = [torch.bincount(part[part != UNLABELLED], minlength=num_classes) for part in parts]
    count = torch.stack(counts).sum(dim=0).float()
    present = count > 0
    return torch.where(present, count.sum() / (present.sum() * count.clamp(min=1)), torch.zeros(()))


def distillation_loss(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Divergence of a network's softened answers from a teacher's, times the square of the temperature, so that its
    gradient is as large as that of the labels (Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural
    network").

    Args:
        logits, teacher_logits: float32 [B, K].
    """
    softened = F.log_softmax(logits / TEACHER_TEMPERATURE, dim=1)
    target = F.log_softmax(teacher_logits / TEACHER_TEMPERATURE, dim=1)
    divergence = F.kl_div(softened, target, reduction="batchmean", log_target=True)
    return TEACHER_TEMPERATURE**2 * divergence


def learning_rate_at(step: int, total_steps: int, config: TrainingConfig) -> float:
    """Learning rate of a step of the optimiser. Steps count from 0.

    One-cycle (Smith 2018, "A disciplined approach to neural network hyper-parameters"): half a cosine up from 1/25 of
    the peak over 30 % of the steps, then half a cosine down to 1e-4 of the peak. Cosine: half a cosine from the peak to
    0. The rate depends on the step alone, so a checkpoint needs no state of the schedule.
    """
    peak = config.learning_rate
    if config.schedule == "cosine":
        return _half_cosine(peak, 0.0, step / total_steps)
    warm_up = max(1, round(_ONE_CYCLE_WARM_UP * total_steps))
    if step < warm_up:
        return _half_cosine(peak * _ONE_CYCLE_START, peak, step / warm_up)
    return _half_cosine(peak, peak * _ONE_CYCLE_END, (step - warm_up) / max(1, total_steps - warm_up))


def predict_module(module: nn.Module, x: Tensor | StoredFeatures) -> NDArray[np.float32]:
    """Compute logits float32 [B, K] from features float32 [B, T, C], without dropout.

    The module's training or evaluation mode is the same afterwards.
    """
    was_training = module.training
    module.eval()
    with torch.inference_mode():
        starts = range(0, len(x), _PREDICTION_BATCH)
        logits = torch.cat([module(x[start : start + _PREDICTION_BATCH]) for start in starts])
    module.train(was_training)
    result: NDArray[np.float32] = logits.numpy()
    return result


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _start(module: nn.Module, config: TrainingConfig) -> _Run:
    """Start a training with a new optimiser.

    Only matrices decay. Decay of the gate biases would undo the chrono initialisation.
    """
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    biases = [p for p in module.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": biases, "weight_decay": 0.0}],
        lr=config.learning_rate,
    )
    weights = _copy(module.state_dict())
    return _Run(module, optimizer, average=_copy(weights), best=weights, best_epoch=0, history=[])


def _epoch(
    run: _Run,
    train: LabelledFeatures,
    targets: Tensor | StoredLabels,
    validation: LabelledFeatures | None,
    weights: Tensor | None,
    num_classes: int,
    config: TrainingConfig,
    augmenter: Augmenter | None,
    mixup: float,
) -> EpochRecord:
    """Train for one epoch, validate, and keep the weights if they are the best so far.

    Args:
        targets: int64 [B], or [B, T] for a loss after each sample.
        mixup: alpha of mixup; 0 for none.
    """
    started = time.perf_counter()
    epoch = len(run.history) + 1
    generator = _seed_epoch(config.seed, epoch)
    run.module.train()
    order = torch.split(torch.randperm(len(train.x), generator=generator), config.batch_size)
    total_steps = config.epochs_for(len(train.labels)) * len(order)
    total_loss, rate = 0.0, 0.0
    for index, batch in enumerate(order):
        step = (epoch - 1) * len(order) + index
        rate = learning_rate_at(step, total_steps, config)
        x = train.x[batch]
        if augmenter is not None:
            x = augment(x, augmenter, generator)
        soft = None if train.teacher_logits is None else train.teacher_logits[batch]
        total_loss += _optimise(run, x, targets[batch], soft, rate, weights, config, mixup) * len(batch)
        _average(run, step, config.weight_average_decay)
    train_loss = total_loss / len(train.x)
    if not math.isfinite(train_loss):
        raise ConfigError(
            f"training: the loss became {train_loss} in epoch {epoch} at learning_rate {config.learning_rate}; lower "
            "learning_rate or gradient_clip_norm"
        )
    loss = exactness = f1 = None
    if validation is not None:
        loss, exactness, f1 = _validate(run, validation, weights, num_classes)
    record = EpochRecord(epoch, rate, train_loss, loss, exactness, f1, time.perf_counter() - started)
    if _is_better(record, run, config):
        run.best, run.best_epoch = _copy(run.average), epoch
    run.history.append(record)
    return record


def _optimise(
    run: _Run,
    x: Tensor,
    targets: Tensor,
    soft: Tensor | None,
    rate: float,
    weights: Tensor | None,
    config: TrainingConfig,
    mixup: float,
) -> float:
    """Do one step of the optimiser on targets int64 [B] or [B, T]. Returns the loss before the step.

    Args:
        soft: float32 [B, K], a teacher's logits; None without a teacher.
        mixup: alpha of mixup; 0 for none.
    """
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    others = None
    if mixup > 0:
        share = torch.distributions.Beta(mixup, mixup).sample()
        others = torch.randperm(len(x))
        x = share * x + (1 - share) * x[others]
    if targets.ndim == 2 and isinstance(run.module, SequenceClassifier):
        logits = run.module.forward_steps(x).flatten(0, 1)
    else:
        logits = run.module(x)
    loss = _loss(logits, targets, soft, weights, config)
    if others is not None:
        of_others = _loss(logits, targets[others], None if soft is None else soft[others], weights, config)
        loss = share * loss + (1 - share) * of_others
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.module.parameters(), config.gradient_clip_norm)
    run.optimizer.step()
    return float(loss.detach())


def _loss(
    logits: Tensor, targets: Tensor, soft: Tensor | None, weights: Tensor | None, config: TrainingConfig
) -> Tensor:
    """Loss of logits for targets and a teacher's logits, as in :func:`_optimise`."""
    loss = F.cross_entropy(
        logits, targets.flatten(), weights, ignore_index=UNLABELLED, label_smoothing=config.label_smoothing
    )
    if soft is not None:
        loss = (1 - TEACHER_SHARE) * loss + TEACHER_SHARE * distillation_loss(logits, soft)
    return loss


def _average(run: _Run, step: int, decay: float) -> None:
    """Update the exponential moving average of the weights. It is shorter at first, to forget the random start."""
    weight = 1.0 - min(decay, (1 + step) / (10 + step))
    for name, value in run.module.state_dict().items():
        if decay == 0.0:
            run.average[name].copy_(value)
        else:
            run.average[name].lerp_(value, weight)


def _validate(
    run: _Run, validation: LabelledFeatures, weights: Tensor | None, num_classes: int
) -> tuple[float, float, float]:
    """Compute loss, accuracy and macro-F1 of the averaged weights on the validation windows."""
    current = _copy(run.module.state_dict())
    run.module.load_state_dict(run.average)
    logits = predict_module(run.module, validation.x)
    run.module.load_state_dict(current)
    loss = F.cross_entropy(torch.from_numpy(logits), validation.labels, weights)
    confusion = confusion_matrix(validation.labels.numpy(), logits.argmax(axis=1), num_classes)
    return float(loss), float(accuracy(confusion)), float(macro_f1(confusion))


def _is_better(record: EpochRecord, run: _Run, config: TrainingConfig) -> bool:
    """True if this epoch's weights are the best so far."""
    if config.keep == "last" or run.best_epoch == 0:
        return True
    return _score(record, config) > _score(run.history[run.best_epoch - 1], config)


def _score(record: EpochRecord, config: TrainingConfig) -> tuple[float, float]:
    """Score of an epoch; higher is better. The macro-F1 has many ties, which the loss decides."""
    loss = math.inf if record.validation_loss is None else record.validation_loss
    f1 = 0.0 if record.validation_macro_f1 is None else record.validation_macro_f1
    return (-loss, f1) if config.keep == "loss" else (f1, -loss)


def _is_stalled(run: _Run, config: TrainingConfig) -> bool:
    patience = config.early_stopping_patience
    return patience > 0 and len(run.history) - run.best_epoch >= patience


def _seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed torch's global generator (dropout) and return another (order, augmentation), both from (seed, epoch)."""
    dropout_seed, order_seed = np.random.SeedSequence([seed, epoch]).generate_state(2, dtype=np.uint32).tolist()
    torch.manual_seed(dropout_seed)
    return torch.Generator().manual_seed(order_seed)


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _snapshot(run: _Run) -> Checkpoint:
    moments: Arrays = {
        f"{index}/{name}": value.numpy()
        for index, entry in run.optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }
    sections = {"weights": run.module.state_dict(), "average": run.average, "best": run.best}
    tensors: dict[str, Arrays] = {
        section: {name: value.detach().numpy() for name, value in state.items()} for section, state in sections.items()
    }
    return Checkpoint(TrainingProgress(run.best_epoch, tuple(run.history)), {**tensors, "optimizer": moments})


def _restore(run: _Run, checkpoint: Checkpoint) -> None:
    def section(name: str) -> dict[str, Tensor]:
        return {key: torch.from_numpy(value) for key, value in checkpoint.tensors[name].items()}

    run.module.load_state_dict(section("weights"))
    run.average, run.best = section("average"), section("best")
    run.best_epoch, run.history = checkpoint.progress.best_epoch, list(checkpoint.progress.history)
    state: dict[int, dict[str, Tensor]] = {}
    for full_name, value in section("optimizer").items():
        index, _, name = full_name.partition("/")
        state.setdefault(int(index), {})[name] = value
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({"state": state, "param_groups": groups})


@contextmanager
def _threads(num_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
