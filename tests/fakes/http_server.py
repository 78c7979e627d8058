"""A real, threaded HTTP server on this machine whose answers a test decides, well-behaved or not."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.fakes.loopback import Loopback


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


class FakeServer(Loopback):
    """`server.answer(prefix, reply)` sets what a path (longest prefix wins) gives; `server.requests` is what
    was asked.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, Answer] = {}

        super().__init__()

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


@contextlib.contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A server for one test or module."""
    server = FakeServer()
    try:
        yield server
    finally:
        server.close()
