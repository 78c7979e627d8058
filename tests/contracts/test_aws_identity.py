"""Cognito's keys over a real socket, secrets from moto, and the password that Aurora takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from moto import mock_aws

from chimera.adapters.aws import identity
from chimera.adapters.aws.clients import client
from chimera.adapters.aws.identity import CognitoVerifier
from chimera.adapters.aws.rds import iam_password
from chimera.adapters.aws.secrets import SecretsManager
from chimera.adapters.local.issuer import LocalIssuer
from chimera.errors import ChimeraError


class Pool:
    """A user pool's keys behind an HTTP transport that counts how often it is asked."""

    def __init__(self, keys: LocalIssuer) -> None:
        self.keys = keys
        self.asked: list[str] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return httpx.Response(self.status, json=self.keys.jwks())


ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(LocalIssuer(tmp_path / "pool"))


@pytest.fixture
def verifier(pool: Pool) -> Iterator[CognitoVerifier]:
    with httpx.Client(transport=httpx.MockTransport(pool)) as http:
        yield CognitoVerifier(ISSUER, http)


def token(keys: LocalIssuer, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "s",
        "aud": "app-client",
        "jti": "j",
        "iat": now,
        "exp": now + 300,
        "token_use": "id",
        "cognito:groups": ["operator"],
        "custom:tenant": "00000000-0000-7000-8000-000000000001",
    }
    return jwt.encode({**claims, **changes}, keys._private, algorithm="RS256", headers={"kid": keys.key_id})


def test_a_token_of_the_pool_is_read_and_its_keys_are_asked_for_once(verifier: CognitoVerifier, pool: Pool) -> None:
    for _ in range(3):
        assert verifier.verify(token(pool.keys), "app-client")["cognito:groups"] == ["operator"]
    assert pool.asked == [f"{ISSUER}/.well-known/jwks.json"]


@pytest.mark.parametrize(
    "changes", [{"aud": "another app"}, {"iss": "https://evil.example/pool"}, {"exp": 1}, {"jti": None}]
)
def test_a_token_for_somebody_else_or_of_another_time_is_refused(
    verifier: CognitoVerifier, pool: Pool, changes: dict[str, Any]
) -> None:
    with pytest.raises(ChimeraError) as caught:
        verifier.verify(token(pool.keys, **changes), "app-client")
    assert caught.value.code == "UNAUTHENTICATED"


def test_a_stranger_with_unknown_key_ids_cannot_make_us_ask_again_and_again(
    verifier: CognitoVerifier, pool: Pool, tmp_path: Path
) -> None:
    stranger = LocalIssuer(tmp_path / "stranger")
    for _ in range(5):
        with pytest.raises(ChimeraError):
            verifier.verify(token(stranger), "app-client")
    assert len(pool.asked) == 1


def test_a_rotated_key_is_found_after_a_minute(
    verifier: CognitoVerifier, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier.verify(token(pool.keys), "app-client")
    pool.keys = LocalIssuer(tmp_path / "rotated")
    monkeypatch.setattr(identity, "REFRESH_SECONDS", 0.0)
    assert verifier.verify(token(pool.keys), "app-client")["sub"] == "s"


def test_without_the_pools_keys_nobody_is_let_in(verifier: CognitoVerifier, pool: Pool) -> None:
    pool.status = 503
    with pytest.raises(ChimeraError) as caught:
        verifier.verify(token(pool.keys), "app-client")
    assert caught.value.code == "PROVIDER_TIMEOUT"
    assert caught.value.retryable


@pytest.mark.parametrize("garbage", ["", "a.b.c", "\0", "x" * 10_000])
def test_garbage_is_no_token(verifier: CognitoVerifier, garbage: str) -> None:
    with pytest.raises(ChimeraError) as caught:
        verifier.verify(garbage, "app-client")
    assert caught.value.code == "UNAUTHENTICATED"


def test_the_api_reads_cognitos_claims_as_it_reads_ours() -> None:
    from functions.api.access import caller_of

    claims = {
        "sub": "s",
        "custom:tenant": "00000000-0000-7000-8000-000000000001",
        "cognito:groups": "[viewer operator]",
    }
    caller = caller_of({"requestContext": {"authorizer": {"jwt": {"claims": claims}}}})
    assert (caller.tenant_id, caller.role) == (claims["custom:tenant"], "operator")


# --- secrets, passwords


def test_a_secret_is_read_once_in_five_minutes_and_a_missing_one_is_named() -> None:
    with mock_aws():
        make: Any = client
        manager = make.__wrapped__("secretsmanager", "eu-west-1")
        manager.create_secret(Name="chimera/openai", SecretString="sk-canary")
        manager.create_secret(Name="chimera/empty", SecretString=" ")
        secrets = SecretsManager(manager, "chimera/")
        assert secrets.get("openai") == "sk-canary"
        manager.put_secret_value(SecretId="chimera/openai", SecretString="sk-new")
        assert secrets.get("openai") == "sk-canary"
        for name in ("none", "empty"):
            with pytest.raises(ChimeraError) as caught:
                secrets.get(name)
            assert caught.value.code == "PROVIDER_REJECTED"
            assert f"chimera/{name}" in caught.value.message
            assert "canary" not in json.dumps(caught.value.body())


def test_a_database_password_is_a_signed_token_for_this_host_and_role() -> None:
    with mock_aws():
        make: Any = client
        rds = make.__wrapped__("rds", "eu-west-1")
        url = "postgresql://chimera%5Fapp@db.example.com:5432/chimera?sslmode=verify-full"
        found = urlsplit("https://" + iam_password(rds, url, "eu-west-1"))
        query = parse_qs(found.query)
        assert found.netloc == "db.example.com:5432"
        assert query["Action"] == ["connect"]
        assert query["DBUser"] == ["chimera_app"]
        assert query["X-Amz-Expires"] == ["900"]
        assert "rds-db" in query["X-Amz-Credential"][0]
        with pytest.raises(ValueError, match="ROLE@HOST"):
            iam_password(rds, "postgresql:///chimera", "eu-west-1")
