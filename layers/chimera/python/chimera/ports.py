"""What the use cases need from the world; adapters implement it, bootstrap wires it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chimera.domain.models import (
    Check,
    Draft,
    EngagementMetrics,
    Material,
    Persona,
    PublishRequest,
    Receipt,
    Snippet,
)
from chimera.domain.transcripts import Transcript

if TYPE_CHECKING:  # what they import few functions carry
    from chimera.domain.fit import Candidate
    from chimera.media.models import VoiceResult


class Clock(Protocol):
    """The time, in UTC."""

    def now(self) -> datetime:
        """An aware UTC datetime."""
        ...


class MediaStore(Protocol):
    """Files by key: a folder on a laptop, S3 on AWS. Keys are `tenants/{tenant}/content/{content_id}/{kind}/{name}`."""

    def put_file(self, key: str, path: Path, *, temporary: bool = False) -> str:
        """Store a file under the key, atomically, and give its address (`s3://…`).

        `temporary`: only needed until its work is done; the store may forget it after some days.
        """
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


class ContentSigner(Protocol):
    """Signs the provenance manifest in a finished file: ES256 by a key that does nothing else, with its certificates."""

    @property
    def chain(self) -> str:
        """PEM certificates: the signing one first, each signed by the next, the root last."""
        ...

    @property
    def root(self) -> str:
        """The root's certificate as PEM: who trusts it, trusts the signature."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Raw r‖s, 64 bytes."""
        ...


class Verifier(Protocol):
    """Checks ES256 signatures with pinned public keys."""

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """False for an unknown key, a wrong length or a wrong signature; never raises for bad input."""
        ...


class TokenVerifier(Protocol):
    """Checks RS256 tokens with pinned public keys."""

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims; `UNAUTHENTICATED` for anything else than a live token of ours for this audience."""
        ...


class TokenIssuer(TokenVerifier, Protocol):
    """Mints RS256 tokens: an own key locally, KMS on AWS."""

    def mint(self, *, subject: str, audience: str, ttl_seconds: int, claims: dict[str, Any]) -> str:
        """A token with exp, iat, sub, aud, iss, jti and these further claims."""
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
    """Speaks text. `licence` and `origin` (`algorithm`, `trained_model`, `person`) go into the bill of materials.

    Further facts, each with its default for a voice that says nothing: `author` (its name), `source` (""), `paid` (False: a
    `PaidVoice` otherwise), `takes_language` (False), `takes_script` (False), `own_pace` (False: it follows `speed_wpm`).
    """

    name: str
    model: str
    priority: int
    licence: str
    origin: str
    takes_lexicon: bool

    @property
    def ready(self) -> bool:
        """Whether it can speak here: library and keys are there. Asking costs nothing."""
        ...

    def synthesize(
        self,
        text: str,
        *,
        voice: str,
        speed_wpm: int,
        out_wav: Path,
        lexicon: Mapping[str, str] | None = None,
    ) -> VoiceResult:
        """Writes 16-bit mono PCM; gives the words of the cleaned text, split at spaces, with times that never run back.

        `voice` is the provider's own name for one. `lexicon` is given to a voice that takes one, `language` besides to one
        with `takes_language`, and to one with `takes_script` the whole `script` by scene and which `scene` this text is.
        `VALIDATION_FAILED` for a wrong voice, speed or text; anything else lets the next voice of the chain speak.
        """
        ...


class PaidVoice(Voice, Protocol):
    """A voice that costs money; it pays from `context.paid` before each call."""

    paid: bool
    needs_keys: Sequence[str]

    def worst_case_micros(self, texts: Sequence[str], *, lexicon: Mapping[str, str] | None = None) -> int:
        """Micros that speaking these texts once cannot exceed; a model without a price is `VALIDATION_FAILED`."""
        ...


class Canvas(Protocol):
    """Paints the picture of a scene."""

    name: str


class Kept(Protocol):
    """What was paid for and must survive a kill: facts such as a task's id, and the file itself."""

    def noted(self) -> dict[str, Any]:
        """What was noted for this very work, by this attempt or one before it."""
        ...

    def note(self, facts: dict[str, Any]) -> None:
        """Keep facts at once."""
        ...

    def file(self, path: Path) -> None:
        """Keep the finished file at once; the work is not asked for again."""
        ...


class PictureMaker(Canvas, Protocol):
    """A canvas that is asked by a prompt and paid for each answer. `makes`: `photo` or `footage`.

    It may have `longest_seconds`, what one call takes at most (else 300): the step's time limit counts it in.
    """

    model: str
    makes: str
    priority: int
    needs_keys: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether its key is set."""
        ...

    def worst_case(self, prompt: str, *, aspect: str, seconds: float) -> int:
        """Micros that one answer cannot exceed."""
        ...

    def make(self, prompt: str, *, call_id: str, aspect: str, seconds: float, folder: Path, kept: Kept) -> Path:
        """The file, drawn for, paid and kept."""
        ...


class Library(Protocol):
    """Finds pictures and footage by others. `delivers`: `photo`, `footage`; `ready`: it can be asked (its key is there)."""

    name: str
    priority: int
    delivers: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether it can be asked."""
        ...

    def search(self, prompt: str, *, want: str, orientation: Any, language: str = "en") -> list[Candidate]:
        """Candidates with a known licence, the best first."""
        ...

    def fetch(self, candidate: Candidate, folder: Path) -> Path:
        """The file; what the terms ask for when one is used is done with it."""
        ...


class Transcriber(Protocol):
    """Turns speech into text with times. `rough`: its text is to be searched, not quoted."""

    name: str
    priority: int
    rough: bool

    @property
    def ready(self) -> bool:
        """Whether it can work here: library and weights are there. Asking loads neither."""
        ...

    def transcribe(self, media: Path, *, language: str | None = None, word_timestamps: bool = True) -> Transcript:
        """What is said in a sound or video file, times in seconds; `VALIDATION_FAILED` for what cannot be read."""
        ...


class CheckProvider(Protocol):
    """Asks one kind of question about a piece of content."""

    name: str

    def run(self, subject: Any) -> list[Check]:
        """Answers; an exception here becomes an unanswered check, hence a review."""
        ...


class Platform(Protocol):
    """A place to publish. It holds the credentials; nothing else does.

    `dedupes_by_key`: publishing the same idempotency key again gives the first post again, so that an absent
    post may be sent again at once. Where it is False, a repeat waits until no worker can be sending any more.
    """

    name: str
    dedupes_by_key: bool

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


# --- rows: what the remembering use cases keep

Row = dict[str, Any]
Cursor = tuple[str, str] | None  # (created_at, id) of the last row of the page before


class RunRows(Protocol):
    """Runs of one tenant; see adapters/postgres/runs.py."""

    def begin(self, run_id: str, execution_id: str, options: dict[str, Any]) -> Row:
        """Enter the run, once."""
        ...

    def get(self, run_id: str) -> Row:
        """The run; `NOT_FOUND`."""
        ...

    def set_status(self, run_id: str, status: str, **summary: Any) -> None:
        """Change the status, add to the summary."""
        ...

    def page(self, limit: int, before: Cursor) -> list[Row]:
        """Newest first."""
        ...


class ContentRows(Protocol):
    """Content of one tenant; see adapters/postgres/content.py."""

    def open(self, task_id: str, run_id: str, format: str = "video") -> Row:
        """Claim the task and open its row, once."""
        ...

    def get(self, content_id: str) -> Row:
        """The row; `NOT_FOUND`."""
        ...

    def of_run(self, run_id: str) -> list[Row]:
        """The content of a run."""
        ...

    def advance(self, content_id: str, stages: tuple[str, ...], **changes: Any) -> Row:
        """Change columns under `state_version`; `CONFLICT` for a loser or a wrong stage."""
        ...

    def close_task(self, task_id: str, status: str, error: dict[str, Any] | None = None) -> None:
        """Mark the task done or failed."""
        ...

    def save_video(self, content_id: str, title: str, video: dict[str, Any], assets: list[dict[str, Any]]) -> None:
        """The video's facts and all files."""
        ...

    def save_assets(self, content_id: str, assets: list[dict[str, Any]]) -> None:
        """All files of an image post."""
        ...

    def video(self, content_id: str) -> Row | None:
        """The video's facts."""
        ...

    def save_report(self, report: dict[str, Any]) -> None:
        """A safety report, once for each version."""
        ...

    def report(self, content_id: str) -> Row | None:
        """The newest safety report."""
        ...

    def rate_history(self, pixel_rate: int, limit: int = 20) -> list[Row]:
        """What earlier productions used."""
        ...


class PersonaRows(Protocol):
    """Personas of one tenant."""

    def get(self, persona_id: str) -> Persona:
        """The persona; `NOT_FOUND`."""
        ...

    def all(self) -> list[Persona]:
        """Every persona."""
        ...


class PublicationsOfContent(Protocol):
    """Where a piece of content went."""

    def of_content(self, content_id: str) -> list[Row]:
        """Its publications."""
        ...


class PublicationRows(PublicationsOfContent, Protocol):
    """Publications of one tenant; see adapters/postgres/publications.py."""

    def subject(self, content_id: str, channel_id: str) -> Row:
        """The content, if it may be published on the channel: `FORBIDDEN`, `POLICY_VIOLATION`, `CONFLICT`."""
        ...

    def plan(self, request: PublishRequest) -> Row:
        """Enter the intent, once for each (content, channel)."""
        ...

    def ready(self, publication_id: str) -> Row:
        """PLANNED becomes READY."""
        ...

    def claim_send(
        self,
        publication_id: str,
        *,
        state_version: int,
        jti: str,
        expires_at: datetime,
        content_hash: str,
        channel_id: str,
    ) -> Row:
        """Use up a grant: READY becomes SENDING."""
        ...

    def confirm(self, publication_id: str, receipt: Receipt) -> Row:
        """It is posted."""
        ...

    def ambiguous(self, publication_id: str, *, attempt: int | None, error: dict[str, Any], worker_ended: bool) -> Row:
        """The outcome of a send is not known."""
        ...

    def fail_permanent(self, publication_id: str, *, attempt: int, error: dict[str, Any]) -> Row:
        """It will never be posted."""
        ...

    def back_to_ready(self, publication_id: str, *, looked_up_at: datetime, dedupes_by_key: bool) -> Row:
        """A look-up found nothing."""
        ...

    def needs_human(self, publication_id: str, *, error: dict[str, Any], at_once: bool = False) -> Row:
        """A look-up had no answer."""
        ...

    def get(self, publication_id: str) -> Row:
        """The row; `NOT_FOUND`."""
        ...


class ReviewRows(Protocol):
    """Reviews of one tenant; see adapters/postgres/reviews.py."""

    def open(self, kind: Any, subject_id: str, subject_hash: str, reason: str) -> Row:
        """The review of this version, before anybody waits for it."""
        ...

    def request(self, kind: Any, subject_id: str, subject_hash: str, reason: str, task_token: str) -> Row:
        """Ask for a decision about this version, once."""
        ...

    def approve_in_advance(self, kind: Any, subject_id: str, subject_hash: str, by: str, note: str = "") -> Row:
        """Approved beforehand."""
        ...

    def decide(self, review_id: str, decision: Any, by: str, note: str, expected_hash: str) -> Row:
        """A person's decision about this version."""
        ...

    def page(self, limit: int, before: Cursor, status: str | None = None, kind: str | None = None) -> list[Row]:
        """Newest first."""
        ...

    def expire(self, review_id: str) -> Row:
        """Nobody answered in time: it counts as rejected."""
        ...

    def undelivered(self, limit: int = 100, review_id: str | None = None) -> list[Row]:
        """Decisions whose run was not told."""
        ...

    def mark_delivered(self, review_id: str, task_token: str) -> None:
        """The run was told."""
        ...

    def get(self, review_id: str) -> Row:
        """The review; `NOT_FOUND`."""
        ...


class EngagementRows(Protocol):
    """Measurements of one tenant; see adapters/postgres/engagement.py."""

    def open_dues(self, dues: dict[str, float], limit: int) -> list[Row]:
        """What is due and not measured."""
        ...

    def record(
        self, publication_id: str, due: str, metrics: EngagementMetrics, *, valid_for_seconds: float | None
    ) -> Row:
        """Keep a measurement, once for each due time."""
        ...
