"""Asks whether the content keeps to the persona: nothing it avoids, and a voice like its own."""

from __future__ import annotations

import re
from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain.brand import avoided
from chimera.domain.judge import Subject
from chimera.domain.models import Check

_LOUD = re.compile(r"\b(?:hype|hyped|energetic|bold|loud|playful|fun|excited|punchy|edgy)\b", re.I)
_CALM = re.compile(r"\b(?:calm|clear|serious|neutral|factual|formal|curious|measured|professional|sober|quiet)\b", re.I)


class BrandCheck:
    """Two answers: the avoid list (any hit fails); the voice (shouting and clickbait in a calm persona)."""

    name = "brand"
    category = "brand"

    def run(self, subject: Any) -> list[Check]:
        """Check every published text against the persona's guidelines."""
        content = Subject.model_validate(subject)
        guidelines = content.profile.brand_guidelines
        # An address is not the persona's choice of words.
        texts = {place: re.sub(r"https?://\S+", "", text) for place, text in content.published_text().items()}
        hits = [f"{term!r} in {place}" for place, text in texts.items() for term in avoided(text, guidelines.avoid)]
        spoken = f"{content.title}\n{content.script}"
        faults = _shouting(spoken)
        style = f"{content.profile.tone} {guidelines.voice}"
        allowed = 4 if _LOUD.search(style) and not _CALM.search(style) else 1
        return [
            answer("brand.avoid", "brand", 0.0 if hits else 1.0, evidence=listed(hits)),
            answer(
                "brand.voice",
                "brand",
                1 - max(0, len(faults) - allowed) * 0.25,
                threshold=0.6,
                evidence=listed(faults),
            ),
        ]


_BAIT = re.compile(
    r"\b(?:you won'?t believe|shocking|insane|mind[- ]?blow\w*|doctors hate|this one (?:trick|weird)"
    r"|gone wrong|must[- ]see"
    r"|number \d+ will|what happen(?:s|ed) next|jaw[- ]dropping|unbelievable|omg|literally crazy)\b",
    re.I,
)


def _shouting(text: str) -> list[str]:
    faults = [f"clickbait {m.group()!r}" for m in _BAIT.finditer(text)]
    faults += ["repeated exclamation marks"] * len(re.findall(r"!{2,}|\?!|!\?", text))
    marks = text.count("!") - 2
    faults += ["exclamation marks"] * max(0, marks // 2)
    faults += ["words in capitals"] * len(re.findall(r"(?:\b[A-Z]{4,}\b\W+){3,}", text))
    return faults
