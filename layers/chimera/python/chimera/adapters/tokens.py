"""The only door to PyJWT: RS256, known keys, every claim demanded; whatever is wrong is UNAUTHENTICATED."""

from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from chimera.errors import ChimeraError

TYPES = {"exp": int, "iat": int, "sub": str, "aud": str, "iss": str, "jti": str}
OPTIONS: Any = {"require": list(TYPES), "strict_aud": True}
WRONG = (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError, OverflowError)


def decode(token: str, audience: str, issuer: str, keys: Mapping[str, RSAPublicKey]) -> dict[str, Any]:
    """The claims of a token signed by one of `keys` (by `kid`) for this audience, else `UNAUTHENTICATED`."""
    try:
        if type(token) is not str or len(token) > 8192:
            raise ValueError("not a compact token of at most 8192 characters")
        header = jwt.get_unverified_header(token)
        if set(header) - {"alg", "kid", "typ"} or header.get("typ", "JWT") != "JWT":
            raise ValueError("unexpected header")
        claims = jwt.decode(token, keys[header["kid"]], ["RS256"], OPTIONS, audience=audience, issuer=issuer)
        if not all(type(claims[name]) is kind for name, kind in TYPES.items()):
            raise ValueError("a claim has the wrong type")
    except WRONG as error:
        reason = {"reason": type(error).__name__}
        raise ChimeraError("UNAUTHENTICATED", "the token is not accepted", reason) from None
    return claims
