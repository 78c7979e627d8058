"""Loads a state machine and refuses, with state and reason, whatever would not run here as on AWS."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from chimera_local.asl.errors import InvalidDefinition, UnsupportedDefinition
from chimera_local.asl.expressions import (
    InvalidExpression,
    compile_expression,
    expressions_in,
    is_expression,
)
from chimera_local.asl.model import JSON
from chimera_local.asl.resources import parse_resource

_COMMON = frozenset({"Type", "Comment", "QueryLanguage"})
_FLOW = frozenset({"Next", "End", "Output", "Assign"})
_RESCUE = frozenset({"Retry", "Catch"})
FIELDS: dict[str, frozenset[str]] = {
    "Task": _FLOW | _RESCUE | {"Resource", "Arguments", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"},
    "Pass": _FLOW,
    "Choice": frozenset({"Choices", "Default", "Output", "Assign"}),
    "Wait": _FLOW | {"Seconds", "Timestamp"},
    "Succeed": frozenset({"Output"}),
    "Fail": frozenset({"Error", "Cause"}),
    "Parallel": _FLOW | _RESCUE | {"Branches", "Arguments"},
    "Map": _FLOW
    | _RESCUE
    | {
        "Items",
        "ItemSelector",
        "ItemProcessor",
        "MaxConcurrency",
        "ToleratedFailureCount",
        "ToleratedFailurePercentage",
        "Label",
    },
}
_JSONPATH_FIELDS = frozenset(
    [
        "InputPath",
        "OutputPath",
        "ResultPath",
        "Parameters",
        "ResultSelector",
        "Result",
        "ItemsPath",
        "SecondsPath",
        "TimestampPath",
        "TimeoutSecondsPath",
        "HeartbeatSecondsPath",
        "ErrorPath",
        "CausePath",
        "MaxConcurrencyPath",
        "Variable",
        "ToleratedFailureCountPath",
        "ToleratedFailurePercentagePath",
    ]
)
_NOT_SUPPORTED_FIELDS = frozenset({"ItemReader", "ItemBatcher", "ResultWriter", "Iterator"})
_RETRY_FIELDS = frozenset(
    [
        "ErrorEquals",
        "IntervalSeconds",
        "MaxAttempts",
        "BackoffRate",
        "MaxDelaySeconds",
        "JitterStrategy",
        "Comment",
    ]
)
_CATCH_FIELDS = frozenset(["ErrorEquals", "Next", "Assign", "Output", "Comment"])
_CHOICE_FIELDS = frozenset(["Condition", "Next", "Assign", "Output", "Comment"])
_MACHINE_FIELDS = frozenset(["Comment", "StartAt", "States", "QueryLanguage", "Version", "TimeoutSeconds"])
_VARIABLE = re.compile(r"^[A-Za-z_]\w{0,79}$")
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_RFC3339 = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$")

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Machine:
    """A validated machine. `sha256` is the hash of its canonical JSON and pins it for running executions."""

    name: str
    definition: dict[str, JSON]
    sha256: str

    def scope(self, path: Path) -> dict[str, JSON]:
        """The sub-machine at a path: () is the machine, ("Fan", 0) a branch, ("Each",) an item processor."""
        here = self.definition
        steps = iter(path)
        for state in steps:
            body = here["States"][state]
            here = body["ItemProcessor"] if body["Type"] == "Map" else body["Branches"][next(steps)]
        return here

    @property
    def text(self) -> str:
        """Canonical JSON of the definition."""
        return _canonical(self.definition)


def _canonical(definition: JSON) -> str:
    return json.dumps(definition, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def stored_machine(name: str, text: str) -> Machine:
    """A machine that was validated when stored: stricter rules of an upgrade must not strand its runs."""
    return Machine(name, json.loads(text), hashlib.sha256(text.encode()).hexdigest())


def load_machine(
    name: str, text_or_dict: str | Mapping[str, JSON], substitutions: Mapping[str, str] | None = None
) -> Machine:
    """Parse, substitute `${Placeholder}`s and validate a machine.

    Raises InvalidDefinition when AWS would refuse it too (or a placeholder has no value) and
    UnsupportedDefinition when it is outside this runner's JSONata dialect; both carry state and reason.
    """
    if isinstance(text_or_dict, str):
        try:
            definition = json.loads(text_or_dict)
        except ValueError as error:
            raise InvalidDefinition("", f"the definition is not JSON: {error}") from error
    else:
        definition = json.loads(json.dumps(text_or_dict))
    if not isinstance(definition, dict):
        raise InvalidDefinition("", "the definition must be a JSON object")
    definition = _substitute(definition, substitutions or {})
    _Validator(definition).check()
    text = _canonical(definition)
    return Machine(name, definition, hashlib.sha256(text.encode()).hexdigest())


def _substitute(value: Any, substitutions: Mapping[str, str]) -> Any:
    if isinstance(value, str):

        def replace(match: re.Match[str]) -> str:
            if match[1] not in substitutions:
                known = ", ".join(sorted(substitutions)) or "none"
                raise InvalidDefinition("", f"placeholder ${{{match[1]}}} has no value (known: {known})")
            return str(substitutions[match[1]])

        return _PLACEHOLDER.sub(replace, value)
    if isinstance(value, dict):
        return {key: _substitute(item, substitutions) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, substitutions) for item in value]
    return value


@lru_cache(maxsize=1024)
def parse_timestamp(text: str) -> float | None:
    """Unix seconds of an ISO-8601 extended offset date-time, or None if it is not one."""
    if not _RFC3339.match(text):
        return None
    # fromisoformat knows at most microseconds
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return datetime.fromisoformat(trimmed).timestamp()
    except ValueError:
        return None


class _Validator:
    def __init__(self, definition: dict[str, Any]) -> None:
        self._definition = definition
        self._machine_language = definition.get("QueryLanguage", "JSONPath")
        self._names: set[str] = set()

    def check(self) -> None:
        machine = self._definition
        missing = [field for field in ("States", "StartAt") if field not in machine]
        if missing:
            raise InvalidDefinition("", f"these fields are required: [{', '.join(missing)}]")
        if self._machine_language not in ("JSONata", "JSONPath"):
            raise InvalidDefinition("", f"QueryLanguage must be JSONata, not {self._machine_language!r}")
        _known_fields("", machine, _MACHINE_FIELDS)
        if "TimeoutSeconds" in machine:
            _whole_number("", "TimeoutSeconds", machine["TimeoutSeconds"], 1)
        self._scope("", machine)

    def _scope(self, owner: str, scope: Any) -> None:
        states = scope.get("States") if isinstance(scope, dict) else None
        if not isinstance(states, dict) or not states or not isinstance(scope.get("StartAt"), str):
            raise InvalidDefinition(owner, "StartAt and a non-empty States are required")
        for name, state in states.items():
            if not 1 <= len(name) <= 80:
                raise InvalidDefinition(name, "a state's name has 1 to 80 characters")
            if name in self._names:
                raise InvalidDefinition(name, "the name of a state must be unique in the whole machine")
            self._names.add(name)
            self._state(name, state)
        self._transitions(owner, scope["StartAt"], states)

    def _transitions(self, owner: str, start: str, states: dict[str, Any]) -> None:
        if start not in states:
            raise InvalidDefinition(owner, f"StartAt '{start}' is not a state")
        reached = {start}
        pending = [start]
        while pending:
            current = pending.pop()
            for target in _targets(states[current]):
                if target not in states:
                    raise InvalidDefinition(current, f"Next '{target}' is not a state")
                if target not in reached:
                    reached.add(target)
                    pending.append(target)
        for name in states:
            if name not in reached:
                raise InvalidDefinition(name, "the state is not reachable")

    def _state(self, name: str, state: Any) -> None:
        if not isinstance(state, dict):
            raise InvalidDefinition(name, "a state must be a JSON object")
        kind = state.get("Type")
        if kind not in FIELDS:
            raise InvalidDefinition(name, f"Type must be one of {', '.join(FIELDS)}, not {kind!r}")
        language = state.get("QueryLanguage", self._machine_language)
        if language == "JSONPath" and self._machine_language == "JSONata":
            raise InvalidDefinition(
                name, "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine"
            )
        if language != "JSONata":
            raise UnsupportedDefinition(name, "JSONPath is not supported; set QueryLanguage to JSONata")
        for field in state:
            if field in _JSONPATH_FIELDS:
                raise InvalidDefinition(name, f"field '{field}' is JSONPath's and not allowed in JSONata")
        _known_fields(name, state, FIELDS[kind] | _COMMON)
        self._flow(name, kind, state)
        _rescues(name, state)
        _assignments(name, state)
        getattr(self, f"_{kind.lower()}", _nothing)(name, state)
        _expressions(name, state)

    def _flow(self, name: str, kind: str, state: dict[str, Any]) -> None:
        if kind in ("Choice", "Succeed", "Fail"):
            return
        if ("Next" in state) == (state.get("End") is True):
            raise InvalidDefinition(name, "exactly one of Next and End: true is required")
        if "Next" in state and not isinstance(state["Next"], str):
            raise InvalidDefinition(name, "Next must be a string")

    def _task(self, name: str, state: dict[str, Any]) -> None:
        if not isinstance(state.get("Resource"), str):
            raise InvalidDefinition(name, "The field 'Resource' is required but was missing")
        resource = parse_resource(state["Resource"], name)
        arguments = state.get("Arguments")
        if not is_expression(arguments) and resource.required:
            if not isinstance(arguments, dict):
                raise InvalidDefinition(name, f"Arguments must be an object with {', '.join(resource.required)}")
            for field in resource.required:
                if field not in arguments:
                    raise InvalidDefinition(name, f"The field '{field}' is required but was missing at Arguments")
        if "Credentials" in state:
            credentials = state["Credentials"]
            if not is_expression(credentials) and (not isinstance(credentials, dict) or "RoleArn" not in credentials):
                raise InvalidDefinition(name, "The field 'RoleArn' is required but was missing at Credentials")
        for field in ("TimeoutSeconds", "HeartbeatSeconds"):
            if field in state:
                _whole_number(name, field, state[field], 1)
        timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
        if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
            raise InvalidDefinition(name, "HeartbeatSeconds must be smaller than TimeoutSeconds")

    def _choice(self, name: str, state: dict[str, Any]) -> None:
        rules = state.get("Choices")
        if not isinstance(rules, list) or not rules:
            raise InvalidDefinition(name, "Choices must be a non-empty list")
        for rule in rules:
            if not isinstance(rule, dict):
                raise InvalidDefinition(name, "a choice must be a JSON object")
            _known_fields(name, rule, _CHOICE_FIELDS, "Choices")
            condition = rule.get("Condition")
            if not isinstance(condition, bool) and not is_expression(condition):
                raise InvalidDefinition(name, "Condition must be a boolean or a JSONata expression")
            if not isinstance(rule.get("Next"), str):
                raise InvalidDefinition(name, "The field 'Next' is required but was missing at Choices")
            _assignments(name, rule)
        if "Default" in state and not isinstance(state["Default"], str):
            raise InvalidDefinition(name, "Default must be a string")

    def _wait(self, name: str, state: dict[str, Any]) -> None:
        if ("Seconds" in state) == ("Timestamp" in state):
            raise InvalidDefinition(name, "exactly one of Seconds and Timestamp is required")
        if "Seconds" in state:
            _whole_number(name, "Seconds", state["Seconds"], 0)
        elif not is_expression(state["Timestamp"]) and (
            not isinstance(state["Timestamp"], str) or parse_timestamp(state["Timestamp"]) is None
        ):
            raise InvalidDefinition(name, "String does not match RFC3339 timestamp at Timestamp")

    def _fail(self, name: str, state: dict[str, Any]) -> None:
        for field in ("Error", "Cause"):
            if field in state and not isinstance(state[field], str):
                raise InvalidDefinition(name, f"{field} must be a string")

    def _parallel(self, name: str, state: dict[str, Any]) -> None:
        branches = state.get("Branches")
        if not isinstance(branches, list) or not branches:
            raise InvalidDefinition(name, "Branches must be a non-empty list")
        for branch in branches:
            if isinstance(branch, dict):
                _known_fields(name, branch, frozenset({"StartAt", "States", "Comment"}), "Branches")
            self._scope(name, branch)

    def _map(self, name: str, state: dict[str, Any]) -> None:
        processor = state.get("ItemProcessor")
        if not isinstance(processor, dict):
            raise InvalidDefinition(name, "The field 'ItemProcessor' is required but was missing")
        _known_fields(
            name,
            processor,
            frozenset({"StartAt", "States", "Comment", "ProcessorConfig", "QueryLanguage"}),
            "ItemProcessor",
        )
        config = processor.get("ProcessorConfig", {})
        if not isinstance(config, dict) or config.get("Mode", "INLINE") not in ("INLINE", "DISTRIBUTED"):
            raise InvalidDefinition(name, "ProcessorConfig.Mode must be INLINE or DISTRIBUTED")
        _known_fields(name, config, frozenset({"Mode", "ExecutionType"}), "ProcessorConfig")
        if config.get("ExecutionType", "STANDARD") not in ("STANDARD", "EXPRESS"):
            raise InvalidDefinition(name, "ProcessorConfig.ExecutionType must be STANDARD or EXPRESS")
        items = state.get("Items", [])
        if not isinstance(items, list) and not is_expression(items):
            raise InvalidDefinition(name, "Items must be an array or a JSONata expression")
        for field in ("MaxConcurrency", "ToleratedFailureCount"):
            if field in state:
                _whole_number(name, field, state[field], 0)
        percentage = state.get("ToleratedFailurePercentage", 0)
        if not is_expression(percentage) and (
            isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100
        ):
            raise InvalidDefinition(name, "ToleratedFailurePercentage must be between 0 and 100")
        self._scope(name, processor)


def _nothing(name: str, state: dict[str, Any]) -> None:
    """Pass and Succeed have no fields of their own."""


def _targets(state: dict[str, Any]) -> Iterator[str]:
    if "Next" in state:
        yield state["Next"]
    for rule in state.get("Choices", ()):
        yield rule["Next"]
    if "Default" in state:
        yield state["Default"]
    for catcher in state.get("Catch", ()):
        yield catcher["Next"]


def _known_fields(state: str, value: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    for field in value:
        if field in known:
            continue
        at = f" at {where}" if where else ""
        if field in _NOT_SUPPORTED_FIELDS:
            raise UnsupportedDefinition(state, f"field '{field}'{at} is not supported")
        raise InvalidDefinition(state, f"field '{field}'{at} is not known here; known: {', '.join(sorted(known))}")


def _whole_number(state: str, field: str, value: Any, least: int) -> None:
    if is_expression(value):
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidDefinition(
            state,
            f"{field} must be a whole number of at least {least} or a JSONata expression, not {value!r}",
        )


def _rescues(name: str, state: dict[str, Any]) -> None:
    for field, known in (("Retry", _RETRY_FIELDS), ("Catch", _CATCH_FIELDS)):
        rules = state.get(field, [])
        if not isinstance(rules, list):
            raise InvalidDefinition(name, f"{field} must be a list")
        for position, rule in enumerate(rules):
            if not isinstance(rule, dict):
                raise InvalidDefinition(name, f"{field} must hold JSON objects")
            _known_fields(name, rule, known, field)
            errors = rule.get("ErrorEquals")
            if not isinstance(errors, list) or not errors or not all(isinstance(e, str) for e in errors):
                raise InvalidDefinition(name, f"ErrorEquals must be a non-empty list of strings at {field}")
            if "States.ALL" in errors and (len(errors) > 1 or position < len(rules) - 1):
                raise InvalidDefinition(name, f"States.ALL must stand alone and in the last entry of {field}")
            if field == "Retry":
                _retry(name, rule)
            else:
                if not isinstance(rule.get("Next"), str):
                    raise InvalidDefinition(name, "The field 'Next' is required but was missing at Catch")
                _assignments(name, rule)


def _retry(name: str, rule: dict[str, Any]) -> None:
    for field, least in (("IntervalSeconds", 1), ("MaxAttempts", 0), ("MaxDelaySeconds", 1)):
        if field in rule and (type(rule[field]) is not int or rule[field] < least):
            raise InvalidDefinition(name, f"{field} must be a whole number of at least {least} at Retry")
    rate = rule.get("BackoffRate", 2.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1:
        raise InvalidDefinition(name, "BackoffRate must be a number of at least 1.0 at Retry")
    if rule.get("JitterStrategy", "NONE") not in ("NONE", "FULL"):
        raise InvalidDefinition(name, "JitterStrategy must be FULL or NONE at Retry")


def _assignments(name: str, owner: dict[str, Any]) -> None:
    assign = owner.get("Assign", {})
    if not isinstance(assign, dict):
        raise InvalidDefinition(name, "Assign must be a JSON object")
    for variable in assign:
        if not _VARIABLE.match(variable) or variable == "states":
            raise InvalidDefinition(name, f"'{variable}' is not a valid variable name")


def _expressions(name: str, state: dict[str, Any]) -> None:
    own = {k: v for k, v in state.items() if k not in ("Branches", "ItemProcessor", "Comment")}
    for location, text in expressions_in(own, ""):
        try:
            compile_expression(text)
        except InvalidExpression as error:
            raise InvalidDefinition(
                name, f"the JSONata expression '{text}' at {location.lstrip('/')} is not valid: {error}"
            ) from error
