"""What a crash or a forger left behind: signs, expires, reconciles, recomputes the books, seals. Run each minute, anywhere.

Money is never corrected here. What was dispatched and never settled is settled at what was drawn, or in full when nobody can
say; a counter that is not what the ledger says freezes its scope until a person looked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from chimera.domain.ledger import Entry
from chimera.domain.models import CostLine, Model
from chimera.errors import ChimeraError
from chimera.telemetry import logger

BY = "recovery"
T = TypeVar("T")


class Recover(Model):
    """Input of `recover`; without a tenant the settings' own."""

    tenant_id: str = ""
    full: bool = False


@dataclass(frozen=True)
class BooksCheck:
    """What does not fit between ledger and tables: sentences, and the scopes they are about (`total`: anything)."""

    problems: list[str]
    scopes: list[str]
    rows: int
    full: bool


@dataclass(frozen=True)
class Dispatched:
    """An approval that somebody uses, or used: it never expires."""

    request_id: str
    amount_micros: int
    category: str
    spender: str
    dispatched_at: datetime


@dataclass(frozen=True)
class Work:
    """What an approval was for: a piece of content and the execution that makes it."""

    content_id: str
    execution_id: str


@dataclass(frozen=True)
class Spent:
    """What is known about an approval's money. `lines` is None when nothing recorded it."""

    running: bool
    lines: Sequence[CostLine] | None = None
    why: str = ""
    """How it is known, as part of a sentence."""

    @property
    def micros(self) -> int:
        """The sum of the lines."""
        return sum(line.amount_micros for line in self.lines or ())


class SpendRecord(Protocol):
    """Looks up what an approval's work used (usecases.spend_record)."""

    def of(self, dispatched: Dispatched) -> Spent:
        """After this nothing more can be drawn, unless it says `running`. `DATABASE_WAKING` and the like: ask again later."""
        ...


class Books(Protocol):
    """The tables beside the ledger (adapters.postgres.recovery)."""

    tenant_id: str

    def check(self, *, full: bool) -> BooksCheck:
        """Recompute and compare."""
        ...

    def note_trouble(self, problems: list[str], scopes: list[str]) -> bool:
        """Keep what is wrong for `health` and the audit log; True if it is news."""
        ...

    def frozen(self) -> set[str]:
        """Scopes in which nothing is approved."""
        ...

    def dispatched(self, older_than_seconds: float, limit: int = 100) -> list[Dispatched]:
        """Approvals dispatched longer ago than that."""
        ...


class RecoveryLedger(Protocol):
    """What recovery needs of a tenant's ledger (adapters.postgres.ledger)."""

    def settle(
        self,
        request_id: str,
        actual_micros: int,
        *,
        made_by: str = "cfo",
        details: Mapping[str, Any] | None = None,
        overrun_micros: int = 0,
    ) -> Entry:
        """Charge the real cost."""
        ...

    def release(self, request_id: str, why: str, *, made_by: str = "cfo") -> Entry:
        """Give a reservation back."""
        ...

    def freeze(self, scopes: Sequence[str], reason: str, by: str) -> Entry:
        """Approve nothing in these scopes."""
        ...


class Sweeper(Protocol):
    """The CFO's sweep: signs and expires (usecases.cfo)."""

    def sweep(self) -> dict[str, int]:
        """`{signed, expired}`."""
        ...


class Seals(Protocol):
    """Seals what is due (usecases.sealing)."""

    def seal_due(self) -> Sequence[object]:
        """The seals made now."""
        ...


class SealedElsewhere:
    """On AWS the seals have a function of their own, the only one that may use their key."""

    def seal_due(self) -> list[Any]:
        """Nothing from here."""
        return []


@dataclass
class RecoveryReport:
    """What one run did, and what it found wrong."""

    signed: int = 0
    expired: int = 0
    settled: int = 0
    assumed_spent: int = 0
    released: int = 0
    running: int = 0
    rows: int = 0
    full: bool = False
    sealed: int = 0
    problems: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """What could not be done now and is tried again."""

    def as_json(self) -> dict[str, Any]:
        """For the job's answer."""
        return asdict(self)


Outcome = Literal["settled", "assumed_spent", "released", "running"]


class Recovery:
    """The recovery job of one tenant; every step is idempotent, so it may run on several machines at once.

    >>> app.recovery(tenant).run()
    """

    def __init__(
        self,
        cfo: Sweeper,
        ledger: RecoveryLedger,
        books: Books,
        spend: SpendRecord,
        seals: Seals,
        *,
        reconcile_after_seconds: float,
    ) -> None:
        self._cfo = cfo
        self._ledger = ledger
        self._books = books
        self._spend = spend
        self._seals = seals
        self._after = reconcile_after_seconds
        self._log = logger(BY)

    def run(self, *, full: bool = False) -> RecoveryReport:
        """Sign and expire, reconcile, recompute the books (from the first row with `full`), seal what is due.

        What fails for a while (a signer, a store that is away) is in `waiting`; a wrong book is in `problems`.
        """
        report = RecoveryReport()
        swept = self._step(report, "sweep", self._cfo.sweep)
        if swept is not None:
            report.signed, report.expired = swept["signed"], swept["expired"]
        self._reconcile(report)
        self._check(report, full=full)
        self._sign_again(report)
        return report

    # --- dispatched and never settled

    def _reconcile(self, report: RecoveryReport) -> None:
        for dispatched in self._books.dispatched(self._after):
            outcome = self._step(report, dispatched.request_id, partial(self._resolve, dispatched))
            if outcome is not None:
                setattr(report, outcome, getattr(report, outcome) + 1)

    def _resolve(self, dispatched: Dispatched) -> Outcome:
        spent = self._spend.of(dispatched)
        if spent.running:
            return "running"
        since = f"dispatched {dispatched.dispatched_at:%Y-%m-%dT%H:%M:%SZ} and never settled"
        try:
            if spent.lines is None:
                why = f"{since}; {spent.why or 'nobody can say what was used'}: all of it counts as spent"
                details = {"why": why, "assumed": "true"}
                self._ledger.settle(dispatched.request_id, dispatched.amount_micros, made_by=BY, details=details)
                return "assumed_spent"
            if spent.micros == 0:
                self._ledger.release(dispatched.request_id, f"{since}; {spent.why}: nothing was used", made_by=BY)
                return "released"
            lines = [{**line.model_dump(), "amount_micros": str(line.amount_micros)} for line in spent.lines]
            over = max(0, spent.micros - dispatched.amount_micros)
            self._ledger.settle(
                dispatched.request_id,
                min(spent.micros, dispatched.amount_micros),
                made_by=BY,
                details={"why": f"{since}; {spent.why}", "lines": lines, "overrun_micros": str(over)},
                overrun_micros=over,
            )
        except ChimeraError as error:
            if error.code != "CONFLICT":
                raise
            return "running"  # settled or released in this very moment by the work itself, or on another machine
        return "settled"

    # --- the books and the seals

    def _check(self, report: RecoveryReport, *, full: bool) -> None:
        """Compare, seal, and judge both at once, so that one wrong thing is one alert."""
        checked = self._step(report, "books", lambda: self._books.check(full=full))
        problems, scopes = (list(checked.problems), set(checked.scopes)) if checked else ([], set())
        try:
            report.sealed = len(self._seals.seal_due())
        except ChimeraError as error:
            if error.retryable:
                report.waiting.append(f"seal: {error.message}")
            else:
                problems.append(f"sealing: {error.message}")
                scopes.add("total")
        if checked is not None:
            report.rows, report.full = checked.rows, checked.full
        if checked is not None or problems:
            self._judge(report, problems, sorted(scopes))

    def _judge(self, report: RecoveryReport, problems: list[str], scopes: list[str]) -> None:
        """Freeze and alert; an alert that is known is only logged again. Nothing is corrected."""
        report.problems = problems
        if problems:
            wanted = sorted(set(scopes) - self._books.frozen())
            reason = f"recovery found: {problems[0]}"[:200]
            if wanted:
                row = self._step(report, "freeze", partial(self._ledger.freeze, wanted, reason, BY))
                report.frozen = wanted if row else []
            self._log.error(
                f"the books do not fit the ledger: {problems[0]}",
                extra={"code": "BUDGET_MISMATCH", "tenant": self._books.tenant_id, "count": len(problems)},
            )
        self._books.note_trouble(problems, scopes)

    def _sign_again(self, report: RecoveryReport) -> None:
        """Rows that this run wrote (settlements, freezes) are signed at once."""
        if report.settled or report.assumed_spent or report.released or report.frozen:
            swept = self._step(report, "sweep", self._cfo.sweep)
            if swept is not None:
                report.signed += swept["signed"]

    def _step(self, report: RecoveryReport, name: str, do: Callable[[], T]) -> T | None:
        """One step; what it cannot do now is noted and tried again in a minute, and the other steps go on."""
        try:
            return do()
        except ChimeraError as error:
            report.waiting.append(f"{name}: {error.message}")
            self._log.warning(error.message, extra={"code": error.code, "tenant": self._books.tenant_id})
            return None
