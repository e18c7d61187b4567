"""Training learns, is reproducible, and gives the same weights after a kill -9 and a resume."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.backends.preprocess import normalise  # noqa: E402
from edge_seq.data.recording import UNLABELLED, Windows  # noqa: E402
from edge_seq.ir.contract import Channel, SensorContract  # noqa: E402
from edge_seq.ir.kind_names import CELL_NAMES  # noqa: E402
from edge_seq.support.errors import ConfigError, ContractError, DataError, ModelError  # noqa: E402
from edge_seq.training.checkpoint import CHECKPOINT_NAME  # noqa: E402
from edge_seq.training.config import AugmentationConfig, InitialisationConfig, TrainingConfig  # noqa: E402
from edge_seq.training.fit import _seed_epoch, class_weights, learning_rate_at  # noqa: E402
from edge_seq.training.initialise import initialise  # noqa: E402
from edge_seq.training.loop import TrainingResult, build_classifier, classifier_of, predict, train  # noqa: E402
from edge_seq.training.modules import ConvolutionalBaseline  # noqa: E402
from edge_seq.training.record import EpochRecord  # noqa: E402

CONFIG = TrainingConfig(
    cell="gru",
    hidden_size=6,
    epochs=5,
    batch_size=32,
    weight_average_decay=0.9,
    mixup=0.2,
    augmentation=AugmentationConfig(rotation="any", noise=0.05),
)


def _config(**change: object) -> TrainingConfig:
    return TrainingConfig.model_validate({**CONFIG.model_dump(), **change})


def _assert_same(a: TrainingResult, b: TrainingResult) -> None:
    assert a.history == b.history
    assert a.best_epoch == b.best_epoch
    assert a.state_dict.keys() == b.state_dict.keys()
    for name, value in a.state_dict.items():
        np.testing.assert_array_equal(value, b.state_dict[name], err_msg=name)


@pytest.mark.parametrize("cell", CELL_NAMES)
@pytest.mark.parametrize(("pooling", "label_every"), [("mean", "window"), ("last", "sample")])
def test_each_cell_learns(
    cell: str,
    pooling: str,
    label_every: str,
    train_windows: Windows,
    validation_windows: Windows,
    contract: SensorContract,
) -> None:
    config = TrainingConfig(
        cell=cell,
        hidden_size=16,
        pooling=pooling,
        label_every=label_every,
        epochs=25,
        batch_size=32,
        learning_rate=0.02,
        input_gain=1.0,
        mixup=0.0,
    )
    result = train(train_windows, validation_windows, contract, 3, config)
    accuracy = (predict(result, validation_windows.counts).argmax(axis=1) == validation_windows.labels).mean()
    best = result.history[result.best_epoch - 1]
    assert accuracy == pytest.approx(best.validation_accuracy)
    assert accuracy > 0.75, result.history
    assert best.validation_macro_f1 == max(record.validation_macro_f1 for record in result.history)
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert {"torch", "numpy", "python", "edge_seq"} <= result.versions.keys()


def _changing_windows(num_windows: int, seed: int) -> Windows:
    """Each window changes its class, after some unlabelled samples. Every sample shows its class."""
    generator = np.random.default_rng(seed)
    last = generator.integers(0, 2, num_windows)
    of_samples = np.repeat(last[:, None], 20, axis=1)
    for row, change in zip(of_samples, generator.integers(3, 9, num_windows), strict=True):
        row[:change] = 1 - row[-1]
    counts = 4000 * (2 * of_samples[:, :, None] - 1) + generator.normal(scale=500, size=(num_windows, 20, 3))
    of_samples[:, :2] = UNLABELLED
    counts[:, :2] *= -1  # would mislead if these samples counted
    groups = np.array(["g"] * num_windows)
    return Windows(counts.astype(np.int16), last.astype(np.int16), groups, of_samples.astype(np.int16))


def test_a_label_every_sample_is_the_label_of_that_sample(contract: SensorContract) -> None:
    config = TrainingConfig(
        cell="gru", hidden_size=8, pooling="last", label_every="sample", epochs=10, batch_size=32, learning_rate=0.02
    )
    result = train(_changing_windows(256, 1), _changing_windows(64, 2), contract, 2, config)
    windows = _changing_windows(64, 3)
    features = torch.from_numpy(normalise(windows.counts, result.normalisation))
    with torch.no_grad():
        labels = classifier_of(result).forward_steps(features).argmax(dim=2).numpy()
    known = windows.sample_labels != UNLABELLED
    right = (labels == windows.sample_labels)[known].mean()
    assert right > 0.97, right


def test_a_sample_without_a_label_does_not_count(contract: SensorContract) -> None:
    """They count neither in the loss nor in the class weights."""
    config = TrainingConfig(
        label_every="sample", keep="last", epochs=1, batch_size=64, dropout=0.0, mixup=0.0, class_weights="none"
    )  # one batch, so that the loss of the epoch is that of the first weights
    windows = _changing_windows(64, 1)
    result = train(windows, None, contract, 2, config)
    torch.manual_seed(config.seed)
    module = build_classifier(contract, 2, config)
    initialise(module, config.initialisation, window_length=20)
    with torch.no_grad():
        logits = module.forward_steps(torch.from_numpy(normalise(windows.counts, result.normalisation)))[:, 2:]
    targets = torch.from_numpy(windows.sample_labels[:, 2:].astype(np.int64))
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert result.history[0].train_loss == pytest.approx(float(expected), rel=1e-5)
    torch.testing.assert_close(
        class_weights(torch.tensor([[UNLABELLED, 0, 0], [UNLABELLED, 0, 1]]), 2), torch.tensor([4 / 6, 2.0])
    )


@pytest.mark.parametrize("label_every", ["window", "sample"])
def test_mixup_mixes_windows_and_their_losses(label_every: str, contract: SensorContract) -> None:
    config = TrainingConfig(
        label_every=label_every, keep="last", epochs=1, batch_size=64, dropout=0.0, class_weights="none", mixup=0.4
    )  # one batch, so that the loss of the epoch is that of the first weights
    windows = _changing_windows(64, 1)
    result = train(windows, None, contract, 2, config)
    torch.manual_seed(config.seed)
    module = build_classifier(contract, 2, config)
    initialise(module, config.initialisation, window_length=20)
    order = torch.randperm(64, generator=_seed_epoch(config.seed, 1))
    share = float(torch.distributions.Beta(0.4, 0.4).sample())
    others = order[torch.randperm(64)]
    x = torch.from_numpy(normalise(windows.counts, result.normalisation))
    targets = torch.from_numpy((windows.labels if label_every == "window" else windows.sample_labels).astype(np.int64))
    with torch.no_grad():
        mixed = share * x[order] + (1 - share) * x[others]
        logits = module(mixed) if label_every == "window" else module.forward_steps(mixed).flatten(0, 1)
    of_first, of_others = (
        float(torch.nn.functional.cross_entropy(logits, targets[at].flatten(), ignore_index=UNLABELLED))
        for at in (order, others)
    )
    assert 0 < share < 1
    assert of_first != pytest.approx(of_others, rel=1e-3)
    assert result.history[0].train_loss == pytest.approx(share * of_first + (1 - share) * of_others, rel=1e-5)


@pytest.mark.parametrize(("epochs", "same_as"), [(4, 0.2), (3, 0.0)])  # 8 and 6 steps
def test_only_a_long_training_mixes_windows_by_itself(
    epochs: int, same_as: float, contract: SensorContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_seq.training.config.FEWEST_STEPS", 8)
    windows = _changing_windows(64, 1)
    by_itself, told, other = (
        train(windows, None, contract, 2, _config(keep="last", epochs=epochs, mixup=mixup))
        for mixup in ("auto", same_as, 0.2 - same_as)
    )
    _assert_same(by_itself, told)
    assert by_itself.history[0].train_loss != other.history[0].train_loss


def test_resuming_with_other_labels_of_samples_is_refused(tmp_path: Path, contract: SensorContract) -> None:
    windows = _changing_windows(64, 1)
    assert windows.sample_labels is not None
    other = windows.sample_labels.copy()
    other[:, 2] = UNLABELLED
    changed = dataclasses.replace(windows, sample_labels=other)
    for label_every in ("window", "sample"):
        config = _config(label_every=label_every, keep="last", epochs=1)
        train(windows, None, contract, 2, config, checkpoint_dir=tmp_path / label_every)
    # The labels of samples do not affect a loss on windows.
    train(changed, None, contract, 2, _config(keep="last", epochs=1), checkpoint_dir=tmp_path / "window")
    with pytest.raises(ConfigError, match=r"cannot resume .*the training data"):
        train(changed, None, contract, 2, config, checkpoint_dir=tmp_path / "sample")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    first = train(train_windows, validation_windows, contract, 3, CONFIG)
    torch.manual_seed(99)  # must not matter
    state = torch.random.get_rng_state()
    second = train(train_windows, validation_windows, contract, 3, CONFIG)
    assert torch.equal(torch.random.get_rng_state(), state)
    _assert_same(first, second)
    other = train(train_windows, validation_windows, contract, 3, _config(seed=1))
    assert not np.array_equal(first.state_dict["head.weight"], other.state_dict["head.weight"])


class _InterruptedError(Exception):
    pass


def _interrupt_after(epoch: int):
    def progress(record: EpochRecord) -> None:
        if record.epoch == epoch:
            raise _InterruptedError

    return progress


@pytest.mark.parametrize("interrupted_after", [1, 3, 5])
def test_an_interrupted_training_ends_with_the_same_weights(
    interrupted_after: int,
    tmp_path: Path,
    train_windows: Windows,
    validation_windows: Windows,
    contract: SensorContract,
) -> None:
    arguments = (train_windows, validation_windows, contract, 3, CONFIG)
    whole = train(*arguments)
    with pytest.raises(_InterruptedError):
        train(*arguments, checkpoint_dir=tmp_path, progress=_interrupt_after(interrupted_after))
    epochs: list[int] = []
    resumed = train(*arguments, checkpoint_dir=tmp_path, progress=lambda record: epochs.append(record.epoch))
    assert epochs == list(range(interrupted_after + 1, 6))
    _assert_same(whole, resumed)


_KILLED = """
import os, signal
from edge_seq.ir.contract import Channel, SensorContract
from edge_seq.training.loop import train
from tests.unit.training.conftest import make_test_windows
from tests.unit.training.test_loop import CONFIG
contract = SensorContract(10.0, tuple(Channel(n, "g", 8192.0, 4.0) for n in ("ax", "ay", "az")), 20, 20)
from pathlib import Path
replace, writes = Path.replace, []
def replace_or_die(self, target):
    writes.append(target)
    if len(writes) == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # the third checkpoint is written, but not yet renamed
    return replace(self, target)
Path.replace = replace_or_die
windows = make_test_windows(180, seed=1), make_test_windows(90, seed=2)
train(*windows, contract, 3, CONFIG, checkpoint_dir=Path({folder!r}))
"""


def test_killed_while_writing_a_checkpoint(
    tmp_path: Path, train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    root = Path(__file__).parents[3]
    code = _KILLED.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    arguments = (train_windows, validation_windows, contract, 3, CONFIG)
    epochs: list[int] = []
    resumed = train(*arguments, checkpoint_dir=tmp_path, progress=lambda record: epochs.append(record.epoch))
    assert epochs == [3, 4, 5]
    _assert_same(train(*arguments), resumed)


def test_resuming_another_training_is_refused(
    tmp_path: Path, train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    short = _config(epochs=1)
    train(train_windows, validation_windows, contract, 3, short, checkpoint_dir=tmp_path)
    with pytest.raises(ConfigError, match=r"cannot resume .*learning_rate 0.01 there, 0.02 now"):
        train(
            train_windows,
            validation_windows,
            contract,
            3,
            _config(epochs=1, learning_rate=0.02),
            checkpoint_dir=tmp_path,
        )
    with pytest.raises(ConfigError, match=r"cannot resume .*the training data, the sensor contract or the network"):
        train(validation_windows, train_windows, contract, 3, short, checkpoint_dir=tmp_path)
    other_rate = dataclasses.replace(contract, sample_rate_hz=20.0)
    with pytest.raises(ConfigError, match="cannot resume"):
        train(train_windows, validation_windows, other_rate, 3, short, checkpoint_dir=tmp_path)


def test_resuming_after_another_version_is_refused(
    tmp_path: Path, train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    arguments = (train_windows, validation_windows, contract, 3, _config(epochs=1))
    train(*arguments, checkpoint_dir=tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    version = importlib.metadata.version("edge-seq").encode()
    content = path.read_bytes().replace(b'"edge_seq":"' + version, b'"edge_seq":"' + b"9" * len(version))
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot resume .*was written by edge_seq 9+, installed is"):
        train(*arguments, checkpoint_dir=tmp_path)


def test_a_damaged_checkpoint_is_refused(
    tmp_path: Path, train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    arguments = (train_windows, validation_windows, contract, 3, _config(epochs=1))
    train(*arguments, checkpoint_dir=tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"checkpoint .* cannot be read: .*Delete it to train from the start"):
        train(*arguments, checkpoint_dir=tmp_path)
    path.write_bytes(content.replace(b"training.checkpoint/1", b"training.checkpoint/9"))
    with pytest.raises(ModelError, match=r"has format 'edge_seq.training.checkpoint/9'; expected"):
        train(*arguments, checkpoint_dir=tmp_path)
    for old, new in ((b'"progress":"{', b'"progress":"!'), (b"best_epoch", b"beste_poch")):
        path.write_bytes(content.replace(old, new))
        with pytest.raises(ModelError, match=r"unreadable metadata .*Delete it to train from the start"):
            train(*arguments, checkpoint_dir=tmp_path)
    path.write_bytes(content.replace(b'"average/', b'"overage/'))
    with pytest.raises(ModelError, match=r"is incomplete \(KeyError: 'average'\)\. Delete it to train from the start"):
        train(*arguments, checkpoint_dir=tmp_path)


def test_early_stopping_keeps_the_best(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract, tmp_path: Path
) -> None:
    """The validation labels are shuffled, so their score soon stops improving."""
    shuffled = np.random.default_rng(0).permutation(validation_windows.labels)
    validation = dataclasses.replace(validation_windows, labels=shuffled, sample_labels=None)
    config = _config(epochs=60, early_stopping_patience=3, keep="loss", schedule="cosine")
    result = train(train_windows, validation, contract, 3, config, checkpoint_dir=tmp_path)
    losses = [record.validation_loss for record in result.history]
    assert len(losses) == result.best_epoch + 3 < 60
    assert losses[result.best_epoch - 1] == min(losses)
    _assert_same(result, train(train_windows, validation, contract, 3, config, checkpoint_dir=tmp_path))


def test_keep_last_needs_no_validation_and_validation_changes_nothing(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    config = _config(keep="last")
    without = train(train_windows, None, contract, 3, config)
    beside = train(train_windows, validation_windows, contract, 3, config)
    assert without.best_epoch == 5
    assert without.history[-1].validation_loss is None
    assert beside.history[-1].validation_loss is not None
    for name, value in without.state_dict.items():
        np.testing.assert_array_equal(value, beside.state_dict[name])


def test_normalisation_is_of_the_training_windows_alone(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    config = _config(epochs=1)
    other = dataclasses.replace(validation_windows, counts=validation_windows.counts // 3)
    a = train(train_windows, validation_windows, contract, 3, config)
    b = train(train_windows, other, contract, 3, config)
    assert a.normalisation == b.normalisation
    np.testing.assert_allclose(a.normalisation.mean, train_windows.counts.mean(axis=(0, 1)))


def test_an_input_gain_divides_the_scale_and_prediction_knows_it(
    train_windows: Windows, validation_windows: Windows, contract: SensorContract
) -> None:
    plain = train(train_windows, validation_windows, contract, 3, _config(epochs=1, input_gain=1.0))
    gained = train(train_windows, validation_windows, contract, 3, _config(epochs=1, input_gain=4.0))
    assert gained.normalisation.mean == plain.normalisation.mean
    np.testing.assert_allclose(gained.normalisation.scale, np.array(plain.normalisation.scale) / 4)
    assert gained.history != plain.history
    accuracy = (predict(gained, validation_windows.counts).argmax(axis=1) == validation_windows.labels).mean()
    assert accuracy == pytest.approx(gained.history[0].validation_accuracy)
    name = contract.channel_names[2]
    single = train(
        train_windows, validation_windows, contract, 3, _config(epochs=1, input_gain=1.0, channel_gains={name: 4.0})
    )
    assert single.normalisation.scale[:2] == plain.normalisation.scale[:2]
    assert single.normalisation.scale[2] == gained.normalisation.scale[2]


def test_class_weights() -> None:
    weights = class_weights(torch.tensor([0, 0, 0, 1]), 3)
    torch.testing.assert_close(weights, torch.tensor([4 / 6, 2.0, 0.0]))


def test_an_absent_class_and_a_constant_axis_train_without_warnings(
    train_windows: Windows, contract: SensorContract
) -> None:
    counts = train_windows.counts.copy()
    counts[:, :, 2] = 8192
    result = train(Windows(counts, train_windows.labels, train_windows.groups), None, contract, 5, _config(keep="last"))
    assert np.isfinite(predict(result, counts)).all()


def test_schedules() -> None:
    one_cycle = [learning_rate_at(step, 100, _config(learning_rate=1.0)) for step in range(100)]
    assert one_cycle[0] == pytest.approx(1 / 25)
    assert one_cycle[30] == max(one_cycle) == pytest.approx(1.0)
    assert one_cycle[-1] < 0.002
    assert all(a < b for a, b in itertools.pairwise(one_cycle[:31]))
    cosine = [learning_rate_at(step, 100, _config(learning_rate=1.0, schedule="cosine")) for step in range(100)]
    assert cosine[0] == 1.0
    assert cosine[50] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(cosine))


def test_threads_are_set_and_restored(train_windows: Windows, contract: SensorContract) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    config = _config(keep="last", epochs=1, num_threads=before + 1)
    train(train_windows, None, contract, 3, config, progress=lambda _: seen.append(torch.get_num_threads()))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


def test_refusals(train_windows: Windows, validation_windows: Windows, contract: SensorContract) -> None:
    with pytest.raises(ConfigError, match="keep is 'macro_f1', which needs validation windows"):
        train(train_windows, None, contract, 3, CONFIG)
    with pytest.raises(ConfigError, match=r"the loss became (nan|inf).* lower learning_rate"):
        train(
            train_windows,
            None,
            contract,
            3,
            _config(keep="last", learning_rate=10.0, gradient_clip_norm=1e38, weight_decay=10.0, epochs=200),
        )
    bad = dataclasses.replace(validation_windows, labels=validation_windows.labels - 1)
    with pytest.raises(DataError, match="validation windows: window 0 has label -1"):
        train(train_windows, bad, contract, 3, CONFIG)
    with pytest.raises(ContractError, match="training windows have shape"):
        train(train_windows, None, dataclasses.replace(contract, window_length=10), 3, CONFIG)
    with pytest.raises(ContractError, match="sample_rate_hz is 0"):
        train(train_windows, None, dataclasses.replace(contract, sample_rate_hz=0), 3, CONFIG)
    unknown = dataclasses.replace(train_windows, sample_labels=None)
    with pytest.raises(ConfigError, match="the training windows hold no label for each sample; cut them with make_win"):
        train(unknown, validation_windows, contract, 3, _config(label_every="sample"))
    with pytest.raises(ConfigError, match="ConvolutionalBaseline gives logits for whole windows only"):
        train(
            train_windows,
            validation_windows,
            contract,
            3,
            _config(label_every="sample"),
            build=lambda: ConvolutionalBaseline(window_length=20, input_size=3, num_classes=3),
        )


@pytest.mark.parametrize(("chrono", "solves"), [("window", True), ("none", False)])
def test_chrono_initialisation_recalls_a_cue_from_the_start(chrono: str, solves: bool) -> None:
    """The label is the sign of the first sample, and T noisy samples follow it."""
    length = 128
    generator = np.random.default_rng(0)

    def recall(num_windows: int) -> Windows:
        labels = generator.integers(0, 2, num_windows).astype(np.int16)
        counts = generator.normal(size=(num_windows, length, 2)) * [0, 1000]
        counts[:, 0, 0] = 8000 * (2 * labels - 1)
        return Windows(counts.astype(np.int16), labels, np.array(["g"] * num_windows))

    channels = (Channel("cue", "g", 8192.0, 4.0), Channel("noise", "g", 8192.0, 4.0))
    contract = SensorContract(10.0, channels, length, length)
    config = TrainingConfig(
        hidden_size=16,
        pooling="last",
        epochs=8,
        batch_size=64,
        dropout=0.0,
        initialisation=InitialisationConfig(chrono_max_steps=chrono),
    )
    result = train(recall(1024), recall(256), contract, 2, config)
    accuracy = max(record.validation_accuracy for record in result.history)
    assert accuracy > 0.95 if solves else accuracy < 0.75, accuracy
