"""The request at hand: its application, its caller, its id; and the id checks that every route makes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_lambda_powertools.event_handler.api_gateway import Router

from chimera.bootstrap import App
from chimera.domain.ids import is_uuid, new_id, stable_id
from chimera.errors import ChimeraError
from functions.api.access import Caller

CONTEXT_KEY = "chimera_call"


@dataclass(frozen=True)
class Call:
    """One request. `caller` is None only on the open routes."""

    app: App
    caller: Caller | None

    @property
    def who(self) -> Caller:
        """The caller; `UNAUTHENTICATED` without one."""
        if self.caller is None:
            raise ChimeraError("UNAUTHENTICATED", "a bearer token is needed", {})
        return self.caller

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.who.tenant_id


def new_router() -> Router:
    """An empty router."""
    return Router()  # type: ignore[no-untyped-call]


def current(router: Router) -> Call:
    """The request that the router is answering."""
    call: Call = router.context[CONTEXT_KEY]
    return call


def known_id(value: str, what: str) -> str:
    """The id in its canonical form; `NOT_FOUND` for what cannot be one."""
    if not is_uuid(value):
        raise ChimeraError("NOT_FOUND", f"no {what} {value[:80]!r}: an id is a UUID", {what: value[:80]})
    return value.lower()


def keyed_id(tenant_id: str, kind: str, key: str | None) -> str:
    """The id that an Idempotency-Key stands for, a new one without it; `VALIDATION_FAILED` for a key of
    another form."""
    return new_id() if checked_key(key) is None else stable_id(tenant_id, kind, str(key))


def checked_key(key: str | None) -> str | None:
    """The Idempotency-Key, or None without one; `VALIDATION_FAILED` for one of another form."""
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
        expected = "1–200 visible ASCII characters"
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"Idempotency-Key: got {key[:80]!r}, expected {expected}",
            {"Idempotency-Key": {"got": key[:80], "expected": expected}},
        )
    return key
