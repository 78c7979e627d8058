"""The seam between the interpreter and what makes it durable: five operations, one driver for every scope."""

from __future__ import annotations

import logging
import math
import threading
from typing import Protocol

from chimera_local.asl.definition import Machine
from chimera_local.asl.errors import TIMEOUT, TaskFailure
from chimera_local.asl.frame import Frame, Request, Signal, World
from chimera_local.asl.interpreter import Step
from chimera_local.asl.model import TaskRunner
from chimera_local.asl.resources import last_part, parse_resource

_PAST_DEADLINE_SECONDS = 0.05
_log = logging.getLogger(__name__)


class Durable(Protocol):
    """What a scope needs from its surroundings. On DBOS each call is recorded, in memory none is."""

    async def step(self, number: int, answered: Request | None) -> Request:
        """Do what `answered` asked for, advance the scope once and save it. `number` counts from 1."""
        ...

    async def wait(self, seconds: float | None) -> None:
        """Until the scope is rung or the time is over, whichever comes first. Bells rung before count."""
        ...

    async def ring(self, scope: str) -> None:
        """Wake a scope, now or at its next wait."""
        ...

    async def spawn(self, scope: str) -> None:
        """Start a scope whose first frame is saved already."""
        ...


async def drive(durable: Durable) -> None:
    """Run one scope to its end. Deterministic given what `step` and `wait` answer, as DBOS requires."""
    number = 1
    request = await durable.step(number, None)
    while True:
        for scope in request.get("spawn", ()):
            await durable.spawn(scope)
        for scope in request.get("ring", ()):
            await durable.ring(scope)
        if request["kind"] == "done":
            return
        if request["kind"] == "wait":
            await durable.wait(request.get("seconds"))
        number += 1
        request = await durable.step(number, request)


def advance(machine: Machine, frame: Frame, signal: Signal, world: World) -> Request:
    """One step of a scope; changes the frame.

    A defect of the interpreter ends the scope as States.Runtime instead of leaving it hanging.
    """
    step = Step(machine, frame, world)
    try:
        return step.run(signal)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        _log.exception("the interpreter failed in %s, state %s", frame.scope, frame.state)
        return step.broken(f"{type(error).__name__}: {error}")


def perform(runner: TaskRunner, frame: Frame, *, now: float, deadline: float | None, cancel: threading.Event) -> Signal:
    """Make the task call that the frame asks for, and say how it ended.

    The call gets the smaller of the task's TimeoutSeconds and what is left of the machine's.
    """
    phase = frame.phase or {}
    resource = parse_resource(phase["resource"], frame.state or "")
    # A little over the machine's own deadline, so that it has passed when the call comes back.
    left = math.inf if deadline is None else max(0.0, deadline - now) + _PAST_DEADLINE_SECONDS
    limit = min(left, math.inf if phase["timeout"] is None else phase["timeout"])
    timeout = None if math.isinf(limit) else limit
    arguments = phase["arguments"]
    try:
        if resource.kind == "job":
            output = runner.run_job(phase["job_key"], arguments, timeout_seconds=timeout, cancel=cancel)
        elif resource.pattern == "direct":
            output = runner.invoke_function(last_part(resource.arn), arguments, timeout_seconds=timeout, cancel=cancel)
        else:
            output = runner.invoke_function(
                last_part(arguments["FunctionName"]),
                arguments.get("Payload", {}),
                timeout_seconds=timeout,
                cancel=cancel,
            )
    except TaskFailure as failure:
        if failure.error == TIMEOUT:
            return {"kind": "failure", "timed_out": True}
        return {"kind": "failure", "error": failure.error, "cause": failure.cause}
    except Exception as error:  # noqa: BLE001 - whatever a runner lets through is the task's failure, not ours
        return {"kind": "failure", "error": type(error).__name__, "cause": str(error)}
    return {"kind": "result", "output": output}
