"""Content credentials on a laptop: a root certificate of one's own and a signing certificate under it, made on first use.

C2PA asks of a signing certificate: X.509 v3, a digital signature's key usage, not a CA, an extended key usage that
verifiers take, and the issuer's key id; of the chain that it is not just a self-signed certificate. Nobody but this
installation trusts the root: others see the video as intact, signed by someone unknown to them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chimera.adapters.local.keys import load_or_create, write_once
from chimera.errors import ChimeraError

ROOT, SIGNING = "content-root", "content-signing"
# Without a time stamp a manifest is held against today's clock, so the certificate must outlive what it signed.
ROOT_DAYS, SIGNING_DAYS = 7300, 3650
RENEW_BEFORE = timedelta(days=365)
_SKEW = timedelta(hours=1)


class LocalContentSigner:
    """Signs with `<folder>/content-signing.pem`; the certificates lie beside it as `.crt`, the root's to be given away."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        self._folder = folder
        self._now = now or datetime.now(UTC)
        self._root_key = load_or_create(folder, ROOT)
        self._key = load_or_create(folder, SIGNING)
        self._root = self._certificate(ROOT, self._make_root)
        if self._root.public_key() != self._root_key.public_key():
            raise _mismatch(folder, ROOT)
        self._leaf = self._certificate(SIGNING, lambda: self.issue(self._key.public_key()))
        if self._leaf.not_valid_after_utc - self._now < RENEW_BEFORE:
            (folder / f"{SIGNING}.crt").unlink(missing_ok=True)
            self._leaf = self._certificate(SIGNING, lambda: self.issue(self._key.public_key()))
        if self._leaf.public_key() != self._key.public_key():
            raise _mismatch(folder, SIGNING)

    @property
    def chain(self) -> str:
        """The signing certificate, then the root's."""
        return _pem(self._leaf) + _pem(self._root)

    @property
    def root(self) -> str:
        """The root's certificate."""
        return _pem(self._root)

    def sign(self, message: bytes) -> bytes:
        """ES256, raw r‖s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    def issue(self, key: ec.EllipticCurvePublicKey, *, days: int = SIGNING_DAYS) -> x509.Certificate:
        """A signing certificate under this root for any P-256 key, such as one that lives in KMS."""
        if not isinstance(key.curve, ec.SECP256R1):
            raise ChimeraError("VALIDATION_FAILED", f"key: got {key.curve.name}, expected P-256 (secp256r1)")
        end = min(self._now + timedelta(days=days), self._root.not_valid_after_utc)
        return (
            _builder("Chimera content credentials", "Chimera content root", key, self._now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root_key.public_key()), critical=False
            )
            .sign(self._root_key, hashes.SHA256())
        )

    def chain_for(self, public_pem: bytes) -> str:
        """The chain for a public key kept elsewhere (PEM); `VALIDATION_FAILED` if it is not a P-256 key."""
        try:
            key = serialization.load_pem_public_key(public_pem)
        except ValueError as error:
            raise ChimeraError("VALIDATION_FAILED", "the file is not a public key in PEM form", {}) from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ChimeraError("VALIDATION_FAILED", f"key: got {type(key).__name__}, expected an EC P-256 key")
        return _pem(self.issue(key)) + _pem(self._root)

    def _make_root(self) -> x509.Certificate:
        name, key = "Chimera content root", self._root_key.public_key()
        return (
            _builder(name, name, key, self._now, self._now + timedelta(days=ROOT_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .sign(self._root_key, hashes.SHA256())
        )

    def _certificate(self, name: str, make: Callable[[], x509.Certificate]) -> x509.Certificate:
        path = self._folder / f"{name}.crt"
        if not path.exists():
            write_once(self._folder, path.name, _pem(make()).encode("ascii"), 0o644)
        try:
            return x509.load_pem_x509_certificate(path.read_bytes())
        except ValueError as error:
            raise ChimeraError(
                "INTERNAL", f"the certificate {path} cannot be read; remove it and it is made anew", {}
            ) from error


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Chimera")]
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=not signs, crl_sign=not signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _mismatch(folder: Path, name: str) -> ChimeraError:
    return ChimeraError(
        "INTERNAL",
        f"the certificate {folder / name}.crt is not of the key {name}.pem; remove it and it is made anew",
        {"name": name},
    )
