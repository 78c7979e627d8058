"""`chimera budget`: what is left of every limit and what it will come to; set a limit, unfreeze a category."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.text import Text

from chimera.domain.cfo import PERIOD_NAMES, SCOPES
from chimera.domain.ledger import Entry
from chimera.domain.money import to_micros, usd
from chimera.settings import get_settings
from chimera.usecases.budgets import overview
from chimera_local.cli import who
from chimera_local.cli.screen import LEVEL_STYLES, clock, compact, inline, micros, show, span
from chimera_local.world import World, world

KIND_OF = {name: kind for kind, name in PERIOD_NAMES.items()}
PERIOD_WORDS = {"daily": "Day", "weekly": "Week", "monthly": "Month"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def budget(ctx: click.Context, as_json: bool) -> int:
    """Limits, what is reserved and spent, what is left; `budget set` changes a limit."""
    return _show(as_json) if ctx.invoked_subcommand is None else 0


@budget.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_budgets(as_json: bool) -> int:
    """Limits, reserved, spent, remaining, forecast, warnings, frozen categories and open reservations."""
    return _show(as_json)


def _show(as_json: bool) -> int:
    with world(get_settings(), engine=False) as w:
        value = budgets(w)
    text = budget_text(value)
    value["budgets"] = value.pop("items")  # the name that the command line's JSON has had from the first
    show(value, as_json=as_json, text=text)
    return 0


def budgets(w: World) -> dict[str, Any]:
    """Every budget of now, as `usecases.budgets` tells it."""
    return overview(w.app.ledger(w.tenant), w.app.money_views(w.tenant), w.app.clock.now())


@budget.command("set")
@click.option("--period", type=click.Choice(list(KIND_OF)), required=True)
@click.option("--category", type=click.Choice(list(SCOPES)), default="total", show_default=True)
@click.option("--limit", required=True, help="USD, as a decimal: 100.00")
@click.option("--reason", default="", help="Why; kept in the ledger.")
@click.option("--by", help="Who; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def set_limit(period: str, category: str, limit: str, reason: str, by: str | None, as_json: bool) -> int:
    """Set a limit; the change is a signed row of the ledger and holds from the current period on."""
    asked = to_micros(limit, "limit")
    with world(get_settings(), engine=False) as w:
        entry = w.app.ledger(w.tenant).set_limit(category, KIND_OF[period], asked, by=by or who(), reason=reason)
        w.app.cfo(w.tenant).sweep()
        value = budgets(w)
    line = next(i for i in value["items"] if (i["period"], i["category"]) == (period, category))
    used = micros(line["reserved"]) + micros(line["spent"])
    before = _before(entry, asked)
    changed: dict[str, Any] = {
        "period": period,
        "category": category,
        "before": before,
        "after": usd(asked),
        "used": usd(used),
    }
    changed["freezes"] = asked <= used
    show({**value, "changed": changed}, as_json=as_json, text=_changed_text(changed, line))
    return 0


def _before(entry: Entry | None, asked: int) -> str | None:
    """The limit that held before; None for the first one."""
    if entry is None:
        return usd(asked)  # it was the limit already
    before = entry.details["changes"][0]["before"]
    return None if before is None else usd(int(before))


def _changed_text(changed: dict[str, Any], line: dict[str, Any]) -> Text:
    until = f"until {clock(line['period_end'])} UTC"
    text = Text(f"{changed['period']} {changed['category']}: {changed['before'] or 'none'} -> {changed['after']} USD\n")
    if changed["freezes"]:
        text.append(
            f"This freezes spending: {changed['used']} USD are used already, so nothing more is approved", "yellow"
        )
        text.append(f"\n{until}, or until the limit is higher. Nothing is taken back.", "yellow")
    else:
        text.append(f"{line['remaining']} USD are left {until}")
    return text


@budget.command("unfreeze")
@click.option("--category", type=click.Choice(list(SCOPES)), required=True)
@click.option("--reason", required=True, help="Why it is safe to spend again; kept in the ledger.")
@click.option("--by", help="Who; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def unfreeze(category: str, reason: str, by: str | None, as_json: bool) -> int:
    """Let a category that was frozen by an overrun or a mismatch be spent from again.

    Look first: `chimera ledger ls --type FREEZE`, `chimera ledger ls --type OVERRUN`, `chimera ledger verify`.
    """
    with world(get_settings(), engine=False) as w:
        entry = w.app.ledger(w.tenant).unfreeze([category], reason, by=by or who())
        w.app.cfo(w.tenant).sweep()
        value = budgets(w)
    text = Text(f"{category} may be spent from again (ledger row {entry.seq})")
    show({**value, "unfrozen": category, "seq": entry.seq}, as_json=as_json, text=text)
    return 0


# --- text


def budget_text(value: dict[str, Any]) -> Text:
    """The overview for a person, 80 columns wide with usual amounts."""
    now = datetime.fromisoformat(value["at"])
    text = Text(f"Budgets in USD, {clock(value['at'])} UTC\n")
    for period, word in PERIOD_WORDS.items():
        items = [item for item in value["items"] if item["period"] == period]
        if not items:
            continue
        left = span((datetime.fromisoformat(items[0]["period_end"]) - now).total_seconds())
        text.append(f"\n{word} {items[0]['period_id']}, {left} left\n", "bold")
        names = ("limit", "reserved", "spent", "remaining", "used", "forecast")
        text.append(" " * 9 + "".join(f"{name:>{width}}" for name, width in zip(names, WIDTHS, strict=True)), "dim")
        text.append("\n")
        for item in items:
            text.append(f"{item['category']:9}")
            for cell, width in zip(_cells(item), WIDTHS, strict=True):
                text.append(f"{cell:>{width}}")
            if item["level"] != "ok":
                text.append(f"  {item['level']}", LEVEL_STYLES[item["level"]])
            text.append("\n")
    for item in value["items"]:
        for line in _remarks(item):
            text.append(f"\n{line}", LEVEL_STYLES[item["level"]])
    for frozen in value["frozen"]:
        text.append(f"\n{frozen['category']} is FROZEN since {clock(frozen['since'])}: ", LEVEL_STYLES["frozen"])
        text.append(
            f"{inline(frozen['reason'])}\n  look at it, then: chimera budget unfreeze --category {frozen['category']}"
        )
        text.append(" --reason …")
    if value["warnings"] or value["frozen"]:
        text.append("\n")
    if value["open_reservations"]:
        text.append("\nOpen reservations\n", "bold")
        text.append(f"{'request':36} {'category':10} {'amount':>9} {'state':10} {'age':>4} {'ends':>5}\n", "dim")
        for one in value["open_reservations"]:
            ends = (datetime.fromisoformat(one["expires_at"]) - now).total_seconds()
            until = span(ends) if one["state"] != "DISPATCHED" else "-"  # one in use does not end by itself
            text.append(f"{one['request_id']:36} {one['category']:10} {compact(one['amount']):>9} {one['state']:10}")
            text.append(f" {span(one['age_seconds']):>4} {until:>5}\n")
    else:
        text.append("\nNo open reservations")
    text.rstrip()
    return text


WIDTHS = (11, 10, 10, 11, 7, 11)


def _cells(item: dict[str, Any]) -> list[str]:
    expected = item["forecast"]["expected"]
    return [
        compact(item["limit"]),
        compact(item["reserved"]),
        compact(item["spent"]),
        compact(item["remaining"], up=False),
        f"{item['used_percent']}%",
        compact(expected) + ("!" if item["forecast"]["exceeds_limit"] else ""),
    ]


def _remarks(item: dict[str, Any]) -> list[str]:
    foreseen, name = item["forecast"], f"{item['period']} {item['category']}"
    lines = []
    if item["level"] not in ("ok", "frozen"):
        lines.append(f"{item['level']}: {item['used_percent']} % of the {name} limit is used")
    if foreseen["exceeds_limit"]:
        band = f"{compact(foreseen['low'])}–{compact(foreseen['high'])}"
        when = f"about {clock(foreseen['runs_out_at'])} UTC" if micros(item["remaining"]) else "already"
        lines.append(f"{name}: {band} expected by its end; the limit is reached {when}")
    return lines
