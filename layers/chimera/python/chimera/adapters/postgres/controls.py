"""The control switch of a tenant: run, pause publishing, pause spending, stop everything."""

from __future__ import annotations

from typing import Literal

from chimera.adapters.postgres.audit import audit
from chimera.adapters.postgres.database import Database, Row
from chimera.domain.cfo import SPENDING_STATES
from chimera.errors import ChimeraError

Switch = Literal["RUN", "PAUSE_PUBLISH", "PAUSE_SPEND", "STOP"]


class PostgresControls:
    """The switch of one tenant; a missing row reads as STOP."""

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant = tenant_id

    def get(self) -> Row:
        """`state`, `epoch`, `changed_by`, `reason`, `updated_at`."""
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT * FROM controls").fetchone()
        missing = {
            "state": "STOP",
            "epoch": 0,
            "changed_by": "",
            "reason": "no switch is set",
            "updated_at": None,
        }
        return row or missing

    def set(self, state: Switch, *, by: str, reason: str) -> Row:
        """Change the switch, entered in the audit log; the same state again changes nothing.

        A pause never weakens a stop: `CONFLICT` from a state that allows less. A change of whether money may
        be spent begins a new epoch, in which approvals of the one before are worth nothing.
        """
        with self._db.transaction(self._tenant) as tx:
            row = tx.execute("SELECT * FROM controls FOR UPDATE").fetchone()
            before = row["state"] if row else "STOP"
            if row is not None and before == state:
                return row
            if (state == "PAUSE_PUBLISH" and before != "RUN") or (state == "PAUSE_SPEND" and before == "STOP"):
                raise ChimeraError(
                    "CONFLICT",
                    f"the switch is {before}, which allows less than {state}; resume first",
                    {"state": before},
                )
            new_epoch = (before in SPENDING_STATES) != (state in SPENDING_STATES)
            changed = tx.execute(
                "INSERT INTO controls (state, changed_by, reason) VALUES (%(state)s, %(by)s, %(reason)s)"
                " ON CONFLICT (tenant_id) DO UPDATE SET state = excluded.state,"
                " changed_by = excluded.changed_by, reason = excluded.reason,"
                " epoch = controls.epoch + %(step)s RETURNING *",
                {"state": state, "by": by, "reason": reason[:500], "step": int(new_epoch)},
            ).fetchone()
            assert changed is not None
            after = {"state": state, "epoch": changed["epoch"], "reason": changed["reason"]}
            audit(tx, actor=by, action="control.set", before={"state": before}, after=after)
            return changed
