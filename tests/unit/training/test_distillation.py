"""Learning from the answers of another model, besides the labels."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.data.recording import Windows  # noqa: E402
from edge_seq.ir.contract import Channel, SensorContract  # noqa: E402
from edge_seq.support.errors import ConfigError, ToolError  # noqa: E402
from edge_seq.training.config import TrainingConfig  # noqa: E402
from edge_seq.training.fit import TEACHER_TEMPERATURE, distillation_loss  # noqa: E402
from edge_seq.training.loop import TrainingResult, predict, train  # noqa: E402
from edge_seq.training.others.teacher import answers_of_others  # noqa: E402

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


def of_four_groups() -> Windows:
    return replace(windows(), groups=np.repeat(["a", "b", "c", "d"], 16))


def test_others_answer_for_groups_that_they_have_not_learnt() -> None:
    pytest.importorskip("sklearn")
    told = of_four_groups()
    answers = answers_of_others(told, CONTRACT, 2, "forest")
    assert answers.shape == (64, 2)
    assert (answers.argmax(axis=1) == told.labels).mean() > 0.8  # the classes can be told on new groups
    noise = replace(told, labels=np.random.default_rng(1).integers(0, 2, 64).astype(np.int16), sample_labels=None)
    assert 0.25 < (answers_of_others(noise, CONTRACT, 2, "forest").argmax(axis=1) == noise.labels).mean() < 0.75
    # an answer is the logarithm of a probability over the share of its class
    shares = np.bincount(told.labels) / 64
    np.testing.assert_allclose((np.exp(answers) * shares).sum(axis=1), 1 + 2 * 0.05, rtol=1e-5)
    assert answers_of_others(told, CONTRACT, 2, "forest") is answers  # a search asks many times


def test_a_training_that_is_taught_by_others_is_that_with_their_answers() -> None:
    pytest.importorskip("sklearn")
    told = of_four_groups()
    taught = train(told, None, CONTRACT, 2, CONFIG.model_copy(update={"taught_by": "forest"}))
    given = train(told, None, CONTRACT, 2, CONFIG, teacher_logits=answers_of_others(told, CONTRACT, 2, "forest"))
    alone = train(told, None, CONTRACT, 2, CONFIG)
    np.testing.assert_array_equal(taught.state_dict["head.weight"], given.state_dict["head.weight"])
    assert not np.array_equal(taught.state_dict["head.weight"], alone.state_dict["head.weight"])


def test_others_need_groups_their_packages_and_whole_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    one_group = replace(windows(), groups=np.repeat(["a"], 64))
    with pytest.raises(ConfigError, match=r"all training windows are of one group.*set it to 'labels'"):
        answers_of_others(one_group, CONTRACT, 2, "forest")

    def missing(*_: object, **__: object) -> None:
        raise ToolError("the MiniRocket baseline needs aeon")

    monkeypatch.setattr("edge_seq.training.others.teacher.minirocket_baseline", missing)
    with pytest.raises(
        ToolError, match=r"training.taught_by = 'forest_and_rocket': the MiniRocket baseline needs aeon"
    ):
        answers_of_others(of_four_groups(), CONTRACT, 2, "forest_and_rocket")
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ToolError, match=r"training.taught_by = 'forest' needs scikit-learn, which is not installed"):
        answers_of_others(of_four_groups(), CONTRACT, 2, "forest")
    with pytest.raises(ConfigError, match="other classifiers answer for whole windows; set label_every to 'window'"):
        TrainingConfig(taught_by="forest", label_every="sample")
