"""One table for what is hot, small and short-lived: keys, values, and which failures of DynamoDB are worth another try."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chimera.errors import ChimeraError

Item = dict[str, dict[str, Any]]
Sleep = Callable[[float], None]

ATTEMPTS = 14
"""Of one operation. TransactWriteItems aborts instead of queueing: on a hot item most attempts of a crowd conflict."""
_LONGEST_SECONDS = 1.0

_BUSY = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
_AWAY = frozenset({"InternalServerError", "InternalFailure", "ServiceUnavailable", "500", "502", "503", "504"})


@dataclass(frozen=True, kw_only=True)
class Table:
    """A DynamoDB table with string keys `pk` and `sk`, and the client (boto3's low-level one) that reaches it."""

    client: Any
    name: str
    sleep: Sleep = time.sleep

    def key(self, pk: str, sk: str) -> Item:
        """An item's key."""
        return {"pk": {"S": pk}, "sk": {"S": sk}}

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request. `Busy`: repeat it later; `Refused`: a condition does not hold; else a ChimeraError.

        An answer that did not come leaves the outcome unknown: `DATABASE_WAKING`, and every operation may be repeated.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
        except ClientError as error:
            raise _failure(operation, error.response) from error
        except BotoCoreError as error:
            raise ChimeraError(
                "DATABASE_WAKING", "DynamoDB does not answer", {"reason": type(error).__name__}
            ) from error
        return answer

    def tries(self) -> Iterator[int]:
        """Attempts with a random pause before each further one; `DATABASE_WAKING` when they are used up."""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(secrets.randbelow(1000) / 1000 * min(_LONGEST_SECONDS, 0.01 * 2**attempt))
            yield attempt
        raise ChimeraError("DATABASE_WAKING", f"others won this item {ATTEMPTS} times", {"attempts": ATTEMPTS})


class Busy(Exception):  # noqa: N818 - not an error: another try may win
    """A conflict with another transaction, or too many requests: nothing was written."""


class Refused(Exception):  # noqa: N818 - not an error: the caller reads why
    """A condition did not hold: nothing was written."""


def _failure(operation: str, response: Any) -> Exception:
    error = response.get("Error", {})
    code = str(error.get("Code", "unknown"))
    if code == "ConditionalCheckFailedException":
        return Refused(operation)
    if code == "TransactionCanceledException":
        reasons = [str(reason.get("Code") or "None") for reason in response.get("CancellationReasons", [])]
        real = [reason for reason in reasons if reason != "None"]
        if real and all(reason in _BUSY for reason in real):
            return Busy(operation)
        # a condition beside a conflict: what was read for it may be stale, but whoever reads again finds out
        if real and all(reason in _BUSY or reason == "ConditionalCheckFailed" for reason in real):
            return Refused(operation)
        return ChimeraError(
            "INTERNAL", f"DynamoDB cancelled {operation}: {', '.join(real) or 'no reason given'}", {"reasons": reasons}
        )
    if code in _BUSY:
        return Busy(operation)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _AWAY or status >= 500:
        return ChimeraError("DATABASE_WAKING", f"DynamoDB failed at {operation}", {"reason": code, "status": status})
    return ChimeraError(
        "INTERNAL", f"DynamoDB refused {operation}: {code}", {"reason": str(error.get("Message", ""))[:200]}
    )


def text(value: str) -> dict[str, str]:
    """A string attribute."""
    return {"S": value}


def number(value: int) -> dict[str, str]:
    """A whole-number attribute (DynamoDB keeps 38 digits)."""
    return {"N": str(value)}


def flag(value: bool) -> dict[str, bool]:
    """A boolean attribute."""
    return {"BOOL": value}


def whole(item: Item, name: str) -> int:
    """A whole-number attribute's value."""
    return int(item[name]["N"])
