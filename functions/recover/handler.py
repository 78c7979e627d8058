"""Recovers: signs, expires, reconciles, recomputes the books and seals, warns of budgets; scheduled each 60 s."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.entrypoints import function
from chimera.usecases.budget_watch import count, watch
from chimera.usecases.recovery import Recover


@function(Recover)
def handler(event: Recover, app: App) -> dict[str, Any]:
    """Again is the same; two at once do no harm."""
    tenant = event.tenant_id or app.settings.tenant_id
    report = app.recovery(tenant).run(full=event.full).as_json()
    watch(tenant, app.ledger(tenant), app.money_views(tenant))
    count(app.ledger(tenant), app.reviews(tenant).backlog(), len(report["problems"]))
    app.keys(tenant).follow("cfo")  # last: a key that cannot be begun holds up nothing else
    return report
