"""One suite for keys in files and keys in KMS: ES256 signatures, and RS256 tokens (publish grants)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chimera.adapters.aws.keys import KmsKeyring, KmsSigner, KmsTokenIssuer, KmsVerifier
from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.errors import ChimeraError
from chimera.ports import Signer, TokenIssuer, Verifier

Pair = tuple[Signer, Verifier, Callable[[], Signer]]
"""A signer, a verifier that knows its key, and how to make a signer that the verifier does not know."""


def kms() -> Any:
    make: Any = boto3.client
    return make("kms", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")


def new_key(client: Any, spec: str = "ECC_NIST_P256") -> str:
    return str(client.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"])


@pytest.fixture(params=["file", "kms"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "file":
        yield KeyFileSigner(tmp_path), KeyFolderVerifier(tmp_path), lambda: KeyFileSigner(tmp_path / "other")
        return
    with mock_aws():
        client = kms()
        arn = new_key(client)
        yield KmsSigner(client, arn), KmsVerifier(client, [arn]), lambda: KmsSigner(client, new_key(client))


def test_a_signature_holds_for_its_message_and_key_alone(pair: Pair) -> None:
    signer, verifier, stranger = pair
    signature = signer.sign(b"ten dollars")
    assert len(signature) == 64
    assert verifier.verify(signer.key_id, b"ten dollars", signature)
    assert not verifier.verify(signer.key_id, b"ten million", signature)
    assert not verifier.verify(signer.key_id, b"ten dollars", bytes(64))
    assert not verifier.verify(signer.key_id, b"ten dollars", signature[:-1])
    assert not verifier.verify("nobody", b"ten dollars", signature)
    other = stranger()
    assert not verifier.verify(other.key_id, b"ten dollars", other.sign(b"ten dollars"))
    assert not verifier.verify(signer.key_id, b"ten dollars", other.sign(b"ten dollars"))


def test_a_key_id_is_the_thumbprint_of_the_public_key(pair: Pair) -> None:
    signer, _, stranger = pair
    assert len(signer.key_id) == 43
    assert signer.key_id == signer.key_id != stranger().key_id


def test_kms_and_a_key_file_name_and_verify_alike(tmp_path: Path) -> None:
    """The public key of a KMS key, laid into the folder, verifies what KMS signed: an export needs no AWS."""
    from cryptography.hazmat.primitives import serialization

    with mock_aws():
        client = kms()
        arn = new_key(client)
        signer = KmsSigner(client, arn)
        key = serialization.load_der_public_key(client.get_public_key(KeyId=arn)["PublicKey"])
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "public").mkdir()
        (tmp_path / "public" / f"{signer.key_id}.pem").write_bytes(pem)
        assert KeyFolderVerifier(tmp_path).verify(signer.key_id, b"row", signer.sign(b"row"))


def test_old_keys_still_verify_after_a_rotation() -> None:
    with mock_aws():
        client = kms()
        old, new = new_key(client), new_key(client)
        before = KmsSigner(client, old)
        verifier = KmsVerifier(client, [new, old])
        assert verifier.verify(before.key_id, b"row", before.sign(b"row"))


def test_a_key_of_the_wrong_kind_and_a_message_too_long_are_refused() -> None:
    with mock_aws():
        client = kms()
        with pytest.raises(ChimeraError, match="not an ECC_NIST_P256 key"):
            _ = KmsSigner(client, new_key(client, "RSA_2048")).key_id
        with pytest.raises(ChimeraError, match="4096"):
            KmsSigner(client, new_key(client)).sign(bytes(4097))
        with pytest.raises(ChimeraError, match="not an RSA key"):
            _ = KmsTokenIssuer(client, new_key(client), SystemClock()).key_id


def test_a_role_that_may_not_sign_is_forbidden_and_a_busy_kms_is_retryable() -> None:
    from botocore.stub import Stubber

    client = kms()
    for aws, ours, again in (
        ("AccessDeniedException", "FORBIDDEN", False),
        ("ThrottlingException", "RATE_LIMITED", True),
    ):
        with Stubber(client) as stub:
            stub.add_client_error("sign", aws, http_status_code=400)
            with pytest.raises(ChimeraError) as caught:
                KmsSigner(client, "arn:aws:kms:eu-west-1:1:key/k").sign(b"row")
        assert (caught.value.code, caught.value.retryable) == (ours, again)


# --- tokens


@pytest.fixture(params=["file", "kms"])
def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TokenIssuer]:
    if request.param == "file":
        yield LocalIssuer(tmp_path)
        return
    with mock_aws():
        client = kms()
        yield KmsTokenIssuer(client, new_key(client, "RSA_2048"), SystemClock())


def mint(issuer: TokenIssuer) -> str:
    return issuer.mint(subject="publisher", audience="publisher", ttl_seconds=300, claims={"content_hash": "ab"})


def test_a_grant_is_read_back_by_its_audience_alone(issuer: TokenIssuer) -> None:
    claims = issuer.verify(mint(issuer), "publisher")
    assert claims["content_hash"] == "ab"
    assert claims["sub"] == "publisher"
    assert claims["exp"] - claims["iat"] == 300
    with pytest.raises(ChimeraError) as caught:
        issuer.verify(mint(issuer), "somebody else")
    assert caught.value.code == "UNAUTHENTICATED"


def test_no_two_grants_are_the_same(issuer: TokenIssuer) -> None:
    assert issuer.verify(mint(issuer), "publisher")["jti"] != issuer.verify(mint(issuer), "publisher")["jti"]


def test_an_altered_grant_is_worth_nothing(issuer: TokenIssuer) -> None:
    header, body, signature = mint(issuer).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["content_hash"] = "other"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for token in (f"{header}.{forged}.{signature}", f"{none}.{body}.", f"{header}.{body}.", "", "a.b.c"):
        with pytest.raises(ChimeraError) as caught:
            issuer.verify(token, "publisher")
        assert caught.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_a_grant_lives_at_most_an_hour(issuer: TokenIssuer, seconds: int) -> None:
    with pytest.raises(ChimeraError) as caught:
        issuer.mint(subject="publisher", audience="publisher", ttl_seconds=seconds, claims={})
    assert caught.value.code == "VALIDATION_FAILED"


def test_a_grant_of_kms_expires() -> None:
    class Earlier:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(seconds=400)

    with mock_aws():
        client = kms()
        arn = new_key(client, "RSA_2048")
        token = mint(KmsTokenIssuer(client, arn, Earlier()))
        with pytest.raises(ChimeraError) as caught:
            KmsTokenIssuer(client, arn, SystemClock()).verify(token, "publisher")
        assert caught.value.code == "UNAUTHENTICATED"


# --- rotation in KMS


def test_the_ledger_says_which_of_the_kms_keys_is_in_use() -> None:
    with mock_aws():
        client = kms()
        old, new = new_key(client), new_key(client)
        named = {"cfo": "", "seal": ""}
        before = KmsKeyring(client, {"cfo": [old], "seal": [old]}, named.__getitem__)
        after = KmsKeyring(client, {"cfo": [new, old], "seal": [old]}, named.__getitem__)
        named["cfo"] = before.signer("cfo").key_id
        assert not before.is_due("cfo")
        assert after.is_due("cfo")
        assert not after.is_due("seal")
        assert after.signer("cfo").key_id == named["cfo"]  # until the KEY row is written
        following = after.prepared("cfo")
        assert following is not None
        named["cfo"] = following.key_id
        assert after.signer("cfo").key_id == following.key_id
        assert after.prepared("cfo") is None
        with pytest.raises(ChimeraError, match="CHIMERA_CFO_KEY_ARNS") as caught:
            before.signer("cfo")
        assert caught.value.code == "CONFLICT"
