"""Trends and the time series from which their velocity is computed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from chimera.adapters.postgres.database import Database, Row
from chimera.domain.ids import is_uuid
from chimera.domain.models import EngagementMetrics, Trend, TrendMetadata
from chimera.domain.similarity import embed
from chimera.domain.trends import MAX_GAIN_HOURS, MIN_GAIN_HOURS, Observation
from chimera.errors import ChimeraError

_COLUMNS = sql.SQL(
    "id, topic, title, description, platforms, volume, sentiment_score, rising_velocity, engagement_metrics,"
    " url, tags, metadata, published_at, fetched_at, created_at, updated_at"
)

# a scan that arrives late never overwrites a newer one
_UPSERT = """INSERT INTO trends ( id, topic, title, description, platforms, volume, sentiment_score,
          rising_velocity, engagement_metrics, url, tags, metadata, scout_agent_id, embedding, published_at,
          fetched_at) VALUES ( %(id)s, %(topic)s, %(title)s, %(description)s, %(platforms)s, %(volume)s,
          %(sentiment)s, %(velocity)s, %(metrics)s, %(url)s, %(tags)s, %(metadata)s, (SELECT id FROM agents
          WHERE role = 'scout' ORDER BY created_at, id LIMIT 1), %(embedding)s::vector, %(published_at)s,
          %(fetched_at)s) ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, title = excluded.title,
          description = excluded.description, platforms = excluded.platforms, volume = excluded.volume,
          sentiment_score = excluded.sentiment_score, rising_velocity = excluded.rising_velocity,
          engagement_metrics = excluded.engagement_metrics, url = excluded.url, tags = excluded.tags, metadata
          = excluded.metadata, embedding = excluded.embedding, published_at = excluded.published_at,
          fetched_at = excluded.fetched_at WHERE trends.fetched_at < excluded.fetched_at
          """
_OBSERVE = """INSERT INTO trend_observations (trend_id, fetched_at, volume, views, likes, comments, shares)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (trend_id, fetched_at) DO NOTHING
           """
_MANY = sql.SQL("SELECT {} FROM trends WHERE id = ANY(%s::uuid[])").format(_COLUMNS)
_PAGE = sql.SQL("""SELECT {} FROM trends WHERE rising_velocity >= %(velocity)s AND (%(word)s = '' OR
                position(lower(%(word)s) IN lower(topic || ' ' || title)) > 0) AND (%(at)s::timestamptz IS
                NULL OR (created_at, id) < (%(at)s::timestamptz, %(id)s::uuid)) ORDER BY created_at DESC, id
                DESC LIMIT %(limit)s
                """).format(_COLUMNS)
_SIMILAR = sql.SQL("""SELECT {}, 1 - (embedding <=> %(vector)s::vector) AS cosine FROM trends WHERE embedding
                   IS NOT NULL AND vector_norm(embedding) > 0 ORDER BY embedding <=> %(vector)s::vector, id
                   LIMIT %(limit)s
                   """).format(_COLUMNS)


class PostgresTrends:
    """The trends of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def upsert_scan(self, trends: Sequence[Trend], fetched_at: datetime) -> None:
        """Store what a scan found; stored again under the same time, nothing changes.

        A trend that is known keeps its id and age; a scan that arrives late never overwrites a newer one.
        """
        with self._db.transaction(self._tenant) as tx:
            # in one order, so that two scans at once cannot wait for each other in a circle
            for trend in sorted(trends, key=lambda t: t.trend_id):
                tx.execute(_UPSERT, _parameters(trend, fetched_at))
                m = trend.engagement_metrics
                counted = (trend.trend_id, fetched_at, trend.volume, m.views, m.likes, m.comments, m.shares)
                tx.execute(_OBSERVE, counted)

    def known(self, trend_ids: Sequence[str]) -> list[str]:
        """Those of the ids that are stored."""
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute("SELECT id FROM trends WHERE id = ANY(%s::uuid[])", (list(trend_ids),)).fetchall()
        return [str(row["id"]) for row in rows]

    def earlier(self, trend_ids: Sequence[str], before: datetime) -> dict[str, Observation]:
        """Each trend's last observation that is 10 minutes to 7 days older than `before`."""
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                "SELECT DISTINCT ON (o.trend_id) o.*, t.platforms FROM trend_observations o"
                " JOIN trends t ON t.id = o.trend_id"
                " WHERE o.trend_id = ANY(%s::uuid[]) AND o.fetched_at BETWEEN %s AND %s"
                " ORDER BY o.trend_id, o.fetched_at DESC",
                (
                    list(trend_ids),
                    before - timedelta(hours=MAX_GAIN_HOURS),
                    before - timedelta(hours=MIN_GAIN_HOURS),
                ),
            ).fetchall()
        return {
            str(row["trend_id"]): Observation(
                fetched_at=row["fetched_at"],
                views=row["views"],
                likes=row["likes"],
                comments=row["comments"],
                shares=row["shares"],
                platforms=tuple(row["platforms"]),
            )
            for row in rows
        }

    def get(self, trend_id: str) -> Trend:
        """The trend; `NOT_FOUND` if this tenant has none of that id."""
        found = self.many([trend_id])
        if not found:
            raise ChimeraError("NOT_FOUND", f"no trend {trend_id!r}", {"trend_id": trend_id})
        return found[0]

    def many(self, trend_ids: Sequence[str]) -> list[Trend]:
        """These trends, in the order of the ids; what is not there is left out."""
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                _MANY,
                ([i for i in trend_ids if is_uuid(i)],),
            ).fetchall()
        found = {str(row["id"]): trend_of(row) for row in rows}
        return [found[i] for i in trend_ids if i in found]

    def page(
        self, limit: int, before: tuple[str, str] | None, *, keyword: str = "", min_velocity: float = 0.0
    ) -> list[Row]:
        """Rows, newest first (`trend_of` makes Trends of them); `before` is the (created_at, id) of the last
        row before.

        `keyword` stands anywhere in topic or title, whatever the case.
        """
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                _PAGE,
                {
                    "velocity": min_velocity,
                    "word": keyword.replace("\0", ""),
                    "at": before[0] if before else None,
                    "id": before[1] if before else None,
                    "limit": limit,
                },
            ).fetchall()

    def similar(self, text: str, limit: int = 10) -> list[tuple[Trend, float]]:
        """The trends whose words are nearest to the text, nearest first, with the cosine similarity (−1 to
        1).
        """
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                _SIMILAR,
                {"vector": _vector(text), "limit": limit},
            ).fetchall()
        return [(trend_of(row), round(float(row["cosine"]), 4)) for row in rows if row["cosine"] == row["cosine"]]


def _vector(text: str) -> str:
    return "[" + ",".join(f"{value:.6f}" for value in embed(text)) + "]"


def _parameters(trend: Trend, fetched_at: datetime) -> dict[str, Any]:
    return {
        "id": trend.trend_id,
        "topic": trend.topic,
        "title": trend.title,
        "description": trend.description,
        "platforms": trend.platforms,
        "volume": trend.volume,
        "sentiment": trend.sentiment_score,
        "velocity": trend.rising_velocity,
        "metrics": Jsonb(trend.engagement_metrics.model_dump()),
        "url": trend.url,
        "tags": trend.tags,
        "metadata": Jsonb(trend.metadata.model_dump()),
        "embedding": _vector(f"{trend.topic} {trend.title}"),
        "published_at": trend.timestamp,
        "fetched_at": fetched_at,
    }


def trend_of(row: Row) -> Trend:
    """The contract's Trend of a row."""
    return Trend(
        trend_id=str(row["id"]),
        topic=row["topic"],
        title=row["title"],
        description=row["description"],
        platforms=row["platforms"],
        volume=row["volume"],
        sentiment_score=float(row["sentiment_score"]),
        rising_velocity=float(row["rising_velocity"]),
        engagement_metrics=EngagementMetrics.model_validate(row["engagement_metrics"]),
        url=row["url"],
        tags=row["tags"],
        timestamp=row["published_at"],
        metadata=TrendMetadata.model_validate(row["metadata"]),
    )
