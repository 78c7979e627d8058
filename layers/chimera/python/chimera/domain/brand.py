"""What a persona never says: finds terms of its avoid list in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chimera.domain.folding import fold, unleet


def avoided(text: str, avoid: Sequence[str]) -> list[str]:
    """Terms of the list that stand in the text as whole words, also as plural, disguised or spaced out."""
    if not avoid:
        return []
    folded = fold(text)
    variants = (folded, unleet(folded))
    return [term for term in avoid if _stands_in(fold(term).strip(), variants)]


def _stands_in(term: str, variants: tuple[str, ...]) -> bool:
    if not term:
        return False
    body = re.escape(term).replace(r"\ ", r"[\s_-]+")
    before = r"(?<!\w)" if term[0].isalnum() else ""
    after = r"(?:'?e?s)?(?!\w)" if term[-1].isalnum() else ""
    pattern = re.compile(before + body + after)
    # A term in a script without spaces (日本) is looked for anywhere.
    spaceless = not term.isascii() and any(ord(c) >= 0x2E80 for c in term)
    return any(term in v if spaceless else pattern.search(v) is not None for v in variants)
