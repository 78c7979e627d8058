"""Retry, Catch and expression rules, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_local.asl.errors import EvaluationError, StatesError
from chimera_local.asl.expressions import Scope, from_engine, is_expression, to_engine
from chimera_local.asl.rules import Tolerance, choose_catch, choose_retry, matches_error

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("names", "error", "matched"),
    [
        (["States.ALL"], "Anything", True),
        (["States.ALL"], "States.DataLimitExceeded", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.Runtime"], "States.Runtime", False),
        (["States.TaskFailed"], "Anything", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.Timeout"], "States.Timeout", True),
        (["State.ALL", "any"], "Anything", False),
    ],
)
def test_which_errors_a_list_matches(names: list[str], error: str, matched: bool) -> None:
    assert matches_error(names, StatesError(error)) is matched


def test_a_missed_heartbeat_matches_both_of_its_names() -> None:
    missed = StatesError("States.Timeout", aliases=("States.HeartbeatTimeout",))
    assert matches_error(["States.HeartbeatTimeout"], missed)
    assert matches_error(["States.Timeout"], missed)
    assert not matches_error(["States.HeartbeatTimeout"], StatesError("States.Timeout"))


def test_delays_grow_up_to_the_ceiling_and_jitter_stays_below() -> None:
    rule = {
        "ErrorEquals": ["E"],
        "IntervalSeconds": 3,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "MaxDelaySeconds": 10,
    }
    delays = []
    for used in range(6):
        chosen = choose_retry([rule], StatesError("E"), {"0": used}, lambda: 0.5)
        delays.append(None if chosen is None else chosen.delay_seconds)
    assert delays == [3, 6, 10, 10, 10, None]
    jittered = choose_retry([{**rule, "JitterStrategy": "FULL"}], StatesError("E"), {}, lambda: 0.25)
    assert jittered is not None and jittered.delay_seconds == 0.75


def test_a_used_up_retrier_ends_the_search() -> None:
    rules = [{"ErrorEquals": ["E"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}]
    assert choose_retry(rules, StatesError("E"), {}, lambda: 0.0) is None
    chosen = choose_retry(rules, StatesError("Other"), {}, lambda: 0.0)
    assert chosen is not None and chosen.index == 1


def test_the_first_catcher_that_matches_wins() -> None:
    rules = [{"ErrorEquals": ["A"]}, {"ErrorEquals": ["B", "A"]}, {"ErrorEquals": ["States.ALL"]}]
    assert [choose_catch(rules, StatesError(name)) for name in ("A", "B", "C")] == [0, 1, 2]
    assert choose_catch(rules[:2], StatesError("C")) is None


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50) | st.none(), st.floats(0, 100) | st.none())
def test_tolerance_never_forgives_more_than_it_says(
    failed: int, total: int, count: int | None, percentage: float | None
) -> None:
    exceeded = Tolerance(count, percentage).exceeded(failed, total)
    if failed == 0:
        assert not exceeded
    elif count is None and percentage is None:
        assert exceeded
    else:
        over = (count is not None and failed > count) or (percentage is not None and failed * 100 > percentage * total)
        assert exceeded == over


@given(JSON)
def test_json_passes_the_expression_engine_unchanged(value: object) -> None:
    assert from_engine(to_engine(value)) == value
    assert Scope({"input": value}, {}).evaluate("$states.input", "Output") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$range(0, 9, 3)", [0, 3, 6, 9]),
        ("$range(1, 9, 9)", 1),
        ("$partition([0], 1)", [[0]]),
        ("$partition([1, 2, 3], 2)", [[1, 2], [3]]),
        ("$hash('a', 'MD5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("$parse('{\"a\": null}')", {"a": None}),
        ("$random(3) = $random(3)", True),
        ("$length($uuid())", 36),
        ("[1..3]", [1, 2, 3]),
        ("$sum([0.5, 0.5])", 1),
        ("$v", None),
        ("$exists($none)", False),
    ],
)
def test_functions_and_results(text: str, value: object) -> None:
    result = Scope({"input": {}}, {"v": None}).evaluate(text, "Output")
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$none", "returned nothing (undefined)."),
        ("$fn := function($x){$x}", "returned an unsupported result type."),
        ("$nobody(1)", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        ("1 / 0", "threw an error during evaluation. D1001: Number out of range: null"),
        ("$sum('x')", 'T0412: Argument 1 of function "sum" must be an array of "numbers"'),
        ("$number('x')", 'D3030: Unable to cast value to a number: "x"'),
        ("($f := function($n){$f($n) + 1}; $f(1))", "D1011: Stack overflow"),
    ],
)
def test_error_texts(text: str, words: str) -> None:
    with pytest.raises(EvaluationError) as failed:
        Scope({"input": {}}, {}).evaluate(text, "Output/x")
    assert words in failed.value.problem
    assert f"The JSONata expression '{text}' specified for the field 'Output/x'" in failed.value.problem


def test_only_a_whole_string_in_delimiters_is_an_expression() -> None:
    assert is_expression("{% 1 %}")
    assert not is_expression(" {% 1 %} ")
    assert not is_expression("{%}")
    assert Scope({}, {}).template({"a": [" {% 1 %} ", "{% 1 %}"]}, "Output") == {"a": [" {% 1 %} ", 1]}
