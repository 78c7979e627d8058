"""Forward-only migrations, SQL text run by alembic; `upgrade(url)` is the one command."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def upgrade(owner_url: str, password: str | None = None) -> str:
    """Bring the database to the newest revision as its owner; gives that revision. Safe to run again.

    `password` is one that is not in the address: an IAM token, say.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["url"] = owner_url
    config.attributes["password"] = password
    command.upgrade(config, "head")
    return ScriptDirectory.from_config(config).get_current_head() or ""
