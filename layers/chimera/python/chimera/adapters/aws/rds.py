"""A password for Aurora that lives 15 minutes: an IAM token, signed here, so no database password exists anywhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def iam_password(client: Any, url: str, region: str) -> str:
    """The token for the role, host and port of a `postgresql://ROLE@HOST:PORT/…` address; made without asking AWS.

    `client` is a boto3 RDS client. The role needs `rds-db:connect` on this database user alone, and the address
    `sslmode=verify-full`: a token is as good as a password until it ends.
    """
    address = urlsplit(url)
    if not address.hostname or not address.username:
        raise ValueError("expected postgresql://ROLE@HOST:PORT/DATABASE")
    token: str = client.generate_db_auth_token(
        DBHostname=address.hostname, Port=address.port or 5432, DBUsername=unquote(address.username), Region=region
    )
    return token
