"""The control switch where draws can check it: a mirror in DynamoDB of the switch in Postgres, never more permissive.

A stop is written here first and to Postgres after it; leave to spend is written to Postgres first and here last. Whoever
writes leave names the revision that it saw before it read Postgres, so it cannot overwrite a stop that came in between.
Missing and unreadable both mean STOP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from chimera.adapters.aws.dynamo import Busy, Item, Refused, Table, number, text, whole
from chimera.domain.allowance import Control
from chimera.domain.cfo import SPENDING_STATES
from chimera.errors import ChimeraError

if TYPE_CHECKING:  # what draws but cannot reach Postgres has no driver for it
    from chimera.adapters.postgres.controls import Switch

CONTROL_SK = "switch"


def control_pk(tenant_id: str) -> str:
    """The partition of a tenant's switch."""
    return f"{tenant_id}#control"


def control_of(item: Item | None) -> Control:
    """State and epoch of the mirrored switch; None, a STOP, for an item that is not there or not whole."""
    try:
        return (item["state"]["S"], whole(item, "epoch")) if item else None
    except (KeyError, ValueError):
        return None


class DynamoControls:
    """The mirrored switch of one tenant."""

    def __init__(self, table: Table, tenant_id: str) -> None:
        self._table = table
        self._key = table.key(control_pk(tenant_id), CONTROL_SK)

    def get(self) -> Control:
        """State and epoch, read strongly; None (a STOP) when the item is missing or cannot be read."""
        try:
            return self.read()[0]
        except ChimeraError:
            return None

    def read(self) -> tuple[Control, int]:
        """The switch and its revision (0: no item yet), read strongly."""
        for _ in self._table.tries():
            try:
                item = self._table.call("get_item", TableName=self._table.name, Key=self._key, ConsistentRead=True).get(
                    "Item"
                )
            except Busy:
                continue
            return control_of(item), whole(item, "revision") if item else 0
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """STOP, whatever it was; from here on no draw is granted."""
        self._update("SET #state = :state ADD revision :one", {":state": text("STOP"), ":one": number(1)})

    def put(self, state: str, epoch: int, revision: int) -> bool:
        """Write what Postgres says, if nobody wrote since `revision` was read; False: read both again."""
        values = {
            ":state": text(state),
            ":epoch": number(epoch),
            ":next": number(revision + 1),
            ":seen": number(revision),
        }
        condition = "revision = :seen" if revision else "attribute_not_exists(pk) OR revision = :seen"
        try:
            self._update("SET #state = :state, epoch = :epoch, revision = :next", values, condition)
        except Refused:
            return False
        return True

    def _update(self, expression: str, values: Item, condition: str | None = None) -> None:
        extra: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        for _ in self._table.tries():
            try:
                self._table.call(
                    "update_item",
                    TableName=self._table.name,
                    Key=self._key,
                    UpdateExpression=expression,
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues=values,
                    **extra,
                )
            except Busy:
                continue
            return


class SwitchRows(Protocol):
    """The switch in Postgres (adapters.postgres.controls)."""

    def get(self) -> dict[str, Any]:
        """`state`, `epoch` …"""
        ...

    def set(self, state: Switch, *, by: str, reason: str) -> dict[str, Any]:
        """Change it."""
        ...


class MirroredControls:
    """The switch on AWS: Postgres decides and remembers, DynamoDB is what draws check. Same methods as Postgres alone."""

    def __init__(self, rows: SwitchRows, mirror: DynamoControls) -> None:
        self._rows = rows
        self._mirror = mirror

    def get(self) -> dict[str, Any]:
        """`state`, `epoch`, `changed_by`, `reason`, `updated_at`."""
        return self._rows.get()

    def set(self, state: Switch, *, by: str, reason: str) -> dict[str, Any]:
        """Change the switch in both places. A stop holds at once, even when Postgres does not answer."""
        if state not in SPENDING_STATES:
            self._mirror.stop()
        try:
            return self._rows.set(state, by=by, reason=reason)
        finally:
            self.sync()

    def sync(self) -> None:
        """Let the mirror say what Postgres says; run after every change and at start-up. Safe at any time."""
        for _ in range(100):
            _, revision = self._mirror.read()  # before Postgres is read: whoever changes it later bumps this
            row = self._rows.get()
            if self._mirror.put(row["state"], row["epoch"], revision):
                return
        raise ChimeraError("DATABASE_WAKING", "the mirrored switch keeps changing; it stays as it is")
