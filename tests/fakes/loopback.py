"""A real HTTP server on a loopback port: what the fakes of sources, vendors and libraries all stand on."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Loopback:
    """Serves GET and POST by `serve`, a thread for each request, until `close`. `closing` is set when that begins."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.serve(self)

            def do_POST(self) -> None:
                outer.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that gives up is what some tests are about."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def serve(self, handler: Any) -> None:
        """Answers one request."""
        raise AssertionError(f"nobody answers {handler.path}")

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        """Ends it; answers that wait are cut off."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)
