"""What a video cost: each call and step, its worst case drawn before against what it came to, estimate against actual."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from chimera.domain.ids import is_uuid
from chimera.domain.ledger import Entry
from chimera.domain.models import CostLine
from chimera.domain.money import to_micros, usd
from chimera.errors import ChimeraError
from chimera.ports import Row
from chimera.usecases.costs import noted
from chimera.usecases.production import MadeContent, approval_request_id
from chimera.usecases.scope import Scope

if TYPE_CHECKING:
    from chimera.bootstrap import App

STEPS = ("brief", "voice", "pictures", "render", "inspect", "judge")
"""In the order of the pipeline; others come after them by name."""


def content_of(app: App, tenant_id: str, key: str) -> list[Row]:
    """The content that a content's or run's id names, the newest there is for an empty one; `NOT_FOUND`."""
    content = app.content(tenant_id)
    if not key:
        rows = content.page(1, None, None)
        if not rows:
            raise ChimeraError("NOT_FOUND", "nothing was made yet; `chimera run` makes something", {})
        return list(rows)
    if not is_uuid(key):
        raise ChimeraError("NOT_FOUND", f"no content or run {key[:80]!r}: an id is a UUID", {"id": key[:80]})
    try:
        return [content.get(key)]
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
    try:
        run = app.runs(tenant_id).get(key)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        raise ChimeraError("NOT_FOUND", f"no content or run {key}", {"id": key}) from None
    return content.of_run(str(run["id"]))


def cost_report(app: App, tenant_id: str, row: Row) -> dict[str, Any]:
    """The cost of one piece of content; amounts are decimal strings in USD, null where there is none yet.

    `reserved` is what the CFO approved at most, `drawn` the sum of the worst cases drawn before each call, `actual` the sum
    of what the calls came to: by the settled bill in the ledger, before that by what the steps noted beside their files.
    """
    content_id = str(row["id"])
    scope = Scope(tenant_id=tenant_id, run_id=str(row["run_id"]), task_id=str(row["task_id"]), content_id=content_id)
    brief = MadeContent(app.media, scope).read_or_none("brief", "brief.json")
    rows, money = _booked(app, tenant_id, row)
    lines = billed(rows) or noted(app.media, scope.prefix)
    steps = steps_of(lines, (brief or {}).get("cost_breakdown") or {})
    estimated = to_micros(brief["estimated_cost"], "estimated_cost") if brief else None
    return {
        "content_id": content_id,
        "run_id": str(row["run_id"]),
        "title": row["title"],
        "currency": "USD",
        **money,
        "estimated": usd(estimated) if estimated is not None else None,
        "drawn": _sum(steps, "drawn"),
        "actual": _sum(steps, "actual") or "0.00",
        "difference_percent": _difference(estimated, to_micros_or_0(_sum(steps, "actual"))) if steps else None,
        "complete": bool(steps) and all(step["complete"] for step in steps),
        "steps": steps,
    }


def steps_of(lines: Sequence[CostLine], estimates: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines by step, in the order of the pipeline, each step with its part of the estimate."""
    by_step: dict[str, list[CostLine]] = {step: [] for step in estimates}
    for line in lines:
        by_step.setdefault(line.step, []).append(line)

    def order(step: str) -> tuple[int, str]:
        return (STEPS.index(step) if step in STEPS else len(STEPS), step)

    found = []
    for step in sorted(by_step, key=order):
        own = by_step[step]
        drawn = [line.drawn_micros for line in own if line.drawn_micros is not None]
        found.append(
            {
                "step": step,
                "estimated": usd(to_micros_or_0(estimates[step])) if step in estimates else None,
                "drawn": usd(sum(drawn)) if drawn else None,
                "actual": usd(sum(line.amount_micros for line in own)) if own else None,
                "complete": all(line.complete for line in own),
                "lines": [
                    {
                        "item": line.item,
                        "category": line.category,
                        "quantity": line.quantity,
                        "unit": line.unit,
                        "drawn": None if line.drawn_micros is None else usd(line.drawn_micros),
                        "actual": usd(line.amount_micros),
                        "call_id": line.call_id or None,
                        "complete": line.complete,
                    }
                    for line in own
                ],
            }
        )
    return found


def billed(rows: Sequence[Entry]) -> list[CostLine]:
    """The bill in the SETTLE row; empty before there is one."""
    lines = [line for entry in rows if entry.entry_type == "SETTLE" for line in entry.details.get("lines", [])]
    whole = ("amount_micros", "drawn_micros", "actual_micros")  # strings in some rows: their hash has one form
    return [
        CostLine.model_validate({k: int(v) if k in whole and v is not None else v for k, v in line.items()})
        for line in lines
    ]


def _booked(app: App, tenant_id: str, row: Row) -> tuple[Sequence[Entry], dict[str, Any]]:
    """What the ledger says: the rows of the last request for this content, its decision, reservation and end."""
    ledger = app.ledger(tenant_id)
    request_id = str(row["approval_request_id"] or approval_request_id(str(row["id"])))
    none: dict[str, Any] = dict.fromkeys(("request_id", "decision", "state", "reserved", "settled", "overrun"))
    try:
        decision, resolution, reservation = ledger.get(request_id)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        return [], {**none, "refunded": "0.00"}
    rows = app.money_views(tenant_id).of_request(request_id)
    return rows, {
        "request_id": request_id,
        "decision": decision.decision,
        "state": reservation.state if reservation else str(decision.decision).upper(),
        "reserved": usd(decision.amount_micros) if decision.decision == "approved" else None,
        "settled": usd(resolution.amount_micros) if resolution else None,
        "refunded": usd(_total(rows, "REFUND")),
        "overrun": usd(_total(rows, "OVERRUN")),
    }


def _total(rows: Sequence[Entry], entry_type: str) -> int:
    return sum(entry.amount_micros for entry in rows if entry.entry_type == entry_type)


def to_micros_or_0(text: Any) -> int:
    """Micros of a decimal string; 0 for None and zero, which `to_micros` refuses."""
    return to_micros(text, "amount") if text is not None and Decimal(str(text)) != 0 else 0


def _sum(steps: Sequence[dict[str, Any]], name: str) -> str | None:
    known = [to_micros_or_0(step[name]) for step in steps if step[name] is not None]
    return usd(sum(known)) if known else None


def _difference(estimated: int | None, actual: int) -> str | None:
    """How far the actual cost is from the estimate, in per cent of the estimate with one decimal."""
    if not estimated:
        return None
    share = (Decimal(actual - estimated) * 100 / estimated).quantize(Decimal("0.1"))
    return f"{share:+}"
