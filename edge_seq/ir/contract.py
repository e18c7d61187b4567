"""The sensor contract: what a model expects of its input data, written down once.

Most failures in the field are a wrong unit, rate or axis, not wrong arithmetic. The contract is therefore part of every
data set and every model. It is checked when a file is read, when a stream starts and on the device.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edge_seq.support.errors import ContractError
from edge_seq.support.names import check_name
from edge_seq.support.results import to_plain, written

Unit = Literal["m/s^2", "g", "mg", "rad/s", "deg/s", "uT", "counts"]
PreprocessingStep = Literal["none", "difference", "remove_gravity"]

COUNT_MIN, COUNT_MAX = -32768, 32767
MAX_CHANNELS = 64
MAX_WINDOW_LENGTH = 16383
MIN_COMPANDING, MAX_COMPANDING = 1, 14  # |feature| + 2^companding fits 16 bits without a sign
MIN_RATE_HZ, MAX_RATE_HZ = 1e-3, 1e6  # one sample in 17 minutes to the fastest converters; times stay finite


@dataclass(frozen=True)
class Channel:
    """One axis of the sensor.

    Attributes:
        name: column name, for example ``ax``.
        unit: physical unit of the recordings; ``counts`` if they hold raw counts.
        counts_per_unit: raw counts of the sensor for one unit; 1 if the unit is ``counts``.
        full_scale: largest magnitude that the sensor measures, in ``unit``; larger values saturate, as in the sensor.
    """

    name: str
    unit: Unit
    counts_per_unit: float
    full_scale: float

    @property
    def count_limit(self) -> int:
        """Largest magnitude in counts: ``round(full_scale * counts_per_unit)``, at most 32767."""
        return round(min(float(COUNT_MAX), self.full_scale * self.counts_per_unit))


@dataclass(frozen=True)
class Preprocessing:
    """Integer preprocessing of raw counts before the first layer, the same in training, ONNX and C.

    Attributes:
        step: ``none``; ``difference``, x[t] - x[t-1], and 0 for the first sample after a reset, so that a constant
            offset cancels; ``remove_gravity``, x[t] minus a one-pole low-pass of x that starts at the first sample and
            has a time constant of 2^gravity_shift samples.
        gravity_shift: shift of the low-pass, 1 to 12; used only by ``remove_gravity``.
        companding: number k of bits, 1 to 14, if features then go through a logarithm: linear well below 2^k counts,
            and 2048 more for each doubling well above. None leaves it out.
        magnitude: True if features follow for each three axes of the channels: the length of the vector of what the
            step gives, floor(sqrt(x^2 + y^2 + z^2)), at most 32767. It does not change when the sensor is turned.
    """

    step: PreprocessingStep = "none"
    gravity_shift: int = 6
    companding: int | None = field(default=None, metadata=written(unless_none=True))
    magnitude: bool = field(default=False, metadata=written(unless_false=True))

    @property
    def text(self) -> str:
        """The preprocessing as a device tells it.

        >>> Preprocessing("remove_gravity", 6, companding=5).text, Preprocessing().text
        ('remove_gravity, shift 6, companding 5', 'none')
        >>> Preprocessing("difference", companding=5, magnitude=True).text
        'difference, magnitude, companding 5'
        """
        parts: list[str] = [self.step]
        parts += [f"shift {self.gravity_shift}"] if self.step == "remove_gravity" else []
        parts += ["magnitude"] if self.magnitude else []
        parts += [f"companding {self.companding}"] if self.companding is not None else []
        return ", ".join(parts)

    @staticmethod
    def from_text(text: str) -> Preprocessing:
        """Inverse of :attr:`text`. The fields are not verified, but for those that are numbers.

        Raises:
            ContractError: the text is not written like that.

        >>> Preprocessing.from_text("difference, companding 5")
        Preprocessing(step='difference', gravity_shift=6, companding=5, magnitude=False)
        """
        found = re.fullmatch(r"([^,]*)(?:, shift (\d{1,2}))?(, magnitude)?(?:, companding (\d{1,2}))?", text)
        if found is None:
            raise ContractError(
                f"sensor contract: preprocessing {text!r} is not known to this version of edge_seq; expected a step, "
                "then a shift, magnitude or a companding"
            )
        step, shift, magnitude, companding = found.groups()
        return Preprocessing(
            cast(PreprocessingStep, step),
            int(shift) if shift else 6,
            int(companding) if companding else None,
            magnitude is not None,
        )


@dataclass(frozen=True)
class Normalisation:
    """Normalisation per feature: (preprocessed counts - mean) / scale.

    An integer model has it folded into its first layer.

    Attributes:
        mean: mean of each feature, [F], counts.
        scale: scale of each feature, [F], counts, positive.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class SensorContract:
    """Everything a model assumes about its input.

    Attributes:
        sample_rate_hz: sample rate, Hz.
        channels: channels, in the order of the model's input.
        window_length: samples in a window, T.
        window_stride: samples from the start of one training window to the next.
        preprocessing: integer step before the first layer.
    """

    sample_rate_hz: float
    channels: tuple[Channel, ...]
    window_length: int
    window_stride: int
    preprocessing: Preprocessing = Preprocessing()

    @property
    def num_channels(self) -> int:
        """Number of channels, C."""
        return len(self.channels)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels in the model's order."""
        return tuple(channel.name for channel in self.channels)

    @cached_property
    def magnitude_axes(self) -> tuple[tuple[int, int, int], ...]:
        """Channel indices of the three axes of each magnitude that is a feature; none without ``magnitude``."""
        return axis_triples(self) if self.preprocessing.magnitude else ()

    @property
    def num_features(self) -> int:
        """Number of features, F: one of each channel, then the magnitudes."""
        return self.num_channels + len(self.magnitude_axes)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features: those of the channels, then of the magnitudes.

        >>> axes = tuple(Channel(name, "g", 8192, 4) for name in ("ax", "ay", "az"))
        >>> SensorContract(100.0, axes, 50, 25, Preprocessing(magnitude=True)).feature_names
        ('ax', 'ay', 'az', '|ax ay az|')
        """
        names = self.channel_names
        return names + tuple(f"|{' '.join(names[axis] for axis in triple)}|" for triple in self.magnitude_axes)

    @cached_property
    def counts_per_unit(self) -> NDArray[np.float64]:
        """Raw counts for one unit of each channel, float64 [C]."""
        return np.array([channel.counts_per_unit for channel in self.channels], dtype=np.float64)

    @cached_property
    def count_limits(self) -> NDArray[np.float64]:
        """Largest magnitude of each channel in counts, float64 [C]."""
        return np.array([channel.count_limit for channel in self.channels], dtype=np.float64)


AXES = "xyz"


def axis_triples(contract: SensorContract) -> tuple[tuple[int, int, int], ...]:
    """Find the channel indices of each x, y, z that share a name stem and a unit, for example ax, ay, az.

    The names differ in one letter only, which is the last one, the first one or a word: ``ax``, ``gyro_x``, ``x``,
    ``x_acc`` and ``accel_x_cal`` all count.
    """
    by_name = {channel.name.lower(): index for index, channel in enumerate(contract.channels)}
    triples = []
    for name, index in by_name.items():
        candidates = []
        if name.endswith("x"):
            candidates.append([name[:-1] + axis for axis in AXES])
        if name.startswith("x") and len(name) > 1:
            candidates.append([axis + name[1:] for axis in AXES])
        for word in re.finditer(r"(?<=[\W_])x(?=[\W_])", name):
            candidates.append([name[: word.start()] + axis + name[word.end() :] for axis in AXES])
        for names in candidates:
            units = {contract.channels[by_name[n]].unit for n in names if n in by_name}
            if all(n in by_name for n in names) and len(units) == 1:
                triples.append((index, by_name[names[1]], by_name[names[2]]))
                break
    return tuple(triples)


def why_no_magnitude(contract: SensorContract) -> str:
    """Why a contract cannot have magnitudes as features, and what to do; empty if it can.

    The length of a vector of counts is that of a physical vector only if its axes have one scale.
    """
    triples, channels = axis_triples(contract), contract.channels
    if not triples:
        return (
            f"the channels {list(contract.channel_names)} hold no x, y and z with one stem and one unit; name the axes "
            "so (ax, ay, az), or leave magnitude out"
        )
    for triple in triples:
        scales = [channels[axis].counts_per_unit for axis in triple]
        if len(set(scales)) > 1:
            return (
                f"the channels {[channels[axis].name for axis in triple]} have the counts_per_unit {scales}; give them "
                "one scale, or leave magnitude out"
            )
    return ""


def verify_contract(contract: SensorContract) -> None:
    """Check every invariant of a contract.

    Raises:
        ContractError: an invariant is broken; the message names the field, the value found and the values allowed.
    """

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise ContractError(f"sensor contract: {message}")

    require(
        MIN_RATE_HZ <= contract.sample_rate_hz <= MAX_RATE_HZ,
        f"sample_rate_hz is {contract.sample_rate_hz}; give {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} samples a second",
    )
    require(
        1 <= contract.num_channels <= MAX_CHANNELS,
        f"{contract.num_channels} channels; give 1 to {MAX_CHANNELS}",
    )
    names = contract.channel_names
    require(len(set(names)) == len(names), f"channel names {list(names)} repeat; give each channel a name of its own")
    for channel in contract.channels:
        require(bool(channel.name), "a channel has an empty name; name it as the column of the data is named")
        check_name(
            channel.name,
            ContractError,
            what="sensor contract: channel",
            remedy="Rename the column, or name the channel otherwise and give its column",
        )
        require(
            channel.unit in get_args(Unit),
            f"channel {channel.name}: unit {channel.unit!r} is unknown; give one of {list(get_args(Unit))}",
        )
        for limited in ("counts_per_unit", "full_scale"):
            value = getattr(channel, limited)
            require(
                math.isfinite(value) and value > 0,
                f"channel {channel.name}: {limited} is {value}; give a positive number",
            )
        require(
            channel.unit != "counts" or channel.counts_per_unit == 1,
            f"channel {channel.name}: counts_per_unit is {channel.counts_per_unit} where the unit is counts; give 1",
        )
        require(
            channel.count_limit >= 1,
            f"channel {channel.name}: full_scale {channel.full_scale} {channel.unit} at {channel.counts_per_unit} "
            "counts a unit is below one count; raise counts_per_unit",
        )
    for name, value in (
        ("window_length", contract.window_length),
        ("window_stride", contract.window_stride),
        ("gravity_shift", contract.preprocessing.gravity_shift),
    ):
        require(isinstance(value, int), f"{name} is {value!r}, a {type(value).__name__}; give a whole number (int)")
    require(
        1 <= contract.window_length <= MAX_WINDOW_LENGTH,
        f"window_length is {contract.window_length}; give 1 to {MAX_WINDOW_LENGTH} samples",
    )
    require(contract.window_stride >= 1, f"window_stride is {contract.window_stride}; give at least 1 sample")
    require(
        contract.preprocessing.step in get_args(PreprocessingStep),
        f"preprocessing step {contract.preprocessing.step!r} is unknown; give one of "
        f"{list(get_args(PreprocessingStep))}",
    )
    require(
        1 <= contract.preprocessing.gravity_shift <= 12,
        f"gravity_shift is {contract.preprocessing.gravity_shift}; give 1 to 12",
    )
    companding = contract.preprocessing.companding
    require(
        companding is None or (type(companding) is int and MIN_COMPANDING <= companding <= MAX_COMPANDING),
        f"companding is {companding!r}; give a whole number of bits, {MIN_COMPANDING} to {MAX_COMPANDING}, or leave it "
        "out",
    )
    magnitude = contract.preprocessing.magnitude
    require(isinstance(magnitude, bool), f"magnitude is {magnitude!r}; give true or false")
    why = why_no_magnitude(contract) if magnitude else ""
    require(not why, f"magnitude: {why}")


def to_counts(values: NDArray[np.floating[Any]], contract: SensorContract) -> NDArray[np.int16]:
    """Convert physical values to the counts that the sensor would give: scaled, rounded half to even, saturated.

    Args:
        values: physical values, float [..., C], in each channel's unit.
        contract: sensor contract with counts per unit and full scale of each channel.

    Returns:
        int16 [..., C].

    >>> axis = Channel("ax", "g", counts_per_unit=8192, full_scale=2)
    >>> contract = SensorContract(100.0, (axis,), window_length=50, window_stride=25)
    >>> to_counts(np.array([[0.5], [-3.0]]), contract).tolist()
    [[4096], [-16384]]
    """
    limits = contract.count_limits
    counts = np.rint(np.asarray(values, dtype=np.float64) * contract.counts_per_unit)
    # two steps are a third of the time of np.clip for one sample
    return np.minimum(np.maximum(counts, -limits), limits).astype(np.int16)


def contract_to_dict(contract: SensorContract) -> dict[str, Any]:
    """The contract as plain dictionaries, lists, numbers and strings, ready for JSON.

    A companding or a magnitude that there is not is left out, so that hashes and files of contracts without one do not
    change.
    """
    return dict(to_plain(contract))


def contract_from_dict(data: dict[str, Any]) -> SensorContract:
    """Inverse of :func:`contract_to_dict`. The contract is verified.

    Raises:
        ContractError: a field is missing, unknown or out of range.
    """
    try:
        contract = SensorContract(
            **{
                **data,
                "channels": tuple(Channel(**channel) for channel in data["channels"]),
                "preprocessing": Preprocessing(**data["preprocessing"]),
            }
        )
        verify_contract(contract)
    except (AttributeError, KeyError, TypeError) as error:
        raise ContractError(
            f"sensor contract cannot be read: {error}; expected the fields of SensorContract"
        ) from error
    return contract
