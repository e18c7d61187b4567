"""Augmentation of training windows: another mounting angle, another amplitude, a sensor bias, noise.

A rotation R acts on physical values, while the network sees normalised counts. Let counts = k * physical, with k the
counts per unit of each channel, and x = (counts - mean) / scale. Then rotating the physical values is an affine map of
x:

    x' = A x + b,   A = diag(k / scale) M diag(scale / k),   b = (diag(k) M diag(1 / k) mean - mean) / scale

M is factor * R on each triple of axes, and the factor alone on the other channels and on magnitudes, which a rotation
leaves as they are. The step of the contract's preprocessing is linear, so rotating after it equals rotating before it,
up to the rounding of counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edge_seq.ir.contract import AXES, Normalisation, SensorContract, axis_triples
from edge_seq.support.errors import ConfigError
from edge_seq.training.config import AugmentationConfig


@dataclass(frozen=True)
class Augmenter:
    """Constants of :func:`augment`, computed once.

    Attributes:
        config: kinds and sizes of the random changes.
        triples: channel indices (x, y, z) of each rotated triple.
        counts_per_unit: float32 [F]; 1 for a magnitude, which is only scaled.
        mean: float32 [F], mean of the normalisation, counts.
        scale: float32 [F], scale of the normalisation, counts.
    """

    config: AugmentationConfig
    triples: tuple[tuple[int, int, int], ...]
    counts_per_unit: Tensor
    mean: Tensor
    scale: Tensor


def make_augmenter(config: AugmentationConfig, contract: SensorContract, normalisation: Normalisation) -> Augmenter:
    """Prepare the augmentation of windows under a contract.

    Raises:
        ConfigError: the configuration asks for rotation, but no three channels form a triple of axes.
    """
    triples = axis_triples(contract)
    if config.rotation != "none" and not triples:
        raise ConfigError(
            f"augmentation.rotation is {config.rotation!r}, but the channels {list(contract.channel_names)} hold no x, "
            "y and z with one stem and one unit; name the axes so (ax, ay, az) or set rotation to 'none'"
        )
    return Augmenter(
        config=config,
        triples=triples,
        counts_per_unit=torch.tensor(
            [*contract.counts_per_unit, *(1.0 for _ in contract.magnitude_axes)], dtype=torch.float32
        ),
        mean=torch.tensor(normalisation.mean, dtype=torch.float32),
        scale=torch.tensor(normalisation.scale, dtype=torch.float32),
    )


def augment(x: Tensor, augmenter: Augmenter, generator: torch.Generator) -> Tensor:
    """Change each window at random, with draws of its own.

    Args:
        x: float32 [B, T, F], normalised features.
        augmenter: result of :func:`make_augmenter`.
        generator: source of every draw.

    Returns:
        float32 [B, T, F].
    """
    config = augmenter.config
    batch, _, num_features = x.shape
    if config.rotation != "none" or config.scale > 0:
        matrix, shift = _affine(batch, augmenter, generator)
        x = torch.baddbmm(shift[:, None, :], x, matrix.transpose(1, 2))
    if config.offset > 0:
        x = x + config.offset * torch.randn(batch, 1, num_features, generator=generator)
    if config.noise > 0:
        x = x + config.noise * torch.randn(x.shape, generator=generator)
    return x


def _affine(batch: int, augmenter: Augmenter, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A [B, F, F] and b [B, F] of the module's equation."""
    config, k, mean, scale = augmenter.config, augmenter.counts_per_unit, augmenter.mean, augmenter.scale
    physical = torch.eye(len(k)).repeat(batch, 1, 1)
    if config.rotation != "none":
        rotation = random_rotations(batch, config, generator)
        for triple in augmenter.triples:
            rows = torch.tensor(triple)
            physical[:, rows[:, None], rows[None, :]] = rotation
    if config.scale > 0:
        physical = physical * torch.exp(config.scale * torch.randn(batch, 1, 1, generator=generator))
    in_counts = k[:, None] * physical / k[None, :]
    matrix = in_counts * scale[None, :] / scale[:, None]
    return matrix, (in_counts @ mean - mean) / scale


def random_rotations(batch: int, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """Draw rotation matrices.

    Returns:
        float32 [B, 3, 3]. The axis is the vertical axis, or uniform on the sphere for ``any``; the angle is uniform in
        +-max_degrees. ``any`` with 180 degrees is uniform over all rotations (Shoemake 1992, random unit quaternions).
    """
    if config.rotation == "any" and config.max_degrees == 180.0:
        quaternion = torch.randn(batch, 4, generator=generator)
        return _rotation_of_quaternion(quaternion / quaternion.norm(dim=1, keepdim=True))
    if config.rotation == "any":
        axis = torch.randn(batch, 3, generator=generator)
        axis = axis / axis.norm(dim=1, keepdim=True)
    else:
        axis = torch.zeros(batch, 3)
        axis[:, AXES.index(config.vertical_axis)] = 1.0
    half_angle = torch.deg2rad((2 * torch.rand(batch, 1, generator=generator) - 1) * config.max_degrees) / 2
    return _rotation_of_quaternion(torch.cat([half_angle.cos(), half_angle.sin() * axis], dim=1))


def _rotation_of_quaternion(quaternion: Tensor) -> Tensor:
    """Convert unit quaternions (w, x, y, z) [B, 4] to rotation matrices [B, 3, 3]."""
    w, x, y, z = quaternion.unbind(dim=1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
