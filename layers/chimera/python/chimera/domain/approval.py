"""The approval token: the signed claims that let somebody spend once, and how a spender checks them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol

import rfc8785
from pydantic import Field, ValidationError

from chimera.domain.ledger import APPROVAL_PREFIX, AUDIENCE
from chimera.domain.models import Model
from chimera.errors import ChimeraError

MAX_TOKEN_BYTES = 2048
CLOCK_SKEW_SECONDS = 30


class SignatureVerifier(Protocol):
    """The part of ports.Verifier that this module needs."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Whether the signature is by this key over this message."""
        ...


class ApprovalToken(Model):
    """What travels through the state machine: at most 2 KB of JSON."""

    claims: dict[str, Any]
    kid: str = Field(max_length=64)
    sig: str = Field(pattern=r"^[A-Za-z0-9_-]{86}$", description="base64url without padding, raw r‖s")


@dataclass(frozen=True)
class Claims:
    """The claims of a valid approval; amounts in micros, `exp` in Unix seconds."""

    request_id: str
    tenant_id: str
    agent_id: str
    category: str
    amount_micros: int
    seq: int
    control_epoch: int
    exp: int
    body: bytes


def make_token(body_claims: dict[str, Any], kid: str, signature: bytes) -> ApprovalToken:
    """Claims and signature as they travel."""
    sig = base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii")
    return ApprovalToken(claims=body_claims, kid=kid, sig=sig)


def verify_approval(
    token: ApprovalToken | Mapping[str, Any] | None,
    verifier: SignatureVerifier,
    *,
    now: datetime,
    agent_id: str | None = None,
    amount_micros: int | None = None,
    request_id: str | None = None,
    tenant_id: str | None = None,
    check_expiry: bool = True,
) -> Claims:
    """The claims, if the token approves at least `amount_micros` for this agent (and request, tenant) now.

    `INVALID_SIGNATURE` otherwise, with the reason in the details. None leaves a check to the ledger, which
    compares the
    token byte for byte with its own row. An approval that ends within 30 s counts as expired: clocks differ.
    """
    parsed = _parse(token)
    claims = parsed.claims
    try:
        body = rfc8785.dumps(claims)
        signature = base64.b64decode(parsed.sig + "=" * (-len(parsed.sig) % 4), altchars=b"-_", validate=True)
    except (rfc8785.CanonicalizationError, binascii.Error, RecursionError, UnicodeError) as error:
        _refuse("the token cannot be read", type(error).__name__)
    if len(body) + len(parsed.sig) > MAX_TOKEN_BYTES:
        _refuse("the token is too large", f"{len(body)} bytes, expected at most {MAX_TOKEN_BYTES}")
    if claims.get("kid") != parsed.kid or claims.get("alg") != "ES256" or claims.get("v") != 1:
        _refuse("another key or algorithm than the claims name")
    if not verifier.verify(parsed.kid, APPROVAL_PREFIX + body, signature):
        _refuse("the signature is not the CFO's over these claims")
    # from here on the claims are our own
    if claims["entry"] != "DECISION" or claims["decision"] != "approved" or claims["aud"] != AUDIENCE:
        _refuse("the claims do not approve spending")
    if claims["currency"] != "USD":
        _refuse("the approval is not in USD")
    if tenant_id is not None and claims["tenant_id"] != tenant_id:
        _refuse("the approval is another tenant's")
    if request_id is not None and claims["request_id"] != request_id:
        _refuse("the approval is for another request", f"got {claims['request_id']}, expected {request_id}")
    if agent_id is not None and claims["agent_id"] != agent_id:
        _refuse("the approval is another agent's", f"got {claims['agent_id']}, expected {agent_id}")
    approved = int(claims["amount_micros"])
    if amount_micros is not None and amount_micros > approved:
        _refuse("the approval does not cover the amount", f"{approved} micros approved, {amount_micros} asked for")
    seconds = now.timestamp()
    if claims["nbf"] > seconds + CLOCK_SKEW_SECONDS:
        _refuse("the approval is not valid yet")
    if check_expiry and claims["exp"] < seconds + CLOCK_SKEW_SECONDS:
        _refuse("the approval has expired", f"at {claims['exp']}, now {int(seconds)}")
    return Claims(
        request_id=claims["request_id"],
        tenant_id=claims["tenant_id"],
        agent_id=claims["agent_id"],
        category=claims["category"],
        amount_micros=approved,
        seq=int(claims["seq"]),
        control_epoch=int(claims["control_epoch"]),
        exp=int(claims["exp"]),
        body=body,
    )


def _parse(token: ApprovalToken | Mapping[str, Any] | None) -> ApprovalToken:
    if isinstance(token, ApprovalToken):
        return token
    if not isinstance(token, Mapping):
        _refuse("there is no approval", f"got {type(token).__name__}, expected an object {{claims, kid, sig}}")
    try:
        return ApprovalToken.model_validate(dict(token))
    except ValidationError as error:
        _refuse("the token is malformed", "; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())[:300])


def _refuse(reason: str, detail: str = "") -> NoReturn:
    raise ChimeraError("INVALID_SIGNATURE", reason, {"reason": detail} if detail else {})
