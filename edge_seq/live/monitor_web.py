"""The monitor as a web page: a server of the standard library that listens on loopback only and answers only reads."""

from __future__ import annotations

import sys
import threading
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edge_seq.live.monitor import MonitorState
from edge_seq.live.web_page import WebPage, assemble, web_text
from edge_seq.support.errors import ToolError
from edge_seq.support.files import json_text

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")  # host names under which a browser may reach this server
MAX_VIEWERS = 8
TICK_S = 0.1
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that the browser closed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class MonitorServer:
    """Serves a monitor's state as a web page. Use it in a ``with`` statement.

    Args:
        state: state to show.
        port: TCP port; 0 takes any free one.

    Raises:
        ToolError: the port is taken.
    """

    def __init__(self, state: MonitorState, *, port: int = 0) -> None:
        self.stopping = threading.Event()
        self._viewers = threading.BoundedSemaphore(MAX_VIEWERS)
        try:
            self._server = _Server((LOOPBACK, port), _handler(state, self.stopping, self._viewers))
        except (OSError, OverflowError) as error:
            raise ToolError(
                f"serving the monitor on {LOOPBACK}:{port}: {getattr(error, 'strerror', None) or error}. Give another "
                "--web-port, or none"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """URL of the page."""
        return f"http://{LOOPBACK}:{self._server.server_port}/"

    def __enter__(self) -> MonitorServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


@cache
def page() -> WebPage:
    """The page, complete with style and script."""
    return assemble(
        "monitor.html", styles=[web_text("view.css")], scripts=[web_text("view.js"), web_text("monitor.js")]
    )


@cache
def content_policy() -> str:
    """Content-Security-Policy of the page: only its own style and script, by hash, and this server's answers."""
    return (
        f"default-src 'none'; script-src {page().script_hash}; style-src {page().style_hash}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def is_own_host(host: str | None, port: int) -> bool:
    """True if a Host header names this server. A site whose name was made to resolve here (DNS rebinding) has another.

    >>> is_own_host("localhost:8000", 8000), is_own_host("evil.example:8000", 8000), is_own_host(None, 8000)
    (True, False, False)
    """
    return host in {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())


def _handler(
    state: MonitorState, stopping: threading.Event, viewers: threading.BoundedSemaphore
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "edge-seq", ""
        timeout = 30.0

        def do_GET(self) -> None:
            assert isinstance(self.server, ThreadingHTTPServer)
            if not is_own_host(self.headers.get("Host"), self.server.server_port):
                self._answer(
                    HTTPStatus.FORBIDDEN, "text/plain", "this address is not served: open the URL as printed\n"
                )
            elif self.path == "/":
                self._answer(HTTPStatus.OK, "text/html", page().html)
            elif self.path == "/about":
                self._answer(HTTPStatus.OK, "application/json", json_text(state.about(), indent=None))
            elif self.path == "/snapshot":
                self._answer(HTTPStatus.OK, "application/json", json_text(state.snapshot(), indent=None))
            elif self.path == "/events":
                self._events()
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "no such page: /, /about, /snapshot, /events\n")

        def _events(self) -> None:
            if not viewers.acquire(blocking=False):
                text = f"{MAX_VIEWERS} pages are open already; close one\n"
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", text)
                return
            try:
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "text/event-stream; charset=utf-8")
                self._send_headers()
                self.end_headers()
                self._write_events()
            except OSError:
                pass  # the page was closed
            finally:
                viewers.release()
                self.close_connection = True

        def _write_events(self) -> None:
            next_bin = next_decision = 0
            while True:
                last = stopping.is_set()
                snapshot = state.snapshot(first_bin=next_bin, first_decision=next_decision)
                next_bin, next_decision = snapshot.next_bin, snapshot.next_decision
                self.wfile.write(f"data: {json_text(snapshot, indent=None)}\n\n".encode())
                self.wfile.flush()
                if last:
                    return
                stopping.wait(TICK_S)

        def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self._send_headers()
            self.end_headers()
            self.wfile.write(content)

        def _send_headers(self) -> None:
            self.send_header("Content-Security-Policy", content_policy())
            for name, value in _HEADERS.items():
                self.send_header(name, value)

        def log_message(self, *_: Any) -> None:
            """Print nothing for a request."""

    return Handler
