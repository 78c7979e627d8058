"""Seeded bugs in the money code: each is a small change of production text that some check must notice.

`replace` holds (module, exact text, new text); a text that is not found fails loudly, so the list stays true to the code.
"""

from __future__ import annotations

from dataclasses import dataclass

CFO, LEDGER, APPROVAL = "chimera.domain.cfo", "chimera.domain.ledger", "chimera.domain.approval"
ENGINE, DESK, DESKTOP = "chimera.usecases.ledger", "chimera.usecases.ledger_desk", "chimera.usecases.cfo"
MARKS = "chimera.usecases.ledger_marks"
PORTS, SEALING, PURSE = "chimera.money_ports", "chimera.usecases.sealing", "chimera.purse"
GATEWAY, RECOVERY, ALLOWANCE = "chimera.usecases.spend_gateway", "chimera.usecases.recovery", "chimera.domain.allowance"


@dataclass(frozen=True)
class Mutant:
    """One seeded bug."""

    name: str
    what: str
    replace: tuple[tuple[str, str, str], ...]
    fast: bool = False
    """Whether it is in the half that `make test` runs."""


def mutant(
    name: str, what: str, module: str, old: str, new: str, *more: tuple[str, str, str], fast: bool = False
) -> Mutant:
    """Short form."""
    return Mutant(name, what, ((module, old, new), *more), fast)


MUTANTS = [
    mutant("limit-off-by-one", "a micro above the limit is approved", CFO,
           "if left < amount]", "if left + 1 < amount]", fast=True),
    mutant("limit-equality", "exactly what is left is refused", CFO, "if left < amount]", "if left <= amount]", fast=True),
    mutant("size-equality", "the largest transaction itself is refused", CFO,
           "if amount > policy.max_transaction_micros:", "if amount >= policy.max_transaction_micros:"),
    mutant("roi-equality", "the hurdle itself is refused", CFO,
           "if request.projected_roi < policy.hurdle:", "if request.projected_roi <= policy.hurdle:"),
    mutant("risk-equality", "the threshold itself escalates", CFO,
           "if risk > policy.risk_threshold", "if risk >= policy.risk_threshold"),
    mutant("override-waives-budget", "a person's yes spends money that is not there", CFO,
           "if left < amount]", "if left < amount and not waive_risk]", fast=True),
    mutant("blockchain-in-category", "blockchain counts in compute", CFO,
           'return ("total",) if request_type', 'return ("compute", "total") if request_type', fast=True),
    mutant("pause-spends", "a pause of spending lets money be spent", CFO,
           'frozenset({"RUN", "PAUSE_PUBLISH"})', 'frozenset({"RUN", "PAUSE_PUBLISH", "PAUSE_SPEND"})', fast=True),
    mutant("missing-switch-runs", "no control row is read as RUN", CFO,
           "if state not in SPENDING_STATES:", "if state is not None and state not in SPENDING_STATES:"),
    mutant("calendar-year-week", "week 53 is counted in the wrong year", CFO,
           'f"{week.year:04d}-W{week.week:02d}"', 'f"{day.year:04d}-W{week.week:02d}"'),
    mutant("roi-rounds-up", "1.4999999 passes the hurdle of 1.5", CFO,
           'Decimal("0.000001"), rounding=ROUND_FLOOR', 'Decimal("0.000001"), rounding=ROUND_CEILING'),
    mutant("freeze-ignored", "a frozen scope approves", PORTS, "return 0 if self.frozen else max(", "return max(",
           (DESK, "if counter.frozen and", "if False and"), fast=True),
    mutant("hash-without-amount", "the same id with another amount gets the first decision", CFO,
           '"amount_micros": str(request.amount_micros),', "", fast=True),
    mutant("dedupe-without-hash", "the same id with any body gets the first decision", DESK,
           "if known.req_sha256 != digest:", "if False:"),
    mutant("no-known-check", "a duplicate is decided anew", DESK,
           "known = view.known or self._decided.get(request.request_id)",
           "known = self._decided.get(request.request_id)", fast=True),
    mutant("no-known-in-batch", "a duplicate in one batch is decided anew", DESK,
           "known = view.known or self._decided.get(request.request_id)", "known = view.known"),
    mutant("batch-forgets-reserve", "requests of one batch do not see each other's reservations", DESK,
           "reserved_micros=counter.reserved_micros + entry.amount_micros)", "reserved_micros=counter.reserved_micros)"),
    mutant("clock-before-lock", "the decision's time is read before its locks", ENGINE,
           "periods = self._guessed_periods(tx)\n            view = tx.view(",
           "early = tx.now()\n            periods = periods_of(early)\n            view = tx.view(",
           (ENGINE, "desk = Desk(view, self.tenant_id, policy",
            'desk = Desk(__import__("dataclasses").replace(view, now=early), self.tenant_id, policy'), fast=True),
    mutant("period-not-rechecked", "midnight between guess and lock is not noticed", ENGINE,
           "if periods_of(view.now) != guessed:", "if False:", fast=True),
    mutant("read-then-write", "counters are read in one transaction and written in another", ENGINE,
           "view = tx.view(request.request_id, request.agent_id, counters(request.request_type, periods))",
           "view = self._store.run(lambda other: other.view(request.request_id, request.agent_id,"
           " counters(request.request_type, periods)))", fast=True),
    mutant("settle-in-current-period", "a settlement after midnight goes to today", ENGINE,
           "keys = counters(held.category, held.periods)  # the periods of the decision, also after midnight",
           "keys = counters(held.category, periods_of(tx.now()))", fast=True),
    mutant("settle-keeps-reserve", "only what was spent leaves the reservation", ENGINE,
           "reserved_micros=-held.amount_micros, spent_micros=actual", "reserved_micros=-actual, spent_micros=actual"),
    mutant("settle-undispatched", "what nobody was let through for is settled", ENGINE,
           'if held.state != "DISPATCHED":', 'if held.state == "EXPIRED":'),
    mutant("settle-twice", "a second settlement at another cost is taken as the first", ENGINE,
           '(done.amount_micros, told) == (actual_micros, overrun_micros)', "True", fast=True),
    mutant("settle-falsy-zero", "a settlement at 0 counts as none", ENGINE,
           "            if done is not None:\n                told =",
           "            if done is not None and done.amount_micros:\n                told ="),
    mutant("zero-is-all", "an actual of 0 is charged in full", DESKTOP,
           "self._ledger.settle(request_id, min(measured, reserved), details",
           "self._ledger.settle(request_id, min(measured, reserved) or reserved, details", fast=True),
    mutant("above-reserve", "more than was reserved is charged", ENGINE,
           "if actual_micros > held.amount_micros or (", "if (", fast=True),
    mutant("expire-early", "an approval expires before its grace", ENGINE,
           "tx.due_reservation(tx.now() - EXPIRY_GRACE)", "tx.due_reservation(tx.now() + EXPIRY_GRACE)"),
    mutant("no-grace", "an approval expires the moment it ends", ENGINE,
           "tx.due_reservation(tx.now() - EXPIRY_GRACE)", "tx.due_reservation(tx.now())"),
    mutant("signature-unchecked", "an altered token opens the purse", APPROVAL,
           "if not verifier.verify(parsed.kid, APPROVAL_PREFIX + body, signature):", "if False:",
           (ENGINE, "if decision is None or decision.body != claims.body:", "if decision is None:"), fast=True),
    mutant("two-spenders", "a second spender is let through", ENGINE,
           'if held.state == "DISPATCHED" and held.spender == spender:', 'if held.state == "DISPATCHED":', fast=True),
    mutant("signed-never-mind", "an unsigned approval is called usable", DESKTOP,
           "approved=token is not None,", 'approved=entry.decision == "approved",'),
    mutant("older-epoch", "an approval from before a stop is used after it", ENGINE,
           "if control is None or held.control_epoch != control[1]:", "if control is None:", fast=True),
    mutant("dispatch-under-stop", "the switch is not looked at before spending", ENGINE,
           "            control = tx.control()\n            check_control(control[0] if control else None)\n"
           '            if held.state == "DISPATCHED" and',
           '            control = tx.control()\n            if held.state == "DISPATCHED" and'),
    mutant("release-after-settle", "what was settled is given back", ENGINE,
           'if done.entry_type == "SETTLE":\n                    raise _closed(request_id, done)', "if False:\n                    pass"),
    mutant("refund-new-id", "a refund asked for again is booked again", ENGINE,
           'tx_id = stable_id(self.tenant_id, request_id.lower(), "refund", key)', "tx_id = self._new_id()", fast=True),
    mutant("refund-above-cost", "refunds together exceed what was settled", ENGINE,
           "if before + amount_micros > done.amount_micros:", "if amount_micros > done.amount_micros:"),
    mutant("float-money", "micros become a float", ENGINE,
           "reserved_micros=-held.amount_micros, spent_micros=actual",
           "reserved_micros=-held.amount_micros, spent_micros=float(actual)"),
    mutant("retry-new-id", "a retry is a new request", DESKTOP,
           "entry = self._ledger.decide(parsed, self._policy, key_id=self._signer.key_id)",
           'parsed = parsed.model_copy(update={"request_id": stable_id(parsed.request_id, str(time.perf_counter_ns()))})\n'
           "            entry = self._ledger.decide(parsed, self._policy, key_id=self._signer.key_id)", fast=True),
    mutant("override-id-by-answer", "yes and no to one escalation are two decisions", DESKTOP,
           'stable_id(first.request_id, "override")', 'stable_id(first.request_id, "override", str(approve))', fast=True),
    mutant("stranger-decides", "an agent of nobody is decided for", DESK, "if not view.agent_known:", "if False:"),
    mutant("overrun-not-frozen", "a vendor that bills too much goes on", ENGINE,
           "writes.append(Write(row, freeze=[scope]))", "writes.append(Write(row))"),
    mutant("first-line-only", "only one line of the costs is booked", DESKTOP,
           "measured = sum(line.amount_micros for line in lines)",
           "measured = max(line.amount_micros for line in lines)", fast=True),
    mutant("chain-not-linked", "rows of one transaction do not follow each other", LEDGER,
           "self.seq, self.hash = entry.seq, entry.row_hash", "self.seq = entry.seq"),
    mutant("hash-without-previous", "a row's hash leaves the one before out", LEDGER,
           'sha256(b"\\0" + prev_hash + body)', 'sha256(b"\\0" + body)', fast=True),
    mutant("limits-not-kept", "a change of limits is only written down", MARKS,
           "limits={(change.scope, change.kind): change.after for change in changes}", "limits={}"),
    mutant("recent-reversed", "the risk's timing counts the old decisions", DESK,
           "past.created_at > recent", "past.created_at < recent"),
    mutant("epoch-zero", "decisions are written under epoch 0", DESK,
           "control_epoch=view.control[1],\n            expires_at", "control_epoch=0,\n            expires_at"),
    mutant("refusal-each-time", "the same refusal is written each time it comes", MARKS,
           'tx_id = stable_id(self.tenant_id, "refusal", who, code, digest.hex())', "tx_id = self._new_id()"),
    mutant("seal-wrong-rows", "a seal leaves its first row out", SEALING,
           "rows[0].seq, [row.row_hash for row in rows]", "rows[0].seq, [row.row_hash for row in rows[1:] or rows]", fast=True),
    mutant("seal-recorded-first", "a seal is in the database before it is anchored", SEALING,
           "        try:\n            self._anchor.keep(seal)\n", "        self._seals.keep(seal)\n        try:\n            self._anchor.keep(seal)\n"),
]  # fmt: skip
