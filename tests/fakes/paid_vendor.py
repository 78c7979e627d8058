"""A vendor that costs money, on this machine: it speaks an OpenAI-style chat and image wire and writes down every request.

It bills by its own book, as a real vendor does: what it served it charges, whether the answer arrived or not; with
`dedupes` an idempotency key is served and charged once.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.loopback import Loopback

KEY = "sk-canary-7f3a9c51d2e8"
TOKEN_MICROS = 2
IMAGE_MICROS = 40_000


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Trouble:
    """What the next requests get instead of an answer. `serve`: the work is done and billed before the trouble."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": {"message": "no"}}'
    hang_up: bool = False
    silent: bool = False
    serve: bool = False


class PaidVendor(Loopback):
    """`asked` is the log of requests, `billed_micros` the invoice, `trouble` a queue of what goes wrong next."""

    def __init__(self, *, dedupes: bool = False) -> None:
        self.asked: list[Asked] = []
        self.billed_micros = 0
        self.trouble: list[Trouble] = []
        self._dedupes = dedupes
        self._served: dict[str, bytes] = {}
        self._lock = threading.Lock()

        super().__init__()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Write the request down, then serve it or make the trouble that is due."""
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        body = json.loads(raw) if raw[:1] == b"{" else raw
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.asked.append(Asked(handler.command, handler.path, headers, body))
            trouble = self.trouble.pop(0) if self.trouble else None
        if trouble is None:
            if headers.get("authorization") != f"Bearer {KEY}":
                self._send(
                    handler, 401, {}, json.dumps({"error": {"message": f"bad key {headers.get('authorization')}"}})
                )
                return
            self._send(handler, 200, {}, self._serve(handler.path, headers, body))
            return
        if trouble.serve:
            self._serve(handler.path, headers, body)
        if trouble.silent:
            self.closing.wait(30)
            return
        if trouble.hang_up:
            handler.close_connection = True
            handler.connection.close()
            return
        self._send(handler, trouble.status, trouble.headers, trouble.body)

    def _serve(self, path: str, headers: dict[str, str], body: Any) -> bytes:
        key = headers.get("idempotency-key", "")
        with self._lock:
            if self._dedupes and key in self._served:
                return self._served[key]
            if path == "/v1/chat/completions":
                used = min(int(body["max_tokens"]), 20)
                self.billed_micros += used * TOKEN_MICROS
                answer: Any = {
                    "choices": [{"message": {"content": "A short line."}}],
                    "usage": {"completion_tokens": used},
                }
            elif path == "/v1/images/generations":
                self.billed_micros += IMAGE_MICROS * int(body["n"])
                answer = {"data": [{"b64_json": "AAAA"}] * int(body["n"])}
            else:
                answer = {"status": "done"}
            self._served[key] = json.dumps(answer).encode()
            return self._served[key]

    def _send(self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes | str) -> None:
        data = body.encode() if isinstance(body, str) else body
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextlib.contextmanager
def paid_vendor(*, dedupes: bool = False) -> Iterator[PaidVendor]:
    """A vendor for one test."""
    made = PaidVendor(dedupes=dedupes)
    try:
        yield made
    finally:
        made.close()


Serve = Callable[..., contextlib.AbstractContextManager[PaidVendor]]
