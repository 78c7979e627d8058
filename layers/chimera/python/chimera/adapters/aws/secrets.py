"""Secrets of vendors and platforms from Secrets Manager: read by the role that needs them, kept for minutes at most."""

from __future__ import annotations

import threading
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chimera.adapters.aws.clients import code_of, refuse
from chimera.errors import ChimeraError

CACHE_SECONDS = 300.0


class SecretsManager:
    """Secrets `<prefix><name>`. `client` is a boto3 Secrets Manager client; the role needs `GetSecretValue` on each.

    Thread-safe. A value is asked for again after five minutes, so that a rotated one is found without a deploy.
    """

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, str]] = {}

    def get(self, name: str) -> str:
        """The secret's text. `PROVIDER_REJECTED`, naming the secret, when it is not set; never shows a value."""
        with self._lock:
            found = self._known.get(name)
            if found is not None and time.monotonic() - found[0] < CACHE_SECONDS:
                return found[1]
        where = f"{self._prefix}{name}"
        try:
            value = str(self._client.get_secret_value(SecretId=where).get("SecretString") or "")
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                refuse(error, f"reading the secret {where}")
            value = ""
        except BotoCoreError as error:
            refuse(error, f"reading the secret {where}")
        if not value.strip():
            raise ChimeraError(
                "PROVIDER_REJECTED",
                f"the secret {where} is not set: put its value with `aws secretsmanager put-secret-value`",
                {"secret": where},
            )
        with self._lock:
            self._known[name] = (time.monotonic(), value)
        return value
