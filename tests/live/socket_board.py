"""A twin of the device behind a socket: the serial port of pyserial's ``socket://`` URLs, for processes to open."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from edge_seq.device.twin import Twin
from edge_seq.ir.model import IntModel

TimeToSamples = Callable[[float], float]


class _Sensor:
    """Gives its first sample when the stream begins."""

    def __init__(self, samples_after: TimeToSamples) -> None:
        self._samples_after = samples_after
        self._began: float | None = None

    def begin(self) -> None:
        self._began = self._began or time.monotonic()

    def __call__(self) -> int:
        return 0 if self._began is None else int(self._samples_after(time.monotonic() - self._began))


@contextmanager
def socket_board(model: IntModel, recording: NDArray[np.int16], *, samples_after: TimeToSamples) -> Iterator[str]:
    """The port of a board whose sensor has given ``samples_after(seconds)`` samples since its stream began."""
    sensor = _Sensor(samples_after)
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
