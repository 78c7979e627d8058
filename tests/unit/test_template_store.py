"""Publishing, finding and pinning templates over a media store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.errors import ChimeraError
from chimera.plugins import loader
from chimera.plugins.hookspecs import hookimpl
from chimera.templates import engine
from chimera.templates.packs import load
from chimera.templates.pins import earlier, stack
from chimera.templates.problems import ProblemsError
from chimera.templates.semver import Reference
from chimera.templates.shelves import FolderShelf, Templates, templates
from tests.fakes.template_packs import EVERY_SCENE, evaluated_here, folder, pack

TENANT = "00000000-0000-7000-8000-00000000000a"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ask_worker", evaluated_here)


@pytest.fixture
def media(tmp_path: Path) -> FolderMediaStore:
    return FolderMediaStore(tmp_path / "media")


@pytest.fixture
def library(media: FolderMediaStore) -> Templates:
    return templates(media, TENANT)


def refusal(library: Templates, text: str, **head: str) -> ChimeraError:
    with pytest.raises(ChimeraError) as caught:
        library.publish(pack(text, **head), by="me")
    return caught.value


def test_a_published_template_is_found_by_range(library: Templates, media: FolderMediaStore) -> None:
    for version in ("1.0.0", "1.2.0", "2.0.0-beta", "2.0.0"):
        library.publish(pack(EVERY_SCENE, version=version), by="me")
    assert [str(v) for v in library.versions("mine")] == ["1.0.0", "1.2.0", "2.0.0-beta", "2.0.0"]
    for text, found in (
        ("mine", "2.0.0"),
        ("mine@1", "1.2.0"),
        ("mine@~1.0", "1.0.0"),
        ("mine@2.0.0-beta", "2.0.0-beta"),
    ):
        assert library.resolve(text).reference == f"mine@{found}"
    assert library.find(Reference.parse("mine@1.0.0")).checksum == pack(EVERY_SCENE).checksum
    assert "mine" in library.names()
    assert all(key.startswith(f"tenants/{TENANT}/templates/mine/") for key in media.keys("tenants"))


def test_a_published_version_never_changes(library: Templates) -> None:
    first = library.publish(pack(EVERY_SCENE), by="me")
    assert library.publish(pack(EVERY_SCENE), by="you") == first
    error = refusal(library, EVERY_SCENE + "  - {key: end}\n")
    assert error.code == "CONFLICT"
    assert "raise `version`" in error.message
    assert library.find(Reference.parse("mine@1.0.0")).checksum == first["checksum"]


def test_of_two_who_publish_at_once_one_wins_whole(library: Templates, media: FolderMediaStore) -> None:
    other = templates(media, TENANT)
    mine, yours = pack(EVERY_SCENE), pack(EVERY_SCENE + "  - {key: end}\n")
    # both looked and found nothing; both store their bytes, one after the other their entries
    store, theirs = library._store, other._store
    assert store is not None and theirs is not None
    store.put(mine, by="me")
    with pytest.raises(ChimeraError, match="published already"):
        theirs.put(yours, by="you")
    assert library.resolve("mine@1.0.0").checksum == mine.checksum


def test_what_is_wrong_is_not_published(library: Templates) -> None:
    error = refusal(library, "scenes: [{key: a, narration: Hello}]")
    assert (error.code, error.details["template"]) == ("VALIDATION_FAILED", "mine@1.0.0")
    assert library.versions("mine") == []


def test_the_name_of_a_built_in_template_is_taken(library: Templates) -> None:
    error = refusal(library, EVERY_SCENE, name="explainer")
    assert error.code == "CONFLICT"
    assert "extends: explainer@^1" in error.message


def test_what_was_changed_in_the_store_is_not_used(library: Templates, media: FolderMediaStore) -> None:
    library.publish(pack(EVERY_SCENE), by="me")
    (key,) = [k for k in media.keys("tenants") if k.endswith(".chimera-template")]
    media.put_bytes(key, media.get_bytes(key).replace(b"title: Mine", b"title: Mire"))
    with pytest.raises(ChimeraError, match=r"not an exported template|was changed"):
        library.resolve("mine@1")


def test_tenants_do_not_see_each_others(library: Templates, media: FolderMediaStore) -> None:
    library.publish(pack(EVERY_SCENE), by="me")
    with pytest.raises(ChimeraError) as caught:
        templates(media, TENANT.replace("a", "b")).resolve("mine")
    assert caught.value.code == "NOT_FOUND"


def test_a_misspelt_name_or_version_is_told(library: Templates) -> None:
    for text, says in (("explaner", "did you mean 'explainer'?"), ("explainer@9", "there are: ")):
        with pytest.raises(ChimeraError) as caught:
            library.resolve(text)
        assert caught.value.code == "NOT_FOUND"
        assert says in caught.value.message


def test_a_child_of_a_built_in_template_can_be_published(library: Templates) -> None:
    library.publish(pack("kind: explainer\nextends: explainer@^1\n", name="ours"), by="me")
    found = library.resolve("ours")
    assert len(found.packs) == 2
    assert found.named("parameters").keys() >= {"headlines"}


def test_a_plugins_folder_is_a_shelf(tmp_path: Path, media: FolderMediaStore) -> None:
    folder(tmp_path / "packs" / "theirs", EVERY_SCENE, name="theirs")
    folder(tmp_path / "packs" / "theirs@0.9.0", EVERY_SCENE, name="theirs", version="0.9.0")

    class Plugin:
        @hookimpl
        def chimera_templates(self) -> list[Path]:
            return [tmp_path / "packs"]

    loader.manager().register(Plugin(), name="their-plugin")
    try:
        library = templates(media, TENANT, loader.template_folders())
        assert [str(v) for v in library.versions("theirs")] == ["0.9.0", "1.0.0"]
        assert library.find(Reference.parse("theirs")).origin == "plugin their-plugin"
    finally:
        loader.manager().unregister(name="their-plugin")


def test_a_name_in_two_places_is_a_conflict(tmp_path: Path) -> None:
    for place in ("one", "two"):
        folder(tmp_path / place / "theirs", EVERY_SCENE, name="theirs")
    library = Templates([FolderShelf(tmp_path / place, place) for place in ("one", "two")])
    with pytest.raises(ChimeraError, match=r"one and two") as caught:
        library.resolve("theirs")
    assert caught.value.code == "CONFLICT"


def test_a_folder_is_named_as_its_template(tmp_path: Path) -> None:
    folder(tmp_path / "other", EVERY_SCENE)
    with pytest.raises(ChimeraError, match="name the folder 'mine'"):
        FolderShelf(tmp_path, "here").versions("other")


def test_links_and_strange_files_are_no_part_of_a_pack(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine", EVERY_SCENE)
    (root / "assets").mkdir()
    (root / "assets" / "passwd.txt").symlink_to("/etc/passwd")
    with pytest.raises(ProblemsError, match="a link"):
        load(root)
    (root / "assets" / "passwd.txt").unlink()
    os.mkfifo(root / "assets" / "a.txt")
    with pytest.raises(ProblemsError, match="neither a file nor a folder"):
        load(root)
    (root / "assets" / "a.txt").unlink()
    (root / "run.sh").write_text("x")
    with pytest.raises(ProblemsError, match=r"'run\.sh' is not expected"):
        load(root)


def change(before: str, after: str, *, rollback: bool = False) -> dict[str, object]:
    return {"before": before, "after": after, "rollback": rollback}


def test_rollbacks_go_back_step_by_step() -> None:
    history = [change("a@1", "b@1"), change("b@1", "b@2"), change("b@2", "c@1")]
    assert stack(history, "c@1") == ["a@1", "b@1", "b@2", "c@1"]
    assert earlier(history, "c@1") == "b@2"
    history.append(change("c@1", "b@2", rollback=True))
    assert earlier(history, "b@2") == "b@1"
    history.append(change("b@2", "b@1", rollback=True))
    history.append(change("b@1", "d@1"))
    assert stack(history, "d@1") == ["a@1", "b@1", "d@1"]
    assert earlier([], "a@1") is None
    assert earlier([change("a@1", "b@1")], "z@1") == "b@1"  # changed by other means since


def test_a_folder_that_is_no_pack_is_refused_before_it_is_read(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine", EVERY_SCENE)
    (root / "assets").mkdir()
    for number in range(61):
        with (root / "assets" / f"{number}.png").open("wb") as file:
            file.truncate(20_000_000)  # sparse: more than a gigabyte if it were read
    with pytest.raises(ProblemsError) as caught:
        load(root)
    assert [problem.message.partition(";")[0] for problem in caught.value.problems] == ["the pack is too large"]
