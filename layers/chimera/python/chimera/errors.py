"""The one error type of Chimera: a documented code, what came, what was expected, whether to retry.

Codes, HTTP statuses and kinds are those of the contract (docs/errors.md). Each code has its own exception
class, named in CamelCase (`BUDGET_EXCEEDED` -> `BudgetExceeded`), because Lambda reports an exception by its
class name and Step Functions matches Retry and Catch on that name.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

# code: (HTTP status, retryable, exit code of the command line)
CODES: dict[str, tuple[int, bool, int]] = {
    "VALIDATION_FAILED": (422, False, 2),
    "NOT_FOUND": (404, False, 2),
    "CONFLICT": (409, False, 2),
    "UNAUTHENTICATED": (401, False, 2),
    "FORBIDDEN": (403, False, 2),
    "BUDGET_EXCEEDED": (402, False, 4),
    "ROI_TOO_LOW": (402, False, 4),
    "TRANSACTION_TOO_LARGE": (402, False, 4),
    "APPROVAL_REQUIRED": (202, False, 3),
    "INVALID_SIGNATURE": (403, False, 4),
    "AGENT_OFFLINE": (503, True, 6),
    "MCP_TIMEOUT": (504, True, 6),
    "PROVIDER_TIMEOUT": (504, True, 6),
    "RATE_LIMITED": (429, True, 6),
    "PROVIDER_REJECTED": (502, False, 6),
    "OUTCOME_UNKNOWN": (502, False, 7),
    "QUALITY_FAILED": (422, False, 5),
    "VIDEO_TOO_LONG": (422, False, 5),
    "FILE_TOO_LARGE": (422, False, 5),
    "POLICY_VIOLATION": (422, False, 5),
    "PUBLISHING_PAUSED": (503, False, 3),
    "SYSTEM_STOPPED": (503, False, 3),
    "DATABASE_WAKING": (503, True, 1),
    "INTERNAL": (500, False, 1),
}


def class_name(code: str) -> str:
    """`BUDGET_EXCEEDED` -> `BudgetExceeded`: the name that Retry and Catch see."""
    return "".join(part.capitalize() for part in code.split("_"))


class ChimeraError(Exception):
    """An error a caller can act on. `str()` is the contract's JSON body, so it reaches a failed execution's cause."""

    def __new__(cls, code: str = "INTERNAL", *args: Any, **kwargs: Any) -> ChimeraError:
        return super().__new__(_CLASSES.get(code, cls) if cls is ChimeraError else cls)

    def __init__(
        self,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        *,
        retryable: bool | None = None,
        request_id: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        if code not in CODES:
            raise ValueError(f"unknown error code {code!r}; known: {', '.join(CODES)}")
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.details = details or {}
        self.retryable = CODES[code][1] if retryable is None else retryable
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds

    @property
    def http_status(self) -> int:
        """The HTTP status the API answers with."""
        return CODES[self.code][0]

    @property
    def exit_code(self) -> int:
        """The exit code of the command line: 0 ok, 1 internal, 2 usage, 3 waits, 4 budget, 5 quality, 6 provider, 7 unknown."""
        return CODES[self.code][2]

    def body(self) -> dict[str, Any]:
        """The error body that the API, a skill, an agent and an execution's cause all share."""
        return {
            "success": False,
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "request_id": self.request_id,
                "retryable": self.retryable,
            },
        }

    def __str__(self) -> str:
        return json.dumps(self.body(), default=str, ensure_ascii=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.code, self.message, self.details, self.retryable, self.request_id))


def _rebuild(code: str, message: str, details: dict[str, Any], retryable: bool, request_id: str) -> ChimeraError:
    return ChimeraError(code, message, details, retryable=retryable, request_id=request_id)


_CLASSES: dict[str, type[ChimeraError]] = {
    code: type(class_name(code), (ChimeraError,), {"__doc__": f"{code} as an exception class."}) for code in CODES
}


def error_class(code: str) -> type[ChimeraError]:
    """The exception class of a code, for `except error_class("CONFLICT")`."""
    return _CLASSES[code]


def explain(error: str, cause: str) -> dict[str, Any]:
    """A failed state's error and cause as `{code, message, details}`: the innermost error that we can read."""
    known = from_cause(cause)
    if known:
        return {"code": known.code, "message": known.message, "details": known.details}
    name, text = error, cause
    try:
        value = json.loads(cause)
        for _ in range(8):
            if not isinstance(value, dict):
                break
            name = str(value.get("errorType") or value.get("Error") or name)
            inner = value.get("errorMessage") or value.get("Cause") or value.get("StatusReason")
            if not isinstance(inner, str):
                break
            text = inner
            value = json.loads(inner)
    except ValueError:
        pass
    return {"code": "INTERNAL", "message": f"{name}: {text}"[:2000], "details": {}}


def from_cause(cause: str) -> ChimeraError | None:
    """The ChimeraError in a failed execution's cause (Lambda's `{errorMessage: body}` or the body itself), else None."""
    try:
        value = json.loads(cause)
        for _ in range(8):  # a nested execution wraps its child's cause
            if not isinstance(value, dict):
                return None
            if isinstance(value.get("error"), dict) and value["error"].get("code") in CODES:
                error = value["error"]
                return ChimeraError(
                    error["code"],
                    str(error.get("message", "")),
                    error.get("details") or {},
                    retryable=bool(error.get("retryable")),
                    request_id=str(error.get("request_id", "")),
                )
            inner = value.get("errorMessage") or value.get("Cause")
            value = json.loads(inner) if isinstance(inner, str) else None
    except ValueError:
        return None
    return None
