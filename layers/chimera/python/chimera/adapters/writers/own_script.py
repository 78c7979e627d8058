"""The writer for a person's own script: cuts it into scenes and changes no word of it."""

from __future__ import annotations

import re
from itertools import pairwise

from chimera.adapters.writers.headline import headline_of, pictures_of, short_line
from chimera.domain.models import Draft, Material, Scene, WriterInfo
from chimera.errors import ChimeraError
from chimera.media.text import clean, shorten

MOST_SCENES = 60
_SCENE_WORDS = 26
_MOST_CHARACTERS = 1400
_SENTENCE = re.compile(r"(?<=[.!?…。！？؟])[\"'”’»)\]]*\s+|(?<=[。！？])")
_CLAUSE = re.compile(r"(?<=[,;:،、])\s+")


class OwnScriptWriter:
    """Takes the script as it stands. An empty line begins a new scene; a line `# …` is shown with the scene after it."""

    name = "own script"
    priority = 0
    speaks_script = True

    def write(self, material: Material) -> Draft:
        """A draft of 1 word to 5,000 characters in at most 60 scenes.

        Raises `VALIDATION_FAILED` for a script in which nothing can be spoken.
        """
        scenes: list[Scene] = []
        for card, said in _paragraphs(material.script):
            for number, text in enumerate(_cut(said)):
                shown = card if number == 0 and card else headline_of(text) or short_line(text)
                about = ", ".join(pictures_of(text)) or shorten(text, 200)
                scenes.append(Scene(narration=text, visual_prompt=about, on_screen_text=shown[:200]))
        if not scenes:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"script: got {material.script[:60]!r}, expected words that can be spoken",
                {"characters": len(material.script)},
            )
        url = material.trend.url
        return Draft(
            title=shorten(clean(material.trend.title), 100),
            description=shorten(" ".join(s.narration for s in scenes), 1000),
            scenes=_at_most(scenes),
            sources=[url] if url else [],
            writer=WriterInfo(provider=self.name, model="as written", prompt_version="own-1"),
        )


def _paragraphs(script: str) -> list[tuple[str, str]]:
    """(what is shown, what is said) for each part between empty lines."""
    parts: list[tuple[str, str]] = []
    for block in re.split(r"\n\s*\n", script.replace("\r\n", "\n")):
        cards = [line.strip("# \t") for line in block.splitlines() if line.lstrip().startswith("#")]
        said = clean(" ".join(line for line in block.splitlines() if not line.lstrip().startswith("#")))
        if any(c.isalnum() for c in said):
            parts.append((clean(" ".join(cards), limit=200), said))
    return parts


def _cut(text: str) -> list[str]:
    """Scenes of about a sentence or two: the text in order, every word in exactly one of them."""
    pieces = [p for sentence in _SENTENCE.split(text) for p in _shorter(sentence.strip()) if p]
    scenes: list[str] = []
    for piece in pieces:
        joined = f"{scenes[-1]} {piece}" if scenes else piece
        if scenes and len(joined.split()) <= _SCENE_WORDS and len(joined) <= _MOST_CHARACTERS:
            scenes[-1] = joined
        else:
            scenes.append(piece)
    return scenes


def _shorter(sentence: str) -> list[str]:
    """A sentence that is too long for a scene, cut at a clause, else at a word, else anywhere."""
    if len(sentence.split()) <= 2 * _SCENE_WORDS and len(sentence) <= _MOST_CHARACTERS:
        return [sentence]
    halves = _CLAUSE.split(sentence)
    words = sentence.split()
    if len(halves) > 1:
        middle = min(range(1, len(halves)), key=lambda i: abs(len(" ".join(halves[:i])) - len(sentence) / 2))
        head, tail = " ".join(halves[:middle]), " ".join(halves[middle:])
    elif len(words) > 1:
        head, tail = " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
    else:
        head, tail = sentence[: len(sentence) // 2], sentence[len(sentence) // 2 :]
    return [*_shorter(head), *_shorter(tail)]


def _at_most(scenes: list[Scene]) -> list[Scene]:
    """Neighbours joined, the shortest pair first, until there are no more scenes than a brief may have."""
    joined = list(scenes)
    while len(joined) > MOST_SCENES:
        lengths = [len(a.narration) + len(b.narration) for a, b in pairwise(joined)]
        at = lengths.index(min(lengths))
        one, other = joined[at], joined[at + 1]
        joined[at : at + 2] = [one.model_copy(update={"narration": f"{one.narration} {other.narration}"})]
    return joined
