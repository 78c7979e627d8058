"""Judge: asks every check about the finished content, and binds the verdict to this very version of it."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from chimera.domain.bill import BillOfMaterials, unlicensed
from chimera.domain.cards import is_still
from chimera.domain.judge import POLICY_VERSION, Subject
from chimera.domain.models import Brief, SafetyReport
from chimera.errors import ChimeraError, explain
from chimera.metrics import measure
from chimera.ports import CheckProvider, ContentRows, ReviewRows
from chimera.purse import Purse
from chimera.usecases.costs import metered
from chimera.usecases.judge import quality_of, review, wants_another_seed
from chimera.usecases.layout import shown_texts
from chimera.usecases.production import MadeContent, production_facts, worst_case
from chimera.usecases.scope import Scope


def content_hash(brief: Brief, video_sha256: str) -> str:
    """sha256 over all that is published: the bytes of the video (or of all cards and posts) and the words beside it. An approval is for this and no other."""
    published = {
        "video": video_sha256,
        "title": brief.title,
        "description": brief.description,
        "hashtags": brief.hashtags,
        "script": brief.script,
    }
    return hashlib.sha256(json.dumps(published, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class Judge(Scope):
    """Input of `judge`: the scope and the approved request that it is paid from."""

    request_id: str


def judge(made: MadeContent, checks: list[CheckProvider], purse: Purse) -> dict[str, Any]:
    """Ask every check; the report is kept beside the content. Thinks: it has no database."""
    brief, ask = made.brief(), made.read("brief", "material.json")
    render = made.read("reports", "render.json")
    technical = made.read_or_none("reports", "technical.json")
    prefix, limit = made.scope.prefix, worst_case(made, "judge")
    this = made.scope.attempt
    with metered(
        made.media, prefix, "judge", gigabytes=0.5, purse=purse, worst_case_micros=limit, attempt=this
    ) as meter:
        subject = Subject.model_validate(
            {
                "title": brief.title,
                "script": brief.script,
                "scenes": [s.model_dump() for s in brief.scenes],
                "shown": shown_texts(board) if (board := made.storyboard()) else [],
                "hashtags": brief.hashtags,
                "description": brief.description,
                "sources": brief.sources,
                "material": made.read("brief", "used_material.json"),
                "profile": ask["material"]["profile"],
                "technical": technical,
                "bill": _bill(made, render["sha256"]),
                "duration_seconds": render["duration_seconds"],
                "aspect": brief.aspect,
            }
        )
        answers, verdict, confidence = review(subject, checks)
        elapsed = int((time.monotonic() - meter.started_wall) * 1000)
    report = SafetyReport(
        content_id=made.scope.content_id,
        content_hash=content_hash(brief, render["sha256"]),
        checks=answers,
        confidence=confidence,
        verdict=verdict,
        policy_version=POLICY_VERSION,
        execution_time_ms=elapsed,
    )
    made.write("reports", "judge.json", report.model_dump(mode="json"))
    again = wants_another_seed(answers, verdict, made.scope.attempt)
    _note_attempt(made, report, again=again)
    return {
        "verdict": report.verdict,
        "confidence": report.confidence,
        "content_hash": report.content_hash,
        "quality_score": quality_score(report),
        "retry": again,
    }


def _note_attempt(made: MadeContent, report: SafetyReport, *, again: bool) -> None:
    """Keep what this attempt came to: the next one writes over its reports. The same attempt again is the same."""
    known = made.read_or_none("reports", "attempts.json") or {"attempts": []}
    this = {
        "attempt": made.scope.attempt,
        "quality_score": quality_score(report),
        "code": "QUALITY_FAILED" if again else None,
        "content_hash": report.content_hash,
        "problems": [f"{c.name}: {c.evidence}"[:200] for c in report.checks if c.passed is not True],
    }
    earlier = [one for one in known["attempts"] if one["attempt"] < made.scope.attempt]
    made.write("reports", "attempts.json", {"attempts": [*earlier, this]})


def _bill(made: MadeContent, video_sha256: str) -> dict[str, Any] | None:
    """The bill of materials of this very file."""
    bill = made.read_or_none("reports", "bill.json")
    return bill if bill and (bill.get("video") or {}).get("sha256") == video_sha256 else None


def record_verdict(made: MadeContent, content: ContentRows) -> dict[str, Any]:
    """Remember report, video and files; the content is ready, or waits for a person."""
    scope, brief = made.scope, made.brief()
    report = SafetyReport.model_validate(made.read("reports", "judge.json"))
    render = made.read("reports", "render.json")
    if report.content_hash != content_hash(brief, render["sha256"]):
        raise ChimeraError(
            "CONFLICT", "the judge's report is about another version of this content", {"judged": report.content_hash}
        )
    content.save_report(report.model_dump(mode="json"))
    files = render["files"]
    if is_still(brief.format):
        content.save_assets(scope.content_id, _assets(made))
    else:
        facts = {**_video_row(render, brief), **_addresses(files)}
        content.save_video(scope.content_id, brief.title, facts, _assets(made))
    stage = "ready" if report.verdict == "pass" else "review"
    content.advance(
        scope.content_id,
        ("generating", "review", "ready"),
        stage=stage,
        content_hash=report.content_hash,
        quality_score=quality_score(report),
        media_url=files["card_01" if is_still(brief.format) else "video"]["url"],
        media={kind: file["key"] for kind, file in files.items()},
        metadata={
            "production": production_facts(made),
            **_attempts(made),
            **_licences(made, render["sha256"]),
            **_still_post(render, brief),
            **_told_below(made, render),
        },
    )
    measure("judge_verdicts_total", verdict=report.verdict)
    reasons = [f"{c.name}: {c.evidence or 'could not be answered'}" for c in report.checks if c.passed is not True]
    return {
        "verdict": report.verdict,
        "content_hash": report.content_hash,
        "confidence": report.confidence,
        "quality_score": quality_score(report),
        "reason": "; ".join(reasons)[:1000],
    }


def _still_post(render: dict[str, Any], brief: Brief) -> dict[str, Any]:
    """What the publisher needs of an image post besides its files."""
    if not is_still(brief.format):
        return {}
    return {"still": {name: render[name] for name in ("sha256", "posts", "post_media", "alt")}}


def _told_below(made: MadeContent, render: dict[str, Any]) -> dict[str, Any]:
    """What a post's description ends with: who made the pictures, as their licences ask, and the video's chapters."""
    pictures = made.read_or_none("pictures", "pictures.json") or {}
    return {"credits": pictures.get("credits") or [], "chapters": render.get("chapters") or []}


def _licences(made: MadeContent, video_sha256: str) -> dict[str, Any]:
    """What the publisher refuses by, without another look at the files."""
    bill = _bill(made, video_sha256)
    if bill is None:
        return {}
    known = BillOfMaterials.model_validate(bill)
    return {"licences": {"unknown": unlicensed(known.items), "manifest": known.video.manifest if known.video else ""}}


def quality_score(report: SafetyReport) -> float:
    """The quality score of the finished file, 0–1 (docs/gate.md); 0 if it could not be told."""
    found = quality_of(report.checks)
    return 0.0 if found is None or found.passed is None else round(found.score, 2)


def _attempts(made: MadeContent) -> dict[str, Any]:
    """Each attempt's score, for the content's row; nothing before there was a judge."""
    known = made.read_or_none("reports", "attempts.json")
    if known is None:
        return {}
    kept = ("attempt", "quality_score", "code")
    return {"attempts": [{name: one[name] for name in kept} for one in known["attempts"]]}


def _video_row(render: dict[str, Any], brief: Brief) -> dict[str, Any]:
    preset = render["height_preset"]
    return {
        "duration_seconds": render["duration_seconds"],
        "resolution": preset if preset in {"720p", "1080p", "4k"} else None,
        "width": render["width"],
        "height": render["height"],
        "fps": render["fps"],
        "codec": "h264/aac",
        "size_bytes": render["size_bytes"],
        "sha256": render["sha256"],
    }


def _addresses(files: dict[str, Any]) -> dict[str, str]:
    return {"video_url": files["video"]["url"], "thumbnail_url": files["thumbnail"]["url"]}


def _assets(made: MadeContent) -> list[dict[str, Any]]:
    """Every file that the content is made of, with its licence."""
    render = made.read("reports", "render.json")
    voice, pictures = made.read("audio", "voice.json"), made.read("pictures", "pictures.json")
    ours = "generated by Chimera, free of third-party rights"
    bill = _bill(made, render["sha256"]) or {"items": []}
    licences = {item["sha256"]: item["licence"] for item in bill["items"] if item["sha256"]}
    found = [
        {
            "kind": kind,
            "url": file["url"],
            "sha256": file["sha256"],
            "bytes": file["size_bytes"],
            "licence": ours,
            "generator": "render",
        }
        for kind, file in render["files"].items()
    ]
    for kind, made_by, names in (
        ("audio", voice["model"], [s["audio"] for s in voice["scenes"] if s["audio"]]),
        ("pictures", pictures["model"], [s["image"] for s in pictures["scenes"]]),
    ):
        for name in names:
            data = made.media.get_bytes(made.scope.key(kind, name))
            digest = hashlib.sha256(data).hexdigest()
            found.append(
                {
                    "kind": kind,
                    "url": f"s3://media/{made.scope.key(kind, name)}",
                    "sha256": digest,
                    "bytes": len(data),
                    "licence": licences.get(digest, ours),
                    "generator": made_by,
                }
            )
    return found


class CloseRejected(Scope):
    """Input of `close_rejected`: the CFO's answer, and the verdict if it came that far."""

    approval: dict[str, Any]
    verdict: dict[str, Any] | None = None


class CloseFailed(Scope):
    """Input of `close_content`: the error's name and cause."""

    failure: dict[str, Any]


def close_rejected(event: CloseRejected, content: ContentRows) -> dict[str, Any]:
    """Remember who said no: the CFO (with its code), the judge, or a person."""
    if event.approval.get("decision") != "approved":
        error = {"code": event.approval.get("code") or "APPROVAL_REQUIRED", "message": event.approval.get("reason", "")}
    elif event.verdict and event.verdict.get("verdict") == "reject":
        error = {"code": "POLICY_VIOLATION", "message": event.verdict.get("reason", "")}
    else:
        error = {"code": "POLICY_VIOLATION", "message": "a person rejected this version"}
    return _close(event, content, error, rejected=True)


def close_failed(event: CloseFailed, content: ContentRows, reviews: ReviewRows) -> dict[str, Any]:
    """Remember the failure as the contract's error; a review that nobody answered in time has expired."""
    if event.failure.get("error") == "States.Timeout":
        row = content.get(event.content_id)
        subjects = {event.content_id, str(row["approval_request_id"])}
        for waiting in reviews.page(100, None, "pending"):
            if str(waiting["content_id"] or waiting["request_id"]) in subjects:
                reviews.expire(str(waiting["id"]))
    error = explain(str(event.failure.get("error")), str(event.failure.get("cause") or ""))
    return _close(event, content, error, rejected=False)


def _close(scope: Scope, content: ContentRows, error: dict[str, Any], *, rejected: bool) -> dict[str, Any]:
    row = content.get(scope.content_id)
    if row["stage"] not in {"published", "failed"}:
        metadata = {**row["metadata"], "rejected": rejected}
        stages = ("draft", "generating", "review", "ready")
        content.advance(scope.content_id, stages, stage="failed", last_error=error, metadata=metadata)
        content.close_task(scope.task_id, "failed", error)
    return {"stage": "failed", "code": error["code"]}
