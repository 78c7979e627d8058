"""`chimera persona` as a person types it, over real Postgres; and what a persona set by it changes in what is made."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg
import pytest
from click.testing import CliRunner

from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.bootstrap import App
from chimera.domain.ids import new_id
from chimera.domain.models import Trend
from chimera.domain.options import RunOptions
from chimera.domain.personas import KEYS
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.breakers import Breakers
from chimera.usecases.briefing import write_brief
from chimera.usecases.production import MadeContent, OpenTask, open_task
from chimera.usecases.render_job import own_file
from chimera.usecases.scope import Scope
from chimera.usecases.speaking import speak
from chimera_local.batches import read_batch
from chimera_local.cli import cli
from chimera_local.cli import persona as persona_cli
from chimera_local.runs import start_run
from tests.fakes.speaking_stage import BeepVoice

SCRIPT = "The night ferry is back.\n\nIt sails again every evening."


class Engine:
    """Keeps what was started."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}

    def start(self, machine: str, name: str, input: dict[str, Any]) -> str:
        self.started[name] = input
        return name


@dataclass
class Shell:
    """Commands of one tenant in this process."""

    app: App
    tenant: str
    workflows: Engine

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(cli, ["persona", *words], standalone_mode=False, catch_exceptions=False)
        assert done.return_value == 0
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def refused(self, *words: str) -> ChimeraError:
        with pytest.raises(ChimeraError) as caught:
            self(*words)
        return caught.value


@pytest.fixture
def shell(database_urls: Any, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The commands, with the tests' database where the laptop's would be."""
    (tmp_path / "home").mkdir()
    values = {"home": tmp_path / "home", "database_url": database_urls.app, "tenant_id": tenant}
    made = Shell(App(Settings().model_copy(update=values)), tenant, Engine())

    @contextlib.contextmanager
    def world(*_: Any, **__: Any) -> Iterator[Shell]:
        yield made

    monkeypatch.setattr(persona_cli, "world", world)
    yield made
    made.app.close()


def picture(path: Path, *, extra: bytes = b"") -> Path:
    """A PNG of 40 x 20 pixels, half of it transparent, with a text chunk if wanted."""
    pixels = np.zeros((20, 40, 4), np.uint8)
    pixels[:, :20] = (0, 85, 255, 255)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    if extra:
        chunk = b"tEXt" + extra
        data = data[:33] + struct.pack(">I", len(extra)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    path.write_bytes(data)
    return path


def test_a_persona_goes_from_new_to_another_house(shell: Shell, tmp_path: Path) -> None:
    logo = picture(tmp_path / "mark.png", extra=b"Comment\0secret place")
    made = shell.json("new", "Ada", "tone=dry", "voice.name=en-gb", "lexicon.GIF=jif", "--logo", str(logo))
    assert (made["name"], made["tone"], made["channels"]) == ("Ada", "dry", ["local"])
    key = made["brand_guidelines"]["theme"]["logo"]
    [stored] = shell.app.media.keys(f"tenants/{shell.tenant}/uploads/")
    assert stored == f"tenants/{shell.tenant}/{key.removeprefix('key:')}"
    kept = shell.app.media.get_bytes(stored)
    assert b"secret" not in kept and kept.startswith(b"\x89PNG")
    shown = cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_UNCHANGED)
    assert (shown.shape, shown[5, 5].tolist(), int(shown[5, 35, 3])) == ((20, 40, 4), [0, 85, 255, 255], 0)
    assert shell.json("set", "ada", "--logo", str(logo))["brand_guidelines"]["theme"]["logo"] == key

    changed = shell.json("set", "Ada", "tone=", "voice.speed=1.1", "theme.background=#ffffff", "theme.accent=#ffff00")
    assert changed["tone"] == "clear and curious"
    assert changed["brand_guidelines"]["voices"]["narrator"] == {
        "provider": "", "voice": "en-gb", "words_per_minute": 182, "pause_seconds": None,
    }  # fmt: skip
    assert any("accent #ffff00 had 1.1:1" in note for note in changed["notes"])
    assert "  lexicon.GIF          jif" in shell("show", "Ada")
    assert "Ada" in shell("ls") and len(shell.json("ls")["personas"]) == 2
    assert [k["key"] for k in shell.json("keys")["keys"]] == [k.name for k in KEYS]

    written = shell.json("export", "Ada", "--out", str(tmp_path / "out" / "ada.yaml"))["files"]
    assert [Path(f).name for f in written] == ["ada.yaml", "ada-logo.png"]
    assert shell.refused("import", written[0]).code == "CONFLICT"
    shell("set", "Ada", "music=calm")
    again = shell.json("import", written[0], "--replace")
    assert {**again, "notes": 0} == {**changed, "notes": 0}
    assert shell.json("rm", "Ada")["deleted"]["name"] == "Ada"
    assert {**shell.json("import", written[0]), "persona_id": 0} == {**changed, "persona_id": 0}
    assert "theme:" in shell("export", "Ada")
    spoken = [
        shell.json("set", "Ada", value)["voice_id"]
        for value in ("language=de", "language=fr", "voice_id=en-gb", "language=de")
    ]
    assert spoken == ["de", "fr", "en-gb", "en-gb"], "the voice is the language's until one is chosen"


def test_what_is_wrong_is_said_and_changes_nothing(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"#EXTM3U\nfile:///etc/passwd")
    before = shell.json("ls")
    for words, code, said in (
        (("libraries=pexel",), "VALIDATION_FAILED", "libraries: got 'pexel'; did you mean 'pexels'?"),
        (("template=qoute", "voice.provider=espeak"), "VALIDATION_FAILED", "did you mean 'quote'?; voice.provider"),
        (
            ("voice.provider=polly", "voice.name=x"),
            "VALIDATION_FAILED",
            "voice.name: got 'x', expected a voice of polly",
        ),
        (("voice.name=en-ussr",), "VALIDATION_FAILED", "espeak-ng has no voice"),
        (("lexicon.GIF=<b>",), "VALIDATION_FAILED", "lexicon entry 'GIF'"),
        (("theme.display_font=Montserat",), "VALIDATION_FAILED", "did you mean 'Montserrat'?"),
        (("theme.accent=red", "daily_quota=-1"), "VALIDATION_FAILED", "theme.accent: got 'red', expected: #rrggbb"),
        (("channels=youtube",), "VALIDATION_FAILED", "there are: local"),
        (("theme.logo=/nowhere.png",), "NOT_FOUND", "there is no file"),
        (("--logo", str(tmp_path / "no.png")), "VALIDATION_FAILED", "expected"),
        (("assets=/nowhere",), "VALIDATION_FAILED", "there is no file or folder"),
        (("tone",), "VALIDATION_FAILED", "expected KEY=VALUE"),
        (("tone=a", "tone=b"), "VALIDATION_FAILED", "set twice"),
        ((), "VALIDATION_FAILED", "nothing to set"),
    ):
        error = shell.refused("set", "Chimera Daily", *words)
        assert (error.code, said in error.message) == (code, True), error.message
    assert shell.refused("show", "Ada").message == "no persona 'Ada'; there are: Chimera Daily"
    assert shell.refused("new", "Chimera Daily").code == "CONFLICT"
    assert shell.json("ls") == before


def test_a_deleted_default_does_not_come_back_and_a_template_can_be_rolled_back(
    shell: Shell, database_urls: Any
) -> None:
    shell("new", "Ada")
    shell("set", "Ada", "template=quote@1")
    shell("rm", "Chimera Daily")
    with psycopg.connect(database_urls.app) as connection:
        seed_tenant(connection, shell.tenant, shell.app.settings)
    [ada] = shell.json("ls")["personas"]
    assert ada["name"] == "Ada"
    [change] = shell.app.personas(shell.tenant).template_history(ada["persona_id"])
    assert (change["before"], change["after"], change["rollback"]) == ("explainer@1", "quote@1", False)


def test_what_the_command_set_is_what_is_made(shell: Shell, tmp_path: Path) -> None:
    logo = picture(tmp_path / "mark.png")
    shell(
        "new", "Ada", "template=listicle", "voice.name=de", "voice.speed=150", "lexicon.ferry=fairy", "theme.mode=light",
        "theme.accent=#0B6B4A", "captions=box", "--logo", str(logo),
    )  # fmt: skip
    batch = tmp_path / "b.csv"
    batch.write_text('persona,title,script\nada,Ferries,"The night ferry is back."\n')
    [line] = read_batch(batch, name="b", defaults={"resolution": "360p"})
    shell.app.run_checks(shell.tenant).check(line.options)
    run_id = start_run(shell, line.options)  # type: ignore[arg-type]
    ada = shell.json("show", "Ada")["persona_id"]
    options = RunOptions.model_validate(shell.workflows.started[run_id]["options"])
    assert (line.options.persona_id, options.persona_id) == ("ada", ada)
    with pytest.raises(ChimeraError, match="did you mean 'Ada'"):
        start_run(shell, options.model_copy(update={"persona_id": "Adda"}))  # type: ignore[arg-type]

    made = opened(shell, run_id, ada, options)
    write_brief(made, shell.app.providers("writers").values(), NoPages(), shell.app.templates(shell.tenant))
    board = made.storyboard()
    assert board is not None and board.template.startswith("listicle@1.")
    assert (board.theme.mode, board.theme.accent) == ("light", "#0b6b4a")
    assert board.captions.style == "box"
    theme = shell.json("show", "Ada")["brand_guidelines"]["theme"]
    assert own_file(made, theme["logo"], "logo").is_file()
    voice = BeepVoice("espeak-ng")
    speak(made, {"espeak-ng": voice}, None, breakers=Breakers())  # type: ignore[arg-type]
    assert {(call["voice"], call["speed_wpm"]) for call in voice.calls} == {("de", 150)}
    assert made.read("brief", "material.json")["persona"]["brand_guidelines"]["pronunciations"] == {"ferry": "fairy"}


class NoPages:
    def snippet(self, url: str) -> Any:
        raise AssertionError(url)


def opened(shell: Shell, run_id: str, persona_id: str, options: RunOptions) -> MadeContent:
    """The persona's task as the planner enters it, opened by the director."""
    now = datetime.now(UTC)
    trend = Trend(
        trend_id=new_id(), topic="ferries", title="Ferries", platforms=["own"], volume=10, sentiment_score=0,
        rising_velocity=1, timestamp=now,
    )  # fmt: skip
    shell.app.trends(shell.tenant).upsert_scan([trend], now)
    task_id = new_id()
    with shell.app.db.transaction(shell.tenant) as tx:
        tx.execute(
            "INSERT INTO tasks (id, run_id, type, persona_id, trend_id) VALUES (%s, %s, 'generate_video', %s, %s)",
            (task_id, run_id, persona_id, trend.trend_id),
        )
    app, tenant = shell.app, shell.tenant
    event = OpenTask(tenant_id=tenant, run_id=run_id, task_id=task_id, options=options)
    scope = open_task(event, app.content(tenant), lambda _: trend, app.personas(tenant), app.media)["scope"]
    return app.made(Scope.model_validate(scope))
