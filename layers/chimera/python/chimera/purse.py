"""The purse of one approved production: the only way to a paid call, and what such a call reports back.

A call draws its enforced worst case before it is made, says what it really cost, and is corrected to that. One that ends
without saying keeps its worst case, so that a crash, a kill or a lost answer never makes money reappear.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chimera.allowance_ports import AllowanceStore
from chimera.domain.allowance import CallItem, Draw, check_call
from chimera.domain.models import RequestType
from chimera.errors import ChimeraError

MOST_ATTEMPTS = 20
"""Of one call that are paid for each: `voice`, `voice~2`, … ; then something else is wrong."""
_MINT = object()


class PaidCall:
    """A paid call under an open draw; only a `Purse` makes one."""

    def __init__(self, mint: object, draw: Draw) -> None:
        if mint is not _MINT:
            raise ChimeraError("FORBIDDEN", "a paid call comes from Purse.call, with money drawn for it")
        self.draw = draw
        self.sent = False
        """Whether the vendor was asked under this draw; once it was, it is not asked again."""
        self._live = True
        self._not_made = False
        self._actual: int | None = None
        self._quantity: str | None = None

    @property
    def call_id(self) -> str:
        """The draw's id: what a vendor gets as idempotency key."""
        return self.draw.call_id

    @property
    def live(self) -> bool:
        """Whether the call may (still) be made under this draw."""
        return self._live and not self._not_made

    def used(self, actual_micros: int, quantity: str | None = None) -> None:
        """What the call really cost, and how much of its unit it was; the last word counts."""
        check_call(self.call_id, actual_micros)
        if self._not_made:
            raise ChimeraError("CONFLICT", f"call {self.call_id} was not made: it has no cost")
        self._actual, self._quantity = actual_micros, quantity

    def not_made(self) -> None:
        """The call is known not to have been made: nothing will be billed for it, everything goes back. The end of it."""
        self._not_made = True


class Purse:
    """The allowance of one approved request, for one step of the work.

    >>> with purse.at("pictures").call("acme/scene-3", 40_000, "image 1024x1536") as call:
    ...     answer = http.post("/v1/images/generations", call, json=...)
    ...     call.used(40_000)
    """

    def __init__(
        self, store: AllowanceStore, request_id: str, step: str = "", lock: threading.RLock | None = None
    ) -> None:
        self._store = store
        self._step = step
        # a store may speak through one database connection: calls made at the same time draw one after the other
        self._lock = lock or threading.RLock()
        self.request_id = request_id

    def at(self, step: str) -> Purse:
        """The same purse for a step: it names the lines of the bill and begins the ids of the calls."""
        return Purse(self._store, self.request_id, step, self._lock)

    @contextmanager
    def call(
        self,
        call_id: str,
        worst_case_micros: int,
        item: str,
        *,
        quantity: str = "1",
        unit: str = "call",
        category: RequestType = "api_call",
        repeatable: bool = False,
    ) -> Iterator[PaidCall]:
        """Draw the worst case, let the body make the call, book what it says; see `AllowanceStore.draw` for refusals.

        `call_id` is the same each time the same work is asked for. Where an earlier attempt drew under it and may have
        made the call, this one draws anew under `call_id~2` and so on, because both may be billed; unless the call is
        `repeatable`: then the vendor (by its idempotency key) or the meter (which carries on) bills both as one.
        """
        draw = self._draw(call_id, worst_case_micros, item, quantity, unit, category, repeatable)
        call = PaidCall(_MINT, draw)
        try:
            yield call
        except BaseException:
            try:
                self._book(call)
            except ChimeraError:
                pass  # the worst case stays drawn, which is the safe side; the body's own error is what is told
            raise
        finally:
            call._live = False
        self._book(call)

    def book(self, call_id: str, micros: int, item: CallItem) -> Draw:
        """Draw and correct at once: a cost that is known because it was spent already. Again is the same."""
        with self._lock:
            draw = self._store.draw(self.request_id, call_id, micros, item)
            return self._store.correct(self.request_id, draw.call_id, micros, item.quantity)

    def _draw(
        self, call_id: str, micros: int, item: str, quantity: str, unit: str, category: RequestType, repeatable: bool
    ) -> Draw:
        named = f"{self._step}/{call_id}" if self._step else call_id
        step = self._step or call_id.partition("/")[0]
        what = CallItem(step=step, item=item, quantity=quantity, unit=unit, category=category)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            name = named if attempt == 1 else f"{named}~{attempt}"
            with self._lock:
                draw = self._store.draw(self.request_id, name, micros, what)
            if draw.first or (repeatable and draw.state == "OPEN"):
                return draw
        raise ChimeraError(
            "CONFLICT", f"call {named} was paid for {MOST_ATTEMPTS} times; it is not made again", {"call_id": named}
        )

    def _book(self, call: PaidCall) -> None:
        draw = call.draw
        with self._lock:
            if call._not_made:
                self._store.give_back(self.request_id, draw.call_id, draw.attempt)
            elif call._actual is not None:
                self._store.correct(self.request_id, draw.call_id, call._actual, call._quantity)
