"""The decision stage: how labels, as they come, become something to act upon (SPEC.md, section 14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_seq.support.results import written

SCORE_LIMIT = 2**19  # scores are in [-SCORE_LIMIT, 0], Q16: a class can fall behind by odds of e^8 and no more
SMOOTHING_SHIFT_MAX = 8
MIN_LABELS_MAX = 255
DISTANCE_LIMIT = 2**18  # distances are in [0, DISTANCE_LIMIT], Q7: 1024 units, each at most 2 away
CENTROID_MIN, CENTROID_MAX = -128, 127


@dataclass(frozen=True)
class UnknownDistance:
    """Where what the head sees is farther from what is usual for its label than a radius, the decision is unknown.

    Attributes:
        centroids: [K][H], -128 to 127, Q7: what the head usually sees, unit by unit, where a label is right.
        radii: [K], 0 to 2^18, Q7: how far, in the sum of the units' magnitudes, it may be from the label's centroid.
    """

    centroids: tuple[tuple[int, ...], ...]
    radii: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """In flash: a byte a unit and class, four a radius."""
        return sum(map(len, self.centroids)) + 4 * len(self.radii)


@dataclass(frozen=True)
class DecisionStage:
    """Smoothing, hysteresis, minimum duration and "unknown", of logits that a temperature made comparable.

    Attributes:
        smoothing_shift: 0 to 8; each score moves by 1 / 2^smoothing_shift of the way to its new value at each label.
            0 does not smooth.
        hysteresis: 0 to 2^19, Q16; another class takes over only where it leads by so much: in logits, the logarithm of
            odds. 0 takes any lead.
        min_labels: 1 to 255; another decision must be asked for by so many labels in a row, so that each lasts at least
            as long. 1 follows at once.
        unknown_margin: 0 to 2^19, Q16; where the first class does not lead the second by so much, the decision is
            unknown. 0 never is.
        unknown_distance: makes it unknown by distance too; None does not.
    """

    smoothing_shift: int = 0
    hysteresis: int = 0
    min_labels: int = 1
    unknown_margin: int = 0
    unknown_distance: UnknownDistance | None = field(default=None, metadata=written(unless_none=True))

    def text(self) -> str:
        """Describe the settings in one sentence.

        >>> DecisionStage(smoothing_shift=2, hysteresis=1 << 16).text()
        'smoothing by 1/4, hysteresis 1 logits, at least 1 labels, unknown below 0 logits'
        """
        beyond = ""
        if self.unknown_distance is not None:
            radii = [radius / 128 for radius in self.unknown_distance.radii]
            beyond = f" or beyond its label's radius, {min(radii):.2f} to {max(radii):.2f}"
        return (
            f"smoothing by 1/{2**self.smoothing_shift}, hysteresis {self.hysteresis / 65536:g} logits, at least "
            f"{self.min_labels} labels, unknown below {self.unknown_margin / 65536:g} logits{beyond}"
        )
