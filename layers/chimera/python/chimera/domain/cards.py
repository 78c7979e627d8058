"""Image posts: how many cards each format has, what they are called, and the one hash that stands for all of a post."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from chimera.domain.models import Format

STILL_FORMATS: tuple[Format, ...] = ("image", "carousel", "thread")
CARD_COUNTS: dict[str, tuple[int, int]] = {"image": (1, 1), "carousel": (2, 10), "thread": (1, 25)}
"""Fewest and most cards of a format. A thread has up to 25 posts, the first with a card."""
POST_COUNTS: dict[str, tuple[int, int]] = {"image": (0, 0), "carousel": (0, 0), "thread": (2, 25)}
_KIND = re.compile(r"card_(\d{2})")


def is_still(format: str) -> bool:
    """Whether a format is pictures and text, without sound or motion."""
    return format in STILL_FORMATS


def card_kind(number: int) -> str:
    """The kind of the n-th card, from 1, among a post's files."""
    return f"card_{number:02d}"


def card_name(kind: str) -> str:
    """The file's name of a card's kind: `card_01` -> `card-01.jpg`."""
    return f"{kind.replace('_', '-')}.jpg"


def card_kinds(files: Mapping[str, object]) -> list[str]:
    """The cards among a post's files, in their order."""
    return sorted(kind for kind in files if _KIND.fullmatch(kind))


def set_sha256(
    hashes: Sequence[str], *, posts: Sequence[str], post_media: Sequence[str], alt: Mapping[str, str]
) -> str:
    """The hash of a whole post: its cards' hashes in their order, its texts, which card is with which, and what they show."""
    texts = {"posts": list(posts), "post_media": list(post_media), "alt": dict(alt)}
    whole = json.dumps({"cards": list(hashes), **texts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(whole.encode()).hexdigest()
