"""Files that come over HTTP: a place for one file is given out, the store itself holds the file to its size and type, and
ingest takes in what arrived.

A place is a folder `tenants/{tenant}/uploads/incoming/{id}/`: `place.json` is what was asked, `file` what came, `taken.json` the
upload that it became (under its hash, as everything that is ingested). The store forgets the file after some days.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, get_args

from pydantic import Field, field_validator, model_validator

from chimera.domain.cleaning import clean_text
from chimera.domain.ids import is_uuid
from chimera.domain.models import Model
from chimera.errors import ChimeraError, explain
from chimera.media.own.limits import MAX_FOOTAGE_BYTES, MAX_PICTURE_BYTES
from chimera.ports import MediaStore, Workflows
from chimera.usecases.ingest import incoming_prefix, production_of, upload_prefix

FORM_SECONDS = 300
"""How long a form can be used; an upload that has begun by then goes on."""
TEMPLATE_TYPE = "application/vnd.chimera.template"
MAX_TEMPLATE_BYTES = 31_000_000
UploadType = Literal[
    "image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic",
    "video/mp4", "video/quicktime", "video/x-matroska", "video/webm", "video/x-msvideo", "video/mpeg", "video/mp2t",
    "audio/wav", "audio/mpeg", "audio/mp4", "audio/flac", "audio/ogg", "audio/aac",
    "application/vnd.chimera.template",
]  # fmt: skip
UPLOAD_TYPES: tuple[str, ...] = get_args(UploadType)
State = Literal["waiting", "uploaded", "ingesting", "ready", "failed"]


class UploadForms(Protocol):
    """Who gives out forms that store one file; S3, or the laptop's own server."""

    def upload_form(
        self, key: str, *, content_type: str, max_bytes: int, expires_seconds: int, temporary: bool = False
    ) -> dict[str, Any]:
        """`{url, fields}`: POST the fields and then the file, as `multipart/form-data`."""
        ...


class UploadRequest(Model):
    """A file that is to come. Its name does not matter; what it really is, is found out when it is ingested."""

    content_type: UploadType
    bytes: int = Field(ge=1, le=MAX_FOOTAGE_BYTES, description="The most that may come; the store refuses more")
    title: str = Field(default="", max_length=200)

    @field_validator("title")
    @classmethod
    def _plain(cls, title: str) -> str:
        return clean_text(title, 200)

    @model_validator(mode="after")
    def _of_its_kind(self) -> UploadRequest:
        most = most_bytes(self.content_type)
        if self.bytes > most:
            raise ValueError(f"bytes: got {self.bytes:,}, expected at most {most:,} for {self.content_type}")
        return self


class IngestRequest(Model):
    """How an upload is taken in."""

    language: str | None = Field(
        default=None,
        max_length=20,
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$",
        description="Of what is said, such as en",
    )
    transcribe: bool = Field(default=True, description="False: only look at it")


def most_bytes(content_type: str) -> int:
    """The most that a file of this type may have."""
    if content_type == TEMPLATE_TYPE:
        return MAX_TEMPLATE_BYTES
    return MAX_PICTURE_BYTES if content_type.startswith("image/") else MAX_FOOTAGE_BYTES


def give_place(
    tenant_id: str, upload_id: str, asked: UploadRequest, *, media: MediaStore, forms: UploadForms
) -> dict[str, Any]:
    """A place for the file and the form that fills it; the same request again is the same place with a fresh form.

    `CONFLICT` where the id stands for another request.
    """
    prefix = incoming_prefix(tenant_id, upload_id)
    record = f"{prefix}/place.json"
    known = _read(media, record)
    wanted = asked.model_dump(mode="json")
    if known is None:
        media.put_bytes(record, json.dumps(wanted).encode())
    elif known != wanted:
        raise ChimeraError("CONFLICT", "this Idempotency-Key came before with another body", {"upload_id": upload_id})
    form = forms.upload_form(
        f"{prefix}/file",
        content_type=asked.content_type,
        max_bytes=asked.bytes,
        expires_seconds=FORM_SECONDS,
        temporary=True,
    )
    return {
        "upload_id": upload_id,
        "method": "POST",
        **form,
        "content_type": asked.content_type,
        "max_bytes": asked.bytes,
        "expires_at": datetime.now(UTC) + timedelta(seconds=FORM_SECONDS),
    }


def ingest(tenant_id: str, upload_id: str, asked: IngestRequest, *, media: MediaStore, workflows: Workflows) -> str:
    """Start the ingest machine for what arrived, once; the execution's id.

    `CONFLICT` before anything arrived, and where it was asked for otherwise before.
    """
    place = _place(tenant_id, upload_id, media)
    if place.content_type == TEMPLATE_TYPE:
        raise ChimeraError(
            "VALIDATION_FAILED",
            "this upload is a template, expected pictures, footage or a recording; POST /v1/templates publishes it",
            {"upload_id": upload_id},
        )
    _arrived(tenant_id, upload_id, media)
    event = {"tenant_id": tenant_id, "incoming": upload_id, "title": place.title, **asked.model_dump(mode="json")}
    return workflows.start("ingest", upload_id, event)


def state_of(tenant_id: str, upload_id: str, *, media: MediaStore, workflows: Workflows) -> dict[str, Any]:
    """Where the upload is, and once it is `ready` what was found in it and how a run takes it."""
    place = _place(tenant_id, upload_id, media)
    prefix = incoming_prefix(tenant_id, upload_id)
    found: dict[str, Any] = {"upload_id": upload_id, **place.model_dump(mode="json"), "max_bytes": place.bytes}
    try:
        execution = workflows.describe(f"ingest:{upload_id}")
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        execution = None  # never begun, or so long ago that the engine has forgotten it
    if execution is not None and execution["status"] == "RUNNING":
        return {**found, "state": "ingesting"}
    if execution is not None and execution["status"] != "SUCCEEDED":
        told = explain(str(execution.get("error") or execution["status"]), str(execution.get("cause") or ""))
        return {**found, "state": "failed", "error": told}
    taken = _read(media, f"{prefix}/taken.json")
    material = _read(media, f"{upload_prefix(tenant_id, str(taken['upload_id']))}/material.json") if taken else None
    if material is None:
        return {**found, "state": "uploaded" if media.exists(f"{prefix}/file") else "waiting"}
    run = (
        production_of(material)
        if material["material"]
        else {"assets": [material["asset"]] if material["asset"] else []}
    )
    return {**found, "state": "ready", "title": material["title"], "found": material, "run": run}


def template_bytes(tenant_id: str, upload_id: str, media: MediaStore) -> bytes:
    """An uploaded template; `VALIDATION_FAILED` where the upload is something else, `CONFLICT` before it arrived."""
    place = _place(tenant_id, upload_id, media)
    if place.content_type != TEMPLATE_TYPE:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"upload_id: got an upload of {place.content_type}, expected {TEMPLATE_TYPE}",
            {"upload_id": upload_id},
        )
    return media.get_bytes(_arrived(tenant_id, upload_id, media))


def _place(tenant_id: str, upload_id: str, media: MediaStore) -> UploadRequest:
    known = _read(media, f"{incoming_prefix(tenant_id, upload_id)}/place.json") if is_uuid(upload_id) else None
    if known is None:
        raise ChimeraError("NOT_FOUND", f"no upload {upload_id[:80]!r}", {"upload_id": upload_id[:80]})
    return UploadRequest.model_validate(known)


def _arrived(tenant_id: str, upload_id: str, media: MediaStore) -> str:
    key = f"{incoming_prefix(tenant_id, upload_id)}/file"
    if not media.exists(key):
        raise ChimeraError(
            "CONFLICT", "nothing has arrived yet: POST the file with the form first", {"upload_id": upload_id}
        )
    return key


def _read(media: MediaStore, key: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(media.get_bytes(key))
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        return None
    return found
