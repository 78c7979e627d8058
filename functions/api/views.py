"""Rows and entries as the API's models."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.domain.cards import card_kinds
from chimera.domain.ledger import Entry
from chimera.domain.money import usd
from chimera.ports import Row
from chimera.usecases import review
from chimera.usecases.production import MadeContent
from chimera.usecases.scope import Scope
from functions.api.models import (
    ContentDetail,
    ContentView,
    PublicationView,
    ReportView,
    ReviewLinks,
    ReviewView,
    RunView,
    TrendView,
)
from functions.api.models_money import DecisionView, LedgerEntry

LINK_SECONDS = 300


def text(value: Any) -> str | None:
    """An id as text; None stays None."""
    return None if value is None else str(value)


def run_view(row: Row) -> RunView:
    """A run in a list."""
    summary = row["summary"]
    return RunView(
        **{
            **row,
            "run_id": str(row["id"]),
            "error": summary.get("error"),
            "review_id": text(summary.get("review_id")),
        }
    )


def trend_view(trend: Any) -> TrendView:
    """A trend."""
    return TrendView.model_validate(trend.model_dump())


def content_fields(row: Row) -> dict[str, Any]:
    """A content row's fields as the API names them."""
    return {
        **row,
        "content_id": str(row["id"]),
        "run_id": text(row["run_id"]),
        "task_id": str(row["task_id"]),
        "trend_id": str(row["trend_source_id"]),
        "persona_id": str(row["persona_id"]),
        "brief_id": text(row["brief_id"]),
        "estimated_cost": usd(row["estimated_cost_micros"]),
        "production_cost": usd(row["production_cost_micros"]),
        "error": row["last_error"],
    }


def content_view(row: Row) -> ContentView:
    """A piece of content in a list."""
    return ContentView(**content_fields(row))


def content_detail(app: App, tenant_id: str, row: Row) -> ContentDetail:
    """A piece of content with all that belongs to it."""
    content, content_id = app.content(tenant_id), str(row["id"])
    video = content.video(content_id)
    facts = ("duration_seconds", "width", "height", "fps", "codec", "file_size_bytes", "sha256", "resolution")
    found = {k: float(v) if k == "duration_seconds" else v for k, v in (video or {}).items() if k in facts}
    return ContentDetail(
        **{
            **content_fields(row),
            "video": found or None,
            "links": links(app, tenant_id, row),
            "report": report_view(content.report(content_id)),
            "publications": [publication_view(p) for p in app.publications(tenant_id).of_content(content_id)],
        }
    )


def links(app: App, tenant_id: str, row: Row) -> ReviewLinks:
    """Where to open the video and its captions; null for what is not made yet."""
    scope = Scope(
        tenant_id=tenant_id, run_id=str(row["run_id"]), task_id=str(row["task_id"]), content_id=str(row["id"])
    )
    render = MadeContent(app.media, scope).read_or_none("reports", "render.json")
    files = render["files"] if render else {}
    return ReviewLinks(
        **{
            name: app.media.url(files[name]["key"], expires_seconds=LINK_SECONDS)
            for name in ReviewLinks.model_fields
            if name in files
        },
        images=[app.media.url(files[kind]["key"], expires_seconds=LINK_SECONDS) for kind in card_kinds(files)],
    )


def report_view(row: Row | None) -> ReportView | None:
    """The judge's report."""
    return ReportView(**{**row, "confidence": float(row["confidence"])}) if row else None


def review_view(row: Row) -> ReviewView:
    """A review, without its token."""
    return ReviewView(**review.view(row))


def publication_view(row: Row) -> PublicationView:
    """A publication's receipt."""
    ids = {"publication_id": str(row["id"]), "content_id": str(row["content_id"])}
    return PublicationView(**{**row, **ids, "error": row["last_error"]})


def decision_fields(entry: Entry) -> dict[str, Any]:
    """A decision's fields as the API names them."""
    return {
        **vars(entry),
        "amount": usd(entry.amount_micros),
        "projected_roi": None if entry.projected_roi is None else f"{entry.projected_roi.normalize():f}",
        "risk_score": None if entry.risk_score is None else float(entry.risk_score),
    }


def decision_view(entry: Entry) -> DecisionView:
    """A decision of the CFO."""
    return DecisionView(**decision_fields(entry))


def ledger_view(entry: Entry) -> LedgerEntry:
    """A row of the ledger."""
    return LedgerEntry(
        **{
            **vars(entry),
            "amount": usd(entry.amount_micros),
            "prev_hash": entry.prev_hash.hex(),
            "row_hash": entry.row_hash.hex(),
            "signature": entry.signature.hex() if entry.signature else None,
        }
    )
