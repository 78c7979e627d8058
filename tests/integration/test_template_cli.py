"""`chimera template` as a person types it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chimera.errors import ChimeraError
from chimera.media.process import run as run_program
from chimera.settings import get_settings
from chimera_local.cli import cli
from tests.fakes.template_packs import EVERY_SCENE, folder


@dataclass
class Typed:
    code: int
    out: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def typed(*words: str) -> Typed:
    done = CliRunner().invoke(cli, ["template", *words], standalone_mode=False, catch_exceptions=False)
    return Typed(done.return_value, done.stdout)


def refused(*words: str) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        typed(*words)
    return caught.value


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHIMERA_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    return tmp_path


def test_a_template_goes_from_new_to_another_house(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = typed("new", "my-show", "--out", str(home), "--json")
    assert made.json["file"] == str(home / "my-show" / "template.yaml")
    assert refused("new", "my-show", "--out", str(home)).code == "CONFLICT"
    checked = typed("validate", str(home / "my-show"), "explainer", "--json")
    assert (checked.code, checked.json["valid"], len(checked.json["templates"])) == (0, True, 2)
    published = typed("publish", str(home / "my-show"), "--json").json
    assert (published["name"], published["version"]) == ("my-show", "1.0.0")
    assert any(t["name"] == "my-show" and t["origin"] == "published" for t in typed("ls", "--json").json["templates"])
    shown = typed("show", "my-show@^1", "--json").json
    assert shown["built_on"][0].startswith("explainer@1.")
    assert {"kicker", "headlines"} <= set(shown["parameters"])
    monkeypatch.chdir(home)
    assert "write ./my-show or my-show@VERSION" in refused("publish", "my-show").message, (
        "the edited one, or the published?"
    )
    exported = typed("export", "my-show@1.0.0", "--out", str(home), "--json").json
    assert Path(exported["file"]).name == "my-show-1.0.0.chimera-template"
    monkeypatch.setenv("CHIMERA_HOME", str(home / "elsewhere"))
    get_settings.cache_clear()
    monkeypatch.chdir(home.parent)
    assert refused("show", "my-show").code == "NOT_FOUND"
    assert typed("import", exported["file"], "--json").json["checksum"] == exported["checksum"]
    assert "my-show" in typed("ls").out
    assert "--param kicker" in typed("show", "my-show").out


def test_problems_have_their_lines_and_an_exit_code(home: Path) -> None:
    bad = folder(home / "bad", EVERY_SCENE + "    colour: red\n    motion: around\n", name="bad")
    checked = typed("validate", str(bad))
    assert checked.code == 2
    assert f"{bad}/template.yaml:8:5: scenes[0].colour: unknown key" in checked.out
    assert f"{bad}/template.yaml:9:13: scenes[0].motion: got 'around', expected one of auto" in checked.out
    assert "bad@1.0.0: 2 problems" in checked.out
    problems = typed("validate", str(bad), "--json").json["templates"][0]["problems"]
    assert [(p["line"], p["column"]) for p in problems] == [(8, 5), (9, 13)]
    error = refused("publish", str(bad))
    assert (error.code, error.exit_code, len(error.details["problems"])) == ("VALIDATION_FAILED", 2, 2)
    assert typed("validate", str(home / "nothing.yaml")).code == 2
    assert refused("show", "explaner").code == "NOT_FOUND"
    (home / "x.chimera-template").write_bytes(b"PK")
    assert "not an exported template" in refused("import", str(home / "x.chimera-template")).message


def test_a_preview_is_a_sheet_and_five_seconds_of_video(home: Path) -> None:
    made = folder(
        home / "small",
        """
        scenes:
          - for: scene in brief.scenes
            key: "s{{ loop.index }}"
            narration: "{{ scene.narration }}"
            picture: {want: card, window: picture, ground: surface}
            layers: [{kind: text, box: headline, text: "{{ scene.on_screen_text }}"}]
        """,
        name="small",
    )
    brief = {
        "title": "Hello",
        "scenes": [{"narration": "One two three four.", "visual_prompt": "x", "on_screen_text": "One"}] * 2,
    }
    (made / "preview.json").write_text(json.dumps(brief), "utf-8")
    from chimera.bootstrap import App
    from chimera.templates.packs import load
    from chimera.templates.preview import make_preview
    from chimera_local.cli.template import library

    found = make_preview(
        library().resolved(load(made)), home / "out", App(get_settings()).providers("canvases")["cards"], mode="light",
        clip_height="360p",
    )  # fmt: skip
    assert found["scenes"] == 2
    assert found["clip_seconds"] == pytest.approx(5.0, abs=0.1)
    from chimera.media.process import executable

    _, told = run_program([executable(), "-hide_banner", "-i", found["sheet"], "-f", "null", "-"])
    # three rows (640, 360, 360) of two scenes, the widest 2 x 640, with gaps of 12
    assert "1316x1408" in told
    assert Path(found["clip"]).stat().st_size > 10_000


def test_the_schema_of_templates_is_printed() -> None:
    done = CliRunner().invoke(cli, ["schema", "template"], standalone_mode=False, catch_exceptions=False)
    assert json.loads(done.stdout)["title"] == "Chimera template"
