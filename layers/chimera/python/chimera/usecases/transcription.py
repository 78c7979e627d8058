"""What the transcribe container runs: one media file in, what was said in it out, as JSON and as captions."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from chimera.domain.models import Model
from chimera.domain.transcripts import Segment, Transcript
from chimera.errors import ChimeraError
from chimera.ports import MediaStore, Transcriber
from chimera.usecases.ingest import upload_prefix
from chimera.usecases.job_ends import failed, stops_on_sigterm
from chimera.usecases.scope import content_prefix

LINE_CHARS = 42
"""Of a caption's line: what fits a screen's width (BBC and Netflix guides)."""
_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class TranscribeJob(Model):
    """The job: whose content, which file of the tenant's (a key), and what is wanted."""

    tenant_id: str = Field(pattern=_ID)
    content_id: str = Field(pattern=_ID)
    folder: Literal["content", "uploads"] = Field(default="content", description="What the id is of")
    media: str = Field(min_length=1, max_length=1024)
    language: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    word_timestamps: bool = True
    engine: str = Field(default="", max_length=100, description="A transcriber's name; empty: the best that is set up")

    @field_validator("media")
    @classmethod
    def _of_the_store(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("expected a key of the media store, such as tenants/T/content/C/audio/talk.wav")
        return value


def transcribe(job: TranscribeJob, media: MediaStore, work: Path, engines: dict[str, Transcriber]) -> dict[str, Any]:
    """Transcribe, and keep `reports/transcript.json`, `captions/transcript.srt` and `.vtt`; done before, it is not done
    again. `FORBIDDEN` for another tenant's file."""
    from chimera.media import captions

    if not job.media.startswith(f"tenants/{job.tenant_id}/"):
        raise ChimeraError("FORBIDDEN", f"media: {job.media[:200]!r} is not of tenant {job.tenant_id}", {})
    engine = chosen(engines, job.engine)
    file = media.fetch(job.media, work / f"media{Path(job.media).suffix[:10]}")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    asked = [digest, job.language, job.word_timestamps, engine.name, getattr(engine, "model", "")]
    fingerprint = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    prefix = (content_prefix if job.folder == "content" else upload_prefix)(job.tenant_id, job.content_id)
    key = f"{prefix}/reports/transcript.json"
    if media.exists(key):
        known: dict[str, Any] = json.loads(media.get_bytes(key))
        if known.get("fingerprint") == fingerprint:
            return known
    # words are always asked for: captions are cut by them; they are left out of the answer if nobody wants them
    heard = engine.transcribe(file, language=job.language, word_timestamps=True)
    cues = cues_of(heard)
    files = {
        "srt": media.put_bytes(f"{prefix}/captions/transcript.srt", captions.srt(cues).encode()),
        "vtt": media.put_bytes(f"{prefix}/captions/transcript.vtt", captions.vtt(cues, heard.language).encode()),
    }
    answer = {
        "fingerprint": fingerprint,
        "media": job.media,
        "media_sha256": digest,
        "language": heard.language,
        "text": heard.text,
        "segments": [_shown(segment, words=job.word_timestamps) for segment in heard.segments],
        "engine": heard.engine,
        "model": heard.model,
        "rough": heard.rough,
        "duration_seconds": heard.duration_seconds,
        "files": files,
    }
    media.put_bytes(key, json.dumps(answer, ensure_ascii=False).encode())
    return answer


def chosen(engines: dict[str, Transcriber], name: str) -> Transcriber:
    """The transcriber of that name, else the ready one of the lowest priority number; `NOT_FOUND` says which there are."""
    there = {known: engine for known, engine in engines.items() if engine.ready}
    if (name and name not in there) or not there:
        raise ChimeraError(
            "NOT_FOUND",
            f"transcriber: got {name or 'none'!r}; set up here: {', '.join(sorted(there)) or 'none'}",
            {"transcriber": name},
        )
    return there[name] if name else min(there.values(), key=lambda engine: (engine.priority, engine.name))


def cues_of(transcript: Transcript) -> list[Any]:
    """Captions of two lines at most; a segment without words is spread over its time by the length of its words."""
    from chimera.media.captions import make_cues
    from chimera.media.models import Word

    cues: list[Any] = []
    for segment in transcript.segments:
        words = [Word(text=w.text, start=w.start, end=max(w.start, w.end)) for w in segment.words] or [
            Word(text=text, start=start, end=end) for text, start, end in _spread(segment)
        ]
        cues += make_cues(words, line_chars=LINE_CHARS, limit=max(segment.end, segment.start + 0.05))
    return cues


def run(
    arguments: list[str], media: MediaStore, work: Path, engines: Callable[[], dict[str, Transcriber]], name: str = ""
) -> int:
    """Parse the container's command (`transcribe --job JSON`) and run it. 0 done, 1 failed, 143 asked to stop."""
    stops_on_sigterm()
    try:
        job = parse_job(arguments)
        done = transcribe(job.model_copy(update={"engine": job.engine or name}), media, work, engines())
    except (ChimeraError, OSError) as error:
        return failed(error)
    sys.stdout.write(
        json.dumps({k: done[k] for k in ("language", "engine", "rough", "duration_seconds", "files")}) + "\n"
    )
    return 0


def parse_job(arguments: list[str]) -> TranscribeJob:
    """The job of `transcribe --job JSON`; `VALIDATION_FAILED` names what is wrong with it."""
    if len(arguments) != 3 or arguments[:2] != ["transcribe", "--job"]:
        raise ChimeraError("VALIDATION_FAILED", f"got {' '.join(arguments)[:200]!r}, expected: transcribe --job JSON")
    try:
        return TranscribeJob.model_validate_json(arguments[2])
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'job'}: {p['msg']}" for p in error.errors())
        raise ChimeraError("VALIDATION_FAILED", re.sub(r"\s+", " ", problems)[:500]) from None


def _shown(segment: Segment, *, words: bool) -> dict[str, Any]:
    return segment.model_dump(mode="json", exclude=None if words else {"words"})


def _spread(segment: Segment) -> list[tuple[str, float, float]]:
    words = segment.text.split()
    total = sum(len(word) + 1 for word in words)
    at, out = segment.start, []
    for word in words:
        seconds = (segment.end - segment.start) * (len(word) + 1) / total
        out.append((word, round(at, 3), round(at + seconds, 3)))
        at += seconds
    return out
