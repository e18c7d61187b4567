"""A short soak test; `python -m tests.device.soak` runs it for any length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any
from unittest import mock

import numpy as np
import pytest

from edge_seq.device import follow, framing, line
from edge_seq.device.framing import Frame, encode_body, encode_frame
from edge_seq.device.messages import Type
from tests.device.faults import Faults, LineRecord
from tests.device.soak import soak_the_twin


def test_everything_accepted_is_right_and_every_loss_is_counted() -> None:
    result = soak_the_twin(samples=6000, requests=50)
    assert result.holds, result
    assert result.reconnects == 20
    assert result.lost > 0
    assert result.frame_errors > 50
    assert not replace(result, reconnects=19).holds
    assert not replace(result, memory_growth_bytes=100_000).holds


def loses_a_frame(split: Callable[..., framing.Split]) -> Callable[..., framing.Split]:
    turns = count(1)

    def lossy(*given: Any, **options: Any) -> framing.Split:
        found = split(*given, **options)
        return replace(found, frames=found.frames[1:]) if next(turns) % 100 == 0 else found

    return lossy


def skips_the_checksum(split: Callable[..., framing.Split]) -> Callable[..., framing.Split]:
    decode = framing.decode_frame

    def trusting(encoded: bytes, **options: Any) -> Frame:
        try:
            return decode(encoded, **options)
        except framing.FrameFaultError as error:
            body = framing.cobs.decode(encoded) if error.fault == "crc" else b"\0\0"
            if body[1] != Type.SAMPLES or len(body) != 18 + 6 * int.from_bytes(body[12:14], "little"):
                raise
            return Frame(body[1], int.from_bytes(body[2:4], "little"), body[4:-4], body[0])

    def of_the_client_alone(*given: Any, **options: Any) -> framing.Split:
        with mock.patch.object(framing, "decode_frame", trusting):
            return split(*given, **options)

    return of_the_client_alone


def forgets_a_loss(take: Callable[..., Any]) -> Callable[..., Any]:
    def silent(self: Any, frame: Frame) -> Any:
        found = take(self, frame)
        return replace(found, lost=0) if isinstance(found, follow.SampleBlock) and found.lost == 8 else found

    return silent


@pytest.mark.parametrize(
    ("owner", "name", "plant", "seen_in"),
    [
        (line, "split_frames", loses_a_frame, ("missed", "frames_off", "uncounted")),
        (line, "split_frames", skips_the_checksum, ("wrong", "invented", "frames_off")),
        (follow.Follow, "take", forgets_a_loss, ("uncounted",)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_client_that_loses_or_invents_is_found(
    owner: Any, name: str, plant: Callable[..., Any], seen_in: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, plant(getattr(owner, name)))
    result = soak_the_twin(samples=2500, requests=0)
    assert not result.holds
    assert all(getattr(result, field) > 0 for field in seen_in), result


def test_the_record_knows_what_left_the_line_whole() -> None:
    """Checks against another decoder: any damage gives the same frames and the same number of faults."""
    rng = np.random.default_rng(1)
    faults = Faults(change=0.005, drop=0.005, double=0.005, insert=0.005)
    record, rest, frames, errors = LineRecord(1), b"", 0, 0
    for _ in range(400):
        sent = encode_frame(encode_body(Frame(1, 2, rng.integers(0, 3, rng.integers(0, 30), dtype=np.uint8).tobytes())))
        came = faults.spoil(sent)
        record.pass_on(sent, came)
        split = framing.split_frames(rest, came)
        rest, frames, errors = split.rest, frames + len(split.frames), errors + len(split.faults)
    assert (record.whole, record.damaged) == (frames, errors)
    assert 100 < frames < 300
