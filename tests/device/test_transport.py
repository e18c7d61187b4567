"""Ports of pyserial: URLs, a pseudo-terminal that goes away, errors that say what to do."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from edge_seq.device.client import Timing, open_device
from edge_seq.device.transport import LoopbackTransport, SerialTransport
from edge_seq.device.twin import Twin
from edge_seq.errors import DeviceError, PortLostError
from tests.zoo import quantized_model, random_counts, spec

MODEL = quantized_model(spec("gru", 5, window_length=7))
TIMING = Timing(timeout_s=0.5, retries=3)


@pytest.fixture
def served() -> Iterator[str]:
    """A twin behind a socket, as a serial server offers it."""
    twin, server = Twin(MODEL), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(twin.receive(data))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"socket://127.0.0.1:{server.getsockname()[1]}"
    server.close()
    thread.join(5)


def test_a_device_behind_a_socket(served: str) -> None:
    with open_device(served, timing=TIMING) as device:
        assert device.info.board == "twin"
        assert len(device.push(random_counts(1, 70, 3)[0])) == 10
        assert device.frame_errors == 0


def test_ports_that_are_not_there() -> None:
    with pytest.raises(PortLostError, match=r"opening port /dev/none: .*Is the board plugged in.*edge-seq device list"):
        SerialTransport("/dev/none")
    with pytest.raises(DeviceError, match=r"opening port what://ever: .*Give a name such as"):
        SerialTransport("what://ever")


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX")
def test_a_port_that_goes_away_while_it_is_read_or_written() -> None:
    for use in (lambda port: port.read(0.5), lambda port: [port.write(b"x" * 4096) for _ in range(100)]):
        master, slave = os.openpty()
        port = SerialTransport(os.ttyname(slave), write_timeout_s=0.2)
        os.close(slave)
        os.write(master, b"abc")
        assert port.read(1.0) == b"abc"
        assert port.read(0.01) == b""
        os.close(master)
        with pytest.raises(PortLostError, match="it is gone"):
            use(port)
        port.close()
        port.close()


def test_a_closed_port_says_so() -> None:
    port = LoopbackTransport(lambda data: data)
    port.write(b"a")
    assert port.read(0.1) == b"a"
    assert port.read(0.01) == b""
    port.close()
    with pytest.raises(PortLostError, match="it was closed"):
        port.read(0.1)
    serial = SerialTransport("loop://")
    serial.close()
    with pytest.raises(PortLostError, match="it is gone"):
        serial.read(0.1)
    with pytest.raises(PortLostError, match="it is gone"):
        serial.write(b"x")
