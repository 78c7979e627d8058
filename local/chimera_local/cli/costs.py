"""`chimera costs`: what a video cost, call by call, against its estimate and what the CFO had reserved."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text

from chimera.settings import get_settings
from chimera.usecases.cost_report import content_of, cost_report
from chimera_local.cli.screen import inline, show
from chimera_local.world import world


@click.command()
@click.argument("which", metavar="[CONTENT|RUN]", default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def costs(which: str, as_json: bool) -> int:
    """What a piece of content, or all content of a run, cost; the newest without an id."""
    with world(get_settings(), engine=False) as w:
        value = {"items": [cost_report(w.app, w.tenant, row) for row in content_of(w.app, w.tenant, which)]}
    text = Text("\n\n").join([costs_text(item) for item in value["items"]]) if value["items"] else Text("nothing made")
    show(value, as_json=as_json, text=text)
    return 0


def costs_text(report: dict[str, Any]) -> Text:
    """The report for a person, 80 columns wide."""
    text = Text()
    text.append(f"{inline(report['title']) or '(no title yet)'}\n", "bold")
    text.append(f"content {report['content_id']}\nrun     {report['run_id']}\n\n")
    head = f"{'call':20} {'item':15} {'quantity':>19} {'worst case':>11} {'actual':>10}"
    text.append(f"{head}\n", "dim")
    for step in report["steps"]:
        for line in step["lines"]:
            call, quantity = inline(line["call_id"] or step["step"]), inline(f"{line['quantity']} {line['unit']}")
            text.append(
                f"{call[:20]:20} {inline(line['item'])[:15]:15} {quantity[:19]:>19} {line['drawn'] or '-':>11} "
            )
            text.append(f"{line['actual']:>10}{'' if line['complete'] else '  not ended'}\n")
    text.append(f"\n{'step':10} {'estimated':>10} {'actual':>10}\n", "dim")
    for step in report["steps"]:
        text.append(f"{step['step']:10} {step['estimated'] or '-':>10} {step['actual'] or '-':>10}\n")
    far = f"   ({report['difference_percent']} % of the estimate)" if report["difference_percent"] else ""
    text.append(f"{'together':10} {report['estimated'] or '-':>10} {report['actual']:>10}{far}\n", "bold")
    text.append("\n" + _booked(report))
    return text


def _booked(report: dict[str, Any]) -> str:
    if report["request_id"] is None:
        return "The CFO was not asked."
    lines = [f"The CFO {report['decision']} request {report['request_id']}"]
    if report["reserved"]:
        lines[0] += f", {report['reserved']} USD at most"
    booked = f"It is {report['state']}"
    if report["settled"] is not None:
        booked += f" at {report['settled']} USD"
    lines.append(booked)
    if report["refunded"] != "0.00":
        lines.append(f"Refunded since: {report['refunded']} USD")
    if report["overrun"] not in (None, "0.00"):
        lines.append(f"Billed above what was reserved: {report['overrun']} USD")
    return "\n".join(lines)
