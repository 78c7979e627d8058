"""Whatever can be known to be wrong with a run is found before it begins, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.models import Persona
from chimera.domain.options import RunOptions
from chimera.errors import ChimeraError
from chimera.templates.shelves import templates
from chimera.usecases.run_checks import RunChecks
from chimera_local.batches import check_lines, read_batch
from chimera_local.cli import batch as command
from tests.fakes.own_media import corners, encoded

ADA = Persona(
    persona_id="11111111-1111-7111-8111-111111111111", name="Ada", tone="plain", target_audience="all", channels=["local"],
    template="quote@^1",
)  # fmt: skip
QUIET = ADA.model_copy(update={"persona_id": "2" * 8 + ADA.persona_id[8:], "template": "none", "daily_quota": 0})


class Cast:
    asked = 0

    def get(self, persona_id: str) -> Persona:
        raise AssertionError(persona_id)

    def all(self) -> list[Persona]:
        Cast.asked += 1
        return [ADA, QUIET]


@pytest.fixture
def checks(tmp_path: Path) -> RunChecks:
    Cast.asked = 0
    media = FolderMediaStore(tmp_path / "media")
    return RunChecks(tenant_id="t", templates=templates(media, "t"), personas=Cast(), media=media, allow_files=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one picture that is one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(encoded(corners(), ".png"))
    (folder / "notes.txt").write_text("hello")
    return folder


def test_sound_options_have_no_problem(checks: RunChecks, photos: Path) -> None:
    options = RunOptions(
        template="listicle@^1", parameters={"word": "reasons"}, assets=[f"file:{photos}", f"file:{photos / 'a.png'}"],
        platform="tiktok", persona_id=ADA.persona_id.upper(),
    )  # fmt: skip
    assert checks.problems(options) == [] and checks.problems(RunOptions()) == []
    checks.check(options)
    assert Cast.asked == 1, "personas are read once for a whole batch"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"template": "listicel"}, "did you mean 'listicle'?"),
        ({"template": "listicle@^9"}, "no version of 'listicle' is ^9"),
        ({"template": "listicle", "parameters": {"wrod": "x"}}, "did you mean 'word'?"),
        ({"parameters": {"word": "reasons"}}, "template quote"),  # the persona's own
        ({"template": "listicle", "parameters": {"order": "sideways"}}, "expected one of up, down"),
        ({"persona_id": "Ada"}, ADA.persona_id),
        ({"platform": "myspace"}, "platform 'myspace'"),
        ({"assets": ["file:{photos}/notes.txt"]}, "expected a picture"),
        ({"assets": ["file:{photos}/empty"]}, "holds no picture and no footage"),
        ({"assets": ["file:{photos}/broken.png"]}, "broken.png"),
        ({"assets": ["key:uploads/none"]}, "is not there"),
    ],
)
def test_what_would_fail_later_is_found_now(checks: RunChecks, photos: Path, given: dict[str, Any], said: str) -> None:
    (photos / "empty").mkdir()
    (photos / "broken.png").write_bytes(encoded(corners(), ".png")[:60])
    entries = [entry.format(photos=photos) for entry in given.get("assets", [])]
    with pytest.raises(ChimeraError) as caught:
        checks.check(RunOptions(**{**given, **({"assets": entries} if entries else {})}))
    assert said in caught.value.message


def test_files_are_not_read_for_who_may_not(checks: RunChecks, photos: Path, tmp_path: Path) -> None:
    media = FolderMediaStore(tmp_path / "media")
    far = RunChecks(tenant_id="t", templates=templates(media, "t"), personas=Cast(), media=media, allow_files=False)
    (error,) = far.problems(RunOptions(assets=[f"file:{photos}"]))
    assert "files are read on a laptop only" in error.message
    (error,) = far.problems(RunOptions(assets=["key:tenants/other/uploads/a.jpg"]))
    assert error.code == "FORBIDDEN"


def test_a_batch_names_every_bad_line_with_its_number_and_starts_nothing(checks: RunChecks, tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl"
    file.write_text(
        '{"script": "A.", "template": "quote"}\n\n{"script": "B.", "template": "quoet", "platform": "myspace"}\n'
        '{"script": "C.", "persona_id": "nobody"}\n'
    )
    lines = read_batch(file, name="b", defaults={})
    with pytest.raises(ChimeraError) as caught:
        check_lines(lines, checks, file="b.jsonl")
    error = caught.value
    assert error.code == "VALIDATION_FAILED" and "b.jsonl: 2 of 3 lines cannot be made" in error.message
    assert [p["line"] for p in error.details["problems"]] == [3, 3, 4]
    assert "line 3: template quoet: no template is named 'quoet'; did you mean 'quote'?" in error.message
    check_lines(lines[:1], checks, file="b.jsonl")


@pytest.mark.parametrize("more", [["--check"], []])
def test_the_command_checks_every_line_before_a_run_begins(
    checks: RunChecks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    @contextmanager
    def world(*_: Any, **__: Any) -> Iterator[Any]:
        yield SimpleNamespace(tenant="t", app=SimpleNamespace(run_checks=lambda tenant: checks))  # and nothing to start

    monkeypatch.setattr(command, "world", world)
    (tmp_path / "b.jsonl").write_text('{"script": "A."}\n{"script": "B.", "template": "quoet"}\n')
    with pytest.raises(ChimeraError) as caught:
        command.batch.main([str(tmp_path / "b.jsonl"), *more], standalone_mode=False)
    assert "line 2: template quoet" in caught.value.message
