"""`chimera publish --dry-run`: what would be posted, and why a platform would refuse it."""

from __future__ import annotations

import click

from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera.usecases.publisher import Preflight, dry_run
from chimera_local.cli import emit
from chimera_local.world import world


@click.command()
@click.argument("content_id")
@click.option("--channel", default="local", show_default=True)
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be posted; nothing is entered or sent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def publish(content_id: str, channel: str, dry: bool, as_json: bool) -> int:
    """Check a piece of content against a channel. A run publishes by itself; this looks ahead."""
    if not dry:
        raise ChimeraError(
            "VALIDATION_FAILED", "publishing is a run's last step; say --dry-run to see what would be posted", {}
        )
    with world(get_settings(), engine=False) as w:
        event = Preflight(tenant_id=w.tenant, content_id=content_id, channel_id=channel)
        value = dry_run(event, w.app.publications(w.tenant), w.app.providers("platforms"))
    request, problems = value["request"], value["problems"]
    lines = [f"Title      {request['title']}", f"Channel    {channel} ({request['platform']})"]
    lines += [f"Refused    {problem}" for problem in problems] or ["It would be taken."]
    emit(value, as_json=as_json, text="\n".join(lines))
    return 5 if problems else 0
