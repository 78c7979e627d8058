"""What an upload becomes: one folder under its hash, facts, sound, transcript and material; nothing of what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chimera.adapters.local.media import FolderMediaStore
from chimera.domain.ids import stable_id
from chimera.domain.options import RunOptions
from chimera.domain.transcripts import Segment, Transcript
from chimera.errors import error_class
from chimera.media.own.probe import probe
from chimera.usecases import ingest
from chimera.usecases.transcription import parse_job, transcribe
from tests.fakes.own_media import corners, encoded, film

TENANT = "00000000-0000-7000-8000-000000000001"


class Hears:
    """A transcriber whose words are known, and which says what it was given."""

    name = "hears"
    priority = 1
    ready = True

    def __init__(self, segments: list[Segment], *, rough: bool = False) -> None:
        self.segments, self.rough, self.given = segments, rough, [Path()][:0]

    def transcribe(self, media: Path, *, language: str | None = None, word_timestamps: bool = True) -> Transcript:
        self.given.append(media)
        return Transcript(
            language=language or "en", segments=self.segments, engine=self.name, rough=self.rough, duration_seconds=1.0
        )


@pytest.fixture
def media(tmp_path: Path) -> FolderMediaStore:
    return FolderMediaStore(tmp_path / "media")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.mkv"
    return film(
        path, "-f", "lavfi", "-i", "testsrc2=s=128x96:d=1:r=10", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "libx264",
        "-metadata", "title=SECRET-GPS",
    )  # fmt: skip


def ingested(path: Path, media: FolderMediaStore, hears: Hears, work: Path, **given: Any) -> dict[str, Any]:
    taken = ingest.take_in(TENANT, path, media, **given)
    probed = ingest.probe_upload(taken, media)
    if probed["sound"]:
        job = {
            "tenant_id": TENANT, "content_id": probed["upload_id"], "folder": "uploads", "media": probed["sound"],
            "language": None,
        }  # fmt: skip
        transcribe(parse_job(["transcribe", "--job", json.dumps(job)]), media, work, {"hears": hears})
    ingest.write_material(ingest.WriteMaterial(tenant_id=TENANT, upload_id=probed["upload_id"]), media)
    return ingest.read_material(media, TENANT, probed["upload_id"])


def test_a_talk_becomes_material_that_a_run_takes(talk: Path, media: FolderMediaStore, tmp_path: Path) -> None:
    said = [Segment(start=0.1, end=0.5, text="the bridge is open"), Segment(start=0.6, end=0.9, text="Is it? Yes!")]
    hears = Hears(said, rough=True)
    material = ingested(talk, media, hears, tmp_path, title="My <b>talk</b>", url="https://example.org/talk.mkv")
    again = ingested(talk, media, hears, tmp_path, title="My <b>talk</b>", url="https://example.org/talk.mkv")
    assert again == material
    folder = f"tenants/{TENANT}/uploads/{stable_id(TENANT, 'upload', material['sha256'])}"
    assert media.keys(folder) == [
        f"{folder}/{name}" for name in (
            "captions/transcript.srt", "captions/transcript.vtt", "facts.json", "material.json", "media.mkv",
            "reports/transcript.json", "sound.flac",
        )
    ]  # fmt: skip
    assert (material["title"], material["facts"]["kind"], material["transcript"]["rough"]) == (
        "My talk",
        "footage",
        True,
    )
    assert material["snippets"] == [{"start": 0.1, "end": 0.9, "text": "The bridge is open. Is it? Yes!"}]
    options = RunOptions.model_validate(ingest.production_of(material))
    assert options.material is not None and options.material.text == "The bridge is open. Is it? Yes!"
    assert options.material.url == "https://example.org/talk.mkv"
    assert options.assets == [f"key:{folder}/media.mkv"]
    # recognisers get a file of ours, never the one that a stranger made
    assert {path.name for path in hears.given} == {"sound.flac"} and len(hears.given) == 1
    sound = media.get_bytes(f"{folder}/sound.flac")
    assert sound.startswith(b"fLaC") and b"SECRET" not in sound and b"SECRET" in talk.read_bytes()
    heard = probe(media.fetch(f"{folder}/sound.flac", tmp_path))
    assert (heard.kind, heard.seconds) == ("sound", pytest.approx(1.0, abs=0.1))


def test_a_silent_recording_is_an_upload_but_no_material(media: FolderMediaStore, tmp_path: Path) -> None:
    silent = film(tmp_path / "s.wav", "-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-t", "0.5")
    picture = tmp_path / "p.png"
    picture.write_bytes(encoded(corners(), ".png"))
    for path, asset, why in (
        (silent, False, "sound that is silent, expected words"),
        (picture, True, "in which nothing is said"),
    ):
        hears = Hears([])
        material = ingested(path, media, hears, tmp_path, title="quiet")
        assert hears.given == [] and material["transcript"] is None and (material["asset"] is not None) == asset
        with pytest.raises(error_class("VALIDATION_FAILED"), match=why):
            ingest.production_of(material)


def test_of_what_is_not_taken_nothing_is_kept(talk: Path, media: FolderMediaStore, tmp_path: Path) -> None:
    broken = tmp_path / "b.mkv"
    broken.write_bytes(talk.read_bytes()[:300])
    with pytest.raises(error_class("VALIDATION_FAILED"), match="expected"):
        ingest.take_in(TENANT, broken, media)
    long = film(tmp_path / "l.mkv", "-f", "lavfi", "-i", "color=s=64x64:r=1/60:d=10800", "-c:v", "libx264")
    with pytest.raises(error_class("VIDEO_TOO_LONG"), match=r"3\.0 hours"):
        ingest.take_in(TENANT, long, media)
    assert not (tmp_path / "media").exists()


def test_an_address_is_taken_in_as_what_it_holds(talk: Path, media: FolderMediaStore, tmp_path: Path) -> None:
    class Got:
        path, url, title = talk, "https://cdn.example.org/x?id=1", "From the server"

    class Downloads:
        asked: dict[str, Any]

        def fetch(self, url: str, *, max_bytes: int, max_seconds: float, to: Path) -> Got:
            self.asked = {"url": url, "max_bytes": max_bytes}
            return Got()

    downloads = Downloads()
    asked = ingest.FetchUpload(tenant_id=TENANT, url="https://example.org/x", max_bytes=77)
    answer = ingest.fetch_upload(asked, media, downloads)
    by_hand = ingest.take_in(TENANT, talk, media, title="mine")
    assert downloads.asked == {"url": "https://example.org/x", "max_bytes": 77}
    assert (answer["upload_id"], answer["key"]) == (by_hand.upload_id, by_hand.key)
    assert (answer["title"], answer["url"]) == ("From the server", Got.url)


def test_another_uploads_key_is_refused(talk: Path, media: FolderMediaStore) -> None:
    taken = ingest.take_in(TENANT, talk, media)
    other = taken.model_copy(update={"upload_id": stable_id("other")})
    with pytest.raises(error_class("FORBIDDEN"), match="is not of upload"):
        ingest.probe_upload(other, media)


def test_a_long_talk_is_cut_at_a_sentence(talk: Path, media: FolderMediaStore, tmp_path: Path) -> None:
    said = [
        Segment(start=n, end=n + 1, text=f"sentence number {n} of a very long talk about the bridge")
        for n in range(300)
    ]
    material = ingested(talk, media, Hears(said), tmp_path, title="long")
    text = material["material"]["text"]
    assert 4900 < len(text) <= 5000 and text.endswith("about the bridge.")
    assert len(material["snippets"]) > 30 and max(len(piece["text"]) for piece in material["snippets"]) <= 400
    assert [piece["start"] for piece in material["snippets"]] == sorted(
        piece["start"] for piece in material["snippets"]
    )
