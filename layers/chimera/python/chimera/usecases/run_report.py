"""Gathers a run from the database for `usecases.reporting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chimera.domain.money import usd
from chimera.errors import ChimeraError
from chimera.usecases.cost_report import cost_report
from chimera.usecases.production import approval_request_id
from chimera.usecases.publisher import receipt_of
from chimera.usecases.reporting import run_report

if TYPE_CHECKING:
    from chimera.bootstrap import App

COST_PARTS = ("reserved", "drawn", "settled", "refunded", "overrun", "difference_percent", "steps")


def build_report(
    app: App, tenant_id: str, run_id: str, stages: list[dict[str, Any]], elapsed_seconds: float
) -> dict[str, Any]:
    """The object that `run --json` prints; `NOT_FOUND` for another tenant's run."""
    run = app.runs(tenant_id).get(run_id)
    rows = app.content(tenant_id).of_run(run_id)
    content = rows[0] if rows else None
    publications: list[dict[str, Any]] = []
    for row in rows:
        for publication in app.publications(tenant_id).of_content(str(row["id"])):
            receipt = receipt_of(publication)
            publications.append({**receipt.model_dump(mode="json"), "channel": receipt.channel_id})
    verified = app.verify_ledger(tenant_id)
    report = run_report(
        run=run,
        content=content,
        trend=_trend(app, tenant_id, content),
        approvals=_approvals(app, tenant_id, content),
        verdict=_verdict(app, tenant_id, content),
        publications=publications,
        ledger={"entries": verified.entries, "verified": verified.verified},
        stages=stages,
        media=app.media,
        scan=run["summary"].get("scan"),
        elapsed_seconds=elapsed_seconds,
    )
    report["cost"] |= _costs(app, tenant_id, content)
    return report


def _costs(app: App, tenant_id: str, content: dict[str, Any] | None) -> dict[str, Any]:
    """What the CFO reserved and booked, and each call of each step."""
    if content is None:
        return {**dict.fromkeys(COST_PARTS), "steps": []}
    costs = cost_report(app, tenant_id, content)
    return {name: costs[name] for name in COST_PARTS}


def _trend(app: App, tenant_id: str, content: dict[str, Any] | None) -> dict[str, Any] | None:
    if content is None:
        return None
    trend = app.trends(tenant_id).get(str(content["trend_source_id"]))
    return {"topic": trend.topic, "title": trend.title, "url": trend.url, "platforms": trend.platforms}


def _approvals(app: App, tenant_id: str, content: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The decisions about this content: the first one, and a person's about an escalated one."""
    if content is None:
        return []
    found = []
    last = content["approval_request_id"]
    for request_id in dict.fromkeys([approval_request_id(str(content["id"])), str(last) if last else ""]):
        if not request_id:
            continue
        try:
            decision, resolution, reservation = app.ledger(tenant_id).get(request_id)
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            continue
        found.append(
            {
                "request_id": request_id,
                "decision": decision.decision,
                "amount": usd(decision.amount_micros),
                "reason": decision.reason,
                "state": reservation.state if reservation else None,
                "settled": usd(resolution.amount_micros) if resolution else None,
            }
        )
    return found


def _verdict(app: App, tenant_id: str, content: dict[str, Any] | None) -> dict[str, Any] | None:
    report = app.content(tenant_id).report(str(content["id"])) if content else None
    if content is None or report is None:
        return None
    return {
        "verdict": report["verdict"],
        "confidence": float(report["confidence"]),
        "checks": report["checks"],
        "policy_version": report["policy_version"],
        "content_hash": report["content_hash"],
        "quality_score": None if content["quality_score"] is None else float(content["quality_score"]),
        "attempts": content["metadata"].get("attempts", []),
    }
