"""`chimera review`: what waits for a person, and the person's decision about this very version."""

from __future__ import annotations

from typing import Any

import click

from chimera.domain.cards import card_kinds
from chimera.settings import get_settings
from chimera.usecases.review import Decide, decide, view
from chimera_local.cli import emit, who
from chimera_local.lock import find_engine
from chimera_local.world import World, world


@click.group()
def review() -> None:
    """Look at what waits for you; approve or reject it."""


@review.command("ls")
@click.option("--all", "everything", is_flag=True, help="Also what is decided.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def ls(everything: bool, as_json: bool) -> int:
    """What waits for a decision."""
    with world(get_settings(), engine=False) as w:
        rows = w.app.reviews(w.tenant).page(100, None, None if everything else "pending")
        value = {"reviews": [view(row) for row in rows]}
    lines = [f"{r['review_id']}  {r['status']:9} {r['kind']:8} {r['reason'][:70]}" for r in value["reviews"]]
    emit(value, as_json=as_json, text="\n".join(lines) or "nothing waits for you")
    return 0


@review.command("show")
@click.argument("review_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(review_id: str, as_json: bool) -> int:
    """The version to decide about: video, script, findings, cost."""
    with world(get_settings(), engine=False) as w:
        value = details(w, review_id)
    lines = [
        f"Review     {value['review_id']} ({value['kind']}, {value['status']})",
        f"Version    {value['subject_hash']}",
    ]
    if value["reason"]:
        lines.append(f"Why        {value['reason']}")
    content = value.get("content")
    if content:
        lines.append(f"Title      {content['title']}")
        lines += [f"Image      {path}" for path in content["images"]] or [f"Video      {content['video']}"]
        lines += ["", *content["posts"]] if content["posts"] else []
        lines += ["", content["script"] or "", ""]
        for check in content["checks"]:
            mark = {True: "passed", False: "FAILED", None: "NOT ANSWERED"}[check["passed"]]
            lines.append(f"{mark:13} {check['name']:28} {check['evidence'][:90]}")
    lines.append(f"\nDecide: chimera review approve {value['review_id']} --hash {value['subject_hash']}")
    emit(value, as_json=as_json, text="\n".join(lines))
    return 0


def details(w: World, review_id: str) -> dict[str, Any]:
    """The review with what it is about."""
    value = view(w.app.reviews(w.tenant).get(review_id))
    if value["content_id"]:
        row = w.app.content(w.tenant).get(value["content_id"])
        report = w.app.content(w.tenant).report(value["content_id"])
        key = row["media"].get("video")
        value["content"] = {
            "title": row["title"],
            "script": row["script"],
            "sources": row["brief"].get("sources", []),
            "video": w.app.media.url(key).removeprefix("file://") if key else None,
            "images": [
                w.app.media.url(row["media"][k]).removeprefix("file://") for k in card_kinds(row["media"] or {})
            ],
            "posts": ((row["metadata"] or {}).get("still") or {}).get("posts", []),
            "checks": report["checks"] if report else [],
            "verdict": report["verdict"] if report else None,
        }
    return value


def _decide(review_id: str, decision: Any, note: str, expected: str | None, by: str | None, as_json: bool) -> int:
    settings = get_settings()
    with world(settings, engine=False) as w:
        row = w.app.reviews(w.tenant).get(review_id)
        given = expected or row["subject_hash"]
        engine = find_engine(settings.home_path)
        if engine:
            w.app.settings = w.app.settings.model_copy(
                update={"workflows_endpoint": engine.control_endpoint, "workflows_secret": engine.control_secret}
            )
        event = Decide(review_id=str(row["id"]), decision=decision, by=by or who(), note=note, expected_hash=given)
        value = decide(event, w.app.reviews(w.tenant), w.app.workflows)
    text = f"{value['status']} by {value['decided_by']}"
    if not value["delivered_at"]:
        text += "; the run goes on with `chimera resume` (or the next `chimera up`)"
    emit(value, as_json=as_json, text=text)
    return 0


@review.command("approve")
@click.argument("review_id")
@click.option("--hash", "expected", help="The version you saw; another one is a conflict.")
@click.option("--note", default="")
@click.option("--by", help="Who decides; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def approve(review_id: str, expected: str | None, note: str, by: str | None, as_json: bool) -> int:
    """Approve this very version."""
    return _decide(review_id, "approved", note, expected, by, as_json)


@review.command("reject")
@click.argument("review_id")
@click.option("--hash", "expected", help="The version you saw; another one is a conflict.")
@click.option("--note", default="", help="Why.")
@click.option("--by", help="Who decides; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reject(review_id: str, expected: str | None, note: str, by: str | None, as_json: bool) -> int:
    """Reject it; it will not be published."""
    return _decide(review_id, "rejected", note, expected, by, as_json)
