"""`chimera budget` and `chimera ledger`: limits and what is left of them; the ledger and whether it holds."""

from __future__ import annotations

from typing import Any

import click

from chimera.domain.cfo import PERIOD_NAMES
from chimera.domain.money import to_micros, usd
from chimera.settings import get_settings
from chimera_local.cli import emit
from chimera_local.world import World, world

KIND_OF = {name: kind for kind, name in PERIOD_NAMES.items()}
CATEGORIES = ["total", "api_call", "compute", "storage"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def budget(ctx: click.Context, as_json: bool) -> int:
    """Limits, what is reserved and spent, what is left; `budget set` changes a limit."""
    if ctx.invoked_subcommand is None:
        return _show(as_json)
    return 0


@budget.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(as_json: bool) -> int:
    """Limits, what is reserved and spent, what is left."""
    return _show(as_json)


def _show(as_json: bool) -> int:
    with world(get_settings(), engine=False) as w:
        value = budgets(w)
    lines = [f"{'period':8} {'category':10} {'limit':>12} {'reserved':>12} {'spent':>12} {'remaining':>12}"]
    for line in value["budgets"]:
        money = " ".join(f"{line[k]:>12}" for k in ("limit", "reserved", "spent", "remaining"))
        lines.append(f"{line['period']:8} {line['category']:10} {money}")
    emit(value, as_json=as_json, text="\n".join(lines))
    return 0


def budgets(w: World) -> dict[str, Any]:
    """Every limit of now as decimal strings in USD."""
    lines = [
        {
            "period": line.period,
            "period_id": line.period_id,
            "category": line.category,
            "limit": usd(line.limit_micros),
            "reserved": usd(line.reserved_micros),
            "spent": usd(line.spent_micros),
            "remaining": usd(line.remaining_micros),
        }
        for line in w.app.ledger(w.tenant).budgets()
    ]
    return {"currency": "USD", "budgets": lines}


@budget.command("set")
@click.option("--period", type=click.Choice(list(KIND_OF)), required=True)
@click.option("--category", type=click.Choice(CATEGORIES), default="total", show_default=True)
@click.option("--limit", required=True, help="USD, as a decimal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def set_limit(period: str, category: str, limit: str, as_json: bool) -> int:
    """Set a limit; the change is a signed row of the ledger."""
    micros = to_micros(limit, "limit")
    with world(get_settings(), engine=False) as w:
        w.app.ledger(w.tenant).set_limit(category, KIND_OF[period], micros, by="command line")
        w.app.cfo(w.tenant).sweep()
        value = budgets(w)
    emit(value, as_json=as_json, text=f"{period} {category}: {usd(micros)} USD")
    return 0


@click.group()
def ledger() -> None:
    """The ledger: append-only, chained, signed."""


@ledger.command("verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(as_json: bool) -> int:
    """Recompute the chain, every signature and every counter from the rows."""
    with world(get_settings(), engine=False) as w:
        w.app.cfo(w.tenant).sweep()
        found = w.app.ledger(w.tenant).verify(w.app.verifier)
    value = {"verified": found.verified, "entries": found.entries, "problems": list(found.problems)}
    text = f"{found.entries} entries, {'verified' if found.verified else 'NOT VERIFIED'}"
    emit(value, as_json=as_json, text="\n".join([text, *found.problems]))
    return 0 if found.verified else 4


@ledger.command("ls")
@click.option("--limit", default=20, show_default=True, help="1–500.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def ls(limit: int, as_json: bool) -> int:
    """The newest entries."""
    with world(get_settings(), engine=False) as w:
        page = w.app.ledger(w.tenant).entries(limit=limit)
    rows: list[dict[str, Any]] = [
        {
            "seq": e.seq,
            "entry_type": e.entry_type,
            "request_id": e.request_id,
            "decision": e.decision,
            "amount": usd(e.amount_micros),
            "reason": e.reason,
            "created_at": e.created_at.isoformat(),
        }
        for e in page.entries
    ]
    text = "\n".join(
        f"{r['seq']:6} {r['entry_type']:13} {r['decision'] or '':10} {r['amount']:>14}  {r['reason'][:60]}"
        for r in rows
    )
    emit({"entries": rows, "cursor": page.next_cursor}, as_json=as_json, text=text)
    return 0
