"""An image post as the steps leave it: a real brief with a real template, cards painted by the built-in canvas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chimera.adapters.canvases.cards import CardCanvas
from chimera.adapters.local.certificates import LocalContentSigner
from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.models import Draft, Material, Persona, PersonalityProfile, Scene, Trend, WriterInfo
from chimera.domain.options import RunOptions
from chimera.purse import Purse
from chimera.templates.shelves import templates
from chimera.usecases.briefing import write_brief
from chimera.usecases.containers import Rendering, inspect_content, render_content
from chimera.usecases.picturing import PictureRules, paint
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from chimera.usecases.speaking import speak
from tests.fakes.quick_purse import QuickStore

SAID = (
    ("The night ferry is back, and it is full. It sails again every evening of the week from seven harbours.", ""),
    ("In 2022 the boats carried 12,400 people. In 2024 there were 31,500 people on board.", "31,500 people"),
    ("A cabin costs about half of what a hotel room in the city does in summer, says the union.", "Half a hotel"),
    ("Forty-one percent of the posts on night boats are open, and crews are the bottleneck now.", "41% are open"),
    ("The harbours want to build new piers for larger boats before the next season begins in May.", "New piers"),
    ("So book early, bring earplugs, and do not miss the sunrise from the upper deck at five.", "Book early"),
)


@dataclass
class Pen:
    """A writer with a script of its own."""

    said: tuple[tuple[str, str], ...] = SAID
    name: str = "pen"
    priority: int = 1
    sources: list[str] = field(default_factory=lambda: ["https://example.org/ferries", "https://example.com/union"])

    def write(self, material: Material) -> Draft:
        """The same each time."""
        scenes = [
            Scene(narration=t, visual_prompt=f"a ferry {i}", on_screen_text=s) for i, (t, s) in enumerate(self.said)
        ]
        info = WriterInfo(provider="offline", model="pen", prompt_version="1")
        return Draft(
            title="Why the night ferry is back", description="Night ferries.", scenes=scenes, sources=self.sources,
            hashtags=["#ferry"], writer=info,
        )  # fmt: skip


class _NoPages:
    def snippet(self, url: str) -> Any:
        raise AssertionError(url)


@dataclass
class StillPost:
    """One production up to where it was brought."""

    made: MadeContent
    signer: LocalContentSigner
    money: QuickStore = field(default_factory=QuickStore)

    @property
    def purse(self) -> Purse:
        """Everything is allowed."""
        return Purse(self.money, "r")  # type: ignore[arg-type]

    def bytes_of(self, report: dict[str, Any], kind: str) -> bytes:
        """A kept file."""
        return self.made.media.get_bytes(report["files"][kind]["key"])

    def brief(self, pen: Pen | None = None) -> dict[str, Any]:
        """Write it."""
        return write_brief(self.made, [pen or Pen()], _NoPages(), templates(self.made.media, "t"))

    def produce(self) -> dict[str, Any]:
        """Voice, pictures, render; the render's report."""
        speak(self.made, {}, self.purse)
        paint(self.made, {"cards": CardCanvas()}, self.purse, PictureRules(now=lambda: datetime.now(UTC)))
        return self.render()

    def render(self) -> dict[str, Any]:
        """The container's first step."""
        how = Rendering(encoder="x264", credentials=lambda: self.signer)
        return render_content(self.made, Path.cwd(), lambda share: None, self.purse, how)

    def inspect(self) -> dict[str, Any]:
        """The container's second step."""
        return inspect_content(self.made, self.purse)


@contextmanager
def still_post(folder: Path, format: str, *, template: str = "explainer@1", **options: Any) -> Iterator[StillPost]:
    """A production of this format whose brief may be written; works in a folder of its own."""
    made = MadeContent(
        FolderMediaStore(folder / "media"), Scope(tenant_id="t", run_id="r", task_id="k", content_id="c")
    )
    trend = Trend(
        trend_id="t1", topic="ferries", title="Ferries", description="word " * 130, platforms=["rss"], volume=1000,
        sentiment_score=0, rising_velocity=2, timestamp=datetime.now(UTC),
    )  # fmt: skip
    material = Material(trend=trend, profile=PersonalityProfile(name="Pia"), seed=5)
    persona = Persona(persona_id="p", name="Pia", template=template)
    asked = {
        "material": material,
        "options": RunOptions.model_validate({"resolution": "360p", "aspect": "1:1", **options, "format": format}),
        "persona": persona,
    }
    made.write("brief", "material.json", {**{k: v.model_dump(mode="json") for k, v in asked.items()}, "history": []})
    work, before = folder / "work", Path.cwd()
    work.mkdir()
    os.chdir(work)
    try:
        yield StillPost(made, LocalContentSigner(folder / "keys"))
    finally:
        os.chdir(before)
