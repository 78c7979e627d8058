"""Conformance cases: the project's own, and the recorded ones when they lie beside the checkout."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from chimera.errors import ChimeraError
from chimera_local.asl.conformance import matches, run_cases, run_line
from chimera_local.asl.single_state import evaluate, read_call

OWN = Path(__file__).parent / "cases.jsonl"
PATH_CALL = '{"definition": {"Type": "Pass", "End": true}}'
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "asl"


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=json.loads(line)["id"]) for line in OWN.read_text().splitlines()]
)
def test_own_case(line: str) -> None:
    verdict = run_line(line, "own")
    assert verdict.problems == []
    assert (verdict.outside is None) == (not verdict.id.startswith("outside/"))


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded cases are not beside this checkout")
@pytest.mark.parametrize("name", ["cases.jsonl", "invalid_definitions.jsonl", "test_state_cases.jsonl"])
def test_recorded_cases(name: str) -> None:
    out = io.StringIO()
    passed, failed, outside = run_cases(RECORDED / name, out)
    assert failed == 0, out.getvalue()
    assert passed + outside > 0


def test_a_wrong_answer_is_a_failure_with_a_line_of_its_own(tmp_path: Path) -> None:
    case = json.loads(OWN.read_text().splitlines()[0])
    case["id"] = "wrong"
    case["expect"] = {"status": "SUCCEEDED", "output": {"on": 2}}
    file = tmp_path / "cases.jsonl"
    file.write_text(
        json.dumps(case)
        + "\n\nnot json\n"
        + f'{{"id": "x", "call": {PATH_CALL}, "expect": {{"status": "SUCCEEDED"}}}}\n'
    )
    out = io.StringIO()
    assert run_cases(file, out) == (0, 2, 1)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith('FAILED wrong: output is {"on": 1}')
    assert lines[1].startswith("FAILED cases.jsonl:3: the line is not JSON")
    assert lines[-1] == "0 passed, 2 failed, 1 outside the dialect"


def test_an_unreadable_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ChimeraError, match="cannot read the cases"):
        run_cases(tmp_path / "missing.jsonl", io.StringIO())


def test_a_definition_that_aws_refuses_must_be_refused() -> None:
    good = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
    refused = {"id": "r", "via": "CreateStateMachine", "definition": good, "expect": "InvalidDefinition"}
    assert run_line(json.dumps(refused), "x").problems == ["accepted although AWS refuses it"]
    accepted = {**refused, "definition": {}, "expect": {"result": "OK"}}
    assert run_line(json.dumps(accepted), "x").problems[0].startswith("refused although AWS accepts it")


PASS = {"Type": "Pass", "QueryLanguage": "JSONata", "End": True}


@pytest.mark.parametrize(
    ("call", "expect", "problem"),
    [
        ({"definition": PASS, "input": 1}, {"status": "SUCCEEDED", "output": 2}, "output is 1, expected 2"),
        ({"definition": PASS}, {"status": "FAILED", "error": "X", "output": {}}, "status is"),
        ({"definition": PASS}, {"status": "SUCCEEDED", "output": {}, "nextState": "B"}, "nextState missing"),
        ({"definition": {**PASS, "Next": "B"}}, {"status": "SUCCEEDED"}, "refused: StateName: exactly one"),
        ({}, {"status": "SUCCEEDED"}, "definition must be a state or a machine, not None"),
        ({"definition": {"States": {"A": PASS}}, "stateName": "B"}, {"status": "SUCCEEDED"}, "stateName must be"),
        ({"definition": PASS, "variables": [1]}, {"status": "SUCCEEDED"}, "variables must be"),
        ({"definition": PASS, "mock": {}}, {"status": "SUCCEEDED"}, "exactly one of result and errorOutput"),
        (
            {"definition": PASS, "stateConfiguration": {"retrierRetryCount": -1}},
            {"status": "SUCCEEDED"},
            "stateConfiguration.retrierRetryCount must be a whole number of at least 0, not -1",
        ),
    ],
)
def test_a_wrong_or_malformed_single_state_is_a_failure(
    call: dict[str, object], expect: dict[str, object], problem: str
) -> None:
    verdict = run_line(json.dumps({"id": "s", "call": call, "expect": expect}), "x")
    assert verdict.outside is None
    assert problem in "; ".join(verdict.problems)


def test_a_single_state_sees_the_context_of_its_call_and_else_one_made_for_it() -> None:
    state = {**PASS, "Output": "{% $states.context %}"}
    given = {"Execution": {"Name": "mine"}, "State": {"Name": "Other"}}
    assert evaluate(read_call({"definition": state, "context": given}), None)["output"] == given
    output = evaluate(read_call({"definition": state, "input": 7}), "role")["output"]
    assert output["State"]["Name"] == "StateName"
    assert (output["Execution"]["Input"], output["Execution"]["RoleArn"]) == (7, "role")


def test_a_single_wait_state_does_not_wait() -> None:
    wait = {"Type": "Wait", "QueryLanguage": "JSONata", "Seconds": 86_400, "Next": "Later"}
    answer = evaluate(read_call({"definition": wait, "input": 1}), None)
    assert answer == {"status": "SUCCEEDED", "output": 1, "nextState": "Later"}


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ({"$any": True}, None, True),
        ({"a": {"$any": True}}, {}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"$regex": "^a.c$"}, "a\nc", True),
        ({"$json": {"a": [1]}}, '{"a": [1]}', True),
        ({"$json": {}}, "not json", False),
        (True, 1, False),
        (1, 1.0, True),
        ([1, 2], [1], False),
    ],
)
def test_wildcards(expected: object, actual: object, same: bool) -> None:
    assert matches(expected, actual) is same
