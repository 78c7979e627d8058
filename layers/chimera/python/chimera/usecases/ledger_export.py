"""The whole ledger in one file that can be checked without Chimera: rows with their exact signed bytes, seals, counters.

JSON Lines; the format is in docs/ledger.md and `tools/verify_export.py` reads it. Rows are streamed; the counters are those of
the moment in which the chain's head was the last row of the file.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from chimera.domain.ids import new_id
from chimera.domain.ledger import FIELDS, Entry, timestamp
from chimera.domain.seals import Seal
from chimera.errors import ChimeraError

FORMAT, VERSION = "chimera.ledger.export", 1
BATCH = 1000
COLUMNS = tuple(name for name in FIELDS if name not in {"body", "prev_hash", "row_hash"})


@dataclass(frozen=True)
class ExportSnapshot:
    """What stands beside the ledger, read while row `head_seq` was the last. Rows of `lines` are written as they are."""

    at: datetime
    head_seq: int
    head_hash: bytes
    lines: Sequence[dict[str, Any]] = field(default_factory=list)
    """Objects of type `counter`, `limit`, `reservation` and `freeze`; amounts in micros."""


class ExportRows(Protocol):
    """One tenant's ledger, as an export reads it."""

    @property
    def tenant_id(self) -> str:
        """Whose."""
        ...

    def snapshot(self) -> ExportSnapshot:
        """The chain's head and what stands beside the ledger, of one moment."""
        ...

    def entries(self, after: int, upto: int, limit: int) -> Sequence[Entry]:
        """Up to `limit` rows with after < seq <= upto, in order, with their signatures."""
        ...

    def seals(self, upto: int) -> Iterator[Seal]:
        """The recorded seals of rows up to `upto`, in order."""
        ...

    def purposes(self) -> Mapping[str, str]:
        """Key id to purpose (cfo, seal) of every key that signed or was announced."""
        ...


class PublicKeys(Protocol):
    """Public keys by id."""

    def public_pem(self, key_id: str) -> str | None:
        """The key as PEM, if it is known."""
        ...


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    rows: int
    seals: int
    head: str
    bytes: int


def export_bundle(
    path: Path,
    rows: ExportRows,
    keys: PublicKeys,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write the bundle; the file appears whole or not at all, and replaces one of that name.

    `progress(rows done, rows in all)` is called after each batch. `VALIDATION_FAILED` when the folder cannot be written,
    `CONFLICT` when rows are missing.
    """
    temporary = path.with_name(f".{path.name}.{new_id()}.part")
    try:
        with temporary.open("xb") as file:
            found = _write(file, rows, keys, progress)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.replace(path)
    except OSError as error:
        raise ChimeraError(
            "VALIDATION_FAILED", f"{path} cannot be written: {error.strerror}; name a file in a folder that can be"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return Exported(path, found.head_seq, found.seals, found.head_hash.hex(), size)


@dataclass(frozen=True)
class _Written:
    head_seq: int
    head_hash: bytes
    seals: int


def _write(file: BinaryIO, rows: ExportRows, keys: PublicKeys, progress: Callable[[int, int], None]) -> _Written:
    digest = sha256()
    lines = 0

    def line(value: dict[str, Any]) -> None:
        nonlocal lines
        data = json.dumps(value, separators=(",", ":")).encode() + b"\n"  # ASCII: no character in it ends a line
        digest.update(data)
        file.write(data)
        lines += 1

    snapshot = rows.snapshot()
    seals = list(rows.seals(snapshot.head_seq))
    line(_header(rows, keys, snapshot, len(seals)))
    done = 0
    while done < snapshot.head_seq:
        batch = rows.entries(done, snapshot.head_seq, BATCH)
        if not batch or batch[0].seq != done + 1 or batch[-1].seq != done + len(batch):
            raise ChimeraError("CONFLICT", f"rows are missing after row {done}; `chimera ledger verify` says which")
        for entry in batch:
            line(row_line(entry))
        done += len(batch)
        progress(done, snapshot.head_seq)
    for seal in seals:
        line(seal_line(seal))
    for value in snapshot.lines:
        line(value)
    file.write(json.dumps({"type": "end", "lines": lines, "sha256": digest.hexdigest()}).encode() + b"\n")
    return _Written(snapshot.head_seq, snapshot.head_hash, len(seals))


def _header(rows: ExportRows, keys: PublicKeys, snapshot: ExportSnapshot, seals: int) -> dict[str, Any]:
    return {
        "type": "header",
        "format": FORMAT,
        "version": VERSION,
        "tenant_id": rows.tenant_id,
        "exported_at": timestamp(snapshot.at),
        "head": {"seq": snapshot.head_seq, "hash": snapshot.head_hash.hex()},
        "rows": snapshot.head_seq,
        "seals": seals,
        "keys": [
            {"kid": kid, "purpose": purpose, "pem": pem}
            for kid, purpose in sorted(rows.purposes().items())
            if (pem := keys.public_pem(kid)) is not None
        ],
    }


def row_line(entry: Entry) -> dict[str, Any]:
    """A row as it is exported: the exact bytes, the hashes, the signature, and every column of the table."""
    return {
        "type": "row",
        "body": _b64(entry.body),
        "prev": entry.prev_hash.hex(),
        "hash": entry.row_hash.hex(),
        "sig": None if entry.signature is None else _b64(entry.signature),
        "signed_by": entry.signed_by,
        "columns": {name: _plain(getattr(entry, name)) for name in COLUMNS},
    }


def seal_line(seal: Seal) -> dict[str, Any]:
    """A seal as it is exported."""
    signature = base64.urlsafe_b64encode(seal.signature).rstrip(b"=").decode("ascii")
    return {"type": "seal", "body": _b64(seal.body), "kid": seal.kid, "sig": signature}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return timestamp(value)
    return value.hex() if isinstance(value, bytes) else value


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
