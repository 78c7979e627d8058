"""What a run came to, as one object: the trend, the video, what it cost, who approved, where it went."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from chimera.domain.cards import card_kinds, is_still
from chimera.domain.money import usd
from chimera.ports import MediaStore
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope

# Task states that stand for a stage a person would name; the others are bookkeeping.
THUMBNAILS = ("thumbnail", "thumbnail_b", "poster")
STAGES = {
    "fetch_source": "scan",
    "rank_trends": "rank",
    "plan_tasks": "plan",
    "write_brief": "brief",
    "approve": "approval",
    "voice": "voice",
    "pictures": "pictures",
    "render": "render",
    "inspect": "inspect",
    "judge": "judge",
    "settle": "settle",
    "request_review": "review",
    "approve_in_advance": "review",
    "publish": "publish",
}


def run_report(
    *,
    run: dict[str, Any],
    content: dict[str, Any] | None,
    trend: dict[str, Any] | None,
    approvals: list[dict[str, Any]],
    verdict: dict[str, Any] | None,
    publications: list[dict[str, Any]],
    ledger: dict[str, Any],
    stages: list[dict[str, Any]],
    media: MediaStore,
    scan: dict[str, Any] | None,
    elapsed_seconds: float,
) -> dict[str, Any]:
    """The object that `run --json`, `resume --json` and the API print; parts that were not reached are null or empty."""
    made = None
    if content is not None:
        scope = Scope(
            tenant_id=str(content["tenant_id"]),
            run_id=str(run["id"]),
            task_id=str(content["task_id"]),
            content_id=str(content["id"]),
        )
        made = MadeContent(media, scope)
    brief = made.read_or_none("brief", "brief.json") if made else None
    render = made.read_or_none("reports", "render.json") if made else None
    pictures = made.read_or_none("pictures", "pictures.json") if made else None
    video = render is not None and not is_still(render.get("format", "video"))
    error = run["summary"].get("error") or (content or {}).get("last_error")
    return {
        "run_id": str(run["id"]),
        "status": run["status"],
        "error": error,
        "trend": trend,
        "brief_id": brief["brief_id"] if brief else None,
        "content_id": str(content["id"]) if content else None,
        "title": brief["title"] if brief else None,
        "format": brief["format"] if brief else None,
        "video": _video(render, media) if render and video else None,
        "captions": {k: _path(media, render["files"][k]["key"]) for k in ("srt", "vtt")} if render and video else None,
        "thumbnail": _path(media, render["files"]["thumbnail"]["key"]) if render and video else None,
        "thumbnails": _paths(media, render, THUMBNAILS) if render else [],
        "images": _images(render, media) if render else [],
        "posts": render.get("posts", []) if render else [],
        "provenance": _provenance(made, render, media) if made and render else None,
        "script": brief["script"] if brief else None,
        "sources": brief["sources"] if brief else [],
        "assets_left_out": pictures["left_out"] if pictures else [],
        "approvals": approvals,
        "cost": {
            "estimated": brief["estimated_cost"] if brief else None,
            "actual": usd(content["production_cost_micros"]) if content and content["production_cost_micros"] else None,
            "currency": "USD",
        },
        "judge": verdict,
        "publications": publications,
        "ledger": ledger,
        "stages": stages,
        "used": _used(made, scan),
        "elapsed_seconds": round(elapsed_seconds, 2),
    }


def _video(render: dict[str, Any], media: MediaStore) -> dict[str, Any]:
    keys = ("duration_seconds", "width", "height", "fps", "size_bytes", "sha256")
    return {"path": _path(media, render["files"]["video"]["key"]), **{k: render[k] for k in keys}}


def _paths(media: MediaStore, render: dict[str, Any], kinds: tuple[str, ...]) -> list[str]:
    return [_path(media, render["files"][kind]["key"]) for kind in kinds if kind in render["files"]]


def _images(render: dict[str, Any], media: MediaStore) -> list[dict[str, Any]]:
    """The cards of an image post, in order, with what they show."""
    facts = {"width": render["width"], "height": render["height"]}
    return [
        {
            "path": _path(media, file["key"]),
            **facts,
            "size_bytes": file["size_bytes"],
            "sha256": file["sha256"],
            "alt": render.get("alt", {}).get(kind, ""),
        }
        for kind in card_kinds(render["files"])
        if (file := render["files"][kind])
    ]


def _provenance(made: MadeContent, render: dict[str, Any], media: MediaStore) -> dict[str, Any] | None:
    """The manifest in the file and the bill of materials beside it."""
    bill = made.read_or_none("reports", "bill.json")
    if bill is None or "bom" not in render["files"]:
        return None
    signed = bill["video"] or {}
    return {
        "manifest": signed.get("manifest", ""),
        "signed_by": signed.get("signed_by", ""),
        "digital_source_type": bill["digital_source_type"],
        "items": len(bill["items"]),
        "bill": _path(media, render["files"]["bom"]["key"]),
    }


def _path(media: MediaStore, key: str) -> str:
    return str(media.fetch(key, Path(Path(key).name)))


def _used(made: MadeContent | None, scan: dict[str, Any] | None) -> dict[str, Any]:
    """Which provider did what; where an online one could not be reached, what stood in for it."""
    used: dict[str, Any] = {"trends": None, "writer": None, "voice": None, "pictures": None, "music": None}
    if scan:
        used["trends"] = scan.get("platforms_used")
        used["trends_failed"] = scan.get("platforms_failed")
        used["sample"] = bool(scan.get("used_sample"))
    if made:
        brief = made.read_or_none("brief", "brief.json")
        voice, pictures = made.read_or_none("audio", "voice.json"), made.read_or_none("pictures", "pictures.json")
        request = made.read_or_none("brief", "request.json")
        used["writer"] = brief["writer"]["provider"] if brief else None
        used["pages_unread"] = len(request["pages_unread"]) if request else 0
        used["voice"] = voice["provider"] if voice else None
        used["pictures"] = pictures["provider"] if pictures else None
        render = made.read_or_none("reports", "render.json")
        used["music"] = _music(render) if render else None
    return used


def _music(render: dict[str, Any]) -> str:
    beds = [bed for bed in render.get("music", []) if bed["kind"] == "music"]
    return ("file" if beds[0]["origin"] == "person" else "generated") if beds else "off"


def stages_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stages with their seconds from the histories of a run's executions (events in AWS's shape, any order of machines).

    A stage that several states or items make up (the sources of a scan) lasts from its first entry to its last exit.
    """
    spans: dict[str, list[datetime | None]] = {}
    status: dict[str, str] = {}
    for event in sorted(events, key=lambda e: (e["timestamp"], e["id"])):
        details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
        if not details or details["name"] not in STAGES:
            continue
        stage = STAGES[details["name"]]
        when = datetime.fromisoformat(str(event["timestamp"]))
        span = spans.setdefault(stage, [when, None])
        if "stateExitedEventDetails" in event:
            span[1] = when
            status[stage] = "done"
        else:
            status[stage] = "running"
    return [
        {
            "name": name,
            "status": status[name],
            "seconds": round((ended - started).total_seconds(), 2) if started and ended else None,
        }
        for name, (started, ended) in spans.items()
    ]
