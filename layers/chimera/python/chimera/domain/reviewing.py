"""What a person's decision is bound to."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def spend_hash(request: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of an escalated request, in hex: the decision is about these words."""
    return hashlib.sha256(rfc8785.dumps(request)).hexdigest()
