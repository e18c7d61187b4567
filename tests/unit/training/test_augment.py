from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_seq.ir.contract import Channel, Normalisation, Preprocessing, SensorContract  # noqa: E402
from edge_seq.support.errors import ConfigError  # noqa: E402
from edge_seq.training.augment import augment, axis_triples, make_augmenter, random_rotations  # noqa: E402
from edge_seq.training.config import AugmentationConfig  # noqa: E402

NAMES_AND_UNITS = [("ax", "g"), ("ay", "g"), ("temperature", "counts"), ("az", "g")]
GYRO = [("gyro_x", "rad/s"), ("gyro_y", "rad/s"), ("gyro_z", "rad/s")]


def _contract(names_and_units: list[tuple[str, str]]) -> SensorContract:
    """Each channel has its own counts per unit, as a sensor with different ranges for its axes would have."""
    channels = tuple(
        Channel(name, unit, 1.0 if unit == "counts" else 500.0 * (index + 1), 4.0)
        for index, (name, unit) in enumerate(names_and_units)
    )
    return SensorContract(sample_rate_hz=10.0, channels=channels, window_length=6, window_stride=6)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _physical(x: torch.Tensor, contract: SensorContract, normalisation: Normalisation) -> np.ndarray:
    counts = x.numpy().astype(np.float64) * normalisation.scale + normalisation.mean
    return counts / [channel.counts_per_unit for channel in contract.channels]


def test_rotation_acts_on_physical_values() -> None:
    contract = _contract(NAMES_AND_UNITS + GYRO)
    generator = np.random.default_rng(0)
    normalisation = Normalisation(
        mean=tuple(generator.normal(size=7) * 300), scale=tuple(generator.uniform(100, 900, size=7))
    )
    augmenter = make_augmenter(AugmentationConfig(rotation="any"), contract, normalisation)
    assert augmenter.triples == ((0, 1, 3), (4, 5, 6))
    x = torch.from_numpy(generator.normal(size=(8, 6, 7)).astype(np.float32))
    rotated = augment(x, augmenter, _generator(5))
    rotations = random_rotations(8, augmenter.config, _generator(5)).numpy()
    before, after = _physical(x, contract, normalisation), _physical(rotated, contract, normalisation)
    for triple in augmenter.triples:
        expected = np.einsum("bij,btj->bti", rotations, before[:, :, triple])
        np.testing.assert_allclose(after[:, :, triple], expected, atol=2e-5)
    np.testing.assert_allclose(after[:, :, 2], before[:, :, 2], atol=1e-3)
    assert np.abs(after[:, :, 0] - before[:, :, 0]).max() > 0.1


def test_a_rotation_leaves_a_magnitude_and_an_amplitude_scales_it() -> None:
    axes = tuple(Channel(name, "g", 8192.0, 4.0) for name in ("ax", "ay", "az"))
    contract = SensorContract(10.0, axes, 6, 6, Preprocessing("difference", magnitude=True))
    normalisation = Normalisation(mean=(10.0, -20.0, 5.0, 700.0), scale=(300.0, 200.0, 400.0, 500.0))
    vectors = np.random.default_rng(1).normal(size=(8, 6, 3)) * 900
    features = np.concatenate([vectors, np.linalg.norm(vectors, axis=2, keepdims=True)], axis=2)
    x = torch.from_numpy(((features - normalisation.mean) / normalisation.scale).astype(np.float32))
    for config, moves in ((AugmentationConfig(rotation="any"), False), (AugmentationConfig(scale=0.5), True)):
        changed = augment(x, make_augmenter(config, contract, normalisation), _generator(2)).numpy()
        counts = changed * normalisation.scale + normalisation.mean
        np.testing.assert_allclose(counts[:, :, 3], np.linalg.norm(counts[:, :, :3], axis=2), rtol=1e-3)
        assert (np.abs(counts[:, :, 3] - features[:, :, 3]).max() > 100) == moves
        assert np.abs(counts[:, :, 0] - features[:, :, 0]).max() > 100


@pytest.mark.parametrize(
    "config", [AugmentationConfig(rotation="any"), AugmentationConfig(rotation="any", max_degrees=30)]
)
def test_rotations_are_rotations(config: AugmentationConfig) -> None:
    rotations = random_rotations(4000, config, _generator())
    product = rotations @ rotations.transpose(1, 2)
    torch.testing.assert_close(product, torch.eye(3).expand(4000, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(4000), atol=1e-5, rtol=0)
    angle = torch.rad2deg(torch.arccos((rotations.diagonal(dim1=1, dim2=2).sum(dim=1) - 1).div(2).clamp(-1, 1)))
    assert angle.max() <= config.max_degrees + 0.1
    assert angle.max() > 0.9 * config.max_degrees
    if config.max_degrees == 180:  # uniform: a rotated axis is uniform on the sphere, its z uniform in -1..1
        assert float(rotations[:, 2, 0].std()) == pytest.approx(1 / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize(("axis", "index"), [("x", 0), ("y", 1), ("z", 2)])
def test_rotation_about_the_vertical_keeps_it(axis: str, index: int) -> None:
    config = AugmentationConfig(rotation="about_vertical", vertical_axis=axis)
    rotations = random_rotations(50, config, _generator())
    up = torch.eye(3)[index]
    torch.testing.assert_close(rotations @ up, up.expand(50, 3))
    assert rotations[:, (index + 1) % 3, (index + 2) % 3].abs().max() > 0.9


def test_scale_offset_and_noise_have_their_size() -> None:
    contract = _contract(NAMES_AND_UNITS)
    normalisation = Normalisation(mean=(0.0,) * 4, scale=(10.0,) * 4)
    x = torch.ones(3000, 6, 4)

    def draw(**options: float) -> torch.Tensor:
        return augment(x, make_augmenter(AugmentationConfig(**options), contract, normalisation), _generator())

    factor = draw(scale=0.2)
    assert float(factor.log().std()) == pytest.approx(0.2, rel=0.05)
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor))
    offset = draw(offset=0.3) - 1
    assert float(offset.std()) == pytest.approx(0.3, rel=0.05)
    torch.testing.assert_close(offset, offset[:, :1].expand_as(offset))
    noise = draw(noise=0.1) - 1
    assert float(noise.std()) == pytest.approx(0.1, rel=0.05)
    assert float(noise[:, 1:].sub(noise[:, :-1]).std()) == pytest.approx(0.1 * np.sqrt(2), rel=0.05)


def test_the_same_generator_gives_the_same_windows() -> None:
    contract = _contract(NAMES_AND_UNITS)
    normalisation = Normalisation(mean=(1.0,) * 4, scale=(10.0,) * 4)
    config = AugmentationConfig(rotation="any", scale=0.1, offset=0.1, noise=0.1)
    augmenter = make_augmenter(config, contract, normalisation)
    x = torch.randn(5, 6, 4, generator=_generator())
    assert torch.equal(augment(x, augmenter, _generator(1)), augment(x, augmenter, _generator(1)))
    assert not torch.equal(augment(x, augmenter, _generator(1)), augment(x, augmenter, _generator(2)))


@pytest.mark.parametrize(
    ("names_and_units", "triples"),
    [
        ([("x", "g"), ("y", "g"), ("z", "g")], ((0, 1, 2),)),
        ([("z_acc", "g"), ("y_acc", "g"), ("x_acc", "g")], ((2, 1, 0),)),
        ([("accel_x_cal", "g"), ("accel_y_cal", "g"), ("accel_z_cal", "g")], ((0, 1, 2),)),
        ([("ax", "g"), ("ay", "mg"), ("az", "g")], ()),
        ([("ax", "g"), ("ay", "g")], ()),
    ],
)
def test_axis_triples(names_and_units: list[tuple[str, str]], triples: tuple[tuple[int, int, int], ...]) -> None:
    assert axis_triples(_contract(names_and_units)) == triples


def test_rotation_without_a_triple_is_refused() -> None:
    contract = _contract([("ax", "g"), ("ay", "g")])
    normalisation = Normalisation(mean=(0.0, 0.0), scale=(1.0, 1.0))
    with pytest.raises(ConfigError, match=r"rotation is 'any', but the channels \['ax', 'ay'\] hold no x, y and z"):
        make_augmenter(AugmentationConfig(rotation="any"), contract, normalisation)
    one_axis = dataclasses.replace(contract, channels=contract.channels[:1])
    make_augmenter(AugmentationConfig(noise=0.1), one_axis, normalisation)  # nothing to rotate: fine
