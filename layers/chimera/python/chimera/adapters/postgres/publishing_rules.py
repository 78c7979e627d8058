"""Whether a piece of content may go out on a channel now, asked inside the transaction that decides."""

from __future__ import annotations

from chimera.adapters.postgres.database import Connection, Row
from chimera.domain.ids import is_uuid
from chimera.errors import ChimeraError


def require_may_publish(tx: Connection, content_id: str, channel_id: str, content_hash: str | None = None) -> Row:
    """The content's row with `platform` and `persona_language`, if it may be published on the channel.

    `content_hash`: the version that is meant; the current one if None. Raises `NOT_FOUND`; `CONFLICT` for
    another version or an unfinished one; `FORBIDDEN` for a channel that is not connected or that the persona
    does not list; `POLICY_VIOLATION` without a `pass` of the judge or a person's approval of this very
    version.
    """
    content = (
        is_uuid(content_id)
        and tx.execute(
            "SELECT c.*, p.channels AS persona_channels, p.language AS persona_language FROM"
            " content_pipeline c"
            " JOIN personas p ON p.id = c.persona_id WHERE c.id = %s",
            (content_id,),
        ).fetchone()
    )
    if not content:
        raise ChimeraError("NOT_FOUND", f"no content {content_id[:80]!r}", {"content_id": content_id[:80]})
    current = content["content_hash"]
    if current is None or current != (content_hash or current):
        raise ChimeraError(
            "CONFLICT",
            f"content {content_id} is " + (f"version {current}, not {content_hash}" if current else "not finished"),
            {"content_id": content_id, "current": current, "expected": content_hash},
        )
    channel = tx.execute("SELECT platform, connected FROM channels WHERE id = %s", (channel_id,)).fetchone()
    if channel is None or not channel["connected"] or channel_id not in content["persona_channels"]:
        raise ChimeraError(
            "FORBIDDEN",
            f"channel {channel_id!r} is not one that is connected and that the persona lists"
            f" ({', '.join(content['persona_channels']) or 'none'})",
            {"channel_id": channel_id, "content_id": content_id},
        )
    _require_verdict(tx, content_id, current)
    return {**content, "platform": channel["platform"]}


def _require_verdict(tx: Connection, content_id: str, content_hash: str) -> None:
    """The judge's newest report says pass, or a person approved this version; no person refused it."""
    report = tx.execute(
        "SELECT verdict FROM safety_reports WHERE content_id = %s AND content_hash = %s"
        " ORDER BY created_at DESC, id DESC LIMIT 1",
        (content_id, content_hash),
    ).fetchone()
    review = tx.execute(
        "SELECT status, in_advance FROM reviews WHERE kind = 'content' AND content_id = %s AND subject_hash = %s",
        (content_id, content_hash),
    ).fetchone()
    verdict = report["verdict"] if report else "missing"
    status = review["status"] if review else "missing"
    allowed = verdict == "pass" and status != "rejected"
    if review is not None and status == "approved":
        # an approval given in advance answers a question; it does not overrule the judge's no
        allowed = not (review["in_advance"] and verdict == "reject")
    if not allowed:
        raise ChimeraError(
            "POLICY_VIOLATION",
            f"content {content_id} is not cleared in this version: the judge's verdict is {verdict},"
            f" a person's review is {status}; expected pass, or approved",
            {"content_id": content_id, "content_hash": content_hash, "verdict": verdict, "review": status},
        )


def require_running(tx: Connection) -> None:
    """`PUBLISHING_PAUSED` or `SYSTEM_STOPPED` unless the switch says run; no switch means stop."""
    # FOR SHARE: a stop that commits after this waits until this transaction is over, so none slips past it
    control = tx.execute("SELECT state, reason, changed_by FROM controls FOR SHARE").fetchone()
    state = control["state"] if control else "STOP"
    if state in ("RUN", "PAUSE_SPEND"):
        return
    why = f"{control['changed_by']}: {control['reason']}" if control else "no control switch is set"
    code = "PUBLISHING_PAUSED" if state == "PAUSE_PUBLISH" else "SYSTEM_STOPPED"
    raise ChimeraError(code, f"publishing is off ({state}; {why}); an operator can resume it", {"state": state})
