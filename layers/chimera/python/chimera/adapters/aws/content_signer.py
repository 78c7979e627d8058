"""Content credentials on AWS: an ES256 key that never leaves KMS, with certificates from a setting."""

from __future__ import annotations

import hashlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from chimera.adapters.aws.clients import refuse
from chimera.errors import ChimeraError


class KmsContentSigner:
    """Signs by an `ECC_NIST_P256` key with usage SIGN_VERIFY; the role needs `kms:Sign` on it alone.

    The digest is sent, not the message: a manifest's claim may be longer than the 4096 bytes that KMS takes.
    """

    def __init__(self, client: Any, arn: str, chain: str) -> None:
        self._client, self._arn = client, arn
        try:
            # an environment variable may hold its line ends as \n
            self._certificates = x509.load_pem_x509_certificates(chain.replace("\\n", "\n").encode())
        except ValueError as error:
            raise ChimeraError(
                "VALIDATION_FAILED",
                "content_certificates: got no PEM certificates, expected the signing one and its root",
                {},
            ) from error

    @property
    def chain(self) -> str:
        """The certificates as they were set."""
        return "".join(map(_pem, self._certificates))

    @property
    def root(self) -> str:
        """The last one of the chain."""
        return _pem(self._certificates[-1])

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s, 64 bytes. `VALIDATION_FAILED` if the first certificate is of another key."""
        try:
            answer = self._client.sign(
                KeyId=self._arn,
                Message=hashlib.sha256(message).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except (ClientError, BotoCoreError) as error:
            refuse(error, "signing a manifest")
        key = self._certificates[0].public_key()
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(answer["Signature"], message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise ChimeraError(
                "VALIDATION_FAILED",
                "content_certificates: the first certificate is not of the key CHIMERA_CONTENT_KEY_ARN",
                {"arn": self._arn},
            ) from error
        r, s = decode_dss_signature(answer["Signature"])
        return r.to_bytes(32) + s.to_bytes(32)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
