"""Who asks and what they may do: from the claims of a token that the gateway has verified, nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError

ROLES = ("viewer", "reviewer", "operator", "admin")
OPEN = frozenset({("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")})
_DECISION = re.compile(r"^/v1/reviews/[^/]+/(approve|reject)$")


@dataclass(frozen=True)
class Caller:
    """A person (or a program in their name). Each role includes those before it."""

    subject: str
    tenant_id: str
    role: str
    agents: frozenset[str] | None = None
    """Agents that the caller may ask the CFO for; None for a person, who may ask for any of the tenant's."""

    def require(self, role: str) -> None:
        """`FORBIDDEN` unless the caller has this role or a higher one."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise ChimeraError(
                "FORBIDDEN",
                f"this needs the role {role!r}; you are {self.role!r}",
                {"needed": role, "role": self.role},
            )

    def require_agent(self, agent_id: str) -> None:
        """`FORBIDDEN` unless the caller may ask in this agent's name: who one is comes from the token, not from a body."""
        if self.agents is not None and agent_id.lower() not in self.agents:
            raise ChimeraError(
                "FORBIDDEN",
                f"agent_id: got {agent_id[:80]!r}, expected an agent that your token names",
                {"agent_id": {"got": agent_id[:80], "expected": "an agent that the token names"}},
            )


def needed_role(method: str, path: str) -> str | None:
    """The least role for a request; None where everybody may ask.

    Reads need a viewer, review decisions a reviewer, everything else that changes something an operator.
    """
    if (method, path) in OPEN:
        return None
    if method in ("GET", "HEAD", "OPTIONS"):
        return "viewer"
    return "reviewer" if _DECISION.match(path) else "operator"


def caller_of(event: Mapping[str, Any]) -> Caller:
    """The caller in `requestContext.authorizer.jwt.claims`: `sub`, `tenant`, `role` (of `roles` the highest), `agents`.

    `UNAUTHENTICATED` if there are no such claims or they name no tenant and no known role.
    """
    claims: Any = event.get("requestContext")
    for name in ("authorizer", "jwt", "claims"):
        claims = claims.get(name) if isinstance(claims, Mapping) else None
    if not isinstance(claims, Mapping):
        raise ChimeraError("UNAUTHENTICATED", "a bearer token is needed; `chimera token` makes one", {})
    subject, tenant = claims.get("sub"), claims.get("tenant") or claims.get("custom:tenant")
    named = [word for name in ("role", "roles", "cognito:groups") for word in _words(claims.get(name))]
    known = [role for role in named if role in ROLES]
    sound = isinstance(subject, str) and 0 < len(subject.strip()) <= 200 and isinstance(tenant, str) and is_uuid(tenant)
    if not sound or not known:
        raise ChimeraError(
            "UNAUTHENTICATED", "the token names no person, tenant and known role", {"roles": list(ROLES)}
        )
    agents = frozenset(_ids(claims["agents"])) if "agents" in claims else None
    return Caller(subject=str(subject), tenant_id=str(tenant).lower(), role=max(known, key=ROLES.index), agents=agents)


def _words(value: Any) -> list[str]:
    """Names in a claim: a list, or the text that API Gateway makes of one (`[viewer operator]`)."""
    if isinstance(value, str):
        return re.findall(r"\w+", value)
    return [str(item) for item in value] if isinstance(value, list) else []


def _ids(value: Any) -> list[str]:
    """UUIDs in a claim: a list, or the text that API Gateway makes of one; what is none is left out."""
    words = re.findall(r"[0-9A-Fa-f-]{36}", value) if isinstance(value, str) else value
    return [str(word).lower() for word in words if is_uuid(str(word))] if isinstance(words, list) else []
