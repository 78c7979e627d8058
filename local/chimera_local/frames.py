"""Length-prefixed JSON texts over a Unix socket: what the engine, the function host and its workers speak."""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

MAX_FRAME = 16 * 1024 * 1024


def send(channel: socket.socket, value: Any) -> None:
    """Send one JSON value. Raises OSError if the other side is gone."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    channel.sendall(struct.pack(">I", len(body)) + body)


def _exactly(channel: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = channel.recv(min(size - len(parts), 1 << 16))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def receive(channel: socket.socket) -> Any:
    """The next JSON value, or None when the other side is gone."""
    head = _exactly(channel, 4)
    if head is None:
        return None
    (size,) = struct.unpack(">I", head)
    if size > MAX_FRAME:
        return None
    body = _exactly(channel, size)
    return None if body is None else json.loads(body.decode("utf-8", "surrogatepass"))


def readable(channel: socket.socket, seconds: float) -> bool:
    """Whether something (or the end) can be read within that time."""
    poll = select.poll()  # not select(): file numbers may be over 1024
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(max(0, int(seconds * 1000))))
