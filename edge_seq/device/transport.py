"""Byte transports: a serial port or URL of pyserial, or a simulated device in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from edge_seq.support.errors import DeviceError, PortLostError

DEFAULT_BAUD = 115200
_NAMES = "Give a name such as /dev/ttyACM0 or COM3, or a URL such as socket://host:port"
_READ_BYTES = 65536


class Transport(Protocol):
    """An open port. Every method raises :class:`PortLostError` if the port has vanished."""

    def read(self, timeout_s: float) -> bytes:
        """Return the bytes received so far, or wait up to ``timeout_s`` seconds for some. Empty on timeout."""

    def write(self, data: bytes) -> None:
        """Send all bytes."""

    def close(self) -> None:
        """Close the port. May be called more than once."""


Opener = Callable[[], Transport]


class SerialTransport:
    """A port of pyserial, by name (``/dev/ttyACM0``, ``COM3``) or URL (``socket://host:port``, ``loop://``).

    Args:
        port: name or URL.
        baud: baud rate, symbols per second.
        write_timeout_s: a port that accepts no bytes for this time counts as lost, seconds.

    Raises:
        PortLostError: the port cannot be opened.
        DeviceError: pyserial does not know this kind of URL, or cannot open it with the settings needed.
    """

    def __init__(self, port: str, *, baud: int = DEFAULT_BAUD, write_timeout_s: float = 5.0) -> None:
        import serial

        _check_url(port)
        self._port = port
        # pyserial's RFC 2217 port supports no write timeout; its socket reports when the other end is gone.
        limit_s = None if port.lower().startswith("rfc2217:") else write_timeout_s
        try:
            self._serial: Any = serial.serial_for_url(
                port, baudrate=baud, timeout=0, write_timeout=limit_s, exclusive=True
            )
            self._timeout_s = 0.0
        except NotImplementedError as error:
            raise DeviceError(
                f"opening port {port}: pyserial cannot open this kind with the settings needed ({_reason(error)}). Use "
                "the port's own name, or socket://host:port"
            ) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # pyserial's handlers of URLs
            raise DeviceError(f"opening port {port}: {error}. {_NAMES}") from error
        except (OSError, serial.SerialException) as error:
            raise PortLostError(
                f"opening port {port}: {_reason(error)}. Is the board plugged in, and no other program on the port? "
                "Try: edge-seq device list"
            ) from error

    def read(self, timeout_s: float) -> bytes:
        """As :meth:`Transport.read`."""
        try:
            self._wait_at_most(timeout_s)
            first = self._serial.read(1)
            if not first:
                return b""
            self._wait_at_most(0.0)
            return bytes(first + self._serial.read(_READ_BYTES))
        except (OSError, TypeError, AttributeError) as error:  # pyserial raises these if the port was closed meanwhile
            raise self._lost("reading from", error) from error

    def write(self, data: bytes) -> None:
        """As :meth:`Transport.write`."""
        try:
            self._serial.write(data)
        except (OSError, TypeError, AttributeError) as error:
            raise self._lost("writing to", error) from error

    def close(self) -> None:
        """As :meth:`Transport.close`."""
        with suppress(OSError):
            self._serial.close()

    def _wait_at_most(self, timeout_s: float) -> None:
        """Set the read timeout. Setting it reconfigures the system's port, so only changes are passed on."""
        if timeout_s != self._timeout_s:
            self._serial.timeout = timeout_s
            self._timeout_s = timeout_s

    def _lost(self, doing: str, error: Exception) -> PortLostError:
        return PortLostError(f"{doing} port {self._port}: it is gone ({_reason(error)}). Plug the board in again")


def _check_url(port: str) -> None:
    """Refuse a URL of the network without a host and a port number, of which pyserial says something else."""
    kind, colon, _ = port.partition("://")
    if colon and kind.lower() in ("socket", "rfc2217"):
        try:
            parts = urlsplit(port)
            whole = bool(parts.hostname and parts.port)
        except ValueError:  # not a number, or beyond 65535
            whole = False
        if not whole:
            raise DeviceError(f"opening port {port}: expected a host and a port number from 1 to 65535. {_NAMES}")


def _reason(error: Exception) -> str:
    """Short reason of an error, without repeating the port's name."""
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        return error.strerror.partition(":")[0]
    return str(error) or type(error).__name__


class LoopbackTransport:
    """A simulated device at the other end, which answers at once.

    Args:
        device: function that takes the received bytes and returns the bytes that it sends.
    """

    def __init__(self, device: Callable[[bytes], bytes]) -> None:
        self._device, self._waiting, self._open = device, b"", True

    def read(self, timeout_s: float) -> bytes:
        """As :meth:`Transport.read`."""
        self._require_open()
        until = time.monotonic() + timeout_s
        while True:
            data, self._waiting = self._waiting + self._device(b""), b""
            left = until - time.monotonic()
            if data or left <= 0:
                return data
            time.sleep(min(left, 0.001))

    def write(self, data: bytes) -> None:
        """As :meth:`Transport.write`."""
        self._require_open()
        self._waiting += self._device(data)

    def close(self) -> None:
        """As :meth:`Transport.close`."""
        self._open = False

    def _require_open(self) -> None:
        if not self._open:
            raise PortLostError("using a loopback: it was closed. Open it again")


def open_transport(port: str, *, baud: int = DEFAULT_BAUD) -> Transport:
    """Open a port by name or URL.

    Raises:
        PortLostError, DeviceError: see :class:`SerialTransport`.
    """
    return SerialTransport(port, baud=baud)


def list_ports() -> list[dict[str, str]]:
    """List the serial ports of this machine: port, description and hardware ID of each."""
    from serial.tools.list_ports import comports

    return [
        {"port": str(port.device), "description": str(port.description), "hardware_id": str(port.hwid)}
        for port in sorted(comports())
    ]
