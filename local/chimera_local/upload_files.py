"""Takes a form's file as S3 does: `multipart/form-data`, the signed fields first and the file last, written while it comes.

Where it goes, of what type and how large it may be stands in the signed policy; nothing of what the client names is a path.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from chimera.adapters.local.issuer import LocalIssuer
from chimera.adapters.local.upload_forms import UPLOAD_AUDIENCE
from chimera.errors import ChimeraError
from chimera.media.process import full_disk_reported
from chimera.ports import MediaStore

CHUNK = 256 * 1024
MAX_FIELDS = 20
MAX_FIELD_BYTES = 20_000
MAX_HEAD_BYTES = 8_000
SPARE_BYTES = 100_000
"""What the form may have besides its file."""
_BOUNDARY = re.compile(r'^multipart/form-data\s*;.*?\bboundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.I | re.S)
_NAME = re.compile(rb'^content-disposition:\s*form-data\s*;(?:[^\r\n]*?;)?\s*name="([^"\r\n]{1,100})"', re.I | re.M)


class Stream(Protocol):
    """A request's body."""

    def read1(self, size: int, /) -> bytes:
        """Some bytes, at most so many; none at the end."""
        ...


class _Body:
    """The body, cut at boundaries; never more than a chunk of it is in memory."""

    def __init__(self, stream: Stream, length: int, boundary: bytes) -> None:
        self._stream = stream
        self._left = length
        self._mark = b"\r\n--" + boundary
        self._held = b"\r\n"  # so that the first boundary looks like the others

    def _more(self) -> bool:
        if self._left <= 0:
            return False
        part = self._stream.read1(min(CHUNK, self._left))
        if not part:
            raise ConnectionError("the client went away")
        self._left -= len(part)
        self._held += part
        return True

    def until_boundary(self) -> Iterator[bytes]:
        """The bytes up to the next boundary, which is taken off."""
        while True:
            at = self._held.find(self._mark)
            if at >= 0:
                piece, self._held = self._held[:at], self._held[at + len(self._mark) :]
                if piece:
                    yield piece
                return
            keep = len(self._mark) - 1  # a boundary may have begun
            if len(self._held) > keep:
                piece, self._held = self._held[:-keep], self._held[-keep:]
                yield piece
            if not self._more():
                raise _bad("the form ends in the middle of a part")

    def head(self) -> bytes | None:
        """A part's header lines; None behind the last part."""
        while len(self._held) < 2 and self._more():
            pass
        if self._held.startswith(b"--"):
            return None
        while b"\r\n\r\n" not in self._held:
            if len(self._held) > MAX_HEAD_BYTES or not self._more():
                raise _bad("a part has no head")
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            raise _bad("a part's head is too long")
        return head


class UploadDesk:
    """Takes uploads for the forms that `issuer` signed; a file is in `folder` (on the store's disk) until it is whole."""

    def __init__(self, media: MediaStore, issuer: LocalIssuer, folder: Path) -> None:
        self._media = media
        self._issuer = issuer
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".upload-*"):
            left.unlink(missing_ok=True)  # of a process that was killed in the middle

    def take(self, stream: Stream, length: int, content_type: str, accepted: Callable[[], None]) -> str:
        """Store the form's file under the key of its policy, whole or not at all; gives the key.

        `accepted` is called once the policy is known to be ours, before the file is read. `VALIDATION_FAILED`: no such form,
        another type; `UNAUTHENTICATED`: no policy of ours, or too old; `FILE_TOO_LARGE`: more than the policy allows, noticed
        while it comes. What came until then is deleted.
        """
        found = _BOUNDARY.match(content_type)
        if found is None:
            raise _bad(f"got {content_type[:80]!r}, expected multipart/form-data")
        body = _Body(stream, length, (found[1] or found[2]).encode("latin-1", "replace"))
        if any(body.until_boundary()):
            raise _bad("something stands before the first part")
        fields: dict[str, str] = {}
        while (head := body.head()) is not None:
            named = _NAME.search(head)
            if named is None:
                raise _bad("a part has no name")
            name = named[1].decode("utf-8", "replace")
            if name == "file":
                claims = self._issuer.verify(fields.get("policy", ""), UPLOAD_AUDIENCE)
                accepted()
                return self._store(body, fields, length, claims)
            if len(fields) >= MAX_FIELDS:
                raise _bad(f"more than {MAX_FIELDS} fields")
            fields[name] = _field(body, name)
        raise _bad("there is no part named 'file'")

    def _store(self, body: _Body, fields: Mapping[str, str], length: int, claims: Mapping[str, Any]) -> str:
        key, kind, most = str(claims["key"]), str(claims["content_type"]), int(claims["max_bytes"])
        if fields.get("Content-Type") != kind:
            raise _bad(f"Content-Type: got {fields.get('Content-Type', '')[:80]!r}, expected {kind}")
        if length > most + SPARE_BYTES:
            raise _too_large(most)
        came = 0
        with full_disk_reported("taking an upload"):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".upload-")
            try:
                with os.fdopen(handle, "wb") as file:
                    for piece in body.until_boundary():
                        came += len(piece)
                        if came > most:
                            raise _too_large(most)
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                if came == 0:
                    raise _bad("the file has 0 bytes, expected at least 1")
                self._media.put_file(key, Path(name))
            finally:
                Path(name).unlink(missing_ok=True)
        return key


def _field(body: _Body, name: str) -> str:
    value = b""
    for piece in body.until_boundary():
        value += piece
        if len(value) > MAX_FIELD_BYTES:
            raise _bad(f"the field {name!r} is longer than {MAX_FIELD_BYTES:,} bytes")
    return value.decode("utf-8", "replace")


def _too_large(most: int) -> ChimeraError:
    return ChimeraError(
        "FILE_TOO_LARGE", f"the file has more than the {most:,} bytes that were asked for", {"limit": most}
    )


def _bad(why: str) -> ChimeraError:
    return ChimeraError("VALIDATION_FAILED", f"upload: {why}; expected the form's fields and then the file", {})
