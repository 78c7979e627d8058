"""Allowances in DynamoDB, for functions that cannot reach Postgres: every draw is one conditional transaction.

Items of one partition, `pk = {tenant}#allowance#{request_id}`: `sk = allowance` (amount, remaining, epoch …) and one
`sk = draw#{call_id}` for each call. A draw reads the three items it rests on in one transaction, applies the rules, and
writes under conditions that hold only while the rules still do; a condition that fails means: read again. Conditions
cannot do arithmetic, so `remaining` is stored. Expiry is `expires_at` in the condition; the TTL only tidies up, months
later. The permanent draw item is what makes a repetition harmless, not a client request token (valid for ten minutes).
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chimera.adapters.aws.dynamo import Busy, Item, Refused, Table, flag, number, text, whole
from chimera.adapters.aws.dynamo_controls import CONTROL_SK, control_of, control_pk
from chimera.domain.allowance import (
    Allowance,
    CallItem,
    Control,
    Draw,
    check_call,
    check_correct,
    check_draw,
    check_give_back,
    check_open,
    check_reopened,
)
from chimera.domain.cfo import SPENDING_STATES
from chimera.errors import ChimeraError
from chimera.ports import Clock

KEPT = timedelta(days=90)
"""How long after its end an allowance is kept for people to look at; then the TTL takes it away."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SK = "allowance"


class DynamoAllowances:
    """The allowances of one tenant. Thread-safe, as the client is. `clock`: there is no clock in DynamoDB to ask."""

    def __init__(self, table: Table, tenant_id: str, clock: Clock) -> None:
        self._table = table
        self._tenant = tenant_id
        self._clock = clock

    @property
    def tenant_id(self) -> str:
        """Whose."""
        return self._tenant

    def open(self, request_id: str, amount_micros: int, epoch: int, expires_at: datetime) -> Allowance:
        """Open it, once; `CONFLICT` for another amount or epoch. The caller has dispatched the approval in Postgres."""
        check_open(request_id, amount_micros, epoch, expires_at)
        item = {
            **self._key(request_id, _SK),
            "request_id": text(request_id),
            "amount": number(amount_micros),
            "remaining": number(amount_micros),
            "overrun": number(0),
            "epoch": number(epoch),
            "expires_at": number(_micros_of(expires_at)),
            "closed": flag(False),
            "ttl": number(_ttl(expires_at)),
        }
        for _ in self._table.tries():
            try:
                self._table.call(
                    "put_item",
                    TableName=self._table.name,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk)",
                )
            except Busy:
                continue
            except Refused:
                pass
            return check_reopened(self.get(request_id), amount_micros, epoch)
        raise AssertionError("unreachable")

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        """Take a call's worst case before it is made; see the port."""
        check_call(call_id, micros, item)
        mark = secrets.token_hex(8)  # tells our own write, whose answer was lost, from another attempt's
        for _ in self._table.tries():
            allowance, known, control, known_mark = self._read(request_id, call_id)
            there = check_draw(allowance, known, control, request_id, micros, self._clock.now())
            if there is not None:
                return replace(there, first=known_mark == mark)
            assert allowance is not None
            made = Draw(
                request_id=request_id,
                call_id=call_id,
                item=item,
                drawn_micros=micros,
                attempt=known.attempt + 1 if known else 1,
            )
            try:
                self._write_draw(allowance, made, mark)
            except (Busy, Refused):
                continue
            return made
        raise AssertionError("unreachable")

    def _write_draw(self, allowance: Allowance, draw: Draw, mark: str) -> None:
        returned: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if draw.attempt > 1:
            returned = {
                "ConditionExpression": "#state = :returned AND attempt = :before",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":returned": text("RETURNED"), ":before": number(draw.attempt - 1)},
            }
        spending = {f":state{index}": text(state) for index, state in enumerate(sorted(SPENDING_STATES))}
        self._write(
            {
                "Update": {
                    "Key": self._key(draw.request_id, _SK),
                    "UpdateExpression": "SET remaining = remaining - :micros",
                    "ConditionExpression": "remaining >= :micros AND closed = :no AND overrun = :zero"
                    " AND expires_at > :now AND epoch = :epoch",
                    "ExpressionAttributeValues": {
                        ":micros": number(draw.drawn_micros),
                        ":no": flag(False),
                        ":zero": number(0),
                        ":now": number(_micros_of(self._clock.now())),
                        ":epoch": number(allowance.epoch),
                    },
                }
            },
            {"Put": {"Item": self._draw_item(draw, mark, _ttl(allowance.expires_at)), **returned}},
            {
                "ConditionCheck": {
                    "Key": self._table.key(control_pk(self._tenant), CONTROL_SK),
                    "ConditionExpression": f"#state IN ({', '.join(spending)}) AND epoch = :epoch",
                    "ExpressionAttributeNames": {"#state": "state"},
                    "ExpressionAttributeValues": {**spending, ":epoch": number(allowance.epoch)},
                }
            },
        )

    def correct(self, request_id: str, call_id: str, actual_micros: int, quantity: str | None = None) -> Draw:
        """Book what the call really cost; see the port."""
        check_call(call_id, actual_micros)
        for _ in self._table.tries():
            allowance, known, _, _ = self._read(request_id, call_id)
            if not check_correct(allowance, known, request_id, call_id, actual_micros):
                assert known is not None
                return replace(known, first=False)
            assert known is not None
            item = replace(known.item, quantity=quantity or known.item.quantity)
            done = replace(known, item=item, state="CORRECTED", actual_micros=actual_micros)
            if self._resolve(known, done):
                return done
        raise AssertionError("unreachable")

    def give_back(self, request_id: str, call_id: str, attempt: int) -> Draw:
        """The call is known not to have been made; see the port."""
        for _ in self._table.tries():
            allowance, known, _, _ = self._read(request_id, call_id)
            if not check_give_back(allowance, known, request_id, call_id, attempt):
                assert known is not None
                return replace(known, first=False)
            assert known is not None
            done = replace(known, state="RETURNED")
            if self._resolve(known, done):
                return done
        raise AssertionError("unreachable")

    def _resolve(self, known: Draw, done: Draw) -> bool:
        """OPEN becomes CORRECTED or RETURNED and the rest goes back, in one transaction; False: read again."""
        values = {
            ":done": text(done.state),
            ":open": text("OPEN"),
            ":attempt": number(known.attempt),
            ":quantity": text(done.item.quantity),
        }
        change = "SET #state = :done, quantity = :quantity"
        if done.actual_micros is not None:
            values[":actual"] = number(done.actual_micros)
            change += ", actual = :actual"
        try:
            self._write(
                {
                    "Update": {
                        "Key": self._key(known.request_id, _SK),
                        # a negative rest is an overrun: it takes what remains, and the rest of it is a debt
                        "UpdateExpression": "SET remaining = remaining + :rest, overrun = overrun + :over",
                        "ConditionExpression": "closed = :no",
                        "ExpressionAttributeValues": {
                            ":rest": number(known.drawn_micros - done.charged_micros),
                            ":over": number(max(0, done.charged_micros - known.drawn_micros)),
                            ":no": flag(False),
                        },
                    }
                },
                {
                    "Update": {
                        "Key": self._key(known.request_id, f"draw#{known.call_id}"),
                        "UpdateExpression": change,
                        "ConditionExpression": "#state = :open AND attempt = :attempt",
                        "ExpressionAttributeNames": {"#state": "state"},
                        "ExpressionAttributeValues": values,
                    }
                },
            )
        except (Busy, Refused):
            return False
        return True

    def close(self, request_id: str) -> Allowance:
        """End it and give the sum used; again is the same."""
        for _ in self._table.tries():
            try:
                answer = self._table.call(
                    "update_item",
                    TableName=self._table.name,
                    Key=self._key(request_id, _SK),
                    UpdateExpression="SET closed = :yes",
                    ConditionExpression="attribute_exists(pk)",
                    ExpressionAttributeValues={":yes": flag(True)},
                    ReturnValues="ALL_NEW",
                )
            except Busy:
                continue
            except Refused:
                raise _missing(request_id) from None
            return _allowance(answer["Attributes"])
        raise AssertionError("unreachable")

    def get(self, request_id: str) -> Allowance:
        """Where it stands; `NOT_FOUND`."""
        for _ in self._table.tries():
            try:
                answer = self._table.call(
                    "get_item", TableName=self._table.name, Key=self._key(request_id, _SK), ConsistentRead=True
                )
            except Busy:
                continue
            if not answer.get("Item"):
                raise _missing(request_id)
            return _allowance(answer["Item"])
        raise AssertionError("unreachable")

    def draws(self, request_id: str) -> list[Draw]:
        """Every draw, by call id."""
        found: list[Draw] = []
        start: dict[str, Any] = {}
        for _ in self._table.tries():
            try:
                while True:
                    answer = self._table.call(
                        "query",
                        TableName=self._table.name,
                        KeyConditionExpression="pk = :pk AND begins_with(sk, :draw)",
                        ExpressionAttributeValues={":pk": text(self._pk(request_id)), ":draw": text("draw#")},
                        ConsistentRead=True,
                        **start,
                    )
                    found += [_draw(item) for item in answer["Items"]]
                    if not answer.get("LastEvaluatedKey"):
                        return found
                    start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
            except Busy:
                continue
        raise AssertionError("unreachable")

    # --- inside

    def _pk(self, request_id: str) -> str:
        return f"{self._tenant}#allowance#{request_id.lower()}"

    def _key(self, request_id: str, sk: str) -> Item:
        return self._table.key(self._pk(request_id), sk)

    def _read(self, request_id: str, call_id: str) -> tuple[Allowance | None, Draw | None, Control, str]:
        """Allowance, draw and switch as they were at one moment."""
        keys = [
            self._key(request_id, _SK),
            self._key(request_id, f"draw#{call_id}"),
            self._table.key(control_pk(self._tenant), CONTROL_SK),
        ]
        for _ in self._table.tries():
            try:
                answer = self._table.call(
                    "transact_get_items",
                    TransactItems=[{"Get": {"TableName": self._table.name, "Key": key}} for key in keys],
                )
            except Busy:
                continue
            allowance, draw, control = (response.get("Item") for response in answer["Responses"])
            return (
                _allowance(allowance) if allowance else None,
                _draw(draw) if draw else None,
                control_of(control),
                draw["mark"]["S"] if draw else "",
            )
        raise AssertionError("unreachable")

    def _write(self, *actions: dict[str, Any]) -> None:
        self._table.call(
            "transact_write_items",
            TransactItems=[
                {kind: {"TableName": self._table.name, **action}} for one in actions for kind, action in one.items()
            ],
        )

    def _draw_item(self, draw: Draw, mark: str, ttl: int) -> Item:
        return {
            **self._key(draw.request_id, f"draw#{draw.call_id}"),
            "request_id": text(draw.request_id),
            "call_id": text(draw.call_id),
            "step": text(draw.item.step),
            "item": text(draw.item.item),
            "quantity": text(draw.item.quantity),
            "unit": text(draw.item.unit),
            "category": text(draw.item.category),
            "drawn": number(draw.drawn_micros),
            "state": text(draw.state),
            "attempt": number(draw.attempt),
            "mark": text(mark),
            "ttl": number(ttl),
        }


def _allowance(item: Item) -> Allowance:
    amount = whole(item, "amount")
    return Allowance(
        request_id=item["request_id"]["S"],
        amount_micros=amount,
        used_micros=amount - whole(item, "remaining"),
        epoch=whole(item, "epoch"),
        expires_at=_EPOCH + timedelta(microseconds=whole(item, "expires_at")),
        closed=item["closed"]["BOOL"],
        overrun_micros=whole(item, "overrun"),
    )


def _draw(item: Item) -> Draw:
    values: dict[str, Any] = {name: item[name]["S"] for name in ("step", "item", "quantity", "unit", "category")}
    state: Any = item["state"]["S"]
    return Draw(
        request_id=item["request_id"]["S"],
        call_id=item["call_id"]["S"],
        item=CallItem(**values),
        drawn_micros=whole(item, "drawn"),
        state=state,
        actual_micros=whole(item, "actual") if "actual" in item else None,
        attempt=whole(item, "attempt"),
    )


def _micros_of(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _ttl(expires_at: datetime) -> int:
    return int((expires_at + KEPT).timestamp())


def _missing(request_id: str) -> ChimeraError:
    return ChimeraError("NOT_FOUND", f"no allowance for request {request_id[:80]}", {"request_id": request_id[:80]})
