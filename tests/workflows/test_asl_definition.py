"""Loading a machine: what is refused, with which state and reason, and how placeholders get their values."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from chimera_local.asl import InvalidDefinition, UnsupportedDefinition, load_machine

END = {"Type": "Succeed"}


def machine(**states: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}


def task(**fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "f"},
        "End": True,
        **fields,
    }


def test_a_valid_machine_carries_its_name_and_a_hash_that_pins_it() -> None:
    first = load_machine("m", machine(A=END))
    same = load_machine("m", json.dumps({"States": {"A": END}, "StartAt": "A", "QueryLanguage": "JSONata"}))
    other = load_machine("m", {**machine(A=END), "Comment": "changed"})
    assert (first.name, first.definition["StartAt"]) == ("m", "A")
    assert first.sha256 == same.sha256 != other.sha256


def test_every_placeholder_is_replaced_and_an_unknown_one_is_named() -> None:
    definition = machine(A=task(Arguments={"FunctionName": "${ScoutArn}", "Payload": "{% '${Stage}' %}"}))
    loaded = load_machine("m", definition, {"ScoutArn": "scout", "Stage": 'a"b'})
    assert loaded.definition["States"]["A"]["Arguments"] == {
        "FunctionName": "scout",
        "Payload": "{% 'a\"b' %}",
    }
    with pytest.raises(InvalidDefinition, match=r"placeholder \$\{Stage\} has no value \(known: ScoutArn\)"):
        load_machine("m", json.dumps(definition), {"ScoutArn": "scout"})


MAP = {"Type": "Map", "ItemProcessor": {"StartAt": "I", "States": {"I": END}}, "End": True}
PARALLEL = {"Type": "Parallel", "Branches": [{"StartAt": "I", "States": {"I": END}}], "End": True}


@pytest.mark.parametrize(
    ("definition", "state", "reason"),
    [
        ("not json", "", "not JSON"),
        ("[]", "", "must be a JSON object"),
        ({"QueryLanguage": "JSONata"}, "", "required: [States, StartAt]"),
        ({**machine(A=END), "StartAt": "B"}, "", "StartAt 'B' is not a state"),
        ({**machine(A=END), "Surprise": 1}, "", "field 'Surprise'"),
        ({**machine(A=END), "TimeoutSeconds": 0}, "", "TimeoutSeconds must be a whole number"),
        (machine(A={"Type": "Pass", "Next": "B"}), "A", "Next 'B' is not a state"),
        (machine(A=END, B=END), "B", "not reachable"),
        (machine(A={"Type": "Pass"}), "A", "exactly one of Next and End"),
        (machine(A={"Type": "Nap"}), "A", "Type must be one of"),
        (machine(A={"Type": "Pass", "InputPath": "$", "End": True}), "A", "'InputPath' is JSONPath's"),
        (machine(A={"Type": "Pass", "QueryLanguage": "JSONPath", "End": True}), "A", "can not be 'JSONPath'"),
        (
            machine(A={"Type": "Pass", "Output": "{% $sum( %}", "End": True}),
            "A",
            "'$sum(' at Output is not valid",
        ),
        (machine(A={"Type": "Pass", "Assign": {"states": 1}, "End": True}), "A", "not a valid variable name"),
        (machine(A=task(Resource="nonsense")), "A", "is not recognized"),
        (machine(A=task(Arguments={})), "A", "'FunctionName' is required"),
        (machine(A=task(TimeoutSeconds=5, HeartbeatSeconds=5)), "A", "smaller than TimeoutSeconds"),
        (machine(A=task(Retry=[{"ErrorEquals": []}])), "A", "ErrorEquals must be a non-empty list"),
        (machine(A=task(Retry=[{"ErrorEquals": ["X"], "BackoffRate": 0.5}])), "A", "BackoffRate must be"),
        (machine(A=task(Retry=[{"ErrorEquals": ["X", "States.ALL"]}])), "A", "States.ALL must stand alone"),
        (machine(A=task(Catch=[{"ErrorEquals": ["X"]}])), "A", "'Next' is required"),
        (machine(A=task(Catch=[{"ErrorEquals": ["X"], "Next": "Gone"}])), "A", "Next 'Gone' is not a state"),
        (machine(A=task(Credentials={})), "A", "'RoleArn' is required"),
        (machine(A={"Type": "Choice", "Choices": []}), "A", "Choices must be a non-empty list"),
        (
            machine(A={"Type": "Choice", "Choices": [{"Condition": "yes", "Next": "A"}]}),
            "A",
            "Condition must be",
        ),
        (
            machine(A={"Type": "Wait", "Seconds": 1, "Timestamp": "x", "End": True}),
            "A",
            "exactly one of Seconds",
        ),
        (machine(A={"Type": "Wait", "Timestamp": "2016-13-05T21:29:29Z", "End": True}), "A", "RFC3339"),
        (machine(A={"Type": "Wait", "Seconds": -1, "End": True}), "A", "Seconds must be a whole number"),
        (machine(A={**MAP, "ToleratedFailurePercentage": 101}), "A", "between 0 and 100"),
        (machine(A={**MAP, "Items": "text"}), "A", "Items must be an array"),
        (machine(I=MAP), "I", "unique"),
        (machine(A={"Type": "Parallel", "Branches": [], "End": True}), "A", "non-empty list"),
        (
            machine(A={**PARALLEL, "Branches": [{"StartAt": "I", "States": {"I": {"Type": "Pass", "Next": "A"}}}]}),
            "I",
            "Next 'A' is not a state",
        ),
    ],
)
def test_an_invalid_machine_is_refused(definition: Any, state: str, reason: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        load_machine("m", definition)
    assert refused.value.state == state
    assert reason in refused.value.reason
    assert refused.value.code == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("definition", "state", "reason"),
    [
        ({"StartAt": "A", "States": {"A": END}}, "A", "JSONPath"),
        (
            machine(A=task(Resource="arn:aws:states:::sqs:sendMessage")),
            "A",
            "sqs:sendMessage is not supported",
        ),
        (machine(A=task(Resource="arn:aws:states:us-east-1:1:activity:a")), "A", "activity"),
        (machine(A={**MAP, "ItemReader": {}}), "A", "'ItemReader' is not supported"),
        (machine(A={**MAP, "ResultWriter": {}}), "A", "'ResultWriter' is not supported"),
    ],
)
def test_what_is_outside_the_dialect_is_refused(definition: Any, state: str, reason: str) -> None:
    with pytest.raises(UnsupportedDefinition) as refused:
        load_machine("m", definition)
    assert refused.value.state == state
    assert reason in refused.value.reason


def test_states_may_choose_jsonata_one_by_one() -> None:
    definition = {"StartAt": "A", "States": {"A": {**END, "QueryLanguage": "JSONata"}}}
    assert load_machine("m", definition).definition == definition


def test_loading_does_not_change_what_was_handed_in() -> None:
    definition = machine(A=task(Arguments={"FunctionName": "${F}"}))
    before = copy.deepcopy(definition)
    load_machine("m", definition, {"F": "f"})
    assert definition == before
