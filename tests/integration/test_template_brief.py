"""The brief's step lays the draft out with the persona's template, before anything is asked of the CFO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.personas import PostgresPersonas
from chimera.domain.judge import Subject
from chimera.domain.models import Draft, Material, Persona, PersonalityProfile, Scene, Trend, WriterInfo
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.templates.pins import earlier
from chimera.templates.shelves import Templates, templates
from chimera.templates.storyboard import Storyboard
from chimera.usecases.briefing import write_brief
from chimera.usecases.layout import shown_texts
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from tests.fakes.template_packs import pack

SAID = [
    "The night ferry is back, and it is full. " + "It sails again every evening of the week. " * 6,
    "So book early. " * 20,
]


class Pen:
    name, priority = "pen", 1
    asked = 0

    def write(self, material: Material) -> Draft:
        Pen.asked += 1
        scenes = [
            Scene(narration=text.strip(), visual_prompt="a ferry", on_screen_text="Ferries {{ 7*7 }}") for text in SAID
        ]
        info = WriterInfo(provider="pen", model="pen", prompt_version="1")
        return Draft(title="Night ferries", scenes=scenes, sources=["https://example.org/a"], writer=info)


class NoPages:
    def snippet(self, url: str) -> Any:
        raise AssertionError(url)


@pytest.fixture
def media(tmp_path: Path) -> Iterator[FolderMediaStore]:
    Pen.asked = 0
    yield FolderMediaStore(tmp_path / "media")


@pytest.fixture
def library(media: FolderMediaStore) -> Templates:
    return templates(media, "t")


def content(media: FolderMediaStore, *, template: str = "explainer@1", **options: Any) -> MadeContent:
    made = MadeContent(media, Scope(tenant_id="t", run_id="r", task_id="k", content_id="c"))
    trend = Trend(
        trend_id="t1", topic="ferries", title="Ferries", description="word " * 130, platforms=["x"], volume=1000, sentiment_score=0,
        rising_velocity=2, timestamp=datetime.now(UTC),
    )  # fmt: skip
    material = Material(trend=trend, profile=PersonalityProfile(name="Pia"), seed=5)
    persona = Persona(persona_id="p", name="Pia", template=template)
    asked = {"material": material, "options": RunOptions(resolution="360p", **options), "persona": persona}
    made.write("brief", "material.json", {**{k: v.model_dump(mode="json") for k, v in asked.items()}, "history": []})
    return made


def written(made: MadeContent, library: Templates) -> dict[str, Any]:
    return write_brief(made, [Pen()], NoPages(), library)


def test_the_storyboard_is_written_and_named(media: FolderMediaStore, library: Templates) -> None:
    made = content(media, parameters={"headlines": "boxes"}, aspect="1:1")
    answer = written(made, library)
    board = made.storyboard()
    assert board is not None
    assert answer["template"] == board.template == "explainer@1.0.0"
    assert answer["template_checksum"] == board.checksum == library.resolve("explainer").checksum
    assert (board.aspect, board.seed, board.parameters["headlines"]) == ("1:1", 5, "boxes")
    assert [s.brief_scene for s in board.scenes] == [0, 1, None]
    assert "".join(s.narration for s in board.scenes) == "".join(s.narration for s in made.brief().scenes)
    assert board == Storyboard.model_validate(made.read("brief", "storyboard.json"))


def test_it_is_the_same_when_it_is_made_again(media: FolderMediaStore, library: Templates) -> None:
    made = content(media)
    written(made, library)
    first = made.read("brief", "storyboard.json")
    media.put_bytes(made.scope.key("brief", "storyboard.json"), b"{}")
    (Path(media.fetch(made.scope.key("brief", "request.json"), Path("/")))).unlink()
    written(made, library)
    assert made.read("brief", "storyboard.json") == first


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"template": "nowhere@1"}, "template nowhere@1: no template is named 'nowhere'"),
        ({"template": "explainer@7"}, "template explainer@7: no version of 'explainer' is 7"),
        ({"parameters": {"headlins": "bar"}}, "did you mean 'headlines'?"),
        ({"parameters": {"headlines": "huge"}}, "expected one of auto, bar"),
    ],
)
def test_a_wrong_template_ends_it_before_a_word_is_written(
    media: FolderMediaStore, library: Templates, asked: dict[str, Any], says: str
) -> None:
    made = content(media, **asked)
    with pytest.raises(ChimeraError) as caught:
        written(made, library)
    assert caught.value.code == "VALIDATION_FAILED"
    assert says in caught.value.message
    assert Pen.asked == 0
    assert made.read_or_none("brief", "request.json") is None


def test_the_run_may_name_another_template_than_the_persona(media: FolderMediaStore, library: Templates) -> None:
    library.publish(pack("kind: mine\nextends: explainer@^1\n"), by="me")
    made = content(media)
    ask = made.read("brief", "material.json")
    made.write("brief", "material.json", {**ask, "options": {**ask["options"], "template": "mine"}})
    assert written(made, library)["template"] == "mine@1.0.0"


def test_the_judge_reads_what_the_template_adds(media: FolderMediaStore, library: Templates) -> None:
    add = "{kind: text, box: title, text: Subscribe or suffer}"
    scenes = f"scenes: [{{use: super}}, {{key: bye, seconds: 4, layers: [{add}]}}]"
    library.publish(pack(f"kind: mine\nextends: explainer@^1\n{scenes}"), by="me")
    made = content(media, template="mine@1")
    written(made, library)
    board = made.storyboard()
    assert board is not None
    shown = shown_texts(board)
    assert {"Subscribe or suffer", "Night ferries", "Ferries {{ 7*7 }}"} <= set(shown)
    brief = made.brief()
    subject = Subject(
        title=brief.title, script=brief.script, scenes=brief.scenes, shown=shown, profile=PersonalityProfile(name="Pia"),
        material=Material.model_validate(made.read("brief", "used_material.json")),
    )  # fmt: skip
    assert "Subscribe or suffer" in subject.published_text()["on screen"]


def test_pins_are_kept_and_taken_back(db: Database, tenant: str) -> None:
    rows = PostgresPersonas(db, tenant)
    (persona,) = rows.all()
    assert persona.template == "explainer@1"
    for template in ("explainer@1.0.0", "quote@1"):
        rows.set_template(persona.persona_id, template, by="me")
    history = rows.template_history(persona.persona_id)
    assert [(h["before"], h["after"], h["by"]) for h in history] == [
        ("explainer@1", "explainer@1.0.0", "me"), ("explainer@1.0.0", "quote@1", "me"),
    ]  # fmt: skip
    for expected in ("explainer@1.0.0", "explainer@1"):
        now = rows.get(persona.persona_id).template
        to = earlier(rows.template_history(persona.persona_id), now)
        assert to == expected
        rows.set_template(persona.persona_id, to, by="me", rollback=True)
    assert earlier(rows.template_history(persona.persona_id), rows.get(persona.persona_id).template) is None
    with pytest.raises(ChimeraError, match="no persona"):
        rows.set_template("00000000-0000-7000-8000-000000000099", "quote@1", by="me")
    with pytest.raises(ChimeraError, match="CONFLICT"):
        rows.set_template(persona.persona_id, "quote@1", by="me", expected="what it was a moment ago")
