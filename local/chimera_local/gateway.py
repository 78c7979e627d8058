"""The laptop's API Gateway: HTTP to version 2.0 events for the function `api`, the JWT authorizer, the
channel's files."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from chimera.adapters.local.upload_forms import UPLOAD_PATH
from chimera.errors import ChimeraError
from chimera_local import channel_files
from chimera_local.functions import FunctionError
from chimera_local.gateway_events import event_of
from chimera_local.upload_files import Stream

JSON: TypeAlias = Any
MAX_BODY_BYTES = 1_000_000
HEAD_SECONDS = 15.0
"""For a whole request head, idle time before it included: a slow sender holds no thread for longer."""
BODY_SECONDS = 30.0
UPLOAD_SECONDS = 3600.0
"""For a file of 4 GB over a slow network; only for whom a signed form was given to."""
SEND_SECONDS = 30.0
"""Without progress, while an answer is sent."""
MAX_CONNECTIONS = 64
CHUNK = 256 * 1024
OPEN_PATHS = re.compile(r"/health|/openapi\.json|/docs(/.*|[^/]*)?")
_OWN_HEADERS = {
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "server",
}

Verify: TypeAlias = Callable[[str], Mapping[str, Any]]
"""Bearer token -> claims; raises ChimeraError UNAUTHENTICATED."""

TakeUpload: TypeAlias = Callable[[Stream, int, str, Callable[[], None]], object]
"""Body, its length and type, what to call once the form is known to be ours: see `upload_files.UploadDesk.take`."""


class Gateway:
    """Listens on 127.0.0.1 only. `invoke` is called with the event and gives the function's answer.

    `on_media_view(post_id)` is told of each view: a whole GET, or the first range, of a post's video. `take_upload` gets
    what is posted to `/uploads`, which is no event: a file is larger than one may be.
    """

    def __init__(
        self,
        *,
        port: int,
        invoke: Callable[[JSON], JSON],
        verify: Verify,
        channel: Path,
        on_media_view: Callable[[str], object] | None = None,
        access_log: Path | None = None,
        allowed_hosts: tuple[str, ...] = (),
        take_upload: TakeUpload | None = None,
    ) -> None:
        self.invoke = invoke
        self.take_upload = take_upload
        self.verify = verify
        self.channel = channel
        self.on_media_view = on_media_view
        self.hosts = {"127.0.0.1", "localhost", "[::1]", *allowed_hosts}
        self.log = _access_logger(access_log)
        self._active = 0
        self._idle = threading.Condition()
        self._thread: threading.Thread | None = None
        gateway = self

        class Handler(_Handler):
            gateway_of = gateway

        try:
            self._server = _Server(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise ChimeraError(
                "CONFLICT",
                f"port {port} of 127.0.0.1 cannot be used ({getattr(error, 'strerror', None) or error}); "
                "end the program that has it, or give another with --port",
                {"port": port},
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on (the free one it got, if it was asked for 0)."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer requests in threads of its own."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="gateway"
        )
        self._thread.start()

    def close(self, *, grace_seconds: float = 5.0) -> None:
        """Take no new request, give the running ones `grace_seconds`, then cut every connection."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0, grace_seconds)
        self._server.cut()
        self._server.server_close()
        for handler in list(self.log.handlers):
            self.log.removeHandler(handler)
            handler.close()

    def __enter__(self) -> Gateway:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enter(self) -> None:
        """A request has begun."""
        with self._idle:
            self._active += 1

    def leave(self) -> None:
        """A request has ended."""
        with self._idle:
            self._active -= 1
            self._idle.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._connections) >= MAX_CONNECTIONS
            if not full:
                self._connections.add(request)
        if full:
            try:
                request.send(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is nothing to report."""

    def cut(self) -> None:
        """Close the connections that are still open."""
        with self._lock:
            left = list(self._connections)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Deadline(io.RawIOBase):
    """Reads a socket against one deadline for many reads: a byte now and then does not keep it open."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self.at = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(SEND_SECONDS)


class _Counted:
    """A body that knows how much of it was read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.count = 0

    def read1(self, size: int, /) -> bytes:
        part = self._stream.read1(size)
        self.count += len(part)
        return part


class _Refused(Exception):  # noqa: N818 - an answer, not a defect
    """Answer at once, with the contract's error body."""

    def __init__(self, status: int, error: ChimeraError, headers: dict[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers or {}


class _Handler(BaseHTTPRequestHandler):
    gateway_of: Gateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = SEND_SECONDS

    def setup(self) -> None:
        super().setup()
        self._reader = _Deadline(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        self._reader.at = time.monotonic() + HEAD_SECONDS
        super().handle_one_request()

    def log_message(self, format: str, *args: object) -> None:
        """The access log is written by `_serve`."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For a request that http.server cannot even read."""
        error = ChimeraError("VALIDATION_FAILED", message or HTTPStatus(code).phrase, {})
        self.close_connection = True
        self._send_json(code, error.body())

    def _serve(self) -> None:
        gateway = self.gateway_of
        self._request_id = str(uuid.uuid4())
        self._started = time.perf_counter()
        self._sent = (0, 0)
        gateway.enter()
        try:
            self._route()
        except _Refused as refused:
            refused.error.request_id = self._request_id
            self._send_json(refused.status, refused.error.body(), refused.headers)
        except (TimeoutError, ConnectionError):
            self.close_connection = True
        except Exception as error:
            self.close_connection = True
            wrong = ChimeraError("INTERNAL", "the gateway failed", {"reason": type(error).__name__})
            wrong.request_id = self._request_id
            logging.getLogger(__name__).exception("gateway failed on request %s", self._request_id)
            if self._sent[0] == 0:
                self._send_json(500, wrong.body())
        finally:
            gateway.leave()
            gateway.log.info(
                json.dumps(
                    {
                        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                        "method": self.command,
                        "path": self.path.partition("?")[0][:500],
                        "status": self._sent[0],
                        "bytes": self._sent[1],
                        "ms": round((time.perf_counter() - self._started) * 1000, 1),
                        "request_id": self._request_id,
                    }
                )
            )

    # -- routes

    def _route(self) -> None:
        raw, _, query = self.path.partition("?")
        path = unquote(raw, errors="replace")
        host = re.sub(r":\d+$", "", self.headers.get("Host", "")).lower()
        if host not in self.gateway_of.hosts:  # a page of the web that lets its name point to 127.0.0.1
            raise self._refuse(421, "VALIDATION_FAILED", f"this server does not answer for host {host[:100]!r}")
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise self._refuse(404, "NOT_FOUND", f"there is no {path[:200]!r}")
        if path == UPLOAD_PATH and self.gateway_of.take_upload is not None:
            self._upload(self.gateway_of.take_upload)
            return
        body = self._body()
        if path in ("/", "/channel"):
            self._send(302, {"location": "/channel/", "content-length": "0"})
        elif path.startswith("/channel/"):
            self._channel_file(path.removeprefix("/channel/"))
        else:
            claims = None if OPEN_PATHS.fullmatch(path) else self._authorize()
            self._call_api(path, query, body, claims)

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> _Refused:
        return _Refused(status, ChimeraError(code, message, {}), headers)

    def _upload(self, take: TakeUpload) -> None:
        self.close_connection = True
        if self.command != "POST":
            raise self._refuse(405, "VALIDATION_FAILED", "a file is sent with POST", {"allow": "POST"})
        length = self._length()
        body = _Counted(self.rfile)
        self._reader.at = time.monotonic() + BODY_SECONDS

        def accepted() -> None:
            self._reader.at = time.monotonic() + UPLOAD_SECONDS

        try:
            take(body, length, self.headers.get("Content-Type", ""), accepted)
        except ChimeraError as error:
            self._drain(length - body.count)
            raise _Refused(413 if error.code == "FILE_TOO_LARGE" else error.http_status, error) from error
        self._drain(length - body.count)
        self._send(204, {})

    def _body(self) -> bytes:
        length = self._length()
        self._reader.at = time.monotonic() + BODY_SECONDS
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._drain(length)
            raise self._refuse(
                413, "VALIDATION_FAILED", f"the body has {length} bytes, expected at most {MAX_BODY_BYTES}"
            )
        body = self.rfile.read(length)
        if len(body) != length:
            raise ConnectionError("the client went away")
        return body

    def _length(self) -> int:
        lengths = self.headers.get_all("Content-Length") or []
        if self.headers.get("Transfer-Encoding") or len(set(lengths)) > 1:
            self.close_connection = True
            raise self._refuse(411, "VALIDATION_FAILED", "a body needs one Content-Length")
        if not lengths:
            return 0
        if not re.fullmatch(r"\d{1,18}", lengths[0]):
            self.close_connection = True
            raise self._refuse(400, "VALIDATION_FAILED", f"Content-Length {lengths[0][:50]!r} is not a number")
        return int(lengths[0])

    def _drain(self, length: int) -> None:
        """Read some of a body that is refused: closing on unread bytes would reset the answer away."""
        self._reader.at = time.monotonic() + 2
        left = min(length, 16 * MAX_BODY_BYTES)
        try:
            while left > 0 and (part := self.rfile.read1(min(left, CHUNK))):
                left -= len(part)
        except (TimeoutError, ConnectionError):
            return

    def _authorize(self) -> Mapping[str, Any]:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token.strip():
                raise ChimeraError("UNAUTHENTICATED", "a bearer token is expected; get one with `chimera token`", {})
            return self.gateway_of.verify(token.strip())
        except ChimeraError as error:
            raise _Refused(error.http_status, error, {"www-authenticate": "Bearer"}) from error

    def _channel_file(self, below: str) -> None:
        if self.command not in ("GET", "HEAD"):
            raise self._refuse(405, "VALIDATION_FAILED", "the channel is read with GET or HEAD", {"allow": "GET, HEAD"})
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = channel_files.answer(self.gateway_of.channel, below, headers)
        if answer is None:
            raise self._refuse(404, "NOT_FOUND", f"the channel has no {below[:200]!r}")
        if answer.path is None or self.command == "HEAD":
            self._send(answer.status, answer.headers)
            return
        if answer.viewed_post and self.gateway_of.on_media_view is not None:
            try:
                self.gateway_of.on_media_view(answer.viewed_post)
            except ChimeraError as error:  # a counter that fails keeps nobody from watching
                logging.getLogger(__name__).warning("view not counted: %s", error.message)
        with answer.path.open("rb") as file:
            file.seek(answer.start)
            self._send(answer.status, answer.headers)
            left = answer.length
            while left > 0 and (part := file.read(min(left, CHUNK))):
                self.wfile.write(part)
                left -= len(part)
        if left:
            self.close_connection = True  # the file shrank: the client must not wait for the rest

    def _call_api(self, path: str, query: str, body: bytes, claims: Mapping[str, Any] | None) -> None:
        host, port = self.client_address[0], self.gateway_of.port
        event = event_of(
            method=self.command,
            path=path,
            query=query,
            headers=list(self.headers.items()),
            body=body,
            source_ip=host,
            domain=f"127.0.0.1:{port}",
            request_id=self._request_id,
            claims=claims,
        )
        try:
            answer = self.gateway_of.invoke(event)
        except FunctionError as error:
            raise self._failed(error) from error
        except ChimeraError as error:
            raise _Refused(error.http_status, error) from error
        self._send_answer(answer)

    def _failed(self, error: FunctionError) -> _Refused:
        if error.error_type == "Lambda.TooManyRequestsException":
            return self._refuse(429, "RATE_LIMITED", "too many requests at once", {"retry-after": "1"})
        if error.error_type in ("Sandbox.Timedout", "States.Timeout"):
            return self._refuse(504, "PROVIDER_TIMEOUT", "the request took too long")
        logging.getLogger(__name__).error("api failed on request %s: %s", self._request_id, error.error_type)
        return self._refuse(500, "INTERNAL", f"the API failed; its log names request {self._request_id}")

    # -- answers

    def _send_answer(self, answer: JSON) -> None:
        if not isinstance(answer, dict) or "statusCode" not in answer:
            self._send_json(200, answer)  # as API Gateway takes an answer without a status
            return
        try:
            status = int(answer["statusCode"])
            headers = {str(k).lower(): [str(v)] for k, v in (answer.get("headers") or {}).items()}
            for name, values in (answer.get("multiValueHeaders") or {}).items():
                headers[str(name).lower()] = [str(value) for value in values]
            text = answer.get("body") or ""
            if not isinstance(text, str):
                text = json.dumps(text)
            body = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
            cookies = [str(cookie) for cookie in answer.get("cookies") or []]
        except (TypeError, ValueError, AttributeError) as error:
            raise self._refuse(500, "INTERNAL", "the API gave an answer that is no HTTP answer") from error
        flat = [(name, value) for name, values in headers.items() if name not in _OWN_HEADERS for value in values]
        flat += [("set-cookie", cookie) for cookie in cookies]
        clean = all(re.fullmatch(r"[\w-]+", n) and not re.search(r"[\r\n\0]", v) for n, v in flat)
        if not clean or not 200 <= status <= 599:
            raise self._refuse(500, "INTERNAL", "the API gave a header or status that cannot be sent")
        if "content-type" not in headers:
            flat.append(("content-type", "application/json"))
        self._send(status, [*flat, ("content-length", str(len(body)))], body)

    def _send_json(self, status: int, value: JSON, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")
        own = {"content-type": "application/json", "content-length": str(len(body))}
        self._send(status, {**own, **(headers or {})}, body)

    def _send(self, status: int, headers: Mapping[str, str] | list[tuple[str, str]], body: bytes = b"") -> None:
        pairs = headers if isinstance(headers, list) else list(headers.items())
        self.send_response_only(status)
        self.send_header("date", self.date_time_string())
        for name, value in pairs:
            self.send_header(name, value.encode("utf-8").decode("latin-1"))
        if not any(name.lower() == "x-request-id" for name, _ in pairs):
            self.send_header("x-request-id", getattr(self, "_request_id", ""))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        length = next((int(value) for name, value in pairs if name == "content-length"), 0)
        self._sent = (status, length)
        if body and self.command != "HEAD":
            self.wfile.write(body)


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


def hosts_of(base_url: str) -> tuple[str, ...]:
    """The host of the public address, for `allowed_hosts`."""
    host = urlsplit(base_url).hostname
    return (host,) if host else ()


def _access_logger(path: Path | None) -> logging.Logger:
    logger = logging.Logger(f"{__name__}.access")  # our own object: two gateways in a process share nothing
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=10_000_000, backupCount=1, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
    else:
        logger.addHandler(logging.NullHandler())
    return logger
