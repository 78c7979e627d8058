"""What every kind of state shares while a step runs: its definition, its names, its way out."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeAlias

from chimera_local.asl.definition import Machine
from chimera_local.asl.errors import DataLimitExceeded, EvaluationError, exceeds_limit
from chimera_local.asl.expressions import Scope
from chimera_local.asl.frame import Frame, Request, World
from chimera_local.asl.model import JSON

_NEEDS_CONTEXT = re.compile(r"\$states(?!\.(?:input|result|errorOutput)\b)")


@lru_cache(maxsize=4096)
def _looks_at_context(state: str) -> bool:
    """Whether an expression in a state's JSON text could see more of `$states` than its input and result."""
    return _NEEDS_CONTEXT.search(state) is not None


Move: TypeAlias = "Callable[[], Move | Request]"


class StepBase(ABC):
    """The frame, the machine and the world of one step."""

    def __init__(self, machine: Machine, frame: Frame, world: World) -> None:
        self.machine = machine
        self.frame = frame
        self.world = world
        self.states: dict[str, Any] = machine.scope(tuple(frame.path))["States"]
        self._scope: Scope | None = None
        self._entered = 0

    @property
    def body(self) -> dict[str, Any]:
        """The definition of the state that the frame stands in."""
        return self.states[self.name]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        assert self.frame.state is not None
        return self.frame.state

    def scope(self) -> Scope:
        """The names that this state's expressions see."""
        if self._scope is None:
            states = {"input": self.frame.input, "context": self.context()}
            self._scope = Scope(states, {**self.frame.outer, **self.frame.variables})
        return self._scope

    def context(self, **more: JSON) -> dict[str, JSON]:
        """`$states.context`; the execution's input is only read when an expression could look at it."""
        frame = self.frame
        context = dict(frame.context)
        if _looks_at_context(json.dumps(self.body)):
            context["Execution"] = {**context["Execution"], "Input": self.world.execution_input()}
        state: dict[str, JSON] = {"Name": self.name, "EnteredTime": frame.entered_time}
        if self.body["Type"] in ("Task", "Parallel", "Map"):
            state["RetryCount"] = frame.retry_count
        return {**context, "State": state, **more}

    def emit(self, event_type: str, **details: JSON) -> int:
        """Write a history event of the current state."""
        return self.world.emit(event_type, self.frame.state, details)

    def leave(self, block: dict[str, Any], default: JSON, where: str = "", **states: JSON) -> Move:
        """Evaluate the Assign and Output of a block (a state, a choice rule, a catcher) and go on.

        Both see the variables as they were before this state.
        """
        frame = self.frame
        assigned: dict[str, JSON] = {}
        if "Assign" in block:
            assigned = self.scope().extended(**states).template(block["Assign"], f"{where}Assign")
        output = default
        if "Output" in block:
            output = self.scope().extended(**states).template(block["Output"], f"{where}Output")
        if exceeds_limit(output):
            raise DataLimitExceeded(self.name)
        frame.variables.update(assigned)
        details: dict[str, JSON] = {"name": self.name, "output": output}
        if assigned:
            details["assignedVariables"] = assigned
        kind = self.body["Type"]
        self.emit(f"{kind}StateExited", **details)
        target = block.get("Next")
        if target is None:
            return partial(self._succeeded, output)
        return partial(self._enter, target, output)

    def whole_number(self, field: str) -> int:
        """A numeric field. Raises EvaluationError for any other type and for a fraction."""
        value = self.scope().typed(self.body[field], field, "number")
        if int(value) != value:
            raise EvaluationError(f"The {field} field must be a whole number but was: {value}", field)
        return int(value)

    @abstractmethod
    def _enter(self, name: str, value: JSON) -> Move | Request: ...

    @abstractmethod
    def _succeeded(self, output: JSON) -> Request: ...
