"""Learning from the answers of another model, besides the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.data.recording import Windows  # noqa: E402
from edge_seq.ir.contract import Channel, SensorContract  # noqa: E402
from edge_seq.support.errors import ConfigError  # noqa: E402
from edge_seq.training.config import TrainingConfig  # noqa: E402
from edge_seq.training.fit import TEACHER_TEMPERATURE, distillation_loss  # noqa: E402
from edge_seq.training.loop import TrainingResult, predict, train  # noqa: E402

CONTRACT = SensorContract(50.0, tuple(Channel(name, "g", 1000.0, 8.0) for name in ("ax", "ay")), 8, 8)
CONFIG = TrainingConfig(cell="rnn", hidden_size=4, epochs=12, batch_size=16, dropout=0.0, keep="last")


def windows() -> Windows:
    rng = np.random.default_rng(0)
    counts = rng.normal(0, 900, (64, 8, 2)).astype(np.int16)
    labels = (counts[:, :, 0].mean(axis=1) > 0).astype(np.int16)
    samples = np.repeat(labels[:, None], 8, axis=1)
    return Windows(counts, labels, np.repeat(["a", "b"], 32), samples)


def trained(answers: np.ndarray | None, config: TrainingConfig = CONFIG) -> TrainingResult:
    return train(windows(), None, CONTRACT, 2, config, teacher_logits=answers)


def test_the_loss_is_the_divergence_of_softened_answers() -> None:
    logits, teacher = np.array([[1.0, -2, 0.5]]), np.array([[0.2, 1.0, -1.0]])
    p, q = (np.exp(z / TEACHER_TEMPERATURE) / np.exp(z / TEACHER_TEMPERATURE).sum() for z in (teacher, logits))
    expected = TEACHER_TEMPERATURE**2 * float((p * np.log(p / q)).sum())
    given = [torch.tensor(array, dtype=torch.float32) for array in (logits, teacher)]
    assert float(distillation_loss(*given)) == pytest.approx(expected, rel=1e-5)
    assert float(distillation_loss(given[0], given[0])) == pytest.approx(0.0, abs=1e-7)


def test_a_network_follows_a_teacher_that_contradicts_the_labels() -> None:
    """The teacher gives half of the windows the other class, by the second channel."""
    counts = windows().counts
    answers = np.where(counts[:, :, 1].mean(axis=1) > 0, 6.0, -6.0).astype(np.float32)
    teacher = np.stack([-answers / 2, answers / 2], axis=1)

    def agreement(result: TrainingResult) -> float:
        return float((predict(result, counts).argmax(axis=1) == teacher.argmax(axis=1)).mean())

    assert agreement(trained(teacher)) > agreement(trained(None)) + 0.05


def test_a_teacher_answers_for_windows_only() -> None:
    answers = np.zeros((64, 2), dtype=np.float32)
    with pytest.raises(ConfigError, match="a teacher answers at the end of each window; set label_every to 'window'"):
        trained(answers, CONFIG.model_copy(update={"label_every": "sample"}))


def test_a_checkpoint_of_another_teacher_is_refused(tmp_path: Path) -> None:
    answers = np.zeros((64, 2), dtype=np.float32)
    train(windows(), None, CONTRACT, 2, CONFIG, teacher_logits=answers, checkpoint_dir=tmp_path)
    with pytest.raises(ConfigError, match="or the network differ from those it was written with"):
        train(windows(), None, CONTRACT, 2, CONFIG, teacher_logits=answers + 1, checkpoint_dir=tmp_path)
