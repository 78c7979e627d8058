"""Tokens: ours are accepted, everything else that a stranger can send is UNAUTHENTICATED."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import multiprocessing
import stat
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from chimera.adapters.local.issuer import API_AUDIENCE, GRANT_AUDIENCE, ISSUER, LocalIssuer
from chimera.errors import ChimeraError

TENANT = "00000000-0000-7000-8000-000000000001"
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    return LocalIssuer(tmp_path_factory.mktemp("keys"))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def good_claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "sub": "ada",
        "aud": API_AUDIENCE,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 600,
        "roles": ["viewer"],
        "tenant": TENANT,
    }


def signed(
    issuer: LocalIssuer,
    claims: dict[str, Any] | str,
    header: dict[str, Any] | None = None,
    key: rsa.RSAPrivateKey | None = None,
) -> str:
    """A compact token, RS256-signed byte by byte, whatever its content."""
    head = {"alg": "RS256", "typ": "JWT", "kid": issuer.key_id} | (header or {})
    head = {name: value for name, value in head.items() if value is not ...}
    body = claims if isinstance(claims, str) else json.dumps(claims)
    message = f"{b64(json.dumps(head).encode())}.{b64(body.encode())}"
    signature = (key or issuer._private).sign(message.encode(), padding.PKCS1v15(), SHA256())
    return f"{message}.{b64(signature)}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in good_claims().items() if key != name}


def hs256_with_public_key(issuer: LocalIssuer) -> str:
    pem = next(iter(issuer.public_keys().values())).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = {"alg": "HS256", "typ": "JWT", "kid": issuer.key_id}
    message = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(good_claims()).encode())}"
    return f"{message}.{b64(hmac.new(pem, message.encode(), hashlib.sha256).digest())}"


def unsigned(issuer: LocalIssuer, alg: str) -> str:
    head = {"alg": alg, "typ": "JWT", "kid": issuer.key_id}
    return f"{b64(json.dumps(head).encode())}.{b64(json.dumps(good_claims()).encode())}."


def psychic(issuer: LocalIssuer) -> str:
    head = {"alg": "ES256", "typ": "JWT", "kid": issuer.key_id}
    return f"{b64(json.dumps(head).encode())}.{b64(json.dumps(good_claims()).encode())}.{b64(bytes(64))}"


def es256(issuer: LocalIssuer) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(good_claims(), key, algorithm="ES256", headers={"kid": issuer.key_id})


def ps256(issuer: LocalIssuer) -> str:
    return jwt.encode(good_claims(), issuer._private, algorithm="PS256", headers={"kid": issuer.key_id})


def rs512(issuer: LocalIssuer) -> str:
    return jwt.encode(good_claims(), issuer._private, algorithm="RS512", headers={"kid": issuer.key_id})


def embedded_key(issuer: LocalIssuer, name: str) -> str:
    numbers = STRANGER.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
    value = jwk if name == "jwk" else "https://evil.example/keys"
    return signed(issuer, good_claims(), {name: value}, STRANGER)


def tampered_payload(issuer: LocalIssuer) -> str:
    head, _, signature = signed(issuer, good_claims()).split(".")
    return f"{head}.{b64(json.dumps({**good_claims(), 'roles': ['admin']}).encode())}.{signature}"


def cut_signature(issuer: LocalIssuer) -> str:
    return signed(issuer, good_claims())[:-4]


def at(**changes: Any) -> dict[str, Any]:
    return {**good_claims(), **changes}


Attack = Callable[[LocalIssuer], Any]
NOW = int(time.time())
ATTACKS: dict[str, Attack] = {
    "empty": lambda i: "",
    "not a token": lambda i: "bearer",
    "not text": lambda i: None,
    "bytes": lambda i: signed(i, good_claims()).encode(),
    "two parts": lambda i: signed(i, good_claims()).rsplit(".", 1)[0],
    "four parts": lambda i: signed(i, good_claims()) + ".AAAA",
    "five parts, JWE": lambda i: "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA",
    "16 kB": lambda i: signed(i, at(pad="x" * 16_000)),
    "deeply nested": lambda i: signed(i, '{"a":' * 2000 + "1" + "}" * 2000),
    "payload is a list": lambda i: signed(i, "[]"),
    "payload is not JSON": lambda i: signed(i, "{"),
    "alg none": lambda i: unsigned(i, "none"),
    "alg None": lambda i: unsigned(i, "None"),
    "alg missing": lambda i: signed(i, good_claims(), {"alg": ...}),
    "alg a list": lambda i: signed(i, good_claims(), {"alg": ["RS256"]}),
    "HS256 with the public key": hs256_with_public_key,
    "PS256 with our key": ps256,
    "RS512 with our key": rs512,
    "ES256 with another key": es256,
    "ES256 with r = s = 0": psychic,
    "another key, our kid": lambda i: signed(i, good_claims(), key=STRANGER),
    "kid missing": lambda i: signed(i, good_claims(), {"kid": ...}),
    "kid unknown": lambda i: signed(i, good_claims(), {"kid": "other"}),
    "kid a path": lambda i: signed(i, good_claims(), {"kid": "../../../dev/null"}),
    "kid SQL": lambda i: signed(i, good_claims(), {"kid": "x' UNION SELECT 'key' --"}),
    "kid a list": lambda i: signed(i, good_claims(), {"kid": [i.key_id]}),
    "kid null": lambda i: signed(i, good_claims(), {"kid": None}),
    "jwk in the header": lambda i: embedded_key(i, "jwk"),
    "jku in the header": lambda i: embedded_key(i, "jku"),
    "x5u in the header": lambda i: embedded_key(i, "x5u"),
    "crit in the header": lambda i: signed(i, good_claims(), {"crit": ["exp"]}),
    "b64 false": lambda i: signed(i, good_claims(), {"b64": False}),
    "typ of another kind": lambda i: signed(i, good_claims(), {"typ": "logout+jwt"}),
    "payload changed": tampered_payload,
    "signature cut": cut_signature,
    "signature empty": lambda i: signed(i, good_claims()).rsplit(".", 1)[0] + ".",
    "expired": lambda i: signed(i, at(exp=NOW - 1, iat=NOW - 600)),
    "expires this second": lambda i: signed(i, at(exp=int(time.time()), iat=NOW - 600)),
    "exp missing": lambda i: signed(i, without("exp")),
    "exp text": lambda i: signed(i, at(exp=str(NOW + 600))),
    "exp true": lambda i: signed(i, at(exp=True)),
    "exp NaN": lambda i: signed(i, json.dumps(at(exp="@")).replace('"@"', "NaN")),
    "exp infinite": lambda i: signed(i, json.dumps(at(exp="@")).replace('"@"', "1e999")),
    "exp beyond every calendar": lambda i: signed(i, at(exp=-(10**400))),
    "iat missing": lambda i: signed(i, without("iat")),
    "iat in the future": lambda i: signed(i, at(iat=NOW + 3600, exp=NOW + 7200)),
    "nbf in the future": lambda i: signed(i, at(nbf=NOW + 3600)),
    "sub missing": lambda i: signed(i, without("sub")),
    "sub a number": lambda i: signed(i, at(sub=1)),
    "jti missing": lambda i: signed(i, without("jti")),
    "jti a list": lambda i: signed(i, at(jti=["a"])),
    "aud missing": lambda i: signed(i, without("aud")),
    "aud of a grant": lambda i: signed(i, at(aud=GRANT_AUDIENCE)),
    "aud a list": lambda i: signed(i, at(aud=[API_AUDIENCE, "other"])),
    "aud in other case": lambda i: signed(i, at(aud=API_AUDIENCE.upper())),
    "iss missing": lambda i: signed(i, without("iss")),
    "iss of another": lambda i: signed(i, at(iss="https://evil.example")),
    "iss a prefix": lambda i: signed(i, at(iss=ISSUER + ".evil.example")),
    "roles missing": lambda i: signed(i, without("roles")),
    "roles empty": lambda i: signed(i, at(roles=[])),
    "roles unknown": lambda i: signed(i, at(roles=["root"])),
    "roles text": lambda i: signed(i, at(roles="admin")),
    "tenant missing": lambda i: signed(i, without("tenant")),
    "tenant not an id": lambda i: signed(i, at(tenant="' OR 1=1")),
    "sub empty": lambda i: signed(i, at(sub="")),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attackers_token_is_unauthenticated(issuer: LocalIssuer, name: str) -> None:
    with pytest.raises(ChimeraError) as refused:
        issuer.authenticate(ATTACKS[name](issuer))
    assert refused.value.code == "UNAUTHENTICATED"
    assert refused.value.http_status == 401


def test_the_table_is_long_enough_and_its_base_is_good(issuer: LocalIssuer) -> None:
    assert len(ATTACKS) >= 25
    assert issuer.authenticate(signed(issuer, good_claims())).subject == "ada"


def test_a_token_of_ours_names_person_tenant_and_roles(issuer: LocalIssuer) -> None:
    person = issuer.authenticate(issuer.person_token("ada", TENANT, ["reviewer"]))
    assert (person.subject, person.tenant_id, person.roles) == ("ada", TENANT, ("reviewer",))
    person.require("viewer")
    person.require("reviewer")
    with pytest.raises(ChimeraError) as refused:
        person.require("operator")
    assert refused.value.code == "FORBIDDEN"


@pytest.mark.parametrize(("tenant", "roles"), [("x", ["viewer"]), (TENANT, []), (TENANT, ["god"])])
def test_a_token_that_makes_no_sense_is_not_minted(issuer: LocalIssuer, tenant: str, roles: list[str]) -> None:
    with pytest.raises(ChimeraError) as refused:
        issuer.person_token("ada", tenant, roles)
    assert refused.value.code == "VALIDATION_FAILED"


def test_a_token_lives_for_an_hour_and_no_longer(tmp_path: Path) -> None:
    class Past:
        def now(self) -> datetime:
            return datetime.now(UTC) - timedelta(seconds=3601)

    old = LocalIssuer(tmp_path, Past()).person_token("ada", TENANT, ["admin"])
    with pytest.raises(ChimeraError) as refused:
        LocalIssuer(tmp_path).authenticate(old)
    assert refused.value.details == {"reason": "ExpiredSignatureError"}


def test_the_published_key_set_verifies_and_holds_nothing_private(issuer: LocalIssuer) -> None:
    key_set = issuer.jwks()
    assert set(key_set["keys"][0]) == {"kty", "use", "alg", "kid", "n", "e"}
    key = jwt.PyJWKSet.from_dict(key_set)[issuer.key_id].key
    token = issuer.person_token("ada", TENANT, ["viewer"])
    assert jwt.decode(token, key, algorithms=["RS256"], audience=API_AUDIENCE)["sub"] == "ada"


def _key_id(folder: str) -> str:
    return LocalIssuer(Path(folder)).key_id


def test_the_key_file_is_private_and_the_same_for_all_who_start_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        ids = set(pool.map(_key_id, [str(tmp_path)] * 3))
    assert len(ids) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["issuer-rs256.pem"]
    file = tmp_path / "issuer-rs256.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(ChimeraError) as refused:
        LocalIssuer(tmp_path).key_id  # noqa: B018
    assert refused.value.code == "FORBIDDEN"
