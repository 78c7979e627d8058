"""The laptop's identity provider: an RS256 key of its own, tokens for people and publish grants."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.tokens import decode
from chimera.domain.ids import is_uuid, new_id
from chimera.errors import ChimeraError
from chimera.ports import Clock

ISSUER = "chimera-local"
API_AUDIENCE = "chimera-api"
GRANT_AUDIENCE = "publisher"
ROLES = ("viewer", "reviewer", "operator", "admin")
ACCESS_TTL_SECONDS = 3600
KEY_FILE = "issuer-rs256.pem"


@dataclass(frozen=True)
class Person:
    """Who a token speaks for. Each role includes those before it: viewer, reviewer, operator, admin."""

    subject: str
    tenant_id: str
    roles: tuple[str, ...]

    def require(self, role: str) -> None:
        """`FORBIDDEN` unless the person has this role or a higher one."""
        if not any(ROLES.index(own) >= ROLES.index(role) for own in self.roles):
            raise ChimeraError(
                "FORBIDDEN", f"this needs the role {role!r}; you are {', '.join(self.roles)}", {"role": role}
            )


class LocalIssuer:
    """Mints and checks tokens with the key file `issuer-rs256.pem` (0600), made when first needed."""

    def __init__(self, keys_path: Path, clock: Clock | None = None) -> None:
        self._path = keys_path / KEY_FILE
        self._clock = clock or SystemClock()
        self._key: rsa.RSAPrivateKey | None = None

    @property
    def _private(self) -> rsa.RSAPrivateKey:
        if self._key is None:
            self._key = _load_or_make(self._path)
        return self._key

    @property
    def key_id(self) -> str:
        """The key's RFC 7638 thumbprint."""
        n, e = _numbers(self._private.public_key())
        canonical = json.dumps({"e": e, "kty": "RSA", "n": n}, separators=(",", ":"), sort_keys=True)
        return _b64(hashlib.sha256(canonical.encode()).digest())

    def public_keys(self) -> dict[str, rsa.RSAPublicKey]:
        """The keys whose tokens are accepted, by `kid`."""
        return {self.key_id: self._private.public_key()}

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        n, e = _numbers(self._private.public_key())
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id, "n": n, "e": e}]}

    def mint(self, *, subject: str, audience: str, ttl_seconds: int, claims: dict[str, Any]) -> str:
        """A token with exp, iat, sub, aud, iss, jti and these further claims."""
        if not 0 < ttl_seconds <= ACCESS_TTL_SECONDS:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"a token lives 1 to {ACCESS_TTL_SECONDS} s, not {ttl_seconds}",
                {"ttl": ttl_seconds},
            )
        now = self._clock.now()
        body = {
            **claims,
            "iss": ISSUER,
            "sub": subject,
            "aud": audience,
            "jti": new_id(),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=ttl_seconds)).timestamp()),
        }
        return jwt.encode(body, self._private, algorithm="RS256", headers={"kid": self.key_id})

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims; `UNAUTHENTICATED` for anything else than a live token of ours for this audience."""
        return decode(token, audience, ISSUER, self.public_keys())

    def person_token(self, subject: str, tenant_id: str, roles: Sequence[str], agents: Sequence[str] = ()) -> str:
        """An API token for a person, one hour; with `agents` for a program that may ask the CFO for these only."""
        wrong = [role for role in roles if role not in ROLES]
        if wrong or not roles or not subject or not is_uuid(tenant_id):
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"a token needs subject, tenant id and roles of {', '.join(ROLES)}; got {list(roles)!r}",
                {"roles": list(roles), "tenant_id": tenant_id},
            )
        return self.mint(
            subject=subject,
            audience=API_AUDIENCE,
            ttl_seconds=ACCESS_TTL_SECONDS,
            claims={"roles": list(roles), "tenant": tenant_id, **({"agents": list(agents)} if agents else {})},
        )

    def authenticate(self, token: str) -> Person:
        """The person a bearer token speaks for; `UNAUTHENTICATED` if it is not a person's token of ours."""
        claims = self.verify(token, API_AUDIENCE)
        roles, tenant = claims.get("roles"), claims.get("tenant")
        sound = isinstance(roles, list) and roles and all(isinstance(r, str) and r in ROLES for r in roles)
        if not sound or not isinstance(tenant, str) or not is_uuid(tenant) or not claims["sub"]:
            raise ChimeraError("UNAUTHENTICATED", "the token does not name a person, a tenant and known roles", {})
        return Person(claims["sub"], tenant, tuple(claims["roles"]))


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(name, path)  # unlike a rename it never replaces: of two processes that start at once one wins
            except FileExistsError:
                pass
        finally:
            Path(name).unlink(missing_ok=True)
    if path.stat().st_mode & 0o077:
        raise ChimeraError("FORBIDDEN", f"{path.name} can be read by others; run chmod 600 on it", {"file": str(path)})
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise ChimeraError("INTERNAL", f"{path} is not a private key; remove it to get a new one", {}) from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ChimeraError("INTERNAL", f"{path} does not hold an RSA key of at least 2048 bits", {})
    return key


def _numbers(key: rsa.RSAPublicKey) -> tuple[str, str]:
    numbers = key.public_numbers()
    return _b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")), _b64(
        numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    )


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
