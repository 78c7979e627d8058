"""`chimera ledger`: list, tell, export, refund; whether it holds (`verify`) is beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from chimera.adapters.postgres.tenancy import ROLES, agent_id
from chimera.domain.cfo import PERIOD_NAMES
from chimera.domain.ids import is_uuid
from chimera.domain.ledger import Entry
from chimera.domain.money import to_micros, usd
from chimera.domain.money_views import DECISIONS, ENTRY_TYPES, ledger_filter
from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera.usecases.ledger_table import csv_lines, json_lines, refund_key, row_of, story
from chimera_local.cli import emit, who
from chimera_local.cli.ledger_seals import bundle, bundle_to, proof, rotate_key, seal
from chimera_local.cli.ledger_verify import recount, recover, verify
from chimera_local.cli.screen import clock, inline, show
from chimera_local.world import World, world

SINCE = "From this day (2026-11-21) or time on, or 24h, 7d before now."
UNTIL = "Before this time, or to the end of this day."


@click.group()
def ledger() -> None:
    """The ledger: append-only, chained, signed, sealed."""


for command in (verify, recover, recount, seal, proof, rotate_key, bundle):
    ledger.add_command(command)


@ledger.command("ls")
@click.option("--type", "entry_type", type=click.Choice(ENTRY_TYPES, case_sensitive=False), help="Only these rows.")
@click.option("--decision", type=click.Choice(DECISIONS), help="Only these decisions.")
@click.option("--agent", help="Only requests of this agent: its id or role (artist).")
@click.option("--request", help="Only rows of this request.")
@click.option("--since", help=SINCE)
@click.option("--until", help=UNTIL)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500), help="How many, 1–500.")
@click.option("--cursor", type=click.IntRange(1), help="Go on before this row.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def ls(limit: int, cursor: int | None, as_json: bool, **wanted: str | None) -> int:
    """The newest rows that match."""
    with world(get_settings(), engine=False) as w:
        found = w.app.money_views(w.tenant).newest(_filter(w, **wanted), limit + 1, cursor)
    rows = [row_of(entry) for entry in found[:limit]]
    following = str(rows[-1]["seq"]) if len(found) > limit else None
    text = "\n".join(_row_line(row) for row in rows) or "no rows"
    if following:
        text += f"\nmore: --cursor {following}"
    emit({"entries": rows, "cursor": following}, as_json=as_json, text=text)
    return 0


@ledger.command("show")
@click.argument("which", metavar="SEQ|TX|REQUEST")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_story(which: str, as_json: bool) -> int:
    """The whole story of one request: asked, decided and why, signed, used, settled, refunded, sealed.

    SEQ is a row's number, TX its id; either tells the story of the row's request.
    """
    with world(get_settings(), engine=False) as w:
        value = tell(w, which)
        names = {agent_id(w.tenant, role): role for role in ROLES}
    show(value, as_json=as_json, text=story_text(value, names))
    return 0


@ledger.command("export")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), help="For a spreadsheet or a program.")
@click.option("--type", "entry_type", type=click.Choice(ENTRY_TYPES, case_sensitive=False), help="Only these rows.")
@click.option("--since", help=SINCE)
@click.option("--until", help=UNTIL)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; stdout without it.")
@click.option("--bundle", "whole", type=click.Path(dir_okay=False, path_type=Path), help="As `ledger bundle FILE`.")
def export(
    form: str | None,
    entry_type: str | None,
    since: str | None,
    until: str | None,
    output: Path | None,
    whole: Path | None,
) -> int:
    """All rows that match, oldest first, for a spreadsheet or a program; UTF-8.

    CSV as in RFC 4180; text that a spreadsheet would run as a formula has an apostrophe in front. Amounts are USD as
    decimal strings. `chimera ledger bundle` writes what can be verified without Chimera.
    """
    if (form is None) == (whole is None):
        raise click.UsageError("give --format csv, --format json or --bundle FILE")
    if whole is not None:
        return bundle_to(whole, as_json=False)
    with world(get_settings(), engine=False) as w:
        wanted = _filter(w, entry_type=entry_type, since=since, until=until)
        entries = w.app.money_views(w.tenant).stream(wanted)
        lines = csv_lines(entries) if form == "csv" else json_lines(entries)
        if output is None:
            for line in lines:
                click.echo(line.encode(), nl=False)  # bytes: no locale and no line ending of the system in between
        else:
            _write(output, lines)
            click.echo(f"written to {output}", err=True)
    return 0


@ledger.command("refund")
@click.argument("request")
@click.option("--amount", required=True, help="USD that came back, as a decimal.")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--key", help="Name of this refund: the same key again is the same refund. Without it amount and reason.")
@click.option("--by", help="Who; your login if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def refund(request: str, amount: str, reason: str, key: str | None, by: str | None, as_json: bool) -> int:
    """Book money that came back for a settled request, in the periods in which it was spent.

    Together no more than what was settled. Doing it again with the same key, amount and reason books nothing more.
    """
    micros = to_micros(amount, "amount")
    with world(get_settings(), engine=False) as w:
        ledger_ = w.app.ledger(w.tenant)
        name = refund_key(key, micros, reason)
        entry = ledger_.refund(request, micros, key=name, by=by or who(), reason=reason)
        w.app.cfo(w.tenant).sweep()
        value = row_of(w.app.overview(w.tenant).ledger_entry(str(entry.seq)))
    emit(value, as_json=as_json, text=f"refunded {value['amount']} USD of {request} (ledger row {entry.seq})")
    return 0


def tell(w: World, which: str) -> dict[str, Any]:
    """The story of the request that a row's number, a row's id or a request's id names; `NOT_FOUND`."""
    views, overview = w.app.money_views(w.tenant), w.app.overview(w.tenant)
    try:
        request = _first_request(overview.ledger_entry(which), overview)
    except ChimeraError as error:
        if error.code != "NOT_FOUND" or not is_uuid(which):
            raise
        request = which
    rows = views.of_request(request)
    if not rows:
        raise ChimeraError("NOT_FOUND", f"no ledger row or request {which[:80]!r}", {"id": which[:80]})
    if rows[0].override_of:
        rows = views.of_request(_first_request(rows[0], overview))
    reservation = None
    for entry in rows:
        if entry.is_approval:
            reservation = w.app.ledger(w.tenant).get(entry.request_id)[2]
    return story(rows, reservation, w.app.verifier, views.sealed_at)


def _first_request(entry: Entry, overview: Any) -> str:
    """The request of a row; for a person's decision, the request that it was about."""
    if entry.override_of:
        return str(overview.ledger_entry(entry.override_of).request_id)
    return entry.request_id


def _filter(w: World, **wanted: str | None) -> Any:
    agent = wanted.pop("agent", None)
    if agent in ROLES:
        agent = agent_id(w.tenant, agent)
    entry_type = wanted.pop("entry_type", None)
    return ledger_filter(
        entry_type=entry_type.upper() if entry_type else None,
        decision=wanted.get("decision"),
        agent_id=agent,
        request_id=wanted.get("request"),
        since=wanted.get("since"),
        until=wanted.get("until"),
        now=datetime.now(UTC),
    )


def _write(output: Path, lines: Iterable[str]) -> None:
    """The file, whole or not at all."""
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        part.replace(output)
    except OSError as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"--output {output}: {error.strerror}; name a file that can be written", {}
        ) from None
    finally:
        part.unlink(missing_ok=True)


# --- text


def _row_line(row: dict[str, Any]) -> str:
    what = row["decision"] or row["request_type"] or ""
    when = clock(row["created_at"])[5:16]
    line = (
        f"{row['seq']:5} {when} {row['entry_type']:12} {what:10} {row['amount']:>12}  {inline(row['reason'])}".rstrip()
    )
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 1]}…"


def story_text(value: dict[str, Any], names: dict[str, str]) -> Text:
    """The story for a person."""
    text = Text()
    agent = names.get(str(value["agent_id"]), value["agent_id"])
    if value["request_type"]:
        asked = f"{value['amount']} USD for {value['request_type']}, asked by {agent}"
        text.append(f"Request {value['request_id']}: {asked}\n", "bold")
        if value["justification"]:
            text.append(f"  “{inline(value['justification'])}”\n")
        text.append(f"  {_outcome(value)}\n")
    else:
        text.append(f"{value['state']} {value['request_id']}\n", "bold")
    for row in value["rows"]:
        head = f"\n{clock(row['created_at'])}  {row['entry_type']}"
        for part in (row["decision"], f"{row['amount']} USD" if row["amount"] != "0.00" else None):
            head += f"  {part}" if part else ""
        text.append(f"{head}  (row {row['seq']})\n", "bold")
        for line in _details(row):
            text.append(f"  {line}\n")
        signed = {"valid": "green", "INVALID": "bold red", "unsigned": "yellow"}[row["signature_state"]]
        by = f", key {row['signed_by']}" if row["signed_by"] else ""
        text.append(f"  signature {row['signature_state']}{by}\n", signed)
        text.append(f"  sealed {clock(row['sealed_at'])}\n" if row["sealed_at"] else "  not sealed yet\n")
        approved = row["entry_type"] == "DECISION" and row["decision"] == "approved"
        if approved and value["dispatched_at"]:
            text.append(f"\n{clock(value['dispatched_at'])}  DISPATCHED\n", "bold")
            text.append(f"  used by {inline(value['spender'])}\n")
    text.rstrip()
    return text


def _outcome(value: dict[str, Any]) -> str:
    found = f"Now {value['state']}, {value['spent']} USD spent"
    if value["refunded"] != "0.00":
        found += f" ({value['refunded']} came back)"
    if value["overrun"] != "0.00":
        found += f"; {value['overrun']} USD were billed above what was reserved"
    if value["state"] in ("RESERVED", "SIGNED"):
        found += f"; usable until {clock(value['expires_at'])}"
    return found


def _details(row: dict[str, Any]) -> list[str]:
    details, lines = row["details"], []
    if row["reason"]:
        code = f" ({row['code']})" if row["code"] else ""
        lines.append(f"{inline(row['reason'])}{code}")
    if row["made_by"] not in ("", "cfo"):
        lines.append(f"by {inline(row['made_by'])}")
    if row["projected_roi"] and not row["risk"]:
        lines.append(f"projected return {row['projected_roi']}, hurdle {details.get('hurdle', '?')}")
    if row["risk"]:
        lines.append(f"risk {row['risk_score']}, a person is asked above {details['risk'].get('threshold', '?')}:")
        lines += [f"  {r['feature']:8} {r['value']} x {r['weight']} = {r['points']}  {r['why']}" for r in row["risk"]]
    if "remaining_micros" in details:
        kept = details["remaining_micros"]
        left = ", ".join(f"{name} {usd(int(kept[name]))}" for name in PERIOD_NAMES.values() if name in kept)
        lines.append(f"left after it: {left}")
    if "override" in details:
        note = details["override"].get("note")
        answer = "approved" if details["override"].get("approve") == "true" else "refused"
        why = f": {inline(note)}" if note else ""
        lines.append(f"{inline(details['override'].get('by'))} {answer} what was escalated{why}")
    if "reserved_micros" in details:
        reserved = int(details["reserved_micros"])
        lines.append(f"{usd(reserved)} USD had been reserved")
    for line in details.get("lines", []):
        amount = usd(int(line["amount_micros"]))
        used = inline(f"{line['quantity']} {line['unit']} of {line['item']}")
        lines.append(f"  {line['step']:9} {used}: {amount}")
    if row["entry_type"] == "LIMIT_CHANGE":
        for change in details.get("changes", details.get("limits", [])):
            before = usd(int(change["before"])) if change.get("before") else "none"
            lines.append(f"  {PERIOD_NAMES[change['kind']]} {change['scope']}: {before} -> {usd(int(change['after']))}")
    for name in ("scopes", "freeze", "why", "subject", "received_sha256", "shown", "purpose", "kid", "replaces"):
        if details.get(name) and details[name] != row["reason"]:
            shown = ", ".join(details[name]) if isinstance(details[name], list) else details[name]
            lines.append(f"{name}: {inline(shown)}")
    if row["expires_at"] and row["decision"] == "approved":
        lines.append(f"single use, before {clock(row['expires_at'])}")
    return lines
