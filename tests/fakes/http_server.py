"""A real, threaded HTTP server on this machine whose answers a test decides, well-behaved or not."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    """What the server was asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    """What the server answers. `drip` sends the body byte by byte, `drip_headers` a header line byte by byte,
    for ever.
    """

    body: bytes | str = b""
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    drip: bool = False
    drip_headers: bool = False
    cut_off: bool = False

    @classmethod
    def gzipped(cls, body: bytes, **kwargs: object) -> Reply:
        """The body packed."""
        reply = cls(body=gzip.compress(body), **kwargs)  # type: ignore[arg-type]
        reply.headers["Content-Encoding"] = "gzip"
        return reply


Answer = Reply | Callable[[Request], Reply]


class FakeServer:
    """`server.answer(prefix, reply)` sets what a path (longest prefix wins) gives; `server.requests` is what
    was asked.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._answers: dict[str, Answer] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is what some tests are about."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, prefix: str, reply: Answer) -> None:
        """From now on paths that begin so get this."""
        self._answers[prefix] = reply

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        request = Request(parts.path, query, {k.lower(): v for k, v in handler.headers.items()})
        self.requests.append(request)
        matching = [prefix for prefix in self._answers if parts.path.startswith(prefix)]
        found = self._answers[max(matching, key=len)] if matching else Reply(b"{}", status=404)
        self._send(handler, found(request) if callable(found) else found)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
        if reply.drip_headers:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            self._drip(handler, b"a" * 10_000)
            return
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if reply.drip:
            self._drip(handler, body)
        else:
            handler.wfile.write(body[: len(body) // 2] if reply.cut_off else body)

    def _drip(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        for byte in data:
            if self.closing.wait(0.05):
                return
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()

    def close(self) -> None:
        """Stop serving."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


@contextlib.contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A server for one test or module."""
    server = FakeServer()
    try:
        yield server
    finally:
        server.close()
