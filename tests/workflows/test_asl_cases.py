"""Conformance cases: the project's own, and the recorded ones when they lie beside the checkout."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from chimera.errors import ChimeraError
from chimera_local.asl.conformance import matches, run_cases, run_line

OWN = Path(__file__).parent / "cases.jsonl"
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "asl"


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=json.loads(line)["id"]) for line in OWN.read_text().splitlines()]
)
def test_own_case(line: str) -> None:
    verdict = run_line(line, "own")
    assert verdict.problems == []
    assert (verdict.outside is None) == (verdict.id != "outside/jsonpath")


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
    file.write_text(json.dumps(case) + "\n\nnot json\n" + '{"id": "x", "call": {}}\n')
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
