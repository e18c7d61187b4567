"""Checksums of a model's constants, which ``es_check_constants`` compares on the device (SPEC.md, section 13)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.ir.model import IntModel
from firmware_export.emission.layout import BLOCK_BYTES, PackedModel, PackedRows

ELEMENT_BYTES = {"ES_INT8": 1, "ES_INT16": 2, "ES_INT32": 4, "ES_BLOCK": BLOCK_BYTES}  # their numbers in edge_seq.h


@dataclass(frozen=True)
class ConstantArray:
    """A large table of a model's C source.

    Attributes:
        name: name of the array in C.
        element: macro for the type of its elements: ``ES_INT8``, ``ES_INT16``, ``ES_INT32`` or ``ES_BLOCK``.
        content: values in order, little-endian; a block is four biases, then four multipliers.
    """

    name: str
    element: str
    content: bytes

    @property
    def count(self) -> int:
        """Number of elements."""
        return len(self.content) // ELEMENT_BYTES[self.element]


def _of_numbers(name: str, bits: int, values: Iterable[int] | NDArray[Any]) -> ConstantArray:
    numbers = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    return ConstantArray(name, f"ES_INT{bits}", numbers.astype(f"<i{bits // 8}").tobytes())


def _of_rows(prefix: str, rows: PackedRows) -> list[ConstantArray]:
    blocks = b"".join(
        bias.astype("<i4").tobytes() + multiplier.astype("<i2").tobytes()
        for bias, multiplier in zip(rows.bias, rows.multiplier, strict=True)
    )
    return [_of_numbers(f"{prefix}_weights", 16, rows.weights), ConstantArray(f"{prefix}_blocks", "ES_BLOCK", blocks)]


def constant_arrays(model: IntModel, packed: PackedModel) -> list[ConstantArray]:
    """All large tables of a model, in the order of their definitions in its source.

    Args:
        model: integer model.
        packed: its rows, from :func:`firmware_export.emission.layout.pack_model`.
    """
    name, stage = model.name, model.readout.decision
    arrays = [array for index, rows in enumerate(packed.layers) for array in _of_rows(f"{name}_layer{index}", rows)]
    arrays += [array for index, rows in packed.front.items() for array in _of_rows(f"{name}_front{index}", rows)]
    arrays += [array for index, rows in enumerate(packed.dense) for array in _of_rows(f"{name}_dense{index}", rows)]
    arrays += _of_rows(f"{name}_head", packed.head)
    if model.number_format.pool_reciprocals:
        arrays.append(_of_numbers(f"{name}_pool_reciprocals", 16, model.number_format.pool_reciprocals))
    if stage is not None and stage.unknown_distance is not None:
        distance = stage.unknown_distance
        flat = [value for row in distance.centroids for value in row]
        arrays += [_of_numbers(f"{name}_centroids", 8, flat), _of_numbers(f"{name}_radii", 32, distance.radii)]
    return arrays


def _words(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack("<H", number % 2**16) for number in numbers)


def sizes_crc(model_numbers: Sequence[int], arrays: Sequence[ConstantArray]) -> int:
    """CRC-32 of the numbers of ``es_model_t`` and of ``es_chain_t``, in their order, and of the number of arrays."""
    return zlib.crc32(_words([*model_numbers, len(arrays)]))


def label_bytes(labels: Iterable[str]) -> list[int]:
    """Bytes of each label in UTF-8, with the zero at its end."""
    return [len(label.encode("utf-8")) + 1 for label in labels]


def input_shifts(model: IntModel) -> tuple[int, ...]:
    """Elements of ``input_shift`` of ``es_model_t``: the shift of each feature. With magnitudes, of which a step knows
    nothing, zeros for the step come first, and the channels of each magnitude last."""
    shifts, axes = model.number_format.input_shift, model.contract.magnitude_axes
    if not axes:
        return shifts
    return (*((0,) * model.num_channels), *shifts, *(channel for triple in axes for channel in triple))


def list_crc(labels: Iterable[str], arrays: Sequence[ConstantArray]) -> int:
    """CRC-32 of the bytes of each label, then of each array's count and type."""
    listed = [struct.pack("<IH", array.count, ELEMENT_BYTES[array.element]) for array in arrays]
    return zlib.crc32(b"".join([_words(label_bytes(labels)), *listed]))


def constants_crc(
    model: IntModel, layer_numbers: Iterable[Sequence[int]], digest: str, arrays: Iterable[ConstantArray]
) -> int:
    """CRC-32 of everything else.

    Args:
        model: integer model.
        layer_numbers: numbers of ``es_layer_t``, in their order, for each layer and each dense layer, then those of
            ``es_front_t`` and the pad for each front layer.
        digest: SHA-256 of the model, hexadecimal.
        arrays: its large tables.
    """
    stage = model.readout.decision
    parts = [_words(numbers) for numbers in layer_numbers]
    if stage is not None:
        parts.append(
            struct.pack("<iiHH", stage.hysteresis, stage.unknown_margin, stage.smoothing_shift, stage.min_labels)
        )
    parts += [_words(input_shifts(model)), bytes.fromhex(digest)]
    parts += [label.encode("utf-8") + b"\0" for label in model.labels]
    return zlib.crc32(b"".join([*parts, *(array.content for array in arrays)]))
