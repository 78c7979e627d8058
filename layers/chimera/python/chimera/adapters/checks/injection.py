"""Asks whether instructions from outside reached what is published; what stays in the material is harmless
data.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from chimera.adapters.checks.answers import answer, listed
from chimera.domain import injection
from chimera.domain.folding import fold, sentences
from chimera.domain.judge import Subject
from chimera.domain.models import Check


class InjectionCheck:
    """Two answers: the published text itself, and whether an instruction found in the material came through.

    An instruction came through when three quarters of its words (of five or more) stand together in a
    published text.
    """

    name = "injection"
    category = "security"

    def run(self, subject: Any) -> list[Check]:
        """Scan the published texts; then look for the material's instructions in them."""
        content = Subject.model_validate(subject)
        texts = content.published_text()
        worst, where = injection.Finding(0.0, (), ""), ""
        for place, text in texts.items():
            found = injection.scan(text)
            if found.score > worst.score:
                worst, where = found, place
        evidence = f"{where}: {', '.join(worst.kinds)}: {worst.excerpt!r}" if worst.is_hit else ""
        return [
            answer("injection.content", "security", 1 - worst.score, threshold=0.5001, evidence=evidence),
            self._material(content, texts),
        ]

    def _material(self, content: Subject, texts: dict[str, str]) -> Check:
        suspicious: list[str] = []
        reached: list[str] = []
        published = [set(_words(s)) for text in texts.values() for s in _windows(text)]
        for text in content.material_texts():
            for sentence in sentences(text[:200_000]):
                if len(suspicious) < 200 and injection.scan(sentence).is_hit:
                    suspicious.append(sentence[:80])
                    words = set(_words(sentence))
                    share = max((len(words & p) / len(words) for p in published if words), default=0.0)
                    if len(words) >= 5 and share >= 0.75:
                        reached.append(sentence[:80])
        if reached:
            return answer("injection.material", "security", 0.1, evidence=f"came through: {listed(reached)}")
        evidence = f"{len(suspicious)} found in the material, none came through" if suspicious else ""
        return answer("injection.material", "security", 0.75 if suspicious else 1.0, evidence=evidence)


def _windows(text: str) -> list[str]:
    split = sentences(text)
    return split + [f"{a} {b}" for a, b in itertools.pairwise(split)]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", fold(text))
