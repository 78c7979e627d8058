"""Masks swearing in captions: the first letter stays, asterisks for the rest. Whole words only, so places and names
that contain one are left alone.

The words come from `policy_words`; its lists are English, so for other languages only those stay that are swearing
in any language (`slut` is Swedish for `end`). What is added here is written in ROT13, as there.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import lru_cache

from chimera.domain.folding import fold, unleet
from chimera.domain.policy_words import Category, Level, terms

_FROM: tuple[tuple[Category, Level], ...] = (
    ("harassment", "strong"), ("harassment", "explicit"), ("hate", "explicit"), ("sexual", "explicit"),
)  # fmt: skip
# Clinical, literary or mild: they would be masked needlessly.
_KEPT = (
    "vzorpvyr,fphzont,pyvgbevf,znfgheongvat,znfgheongvba,znfgheongr,phaavyvathf,sryyngvb,guerrfbzr,uragnv,orneare,"
    "mvccreurnq,zhqfunex,uhatrezrafpu,yvogneq,srzvanmv,gbyyvjbt,ornare,pernzcvr,hagrezrafpu"
)
_ADDED = "juber,fyhg,gvgf,jnaxre,ergneq,ergneqrq,xnssve,gbffre,nefrubyr,neffubyr,qvpxurnqf,jnax,obyybpxf,cvff,cvffrq"
# Swearing wherever it is written; these take endings, too.
_EVERYWHERE = "shpx,shpxvat,shpxrq,shpxre,zbgureshpxre,ohyyfuvg,fuvg,nffubyr,ovgpu,phag,avttre,avttn"
_ENDINGS = (
    "(?:s|es|ed|er|ers|in|ing|ings|y|ier|iest|ty|ted|ting|ter|ters|head|heads|face|faces|wit|wits|hole|holes|less)?"
)
_PARTS = re.compile(r"([^\W_](?:[^\W_]|[@$*'’](?=\w))*)")


def _clear(text: str) -> frozenset[str]:
    return frozenset(codecs.decode(text, "rot13").split(","))


@lru_cache(maxsize=2)
def _pattern(english: bool) -> re.Pattern[str]:
    everywhere = _clear(_EVERYWHERE)
    rooted = "|".join(sorted(map(re.escape, everywhere), key=len, reverse=True))
    body = rf"(?:{rooted}){_ENDINGS}"
    if english:
        single = {w for key in _FROM for w in terms()[key] if w.isalpha()} | _clear(_ADDED)
        plain = "|".join(sorted(map(re.escape, single - _clear(_KEPT) - everywhere), key=len, reverse=True))
        body = rf"{body}|(?:{plain})(?:s|es)?"
    return re.compile(body)


def is_profane(word: str, language: str = "en") -> bool:
    """Whether one word, inflected or with digits for letters, is swearing."""
    pattern = _pattern(language.lower().startswith("en"))
    folded = fold(word).strip()
    return any(pattern.fullmatch(form) is not None for form in (folded, unleet(folded)))


def mask(text: str, language: str = "en") -> str:
    """The text with each swear word as its first letter and asterisks: same length, same punctuation."""
    return _PARTS.sub(lambda match: _masked(match.group(), language), text)


def _masked(part: str, language: str) -> str:
    stem, tail = part, ""
    possessive = re.search(r"['’]s$", part)
    if possessive:
        stem, tail = part[: possessive.start()], possessive.group()
    if not is_profane(stem, language):
        return part
    letters = unicodedata.normalize("NFC", stem)
    return letters[0] + "*" * (len(letters) - 1) + tail
