"""What the API takes and gives for templates and uploads."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from chimera.domain.models import Aspect, Model
from chimera.usecases.uploads import State, UploadType
from functions.api.models import View


class TemplateFile(Model):
    """An exported template (`chimera template export`): small ones in the body, others by their upload."""

    bundle: str = Field(default="", max_length=65_536, description="The file's bytes in base64; up to about 48 KB")
    upload_id: str = Field(default="", max_length=36, description="Of a file that was uploaded (`POST /v1/uploads`)")

    @model_validator(mode="after")
    def _one_of_them(self) -> TemplateFile:
        if bool(self.bundle) == bool(self.upload_id):
            raise ValueError("expected a bundle or an upload_id, one of them")
        return self


class TemplatePin(Model):
    """Which version a persona is to use."""

    persona_id: str = Field(default="", max_length=200, description="Id or name; not needed where there is one only")
    version: str = Field(
        default="", max_length=100, description="1.2.0, or a range such as ^1.2; empty: the newest, as it stands"
    )


class TemplateRollback(Model):
    """The pin to be taken back, as you saw it: another one is a CONFLICT."""

    persona_id: str = Field(default="", max_length=200, description="Id or name; not needed where there is one only")
    pinned: str = Field(min_length=1, max_length=200, examples=["explainer@1.2.0"])


class TemplateView(View):
    """A template at its highest version."""

    name: str
    version: str
    title: str
    kind: str
    origin: str
    versions: list[str]
    checksum: str


class ParameterView(View):
    """A parameter: its type (string, number, integer, boolean, choice, colour, list) and what it takes."""

    type: str
    default: Any = None
    description: str = ""
    choices: list[Any] | None = None
    min: float | None = None
    max: float | None = None


class TemplateDetail(View):
    """One version of a template. `built_on` are the versions of others that it was resolved with."""

    name: str
    version: str
    title: str
    description: str
    kind: str
    author: str
    licence: str
    extends: str
    origin: str
    versions: list[str]
    built_on: list[str]
    checksum: str
    parameters: dict[str, ParameterView]
    aspects: list[Aspect]
    roles: dict[str, Any]
    blocks: list[str]
    files: dict[str, int]


class TemplatePublished(View):
    """A publication; the same file again is the same one."""

    name: str
    version: str
    title: str
    kind: str
    checksum: str
    published_at: datetime
    published_by: str


class TemplatePinned(View):
    """What the persona used before and after, and the version that this means today."""

    persona_id: str
    persona: str
    before: str
    after: str
    now: str


class TemplateRolledBack(TemplatePinned):
    """`pins`: those that still lie on each other, the one in force last."""

    pins: list[str]


class UploadPlace(View):
    """Where the file goes: POST `fields` and then the file, as `multipart/form-data` with the file last, named `file`.

    The form can be used until `expires_at`, five minutes; what has begun by then goes on. The same request again under the same
    Idempotency-Key gives the same place a fresh form.
    """

    upload_id: str
    method: Literal["POST"]
    url: str
    fields: dict[str, str]
    content_type: UploadType
    max_bytes: int
    expires_at: datetime


class UploadStarted(View):
    """The ingest was started, or has been already."""

    upload_id: str
    execution_id: str


class UploadView(View):
    """Where an upload is: waiting (for the file), uploaded, ingesting, ready or failed.

    `found` is what `chimera ingest --json` prints; `run` the fields of RunOptions with which a run is made of it.
    """

    upload_id: str
    state: State
    content_type: UploadType
    max_bytes: int
    title: str
    found: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
