"""A file over HTTP: a place is asked for, the form is posted to the laptop's server, ingest takes in what arrived."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.local.upload_forms import UPLOAD_AUDIENCE
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.templates.bundle import export
from chimera.usecases import ingest
from chimera_local.gateway import Gateway
from chimera_local.upload_files import UploadDesk
from tests.fakes.own_media import corners, encoded
from tests.fakes.template_packs import EVERY_SCENE, pack

PICTURE = encoded(corners(), ".png")
ASKED = {"content_type": "image/png", "bytes": len(PICTURE), "title": "The <b>harbour</b>"}


@pytest.fixture
def gateway(api: Any, settings: Settings, tmp_path: Path) -> Iterator[Gateway]:
    """The server of `chimera up`, as far as uploads go."""
    desk = UploadDesk(api.app.media, LocalIssuer(settings.keys_path), settings.home_path / "incoming")
    made = Gateway(port=0, invoke=lambda event: {}, verify=lambda token: {}, channel=tmp_path, take_upload=desk.take)
    with made:
        yield made


def form(
    fields: dict[str, str], data: bytes, *, name: str = "file", filename: str = "../../x.png"
) -> tuple[bytes, str]:
    """The body that a browser sends, and its type."""
    parts = [
        f'--B0und\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()
    ]
    head = f'--B0und\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    parts += [head.encode(), b"Content-Type: image/png\r\n\r\n", data, b"\r\n--B0und--\r\n"]
    return b"".join(parts), "multipart/form-data; boundary=B0und"


def post(gateway: Gateway, place: dict[str, Any], data: bytes, **changed: Any) -> tuple[int, str]:
    body, kind = form({**place["fields"], **changed.pop("fields", {})}, data, **changed)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        connection.request("POST", urlsplit(place["url"]).path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text)["error"]["code"] if text else ""
    finally:
        connection.close()


def files(settings: Settings) -> list[str]:
    kept = [p for folder in (settings.media_path, settings.home_path / "incoming") for p in folder.rglob("*")]
    return sorted(p.name for p in kept if p.is_file())


def test_a_file_is_placed_sent_taken_in_and_found_again(api: Any, gateway: Gateway, settings: Settings) -> None:
    key = {"Idempotency-Key": "harbour-1"}
    place = api("POST", "/v1/uploads", ASKED, headers=key)
    assert place.status == 201 and place.body["max_bytes"] == len(PICTURE)
    left = datetime.fromisoformat(place.body["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=240) < left <= timedelta(seconds=300)
    here = f"/v1/uploads/{place.body['upload_id']}"
    assert api("POST", "/v1/uploads", ASKED, headers=key).body["upload_id"] == place.body["upload_id"]
    assert api("POST", "/v1/uploads", {**ASKED, "bytes": 5}, headers=key).code == "CONFLICT"
    assert api("GET", here, role="viewer").body["state"] == "waiting"
    assert api("POST", f"{here}/ingest", {}).code == "CONFLICT", "nothing has arrived"

    assert post(gateway, place.body, PICTURE) == (204, "")
    assert files(settings) == ["file", "place.json"], "nothing is kept under a name that the client gave"
    assert api("GET", here).body["state"] == "uploaded"
    started = api("POST", f"{here}/ingest", {"transcribe": False})
    assert started.status == 202 and api("POST", f"{here}/ingest", {"transcribe": False}).body == started.body
    assert api("POST", f"{here}/ingest", {}).code == "CONFLICT"
    (event,) = api.workflows.started.values()
    assert event["title"] == "The harbour" and "key" not in event

    asked = {k: v for k, v in event.items() if k in ingest.FetchUpload.model_fields}
    taken = ingest.fetch_upload(ingest.FetchUpload(**asked), api.app.media, None)  # type: ignore[arg-type]
    ingest.probe_upload(ingest.Upload(**taken), api.app.media)
    ingest.write_material(ingest.WriteMaterial(tenant_id=api.tenant, upload_id=taken["upload_id"]), api.app.media)
    ready = api("GET", here).body
    assert (ready["state"], ready["title"]) == ("ready", "The harbour") and ready["error"] is None
    assert ready["found"]["facts"]["kind"] == "picture" and ready["run"] == {"assets": [f"key:{taken['key']}"]}
    assert api("POST", "/v1/runs", {"topic": "x", **ready["run"]}).status == 202


def test_the_server_holds_the_file_to_its_form(api: Any, gateway: Gateway, settings: Settings) -> None:
    place = api("POST", "/v1/uploads", {**ASKED, "bytes": 300_000}).body
    assert post(gateway, place, b"x" * 300_001) == (413, "FILE_TOO_LARGE")
    assert post(gateway, place, b"x" * 500_000) == (413, "FILE_TOO_LARGE"), "told by its length alone"
    assert post(gateway, place, b"") == (422, "VALIDATION_FAILED")
    assert post(gateway, place, b"x", fields={"Content-Type": "text/html"}) == (422, "VALIDATION_FAILED")
    assert post(gateway, place, b"x", name="other") == (422, "VALIDATION_FAILED")
    assert post(gateway, place, b"x", fields={"policy": place["fields"]["policy"][:-4]}) == (401, "UNAUTHENTICATED")
    person = LocalIssuer(settings.keys_path).person_token("ada", api.tenant, ["admin"])
    assert post(gateway, place, b"x", fields={"policy": person}) == (401, "UNAUTHENTICATED"), (
        "no token for another purpose"
    )
    assert post(gateway, place, b"x", fields={f"f{n}": "" for n in range(30)}) == (422, "VALIDATION_FAILED")
    assert post(gateway, place, b"x", fields={"a": "y" * 30_000}) == (422, "VALIDATION_FAILED")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("PUT", "/uploads", b"x" * 100)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (405, "close")
    connection.close()
    assert files(settings) == ["place.json"]
    tricky = (b"\r\n--B0un" * 40_000)[:299_999]  # what looks like a boundary, across every chunk
    assert post(gateway, place, tricky) == (204, "")
    kept = settings.media_path / f"tenants/{api.tenant}/uploads/incoming/{place['upload_id']}/file"
    assert kept.read_bytes() == tricky


def test_a_form_is_too_old_after_its_time(api: Any, gateway: Gateway, settings: Settings) -> None:
    class Yesterday:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(days=1)

    place = api("POST", "/v1/uploads", ASKED).body
    claims = {"key": "tenants/x/file", "content_type": "image/png", "max_bytes": 9}
    old = LocalIssuer(settings.keys_path, Yesterday()).mint(
        subject="x", audience=UPLOAD_AUDIENCE, ttl_seconds=300, claims=claims
    )
    assert post(gateway, place, b"x", fields={"policy": old}) == (401, "UNAUTHENTICATED")


def test_a_template_is_published_from_its_upload(api: Any, gateway: Gateway) -> None:
    data = export(pack(EVERY_SCENE, files={"README.md": b"x" * 90_000}))
    asked = {"content_type": "application/vnd.chimera.template", "bytes": len(data)}
    place = api("POST", "/v1/uploads", asked).body
    wanted = {"upload_id": place["upload_id"]}
    assert api("POST", "/v1/templates", wanted).code == "CONFLICT", "nothing has arrived"
    assert post(gateway, place, data) == (204, "")
    assert api("POST", "/v1/templates", wanted).body["name"] == "mine"
    assert api("POST", f"/v1/uploads/{place['upload_id']}/ingest", {}).code == "VALIDATION_FAILED"
    picture = api("POST", "/v1/uploads", ASKED).body
    assert api("POST", "/v1/templates", {"upload_id": picture["upload_id"]}).code == "VALIDATION_FAILED"


def test_uploads_are_the_tenants_own_and_for_operators(api: Any, new_tenant: Any) -> None:
    place = api("POST", "/v1/uploads", ASKED).body
    here = f"/v1/uploads/{place['upload_id']}"
    assert api("GET", here, tenant=new_tenant()).code == "NOT_FOUND"
    assert api("GET", f"/v1/uploads/{uuid.uuid4()}").code == "NOT_FOUND"
    assert api("POST", "/v1/uploads", ASKED, role="reviewer").code == "FORBIDDEN"
    for wrong in (
        {**ASKED, "content_type": "text/html"},
        {**ASKED, "bytes": 0},
        {**ASKED, "bytes": 100_000_001},
        {**ASKED, "key": "tenants/other/file"},
    ):
        assert api("POST", "/v1/uploads", wrong).code == "VALIDATION_FAILED"


def test_an_ingest_that_failed_says_why(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"/v1/uploads/{api('POST', '/v1/uploads', ASKED).body['upload_id']}"
    cause = json.dumps(
        {"errorType": "ValidationFailed", "errorMessage": str(ChimeraError("VALIDATION_FAILED", "a page"))}
    )
    ended = {"status": "FAILED", "error": "ValidationFailed", "cause": cause}
    monkeypatch.setattr(type(api.workflows), "describe", lambda self, execution: ended)
    found = api("GET", here).body
    assert found["state"] == "failed" and found["error"]["code"] == "VALIDATION_FAILED"
    monkeypatch.setattr(type(api.workflows), "describe", lambda self, execution: {"status": "RUNNING"})
    assert api("GET", here).body["state"] == "ingesting"
