"""What the use cases need from the world; adapters implement it, bootstrap wires it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from chimera.domain.models import (
    Check,
    Draft,
    EngagementMetrics,
    Material,
    PublishRequest,
    Receipt,
    Snippet,
)


class Clock(Protocol):
    """The time, in UTC."""

    def now(self) -> datetime:
        """An aware UTC datetime."""
        ...


class MediaStore(Protocol):
    """Files by key: a folder on a laptop, S3 on AWS. Keys are `tenants/{tenant}/content/{content_id}/{kind}/{name}`."""

    def put_file(self, key: str, path: Path) -> str:
        """Store a file under the key, atomically, and give its address (`s3://…`)."""
        ...

    def put_bytes(self, key: str, data: bytes) -> str:
        """Store bytes under the key, atomically."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """The bytes; `NOT_FOUND` if there are none."""
        ...

    def fetch(self, key: str, to: Path) -> Path:
        """A local, readable copy of the file (or the file itself where it is local already)."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """All keys under a prefix, sorted."""
        ...

    def url(self, key: str, *, expires_seconds: int = 300) -> str:
        """An address a person can open, for a short time."""
        ...


class Workflows(Protocol):
    """State machines: start one, answer a waiting token."""

    def start(self, machine: str, name: str, input: dict[str, Any]) -> str:
        """Start an execution; the same name and input again is the same execution. Its id (ARN)."""
        ...

    def describe(self, execution_id: str) -> dict[str, Any]:
        """`{status, input, output, error, cause, started_at, stopped_at}`."""
        ...

    def history(self, execution_id: str) -> list[dict[str, Any]]:
        """The execution's events, oldest first."""
        ...

    def send_task_success(self, token: str, output: dict[str, Any]) -> None:
        """Answer a waiting task; `CONFLICT` if it was answered or timed out."""
        ...

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        """Fail a waiting task."""
        ...

    def stop(self, execution_id: str, cause: str) -> None:
        """Abort an execution and its children."""
        ...


class Signer(Protocol):
    """ES256 signatures by a key that only the CFO can use."""

    @property
    def key_id(self) -> str:
        """Names the key; verifiers look the public key up by it."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s, 64 bytes."""
        ...


class Verifier(Protocol):
    """Checks ES256 signatures with pinned public keys."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """False for an unknown key, a wrong length or a wrong signature; never raises for bad input."""
        ...


# --- providers: one folder each under adapters/, one contract test suite each under tests/


class Source(Protocol):
    """A place where trends come from."""

    name: str

    def fetch(self, *, keywords: Sequence[str], timeframe_hours: int, limit: int) -> list[Any]:
        """Up to `limit` RawTrend items, newest data first. Raises ChimeraError; never returns half a page as whole."""
        ...


class Writer(Protocol):
    """Writes a script from material, using only facts that stand in it."""

    name: str
    priority: int

    def write(self, material: Material) -> Draft:
        """A draft of 100–500 words that fits the asked duration."""
        ...


class PageReader(Protocol):
    """Reads the text of a page, safely."""

    def snippet(self, url: str) -> Snippet:
        """Up to 20,000 characters of the page's main text."""
        ...


class Voice(Protocol):
    """Speaks text."""

    name: str

    def synthesize(self, text: str, *, voice: str, speed_wpm: int, out_wav: Path) -> Any:
        """Writes a WAV; gives words with times in seconds (chimera.media.models.VoiceResult)."""
        ...


class Canvas(Protocol):
    """Paints the picture of a scene."""

    name: str


class Transcriber(Protocol):
    """Turns speech into text with times."""

    name: str

    def transcribe(self, media: Path, *, language: str | None = None) -> Any:
        """Segments and words with times in seconds."""
        ...


class CheckProvider(Protocol):
    """Asks one kind of question about a piece of content."""

    name: str

    def run(self, subject: Any) -> list[Check]:
        """Answers; an exception here becomes an unanswered check, hence a review."""
        ...


class Platform(Protocol):
    """A place to publish. It holds the credentials; nothing else does."""

    name: str

    def preflight(self, request: PublishRequest) -> list[str]:
        """Why the platform would refuse this, as sentences; empty when it would take it."""
        ...

    def lookup(self, request: PublishRequest) -> Receipt | None:
        """The post that carries this idempotency key, if there is one. Raises if it cannot be known."""
        ...

    def publish(self, request: PublishRequest) -> Receipt:
        """Posts once. A timeout or reset after sending is `OUTCOME_UNKNOWN`, never a blind retry."""
        ...

    def metrics(self, post_id: str) -> EngagementMetrics:
        """What the platform counts now; None for what it does not say."""
        ...

