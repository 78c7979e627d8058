"""Template packs and briefs for tests, written where they are needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import dedent
from typing import Any

from chimera.domain.models import BrandGuidelines, BrandTheme, Persona, Scene
from chimera.errors import ChimeraError
from chimera.templates.context import BriefWords
from chimera.templates.engine import LIMITS, Limits, Wish, expand
from chimera.templates.packs import MAIN, Pack, read_pack
from chimera.templates.resolving import Resolved, resolve
from chimera.templates.sandbox import Expressions
from chimera.templates.semver import Reference
from chimera.templates.storyboard import Storyboard
from chimera.templates.worker import answer

EVERY_SCENE = """
scenes:
  - for: scene in brief.scenes
    key: "s{{ loop.index }}"
    narration: "{{ scene.narration }}"
"""


def pack(text: str, *, name: str = "mine", version: str = "1.0.0", files: dict[str, bytes] | None = None) -> Pack:
    """A pack of this YAML; the head is put before it."""
    head = f"name: {name}\nversion: {version}\ntitle: Mine\n"
    return read_pack({MAIN: (head + dedent(text).lstrip("\n")).encode(), **(files or {})})


class Shelf:
    """A library of packs in memory."""

    def __init__(self, *packs: Pack) -> None:
        self.packs = packs

    def find(self, reference: Reference) -> Pack:
        best = reference.range.best(p.version for p in self.packs if p.name == reference.name)
        for one in self.packs:
            if one.name == reference.name and one.version == best:
                return one
        raise ChimeraError("NOT_FOUND", f"no template {reference}", {})


def resolved(text: str, *others: Pack, **head: Any) -> Resolved:
    return resolve(pack(text, **head), Shelf(*others))


def brief(*narrations: str, **more: Any) -> BriefWords:
    said = narrations or ("The night ferry is back. It carries 1,250 people.", "Book early.")
    scenes = tuple(
        Scene(narration=n, visual_prompt="a ferry", on_screen_text=f"Point {i}") for i, n in enumerate(said, 1)
    )
    return BriefWords(**{"title": "Night ferries", "scenes": scenes, "sources": ("https://example.org/a",), **more})


def wish(words: BriefWords | None = None, **more: Any) -> Wish:
    theme = BrandTheme(name=more.pop("brand", ""), logo=more.pop("logo", ""), mode=more.pop("mode", "dark"))
    persona = Persona(persona_id="p", name="Pia", brand_guidelines=BrandGuidelines(theme=theme))
    return Wish(**{"brief": words or brief(), "persona": persona, "seed": 3, **more})


def board(
    text: str, *others: Pack, limits: Limits = LIMITS, words: BriefWords | None = None, **more: Any
) -> Storyboard:
    """The storyboard of this YAML and a small brief."""
    return expand(resolved(text, *others), wish(words, **more), limits=limits)


def evaluated_here(requests: Sequence[dict[str, Any]], label: str, limits: Limits) -> list[dict[str, Any]]:
    """Stands in for `engine.ask_worker` where a process for each expansion would only take time."""
    del label
    made = [answer(json.loads(json.dumps(one)), Expressions(), asdict(limits)) for one in requests]
    found: list[dict[str, Any]] = json.loads(json.dumps(made))
    return found


def folder(root: Path, text: str, *, name: str = "mine", version: str = "1.0.0") -> Path:
    """The pack as a folder on disk."""
    root.mkdir(parents=True, exist_ok=True)
    (root / MAIN).write_text(f"name: {name}\nversion: {version}\ntitle: Mine\n" + dedent(text).lstrip("\n"), "utf-8")
    return root
