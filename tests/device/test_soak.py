"""The soak in short; `python -m tests.device.soak` runs it as long as one likes."""

from __future__ import annotations

from tests.device.soak import soak_the_twin


def test_everything_accepted_is_right_and_every_loss_is_counted() -> None:
    result = soak_the_twin(samples=8000, requests=50)
    assert result.holds, result
    assert result.reconnects == 20
    assert result.lost > 0
    assert result.frame_errors > 50
