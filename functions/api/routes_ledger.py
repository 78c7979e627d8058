"""`/v1/ledger`: every row of the money's record, filtered, exported, verified; and refunds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query

from chimera.domain.models import Decision, RequestType
from chimera.domain.money import MICROS
from chimera.domain.money_views import LedgerFilter, ledger_filter
from chimera.usecases.ledger_table import csv_lines, json_lines, refund_key
from functions.api.call import checked_key, current, known_id, new_router
from functions.api.models import PageOf
from functions.api.models_money import EntryType, LedgerEntry, Refund, Verified
from functions.api.paging import CursorText, Limit, encode, seq_of
from functions.api.views import ledger_view

router = new_router()
Key = Annotated[str | None, Header(alias="Idempotency-Key", description="Same key, same refund: booked once")]
Id = Annotated[str | None, Query(max_length=36)]
Since = Annotated[
    str | None, Query(max_length=40, description="From this day or ISO 8601 time on; or 24h, 7d before now")
]
Until = Annotated[str | None, Query(max_length=40, description="Before this time, or to the end of this day")]
ExportLimit = Annotated[int, Query(ge=1, le=1000, description="How many, 1–1000")]
CSV = "text/csv; charset=utf-8; header=present"


@router.get("/v1/ledger", tags=["ledger"], summary="Ledger rows, newest first")
def list_ledger(
    limit: Limit = 20,
    cursor: CursorText = None,
    agent_id: Id = None,
    request_id: Id = None,
    decision: Annotated[Decision | None, Query()] = None,
    request_type: Annotated[RequestType | None, Query()] = None,
    entry_type: Annotated[EntryType | None, Query()] = None,
    since: Since = None,
    until: Until = None,
) -> PageOf[LedgerEntry]:
    """Every decision, refusal, settlement, refund, release, expiry, freeze, and change of limits or keys."""
    call = current(router)
    wanted = _wanted(
        agent_id=agent_id,
        request_id=request_id,
        decision=decision,
        request_type=request_type,
        entry_type=entry_type,
        since=since,
        until=until,
    )
    before = seq_of(cursor)
    found = call.app.money_views(call.tenant).newest(wanted, limit + 1, int(before) if before else None)
    following = encode(str(found[limit - 1].seq)) if len(found) > limit else None
    return PageOf[LedgerEntry](items=[ledger_view(e) for e in found[:limit]], next_cursor=following)


@router.get("/v1/ledger/verify", tags=["ledger"], summary="Recompute the whole ledger")
def verify_ledger() -> Verified:
    """Chain, signatures and counters; a change made behind the ledger's back is found."""
    call = current(router)
    return Verified.model_validate(call.app.verify_ledger(call.tenant))


@router.get(
    "/v1/ledger/export",
    tags=["ledger"],
    summary="Ledger rows for a spreadsheet or a program, oldest first",
    responses={
        200: {
            "description": "CSV (RFC 4180) or a JSON array; `X-Next-Cursor` is there while more follows",
            "content": {"text/csv": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "array"}}},
        }
    },
)
def export_ledger(
    limit: ExportLimit = 500,
    cursor: CursorText = None,
    form: Annotated[
        Literal["csv", "json"] | None, Query(alias="format", description="Without it as the Accept header says")
    ] = None,
    entry_type: Annotated[EntryType | None, Query()] = None,
    since: Since = None,
    until: Until = None,
) -> Response[str]:
    """A page; give its `X-Next-Cursor` back as `cursor`. Text that a spreadsheet would run as a formula is made harmless."""
    call = current(router)
    after = seq_of(cursor)
    wanted = _wanted(entry_type=entry_type, since=since, until=until)
    found = call.app.money_views(call.tenant).oldest(wanted, limit + 1, int(after) if after else 0)
    shown = found[:limit]
    as_csv = form == "csv" or (form is None and _prefers_csv(router.current_event.headers))
    headers: dict[str, str | list[str]] = {"Vary": "Accept"}
    if len(found) > limit:
        headers["X-Next-Cursor"] = encode(str(shown[-1].seq))
    if as_csv:
        headers["Content-Disposition"] = 'attachment; filename="ledger.csv"'
    return Response(
        status_code=HTTPStatus.OK,
        content_type=CSV if as_csv else "application/json",
        body="".join(csv_lines(shown) if as_csv else json_lines(shown)),
        headers=headers,
    )


@router.get("/v1/ledger/<entry_id>", tags=["ledger"], summary="A ledger row")
def get_entry(entry_id: str) -> LedgerEntry:
    """By its sequence number or transaction id."""
    call = current(router)
    return ledger_view(call.app.overview(call.tenant).ledger_entry(entry_id))


@router.post("/v1/ledger/<request_id>/refund", tags=["ledger"], summary="Book money that came back (operator)")
def refund(request_id: str, body: Annotated[Refund, Body()], idempotency_key: Key = None) -> LedgerEntry:
    """In the periods in which it was spent; together no more than was settled.

    The same key again is the same refund. Without a key amount and reason are it, so a repeat books nothing twice.
    """
    call = current(router)
    micros = int(body.amount * MICROS)
    key = refund_key(checked_key(idempotency_key), micros, body.reason)
    entry = call.app.ledger(call.tenant).refund(
        known_id(request_id, "request"), micros, key=key, by=call.who.subject, reason=body.reason
    )
    call.app.cfo(call.tenant).sweep()
    return ledger_view(call.app.overview(call.tenant).ledger_entry(str(entry.seq)))


def _wanted(**given: Any) -> LedgerFilter:
    return ledger_filter(**given, now=datetime.now(UTC))


def _prefers_csv(headers: Mapping[str, str]) -> bool:
    """Whether the Accept header asks for CSV before JSON; of equals the first one named."""
    accept = next((value for name, value in headers.items() if name.lower() == "accept"), "")
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *options = (word.strip() for word in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        weights.setdefault(kind, float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0)
    named = [kind for kind in weights if kind in ("text/csv", "application/json")]
    return bool(named) and max(named, key=lambda kind: weights[kind]) == "text/csv" and weights["text/csv"] > 0
