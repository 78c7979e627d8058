"""A request to the CFO that could not be decided is in the ledger too, if who asked was authenticated and may ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chimera.domain.ids import is_uuid
from functions.api.call import Call

CODES = frozenset({"VALIDATION_FAILED", "FORBIDDEN", "FILE_TOO_LARGE", "INVALID_SIGNATURE"})
"""What is wrong with the request itself. A conflict leaves the ledger as it is, and a stop decides nothing."""


def enter_refusal(call: Call, method: str, path: str, event: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Enter the answer as a REFUSAL row if it refuses a request to the CFO; the same refusal again is the same row.

    Nothing is reserved by it. `DATABASE_WAKING` if it cannot be entered: then the caller is told that instead.
    """
    if (method, path) != ("POST", "/v1/approvals") or answer["statusCode"] < 400:
        return
    error = json.loads(answer["body"])["error"]
    if error["code"] not in CODES:
        return
    body = str(event.get("body") or "")
    call.app.ledger(call.tenant).refuse(
        call.who.subject, error["code"], error["message"], body.encode(), request_id=_request_id(body)
    )


def _request_id(body: str) -> str | None:
    """The request id in a body that may be anything."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = value.get("request_id") if isinstance(value, dict) else None
    return found.lower() if isinstance(found, str) and is_uuid(found) else None
