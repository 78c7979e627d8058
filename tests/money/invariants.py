"""The invariants I1-I10 of the money design, checked by an oracle that shares no sum, rule or period with production.

It is shown every commit of the store, every reply that somebody got, and every charge of the vendor, and keeps books of
its own. `Breach` names the first thing that does not fit. Only the ledger row's data class comes from production.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from math import ceil
from typing import Any

from chimera.domain.ledger import Entry
from tests.money.sim_store import SimStore
from tests.money.sim_tables import Changes, Tables

Key = tuple[str, str, str]
GRACE = timedelta(seconds=30)
SPENDING = ("RUN", "PAUSE_PUBLISH")
CLOSES = {"SETTLE": "SETTLED", "RELEASE": "RELEASED", "EXPIRE": "EXPIRED"}
ALLOWED = {
    (None, "RESERVED"),
    ("RESERVED", "SIGNED"),
    ("SIGNED", "DISPATCHED"),
    ("RESERVED", "EXPIRED"),
    ("SIGNED", "EXPIRED"),
    ("RESERVED", "RELEASED"),
    ("SIGNED", "RELEASED"),
    ("DISPATCHED", "RELEASED"),
    ("DISPATCHED", "SETTLED"),
}


class Breach(AssertionError):  # noqa: N818
    """An invariant does not hold."""


@dataclass(frozen=True)
class Rules:
    """The rules' numbers as the oracle knows them."""

    hurdle: Fraction = Fraction(3, 2)
    largest: int = 10_000_000_000
    threshold: Fraction = Fraction(7, 10)
    ttl_seconds: int = 86_400


@dataclass(frozen=True)
class Body:
    """What a request says; two bodies are the same request exactly when they are equal."""

    agent_id: str
    request_type: str
    amount: int
    roi: Fraction
    justification: str = ""
    currency: str = "USD"
    override: tuple[str, str, bool, str] | None = None
    """(request, by, approve, note) of a person's answer."""


@dataclass
class Line:
    """One counter in the oracle's books, micros."""

    limit: int
    target: int
    reserved: int = 0
    spent: int = 0


@dataclass
class Open:
    """A decision in the oracle's books."""

    entry: Entry
    body: Body
    keys: list[Key]
    state: str = "RESERVED"
    spent: int = 0
    refunded: int = 0


def expect(holds: bool, what: str, *shown: Any) -> None:
    """`Breach` unless it holds."""
    if not holds:
        raise Breach(f"{what}: {' | '.join(str(s) for s in shown)}" if shown else what)


def periods_at(at: datetime) -> dict[str, str]:
    """UTC day, ISO week, month; the week from the Thursday rule, not from the library's calendar."""
    day = at.astimezone(UTC).date()
    thursday = day + timedelta(days=3 - day.weekday())
    week = (thursday - thursday.replace(month=1, day=1)).days // 7 + 1
    return {"D": day.strftime("%Y-%m-%d"), "W": f"{thursday.year:04d}-W{week:02d}", "M": day.strftime("%Y-%m")}


def keys_of(request_type: str, periods: Mapping[str, str]) -> list[Key]:
    """The counters of a request: of its category, unless that is blockchain, and of the total."""
    scopes = ["total"] if request_type == "blockchain" else ["total", request_type]
    return [(scope, kind, periods[kind]) for scope in scopes for kind in "DWM"]


@dataclass
class Books:
    """Everything that the oracle knows of one tenant."""

    store: SimStore
    rules: Rules
    signed: Callable[[str, bytes, bytes], bool]
    lines: dict[Key, Line] = field(default_factory=dict)
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    decisions: dict[str, Open] = field(default_factory=dict)
    requested: dict[str, set[Body]] = field(default_factory=lambda: defaultdict(set))
    settlements_asked: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    past: dict[str, list[tuple[str, str, int, datetime]]] = field(default_factory=lambda: defaultdict(list))
    refunds: dict[tuple[str, str], int] = field(default_factory=dict)
    """By request and key."""
    controls: list[tuple[int, tuple[str, int] | None]] = field(default_factory=list)
    replies: dict[tuple[str, ...], str] = field(default_factory=dict)
    charges: dict[str, int] = field(default_factory=dict)
    dispatches: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seq: int = 0
    head: bytes = bytes(32)
    checks: int = 0
    types: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    overrun: int = 0
    """Micros that vendors billed above reservations."""

    def __post_init__(self) -> None:
        self.store.on_commit.append(self.commit)
        self.control_changed()

    # --- what the world tells

    def control_changed(self) -> None:
        """The switch was moved."""
        self.controls.append((self.store.tick, self.store.tables.control))

    def controls_since(self, tick: int) -> list[tuple[str, int] | None]:
        """Every position of the switch from a moment until now."""
        seen = []
        for at, control in reversed(self.controls):
            seen.append(control)
            if at <= tick:
                break
        return seen

    def charge(self, request_id: str, micros: int) -> None:
        """I5, I6: the vendor took money; somebody must have been let through before, and not more than was reserved."""
        known = self.decisions.get(request_id)
        expect(known is not None, "I5 a charge without a decision", request_id)
        assert known is not None
        expect(self.dispatches[request_id] == 1, "I5 a charge that nobody was let through for", request_id, known.state)
        expect(known.state != "RELEASED", "I6 a charge on an approval that was given back", request_id)
        expect(known.state != "EXPIRED", "I6 a charge on an approval that expired", request_id)
        before = self.charges.get(request_id, 0)
        total = self.charges[request_id] = before + micros
        reserved = known.entry.amount_micros
        if known.state == "SETTLED":
            expect(min(total, reserved) <= known.spent, "I6 a charge above what was settled", request_id)
        self.overrun += max(0, total - reserved) - max(0, before - reserved)

    def answered(self, request_id: str, body: Body) -> bool:
        """Whether somebody has the final answer already."""
        return ("approve", request_id, str(body)) in self.replies

    def reply(
        self, what: str, request_id: str, body: Body | int | str, answer: Mapping[str, Any], *, before: bool = False
    ) -> None:
        """I9: the same question again, the same bytes again; I2: what is told is in the ledger.

        `before`: whether it was `answered` when it was asked.
        """
        self.checks += 1
        business = {name: value for name, value in answer.items() if name != "execution_time_ms"}
        if what == "approve" and answer["decision"] == "approved" and not answer["approved"]:
            # ended before it could be signed: no answer yet that lets anybody spend, and never after one that does
            expect(not before, "I9 an approval lost its token", request_id)
            business = {k: v for k, v in business.items() if k not in ("approved", "approval_signature", "token")}
            what = "unsigned"
        text = json.dumps(business, sort_keys=True)
        key = (what, request_id, str(body))
        first = self.replies.setdefault(key, text)
        expect(first == text, f"I9 {what} of {request_id} was answered otherwise before", first, text)
        if what == "approve":
            known = self.decisions.get(request_id)
            expect(known is not None, "I2 a reply without a decision in the ledger", request_id)
            assert known is not None
            expect(known.body == body, "I9 another body got the decision", request_id)
            row = known.entry
            expect(answer["decision"] == row.decision and answer["code"] == row.code, "I9 reply and row differ", text)
            expect(answer["approved"] == (row.decision == "approved"), "I9 approved, but not usable", text)
            if answer["approved"]:
                claims = answer["token"]["claims"]
                expect(claims["amount_micros"] == str(row.amount_micros), "I5 the token's amount", text)
                expect(claims["request_id"] == request_id, "I5 the token's request", text)

    # --- commits

    def commit(self, changes: Changes) -> None:
        """Check one transaction against the books and enter it."""
        self.checks += 1
        touched: set[Key] = set(changes.counters)
        for write in changes.writes:
            touched |= self._row(write.entry, changes)
        for request_id, row in changes.reservations.items():
            self._reservation(request_id, row.state, changes)
        for seq, (kid, signature) in changes.signatures.items():
            entry = self.store.tables.ledger[seq - 1]
            expect(self.signed(kid, message_of(entry), signature), "I5 a signature that does not verify", seq)
            expect(entry.key_id in ("", kid), "I5 signed by another key than was decided for", seq)
        for key in touched:
            self._counter(key)

    def _counter(self, key: Key) -> None:
        row = self.store.tables.counters.get(key)
        if row is None:
            expect(False, "I3 a counter is missing", key)
            return
        mine = self.lines.get(key)
        if mine is None:  # a new period begins with the limit in force
            limit = self.limits.get(key[:2], -1)
            mine = self.lines[key] = Line(limit, limit)
        expect(type(row.reserved) is int and type(row.spent) is int, "money is an integer", row)
        same = (row.reserved, row.spent, row.limit, row.target) == (mine.reserved, mine.spent, mine.limit, mine.target)
        expect(same, f"I3 counter {key}", row, mine)
        fits = mine.reserved >= 0 and mine.spent >= 0 and mine.reserved + mine.spent <= mine.limit
        expect(fits, f"I1 counter {key}", mine)

    def _line(self, key: Key) -> Line:
        line = self.lines.get(key)
        if line is None:
            limit = self.limits.get(key[:2], 0)
            line = self.lines[key] = Line(limit, limit)
        return line

    def _reservation(self, request_id: str, state: str, changes: Changes) -> None:
        known = self.decisions.get(request_id)
        expect(known is not None, "I2 a reservation without a decision", request_id)
        assert known is not None
        row = self.store.tables.reservations[request_id]
        same = row.amount_micros == known.entry.amount_micros and row.periods == known.entry.periods
        expect(same and row.expires_at == known.entry.expires_at, "I3 the reservation is not what was approved", row)
        before: str | None = known.state
        if before == state:
            expect(state == "RESERVED", "I2 a reservation was written again", request_id, state)
            return
        if known.entry.request_id in self._closing:
            before = self._closing.pop(known.entry.request_id)
        expect((before, state) in ALLOWED, f"I2 {request_id} went {before} -> {state}")
        if state == "DISPATCHED":
            self._dispatched(known, changes)
        known.state = state

    _closing: dict[str, str] = field(default_factory=dict)

    def _dispatched(self, known: Open, changes: Changes) -> None:
        row = known.entry
        self.dispatches[row.request_id] += 1
        expect(self.dispatches[row.request_id] == 1, "I5 dispatched twice", row.request_id)
        stored = self.store.tables.ledger[row.seq - 1]
        good = stored.signature is not None and self.signed(
            stored.signed_by or "", message_of(stored), stored.signature
        )
        expect(good, "I5 dispatched without a valid signature", row.request_id)
        at = changes.checked_at.get(row.request_id)
        expect(at is not None and row.expires_at is not None, "I5 dispatched past the store's check", row.request_id)
        assert at is not None and row.expires_at is not None
        expect(at < row.expires_at, "I5 dispatched after its end", at, row.expires_at)
        usable = any(
            control is not None and control[0] in SPENDING and control[1] == row.control_epoch
            for control in self.controls_since(changes.began)
        )
        expect(usable, "I5 dispatched under a stop or in a later epoch", row.request_id, row.control_epoch)

    # --- rows

    def _row(self, entry: Entry, changes: Changes) -> set[Key]:
        """I7, and what each kind of row may do."""
        self.types[entry.entry_type] += 1
        expect(entry.seq == self.seq + 1, "I7 a gap", self.seq, entry.seq)
        expect(entry.prev_hash == self.head, "I7 a row does not follow the one before", entry.seq)
        expect(entry.row_hash == sha256(b"\0" + self.head + entry.body).digest(), "I7 a hash", entry.seq)
        self.seq, self.head = entry.seq, entry.row_hash
        claims = json.loads(entry.body)
        covered = (claims["seq"], claims["amount_micros"], claims["prev"], claims["entry"], claims["request_id"])
        columns = (entry.seq, str(entry.amount_micros), entry.prev_hash.hex(), entry.entry_type, entry.request_id)
        expect(covered == columns, "I7 the body is not the row", covered, columns)
        expect(type(entry.amount_micros) is int, "money is an integer", type(entry.amount_micros))
        if entry.entry_type == "DECISION":
            return self._decision(entry, changes)
        if entry.entry_type in CLOSES:
            return self._resolution(entry, changes)
        if entry.entry_type == "REFUND":
            return self._refund(entry)
        if entry.entry_type == "LIMIT_CHANGE":
            return self._limits(entry)
        if entry.entry_type == "OVERRUN":
            self._overrun(entry)
        elif entry.entry_type == "FREEZE":
            self.frozen |= set(entry.details["scopes"])
        elif entry.entry_type == "UNFREEZE":
            self.frozen -= set(entry.details["scopes"])
        else:
            expect(entry.entry_type in ("REFUSAL", "KEY"), "an unknown kind of row", entry.entry_type)
        if entry.entry_type != "OVERRUN":
            expect(entry.amount_micros == 0, "a row without money has an amount", entry)
        return set()

    def _decision(self, entry: Entry, changes: Changes) -> set[Key]:
        request_id = entry.request_id
        expect(request_id not in self.decisions, "I2 a second decision", request_id)
        read = {name: str(value) for name, value in claims_of(entry).items()}
        bodies = [b for b in self.requested[request_id] if _says(b, entry, self.decisions)]
        expect(len(bodies) == 1, "I2 a decision about something nobody asked", request_id, entry.amount_micros)
        body = bodies[0]
        expect(read["req_sha256"] == entry.req_sha256.hex(), "I7 the request's hash", request_id)
        expect(
            entry.created_at in changes.readings,
            "the decision's clock was not read after its locks",
            entry.created_at,
            changes.readings,
        )
        expect(entry.periods == periods_at(entry.created_at), "the decision's periods", entry.periods, entry.created_at)
        controls = self.controls_since(changes.began)
        let = any(c is not None and c[0] in SPENDING and c[1] == entry.control_epoch for c in controls)
        expect(let, "a decision under a stop or in another epoch", request_id, entry.control_epoch, controls)
        keys = keys_of(body.request_type, entry.periods)
        self._model(entry, body, keys)
        approved = entry.decision == "approved"
        if approved:
            lasts = entry.expires_at - entry.created_at if entry.expires_at else timedelta(0)
            near = timedelta(seconds=self.rules.ttl_seconds - 1) <= lasts <= timedelta(seconds=self.rules.ttl_seconds)
            expect(near, "an approval's life", lasts)
            for key in keys:
                self._line(key).reserved += body.amount
        opened = Open(entry, body, keys, "RESERVED" if approved else (entry.decision or "").upper())
        self.decisions[request_id] = opened
        self.past[body.agent_id].append((entry.decision or "", body.request_type, body.amount, entry.created_at))
        row = self.store.tables.reservations.get(request_id)
        expect((row is not None) == approved, "I2 a reservation exactly when approved", request_id)
        return set(keys) if approved else set()

    def _model(self, entry: Entry, body: Body, keys: list[Key]) -> None:
        """I8: the pure rules, replayed in order of seq, say the same and leave the same."""
        left = {key: self._remaining(key) for key in keys}
        risk = self._risk(body, min(left.values()), entry.created_at)
        shown = Fraction(str(entry.risk_score))
        expect(abs(shown - risk) <= Fraction(1, 10_000), "I8 the risk", entry.risk_score, float(risk))
        rules, override = self.rules, body.override
        if body.currency != "USD":
            verdict = ("rejected", "VALIDATION_FAILED")
        elif body.amount > rules.largest:
            verdict = ("rejected", "TRANSACTION_TOO_LARGE")
        elif body.roi < rules.hurdle:
            verdict = ("rejected", "ROI_TOO_LOW")
        elif min(left.values()) < body.amount:
            verdict = ("rejected", "BUDGET_EXCEEDED")
        elif shown > rules.threshold and override is None:
            verdict = ("escalated", "APPROVAL_REQUIRED")
        else:
            verdict = ("approved", "")
        if override is not None and not override[2]:
            verdict = ("rejected", "FORBIDDEN")
        expect(
            (entry.decision, entry.code) == verdict, "I8 the decision", entry.decision, entry.code, verdict, body, left
        )
        used = body.amount if verdict[0] == "approved" else 0
        names = {"D": "daily", "W": "weekly", "M": "monthly"}
        after = {
            names[kind]: str(max(0, min(v for k, v in left.items() if k[1] == kind) - used)) for kind in ("D", "W", "M")
        }
        expect(entry.details["remaining_micros"] == after, "I8 budget_remaining", entry.details, after)

    def _remaining(self, key: Key) -> int:
        if key[0] in self.frozen:
            return 0
        line = self._line(key)
        return max(0, line.limit - line.reserved - line.spent)

    def _risk(self, body: Body, left: int, at: datetime) -> Fraction:
        past = self.past[body.agent_id][-100:]
        cost = Fraction(body.amount)
        rejected = sum(1 for p in past if p[0] == "rejected")
        largest = max((p[2] for p in past if p[0] == "approved" and p[1] == body.request_type), default=0)
        recent = sum(1 for p in past if p[3] > at - timedelta(minutes=10))
        hurdle = self.rules.hurdle
        features = (
            (35, cost / left if left > 0 else Fraction(1)),
            (15, 1 - _unit((body.roi - hurdle) / hurdle)),
            (25, Fraction(rejected + 1, len(past) + 5)),
            (10, 1 - Fraction(largest) / cost),
            (15, Fraction(recent, 60)),
        )
        total = sum((Fraction(weight, 100) * _unit(value) for weight, value in features), Fraction(0))
        return Fraction(ceil(_unit(total) * 10_000), 10_000)

    def _resolution(self, entry: Entry, changes: Changes) -> set[Key]:
        known = self.decisions.get(entry.request_id)
        expect(known is not None, "I2 a resolution without an approval", entry.request_id)
        assert known is not None
        kind, approval = entry.entry_type, known.entry
        expect(
            known.state in ("RESERVED", "SIGNED", "DISPATCHED"),
            "I2 resolved twice",
            entry.request_id,
            known.state,
            kind,
        )
        expect(entry.settles == approval.tx_id, "I2 resolves another row", entry.seq)
        expect(entry.periods == approval.periods, "I3 resolved in other periods than the decision's", entry.periods)
        amount = entry.amount_micros
        if kind == "SETTLE":
            expect(known.state == "DISPATCHED", "I2 settled without a dispatch", entry.request_id, known.state)
            asked = {min(a, approval.amount_micros) for a in self.settlements_asked[entry.request_id]}
            known_cost = amount in asked or amount == approval.amount_micros or entry.made_by == "recovery"
            expect(known_cost, "a settlement that nobody asked", amount, asked)
            charged = min(self.charges.get(entry.request_id, 0), approval.amount_micros)
            expect(amount >= charged, "I6 settled below what the vendor charged", amount, charged)
        else:
            expect(amount == 0, f"a {kind} of money", amount)
            used = self.charges.get(entry.request_id, 0)
            expect(used == 0, f"I6 {kind} of an approval that was spent", entry.request_id, used)
        if kind == "EXPIRE":
            expect(known.state in ("RESERVED", "SIGNED"), "a dispatched approval expired", entry.request_id)
            late = max(changes.clocks, default=entry.created_at)
            assert approval.expires_at is not None
            expect(approval.expires_at < late - GRACE, "expired too early", approval.expires_at, late)
        for key in known.keys:
            line = self._line(key)
            line.reserved -= approval.amount_micros
            line.spent += amount
            line.limit = max(line.target, line.reserved + line.spent)
        known.spent = amount
        self._closing[entry.request_id] = known.state
        known.state = "closing"
        row = self.store.tables.reservations[entry.request_id]
        expect(row.state == CLOSES[kind], "I2 the reservation after it", row.state, kind)
        return set(known.keys)

    def _refund(self, entry: Entry) -> set[Key]:
        known = self.decisions.get(entry.request_id)
        expect(known is not None and known.entry.tx_id == entry.settles, "a refund of nothing", entry.request_id)
        assert known is not None
        expect(known.state == "SETTLED" and entry.amount_micros > 0, "a refund of what was not spent", known.state)
        key = (entry.request_id, str(entry.details["key"]))
        expect(key not in self.refunds, "I9 a refund's key was used twice", key)
        self.refunds[key] = entry.amount_micros
        known.refunded += entry.amount_micros
        expect(known.refunded <= known.spent, "more refunded than spent", known.refunded, known.spent)
        expect(entry.periods == known.entry.periods, "I3 refunded in other periods", entry.periods)
        for counter in known.keys:
            line = self._line(counter)
            line.spent -= entry.amount_micros
            line.limit = max(line.target, line.reserved + line.spent)
        return set(known.keys)

    def _overrun(self, entry: Entry) -> None:
        known = self.decisions.get(entry.request_id)
        before = self.store.tables.ledger[entry.seq - 2]
        expect(known is not None and entry.settles == known.entry.tx_id, "an overrun of nothing", entry.request_id)
        assert known is not None
        right_after = before.entry_type == "SETTLE" and before.request_id == entry.request_id
        expect(right_after and known.spent == known.entry.amount_micros, "an overrun without its settlement", entry.seq)
        asked = {a - known.entry.amount_micros for a in self.settlements_asked[entry.request_id]}
        told = entry.amount_micros in asked or entry.made_by == "recovery"
        expect(entry.amount_micros > 0 and told, "the overrun's amount", entry.amount_micros, asked)
        scope = "total" if known.body.request_type == "blockchain" else known.body.request_type
        expect(entry.details["freeze"] == [scope], "an overrun freezes its category", entry.details)
        self.frozen.add(scope)

    def _limits(self, entry: Entry) -> set[Key]:
        touched = set()
        for change in entry.details["changes"]:
            pair, after = (change["scope"], change["kind"]), int(change["after"])
            before = self.limits.get(pair)
            expect(change["before"] == (None if before is None else str(before)), "the limit before", change, before)
            self.limits[pair] = after
            for key, line in self.lines.items():
                if key[:2] == pair and key[2] >= entry.periods[pair[1]]:
                    line.target = after
                    line.limit = max(after, line.reserved + line.spent)
                    touched.add(key)
        return touched

    # --- at rest

    def full(self, *, closed: bool = False) -> None:
        """Everything again from the committed tables: I1-I4, I6, I7; with `closed` also that nothing is stuck."""
        tables = self.store.tables
        reserved: dict[Key, int] = defaultdict(int)
        spent: dict[Key, int] = defaultdict(int)
        charged: dict[Key, int] = defaultdict(int)
        head = bytes(32)
        for number, entry in enumerate(tables.ledger, 1):
            expect(entry.seq == number and entry.prev_hash == head, "I7 the chain", number)
            head = sha256(b"\0" + head + entry.body).digest()
            expect(head == entry.row_hash, "I7 the hash", number)
            keys = keys_of(entry.request_type, entry.periods) if entry.request_type else []
            for key in keys:
                if entry.entry_type == "DECISION" and entry.decision == "approved":
                    reserved[key] += entry.amount_micros
                    charged[key] += min(self.charges.get(entry.request_id, 0), entry.amount_micros)
                elif entry.entry_type in CLOSES:
                    reserved[key] -= self.decisions[entry.request_id].entry.amount_micros
                    spent[key] += entry.amount_micros
                elif entry.entry_type == "REFUND":
                    spent[key] -= entry.amount_micros
                    charged[key] -= entry.amount_micros  # the vendor gave it back
        expect(tables.head == (len(tables.ledger), head), "I7 the chain's head", tables.head)
        expect(set(tables.frozen) == self.frozen, "the frozen scopes", set(tables.frozen), self.frozen)
        expect(tables.limits == self.limits, "the limits in force", tables.limits, self.limits)
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for key, row in tables.counters.items():
            expect(
                (row.reserved, row.spent) == (reserved[key], spent[key]), f"I3 {key}", row, reserved[key], spent[key]
            )
            expect(min(row.reserved, row.spent) >= 0 and row.reserved + row.spent <= row.limit, f"I1 {key}", row)
            expect(charged[key] <= row.reserved + row.spent, f"I6 {key}: the vendor took more", charged[key], row)
            sign = 1 if key[0] == "total" else -1
            sums[key[1:]][0] += sign * row.reserved
            sums[key[1:]][1] += sign * row.spent
        for key in [k for k, v in reserved.items() if v] + [k for k, v in spent.items() if v]:
            expect(key in tables.counters, "I3 a counter is missing", key)
        chain: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for known in self.decisions.values():
            if known.body.request_type == "blockchain":
                kept = tables.reservations.get(known.entry.request_id)
                held = known.entry.amount_micros if kept and kept.state in ("RESERVED", "SIGNED", "DISPATCHED") else 0
                for kind in "DWM":
                    chain[kind, known.entry.periods[kind]][0] += held
                    chain[kind, known.entry.periods[kind]][1] += known.spent - known.refunded
        for pair, both in sums.items():
            expect(both == chain[pair], f"I4 total and categories of {pair}", both, chain[pair])
        if closed:
            self._nothing_stuck(tables)

    def _nothing_stuck(self, tables: Tables) -> None:
        for request_id, held in tables.reservations.items():
            expect(held.state in CLOSES.values(), "still open after recovery", request_id, held.state)
        for key, row in tables.counters.items():
            expect(row.reserved == 0, "still reserved after recovery", key, row)
        for seq in tables.unsigned:
            entry = tables.ledger[seq - 1]
            expect(entry.is_approval and self.dispatches[entry.request_id] == 0, "unsigned after recovery", seq)
        expect(sum(self.charges.values()) - self.overrun <= sum(d.spent for d in self.decisions.values()), "I6 in all")


def message_of(entry: Entry) -> bytes:
    """What a signature covers."""
    spends = entry.entry_type == "DECISION" and entry.decision == "approved"
    return (b"chimera.cfo.approval.v1\n" if spends else b"chimera.cfo.entry.v1\n") + entry.body


def claims_of(entry: Entry) -> dict[str, Any]:
    """The row's body, parsed."""
    claims: dict[str, Any] = json.loads(entry.body)
    return claims


def _unit(value: Fraction) -> Fraction:
    return max(Fraction(0), min(Fraction(1), value))


def _says(body: Body, entry: Entry, decisions: Mapping[str, Open]) -> bool:
    same = (body.agent_id, body.request_type, body.amount, body.justification, body.currency) == (
        entry.agent_id,
        entry.request_type,
        entry.amount_micros,
        entry.justification,
        entry.currency,
    )
    if (
        not same
        or body.roi != Fraction(str(entry.projected_roi))
        or (body.override is None) != (entry.override_of is None)
    ):
        return False
    if body.override is None:
        return True
    first, by, approve, note = body.override
    told = entry.details["override"]
    return (
        first in decisions
        and decisions[first].entry.tx_id == entry.override_of
        and (told["by"], told["approve"], told["note"]) == (by, str(approve).lower(), note)
    )
