"""`/v1/personas` over HTTP: made once under a key, changed by merge patches, deleted while nothing was made for it."""

from __future__ import annotations

from typing import Any

from chimera.domain.personas import KEYS

ADA = {
    "name": "Ada",
    "template": "quote@1",
    "brand_guidelines": {
        "theme": {"accent": "#FF5500"},
        "voices": {"narrator": {"voice": "en-gb", "pause_seconds": 0.4}},
        "pronunciations": {"GIF": "jif"},
        "libraries": ["openverse"],
    },
}


def test_a_persona_is_made_once_changed_and_deleted(api: Any) -> None:
    key = {"Idempotency-Key": "ada-1"}
    made = api("POST", "/v1/personas", ADA, headers=key)
    assert (made.status, made.body["name"], made.body["channels"]) == (201, "Ada", ["local"])
    path = f"/v1/personas/{made.body['persona_id']}"
    assert api("POST", "/v1/personas", ADA, headers=key).body == made.body
    assert api("POST", "/v1/personas", {**ADA, "tone": "dry"}, headers=key).code == "CONFLICT"
    assert api("POST", "/v1/personas", ADA).code == "CONFLICT"  # the name is taken

    patch = {"language": "en-gb", "brand_guidelines": {"theme": None, "pronunciations": {"GIF": None, "SQL": "sequel"}}}
    changed = api("PATCH", path, patch)
    assert changed.status == 200
    brand = changed.body["brand_guidelines"]
    assert (brand["theme"], brand["pronunciations"]) == (None, {"SQL": "sequel"})
    assert brand["voices"]["narrator"]["pause_seconds"] == 0.4
    assert api("GET", path, role="viewer").body == changed.body
    assert api("PATCH", path, patch).body == changed.body

    assert api("DELETE", path).body["name"] == "Ada"
    assert api("GET", path).code == "NOT_FOUND"
    assert api("DELETE", path).code == "NOT_FOUND"
    assert api("POST", "/v1/personas", ADA, headers=key).code == "CONFLICT"  # a repeat does not bring it back


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tonne": "dry"}, "did you mean 'tone'"),
    ({"brand_guidelines": {"theme": {"acent": "#fff"}}}, "brand_guidelines.theme.accent"),
    ({"brand_guidelines": {"theme": {"accent": "red"}}}, "#rrggbb"),
    ({"template": "qoute"}, "did you mean 'quote'"),
    ({"channels": ["youtube"]}, "there are: local"),
    ({"brand_guidelines": {"libraries": ["pexel"]}}, "did you mean 'pexels'"),
    ({"brand_guidelines": {"assets": ["file:/etc/passwd"]}}, "command line only"),
    ({"brand_guidelines": {"theme": {"text_font": "/a/b.ttf"}}}, "Montserrat"),
    ({"brand_guidelines": {"theme": {"logo": "file:/a.png"}}}, "key:uploads/"),
    ({"brand_guidelines": {"theme": {"logo": "key:uploads/../../x"}}}, "key:uploads/"),
    ({"brand_guidelines": {"assets": ["key:tenants/other/a.png"]}}, "does not have"),
    ({"name": None}, "name"),
    ({"name": "a\u202eb"}, "one line"),
]


def test_what_cannot_be_is_refused_and_nothing_changes(api: Any) -> None:
    api.app.media.put_bytes("tenants/other/a.png", b"somebody else's")
    [before] = api("GET", "/v1/personas").body["items"]
    for patch, said in WRONG:
        refused = api("PATCH", f"/v1/personas/{before['persona_id']}", patch)
        assert (refused.code, said in refused.body["error"]["message"]) == ("VALIDATION_FAILED", True), refused.body
    assert api("GET", "/v1/personas").body["items"] == [before]


def test_a_persona_that_something_was_made_for_stays(api: Any) -> None:
    api.content()
    [only] = api("GET", "/v1/personas").body["items"]
    refused = api("DELETE", f"/v1/personas/{only['persona_id']}")
    assert refused.code == "CONFLICT"
    assert refused.body["error"]["details"]["tasks"] == 1
    for method, body in (("POST", ADA), ("PATCH", {"tone": "x"}), ("DELETE", None)):
        path = "/v1/personas" if method == "POST" else f"/v1/personas/{only['persona_id']}"
        assert api(method, path, body, role="reviewer").code == "FORBIDDEN"
    assert api("POST", "/v1/runs", {"persona_id": only["name"].upper(), "stop_at": "brief"}).status == 202
    [started] = api.workflows.started.values()
    assert started["options"]["persona_id"] == only["persona_id"]


def test_the_document_knows_every_field(api: Any) -> None:
    schemas = api("GET", "/openapi.json", role=None).body["components"]["schemas"]
    assert set(schemas["PersonaForm"]["properties"]) == {key.path[0] for key in KEYS}
    assert set(schemas["PersonaChange"]["properties"]) == {key.path[0] for key in KEYS}
