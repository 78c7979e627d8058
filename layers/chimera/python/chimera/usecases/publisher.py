"""Publisher: one post for each (content, channel), step by step, each step one function.

`preflight`, `grant`, `claim`, `record_receipt`, `mark_ambiguous`, `resolve` and `fail` remember (database, no
platform); `publish`, `find_post` and `check` think (platform, no database). What is posted is written beside
the content by `preflight` and bound by its hash into the grant. Every step may be repeated.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from chimera.domain.cards import card_kinds, is_still, set_sha256
from chimera.domain.ids import stable_id
from chimera.domain.models import Model, PublishRequest, Receipt
from chimera.domain.post_text import described
from chimera.domain.publication import GRANT_TTL, State
from chimera.errors import ChimeraError, from_cause
from chimera.metrics import measure
from chimera.ports import Clock, MediaStore, Platform, PublicationRows, Row, TokenIssuer, TokenVerifier
from chimera.usecases.scope import content_prefix

GRANT_AUDIENCE = "publisher"
MAX_GRANT = timedelta(minutes=5)
MEDIA_KINDS = ("video", "thumbnail", "srt", "vtt")
# answers that mean: the platform or our own rules said no, nothing is posted
DEFINITIVE = frozenset(
    {
        "VALIDATION_FAILED",
        "PROVIDER_REJECTED",
        "POLICY_VIOLATION",
        "FILE_TOO_LARGE",
        "VIDEO_TOO_LONG",
        "FORBIDDEN",
        "INVALID_SIGNATURE",
    }
)


class Preflight(Model):
    """Input of `preflight`."""

    tenant_id: str
    content_id: str
    channel_id: str
    visibility: Literal["public", "unlisted", "private"] = "public"
    scheduled_at: datetime | None = None


class PublicationScope(Model):
    """What every later step carries."""

    tenant_id: str
    run_id: str = ""
    content_id: str
    channel_id: str
    publication_id: str

    @property
    def request_key(self) -> str:
        """Where the request lies in the media store."""
        return _request_key(self.tenant_id, self.content_id, self.publication_id)


class Granted(PublicationScope):
    """Input of `claim` and `publish`."""

    grant: str


class RecordReceipt(PublicationScope):
    """Input of `record_receipt`."""

    receipt: Receipt


class Failed(PublicationScope):
    """Input of `mark_ambiguous` and `fail`: the error's name and cause as the state machine caught them."""

    failure: dict[str, Any] = Field(default={})


class Lookup(Model):
    """What `find_post` found. `unknown`: the platform gave no answer."""

    outcome: Literal["found", "absent", "unknown"]
    receipt: Receipt | None = None
    looked_up_at: datetime | None = None
    dedupes_by_key: bool = False
    error: dict[str, Any] = Field(default={})


class Resolve(PublicationScope):
    """Input of `resolve`."""

    lookup: Lookup


# --- remembers


def preflight(event: Preflight, rows: PublicationRows, media: MediaStore) -> dict[str, Any]:
    """May this go there, and did it already? Enters the intent; published before gives the first receipt."""
    key = stable_id("publication", event.tenant_id, event.content_id, event.channel_id)
    try:
        known: Row | None = rows.get(key)
    except ChimeraError as error:
        if error.code != "NOT_FOUND":
            raise
        known = None
    if known is not None and known["state"] not in (State.PLANNED, State.READY, State.FAILED_PERMANENT):
        return view(known)
    content = rows.subject(event.content_id, event.channel_id)
    _require_licences(content)
    row = rows.plan(_request(event, key, content))
    media.put_bytes(_request_key(event.tenant_id, event.content_id, key), _request_bytes(row))
    return view(rows.ready(key))


def dry_run(event: Preflight, rows: PublicationRows, platforms: Mapping[str, Platform]) -> dict[str, Any]:
    """What would be posted, and why the platform would refuse it; nothing is entered or sent."""
    key = stable_id("publication", event.tenant_id, event.content_id, event.channel_id)
    content = rows.subject(event.content_id, event.channel_id)
    request = _request(event, key, content)
    problems = [f"unknown licence: {item}" for item in _unlicensed(content)]
    return {"request": request.model_dump(mode="json"), "problems": [*problems, *check(request, platforms)]}


def grant(event: PublicationScope, rows: PublicationRows, issuer: TokenIssuer) -> dict[str, Any]:
    """A signed permission for this content hash and channel, GRANT_TTL long, good for one claim."""
    row = rows.get(event.publication_id)
    if row["state"] != State.READY:
        raise ChimeraError(
            "CONFLICT",
            f"publication {event.publication_id} is {row['state']}, expected READY",
            {"publication_id": event.publication_id, "state": row["state"]},
        )
    token = issuer.mint(
        subject="publisher",
        audience=GRANT_AUDIENCE,
        ttl_seconds=int(GRANT_TTL.total_seconds()),
        claims={
            "publication_id": str(row["id"]),
            "content_hash": row["content_hash"],
            "channel_id": row["channel_id"],
            "request_sha256": hashlib.sha256(_request_bytes(row)).hexdigest(),
            "state_version": row["state_version"],
            "attempt": row["attempts"] + 1,
        },
    )
    return {**view(row), "grant": token}


def claim(event: Granted, rows: PublicationRows, verifier: TokenVerifier) -> dict[str, Any]:
    """Use up the grant: from here on one worker may send. `CONFLICT` if another one may."""
    claims = _grant_claims(verifier, event)
    row = rows.claim_send(
        event.publication_id,
        state_version=claims["state_version"],
        jti=claims["jti"],
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        content_hash=claims["content_hash"],
        channel_id=claims["channel_id"],
    )
    if row["state"] not in (State.SENDING, State.CONFIRMED):
        raise ChimeraError(
            "CONFLICT",
            f"the claim is over, publication {event.publication_id} is {row['state']}",
            {"publication_id": event.publication_id, "state": row["state"]},
        )
    return {**view(row), "grant": event.grant}


def record_receipt(event: RecordReceipt, rows: PublicationRows) -> dict[str, Any]:
    """CONFIRMED; again is the same."""
    return _counted(view(rows.confirm(event.publication_id, event.receipt)))


def mark_ambiguous(event: Failed, rows: PublicationRows) -> dict[str, Any]:
    """It may be posted or not. An error that our worker itself raised says that it sends no more.

    Where the platform dedupes, nobody has to wait for a worker that may still be sending either.
    """
    body, attempt = _failure(event.failure)
    at_once = attempt is not None or body.get("details", {}).get("dedupes_by_key") is True
    return _counted(view(rows.ambiguous(event.publication_id, attempt=attempt, error=body, worker_ended=at_once)))


def resolve(event: Resolve, rows: PublicationRows) -> dict[str, Any]:
    """Found: CONFIRMED. Surely absent: READY. Else AMBIGUOUS for another look-up, in the end NEEDS_HUMAN."""
    lookup = event.lookup
    if lookup.outcome == "found" and lookup.receipt is not None:
        return view(rows.confirm(event.publication_id, lookup.receipt))
    if lookup.outcome == "absent" and lookup.looked_up_at is not None:
        return view(
            rows.back_to_ready(
                event.publication_id, looked_up_at=lookup.looked_up_at, dedupes_by_key=lookup.dedupes_by_key
            )
        )
    return view(rows.needs_human(event.publication_id, error=lookup.error or {"code": "OUTCOME_UNKNOWN"}))


def fail(event: Failed, rows: PublicationRows) -> dict[str, Any]:
    """FAILED_PERMANENT, if the error means that nothing is posted and never will be; else nothing is decided.

    While something is being sent, only that claim's own error counts; any other one (a grant that lost
    against another run, a paused system) leaves the publication as it is.
    """
    body, attempt = _failure(event.failure)
    row = rows.get(event.publication_id)
    if body.get("code") not in DEFINITIVE:
        if row["state"] == State.SENDING and attempt is not None:
            return mark_ambiguous(event, rows)
        return view(row)
    if row["state"] in (State.PLANNED, State.READY):
        attempt = row["attempts"]
    if attempt is None:
        return view(row)
    return _counted(view(rows.fail_permanent(event.publication_id, attempt=attempt, error=body)))


def _counted(answer: dict[str, Any]) -> dict[str, Any]:
    """Count where a post came to: published, failed, or unknown so far."""
    measure("publications_total", status=str(answer["status"]))
    return answer


def receipt_of(row: Row) -> Receipt:
    """The row as the contract's receipt."""
    return Receipt(
        publication_id=str(row["id"]),
        platform=row["platform"],
        channel_id=row["channel_id"],
        post_id=row["post_id"],
        url=row["url"],
        status=row["status"],
        published_at=row["published_at"],
        attempts=row["attempts"],
        idempotency_key=row["idempotency_key"],
    )


def view(row: Row) -> dict[str, Any]:
    """A row for the state machine: the receipt, `state`, `settle_seconds` until a look-up is proof."""
    lease = row["lease_until"]
    left = (lease - datetime.now(UTC)).total_seconds() if lease else 0
    return {
        **receipt_of(row).model_dump(mode="json"),
        "state": row["state"],
        "content_hash": row["content_hash"],
        "settle_seconds": max(1, math.ceil(left) + 1),
        "error": row["last_error"],
    }


# --- thinks


def check(request: PublishRequest, platforms: Mapping[str, Platform]) -> list[str]:
    """Why the platform would refuse this; empty when it would take it."""
    return _platform(platforms, request.platform).preflight(request)


def publish(
    event: Granted, platforms: Mapping[str, Platform], media: MediaStore, verifier: TokenVerifier
) -> dict[str, Any]:
    """Look whether the post is there, then post it once; the receipt. Not to be repeated blindly.

    Raises `OUTCOME_UNKNOWN` for whatever breaks after the send began: only a look-up can tell. Errors of
    DEFINITIVE mean that nothing is posted. They carry `attempt`, so that a late one cannot touch a later
    claim.
    """
    data = media.get_bytes(event.request_key)
    request = PublishRequest.model_validate_json(data)
    platform = _platform(platforms, request.platform)
    claims = _grant_or_expired(verifier, event)
    attempt = {"attempt": claims["attempt"]} if claims else {}
    if claims and claims["request_sha256"] != hashlib.sha256(data).hexdigest():
        raise ChimeraError("FORBIDDEN", "the grant is for another request", attempt)
    try:
        found = platform.lookup(request)
        if found is None and claims is None:
            raise ChimeraError(
                "OUTCOME_UNKNOWN",
                "the grant expired before the post was sent; an earlier try may have sent it",
                {"dedupes_by_key": _dedupes(platform)},
            )
        if found is None:
            problems = platform.preflight(request)
            if problems:
                raise ChimeraError(
                    "VALIDATION_FAILED",
                    f"{request.platform} would refuse: {'; '.join(problems)}",
                    {"problems": problems},
                )
            _require_judged_bytes(request, media)
            _arm(event, claims or {}, platform, media)
            found = platform.publish(request)
        if not found.post_id or found.idempotency_key != request.idempotency_key:
            raise ChimeraError("OUTCOME_UNKNOWN", f"{request.platform} gave a receipt that names no post of ours")
    except ChimeraError as error:
        if error.code in DEFINITIVE | {"RATE_LIMITED", "OUTCOME_UNKNOWN"}:
            error.details = {**error.details, **attempt}
            raise
        raise ChimeraError(
            "OUTCOME_UNKNOWN", error.message, {**error.details, **attempt, "cause": error.code}
        ) from error
    except Exception as error:  # whatever it is, the post may be out
        raise ChimeraError(
            "OUTCOME_UNKNOWN",
            f"{request.platform} broke off: {type(error).__name__}: {str(error)[:200]}",
            {**attempt, "cause": type(error).__name__},
        ) from error
    return found.model_dump(mode="json")


def find_post(
    event: PublicationScope, platforms: Mapping[str, Platform], media: MediaStore, clock: Clock
) -> dict[str, Any]:
    """Read the platform back: found, absent, or unknown. The time is taken before the question."""
    request = PublishRequest.model_validate_json(media.get_bytes(event.request_key))
    platform = _platform(platforms, request.platform)
    looked_up_at = clock.now()
    try:
        receipt = platform.lookup(request)
    except ChimeraError as error:
        if error.retryable:
            raise
        return Lookup(outcome="unknown", error=error.body()["error"]).model_dump(mode="json")
    return Lookup(
        outcome="found" if receipt else "absent",
        receipt=receipt,
        looked_up_at=looked_up_at,
        dedupes_by_key=_dedupes(platform),
    ).model_dump(mode="json")


# --- inside


def _unlicensed(content: Row) -> list[str]:
    licences = (content.get("metadata") or {}).get("licences") or {}
    return [str(item) for item in licences.get("unknown") or []]


def _require_licences(content: Row) -> None:
    """`POLICY_VIOLATION` if something in it has an unknown licence: not even a person's approval publishes that."""
    unknown = _unlicensed(content)
    if unknown:
        raise ChimeraError(
            "POLICY_VIOLATION",
            f"unknown licence: {'; '.join(unknown[:5])}; nothing is published until it is replaced or its licence is known",
            {"unlicensed": unknown[:50]},
        )


def _request(event: Preflight, key: str, content: Row) -> PublishRequest:
    brief = content["brief"]
    format = str(brief.get("format") or "video")
    video = None if is_still(format) else content["video"]
    still = ((content.get("metadata") or {}).get("still") or {}) if is_still(format) else {}
    kinds = card_kinds(content["media"]) if is_still(format) else MEDIA_KINDS
    tags = [str(tag).lstrip("#") for tag in brief.get("hashtags", [])]
    return PublishRequest(
        content_id=event.content_id,
        platform=content["platform"],
        channel_id=event.channel_id,
        title=str(brief.get("title") or content["title"] or "Untitled")[:100],
        description=described(
            str(brief.get("description") or ""), str(brief.get("title") or ""), content.get("metadata") or {}
        ),
        tags=tags,
        scheduled_at=event.scheduled_at,
        visibility=event.visibility,
        idempotency_key=key,
        content_hash=content["content_hash"],
        format=format,
        media={kind: content["media"][kind] for kind in kinds if content["media"].get(kind)},
        video_sha256=str(video["sha256"]) if video else str(still.get("sha256") or ""),
        posts=still.get("posts", []),
        post_media=still.get("post_media", []),
        alt=still.get("alt", {}),
        duration_seconds=_seconds(brief, video, format),
        language=str(brief.get("language") or content["persona_language"]),
        sources=[str(source) for source in brief.get("sources", [])][:20],
    )


def _seconds(brief: dict[str, Any], video: Row | None, format: str) -> float:
    if video:
        return float(video["duration_seconds"])
    return 0.0 if is_still(format) else float(brief.get("duration_seconds") or 0)


def _request_key(tenant_id: str, content_id: str, publication_id: str) -> str:
    return f"{content_prefix(tenant_id, content_id)}/publish/{publication_id}.json"


def _request_bytes(row: Row) -> bytes:
    return json.dumps(row["request"], sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _grant_claims(verifier: TokenVerifier, event: Granted) -> dict[str, Any]:
    """The grant's claims; `UNAUTHENTICATED` unless ours, live and short; `FORBIDDEN` if for another post."""
    claims = verifier.verify(event.grant, GRANT_AUDIENCE)
    types = {"state_version": int, "attempt": int, "content_hash": str, "request_sha256": str}
    sound = all(type(claims.get(name)) is kind for name, kind in types.items())
    if not sound or claims["exp"] - claims["iat"] > MAX_GRANT.total_seconds():
        raise ChimeraError("UNAUTHENTICATED", "the token is not a publish grant", {"reason": "claims"})
    if (claims.get("publication_id"), claims.get("channel_id")) != (event.publication_id, event.channel_id):
        raise ChimeraError(
            "FORBIDDEN", "the grant is for another publication", {"publication_id": event.publication_id}
        )
    return claims


def _grant_or_expired(verifier: TokenVerifier, event: Granted) -> dict[str, Any] | None:
    """The claims, or None for a grant of ours that ran out: a resumed run looks instead of sending."""
    try:
        return _grant_claims(verifier, event)
    except ChimeraError as error:
        if error.code == "UNAUTHENTICATED" and error.details.get("reason") == "ExpiredSignatureError":
            return None
        raise


def _require_judged_bytes(request: PublishRequest, media: MediaStore) -> None:
    """`POLICY_VIOLATION` if the video, or any card or text of an image post, is not the one that was judged or approved."""
    still = is_still(request.format)
    if not still and (not request.video_sha256 or "video" not in request.media):
        return
    kinds = card_kinds(request.media) if still else ["video"]
    with tempfile.TemporaryDirectory(prefix="publish-") as folder:
        hashes = [_file_sha256(media, request.media[kind], Path(folder) / kind) for kind in kinds]
    got = hashes[0] if not still else set_sha256(
        hashes, posts=request.posts, post_media=request.post_media, alt=request.alt
    )  # fmt: skip
    if got != request.video_sha256:
        raise ChimeraError(
            "POLICY_VIOLATION",
            f"the {request.format} was changed after it was judged; it is not published",
            {"expected": request.video_sha256, "got": got},
        )


def _file_sha256(media: MediaStore, key: str, copy: Path) -> str:
    with media.fetch(key, copy).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arm(event: Granted, claims: dict[str, Any], platform: Platform, media: MediaStore) -> None:
    """Leave a mark before the send, where the platform cannot tell a repeat from a new post.

    A step that is run again after a crash finds it: the first try may have sent what no look-up shows yet.
    """
    if _dedupes(platform):
        return
    mark = f"{content_prefix(event.tenant_id, event.content_id)}/publish/{claims['jti']}.armed"
    if media.exists(mark):
        raise ChimeraError("OUTCOME_UNKNOWN", "an earlier try of this claim may have sent it; look before sending")
    media.put_bytes(mark, b"armed\n")


def _dedupes(platform: Platform) -> bool:
    return bool(getattr(platform, "dedupes_by_key", False))


def _platform(platforms: Mapping[str, Platform], name: str) -> Platform:
    if name not in platforms:
        raise ChimeraError(
            "NOT_FOUND", f"no platform {name!r} is installed; there are: {', '.join(sorted(platforms))}", {}
        )
    return platforms[name]


def _failure(failure: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """The error's body and, if our own worker raised it, the claim that it belongs to."""
    error = from_cause(str(failure.get("cause") or ""))
    if error is None:
        return {"code": "INTERNAL", "message": f"{failure.get('error')}: {failure.get('cause')}"[:2000]}, None
    attempt = error.details.get("attempt")
    body = {"code": error.code, "message": error.message[:2000], "details": error.details}
    return body, attempt if type(attempt) is int else None
