"""The CFO's key on a laptop: an ES256 key file that only its owner can read, and public keys by id beside
it."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from chimera.errors import ChimeraError

_KID = re.compile(r"[A-Za-z0-9_-]{43}")


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """The key's id: RFC 7638 thumbprint of its JWK, base64url."""
    numbers = key.public_numbers()
    jwk = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32))}
    return _b64(sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())


class KeyFileSigner:
    """Signs with `<folder>/<name>.pem` (P-256, mode 0600), made on first use; processes that start at once
    agree on one key."""

    def __init__(self, folder: Path, name: str = "cfo-signing") -> None:
        self._key = load_or_create(folder, name)
        self._kid = thumbprint(self._key.public_key())
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_once(folder / "public", f"{self._kid}.pem", public, 0o644)

    @property
    def key_id(self) -> str:
        """The public key's thumbprint."""
        return self._kid

    def sign(self, message: bytes) -> bytes:
        """ES256, raw r‖s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


class KeyFiles:
    """The key files of one folder by purpose, and their rotation.

    A rotation prepares `<name>.next.pem`, and once everything is written down with the old key, `switch` puts it in
    place. The old private key stays as `<name>.<key id>.retired.pem` (mode 0400), its public key where it was.
    """

    NAMES: ClassVar[dict[str, str]] = {"cfo": "cfo-signing", "seal": "seal-signing"}

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def signer(self, purpose: str) -> KeyFileSigner:
        """The key in use, read from its file now."""
        return KeyFileSigner(self._folder, self.NAMES[purpose])

    def prepare(self, purpose: str) -> KeyFileSigner:
        """The key that comes next: made once, the same until `switch`."""
        return KeyFileSigner(self._folder, f"{self.NAMES[purpose]}.next")

    def prepared(self, purpose: str) -> KeyFileSigner | None:
        """The key that a rotation prepared and did not put in place yet."""
        path = self._folder / f"{self.NAMES[purpose]}.next.pem"
        return self.prepare(purpose) if path.exists() else None

    def switch(self, purpose: str) -> None:
        """Put the prepared key in place, atomically; again, and without a prepared one, is nothing."""
        name = self.NAMES[purpose]
        following = self._folder / f"{name}.next.pem"
        if not following.exists():
            return
        old = self.signer(purpose)
        current = self._folder / f"{name}.pem"
        write_once(self._folder, f"{name}.{old.key_id}.retired.pem", current.read_bytes(), 0o400)
        following.replace(current)

    def by_id(self, purpose: str, key_id: str) -> KeyFileSigner | None:
        """The key in use, if this is its id; a retired one signs nothing any more."""
        signer = self.signer(purpose)
        return signer if signer.key_id == key_id else None

    def is_due(self, purpose: str) -> bool:
        """Never by itself: a person rotates key files, with nothing else running."""
        return False

    def public_pem(self, key_id: str) -> str | None:
        """A public key as PEM, old ones included; None when it is not in the folder."""
        if not _KID.fullmatch(key_id):
            return None
        try:
            return (self._folder / "public" / f"{key_id}.pem").read_text(encoding="ascii")
        except (OSError, ValueError):
            return None


class KeyFolderVerifier:
    """Checks signatures with the public keys in `<folder>/public/<key id>.pem`, old ones included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "public"
        self._keys: dict[str, ec.EllipticCurvePublicKey] = {}

    def __reduce__(self) -> tuple[type[KeyFolderVerifier], tuple[Path]]:
        """To another process goes the folder; keys are read there again."""
        return KeyFolderVerifier, (self._folder.parent,)

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """False for an unknown key, a wrong length or a wrong signature; never raises for bad input."""
        key = self._public_key(key_id)
        if key is None or len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def _public_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        if key_id in self._keys:
            return self._keys[key_id]
        if not _KID.fullmatch(key_id):  # an id becomes a file name
            return None
        try:
            key = serialization.load_pem_public_key((self._folder / f"{key_id}.pem").read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            return None
        if thumbprint(key) != key_id:  # the file is not the key that its name says
            return None
        self._keys[key_id] = key
        return key


def load_or_create(folder: Path, name: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in `<folder>/<name>.pem`, made on first use; `FORBIDDEN` if others could read it."""
    path = folder / f"{name}.pem"
    if not path.exists():
        new = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_once(folder, path.name, new, 0o600)
    mode = path.stat().st_mode & 0o777
    if sys.platform != "win32" and mode & 0o077:
        raise ChimeraError(
            "FORBIDDEN",
            f"the signing key {path} is open to others (mode {mode:04o}, expected 0600): chmod 600 it",
            {"mode": f"{mode:04o}", "expected": "0600"},
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ChimeraError(
            "INTERNAL", f"the signing key {path} cannot be read", {"reason": str(error)[:200]}
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChimeraError("INTERNAL", f"the signing key {path} is not an EC P-256 key")
    return key


def write_once(folder: Path, name: str, data: bytes, mode: int) -> None:
    """The file appears whole, and the first writer wins."""
    target = folder / name
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return
        except OSError:  # no hard links on this disk: a rename may replace a twin's key, made in the same instant
            Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
