"""Signatures by keys that never leave KMS: ES256 for the CFO and the seals, RS256 for publish grants.

Always `MessageType=RAW` (at most 4096 bytes), so that what is signed is what the caller sees. KMS gives ECDSA
signatures in DER; JOSE and the ledger keep raw r‖s. Public keys are fetched once and pinned for the process's life, so
that a verification needs no call and no right to sign.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from chimera.adapters.aws.clients import refuse
from chimera.adapters.local.keys import thumbprint
from chimera.adapters.tokens import decode
from chimera.domain.ids import new_id
from chimera.errors import ChimeraError
from chimera.ports import Clock

MAX_RAW_BYTES = 4096
MAX_TTL_SECONDS = 3600


def _public(client: Any, arn: str) -> Any:
    try:
        answer = client.get_public_key(KeyId=arn)
    except (ClientError, BotoCoreError) as error:
        refuse(error, "reading a public key")
    return serialization.load_der_public_key(answer["PublicKey"])


class KmsSigner:
    """ES256 by an `ECC_NIST_P256` key with usage SIGN_VERIFY. `client` is a boto3 KMS client.

    The role needs `kms:Sign` and `kms:GetPublicKey` on this key alone.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    @cached_property
    def key_id(self) -> str:
        """The public key's RFC 7638 thumbprint: the same id as a key file would have."""
        key = _public(self._client, self._arn)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ChimeraError("INTERNAL", f"{self._arn} is not an ECC_NIST_P256 key", {})
        return thumbprint(key)

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s, 64 bytes, over at most 4096 bytes; `RATE_LIMITED` and `PROVIDER_TIMEOUT` may be tried again."""
        if len(message) > MAX_RAW_BYTES:
            raise ChimeraError("VALIDATION_FAILED", f"KMS signs at most {MAX_RAW_BYTES} bytes, got {len(message)}")
        try:
            answer = self._client.sign(
                KeyId=self._arn, Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )
        except (ClientError, BotoCoreError) as error:
            refuse(error, "signing")
        r, s = decode_dss_signature(answer["Signature"])
        return r.to_bytes(32) + s.to_bytes(32)


class KmsKeyring:
    """The keys of each purpose, newest first, and which of them the ledger names: a `KeyStore` (usecases/keys.py).

    A rotation is a deployment that puts a new key's ARN before the old one's; the recovery job then writes the KEY row,
    signed by the old key, and from that row on the new one signs. Old keys stay in the list: they verify.
    """

    def __init__(self, client: Any, arns: Mapping[str, Sequence[str]], in_force: Callable[[str], str]) -> None:
        self._signers = {purpose: [KmsSigner(client, arn) for arn in found] for purpose, found in arns.items()}
        self._in_force = in_force

    def signer(self, purpose: str) -> KmsSigner:
        """The key that the ledger names; the newest while it names none. `CONFLICT` when its ARN is not in the settings."""
        named = self._in_force(purpose)
        found = self.by_id(purpose, named) if named else self._newest(purpose)
        if found is None:
            raise ChimeraError(
                "CONFLICT",
                f"the ledger names the {purpose} key {named}, which is not among CHIMERA_{purpose.upper()}_KEY_ARNS; "
                "add its ARN after the newest one's",
                {"purpose": purpose, "in_force": named},
            )
        return found

    def prepare(self, purpose: str) -> KmsSigner:
        """The newest key."""
        return self._newest(purpose)

    def prepared(self, purpose: str) -> KmsSigner | None:
        """The newest key, while the ledger names another one."""
        newest, named = self._newest(purpose), self._in_force(purpose)
        return newest if named and newest.key_id != named else None

    def switch(self, purpose: str) -> None:
        """The ledger's KEY row is the switch: there is nothing else to put in place."""

    def by_id(self, purpose: str, key_id: str) -> KmsSigner | None:
        """The key of this purpose with this id."""
        return next((signer for signer in self._signers[purpose] if signer.key_id == key_id), None)

    def is_due(self, purpose: str) -> bool:
        """Whether the newest key is not the one in force yet."""
        return self.prepared(purpose) is not None

    def _newest(self, purpose: str) -> KmsSigner:
        if not self._signers[purpose]:
            raise ChimeraError("INTERNAL", f"CHIMERA_{purpose.upper()}_KEY_ARNS names no key", {})
        return self._signers[purpose][0]


class LedgerSigner:
    """The CFO's key on AWS: whichever of the keyring's keys the ledger names, asked for once an invocation."""

    def __init__(self, keyring: KmsKeyring, purpose: str) -> None:
        self._keyring = keyring
        self._purpose = purpose

    @cached_property
    def _signer(self) -> KmsSigner:
        return self._keyring.signer(self._purpose)

    @property
    def key_id(self) -> str:
        """The public key's thumbprint."""
        return self._signer.key_id

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s, 64 bytes."""
        return self._signer.sign(message)


class KmsVerifier:
    """Checks ES256 signatures with the public keys of these KMS keys: today's and all that came before."""

    def __init__(self, client: Any, arns: Sequence[str]) -> None:
        self._client = client
        self._arns = tuple(arns)

    @cached_property
    def _keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        keys = [_public(self._client, arn) for arn in self._arns]
        return {thumbprint(key): key for key in keys if isinstance(key, ec.EllipticCurvePublicKey)}

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """False for an unknown key, a wrong length or a wrong signature; never raises for bad input."""
        key = self._keys.get(key_id)
        if key is None or len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class KmsTokenIssuer:
    """Publish grants: RS256 by an `RSA_2048` key with usage SIGN_VERIFY, checked with its pinned public key.

    Who only checks grants needs `kms:GetPublicKey`; who mints them `kms:Sign` as well.
    """

    def __init__(self, client: Any, arn: str, clock: Clock, issuer: str = "chimera") -> None:
        self._client = client
        self._arn = arn
        self._clock = clock
        self._issuer = issuer

    @cached_property
    def _key(self) -> rsa.RSAPublicKey:
        key = _public(self._client, self._arn)
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
            raise ChimeraError("INTERNAL", f"{self._arn} is not an RSA key of at least 2048 bits", {})
        return key

    @cached_property
    def key_id(self) -> str:
        """The key's RFC 7638 thumbprint."""
        numbers = self._key.public_numbers()
        jwk = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
        return _b64(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    def mint(self, *, subject: str, audience: str, ttl_seconds: int, claims: dict[str, Any]) -> str:
        """A token with exp, iat, sub, aud, iss, jti and these further claims; lives 1 to 3600 s."""
        if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
            raise ChimeraError(
                "VALIDATION_FAILED",
                f"a token lives 1 to {MAX_TTL_SECONDS} s, not {ttl_seconds}",
                {"ttl": ttl_seconds},
            )
        now = self._clock.now()
        body = {
            **claims,
            "iss": self._issuer,
            "sub": subject,
            "aud": audience,
            "jti": new_id(),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=ttl_seconds)).timestamp()),
        }
        header = {"alg": "RS256", "kid": self.key_id, "typ": "JWT"}
        signed = ".".join(_b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, body))
        if len(signed) > MAX_RAW_BYTES:
            raise ChimeraError("VALIDATION_FAILED", f"KMS signs at most {MAX_RAW_BYTES} bytes, got {len(signed)}")
        try:
            answer = self._client.sign(
                KeyId=self._arn,
                Message=signed.encode(),
                MessageType="RAW",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )
        except (ClientError, BotoCoreError) as error:
            refuse(error, "signing a grant")
        return f"{signed}.{_b64(answer['Signature'])}"

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims; `UNAUTHENTICATED` for anything else than a live token of ours for this audience."""
        return decode(token, audience, self._issuer, {self.key_id: self._key})


def _number(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
