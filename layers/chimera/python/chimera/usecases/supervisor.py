"""Supervisor: enters a run in the books, completes its options, closes the books."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chimera.domain.models import Model
from chimera.domain.options import KEYLESS, RunOptions
from chimera.errors import explain
from chimera.ports import ContentRows, PublicationsOfContent, RunRows


class BeginRun(Model):
    """Input of `begin_run`."""

    tenant_id: str
    run_id: str
    execution_id: str
    options: RunOptions = RunOptions()


class FinishRun(Model):
    """Input of `finish_run`: `failure` is what ended the run early, `reasons` why nothing was planned.

    `items` is what each task's creation and distribution answered; one that failed has left `{error, cause}` there.
    """

    tenant_id: str
    run_id: str
    failure: dict[str, Any] | None = None
    reasons: list[Any] = Field(default=[])
    items: list[Any] = Field(default=[])


def begin_run(event: BeginRun, runs: RunRows, *, rss_configured: bool) -> dict[str, Any]:
    """Enter the run; no source named means every keyless one that is configured."""
    sources = event.options.sources or [name for name in KEYLESS if name != "rss" or rss_configured]
    options = event.options.model_copy(update={"sources": sources})
    if event.options.material is not None:  # a person's own material is made, covered lately or not
        options = event.options.model_copy(update={"sources": ["own"], "force": True})
    # the row keeps what was asked for: a resumed run starts the same execution again, with the same input
    row = runs.begin(event.run_id, event.execution_id, event.options.model_dump(mode="json"))
    return {"tenant_id": event.tenant_id, "run_id": str(row["id"]), "options": options.model_dump(mode="json")}


def finish_run(
    event: FinishRun, runs: RunRows, content: ContentRows, publications: PublicationsOfContent
) -> dict[str, Any]:
    """The run's final status: published if anything was, else the most serious of what happened."""
    if event.failure is not None:
        error = explain(str(event.failure.get("error")), str(event.failure.get("cause") or ""))
        runs.set_status(event.run_id, "failed", error=error)
        return {"run_id": event.run_id, "status": "failed"}
    rows = content.of_run(event.run_id)
    broken = [explain(str(found["error"]), str(found.get("cause") or "")) for found in _failures(event.items)]
    if not rows and not broken:
        message = "nothing to make: " + ("; ".join(str(r) for r in event.reasons[:5]) or "no trend was found")
        runs.set_status(event.run_id, "rejected", error={"code": "NOT_FOUND", "message": message})
        return {"run_id": event.run_id, "status": "rejected"}
    asked_to_stop = bool(runs.get(event.run_id)["options"].get("stop_at"))
    statuses = [_status(row, publications.of_content(str(row["id"])), asked_to_stop) for row in rows] or ["failed"]
    unmade = [item for item in event.items if isinstance(item, dict) and set(item) == {"error", "cause"}]
    if len(unmade) > sum(row["stage"] == "failed" for row in rows):
        statuses.append("failed")  # it broke before its row could say so
    order = ("published", "failed", "rejected", "stopped")
    status = min(statuses, key=order.index)
    error = {"error": broken[0]} if status == "failed" and broken else {}
    runs.set_status(event.run_id, status, **error)
    return {"run_id": event.run_id, "status": status}


def _failures(value: Any) -> list[dict[str, Any]]:
    """Every `{error, cause}` in what the swarms answered, first one first."""
    if isinstance(value, dict):
        if set(value) == {"error", "cause"}:
            return [value]
        return [found for inner in value.values() for found in _failures(inner)]
    return [found for inner in value for found in _failures(inner)] if isinstance(value, list) else []


def _status(row: dict[str, Any], publications: list[dict[str, Any]], asked_to_stop: bool) -> str:
    if any(p["status"] == "published" for p in publications):
        return "published"
    if row["stage"] == "failed":
        return "rejected" if row["metadata"].get("rejected") else "failed"
    # finished and neither posted nor asked to stop: the way to the channel was refused
    return "stopped" if asked_to_stop and not publications else "failed"
