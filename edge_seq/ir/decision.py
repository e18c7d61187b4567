"""The decision stage: turns the model's labels into stable decisions (SPEC.md, section 14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_seq.support.results import written

SCORE_LIMIT = 2**19  # scores are in [-SCORE_LIMIT, 0], Q16: a class falls behind by odds of at most e^8
SMOOTHING_SHIFT_MAX = 8
MIN_LABELS_MAX = 255
DISTANCE_LIMIT = 2**18  # distances are in [0, DISTANCE_LIMIT], Q7: at most 1024 units, each at most 2 away
CENTROID_MIN, CENTROID_MAX = -128, 127


@dataclass(frozen=True)
class UnknownDistance:
    """Distance rule: the decision is unknown if the head's input is farther than a radius from its label's centroid.

    Attributes:
        centroids: [K][H], -128 to 127, Q7: usual input of the head for each label if the label is right.
        radii: [K], 0 to 2^18, Q7: largest L1 distance to the label's centroid that is not unknown.
    """

    centroids: tuple[tuple[int, ...], ...]
    radii: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Size in flash, bytes: one per unit and class, four per radius."""
        return sum(map(len, self.centroids)) + 4 * len(self.radii)


@dataclass(frozen=True)
class DecisionStage:
    """Smoothing, hysteresis, minimum duration and "unknown" for logits, which a temperature made comparable.

    Attributes:
        smoothing_shift: 0 to 8. At each label, each score moves by 1 / 2^smoothing_shift of the way to its new value. 0
            does not smooth.
        hysteresis: 0 to 2^19, Q16. Another class takes over only if it leads by at least this much, in logits (the
            logarithm of odds). With 0, any lead is enough.
        min_labels: 1 to 255. The decision changes only after this many consecutive labels ask for the same change.
            With 1 it changes at once.
        unknown_margin: 0 to 2^19, Q16. The decision is unknown if the first class leads the second by less than this.
            With 0 it is never unknown by margin.
        unknown_distance: distance rule that also makes the decision unknown; None for no such rule.
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
