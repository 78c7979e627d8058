"""`/v1/personas`: for whom content is made, and in whose voice and colours."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Header

from chimera.domain.personas import PersonaChange, PersonaForm
from chimera.usecases.personas import PersonaDesk
from functions.api.call import Call, current, keyed_id, known_id, new_router
from functions.api.models import Personas, PersonaView

router = new_router()
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Same key, same persona: made once")]


@router.get("/v1/personas", tags=["personas"], summary="Personas, by name")
def list_personas() -> Personas:
    """All personas of the tenant."""
    call = current(router)
    found = call.app.personas(call.tenant).all()
    return Personas(items=[PersonaView.model_validate(persona.model_dump()) for persona in found])


@router.get("/v1/personas/<persona_id>", tags=["personas"], summary="A persona")
def get_persona(persona_id: str) -> PersonaView:
    """With all that is set and every default."""
    call = current(router)
    found = call.app.personas(call.tenant).get(known_id(persona_id, "persona"))
    return PersonaView.model_validate(found.model_dump())


@router.post(
    "/v1/personas",
    tags=["personas"],
    summary="Make a persona (operator)",
    status_code=201,
    response_description="The persona, or the one that was made under this key as it is now",
)
def create_persona(body: Annotated[PersonaForm, Body()], idempotency_key: Key = None) -> PersonaView:
    """What it names (template, voices, libraries, channels) must be there. `file:` entries are not for HTTP."""
    call = current(router)
    persona_id = keyed_id(call.tenant, "persona", idempotency_key)
    made = _desk(call).create(body.model_dump(mode="json", exclude_unset=True), persona_id)
    return PersonaView.model_validate(made.model_dump())


@router.patch("/v1/personas/<persona_id>", tags=["personas"], summary="Change a persona (operator)")
def change_persona(persona_id: str, body: Annotated[PersonaChange, Body()]) -> PersonaView:
    """A merge patch (RFC 7396): null takes a value back to its default. What was planned before keeps its template."""
    call = current(router)
    patch = body.model_dump(mode="json", exclude_unset=True)
    changed = _desk(call).change(known_id(persona_id, "persona"), patch)
    return PersonaView.model_validate(changed.model_dump())


@router.delete("/v1/personas/<persona_id>", tags=["personas"], summary="Delete a persona (operator)")
def delete_persona(persona_id: str) -> PersonaView:
    """What it was. `CONFLICT` while a task or a production is its."""
    call = current(router)
    return PersonaView.model_validate(_desk(call).delete(known_id(persona_id, "persona")).model_dump())


def _desk(call: Call) -> PersonaDesk:
    return call.app.persona_desk(call.tenant, by=call.who.subject, files=False, spelled=_spelled)


def _spelled(path: object) -> str:
    """A value as the body names it."""
    return ".".join(map(str, path)) if isinstance(path, list | tuple) else str(path)
