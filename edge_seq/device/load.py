"""Sends a model to a device: pages that it has already are not sent again."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from edge_seq.device import messages
from edge_seq.device.line import Line
from edge_seq.device.messages import ModelSlots, SelfTest, Type
from edge_seq.support.errors import DeviceError

_SELF_TEST_FAILED, _OTHER_BYTE_ORDER, _OTHER_CONTRACT = 7, 10, 11  # es_status_t


@dataclass(frozen=True)
class ModelLoad:
    """Result of loading a model to a device.

    Attributes:
        blob_bytes: size of the blob.
        sent_bytes: bytes of it that were sent; fewer if an earlier load was interrupted.
    """

    blob_bytes: int
    sent_bytes: int


def load_model(
    line: Line,
    blob: bytes,
    slots: ModelSlots,
    *,
    room_bytes: int,
    any_contract: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> ModelLoad:
    """Send a model to the slot that is not in use; see :meth:`edge_seq.device.client.Device.load_model`.

    Args:
        line: line to the device.
        blob: content of the file from ``edge-seq export --blob``.
        slots: the device's flash for models.
        room_bytes: largest number of bytes of a message's fields.
        any_contract: load it also if its sample rate, channels or labels are not those of the firmware.
        progress: called with the number of bytes that the device has.

    Raises:
        DeviceError: the blob does not fit, or the device refuses it.
    """
    if len(blob) > slots.blob_bytes:
        raise DeviceError(
            f"loading a model to {line.name}: the blob has {len(blob):,} bytes, a slot of the board takes "
            f"{slots.blob_bytes:,}. Train a smaller model, or give the firmware larger slots"
        )
    begun = _matching(line, blob, slots)
    sent = _send(line, blob, slots, room_bytes, begun, progress)
    result = _commit(line, blob, any_contract)
    if result.status == messages.FLASH_FAULT and begun:  # the slot's first page is not the start of this load
        sent += _send(line, blob, slots, room_bytes, 0, progress)
        result = _commit(line, blob, any_contract)
    if not result.passed:
        _refuse(line, result.status, "" if result.status != _SELF_TEST_FAILED else f" ({result.fault})")
    return ModelLoad(len(blob), sent)


def _matching(line: Line, blob: bytes, slots: ModelSlots) -> int:
    """Bytes of the blob that the slot already holds, in whole pages."""
    begun, end = 0, slots.page_bytes - messages.SLOT_HEADER_BYTES
    while begun < end <= len(blob):
        fields = line.request(
            Type.MODEL_CHECK,
            messages.pack_model_check(begun, end - begun),
            timeout_s=line.timing.self_test_timeout_s,
        )
        if messages.unpack_model_check(fields) != zlib.crc32(blob[begun:end]):
            break
        begun, end = end, end + slots.page_bytes
    return begun


def _send(
    line: Line, blob: bytes, slots: ModelSlots, room_bytes: int, begun: int, progress: Callable[[int], None]
) -> int:
    step = (room_bytes - 4) // slots.write_bytes * slots.write_bytes
    for offset in range(begun, len(blob), step):
        part = blob[offset : offset + step]
        fields = line.request(
            Type.MODEL_WRITE, messages.pack_part(offset, part), timeout_s=line.timing.self_test_timeout_s
        )
        if status := messages.unpack_model_written(fields):
            _refuse(line, status, f" (at byte {offset:,})")
        progress(offset + len(part))
    return len(blob) - begun


def _commit(line: Line, blob: bytes, any_contract: bool) -> SelfTest:
    fields = messages.pack_model_commit(len(blob), any_contract=any_contract)
    reply = line.request(Type.MODEL_COMMIT, fields, timeout_s=line.timing.self_test_timeout_s)
    return messages.unpack_self_test(reply)


def _refuse(line: Line, status: int, where: str) -> NoReturn:
    fault = messages.MODEL_FAULTS.get(status, f"status {status}")
    hint = {
        _OTHER_CONTRACT: "To load it all the same, give --any-contract",
        _OTHER_BYTE_ORDER: "Export it with --blob big (or little)",
    }.get(status, "Load it again, or export it with this release of edge_seq")
    raise DeviceError(
        f"loading a model to {line.name}: the board refuses it: {fault}{where}. The board keeps its model. {hint}"
    )
