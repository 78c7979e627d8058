"""`/v1/uploads`: a place and a form for a file, its ingest, and what was found in it."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Header

from chimera.usecases import uploads
from chimera.usecases.uploads import IngestRequest, UploadRequest
from functions.api.call import current, keyed_id, known_id, new_router
from functions.api.models_studio import UploadPlace, UploadStarted, UploadView

router = new_router()
AS_IT_IS = IngestRequest()
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Same key, same request: done once")]


@router.post(
    "/v1/uploads",
    tags=["uploads"],
    summary="Ask for a place for a file (operator)",
    status_code=201,
    response_description="The place, and the form that fills it",
)
def ask_for_place(body: Annotated[UploadRequest, Body()], idempotency_key: Key = None) -> UploadPlace:
    """The store itself refuses another type, more bytes, and a form that is too old. The file is not sent to this API."""
    call = current(router)
    upload_id = keyed_id(call.tenant, "incoming", idempotency_key)
    place = uploads.give_place(call.tenant, upload_id, body, media=call.app.media, forms=call.app.upload_forms)
    return UploadPlace.model_validate(place)


@router.get("/v1/uploads/<upload_id>", tags=["uploads"], summary="Where an upload is")
def get_upload(upload_id: str) -> UploadView:
    """With what was found in it, once it is ready."""
    call = current(router)
    found = uploads.state_of(
        call.tenant, known_id(upload_id, "upload"), media=call.app.media, workflows=call.app.workflows
    )
    return UploadView.model_validate(found)


@router.post(
    "/v1/uploads/<upload_id>/ingest",
    tags=["uploads"],
    summary="Take in what was uploaded (operator)",
    status_code=202,
    response_description="The ingest has begun, or was begun before",
)
def ingest(upload_id: str, body: Annotated[IngestRequest, Body()] = AS_IT_IS) -> UploadStarted:
    """Probe it, transcribe it, lay it out as material; begun once, however often it is asked for."""
    call = current(router)
    known = known_id(upload_id, "upload")
    execution = uploads.ingest(call.tenant, known, body, media=call.app.media, workflows=call.app.workflows)
    return UploadStarted(upload_id=known, execution_id=execution)
