"""Run folders of ``edge-seq train`` in Python, and models on a stream of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from edge_seq.api.data import counts_of
from edge_seq.api.prediction import Prediction, predict_windows
from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS, Int64
from edge_seq.backends.adapt import Learned, learn, nothing_learned, restore_learned, save_learned
from edge_seq.backends.reference_int import NO_LABEL, head_place, reset_state, step
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.live.run import Decision
from edge_seq.live.samples import UNKNOWN
from edge_seq.scores.metrics import softmax
from edge_seq.support.errors import DataError, ModelError
from edge_seq.workflow import folder


class Stream:
    """An integer model on one stream of samples, as a device runs it. It needs neither a compiler nor ONNX Runtime.

    The decision stage is applied if the model has one: ``Decision.decision`` is its output, and ``Decision.label`` is
    the label that it saw.

    With room for examples the head learns, as on a device (SPEC.md, section 24): :meth:`adapt` says what the sample of
    the latest label was, and later labels near it change.

    Args:
        model: Integer model.
        examples: Number of examples that the head can learn, at most 255; 0 for a head that does not learn.

    Raises:
        ModelError: the head sees too many values to learn, or ``examples`` is out of range.

    Example:
        >>> import edge_seq as es
        >>> stream = es.open_run("run").stream(examples=20)
        >>> decisions = [stream.push([0.1, -0.2, 9.8]) for _ in range(50)]  # the last one is due
        >>> stream.adapt(stream.model.labels[0])
        >>> stream.learned.samples
        1
    """

    def __init__(self, model: IntModel, *, examples: int = 0) -> None:
        self.model = model
        self._learned = nothing_learned(model, examples) if examples else None
        self.reset()

    def reset(self) -> None:
        """Start again: zero states, a new window. What was learned stays."""
        self._state = reset_state(self.model, 1)
        self._samples = 0
        self._lesson: tuple[Int64, Int64] | None = None  # logits and place of the latest label

    @property
    def learned(self) -> Learned:
        """What the head has learned.

        Raises:
            ModelError: the head does not learn.
        """
        if self._learned is None:
            raise ModelError(
                f"streaming with {self.model.name}: its head does not learn; begin the stream with room for examples: "
                "run.stream(examples=20)"
            )
        return self._learned

    def adapt(self, label: str) -> None:
        """Learn that the sample or window of the latest label was of a class. The correction is then in use.

        Args:
            label: Name of the class.

        Raises:
            ModelError: the head does not learn.
            DataError: there is no such class, or no label since the latest lesson or reset.
        """
        learned, labels = self.learned, self.model.labels
        if label not in labels:
            raise DataError(f"adapting {self.model.name}: label {label!r} is unknown; give one of {list(labels)}")
        if self._lesson is None:
            raise DataError(
                f"adapting {self.model.name}: there is no label to learn from since the latest lesson or reset; push "
                "samples until push() gives a decision, then adapt"
            )
        self._learned = learn(learned, *self._lesson, labels.index(label))
        self._lesson = None

    def use_learned(self, on: bool) -> None:
        """Correct later logits by what was learned (True), or give those of the factory (False).

        Raises:
            ModelError: the head does not learn.
        """
        self._learned = replace(self.learned, in_use=on)

    def forget(self) -> None:
        """Forget all that was learned.

        Raises:
            ModelError: the head does not learn.
        """
        fresh = nothing_learned(self.model, len(self.learned.steps))
        self._learned = replace(fresh, in_use=self.learned.in_use)

    def save_learned(self) -> bytes:
        """What was learned, as a device saves it.

        Raises:
            ModelError: the head does not learn.
        """
        return save_learned(self.model, self.learned)

    def restore_learned(self, content: bytes) -> None:
        """Take what was saved here or on a device, and use it.

        Raises:
            ModelError: the head does not learn.
            DataError: it is damaged, or of another model or number of examples.
        """
        self._learned = restore_learned(self.model, content, len(self.learned.steps))

    def push(self, sample: ArrayLike) -> Decision | None:
        """Take one sample.

        Args:
            sample: [C]; integers are raw counts, floats are in the contract's units.

        Returns:
            The label and its probabilities if a label is due after this sample, else None.

        Raises:
            DataError: the sample has not one value for each channel.
        """
        model = self.model
        counts = counts_of(sample, model.contract)
        if counts.ndim != 1:
            raise DataError(
                f"pushing a sample into {model.name}: {list(counts.shape)}; expected one sample [{model.num_channels}]"
            )
        self._state, values = step(model, counts[np.newaxis], self._state, self._learned)
        position = self._samples
        self._samples += 1
        label = int(values["label"][0, 0])
        if label == NO_LABEL:
            return None
        if self._learned is not None:
            self._lesson = values["logits"][0], head_place(model, values)[0]
        shares = softmax(values["logits"][0] / 2.0**LOGIT_FRAC_BITS)
        decided = int(values["decision"][0, 0]) if "decision" in values else None
        return Decision(
            sample=position,
            time_s=position / model.contract.sample_rate_hz,
            label=model.labels[label],
            probabilities=dict(zip(model.labels, shares.tolist(), strict=True)),
            decision=None if decided is None else (*model.labels, UNKNOWN)[decided],
        )


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        float_model: Float model.
        model: Integer model; None if the run was not quantized yet.
    """

    path: Path
    float_model: FloatModel
    model: IntModel | None

    @property
    def contract(self) -> SensorContract:
        """Sensor contract of the models."""
        return self.float_model.contract

    @property
    def labels(self) -> tuple[str, ...]:
        """[K] class names."""
        return self.float_model.labels

    def predict(self, values: ArrayLike) -> Prediction:
        """Classify windows with the integer model, or with the float model if the run was not quantized yet.

        A decision stage plays no part, as each window is classified by itself; the prediction then carries a warning.

        Args:
            values: [B, T, C], or [T, C] for one window; integers are raw counts, floats are in the contract's units.

        Raises:
            DataError: the shape does not fit the contract.
        """
        return predict_windows(self.float_model if self.model is None else self.model, values)

    def stream(self, *, examples: int = 0) -> Stream:
        """Start a stream of samples through the integer model.

        Args:
            examples: Number of examples that the head can learn, at most 255; 0 for a head that does not learn.

        Raises:
            DataError: the run was not quantized yet.
            ModelError: the head cannot learn so many.
        """
        if self.model is None:
            command = folder.RunFolder(self.path).command("quantize")
            raise DataError(f"streaming with {self.path.name}: the run holds no integer model; run {command}")
        return Stream(self.model, examples=examples)


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Args:
        path: Folder that ``edge-seq train`` made.

    Raises:
        ConfigError: it is not the folder of a run, or the training did not finish.
        ModelError: a model in it is damaged.

    Example:
        >>> import numpy as np
        >>> import edge_seq as es
        >>> run = es.open_run("run")
        >>> run.predict(np.zeros((50, 3))).probabilities.shape  # one window, float [T, C], in the contract's units
        (1, 4)
        >>> stream = run.stream()
        >>> stream.push([0.1, -0.2, 9.8])  # no label is due after the first sample of a window
    """
    run = folder.open_run(Path(path))
    quantized = folder.load_run_int(run) if run.int_model.is_file() else None
    return Run(run.path, folder.load_run_float(run), quantized)
