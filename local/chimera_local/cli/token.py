"""`chimera token`: a token of the local issuer, for the API."""

from __future__ import annotations

import click

from chimera.adapters.local.issuer import LocalIssuer
from chimera.settings import get_settings
from chimera_local.cli import emit


@click.command()
@click.option(
    "--role", type=click.Choice(["viewer", "reviewer", "operator", "admin"]), default="viewer", show_default=True
)
@click.option("--subject", default="local", show_default=True, help="Who it is for; decisions are recorded under it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def token(role: str, subject: str, as_json: bool) -> int:
    """Print an access token (RS256, one hour) for the API of this CHIMERA_HOME."""
    settings = get_settings()
    settings.keys_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = LocalIssuer(settings.keys_path).person_token(subject, settings.tenant_id, [role])
    emit({"access_token": made, "token_type": "Bearer", "expires_in": 3600}, as_json=as_json, text=made)
    return 0
