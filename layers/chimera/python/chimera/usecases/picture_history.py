"""What a persona's last ten videos showed: hashes of their pictures and how they opened, one file for each content.

`tenants/{tenant}/personas/{persona}/pictures/{when}-{content}.json`: runs at the same time write different files, and a step
that is repeated writes the same one again, so nothing is lost and nothing counts twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chimera.ports import MediaStore

LAST = 10


@dataclass(frozen=True)
class Shown:
    """Hashes of pictures by the content that showed them, and the looks that cards opened with."""

    hashes: tuple[tuple[int, str], ...] = ()
    openings: tuple[str, ...] = ()


def shown_before(media: MediaStore, tenant_id: str, persona_id: str, content_id: str) -> Shown:
    """The last ten contents but this one; a file that cannot be read counts as nothing."""
    if not _sound(persona_id):
        return Shown()
    others = [k for k in media.keys(_prefix(tenant_id, persona_id)) if not k.endswith(f"-{content_id}.json")]
    hashes: list[tuple[int, str]] = []
    openings: list[str] = []
    for key in sorted(others)[-LAST:]:
        try:
            entry = json.loads(media.get_bytes(key))
            hashes += [(int(text, 16), str(entry["content_id"])) for text in entry["hashes"][:400]]
            openings += [str(entry["opening"])[:80]] if entry.get("opening") else []
        except (ValueError, KeyError, TypeError):
            continue
    return Shown(tuple(hashes), tuple(openings))


def keep_shown(
    media: MediaStore,
    tenant_id: str,
    persona_id: str,
    content_id: str,
    *,
    hashes: Sequence[int],
    opening: str,
    now: datetime,
) -> None:
    """Enter what this content shows; again is the same file."""
    if not _sound(persona_id):
        return
    prefix = _prefix(tenant_id, persona_id)
    known = [key for key in media.keys(prefix) if key.endswith(f"-{content_id}.json")]
    key = known[0] if known else f"{prefix}{now:%Y%m%dT%H%M%SZ}-{content_id}.json"
    entry = {"content_id": content_id, "hashes": [f"{value:016x}" for value in hashes], "opening": opening}
    media.put_bytes(key, json.dumps(entry, sort_keys=True).encode())


def _prefix(tenant_id: str, persona_id: str) -> str:
    return f"tenants/{tenant_id}/personas/{persona_id}/pictures/"


def _sound(persona_id: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._-]{1,100}", persona_id) is not None and ".." not in persona_id
