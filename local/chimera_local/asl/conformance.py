"""Walks recorded cases (definition, input, what AWS answered) and says where this runner answers differently.

A case is one JSON line. Kinds, told apart by their fields: an execution (`definition`, `input`, `tasks`,
`recorded_tasks`, `expect`, …), a definition that AWS refused or accepted (`via`), a single state (`call`).
Of a single state output, status, error, cause and nextState are compared; its `inspectionData` is not looked at.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from chimera.errors import ChimeraError
from chimera_local.asl.definition import Machine, load_machine
from chimera_local.asl.errors import InvalidDefinition, UnsupportedDefinition
from chimera_local.asl.execution import Account
from chimera_local.asl.memory import MemoryEngine
from chimera_local.asl.model import JSON, HistoryEvent
from chimera_local.asl.single_state import Call, evaluate, read_call
from chimera_local.asl.stubs import Stubs

ACCOUNT = Account("us-east-1", "111111111111", "snf_role_arn")
"""The account, region and role that stand in recorded cases."""

_SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled")
_NUMBERS = re.compile(r"#\d+")
_ROLE = f"arn:aws:iam::{ACCOUNT.id}:role/test-state"
_UNRECORDED = re.compile(r"mock:[\w.]+\(\)")


@dataclass
class Verdict:
    """What came of a case. `outside`: why it is not in the dialect; else it passed if `problems` is empty."""

    id: str
    problems: list[str] = field(default_factory=list)
    outside: str | None = None


def matches(expected: JSON, actual: JSON) -> bool:
    """An expectation with wildcards ($any, $regex, $json) against an actual value."""
    if isinstance(expected, dict):
        if expected.get("$any"):
            return True
        if "$regex" in expected:
            return isinstance(actual, str) and re.match(expected["$regex"], actual, re.S) is not None
        if "$json" in expected:
            if not isinstance(actual, str):
                return False
            try:
                return matches(expected["$json"], json.loads(actual))
            except ValueError:
                return False
        if not isinstance(actual, dict) or not set(actual) <= set(expected):
            return False
        return all(
            (key in actual and matches(value, actual[key]))
            or (key not in actual and isinstance(value, dict) and bool(value.get("$any")))
            for key, value in expected.items()
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(matches, expected, actual))
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def run_cases(path: Path, out: TextIO) -> tuple[int, int, int]:
    """Run a file of cases; a line per failure and per case outside the dialect, last the sums.

    Returns (passed, failed, outside the dialect). Raises ChimeraError if the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ChimeraError("VALIDATION_FAILED", f"cannot read the cases in {path}: {error}") from error
    passed = failed = outside = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        verdict = run_line(line, f"{path.name}:{number}")
        if verdict.outside is not None:
            outside += 1
            out.write(f"OUTSIDE {verdict.id}: {verdict.outside}\n")
        elif verdict.problems:
            failed += 1
            out.write(f"FAILED {verdict.id}: {'; '.join(verdict.problems)}\n")
        else:
            passed += 1
    out.write(f"{passed} passed, {failed} failed, {outside} outside the dialect\n")
    return passed, failed, outside


def run_line(line: str, where: str) -> Verdict:
    """The verdict on one line of a case file."""
    try:
        case = json.loads(line)
    except ValueError as error:
        return Verdict(where, [f"the line is not JSON: {error}"])
    if not isinstance(case, dict):
        return Verdict(where, ["the line is not a JSON object"])
    identifier = str(case.get("id", where))
    if "call" in case:
        return _single_state_case(identifier, case)
    if "via" in case:
        return _definition_case(identifier, case)
    return _execution_case(identifier, case)


def _definition_case(identifier: str, case: dict[str, Any]) -> Verdict:
    expect = case.get("expect")
    accepted = isinstance(expect, dict) and (expect.get("result") == "OK" or "stateMachineArn" in expect)
    definition = case.get("definition")
    try:
        load_machine("case", case["definition_text"] if definition is None else definition)
    except UnsupportedDefinition as error:
        return Verdict(identifier, outside=f"{error.state}: {error.reason}")
    except InvalidDefinition as error:
        problem = f"refused although AWS accepts it: {error.state}: {error.reason}"
        return Verdict(identifier, [problem] if accepted else [])
    return Verdict(identifier, [] if accepted else ["accepted although AWS refuses it"])


def _execution_case(identifier: str, case: dict[str, Any]) -> Verdict:
    try:
        machine = load_machine("case", case.get("definition") or {}, None)
    except UnsupportedDefinition as error:
        return Verdict(identifier, outside=f"{error.state}: {error.reason}")
    except InvalidDefinition as error:
        return Verdict(identifier, [f"refused: {error.state}: {error.reason}"])
    reason = _not_reproducible(case)
    if reason:
        return Verdict(identifier, outside=reason)
    stubs = Stubs(case)
    machines: dict[str, Machine] = {machine.name: machine}
    for other in case.get("other_state_machines") or ():
        try:
            machines[other["name"]] = load_machine(other["name"], other["definition"], None)
        except (InvalidDefinition, UnsupportedDefinition):
            continue  # its recorded answers are replayed instead
    engine = MemoryEngine(machines, stubs, account=ACCOUNT, between=stubs.act_outside, nested_stub=stubs.nested)
    value = case.get("input")
    try:
        described = engine.run("case", {} if value is None else value)
    except (ChimeraError, RuntimeError) as error:
        return Verdict(identifier, [f"did not run: {error}"])
    actual: dict[str, JSON] = {"status": described.status}
    if described.status == "SUCCEEDED":
        actual["output"] = described.output
    for key, text in (("error", described.error), ("cause", described.cause)):
        if text is not None:
            actual[key] = text
    return Verdict(identifier, _differences(case, actual, engine.history(described.id)))


def _single_state_case(identifier: str, case: dict[str, Any]) -> Verdict:
    call, expect = case["call"], case.get("expect")
    if not isinstance(call, dict) or not isinstance(expect, dict):
        return Verdict(identifier, ["call and expect must be JSON objects"])
    if "status" not in expect:
        return Verdict(identifier, outside="expects an error of the TestState API itself, not a state's answer")
    if _placeholder(call.get("mock")):
        return Verdict(identifier, outside="not reproducible: the recording has lost part of its mock")
    try:
        read = read_call(call)
    except UnsupportedDefinition as error:
        return Verdict(identifier, outside=error.reason)
    except InvalidDefinition as error:
        return Verdict(identifier, [f"refused: {error.state}: {error.reason}"])
    except ChimeraError as error:
        return Verdict(identifier, [f"did not run: {error}"])
    roles = [call["roleArn"]] if "roleArn" in call else [_ROLE, None]
    # Recordings do not say whether the call gave a role, which only the context shows: either answer is right.
    answers = [_single_state_differences(read, role, expect) for role in roles]
    return Verdict(identifier, min(answers, key=len))


def _single_state_differences(call: Call, role_arn: str | None, expect: dict[str, JSON]) -> list[str]:
    actual = evaluate(call, role_arn)
    problems = []
    for key in ("status", "output", "error", "cause", "nextState"):
        if key not in actual and key not in expect:
            continue
        if key not in actual:
            problems.append(f"{key} missing, expected {_short(expect[key])} (got {_short(actual)})")
        elif key not in expect:
            problems.append(f"{key} is {_short(actual[key])}, expected none")
        elif not matches(_renumbered(expect[key]), _renumbered(actual[key])):
            problems.append(f"{key} is {_short(actual[key])}, expected {_short(expect[key])}")
    return problems


def _placeholder(value: JSON) -> bool:
    """Whether a value holds the name of a helper call whose result was not recorded."""
    if isinstance(value, str):
        return _UNRECORDED.fullmatch(value) is not None
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_placeholder, parts))


def _not_reproducible(case: dict[str, Any]) -> str | None:
    """Helpers of the recording that act on services outside the dialect."""
    for action in case.get("external_actions") or ():
        if not str(action[0]).startswith(("send_task_", "stop_execution")):
            return f"needs the helper {action[0]}, which acts on a service outside the dialect"
    return None


def _differences(case: dict[str, Any], actual: dict[str, JSON], history: list[HistoryEvent]) -> list[str]:
    problems = []
    for key, expected in (case.get("expect") or {}).items():
        if key not in actual:
            if not (isinstance(expected, dict) and expected.get("$any")):
                problems.append(f"{key} missing, expected {_short(expected)} (got {_short(actual)})")
        elif not matches(_renumbered(expected), _renumbered(actual[key])):
            problems.append(f"{key} is {_short(actual[key])}, expected {_short(expected)}")
    for key in ("error", "cause", "output"):
        if key in actual and "status" in (case.get("expect") or {}) and key not in case["expect"]:
            if key == "output" and "output" not in case["expect"]:
                continue  # not every recording kept the output
            problems.append(f"{key} is {_short(actual[key])}, expected none")
    ordered = case.get("states_entered_ordered", True)
    if "states_entered" in case:
        entered = [e.state for e in history if e.type.endswith("StateEntered")]
        problems += _compare("states_entered", case["states_entered"], entered, ordered)
    if case.get("event_types"):
        problems += _compare("event_types", case["event_types"], [e.type for e in history], ordered)
    if case.get("states_exited"):
        problems += _exits(case["states_exited"], history, ordered)
    if case.get("task_attempts") is not None:
        attempts = sum(event.type in _SCHEDULED for event in history)
        if attempts != case["task_attempts"]:
            problems.append(f"task_attempts is {attempts}, expected {case['task_attempts']}")
    for expected in case.get("evaluation_failed") or ():
        found = [{"type": e.type, **e.details} for e in history if e.type == "EvaluationFailed"]
        if not any(matches(_renumbered(expected), _renumbered(one)) for one in found):
            problems.append(f"EvaluationFailed is {_short(found)}, expected {_short(expected)}")
    return problems


def _exits(expected: list[dict[str, JSON]], history: list[HistoryEvent], ordered: bool) -> list[str]:
    actual = [
        {k: e.details[k] for k in ("name", "output", "assignedVariables") if k in e.details}
        for e in history
        if e.type.endswith("StateExited")
    ]
    if len(actual) != len(expected):
        return [f"{len(actual)} states exited, expected {len(expected)}"]
    remaining = list(actual)
    for position, one in enumerate(expected):
        candidates = remaining[:1] if ordered else remaining
        found = next((item for item in candidates if matches(_renumbered(one), _renumbered(item))), None)
        if found is None:
            return [f"exit {position} is {_short(candidates)}, expected {_short(one)}"]
        remaining.remove(found)
    return []


def _compare(what: str, expected: list[str], actual: list[str | None], ordered: bool) -> list[str]:
    same = expected == actual if ordered else Counter(expected) == Counter(actual)
    return [] if same else [f"{what} is {_short(actual)}, expected {_short(expected)}"]


def _renumbered(value: JSON) -> JSON:
    """Event numbers in causes are AWS's own numbering."""
    if isinstance(value, str):
        return _NUMBERS.sub("#0", value)
    if isinstance(value, dict):
        return {key: item if key in ("$regex", "was") else _renumbered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renumbered(item) for item in value]
    return value


def _short(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 700 else text[:700] + "…"
