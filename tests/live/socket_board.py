"""A simulated device behind a socket, which processes open as a port by pyserial's ``socket://`` URLs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from edge_seq.device.twin import FIFO_SAMPLES, Twin
from edge_seq.ir.model import IntModel

JUMP_AT_S = 0.2


class _Sensor:
    """Gives its first sample when the stream begins, and never more at once than the FIFO keeps: a stall loses none."""

    def __init__(self, rate_hz: float, jump: int) -> None:
        self._rate_hz, self._jump, self._given = rate_hz, jump, 0
        self._began: float | None = None

    def begin(self) -> None:
        self._began = self._began or time.monotonic()

    def __call__(self) -> int:
        if self._began is None:
            return 0
        seconds = time.monotonic() - self._began
        self._given = min(int(seconds * self._rate_hz), self._given + FIFO_SAMPLES)
        return self._given + (self._jump if seconds > JUMP_AT_S else 0)


@contextmanager
def socket_board(model: IntModel, recording: NDArray[np.int16], *, rate_hz: float, jump: int = 0) -> Iterator[str]:
    """Start a board whose sensor gives its first sample when the stream begins; returns its port.

    Args:
        model: model of the board.
        recording: counts of the sensor, int16 [n, C], played in a loop.
        rate_hz: sample rate of the sensor, Hz.
        jump: number of samples that come at once after :data:`JUMP_AT_S`, more than the board keeps.
    """
    sensor = _Sensor(rate_hz, jump)
    twin = Twin(model, recording=recording, samples_so_far=sensor)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stopping = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.settimeout(0.002)
        while not stopping.is_set():
            data = b""
            try:
                data = connection.recv(4096)
                if not data:
                    return
            except TimeoutError:
                pass
            sent = twin.receive(data)
            if twin._flags:
                sensor.begin()
            if sent:
                connection.sendall(sent)

    def accept() -> None:
        while not stopping.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        thread.join(timeout=5)
        listener.close()
