"""A real HTTP server on a loopback port: what the fakes of sources, vendors and libraries all stand on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Loopback:
    """Serves GET and POST by `serve`, a thread for each request, until `close`. `closing` is set when that begins."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
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

        self._http = Server((host, port), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def serve(self, handler: Any) -> None:
        """Answers one request."""
        raise AssertionError(f"nobody answers {handler.path}")

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self._http.server_address[0]!s}:{self._http.server_port}"

    def close(self) -> None:
        """Ends it; answers that wait are cut off."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def served(
    answers: dict[str, Answer], host: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers by path, 404 where it knows none; gives its address and, as they come, the requests: `path`, and
    the headers by their names in small letters."""
    seen: list[dict[str, str]] = []

    class Known(Loopback):
        def serve(self, handler: Any) -> None:
            seen.append({"path": handler.path, **{k.lower(): v for k, v in handler.headers.items()}})
            known = answers.get(handler.path.split("?")[0])
            try:
                handler.send_error(404) if known is None else known(handler)
            except OSError:
                return  # the client went away

    server = Known(host, port)
    try:
        yield server.url, seen
    finally:
        server.close()
