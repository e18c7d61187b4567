"""A head that learns, in numpy (SPEC.md, section 24): examples with a label correct the logits near them.

Every function is pure: it gives the next state and leaves the one before unchanged. All numbers are int64.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.fixed_point import LOGIT_FRAC_BITS, Int64, check_int32
from edge_seq.backends.decision import seen_q7
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.ir.range_proof import LEARNED_LOGIT_LIMIT, MAX_EXAMPLES, MAX_LEARNED_VALUES, STEP_LIMIT
from edge_seq.support.errors import DataError, ModelError

DEFAULT_EXAMPLES = 20
MARGIN = 1 << LOGIT_FRAC_BITS  # the right class should lead by this much, Q16
_HEAD, _CRC_BYTES = struct.Struct("<8s4H"), 4


@dataclass(frozen=True)
class Learned:
    """What a head has learned: a ring of N examples.

    Attributes:
        places: int64 [N, J], -128 to 127, Q7: what the head saw.
        labels: int64 [N], class that is raised near the place.
        rivals: int64 [N], class that is lowered as much.
        steps: int64 [N], 0 to 2^15, Q15, in logits; 0 for a place in the ring without an example.
        next: index of the example that is replaced next.
        samples: labelled samples so far, at most 65535; those that the head knew already left no example.
        in_use: True if logits are corrected, False if they are those of the factory.
    """

    places: Int64
    labels: Int64
    rivals: Int64
    steps: Int64
    next: int = 0
    samples: int = 0
    in_use: bool = True

    @property
    def held(self) -> int:
        """Number of examples in the ring."""
        return int((self.steps > 0).sum())


def radius_shift(values: int) -> int:
    """Shift r of the radius: an example reaches to an L1 distance of 2^r, Q7, the next power of two from 16 J on.

    >>> [radius_shift(values) for values in (1, 32, 33, 1024)]
    [4, 9, 10, 14]
    """
    return (16 * values - 1).bit_length()


def nothing_learned(model: IntModel, examples: int = DEFAULT_EXAMPLES) -> Learned:
    """A head that has learned nothing, with room for some examples.

    Args:
        model: integer model.
        examples: number of examples that it can hold, N, 1 to 255.

    Raises:
        ModelError: the head sees too many values, or those of all steps, which are not kept, or the number of examples
            is out of range.
    """
    if model.head_size > MAX_LEARNED_VALUES:
        raise ModelError(
            f"a head that learns, for {model.name}: its head sees {model.head_size:,} values; expected at most "
            f"{MAX_LEARNED_VALUES:,}. Use fewer units, or a dense layer before the head"
        )
    if model.readout.flattens and not model.dense:
        raise ModelError(
            f"a head that learns, for {model.name}: its head sees the states of all steps (flatten), which are not "
            "kept; put a dense layer before the head"
        )
    if not 1 <= examples <= MAX_EXAMPLES:
        raise ModelError(
            f"a head that learns, for {model.name}: room for {examples} examples; expected 1 to {MAX_EXAMPLES}"
        )
    zeros = np.zeros(examples, dtype=np.int64)
    return Learned(np.zeros((examples, model.head_size), dtype=np.int64), zeros, zeros, zeros)


def place_of(operands: Int64, parts: int = 1) -> Int64:
    """What a head that learns keeps of operands [B, J]: Q7 in 8 bits, -128 to 127.

    >>> place_of(np.array([[32767, -32768, 128, -128]])).tolist()
    [[127, -128, 127, -128]]
    """
    return np.minimum(seen_q7(operands, parts), 127)


def corrected(learned: Learned, logits: Int64, places: Int64) -> Int64:
    """Logits with what was learned.

    Args:
        learned: what the head has learned.
        logits: int64 [B, K], Q16, of the factory's head.
        places: int64 [B, J], from :func:`place_of`.

    Returns:
        int64 [B, K], Q16.
    """
    if not learned.in_use:
        return logits
    shift = radius_shift(learned.places.shape[1])
    distance = np.abs(places[:, np.newaxis] - learned.places).sum(axis=2)  # [B, N]
    closeness = np.maximum((1 << shift) - distance, 0)
    amount = check_int32(learned.steps * closeness, "an example's step times its closeness") >> (shift - 1)
    raised = np.eye(logits.shape[1], dtype=np.int64)
    change = amount @ (raised[learned.labels] - raised[learned.rivals])
    total = check_int32(logits + change, "a corrected logit")
    return np.clip(total, -LEARNED_LOGIT_LIMIT, LEARNED_LOGIT_LIMIT)


def learn(learned: Learned, logits: Int64, place: Int64, label: int) -> Learned:
    """Learn that a sample is of a class.

    Args:
        learned: what the head has learned so far.
        logits: int64 [K], Q16, of the latest label, as they were shown.
        place: int64 [J], from :func:`place_of`, at that label.
        label: class index of the sample, 0 to K - 1.

    >>> from dataclasses import replace
    >>> one = np.zeros(1, dtype=np.int64)
    >>> after = learn(Learned(np.zeros((1, 2), dtype=np.int64), one, one, one), np.array([0, 32768]), one, 0)
    >>> after.steps.tolist(), after.labels.tolist(), after.rivals.tolist(), after.samples
    ([24576], [0], [1], 1)
    """
    others = np.where(np.arange(len(logits)) == label, np.iinfo(np.int64).min, logits)
    rival = int(others.argmax())
    lead = max(int(logits[label]) - int(logits[rival]), -2 * MARGIN)
    step = min((MARGIN - lead) >> 2, STEP_LIMIT)
    learned = replace(learned, samples=min(learned.samples + 1, 65535), in_use=True)
    if step <= 0:
        return learned
    at, size = learned.next, len(learned.steps)
    arrays = {"places": place, "labels": label, "rivals": rival, "steps": step}
    changed = {}
    for name, value in arrays.items():
        changed[name] = getattr(learned, name).copy()
        changed[name][at] = value
    return replace(learned, **changed, next=(at + 1) % size)


# --------------------------------------------------------------------------------------------------------------- saving


def save_learned(model: IntModel, learned: Learned) -> bytes:
    """What was learned as bytes, the same on every machine (SPEC.md, section 24)."""
    size, values = learned.places.shape
    content = _HEAD.pack(bytes.fromhex(model_hash(model))[:8], learned.samples, values, size, learned.next)
    content += learned.steps.astype("<u2").tobytes() + learned.labels.astype("u1").tobytes()
    content += learned.rivals.astype("u1").tobytes() + learned.places.astype("i1").tobytes()
    return content + struct.pack("<I", zlib.crc32(content))


def saved_bytes(learned: Learned) -> int:
    """Number of bytes of :func:`save_learned`."""
    size, values = learned.places.shape
    return int(_HEAD.size + size * (values + 4) + _CRC_BYTES)


def restore_learned(model: IntModel, content: bytes, examples: int) -> Learned:
    """Inverse of :func:`save_learned`; the correction is switched on.

    Raises:
        DataError: the bytes are damaged, of another model, or of a head with room for another number of examples.
    """
    doing = f"restoring what a head has learned, for {model.name}"
    fresh = nothing_learned(model, examples)
    whole = saved_bytes(fresh)
    if len(content) != whole:
        raise DataError(
            f"{doing}: found {len(content):,} bytes; expected {whole:,}, for {examples} examples. Give what was saved "
            "with as many examples"
        )
    if zlib.crc32(content[:-_CRC_BYTES]) != struct.unpack("<I", content[-_CRC_BYTES:])[0]:
        raise DataError(f"{doing}: the checksum differs, so the bytes are damaged. Save it again on the device")
    prefix, samples, values, size, following = _HEAD.unpack_from(content)
    if prefix != bytes.fromhex(model_hash(model))[:8]:
        raise DataError(f"{doing}: it was learned with another model; give the model that it was learned with")
    at = _HEAD.size

    def take(dtype: str, count: int) -> NDArray[np.int64]:
        nonlocal at
        array = np.frombuffer(content, dtype=dtype, count=count, offset=at).astype(np.int64)
        at += count * np.dtype(dtype).itemsize
        return array

    steps, labels, rivals = take("<u2", examples), take("u1", examples), take("u1", examples)
    places = take("i1", fresh.places.size).reshape(fresh.places.shape)
    classes = max(int(labels.max()), int(rivals.max()))
    if (values, size) != fresh.places.shape[::-1] or following >= size:
        raise DataError(f"{doing}: its sizes do not fit. Give what was saved with this model")
    if steps.max() > STEP_LIMIT or classes >= model.num_classes:
        raise DataError(f"{doing}: a number is out of range, so somebody made it up. Save it again on the device")
    return Learned(places, labels, rivals, steps, following, samples)
