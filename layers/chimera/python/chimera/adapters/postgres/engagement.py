"""Measurements: one row for each publication and due time; what the platform did not say stays NULL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chimera.adapters.postgres.database import Database, Row
from chimera.domain.ids import new_id
from chimera.domain.models import EngagementMetrics
from chimera.errors import ChimeraError


class PostgresEngagement:
    """The measurements of one tenant."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def open_dues(self, dues: dict[str, float], limit: int) -> list[Row]:
        """Due times that are past and have no row, oldest first: what to measure.

        `dues`: name -> seconds after publication. `missed`: the next due time is past as well, so a count
        taken now would be that one's, not this one's.
        """
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "WITH due AS (SELECT name, seconds, lead(seconds) OVER (ORDER BY seconds) AS next"
                "   FROM unnest(%(names)s::text[], %(seconds)s::float8[]) AS d(name, seconds))"
                " SELECT p.id AS publication_id, p.content_id, p.platform, p.channel_id, p.post_id,"
                " p.published_at,"
                "   due.name AS due, p.published_at + make_interval(secs => due.seconds) AS due_at,"
                "   coalesce(p.published_at + make_interval(secs => due.next) <= clock_timestamp(), false)"
                " AS missed"
                " FROM publications p CROSS JOIN due"
                " LEFT JOIN engagement e ON e.publication_id = p.id AND e.due = due.name"
                " WHERE p.state = 'CONFIRMED' AND e.id IS NULL"
                "   AND p.published_at + make_interval(secs => due.seconds) <= clock_timestamp()"
                " ORDER BY due_at, p.id LIMIT %(limit)s",
                {"names": list(dues), "seconds": list(dues.values()), "limit": limit},
            ).fetchall()

    def record(
        self,
        publication_id: str,
        due: str,
        metrics: EngagementMetrics,
        *,
        valid_for_seconds: float | None,
    ) -> Row:
        """Keep a measurement; the first one for a due time stays. `NOT_FOUND` for an unknown publication.

        `valid_for_seconds`: seconds after publication until which a count still belongs to this due time
        (None: for ever). A later one is kept as "no data": it would be the next due time's number.
        """
        with self._db.transaction(self._tenant) as tx:
            published = tx.execute(
                "SELECT content_id, %(valid)s::float8 IS NOT NULL AND published_at"
                "   + make_interval(secs => coalesce(%(valid)s::float8, 0)) <= clock_timestamp() AS late"
                " FROM publications WHERE id = %(id)s AND state = 'CONFIRMED'",
                {"valid": valid_for_seconds, "id": publication_id},
            ).fetchone()
            if published is None:
                raise ChimeraError(
                    "NOT_FOUND",
                    f"no confirmed publication {publication_id!r}",
                    {"publication_id": publication_id},
                )
            kept = EngagementMetrics() if published["late"] else metrics
            tx.execute(
                "INSERT INTO engagement (id, publication_id, content_id, due, views, likes, comments, shares,"
                " engagement_rate, recorded_at) VALUES (%(id)s, %(publication)s, %(content)s, %(due)s,"
                " %(views)s,"
                " %(likes)s, %(comments)s, %(shares)s, %(engagement_rate)s, clock_timestamp())"
                " ON CONFLICT (publication_id, due) DO NOTHING",
                {
                    "id": new_id(),
                    "publication": publication_id,
                    "content": published["content_id"],
                    "due": due,
                    **kept.model_dump(),
                },
            )
            row = tx.execute(
                "SELECT * FROM engagement WHERE publication_id = %s AND due = %s", (publication_id, due)
            ).fetchone()
        assert row is not None
        return row

    def of_publication(self, publication_id: str) -> list[Row]:
        """The measurements of a publication, oldest first."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM engagement WHERE publication_id = %s ORDER BY recorded_at, id",
                (publication_id,),
            ).fetchall()

    def page(self, limit: int, before: tuple[str, str] | None) -> list[Row]:
        """Newest first; `before` is the (recorded_at, id) of the last row of the page before."""
        with self._db.transaction(self._tenant) as tx:
            return tx.execute(
                "SELECT * FROM engagement WHERE %(at)s::timestamptz IS NULL"
                " OR (recorded_at, id) < (%(at)s::timestamptz, %(id)s::uuid)"
                " ORDER BY recorded_at DESC, id DESC LIMIT %(limit)s",
                {"at": before[0] if before else None, "id": before[1] if before else None, "limit": limit},
            ).fetchall()

    def learning(self, since: datetime | None = None) -> list[dict[str, Any]]:
        """Projected against actual by persona, format, platform; from each publication's newest measurement.

        `projected_engagement` and `actual_engagement` are mean rates (interactions / views) over the
        publications that have both; `views` is a mean, `measured` how many gave any number; costs are sums
        in micros. Without data a mean is None, not 0.
        """
        with self._db.transaction(self._tenant) as tx:
            rows = tx.execute(
                "WITH newest AS (SELECT DISTINCT ON (publication_id) * FROM engagement"
                "   WHERE coalesce(views, likes, comments, shares) IS NOT NULL"
                "   ORDER BY publication_id, recorded_at DESC, id)"
                " SELECT pe.name AS persona, pe.id AS persona_id, c.format, p.platform,"
                "   count(DISTINCT p.id) AS publications, count(n.id) AS measured, avg(n.views)::float8 AS"
                " views,"
                "   avg((c.brief->>'projected_engagement')::float8) FILTER (WHERE n.engagement_rate IS NOT"
                " NULL)"
                "     AS projected_engagement,"
                "   avg(n.engagement_rate) FILTER (WHERE c.brief ? 'projected_engagement') AS"
                " actual_engagement,"
                "   sum(c.estimated_cost_micros)::bigint AS estimated_cost_micros,"
                "   sum(c.production_cost_micros)::bigint AS production_cost_micros,"
                "   avg((c.brief->>'projected_roi')::float8) AS projected_roi"
                " FROM publications p JOIN content_pipeline c ON c.id = p.content_id"
                " JOIN personas pe ON pe.id = c.persona_id LEFT JOIN newest n ON n.publication_id = p.id"
                " WHERE p.state = 'CONFIRMED' AND (%(since)s::timestamptz IS NULL OR p.published_at >="
                " %(since)s)"
                " GROUP BY pe.name, pe.id, c.format, p.platform ORDER BY pe.name, c.format, p.platform",
                {"since": since},
            ).fetchall()
        return [{**row, "persona_id": str(row["persona_id"])} for row in rows]
