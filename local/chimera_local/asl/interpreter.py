"""One step of the States Language: from where a scope stands, through every state that needs no waiting.

Knows no database and no clock of its own: `World` gives it both. The same code runs durably on Postgres and,
for tests and conformance cases, in memory.
"""

from __future__ import annotations

from functools import partial

from chimera_local.asl.base import Move
from chimera_local.asl.definition import parse_timestamp
from chimera_local.asl.errors import (
    NO_CHOICE,
    RUNTIME,
    EvaluationError,
    StatesError,
)
from chimera_local.asl.fan import FanMixin
from chimera_local.asl.frame import Request, Signal, Stop, iso
from chimera_local.asl.model import JSON
from chimera_local.asl.rules import choose_catch, choose_retry
from chimera_local.asl.tasks import TaskMixin

MAX_EVENTS = 25_000
"""AWS ends an execution whose history grows beyond this."""

_STATES_IN_A_STEP = 50
"""After so many states a step is saved even if nothing is waited for, so that a loop can be stopped."""

_EXPIRED = 0.001


class Step(TaskMixin, FanMixin):
    """Advances one frame. Made once a step; `run` changes the frame and says what the scope needs next."""

    def run(self, signal: Signal) -> Request:
        """Advance until something has to be waited for."""
        stop = self.world.stop()
        if stop is not None:
            return self._bounded(self._abandon(stop))
        move: Move | Request = partial(self._begin, signal)
        while callable(move):
            try:
                move = move()
            except StatesError as failure:
                move = partial(self._failed, failure)
        return self._bounded(move)

    def _bounded(self, request: Request) -> Request:
        """A wait never outlasts the machine's own TimeoutSeconds."""
        deadline = self.world.deadline()
        if request["kind"] == "wait" and deadline is not None:
            left = max(0.0, deadline - self.world.now())
            seconds = request.get("seconds")
            request["seconds"] = left if seconds is None else min(seconds, left)
        return request

    def _begin(self, signal: Signal) -> Move | Request:
        if self.frame.state is None:
            return self._scope_started()
        phase = self.frame.phase
        if phase is None:  # a long run of states was saved in between
            return self._execute
        if phase["kind"] == "next":
            self.frame.phase = None
            return partial(self._enter, phase["next"], self.frame.input)
        if phase["kind"] == "backoff":
            return self._backoff()
        if phase["kind"] == "wait":
            return self._waited()
        if phase["kind"] == "fan":
            return self.fan_progress(phase)
        return self.task_progress(phase, signal)

    def _scope_started(self) -> Move:
        frame = self.frame
        if frame.kind in ("root", "child"):
            self.world.emit(
                "ExecutionStarted",
                None,
                {"input": frame.input, "roleArn": frame.context["Execution"]["RoleArn"]},
            )
        elif frame.kind == "iteration":
            self.world.emit("MapIterationStarted", None, {"name": frame.context["Map"]["Name"], "index": frame.index})
        return partial(self._enter, self.machine.scope(tuple(frame.path))["StartAt"], frame.input)

    def _enter(self, name: str, value: JSON) -> Move | Request:
        frame = self.frame
        frame.input = value
        self._entered += 1
        if self._entered > _STATES_IN_A_STEP:
            frame.phase = {"kind": "next", "next": name}
            return {"kind": "continue"}
        frame.state = name
        frame.retries = {}
        frame.retry_count = 0
        frame.phase = None
        self._scope = None
        frame.entered_time = iso(self.world.now())
        kind = self.body["Type"]
        frame.entered_event = self.emit(f"{kind}StateEntered", name=name, input=value)
        if frame.entered_event > MAX_EVENTS:
            raise StatesError(RUNTIME, f"The execution reached the maximum number of history events ({MAX_EVENTS}).")
        return self._execute

    def _execute(self) -> Move | Request:
        self.frame.phase = None
        kind = self.body["Type"]
        if kind == "Task":
            return self.task_start()
        if kind == "Parallel":
            return self.parallel_start()
        if kind == "Map":
            return self.map_start()
        if kind == "Choice":
            return self._choice()
        if kind == "Wait":
            return self._wait()
        if kind == "Fail":
            return self._fail()
        return self.leave(self.body, self.frame.input)

    # -- states that need nobody else --------------------------------------------------------------------

    def _choice(self) -> Move:
        for index, rule in enumerate(self.body["Choices"]):
            where = f"Choices[{index}]/"
            if self.scope().typed(rule["Condition"], f"{where}Condition", "boolean"):
                return self.leave(rule, self.frame.input, where)
        if "Default" not in self.body:
            raise StatesError(
                NO_CHOICE,
                f"{self._prefix()} Failed to transition out of the state. The state does not point to a next state.",
            )
        return self.leave({**self.body, "Next": self.body["Default"]}, self.frame.input)

    def _wait(self) -> Request:
        now = self.world.now()
        if "Seconds" in self.body:
            seconds = self.whole_number("Seconds")
            if seconds < 0:
                raise EvaluationError("The Seconds field must not be negative: " + str(seconds), "Seconds")
            until = now + seconds
        else:
            text = self.scope().typed(self.body["Timestamp"], "Timestamp", "string")
            parsed = parse_timestamp(text)
            if parsed is None:
                raise EvaluationError(
                    "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format "
                    f"string: {text}",
                    "Timestamp",
                )
            until = parsed
        self.frame.phase = {"kind": "wait", "until": until}
        return {"kind": "wait", "seconds": max(0.0, until - now)}

    def _waited(self) -> Move | Request:
        assert self.frame.phase is not None
        left = self.frame.phase["until"] - self.world.now()
        if left > _EXPIRED:
            return {"kind": "wait", "seconds": left}
        return self.leave(self.body, self.frame.input)

    def _fail(self) -> Move:
        texts = {
            field: self.scope().typed(self.body[field], field, "string")
            for field in ("Error", "Cause")
            if field in self.body
        }
        raise StatesError(texts.get("Error"), texts.get("Cause"))

    # -- failure -----------------------------------------------------------------------------------------

    def _prefix(self) -> str:
        return (
            f"An error occurred while executing the state '{self.name}' "
            f"(entered at the event id #{self.frame.entered_event})."
        )

    def _recorded(self, failure: StatesError) -> StatesError:
        """An evaluation error gets the state's name in front and an event of its own."""
        if not isinstance(failure, EvaluationError):
            return failure
        cause = f"{self._prefix()} {failure.problem}"
        details: dict[str, JSON] = {"error": failure.error, "cause": cause, "state": self.name}
        if failure.location is not None:
            details["location"] = failure.location
        self.emit("EvaluationFailed", **details)
        return StatesError(failure.error, cause)

    def _failed(self, raised: StatesError) -> Move | Request:
        """Retry, else catch, else end the scope."""
        frame, body = self.frame, self.body
        failure = self._recorded(raised)
        retry = choose_retry(body.get("Retry", ()), failure, frame.retries, self.world.random)
        if retry is not None:
            frame.retries[str(retry.index)] = frame.retries.get(str(retry.index), 0) + 1
            frame.retry_count += 1
            frame.phase = {"kind": "backoff", "until": self.world.now() + retry.delay_seconds}
            self._scope = None
            return {"kind": "wait", "seconds": retry.delay_seconds}
        chosen = choose_catch(body.get("Catch", ()), failure)
        # AWS writes no MapStateFailed or ParallelStateFailed for a state that was retried and then caught.
        if body["Type"] in ("Map", "Parallel") and not (chosen is not None and frame.retry_count):
            self.emit(f"{body['Type']}StateFailed", **failure_details(failure))
        if chosen is None:
            return partial(self._scope_failed, failure)
        output = failure.output()
        try:
            return self.leave(body["Catch"][chosen], output, f"Catch[{chosen}]/", errorOutput=output)
        except StatesError as second:
            return partial(self._scope_failed, self._recorded(second))

    def _backoff(self) -> Move | Request:
        assert self.frame.phase is not None
        left = self.frame.phase["until"] - self.world.now()
        if left > _EXPIRED:
            return {"kind": "wait", "seconds": left}
        return self._execute

    # -- the end -----------------------------------------------------------------------------------------

    def _done(self) -> Request:
        self.frame.phase = None
        return {"kind": "done", "ring": [self.frame.parent] if self.frame.parent else []}

    def _succeeded(self, output: JSON) -> Request:
        frame = self.frame
        if frame.kind in ("root", "child"):
            self.world.emit("ExecutionSucceeded", None, {"output": output})
        elif frame.kind == "iteration":
            self.world.emit("MapIterationSucceeded", None, {"name": frame.context["Map"]["Name"], "index": frame.index})
        self.world.finish("SUCCEEDED", output)
        return self._done()

    def _scope_failed(self, failure: StatesError) -> Request:
        frame = self.frame
        if frame.kind in ("root", "child"):
            self.world.emit("ExecutionFailed", None, failure_details(failure))
        else:
            if frame.kind == "iteration":
                self.world.emit(
                    "MapIterationFailed", None, {"name": frame.context["Map"]["Name"], "index": frame.index}
                )
            if frame.state is not None and self.body["Type"] == "Task":
                self.emit("TaskStateAborted")
        self.world.finish("FAILED", None, failure.error, failure.cause)
        return self._done()

    def broken(self, reason: str) -> Request:
        """End the scope because the runner itself failed."""
        return self._scope_failed(StatesError(RUNTIME, f"Internal error: {reason}"))

    def _abandon(self, stop: Stop) -> Request:
        """End at once; first everything this scope has started, so that nothing outlives it."""
        frame = self.frame
        phase = frame.phase or {}
        ring: list[str] = []
        if phase.get("kind") == "fan":
            cancelled, live = self.fan_cancel(phase)
            if live:
                return {"kind": "wait", "seconds": None, "ring": cancelled}
        elif phase.get("kind") == "nested":
            self.world.stop_nested(phase["id"])
            ring.append(phase["id"])
        if phase.get("token"):
            self.world.close_token(phase["token"])
        if frame.kind in ("root", "child"):
            details = {"error": stop.error, "cause": stop.cause}
            event = "ExecutionTimedOut" if stop.status == "TIMED_OUT" else "ExecutionAborted"
            self.world.emit(event, None, {k: v for k, v in details.items() if v is not None})
        elif frame.state is not None:
            self.emit(f"{self.body['Type']}StateAborted")
        if frame.kind == "iteration":
            self.world.emit("MapIterationAborted", None, {"name": frame.context["Map"]["Name"], "index": frame.index})
        self.world.finish(stop.status, None, stop.error, stop.cause)
        done = self._done()
        return {**done, "ring": [*done.get("ring", ()), *ring]}


def failure_details(failure: StatesError) -> dict[str, JSON]:
    """`error` and `cause` of an event; AWS leaves out what is not there."""
    details = {"error": failure.error, "cause": failure.cause}
    return {key: value for key, value in details.items() if value is not None}
