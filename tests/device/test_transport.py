"""Ports of pyserial: URLs, a pseudo-terminal that goes away, errors that say what to do."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from edge_seq.device.client import open_device
from edge_seq.device.line import Timing
from edge_seq.device.transport import LoopbackTransport, SerialTransport
from edge_seq.device.twin import Twin
from edge_seq.support.errors import DeviceError, PortLostError
from tests.zoo import quantized_model, random_counts, spec

MODEL = quantized_model(spec("gru", 5, window_length=7))
TIMING = Timing(timeout_s=0.5, retries=3)


@pytest.fixture
def served() -> Iterator[str]:
    """A simulated device behind a socket, as on a serial server."""
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


@pytest.mark.parametrize(
    ("port", "problem"),
    [
        ("socket://", "expected a host and a port number from 1 to 65535"),
        ("socket://board", "expected a host and a port number"),
        ("socket://127.0.0.1:99999", "expected a host and a port number"),
        ("rfc2217://host:port", "expected a host and a port number"),
        ("alt:///dev/null?class=os", "must be a class"),  # what pyserial's own handlers raise
        ("loop://?logging=evil", "evil"),
    ],
)
def test_urls_that_name_no_port_are_one_error(port: str, problem: str) -> None:
    with pytest.raises(DeviceError, match=rf"^opening port .*{problem}.*Give a name such as /dev/ttyACM0 or COM3, or"):
        SerialTransport(port)


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


class CountingPort:
    """Replaces a port of pyserial."""

    def __init__(self) -> None:
        self.set: list[float] = []

    @property
    def timeout(self) -> float:
        return self.set[-1]

    @timeout.setter
    def timeout(self, value: float) -> None:
        self.set.append(value)

    def read(self, size: int) -> bytes:
        return b""


def test_rfc2217_is_opened_without_a_limit_for_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyserial refuses it when the port is opened, with NotImplementedError."""
    import serial

    asked: list[float | None] = []

    def opened(url: str, *, write_timeout: float | None, **_: object) -> CountingPort:
        asked.append(write_timeout)
        if url.startswith("rfc2217") and write_timeout is not None:
            raise NotImplementedError("write_timeout is currently not supported")
        return CountingPort()

    monkeypatch.setattr(serial, "serial_for_url", opened)
    SerialTransport("rfc2217://localhost:1")
    SerialTransport("/dev/ttyX")
    assert asked == [None, 5.0]


def test_a_kind_of_port_that_takes_no_settings_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("write_timeout is currently not supported")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(DeviceError, match=r"opening port odd://x: pyserial cannot open this kind .*write_timeout is"):
        SerialTransport("odd://x")


def test_a_timeout_that_stays_is_not_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    port = CountingPort()
    monkeypatch.setattr(serial, "serial_for_url", lambda *_, **__: port)
    transport = SerialTransport("/dev/ttyX")
    for timeout_s in (0.0, 0.5, 0.5, 0.0):
        assert transport.read(timeout_s) == b""
    assert port.set == [0.5, 0.0]
