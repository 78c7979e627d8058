"""Parallel and Map: children under the state's scope, so many at a time, first failure cancels the rest."""

from __future__ import annotations

from typing import Any

from chimera_local.asl.base import Move, StepBase
from chimera_local.asl.errors import (
    RUNTIME,
    THRESHOLD,
    DataLimitExceeded,
    EvaluationError,
    StatesError,
    exceeds_limit,
)
from chimera_local.asl.expressions import compact
from chimera_local.asl.frame import Child, Frame, Request
from chimera_local.asl.model import JSON
from chimera_local.asl.rules import Tolerance

INLINE_CONCURRENCY = 40
"""AWS runs at most about 40 items of an inline Map at once; a distributed one has no such bound."""

_LIVE = ("PENDING", "RUNNING")


class FanMixin(StepBase):
    """The part of a Step that opens children and waits for them."""

    def parallel_start(self) -> Request:
        """Open one child a branch, each with the state's Arguments (or input)."""
        value = self.frame.input
        if "Arguments" in self.body:
            value = self.scope().template(self.body["Arguments"], "Arguments")
        branches = len(self.body["Branches"])
        self.emit("ParallelStateStarted")
        frames = [self._child(index, [*self.frame.path, self.name, index], value, {}) for index in range(branches)]
        return self._open(frames, limit=branches, tolerance=Tolerance(), distributed=False)

    def map_start(self) -> Request | Move:
        """Open one child an item, its input the item or what ItemSelector makes of it."""
        items = self._items()
        limit = self.whole_number("MaxConcurrency") if "MaxConcurrency" in self.body else 0
        if limit < 0:
            raise StatesError(RUNTIME, "MaxConcurrency cannot be negative.")
        tolerance = self._tolerance()
        distributed = self.body["ItemProcessor"].get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
        self.emit("MapStateStarted", length=len(items))
        if distributed:
            self.emit("MapRunStarted")
        frames = []
        for index, item in enumerate(items):
            place: dict[str, JSON] = {"Item": {"Index": index, "Value": item}}
            value = item
            if "ItemSelector" in self.body:
                scope = self.scope().extended(context=self.context(Map=place))
                value = scope.template(self.body["ItemSelector"], "ItemSelector")
            frames.append(
                self._child(index, [*self.frame.path, self.name], value, {"Map": {**place, "Name": self.name}})
            )
        ceiling = INLINE_CONCURRENCY if not distributed else max(1, len(items))
        return self._open(frames, limit=min(limit or ceiling, ceiling), tolerance=tolerance, distributed=distributed)

    def _items(self) -> list[JSON]:
        if "Items" not in self.body:
            if not isinstance(self.frame.input, list):
                raise EvaluationError(f"Map state input must be an array but was: {compact(self.frame.input)}")
            return self.frame.input
        items = self.scope().typed(self.body["Items"], "Items", "array")
        return items  # type: ignore[no-any-return]

    def _tolerance(self) -> Tolerance:
        count = percentage = None
        if "ToleratedFailureCount" in self.body:
            count = self.whole_number("ToleratedFailureCount")
            if count < 0:
                raise StatesError(RUNTIME, "ToleratedFailureCount cannot be negative.")
        if "ToleratedFailurePercentage" in self.body:
            field = "ToleratedFailurePercentage"
            percentage = float(self.scope().typed(self.body[field], field, "number"))
            if not 0 <= percentage <= 100:
                raise StatesError(RUNTIME, "ToleratedFailurePercentage must be between 0 and 100.")
        return Tolerance(count, percentage)

    def _child(self, index: int, path: list[str | int], value: JSON, extra: dict[str, JSON]) -> Frame:
        frame = self.frame
        return Frame(
            scope=f"{frame.scope}/{frame.forks + 1}.{index}",
            execution=frame.execution,
            kind="iteration" if extra else "branch",
            machine=frame.machine,
            sha256=frame.sha256,
            path=path,
            context={**frame.context, **extra},
            input=value,
            parent=frame.scope,
            index=index,
            outer={**frame.outer, **frame.variables},
            last_event=frame.last_event,
        )

    def _open(self, frames: list[Frame], *, limit: int, tolerance: Tolerance, distributed: bool) -> Request:
        frame = self.frame
        frame.forks += 1
        group = f"{frame.scope}/{frame.forks}"
        if distributed:
            for child in frames:
                # An execution of its own: it has its own history and does not see the variables outside.
                child.kind = "child"
                child.execution = child.scope
                child.outer = {}
        self.world.open_children(group, frames)
        first = [child.scope for child in frames[:limit]]
        self.world.mark_running(first)
        frame.phase = {
            "kind": "fan",
            "group": group,
            "limit": limit,
            "count": tolerance.count,
            "percentage": tolerance.percentage,
            "distributed": distributed,
            "failing": False,
        }
        # A Map without items is complete at once: it needs a step, but nobody will ring for it.
        return {"kind": "wait", "seconds": None, "spawn": first} if first else {"kind": "continue"}

    def fan_progress(self, phase: dict[str, Any]) -> Move | Request:
        """A child ended, or was about to: start the next, fail, or collect the results."""
        children = self.world.children(phase["group"])
        failed = [child for child in children if child.status in ("FAILED", "ABORTED")]
        tolerance = Tolerance(phase["count"], phase["percentage"])
        if phase["failing"] or tolerance.exceeded(len(failed), len(children)):
            phase["failing"] = True
            cancelled, live = self.fan_cancel(phase)
            if live:
                return {"kind": "wait", "seconds": None, "ring": cancelled}
            return self._fan_failed(phase, failed, tolerance)
        pending = [child.scope for child in children if child.status == "PENDING"]
        running = sum(child.status == "RUNNING" for child in children)
        if pending or running:
            following = pending[: max(0, phase["limit"] - running)]
            self.world.mark_running(following)
            return {"kind": "wait", "seconds": None, "spawn": following}
        return self._fan_succeeded(phase)

    def fan_cancel(self, phase: dict[str, Any]) -> tuple[list[str], bool]:
        """Cancel every child that has not ended: (whom to ring, whether any still has to end)."""
        cancelled = self.world.cancel_children(phase["group"])
        live = any(child.status in _LIVE for child in self.world.children(phase["group"]))
        return cancelled, live

    def _fan_failed(self, phase: dict[str, Any], failed: list[Child], tolerance: Tolerance) -> Move:
        if phase["distributed"]:
            self.emit("MapRunFailed")
        if tolerance.explicit or phase["distributed"]:
            raise StatesError(THRESHOLD, "The specified tolerated failure threshold was exceeded")
        first = min(
            (child for child in failed if child.status == "FAILED"),
            key=lambda child: child.order,
            default=failed[0],
        )
        raise StatesError(first.error, first.cause, caught_cause="" if first.cause is None else None)

    def _fan_succeeded(self, phase: dict[str, Any]) -> Move:
        result = self.world.child_outputs(phase["group"])
        if phase["distributed"]:
            self.emit("MapRunSucceeded")
        if exceeds_limit(result) and "Output" not in self.body:
            raise DataLimitExceeded(self.name)
        self.emit(f"{self.body['Type']}StateSucceeded")
        self.frame.phase = None
        return self.leave(self.body, result, result=result)
