"""The laptop's stand-in for S3's POST forms: `chimera up` takes the file, and what it may be is signed with the local key."""

from __future__ import annotations

from typing import Any

from chimera.adapters.local.issuer import LocalIssuer
from chimera.errors import ChimeraError

UPLOAD_AUDIENCE = "chimera-upload"
UPLOAD_PATH = "/uploads"


class LocalUploadForms:
    """Forms for the server at `base_url`. Key, type, size and expiry are claims of the form's `policy`, so none is believed."""

    def __init__(self, issuer: LocalIssuer, base_url: str) -> None:
        self._issuer = issuer
        self._base_url = base_url.rstrip("/")

    def upload_form(
        self, key: str, *, content_type: str, max_bytes: int, expires_seconds: int = 300, temporary: bool = False
    ) -> dict[str, Any]:
        """`{url, fields}` of a POST form that stores this one key, of this type, of at most so many bytes.

        A temporary file stays as well: on one's own disk nothing is deleted behind one's back.
        """
        if max_bytes < 1:
            raise ChimeraError("VALIDATION_FAILED", f"upload: got {max_bytes} bytes, expected 1 or more")
        claims = {"key": key, "content_type": content_type, "max_bytes": max_bytes}
        policy = self._issuer.mint(subject=key, audience=UPLOAD_AUDIENCE, ttl_seconds=expires_seconds, claims=claims)
        return {
            "url": f"{self._base_url}{UPLOAD_PATH}",
            "fields": {"Content-Type": content_type, "policy": policy},
        }
