"""Ingest: a file or an address becomes an upload of the tenant's, told what it is, heard, and laid out as material.

All of an upload is in one folder of the media store, `tenants/{tenant}/uploads/{upload}/`, and the upload's id is derived from
the file's SHA-256: the same file again is the same upload. Nothing is kept of a file that is not taken.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field, field_validator, model_validator

from chimera.domain.cleaning import clean_text
from chimera.domain.ids import is_uuid, stable_id
from chimera.domain.models import Model
from chimera.errors import ChimeraError
from chimera.ports import MediaStore

MATERIAL_CHARACTERS = 5000
"""What a run takes as a person's own text (RunOptions.material)."""
SNIPPET_CHARACTERS = 400
MAX_URL_BYTES = 500_000_000
SUFFIXES = {"matroska": ".mkv", "jpeg": ".jpg", "mpegts": ".ts", "mpeg": ".mpg", "heif": ".heic"}


class Fetched(Protocol):
    """A downloaded file; see adapters/downloads."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def url(self) -> str:
        """Where it came from in the end."""
        ...

    @property
    def title(self) -> str:
        """What it is called there."""
        ...


class Downloads(Protocol):
    """Downloads from addresses that strangers may have given."""

    def fetch(self, url: str, *, max_bytes: int, max_seconds: float, to: Path) -> Fetched:
        """The media file at `url`, probed, in the folder `to`; the contract's errors otherwise."""
        ...


class FetchUpload(Model):
    """Input of `fetch_upload`: a direct address of a media file, or the id of a file that came over HTTP (usecases/uploads)."""

    tenant_id: str
    url: str = Field(default="", max_length=2048)
    incoming: str = Field(default="", max_length=36)
    title: str = Field(default="", max_length=200)
    max_bytes: int = Field(default=MAX_URL_BYTES, ge=1, le=4_000_000_000)
    max_duration_seconds: float = Field(default=7200, gt=0, le=7200)

    @model_validator(mode="after")
    def _one_of_them(self) -> FetchUpload:
        if bool(self.url) == bool(self.incoming) or (self.incoming and not is_uuid(self.incoming)):
            raise ValueError("expected an address (url) or the id of an upload (incoming), one of them")
        return self


class Upload(Model):
    """Input of `probe_upload`: a file that is in the store."""

    tenant_id: str
    upload_id: str
    key: str = Field(min_length=1, max_length=1024)
    title: str = Field(default="", max_length=200)
    url: str = Field(default="", max_length=2048)

    @field_validator("upload_id")
    @classmethod
    def _an_id(cls, value: str) -> str:
        if not is_uuid(value):
            raise ValueError("expected a UUID")
        return value

    @property
    def prefix(self) -> str:
        """Its folder in the media store."""
        return upload_prefix(self.tenant_id, self.upload_id)


class WriteMaterial(Model):
    """Input of `write_material`."""

    tenant_id: str
    upload_id: str


def upload_prefix(tenant_id: str, upload_id: str) -> str:
    """The folder of one upload."""
    return f"tenants/{tenant_id}/uploads/{upload_id}"


def incoming_prefix(tenant_id: str, upload_id: str) -> str:
    """The folder of a file that comes over HTTP, before it is taken in."""
    return f"tenants/{tenant_id}/uploads/incoming/{upload_id}"


def take_in(tenant_id: str, path: Path, media: MediaStore, *, title: str = "", url: str = "") -> Upload:
    """Put a file of our own (a copy, or a download) into the store under its hash; the same file again is there already.

    It is probed before, so that nothing is kept of what cannot be used: errors as of `chimera.media.own.probe.probe`.
    """
    from chimera.media.own.probe import probe

    facts = probe(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    upload_id = stable_id(tenant_id, "upload", digest)
    name = f"media{SUFFIXES.get(facts.container, f'.{facts.container}')}"
    key = f"{upload_prefix(tenant_id, upload_id)}/{name}"
    if not media.exists(key):
        media.put_file(key, path)
    plain = clean_text(title, 120) or "Untitled"
    return Upload(tenant_id=tenant_id, upload_id=upload_id, key=key, title=plain, url=url[:2048])


def fetch_upload(event: FetchUpload, media: MediaStore, downloads: Downloads) -> dict[str, Any]:
    """Download the file, or get what was uploaded, and take it in; what the next step needs to know."""
    with tempfile.TemporaryDirectory(prefix="fetch-") as folder:
        if event.incoming:
            place = incoming_prefix(event.tenant_id, event.incoming)
            taken = take_in(
                event.tenant_id, media.fetch(f"{place}/file", Path(folder) / "file"), media, title=event.title
            )
            media.put_bytes(f"{place}/taken.json", json.dumps({"upload_id": taken.upload_id}).encode())
            return taken.model_dump(mode="json")
        got = downloads.fetch(
            event.url, max_bytes=event.max_bytes, max_seconds=event.max_duration_seconds, to=Path(folder)
        )
        taken = take_in(event.tenant_id, got.path, media, title=event.title or got.title, url=got.url)
    return taken.model_dump(mode="json")


def probe_upload(event: Upload, media: MediaStore) -> dict[str, Any]:
    """Look at the file and take its sound out; `facts.json` keeps what was found. Done before, it is not done again."""
    from chimera.media.own.probe import probe
    from chimera.media.own.sound import prepare_sound

    if not event.key.startswith(f"{event.prefix}/"):
        raise ChimeraError("FORBIDDEN", f"key: {event.key[:200]!r} is not of upload {event.upload_id}", {})
    record = f"{event.prefix}/facts.json"
    known = json.loads(media.get_bytes(record)) if media.exists(record) else None
    if known is None or known["key"] != event.key:
        with tempfile.TemporaryDirectory(prefix="probe-") as folder:
            file = media.fetch(event.key, Path(folder) / Path(event.key).name)
            facts = probe(file)
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            sound_key, silent = "", True
            if facts.has_sound:
                sound = prepare_sound(file, out=Path(folder) / "sound.flac", facts=facts)
                silent = sound.silent
                if not silent:
                    sound_key = f"{event.prefix}/sound.flac"
                    media.put_file(sound_key, sound.path)
        known = {
            "key": event.key, "sha256": digest, "facts": facts.model_dump(mode="json"), "sound": sound_key,
            "silent": silent,
        }  # fmt: skip
    known |= {"title": event.title or "Untitled", "url": event.url}
    media.put_bytes(record, json.dumps(known, ensure_ascii=False).encode())
    facts_found = known["facts"]
    return {
        "tenant_id": event.tenant_id, "upload_id": event.upload_id, "kind": facts_found["kind"], "sound": known["sound"],
        "seconds": facts_found["seconds"] or 0,
    }  # fmt: skip


def write_material(event: WriteMaterial, media: MediaStore) -> dict[str, Any]:
    """Lay out what was found and heard as `material.json`; gives a summary, for what was said may be long."""
    prefix = upload_prefix(event.tenant_id, event.upload_id)
    known = json.loads(media.get_bytes(f"{prefix}/facts.json"))
    transcript = f"{prefix}/reports/transcript.json"
    heard = json.loads(media.get_bytes(transcript)) if known["sound"] and media.exists(transcript) else None
    if heard is not None and heard["media"] != known["sound"]:
        heard = None
    segments = heard["segments"] if heard else []
    text = _material_text(segments)
    material = {
        "upload_id": event.upload_id,
        "title": known["title"],
        "url": known["url"],
        "sha256": known["sha256"],
        "asset": f"key:{known['key']}" if known["facts"]["kind"] != "sound" else None,
        "facts": known["facts"],
        "silent": known["silent"],
        "transcript": {name: heard[name] for name in ("language", "engine", "model", "rough", "text", "files")}
        if heard
        else None,
        "snippets": _snippets(segments),
        "material": {"title": known["title"], "text": text, "url": known["url"] if _cited(known["url"]) else ""}
        if text
        else None,
    }
    media.put_bytes(f"{prefix}/material.json", json.dumps(material, ensure_ascii=False, indent=1).encode())
    return {
        "tenant_id": event.tenant_id, "upload_id": event.upload_id, "material": f"{prefix}/material.json",
        "title": known["title"], "kind": known["facts"]["kind"], "words": sum(len(s["text"].split()) for s in segments),
        "rough": bool(heard and heard["rough"]), "silent": known["silent"],
    }  # fmt: skip


def read_material(media: MediaStore, tenant_id: str, upload_id: str) -> dict[str, Any]:
    """The material of an upload; `NOT_FOUND` before it was ingested."""
    found: dict[str, Any] = json.loads(media.get_bytes(f"{upload_prefix(tenant_id, upload_id)}/material.json"))
    return found


def production_of(material: dict[str, Any]) -> dict[str, Any]:
    """The fields of RunOptions that make a production of it. `VALIDATION_FAILED` where nothing was said."""
    if material["material"] is None:
        silent = material["facts"]["has_sound"] and material["silent"]
        why = "that is silent" if silent else "in which nothing is said"
        else_ = "; another production can use it (--asset)" if material["asset"] else ""
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"{material['title']}: got {material['facts']['kind']} {why}, expected words to make a production of{else_}",
            {"upload_id": material["upload_id"], "asset": material["asset"]},
        )
    return {"material": material["material"], "assets": [material["asset"]] if material["asset"] else []}


def _cited(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= 2000


def _sentence(text: str) -> str:
    """What was said in one go, as a sentence: recognisers without punctuation give words only."""
    plain = clean_text(text, 2000)
    if not plain:
        return ""
    first = plain[0].upper() + plain[1:]
    return first if re.search(r"[.!?…。！？؟]['\"”’)]*$", first) else f"{first}."


def _material_text(segments: list[dict[str, Any]]) -> str:
    """The sentences from the beginning on, as many as fit whole."""
    said: list[str] = []
    length = 0
    for segment in segments:
        sentence = _sentence(str(segment["text"]))
        if length + len(sentence) + 1 > MATERIAL_CHARACTERS:
            break
        if sentence:
            said.append(sentence)
            length += len(sentence) + 1
    return " ".join(said)


def _snippets(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces of some sentences each, with the times at which they are said."""
    pieces: list[dict[str, Any]] = []
    for segment in segments:
        sentence = _sentence(str(segment["text"]))
        if not sentence:
            continue
        if pieces and len(pieces[-1]["text"]) + len(sentence) < SNIPPET_CHARACTERS:
            pieces[-1]["text"] += f" {sentence}"
            pieces[-1]["end"] = segment["end"]
        else:
            pieces.append({"start": segment["start"], "end": segment["end"], "text": sentence})
    return pieces
