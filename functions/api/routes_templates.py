"""`/v1/templates`: which there are, publishing one, which a persona uses."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, get_args

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from chimera.domain.models import Aspect
from chimera.errors import ChimeraError
from functions.api.call import current, known_id, new_router
from functions.api.models import PageOf
from functions.api.models_studio import (
    TemplateDetail,
    TemplateFile,
    TemplatePin,
    TemplatePinned,
    TemplatePublished,
    TemplateRollback,
    TemplateRolledBack,
    TemplateView,
)
from functions.api.paging import CursorText, Limit, bad_cursor, decode_parts, encode

router = new_router()
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
NO_PIN = TemplatePin()


@router.get("/v1/templates", tags=["templates"], summary="Templates, by name")
def list_templates(limit: Limit = 20, cursor: CursorText = None) -> PageOf[TemplateView]:
    """Built in, of plugins, and the tenant's own, each at its highest version."""
    call = current(router)
    templates = call.app.templates(call.tenant)
    names = [name for name in templates.names() if name > _after(cursor)]
    entries = templates.entries(names[:limit])
    following = encode(names[limit - 1]) if len(names) > limit else None
    return PageOf[TemplateView](items=[TemplateView.model_validate(e) for e in entries], next_cursor=following)


@router.get("/v1/templates/<name>", tags=["templates"], summary="A template")
def get_template(
    name: str,
    version: Annotated[str, Query(max_length=100, description="1.2.0 or a range; empty: the newest")] = "",
) -> TemplateDetail:
    """Its versions, its parameters, and what it is built on. Every template is for every aspect."""
    from chimera.usecases.template_desk import describe

    call = current(router)
    templates = call.app.templates(call.tenant)
    found = describe(templates.resolve(_reference(name, version)), templates)
    return TemplateDetail.model_validate({**found, "aspects": list(ASPECTS)})


@router.post(
    "/v1/templates",
    tags=["templates"],
    summary="Publish an exported template (operator)",
    status_code=201,
    response_description="It is published; the same file again is the same publication",
)
def publish(body: Annotated[TemplateFile, Body()]) -> TemplatePublished:
    """Every hash in it is checked, then form, names and trial expansions, in a sandbox. A published version never changes."""
    from chimera.usecases.template_desk import publish_bundle
    from chimera.usecases.uploads import template_bytes

    call = current(router)
    data = (
        template_bytes(call.tenant, known_id(body.upload_id, "upload"), call.app.media)
        if body.upload_id
        else _bundle(body.bundle)
    )
    info = publish_bundle(data, "bundle", call.app.templates(call.tenant), by=call.who.subject)
    return TemplatePublished.model_validate(info)


@router.post("/v1/templates/<name>/pin", tags=["templates"], summary="Let a persona use a version of it (operator)")
def pin(name: str, body: Annotated[TemplatePin, Body()] = NO_PIN) -> TemplatePinned:
    """The same pin again changes nothing."""
    from chimera.usecases import template_desk

    call = current(router)
    personas, templates = call.app.personas(call.tenant), call.app.templates(call.tenant)
    persona = template_desk.persona_of(personas, body.persona_id)
    made = template_desk.pin(_reference(name, body.version), persona, personas, templates, by=call.who.subject)
    return TemplatePinned.model_validate(made)


@router.post("/v1/templates/<name>/rollback", tags=["templates"], summary="Take a persona's last pin back (operator)")
def rollback(name: str, body: Annotated[TemplateRollback, Body()]) -> TemplateRolledBack:
    """Back to what the persona used before `pinned`, which must be what it uses now. Asked again, it is the same rollback."""
    from chimera.usecases import template_desk

    call = current(router)
    if body.pinned.partition("@")[0] != name:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"pinned: got {body.pinned[:80]!r}, expected a pin of {name[:80]!r}",
            {"pinned": {"got": body.pinned[:80], "expected": f"{name[:80]}@…"}},
        )
    personas, templates = call.app.personas(call.tenant), call.app.templates(call.tenant)
    persona = template_desk.persona_of(personas, body.persona_id)
    made = template_desk.roll_back(persona, personas, templates, by=call.who.subject, pinned=body.pinned)
    return TemplateRolledBack.model_validate(made)


def _reference(name: str, version: str) -> str:
    if "@" in name:
        raise ChimeraError("NOT_FOUND", f"no template is named {name[:80]!r}; a version is a field of its own", {})
    return f"{name}@{version}" if version else name


def _bundle(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ChimeraError("VALIDATION_FAILED", "bundle: expected base64", {"bundle": {"expected": "base64"}}) from None


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    parts = decode_parts(cursor)
    if len(parts) != 1:
        raise bad_cursor(cursor)
    return parts[0]
