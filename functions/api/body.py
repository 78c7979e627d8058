"""A request's body, read strictly: at most 64 KB, one JSON object, no duplicate key, exact decimals."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from chimera.errors import ChimeraError

MAX_BYTES = 65_536
MAX_DEPTH = 10


class BodyTooLargeError(ChimeraError):
    """A body above the limit: `FILE_TOO_LARGE`, answered as HTTP 413."""

    @property
    def http_status(self) -> int:
        """413, where a file in the pipeline that is too large is a 422."""
        return 413


def with_text_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its body as checked text; `VALIDATION_FAILED`, or `FILE_TOO_LARGE` above 64 KB."""
    body = event.get("body")
    if not body:
        return {**event, "body": None, "isBase64Encoded": False}
    if not isinstance(body, str):
        raise ChimeraError("VALIDATION_FAILED", f"body: got {type(body).__name__}, expected text", {})
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        if len(data) > MAX_BYTES:
            raise BodyTooLargeError(
                "FILE_TOO_LARGE",
                f"the body has {len(data)} bytes, expected at most {MAX_BYTES}",
                {"bytes": len(data), "expected": MAX_BYTES},
            )
        text = data.decode()
    except (binascii.Error, UnicodeError):
        raise ChimeraError(
            "VALIDATION_FAILED", "body: expected JSON in UTF-8", {"body": {"expected": "UTF-8"}}
        ) from None
    kind = next(
        (v for k, v in (event.get("headers") or {}).items() if k.lower() == "content-type"),
        "application/json",
    )
    if str(kind).split(";")[0].strip().lower() != "application/json":
        _bad(f"content-type: got {str(kind)[:80]!r}, expected application/json", field="content-type")
    headers = {k: v for k, v in (event.get("headers") or {}).items() if k.lower() != "content-type"}
    return {
        **event,
        "headers": {**headers, "content-type": "application/json"},
        "body": text,
        "isBase64Encoded": False,
    }


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in the text, fractions as Decimals; `VALIDATION_FAILED` for anything else."""
    try:
        value = json.loads(text, parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        _bad(f"it is nested deeper than {MAX_DEPTH} levels")
    except ValueError as error:
        _bad(f"it is not JSON ({str(error)[:120]})")
    if not isinstance(value, dict):
        _bad(f"got {type(value).__name__}, expected a JSON object")
    _check(value, 1)
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            _bad("text has a NUL character, expected none")
        try:
            value.encode()
        except UnicodeEncodeError:
            _bad("text has half a surrogate pair, expected Unicode text")
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        _bad(f"it is nested deeper than {MAX_DEPTH} levels")
    for item in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
        _check(item, depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        _bad(f"the key {twice[:80]!r} comes twice")
    return found


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        _bad(f"got the number {text[:40]!r}, expected one that can be kept exactly")


def _refuse_constant(name: str) -> NoReturn:
    _bad(f"got {name}, expected a number")


def _bad(reason: str, field: str = "body") -> NoReturn:
    message = reason if field != "body" else f"body: {reason}"
    raise ChimeraError("VALIDATION_FAILED", message, {field: {"expected": reason}})
