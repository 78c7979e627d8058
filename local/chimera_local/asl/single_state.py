"""Evaluates one state alone, as the TestState API does, with the interpreter that runs whole machines.

The state's mock stands where the answer from outside is taken in: a task's result, the results of a Map's items
or of a Parallel's branches. Everything else (Arguments, Retry, Catch, Output, size limits, …) is the
interpreter's own code. What TestState knows and this does not: `inspectionData`, checking a mock against the
shape of the service's answer (`fieldValidationMode`), and states without a mock that would call a service.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from chimera.errors import ChimeraError
from chimera_local.asl.base import Move
from chimera_local.asl.definition import Machine, load_machine
from chimera_local.asl.errors import StatesError, UnsupportedDefinition
from chimera_local.asl.execution import Account
from chimera_local.asl.frame import Child, Frame, NestedState, Request, Signal, iso
from chimera_local.asl.interpreter import Step
from chimera_local.asl.memory import MemoryEngine, MemoryWorld
from chimera_local.asl.model import JSON
from chimera_local.asl.resources import parse_resource
from chimera_local.asl.stubs import Stubs

STATE_NAME = "StateName"
"""What TestState calls the state in `$states.context`, whatever `stateName` says."""

_MACHINE = "TestState"
_ACCOUNT = Account("us-east-1", "111111111111")
_ANSWERED = ("Task", "Map", "Parallel")


@dataclass(frozen=True)
class Call:
    """The request of one TestState call, checked. `result` and `failure`: the mock, of which one counts."""

    machine: Machine
    input: JSON
    variables: dict[str, JSON]
    context: dict[str, JSON] | None
    result: JSON = None
    failure: tuple[str | None, str | None] | None = None
    retries_used: int = 0
    failed_items: int = 0


@dataclass
class _Seen:
    """What the state did, gathered while it runs."""

    next_state: str | None = None
    output: JSON = None
    failure: StatesError | None = None
    left: bool = False
    started: bool = False


def read_call(call: dict[str, Any]) -> Call:
    """Check a call. Raises UnsupportedDefinition, InvalidDefinition, or ChimeraError for a malformed call."""
    body = _state(call)
    given = call.get("mock")
    if given is None and body.get("Type") in _ANSWERED:
        raise UnsupportedDefinition(STATE_NAME, f"a {body['Type']} without a mock would call the service itself")
    mock = _object(given, "mock")
    if "fieldValidationMode" in mock:
        raise UnsupportedDefinition(
            STATE_NAME, "fieldValidationMode: mocks are not checked against the shape of the service's answer"
        )
    machine = load_machine(
        _MACHINE,
        {
            "QueryLanguage": "JSONata",
            "StartAt": STATE_NAME,
            "States": {**{name: {"Type": "Succeed"} for name in _targets(body)}, STATE_NAME: body},
        },
    )
    if given is not None and ("result" in mock) == ("errorOutput" in mock):
        raise _malformed("mock", "exactly one of result and errorOutput", sorted(mock))
    failure = None
    if "errorOutput" in mock:
        error = _object(mock["errorOutput"], "mock.errorOutput")
        failure = (_text(error, "error"), _text(error, "cause"))
    settings = _object(call.get("stateConfiguration"), "stateConfiguration")
    return Call(
        machine,
        call.get("input", {}),
        _object(call.get("variables"), "variables"),
        None if call.get("context") is None else _object(call["context"], "context"),
        mock.get("result"),
        failure,
        _count(settings, "retrierRetryCount"),
        _count(settings, "mapIterationFailureCount"),
    )


def evaluate(call: Call, role_arn: str | None) -> dict[str, JSON]:
    """Run the state once: `status` and, where they apply, `output`, `error`, `cause` and `nextState`.

    `role_arn` is what `$states.context.Execution.RoleArn` shows. A Wait takes virtual time only.
    """
    engine = MemoryEngine({}, Stubs({}), account=_ACCOUNT, nested_stub=_stays_running)
    scope = engine.scopes[engine.open(call.machine, "test", call.input, None)]
    frame = scope.frame
    frame.variables = dict(call.variables)
    # TestState shows the context of an Express execution, which has no RedriveCount.
    frame.context["Execution"] = {
        "Id": _ACCOUNT.arn("express", f"{_MACHINE}:test"),
        "Name": "test",
        "RoleArn": role_arn,
        "StartTime": iso(engine.clock),
    }
    step = _MockedStep(call, frame, _MockedWorld(engine, scope))
    signal: Signal = {"kind": "start"}
    while True:
        request = step.run(signal)
        backing_off = (frame.phase or {}).get("kind") == "backoff"
        if request["kind"] == "done" or backing_off:
            return _outcome(step.seen, retriable=backing_off)
        if request["kind"] == "wait":
            engine.clock += request.get("seconds") or 0.0
        signal = {"kind": "wake"}


def _outcome(seen: _Seen, *, retriable: bool) -> dict[str, JSON]:
    failure = seen.failure
    actual: dict[str, JSON] = {}
    if failure is not None:
        actual = {"error": failure.error, "cause": failure.cause}
        actual = {key: value for key, value in actual.items() if value is not None}
    if retriable:
        return {"status": "RETRIABLE", **actual}
    if not seen.left:
        return {"status": "FAILED", **actual}
    if seen.next_state is not None:
        actual["nextState"] = seen.next_state
    return {"status": "SUCCEEDED" if failure is None else "CAUGHT_ERROR", "output": seen.output, **actual}


class _MockedWorld(MemoryWorld):
    """Children of a Map or Parallel have ended the moment that they start, as the call says."""

    result: JSON = None
    failed_items = 0

    def children(self, group: str) -> list[Child]:
        """The first so many have failed, the others succeeded."""
        return [
            Child(c.scope, c.index, "FAILED" if c.index < self.failed_items else "SUCCEEDED", None, None, 0.0)
            for c in super().children(group)
        ]

    def child_outputs(self, group: str) -> list[JSON]:
        """The mock instead of them all; TestState does not compare its length with the number of items."""
        return cast("list[JSON]", self.result)


class _MockedStep(Step):
    """A step that takes the mock for the answer from outside and ends where the state is left."""

    def __init__(self, call: Call, frame: Frame, world: _MockedWorld) -> None:
        super().__init__(call.machine, frame, world)
        self.call = call
        self.seen = _Seen()
        self._mocked = world
        world.result = call.result

    def context(self, **more: JSON) -> dict[str, JSON]:
        """A context in the call replaces the whole one that TestState would make."""
        return super().context(**more) if self.call.context is None else {**more, **self.call.context}

    def task_progress(self, phase: dict[str, Any], signal: Signal) -> Move | Request:
        """The mock is the service's whole answer, so nothing is wrapped around it."""
        resource = parse_resource(phase["resource"], self.name)
        if self.call.failure is not None:
            raise self._task_failed(resource, StatesError(*self.call.failure))
        return self._task_done(resource, self.call.result)

    def fan_progress(self, phase: dict[str, Any]) -> Move | Request:
        """A mocked error is the state's own. Failed items only count against a threshold that the state names.

        Recorded: without ToleratedFailureCount or -Percentage a mocked result succeeds in spite of failures.
        """
        if self.call.failure is not None:
            raise StatesError(*self.call.failure)
        if phase["count"] is not None or phase["percentage"] is not None:
            self._mocked.failed_items = self.call.failed_items
        return super().fan_progress(phase)

    def _enter(self, name: str, value: JSON) -> Move | Request:
        if self.seen.started:
            self.seen.left, self.seen.next_state, self.seen.output = True, name, value
            return self._done()
        self.seen.started = True
        entered = super()._enter(name, value)
        # Entering sets these to zero; the call says how often the state was retried already.
        used = self.call.retries_used
        self.frame.retries = {str(index): used for index in range(len(self.body.get("Retry", ())))}
        self.frame.retry_count = used
        return entered

    def _succeeded(self, output: JSON) -> Request:
        self.seen.left, self.seen.output = True, output
        return super()._succeeded(output)

    def _recorded(self, failure: StatesError) -> StatesError:
        self.seen.failure = super()._recorded(failure)
        return self.seen.failure


def _stays_running(started: NestedState) -> NestedState:
    """A nested execution does not run: the mock is its answer."""
    return started


# -- reading the call ------------------------------------------------------------------------------------


def _state(call: dict[str, Any]) -> dict[str, Any]:
    """The state to evaluate: the definition itself, or the state `stateName` anywhere in a whole machine."""
    definition = _object(call.get("definition"), "definition")
    if not definition:
        raise _malformed("definition", "a state or a machine", call.get("definition"))
    name = call.get("stateName")
    if "States" not in definition:
        body, language = definition, definition.get("QueryLanguage", "JSONPath")
    else:
        found = [(b, q) for n, b, q in _states_in(definition, "JSONPath") if n == name]
        if not found:
            raise _malformed("stateName", "the name of a state of the machine", name)
        body, language = found[0]
    inside = _states_in({"States": {"": {**body, "QueryLanguage": language}}}, "JSONata")
    if any(query != "JSONata" for _, _, query in inside):
        raise UnsupportedDefinition(STATE_NAME, "JSONPath is not supported; set QueryLanguage to JSONata")
    return body


def _states_in(scope: dict[str, Any], language: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every state with its name and query language, those of branches and item processors too."""
    own = scope.get("QueryLanguage", language)
    states = scope.get("States")
    for name, body in (states if isinstance(states, dict) else {}).items():
        if isinstance(body, dict):
            yield name, body, body.get("QueryLanguage", own)
            for inner in (body.get("ItemProcessor"), *(body.get("Branches") or ())):
                if isinstance(inner, dict):
                    yield from _states_in(inner, own)


def _targets(body: dict[str, Any]) -> list[str]:
    """The states that this one names; they have to be there, but are never run."""
    rules = [body]
    for key in ("Choices", "Catch"):
        listed = body.get(key)
        rules += [rule for rule in (listed if isinstance(listed, list) else ()) if isinstance(rule, dict)]
    named = (rule.get(key) for rule in rules for key in ("Next", "Default"))
    return [name for name in named if isinstance(name, str)]


def _malformed(where: str, expected: str, value: JSON) -> ChimeraError:
    return ChimeraError("VALIDATION_FAILED", f"{where} must be {expected}, not {value!r}")


def _object(value: JSON, where: str) -> dict[str, Any]:
    """A JSON object; a missing one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _malformed(where, "a JSON object", value)
    return value


def _text(error: dict[str, Any], key: str) -> str | None:
    value = error.get(key)
    if value is not None and not isinstance(value, str):
        raise _malformed(f"mock.errorOutput.{key}", "a string", value)
    return value


def _count(settings: dict[str, Any], key: str) -> int:
    value = settings.get(key, 0)
    if type(value) is not int or value < 0:
        raise _malformed(f"stateConfiguration.{key}", "a whole number of at least 0", value)
    return value
