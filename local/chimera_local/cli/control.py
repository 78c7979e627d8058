"""`chimera control`: the switch that stops publishing, spending or everything, at once; and who used it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import click

from chimera.settings import get_settings
from chimera.usecases.budgets import iso
from chimera_local.cli import emit, who
from chimera_local.cli.screen import clock, inline
from chimera_local.world import world

State = Literal["RUN", "PAUSE_PUBLISH", "PAUSE_SPEND", "STOP"]
MEANING: dict[State, str] = {
    "RUN": "everything goes on",
    "PAUSE_PUBLISH": "nothing goes out; production goes on",
    "PAUSE_SPEND": "nothing is spent; what is paid for still goes out",
    "STOP": "nothing is spent and nothing goes out",
}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def control(ctx: click.Context, as_json: bool) -> int:
    """Show or set the control switch.

    It is read last before each spend and each post, and one that is missing or cannot be read is a stop. What is being
    sent is not torn apart; what waits goes on with `run`.
    """
    return _show(as_json) if ctx.invoked_subcommand is None else 0


@control.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_switch(as_json: bool) -> int:
    """How the switch stands."""
    return _show(as_json)


@control.command("log")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many, 1–500.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def log(limit: int, as_json: bool) -> int:
    """Who used the switch, when and why; newest first."""
    with world(get_settings(), engine=False) as w:
        rows = w.app.money_views(w.tenant).audited(["control.set"], limit)
    value = [
        {
            "at": iso(row["created_at"]),
            "by": row["by"],
            "before": row["before"].get("state"),
            "after": row["after"].get("state"),
            "epoch": row["after"].get("epoch"),
            "reason": row["after"].get("reason", ""),
        }
        for row in rows
    ]
    lines = [
        f"{clock(r['at'])}  {r['before']:13} -> {r['after']:13} {inline(r['by'])}{': ' + inline(r['reason']) if r['reason'] else ''}"
        for r in value
    ]
    emit({"entries": value}, as_json=as_json, text="\n".join(lines) or "the switch was never used")
    return 0


def switch_options(command: Callable[..., int]) -> Callable[..., int]:
    """What every change of the switch takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("--by", help="Who; your login if not given."),
        click.option("--reason", default="", help="Why; kept in the audit log."),
    ):
        command = option(command)
    return command


@control.command("run")
@switch_options
def run(reason: str, by: str | None, as_json: bool) -> int:
    """Everything goes on. Approvals given before spending was stopped stay worth nothing."""
    return _set("RUN", reason, by, as_json)


@control.command("pause-publish")
@switch_options
def pause_publish(reason: str, by: str | None, as_json: bool) -> int:
    """Nothing goes out; production goes on."""
    return _set("PAUSE_PUBLISH", reason, by, as_json)


@control.command("pause-spend")
@switch_options
def pause_spend(reason: str, by: str | None, as_json: bool) -> int:
    """Nothing is spent; what is paid for still goes out."""
    return _set("PAUSE_SPEND", reason, by, as_json)


@control.command("stop")
@switch_options
def stop(reason: str, by: str | None, as_json: bool) -> int:
    """Nothing is spent and nothing goes out."""
    return _set("STOP", reason, by, as_json)


def _set(state: State, reason: str, by: str | None, as_json: bool) -> int:
    with world(get_settings(), engine=False) as w:
        row = w.app.controls(w.tenant).set(state, by=by or who(), reason=reason)
    _tell(row, as_json)
    return 0


def _show(as_json: bool) -> int:
    with world(get_settings(), engine=False) as w:
        row = w.app.controls(w.tenant).get()
    _tell(row, as_json)
    return 0


def _tell(row: dict[str, Any], as_json: bool) -> None:
    value = {k: row[k] for k in ("state", "epoch", "changed_by", "reason")}
    value["updated_at"] = iso(row["updated_at"]) if row["updated_at"] else None
    why = f": {inline(row['reason'])}" if row["reason"] else ""
    when = f" at {clock(value['updated_at'])} UTC" if value["updated_at"] else ""
    text = f"{row['state']}: {MEANING[row['state']]}\nset by {row['changed_by'] or 'nobody'}{when} (epoch {row['epoch']}){why}"
    emit(value, as_json=as_json, text=text)
