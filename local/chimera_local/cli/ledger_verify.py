"""`chimera ledger verify`: does it hold; `recover`: the recovery job, by hand; `recount`: a person puts counters right."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera_local.cli import emit, who
from chimera_local.world import World, world

PLAIN_SHARE = 10
"""Without a terminal a line is written each time another tenth is done."""


class RowProgress:
    """How many rows are done, on stderr: a bar on a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        self._bar = Progress(
            TextColumn("Reading the ledger"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
        )
        self._task = self._bar.add_task("rows", total=None)
        self._shown = 0

    def __enter__(self) -> RowProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        if self._live:
            self._bar.update(self._task, completed=done, total=total)
        elif total and done * PLAIN_SHARE // total > self._shown:
            self._shown = done * PLAIN_SHARE // total
            sys.stderr.write(f"{done} of {total} rows\n")


@click.command("verify")
@click.option("--full", is_flag=True, help="Verify every row's signature, not only a sample below the last seal.")
@click.option("--since", help="Begin behind the last seal before this row (1200) or time (2026-11-21T08:00Z).")
@click.option("--export", "target", type=click.Path(path_type=Path), help="Write what was verified to this file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(full: bool, since: str | None, target: Path | None, as_json: bool) -> int:
    """Recompute chain, seals, signatures, counters and limits from the rows, and say what does not fit.

    Reads only. Exit code 0 when everything fits, 4 when something does not.
    """
    start = _since(since) if since else None
    with world(get_settings(), engine=False) as w, RowProgress() as progress:
        found = w.app.verify_ledger(w.tenant, full=full, since=start, progress=progress)
        exported = _export(w, target) if target and found.verified else None
    value: dict[str, Any] = {
        "verified": found.verified,
        "entries": found.entries,
        "first_seq": found.first_seq,
        "head": found.head,
        "problems": found.problems,
        "unsigned": found.unsigned,
        "signatures": found.signatures,
        "seals": found.seals,
        "sealed_through": found.sealed_through,
        "not_looked_at": found.skipped,
        "seconds": found.seconds,
        "export": exported,
    }
    lines = [
        f"{found.entries} entries, {'verified' if found.verified else 'NOT VERIFIED'}",
        f"{found.seals} seals up to row {found.sealed_through}, {found.signatures} signatures,"
        f" {found.unsigned} unsigned, {found.seconds:.1f} s",
        *(f"not looked at: {text}" for text in found.skipped),
        *([f"written to {exported}"] if exported else []),
        *([f"not written to {target}: the ledger does not verify"] if target and not exported else []),
        *found.problems,
    ]
    emit(value, as_json=as_json, text="\n".join(lines))
    return 0 if found.verified else 4


@click.command("recover")
@click.option("--full", is_flag=True, help="Recompute the counters from the first row, not from the last checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def recover(full: bool, as_json: bool) -> int:
    """Run the recovery job once: sign, expire, reconcile, recompute the counters, seal. `chimera up` does it each minute.

    Exit code 4 when the counters do not fit the ledger; their scopes are frozen then.
    """
    with world(get_settings(), engine=False) as w:
        report = w.app.recovery(w.tenant).run(full=full)
    lines = [
        f"signed {report.signed}, expired {report.expired}, settled {report.settled},"
        f" assumed spent {report.assumed_spent}, released {report.released}, still running {report.running}",
        f"{report.rows} rows {'read' if report.full else 'since the checkpoint'}, {report.sealed} seals made",
        *(f"not now, again in a minute: {text}" for text in report.waiting),
        *([f"frozen: {', '.join(report.frozen)}"] if report.frozen else []),
        *report.problems,
    ]
    emit(report.as_json(), as_json=as_json, text="\n".join(lines))
    return 4 if report.problems else 0


@click.command("recount")
@click.option("--note", required=True, help="Why; it is kept in the audit log with your name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def recount(note: str, as_json: bool) -> int:
    """Put counters and limits back to what the ledger says, after you looked at what changed them.

    Refused when the ledger itself does not verify. Scopes stay frozen until you unfreeze them.
    """
    with world(get_settings(), engine=False) as w:
        changed = w.app.books(w.tenant).recount(by=who(), note=note)
    text = "\n".join(changed) + "\nput back to what the ledger says" if changed else "nothing to put right"
    emit({"changed": changed}, as_json=as_json, text=text)
    return 0


def _since(text: str) -> int | datetime:
    """A row's number, or a time (UTC where it names no zone)."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ChimeraError(
            "VALIDATION_FAILED",
            f"--since: got {text[:40]!r}, expected a row's number (1200) or a time (2026-11-21T08:00Z)",
            {"since": text[:40]},
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _export(w: World, target: Path) -> str:
    from chimera.usecases.ledger_export import export_bundle

    return str(export_bundle(target, w.app.ledger_export(w.tenant), w.app.key_files).path)
