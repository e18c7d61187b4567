"""The scaler that a user applied before the network: mean and scale of each channel, in the contract's units."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.frontends.opening import model_bytes, reading_model
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.support.errors import ConfigError
from edge_seq.support.opening import parse_json, parse_tensors

MAX_ARRAY_BYTES = 1 << 20
MEAN_NAMES, SCALE_NAMES = ("mean", "mean_"), ("scale", "scale_", "std", "std_")
# Features of which the mean or the standard deviation lies outside are rarely what a network was trained on.
LARGEST_MEAN, SMALLEST_SPREAD, LARGEST_SPREAD = 3.0, 0.1, 10.0


def parse_numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers of an option, separated by commas.

    Raises:
        ConfigError: one is no number.

    >>> parse_numbers("0.1, -2, 9.81", "--mean")
    (0.1, -2.0, 9.81)
    """
    try:
        if "_" in text or not text.isascii():  # float takes 1_5 for 15, and digits of all scripts
            raise ValueError(text)
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{option} {text!r}: expected numbers with commas between them, one a channel or one"
        ) from error


def read_scaler(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read mean and scale from a ``.json``, ``.npz`` or ``.safetensors`` file.

    The names are ``mean`` and ``scale`` (or ``std``), or scikit-learn's ``mean_`` and ``scale_``.

    Raises:
        ConfigError: the file is of another kind, lacks one of the two, or they are no numbers.
        ModelError: the file is damaged.
    """
    content = model_bytes(path)
    table: dict[str, Any]
    with reading_model(path.name, "a scaler"):
        match path.suffix.lower():
            case ".json":
                table = dict(parse_json(content))
            case ".npz":
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    largest = max((one.file_size for one in archive.infolist()), default=0)
                if largest > MAX_ARRAY_BYTES:
                    raise ConfigError(
                        f"scaler {path.name}: an array in it has {largest:,} bytes, expected at most "
                        f"{MAX_ARRAY_BYTES:,}; write mean and scale alone with numpy.savez"
                    )
                with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                    table = {name: arrays[name] for name in arrays.files if name in (*MEAN_NAMES, *SCALE_NAMES)}
            case ".safetensors":
                table = dict(parse_tensors(content)[0])
            case suffix:
                raise ConfigError(
                    f"scaler {path.name}: files {suffix} are not read; expected .json, .npz or .safetensors with mean "
                    "and scale. A pickle or joblib file runs code: write scaler.mean_ and scaler.scale_ by numpy.savez"
                )
        found = {
            name: np.asarray(table[name])
            for names in (MEAN_NAMES, SCALE_NAMES)
            for name in [one for one in names if one in table][:1]
        }
    if len(found) < 2:
        raise ConfigError(f"scaler {path.name}: it holds {sorted(table)}; expected mean and scale (or std)")
    for name, values in found.items():
        if values.dtype.kind not in "iuf":  # numpy makes numbers of texts, dates and complex ones
            raise ConfigError(f"scaler {path.name}: {name} is of type {values.dtype}; expected numbers")
    mean, scale = (tuple(values.astype(np.float64).reshape(-1).tolist()) for values in found.values())
    return mean, scale


def scaler_in_counts(
    contract: SensorContract, mean: Sequence[float] | None, scale: Sequence[float] | None
) -> Normalisation:
    """The scaler in counts: the network sees (counts - mean) / scale.

    Args:
        contract: sensor contract; its units are those of ``mean`` and ``scale``.
        mean: one for each channel, or one for all; None for 0.
        scale: one for each channel, or one for all; None for 1.

    Raises:
        ConfigError: the number of values is neither one nor that of the channels, or a scale is not positive.

    >>> from edge_seq.ir.contract import Channel
    >>> axes = tuple(Channel(name, "g", 8192.0, 4.0) for name in "xyz")
    >>> scaler_in_counts(SensorContract(50.0, axes, 100, 50), [0.0, 0.0, 1.0], [0.5])
    Normalisation(mean=(0.0, 0.0, 8192.0), scale=(4096.0, 4096.0, 4096.0))
    """
    per_unit = contract.counts_per_unit
    means, scales = (
        _per_channel(contract, values, name, default)
        for values, name, default in ((mean, "mean", 0.0), (scale, "scale", 1.0))
    )
    if not (np.isfinite(means).all() and np.isfinite(scales).all() and (scales > 0).all()):
        raise ConfigError(
            f"scaler: mean {means.tolist()}, scale {scales.tolist()}; expected finite numbers, scales above 0"
        )
    return Normalisation(tuple((means * per_unit).tolist()), tuple((scales * per_unit).tolist()))


def _per_channel(
    contract: SensorContract, values: Sequence[float] | None, name: str, default: float
) -> NDArray[np.float64]:
    channels = contract.num_channels
    given = np.array([default] if values is None else list(values), dtype=np.float64)
    if len(given) not in (1, channels):
        raise ConfigError(
            f"scaler: {name} has {len(given)} values; expected one for each of the {channels} channels "
            f"{list(contract.channel_names)}, or one for all. A scaler of whole windows, with a value for each sample, "
            "cannot be folded: train with one value a channel"
        )
    return np.broadcast_to(given, (channels,)).astype(np.float64)


def warn_of_scale(features: NDArray[np.float32], contract: SensorContract) -> str | None:
    """Warn of features that are far from unit scale, as they are where a scaler outside the file was forgotten.

    Args:
        features: float32 [B, T, C], what the first layer sees.
        contract: sensor contract, for the names of the channels.
    """
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    far = [
        f"{channel.name} {m:.3g} ± {s:.3g}"
        for channel, m, s in zip(contract.channels, mean, spread, strict=True)
        if abs(m) > LARGEST_MEAN or not SMALLEST_SPREAD <= s <= LARGEST_SPREAD
    ]
    if not far:
        return None
    return (
        f"what the first layer gets is far from unit scale on the calibration data (mean ± standard deviation: "
        f"{', '.join(far)}). If a scaler was applied before the network, give it with --mean and --scale, or --scaler; "
        "if not, check the units of the data source"
    )
