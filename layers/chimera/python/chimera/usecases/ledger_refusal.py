"""What is kept of a request that could not be decided: a hash of all of it, and a first bit that is safe to show."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

SHOWN_CHARACTERS = 200


def received(raw: Any) -> tuple[bytes, str]:
    """SHA-256 and the first 200 characters, cleaned, of what came: bytes, text, or JSON values (keys sorted)."""
    if isinstance(raw, bytes | bytearray):
        data = bytes(raw)
    elif isinstance(raw, str):
        data = raw.encode("utf-8", "backslashreplace")
    else:
        try:
            text = json.dumps(raw, sort_keys=True, default=str, separators=(",", ":"), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):  # keys of several types, or something that contains itself
            text = _shallow(raw)
        data = text.encode("utf-8", "backslashreplace")
    return sha256(data).digest(), clean(data[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace"), SHOWN_CHARACTERS)


def clean(text: str, most: int) -> str:
    """At most `most` characters, with control characters and halves of surrogate pairs replaced by U+FFFD."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:most])


def _shallow(raw: Any) -> str:
    try:
        return repr(raw)
    except (ValueError, RecursionError):
        return f"<{type(raw).__name__} that cannot be shown>"
