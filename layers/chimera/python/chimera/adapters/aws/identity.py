"""Cognito's tokens, for whoever is not behind the HTTP API's JWT authorizer: checked with the pool's own JWKS.

The address of the keys is made from the settings, never from the token: `jku`, `x5u` and `jwk` headers are refused by
`adapters/tokens.py`. Cognito's *id* tokens are the ones to send: they carry `aud`, the groups and the tenant.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from chimera.adapters.tokens import decode
from chimera.errors import ChimeraError

REFRESH_SECONDS = 60.0
"""An unknown key id makes us ask for the keys again, at most this often."""
MAX_JWKS_BYTES = 64 * 1024
TIMEOUT_SECONDS = 5.0


class CognitoVerifier:
    """`issuer` is `https://cognito-idp.<region>.amazonaws.com/<pool id>`. Thread-safe; keys are kept by their `kid`."""

    def __init__(self, issuer: str, http: httpx.Client | None = None) -> None:
        self._issuer = issuer.rstrip("/")
        self._http = http or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._lock = threading.Lock()
        self._keys: dict[str, RSAPublicKey] = {}
        self._asked = float("-inf")

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims of a live token of this pool for this app client, else `UNAUTHENTICATED`.

        `PROVIDER_TIMEOUT` when the pool's keys cannot be had: nobody is let in on a guess.
        """
        return decode(token, audience, self._issuer, self._keys_for(token))

    def _keys_for(self, token: str) -> dict[str, RSAPublicKey]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, TypeError):
            return {}
        with self._lock:
            if kid not in self._keys and time.monotonic() - self._asked >= REFRESH_SECONDS:
                self._keys = self._fetch()
                self._asked = time.monotonic()
            return self._keys

    def _fetch(self) -> dict[str, RSAPublicKey]:
        where = f"{self._issuer}/.well-known/jwks.json"
        try:
            answer = self._http.get(where)
            answer.raise_for_status()
            if len(answer.content) > MAX_JWKS_BYTES:
                raise ValueError(f"{len(answer.content)} bytes")
            found = json.loads(answer.content)["keys"]
            keys = {
                k["kid"]: jwt.PyJWK(k, "RS256").key for k in found if k.get("kty") == "RSA" and k.get("use") == "sig"
            }
        except (httpx.HTTPError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            raise ChimeraError(
                "PROVIDER_TIMEOUT", f"the keys at {where} cannot be read", {"reason": type(error).__name__}
            ) from error
        return {str(kid): key for kid, key in keys.items() if isinstance(key, RSAPublicKey) and key.key_size >= 2048}
