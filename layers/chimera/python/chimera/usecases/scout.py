"""Scout: asks the sources, merges and ranks what came, and keeps it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

from pydantic import Field, ValidationError

from chimera.domain.models import Model, Trend
from chimera.domain.options import RunOptions
from chimera.domain.trends import (
    Observation,
    RawTrend,
    build_trends,
    matches_categories,
    matches_keywords,
    parse_timeframe,
)
from chimera.errors import CODES, ChimeraError, from_cause
from chimera.ports import Clock, MediaStore, Source

PER_SOURCE = 200
"""So many items are taken from one source at most."""
SAMPLE = "sample"

# A person's mistake is shown to that person; the sample only stands in for what could not be reached.
_MISTAKES = {"VALIDATION_FAILED", "NOT_FOUND", "FORBIDDEN", "CONFLICT"}


class TrendRows(Protocol):
    """Trends of one tenant; see adapters/postgres/trends.py."""

    def known(self, trend_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are stored."""
        ...

    def earlier(self, trend_ids: Sequence[str], before: datetime) -> dict[str, Observation]:
        """Each trend's last observation before."""
        ...

    def upsert_scan(self, trends: Sequence[Trend], fetched_at: datetime) -> None:
        """Store what a scan found, once."""
        ...


class ScoutRequest(Model):
    """scout.analyze's input. Empty lists mean all."""

    keywords: list[str] = Field(default=[], max_length=20)
    timeframe: str = "24h"
    min_velocity: float = Field(default=0.0, ge=0, le=10)
    platforms: list[str] = Field(default=[], max_length=20)
    categories: list[str] = Field(default=[], max_length=20)
    max_results: int = Field(default=20, ge=1, le=50)
    topic: str = Field(default="", max_length=500)

    @classmethod
    def of(cls, options: RunOptions) -> ScoutRequest:
        """What a run's options ask of the scout."""
        return cls(
            keywords=options.keywords,
            timeframe=options.timeframe,
            min_velocity=options.min_velocity,
            platforms=options.sources,
            max_results=options.max_results,
            topic=options.topic,
        )


class PlatformFailed(Model):
    """A source that gave nothing, and why."""

    platform: str
    error: str


class ScoutMetadata(Model):
    """About the scan. `used_sample`: bundled text stands in, nothing in it was measured."""

    total_results: int
    fetch_time: datetime
    platforms_queried: list[str]
    platforms_used: list[str]
    platforms_failed: list[PlatformFailed]
    used_sample: bool = False


class ScoutAnswer(Model):
    """scout.analyze's answer."""

    trends: list[Trend]
    metadata: ScoutMetadata
    execution_time_ms: int = 0

    def brief(self, key: str) -> dict[str, Any]:
        """What the state machine carries instead of the trends themselves: ids and the key of the whole,
        below 16 KB.
        """
        return {
            "trend_ids": [t.trend_id for t in self.trends],
            "trends_key": key,
            **self.metadata.model_dump(mode="json"),
            "execution_time_ms": self.execution_time_ms,
        }


class FetchSource(Model):
    """Input of `fetch_source`: one source of one run."""

    tenant_id: str
    run_id: str
    source: str
    options: RunOptions = RunOptions()


class RankTrends(Model):
    """Input of `rank_trends`: what `fetch_source` answered for each source, or `{platform, error, cause}`."""

    tenant_id: str
    run_id: str
    options: RunOptions = RunOptions()
    batches: list[dict[str, Any]] = Field(default=[], max_length=50)


class Batch(Model):
    """What one source gave."""

    platform: str
    fetched_at: datetime
    items: list[RawTrend]


def scan_key(tenant_id: str, run_id: str, name: str) -> str:
    """The key of a scan's file: `tenants/{tenant}/runs/{run}/scan/{name}.json`."""
    return f"tenants/{tenant_id}/runs/{run_id}/scan/{name}.json"


def _file_name(platform: str) -> str:
    plain = re.fullmatch(r"[a-z0-9_-]{1,40}", platform)
    return platform if plain else f"{platform[:4].strip(':')}-{hashlib.sha256(platform.encode()).hexdigest()[:16]}"


def read_source(source: Source, request: ScoutRequest, clock: Clock) -> Batch:
    """Ask one source. Raises ChimeraError; what a source of a third party raises otherwise is its own."""
    hours = parse_timeframe(request.timeframe)
    items = source.fetch(keywords=request.keywords, timeframe_hours=hours, limit=PER_SOURCE)
    return Batch(platform=source.name, fetched_at=clock.now(), items=items)


def fetch_source(event: FetchSource, source: Source, media: MediaStore, clock: Clock) -> dict[str, Any]:
    """Thinks: ask one source and leave what it gave in the media store.

    Gives `{platform, key, items, bytes, fetched_at, execution_time_ms}`. Raises ChimeraError, for the state
    machine to retry and then to note.
    """
    started = time.monotonic()
    batch = read_source(source, ScoutRequest.of(event.options), clock)
    body = batch.model_dump_json().encode()
    key = scan_key(event.tenant_id, event.run_id, _file_name(event.source))
    media.put_bytes(key, body)
    return {
        "platform": event.source,
        "key": key,
        "items": len(batch.items),
        "bytes": len(body),
        "fetched_at": batch.model_dump(mode="json")["fetched_at"],
        "execution_time_ms": _ms(started),
    }


def rank(
    event: RankTrends,
    *,
    media: MediaStore,
    trends: TrendRows,
    sample: Source,
    sentiment: Callable[[str], float],
    clock: Clock,
) -> ScoutAnswer:
    """Remembers: merge, rank and store what the sources of a run gave; asked again, the first answer comes
    back.
    """
    key = scan_key(event.tenant_id, event.run_id, "trends")
    if media.exists(key):
        return ScoutAnswer.model_validate_json(media.get_bytes(key))
    batches: list[Batch] = []
    failures: dict[str, ChimeraError] = {}
    for given in event.batches:
        platform = str(given.get("platform", "unknown"))
        if "key" in given:
            try:
                batches.append(Batch.model_validate_json(media.get_bytes(str(given["key"]))))
            except ValidationError as error:
                failures[platform] = ChimeraError(
                    "INTERNAL", f"its batch cannot be read ({error.error_count()} errors)"
                )
        else:
            failures[platform] = read_cause(str(given.get("error", "")), str(given.get("cause", "")))
    answer = conclude(
        ScoutRequest.of(event.options),
        batches=batches,
        failures=failures,
        tenant_id=event.tenant_id,
        trends=trends,
        sample=sample,
        sentiment=sentiment,
        clock=clock,
    )
    media.put_bytes(key, answer.model_dump_json().encode())
    return answer


def analyze(
    request: ScoutRequest,
    *,
    platforms: Sequence[str],
    open_source: Callable[[str], Source],
    tenant_id: str,
    trends: TrendRows,
    sample: Source,
    sentiment: Callable[[str], float],
    clock: Clock,
) -> ScoutAnswer:
    """scout.analyze in one process: all platforms at the same time, then the same merging and ranking.

    `platforms` are asked where the request names none.
    """
    started = time.monotonic()
    parse_timeframe(request.timeframe)

    def one(name: str) -> Batch | ChimeraError:
        try:
            return read_source(open_source(name), request, clock)
        except ChimeraError as error:
            return error

    names = list(dict.fromkeys(request.platforms or platforms))
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="scout") as pool:
        results = dict(zip(names, pool.map(one, names), strict=True))
    answer = conclude(
        request,
        batches=[r for r in results.values() if isinstance(r, Batch)],
        failures={name: r for name, r in results.items() if isinstance(r, ChimeraError)},
        tenant_id=tenant_id,
        trends=trends,
        sample=sample,
        sentiment=sentiment,
        clock=clock,
    )
    return answer.model_copy(update={"execution_time_ms": _ms(started)})


def conclude(
    request: ScoutRequest,
    *,
    batches: Sequence[Batch],
    failures: Mapping[str, ChimeraError],
    tenant_id: str,
    trends: TrendRows,
    sample: Source,
    sentiment: Callable[[str], float],
    clock: Clock,
) -> ScoutAnswer:
    """Merge, rank and store. A source that failed is noted; the sample stands in if no source gave anything.

    It does not stand in for a person's mistake (an unknown source, a wrong file): that error is raised if
    nothing else was found. Nor for "nothing about these keywords", when a source did answer.
    """
    started = time.monotonic()
    hours = parse_timeframe(request.timeframe)
    fetched_at = max((b.fetched_at for b in batches), default=clock.now())
    used = [b for b in batches if b.items]
    items = [item for b in used for item in b.items]
    stands_in = False
    if not items:
        mistakes = [e for name, e in failures.items() if e.code in _MISTAKES or name.startswith("file:")]
        if mistakes:
            raise mistakes[0]
        if not batches or not request.keywords:
            stands_in = True
            items = list(sample.fetch(keywords=request.keywords, timeframe_hours=hours, limit=PER_SOURCE))
    wanted = [i for i in items if matches_keywords(i, request.keywords) and matches_categories(i, request.categories)]
    found = build_trends(
        wanted,
        tenant_id=tenant_id,
        now=fetched_at,
        known=trends.known,
        earlier=lambda ids: trends.earlier(ids, fetched_at),
        sentiment=sentiment,
        min_velocity=0.0 if stands_in else request.min_velocity,  # nothing in the sample was measured
        max_results=request.max_results,
        topic=request.topic,
    )
    trends.upsert_scan(found, fetched_at)
    queried = list(dict.fromkeys([*(b.platform for b in batches), *failures]))
    metadata = ScoutMetadata(
        total_results=len(found),
        fetch_time=fetched_at,
        platforms_queried=queried,
        platforms_used=[SAMPLE] if stands_in else [b.platform for b in used],
        platforms_failed=[
            PlatformFailed(platform=name, error=f"{e.code}: {e.message}"[:300]) for name, e in failures.items()
        ],
        used_sample=stands_in or any(b.platform == SAMPLE for b in used),
    )
    return ScoutAnswer(trends=found, metadata=metadata, execution_time_ms=_ms(started))


def read_cause(error: str, cause: str) -> ChimeraError:
    """The ChimeraError in a failed state's error and cause, also where the cause was cut off."""
    if known := from_cause(cause):
        return known
    try:
        text = json.loads(cause)
        text = text.get("errorMessage", cause) if isinstance(text, dict) else cause
    except ValueError:
        text = cause
    # escaped once for each level that wrapped it
    found = re.search(r'code\\*"\s*:\s*\\*"([A-Z_]+)', str(text))
    message = re.search(r'message\\*"\s*:\s*\\*"((?:[^"\\]|\\+[^"])*)', str(text))
    code = found[1] if found and found[1] in CODES else "PROVIDER_REJECTED"
    return ChimeraError(code, message[1] if message else f"{error}: {str(text)[:200]}".strip(": "))


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
