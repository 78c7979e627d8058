"""`chimera control`: the switch that stops publishing, spending or everything, at once."""

from __future__ import annotations

from typing import Any, Literal

import click

from chimera.settings import get_settings
from chimera_local.cli import emit, who
from chimera_local.world import world

States = Literal["RUN", "PAUSE_PUBLISH", "PAUSE_SPEND", "STOP"]
STATES: dict[str, States] = {
    "run": "RUN",
    "pause-publish": "PAUSE_PUBLISH",
    "pause-spend": "PAUSE_SPEND",
    "stop": "STOP",
}


@click.command()
@click.argument("state", type=click.Choice([*STATES, "show"]), default="show")
@click.option("--reason", default="", help="Why; kept in the audit log.")
@click.option("--by", help="Who; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def control(state: str, reason: str, by: str | None, as_json: bool) -> int:
    """Show or set the control switch: run, pause-publish, pause-spend or stop.

    It is read last before each spend and each post. What is being sent is not torn apart; what waits goes on with `run`.
    """
    with world(get_settings(), engine=False) as w:
        switch = w.app.controls(w.tenant)
        row: dict[str, Any] = switch.get()
        if state != "show":
            row = switch.set(STATES[state], by=by or who(), reason=reason)
    value = {k: row[k] for k in ("state", "epoch", "changed_by", "reason")}
    text = f"{row['state']} (epoch {row['epoch']}, set by {row['changed_by'] or '-'}{': ' + row['reason'] if row['reason'] else ''})"
    emit(value, as_json=as_json, text=text)
    return 0
