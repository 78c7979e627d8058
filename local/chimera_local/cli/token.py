"""`chimera token`: a token of the local issuer, for the API."""

from __future__ import annotations

import click

from chimera.adapters.local.issuer import LocalIssuer
from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError
from chimera.settings import get_settings
from chimera_local.cli import emit


@click.command()
@click.option(
    "--role", type=click.Choice(["viewer", "reviewer", "operator", "admin"]), default="viewer", show_default=True
)
@click.option("--subject", default="local", show_default=True, help="Who it is for; decisions are recorded under it.")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    help="For a program: ask the CFO for this agent only, its id or role; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def token(role: str, subject: str, agents: tuple[str, ...], as_json: bool) -> int:
    """Print an access token (RS256, one hour) for the API of this CHIMERA_HOME."""
    settings = get_settings()
    settings.keys_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = LocalIssuer(settings.keys_path).person_token(
        subject, settings.tenant_id, [role], [_agent(settings.tenant_id, name) for name in agents]
    )
    emit({"access_token": made, "token_type": "Bearer", "expires_in": 3600}, as_json=as_json, text=made)
    return 0


def _agent(tenant_id: str, name: str) -> str:
    """The id of an agent that is named by its id or role."""
    from chimera.adapters.postgres.tenancy import ROLES, agent_id

    if name in ROLES or is_uuid(name):
        return agent_id(tenant_id, name) if name in ROLES else name
    raise ChimeraError(
        "VALIDATION_FAILED", f"--agent: got {name[:80]!r}, expected an agent's id or one of {', '.join(ROLES)}", {}
    )
