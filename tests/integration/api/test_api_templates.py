"""Templates over HTTP: which there are, publishing one that is checked, pinning and taking that back."""

from __future__ import annotations

import base64
from typing import Any

from chimera.templates.bundle import export
from tests.fakes.template_packs import EVERY_SCENE, pack


def bundle(text: str = EVERY_SCENE, **head: Any) -> dict[str, str]:
    return {"bundle": base64.b64encode(export(pack(text, **head))).decode()}


def test_templates_are_paged_by_name_and_one_is_told_whole(api: Any) -> None:
    first = api("GET", "/v1/templates", role="viewer", limit=3).body
    rest = api("GET", "/v1/templates", role="viewer", cursor=first["next_cursor"]).body
    names = [t["name"] for t in (*first["items"], *rest["items"])]
    assert len(first["items"]) == 3 and rest["next_cursor"] is None
    assert names == sorted(names) and {"explainer", "listicle", "quote"} <= set(names)
    found = api("GET", "/v1/templates/listicle", role="viewer").body
    assert found["origin"] == "builtin" and found["aspects"] == ["9:16", "16:9", "1:1"]
    assert found["parameters"]["order"]["choices"] == ["up", "down"] and found["version"] in found["versions"]
    assert api("GET", "/v1/templates/listicle", version="^9").code == "NOT_FOUND"
    missing = api("GET", "/v1/templates/listicel")
    assert missing.code == "NOT_FOUND" and "did you mean 'listicle'?" in missing.body["error"]["message"]
    assert api("GET", "/v1/templates", cursor="x").code == "VALIDATION_FAILED"


def test_a_bundle_is_checked_published_once_and_pinned_and_that_is_taken_back(api: Any, new_tenant: Any) -> None:
    one = bundle()
    made = api("POST", "/v1/templates", one)
    assert made.status == 201 and (made.body["name"], made.body["published_by"]) == ("mine", "ada")
    assert api("POST", "/v1/templates", one).body == made.body, "the same file is the same publication"
    other = api("POST", "/v1/templates", bundle(EVERY_SCENE + "description: Other.\n"))
    assert (other.status, other.code) == (409, "CONFLICT"), "a published version never changes"
    assert api("POST", "/v1/templates", bundle(version="1.1.0")).status == 201
    assert api("GET", "/v1/templates/mine").body["versions"] == ["1.0.0", "1.1.0"]
    assert api("GET", "/v1/templates/mine", tenant=new_tenant()).code == "NOT_FOUND"

    (persona,) = api("GET", "/v1/personas").body["items"]
    before = api("POST", "/v1/templates/mine/pin", {"version": "^1.0"}).body
    assert (before["after"], before["now"]) == ("mine@^1.0", "mine@1.1.0")
    pinned = api("POST", "/v1/templates/mine/pin", {"persona_id": persona["persona_id"], "version": "1.0.0"}).body
    assert (pinned["before"], pinned["after"]) == ("mine@^1.0", "mine@1.0.0")
    again = api("POST", "/v1/templates/mine/pin", {"version": "1.0.0"}).body
    assert again["before"] == again["after"] == "mine@1.0.0"
    back = {"pinned": "mine@1.0.0"}
    taken = api("POST", "/v1/templates/mine/rollback", back).body
    assert (taken["before"], taken["after"]) == ("mine@1.0.0", "mine@^1.0")
    assert api("POST", "/v1/templates/mine/rollback", back).body == taken, "asked again it is the same rollback"
    first = api("POST", "/v1/templates/mine/rollback", {"pinned": "mine@^1.0"}).body
    assert first["after"] == before["before"] and first["pins"] == [before["before"]]
    assert api("POST", "/v1/templates/mine/rollback", back).code == "CONFLICT"


def test_what_is_wrong_with_a_bundle_is_told_and_nothing_is_kept(api: Any) -> None:
    endless = EVERY_SCENE.replace("brief.scenes", "range(10 ** 9)")
    for body, said in (
        ({"bundle": "%%%"}, "expected base64"),
        ({"bundle": base64.b64encode(b"PK\3\4 no").decode()}, "not an exported template"),
        (bundle(EVERY_SCENE.replace("scene.narration", "scene.naration")), "narat"),
        (bundle(endless), "range"),
        (bundle(name="quote"), "choose another"),
        ({}, "one of them"),
    ):
        refused = api("POST", "/v1/templates", body)
        assert refused.code in {"VALIDATION_FAILED", "CONFLICT"} and said in refused.body["error"]["message"], said
    assert "mine" not in {t["name"] for t in api("GET", "/v1/templates", limit=100).body["items"]}


def test_a_viewer_changes_no_template(api: Any) -> None:
    for path, body in (("", bundle()), ("/quote/pin", {}), ("/quote/rollback", {"pinned": "quote@1.0.0"})):
        assert api("POST", f"/v1/templates{path}", body, role="reviewer").code == "FORBIDDEN"
    assert api("POST", "/v1/templates/quote/rollback", {"pinned": "explainer@1"}).code == "VALIDATION_FAILED"
    assert api("POST", "/v1/templates/quote/pin", {"persona_id": "nobody"}).code == "NOT_FOUND"
