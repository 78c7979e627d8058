"""`chimera ledger seal | proof | rotate-key` and the bundle of `chimera ledger export`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera.usecases.ledger_export import export_bundle
from chimera_local.cli import emit, who
from chimera_local.lock import find_engine
from chimera_local.world import world


@click.command("seal")
@click.option("--due", is_flag=True, help="Only what is due: 1000 rows, or the oldest 60 s old.")
@click.option("--restore-anchor", is_flag=True, help="First anchor recorded seals again that the anchor has lost.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def seal(due: bool, restore_anchor: bool, as_json: bool) -> int:
    """Seal the newest rows now."""
    with world(get_settings(), engine=False) as w:
        w.app.cfo(w.tenant).sweep()
        sealer = w.app.sealer(w.tenant)
        restored = sealer.restore_anchor() if restore_anchor else []
        made = sealer.seal_due(force=not due)
        w.app.cfo(w.tenant).sweep()  # a seal key's first use is a row too
    value = {
        "restored": [s.number for s in restored],
        "seals": [
            {"number": s.number, "first_seq": s.first_seq, "last_seq": s.last_seq, "root": s.root.hex()} for s in made
        ],
    }
    lines = [f"seal {s.number} anchored again" for s in restored]
    lines += [f"seal {s.number}: rows {s.first_seq}-{s.last_seq}, root {s.root.hex()}" for s in made]
    emit(value, as_json=as_json, text="\n".join(lines or ["nothing to seal"]))
    return 0


@click.command("proof")
@click.argument("entry")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the whole proof.")
def proof(entry: str, as_json: bool) -> int:
    """Prove that a row (ENTRY: its sequence number or transaction id) is in the sealed ledger."""
    with world(get_settings(), engine=False) as w:
        found = w.app.sealer(w.tenant).proof(entry)
    kept = found.seal
    lines = [
        f"row {found.row.seq} is leaf {found.index} of the {found.size} rows of seal {kept.number}",
        f"leaf  {found.row.row_hash.hex()}",
        *(f"path  {step.hex()}" for step in found.path),
        f"root  {kept.root.hex()}",
        f"signed by {kept.kid} at {kept.at.isoformat(timespec='seconds')}",
    ]
    emit(found.as_json(), as_json=as_json, text="\n".join(lines))
    return 0


@click.command("rotate-key")
@click.option("--purpose", type=click.Choice(["cfo", "seal"]), default="cfo", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rotate_key(purpose: str, as_json: bool) -> int:
    """Replace a signing key; cut short, it is finished by asking again. Stop `chimera up` first."""
    settings = get_settings()
    other = find_engine(settings.home_path)
    if other:
        raise ChimeraError(
            "CONFLICT",
            f"`chimera up` or a run (process {other.pid}) signs with the old key: stop it first",
            {"pid": other.pid},
        )
    with world(settings, engine=False) as w:
        done = w.app.keys(w.tenant).rotate(purpose, who())
    value = {"purpose": done.purpose, "old": done.old, "new": done.new, "seq": done.seq}
    text = f"{purpose} key {done.old} is replaced by {done.new} (row {done.seq})"
    emit(value, as_json=as_json, text=text)
    return 0


@click.command("bundle")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bundle(file: Path, as_json: bool) -> int:
    """Write the whole ledger to FILE, for a check without Chimera."""
    return bundle_to(file, as_json=as_json)


def bundle_to(file: Path, *, as_json: bool) -> int:
    """What `bundle` and `ledger export --bundle` do; progress goes to stderr when a person looks."""
    show = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if show:
            click.echo(f"\r{done} of {total} rows", err=True, nl=done == total)

    with world(get_settings(), engine=False) as w:
        w.app.cfo(w.tenant).sweep()
        written = export_bundle(file, w.app.ledger_export(w.tenant), w.app.key_files, progress)
    value = {
        "file": str(written.path),
        "rows": written.rows,
        "seals": written.seals,
        "head": written.head,
        "bytes": written.bytes,
    }
    emit(value, as_json=as_json, text=f"{written.rows} rows, {written.seals} seals: {written.path}")
    return 0
