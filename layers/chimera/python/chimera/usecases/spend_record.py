"""What an approval's work used, looked up when nobody settled it: the allowance's draws and what the steps noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from chimera.allowance_ports import AllowanceStore
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.ports import MediaStore, Workflows
from chimera.usecases.allowances import close_allowance
from chimera.usecases.costs import noted
from chimera.usecases.recovery import Dispatched, Spent, Work
from chimera.usecases.scope import content_prefix

ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


class Answers(Protocol):
    """What the CFO answered to a request (usecases.cfo.Cfo)."""

    def answer(self, request_id: str) -> dict[str, Any]:
        """The answer; `NOT_FOUND`."""
        ...


class ProductionSpend:
    """The record of one tenant's productions: draws, and cost lines beside the files."""

    def __init__(
        self,
        tenant_id: str,
        work_of: Callable[[str], Work | None],
        allowances: AllowanceStore,
        answers: Answers,
        media: MediaStore,
        workflows: Workflows,
    ) -> None:
        self._tenant = tenant_id
        self._work_of = work_of
        self._allowances = allowances
        self._answers = answers
        self._media = media
        self._workflows = workflows

    def of(self, dispatched: Dispatched) -> Spent:
        """`running` while its execution is; then its allowance is closed, so that nothing more can be drawn, and is the bill.

        A closed allowance is a complete record: no paid call is made without a draw, and a draw that never said what
        it cost counts at its worst case. Without one (an approval from before there were allowances, a spender of
        which nothing is known) the steps' notes count, if each of them ended.
        """
        work = self._work_of(dispatched.request_id)
        if work is not None and self._is_running(work):
            return Spent(running=True)
        prefix = content_prefix(self._tenant, work.content_id) if work else ""
        lines = noted(self._media, prefix) if work else []
        drawn = self._bill(dispatched.request_id, prefix) if self._has_allowance(dispatched.request_id) else None
        if drawn is not None:
            return Spent(running=False, lines=drawn, why="its allowance is closed and says what was drawn")
        if not lines and work is None:
            return Spent(running=False, why="no record of its work")
        if not lines:
            return Spent(running=False, why="its work ended and noted nothing")
        if not all(line.complete for line in lines):
            return Spent(running=False, why="a step broke off, so its notes are not complete")
        return Spent(running=False, lines=lines, why="its work ended and every step noted what it used")

    def _is_running(self, work: Work) -> bool:
        try:
            return self._workflows.describe(work.execution_id)["status"] not in ENDED
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            return False  # it was never started, or its history is gone: nobody works on it

    def _has_allowance(self, request_id: str) -> bool:
        try:
            self._allowances.get(request_id)
        except ChimeraError as error:
            if error.code != "NOT_FOUND":
                raise
            return False
        return True

    def _bill(self, request_id: str, prefix: str) -> list[CostLine]:
        return close_allowance(self._allowances, self._answers, self._media, prefix, request_id)
