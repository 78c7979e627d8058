"""An allowance that gives whatever is asked, in memory: for tests whose subject is not money."""

from __future__ import annotations

from chimera.domain.allowance import CallItem, Draw


class QuickStore:
    """`spent` is what each call was corrected to; `drawn` what it drew."""

    def __init__(self) -> None:
        self.drawn: dict[str, int] = {}
        self.spent: dict[str, int] = {}

    def draw(self, request_id: str, call_id: str, micros: int, item: CallItem) -> Draw:
        """Always given; under a known id it is not the first."""
        first = call_id not in self.drawn
        self.drawn.setdefault(call_id, micros)
        return Draw(request_id=request_id, call_id=call_id, item=item, drawn_micros=micros, first=first)

    def correct(self, request_id: str, call_id: str, micros: int, quantity: str | None = None) -> Draw:
        """Book it."""
        self.spent[call_id] = micros
        item = CallItem(step="x", item="x", quantity=quantity or "1", unit="x")
        return Draw(
            request_id=request_id,
            call_id=call_id,
            item=item,
            drawn_micros=micros,
            state="CORRECTED",
            actual_micros=micros,
        )

    def give_back(self, request_id: str, call_id: str, attempt: int = 1) -> None:
        """Nothing was used."""
        self.spent[call_id] = 0
