"""Ledger rows for people: any text survives the CSV and none is a formula; times as people write them; risk in words."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.domain.cfo import CfoPolicy, RiskFeatures, risk_score
from chimera.domain.ledger import Entry, decision_details
from chimera.domain.models import CostLine
from chimera.domain.money_views import instant, ledger_filter
from chimera.errors import ChimeraError
from chimera.usecases.cost_report import steps_of
from chimera.usecases.ledger_table import COLUMNS, csv_lines, json_lines, risk_in_words, row_of
from chimera_local.cli.costs import costs_text

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    ["=1+1", "+1", "-1", "@a", "\t=1", " =1", '"', 'a"b,c', "a\r\nb", "\r", "\n", "＝1", "'=1", ""]
)


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "tenant_id": "t",
        "seq": 1,
        "tx_id": "x",
        "entry_type": "DECISION",
        "request_id": "r",
        "agent_id": None,
        "request_type": "compute",
        "amount_micros": 1_234_567,
        "currency": "USD",
        "projected_roi": Decimal("2.500000"),
        "risk_score": Decimal("0.1501"),
        "decision": "approved",
        "code": "",
        "reason": "",
        "justification": "",
        "cfo_agent_id": None,
        "made_by": "cfo",
        "override_of": None,
        "settles": None,
        "periods": {"D": "2026-11-21", "W": "2026-W47", "M": "2026-11"},
        "control_epoch": 1,
        "expires_at": NOW,
        "details": {},
        "req_sha256": bytes(32),
        "prev_hash": bytes(32),
        "key_id": "",
        "created_at": NOW,
    }
    return Entry(**{**values, **changes})


@given(texts, texts, texts)
def test_any_text_survives_the_csv_and_none_is_a_formula(reason: str, justification: str, by: str) -> None:
    text = "".join(csv_lines([entry(reason=reason, justification=justification, made_by=by, details={"note": reason})]))
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert tuple(row) == COLUMNS
    for name, given_text in (("reason", reason), ("justification", justification), ("made_by", by)):
        assert row[name] in (given_text, f"'{given_text}")
        assert not row[name].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert json.loads(row["details"]) == {"note": reason}
    assert text.endswith("\r\n")


def test_amounts_are_decimal_strings_and_periods_columns() -> None:
    [row] = csv.DictReader(io.StringIO("".join(csv_lines([entry()])), newline=""))
    assert (row["amount"], row["projected_roi"], row["risk_score"]) == ("1.234567", "2.5", "0.1501")
    assert (row["day"], row["week"], row["month"]) == ("2026-11-21", "2026-W47", "2026-11")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_json_is_an_array_whatever_its_length(count: int) -> None:
    entries = [entry(seq=n) for n in range(count)]
    assert json.loads("".join(json_lines(entries))) == [row_of(e) for e in entries]


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("2026-11-20", False, datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20", True, datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-20T10:00", False, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", False, datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", True, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("24h", False, datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("7d", False, datetime(2026, 11, 14, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, end: bool, expected: datetime) -> None:
    assert instant(text, "since", NOW, end=end) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "99999d", "-1h", "7w", "9999-12-31"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ChimeraError, match="VALIDATION_FAILED"):
        instant(text, "until", NOW.replace(year=1), end=True)


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ChimeraError, match="after since"):
        ledger_filter(since="2026-11-20", until="2026-11-19", now=NOW)
    assert ledger_filter(since="2026-11-20", until="2026-11-20", now=NOW).until == datetime(2026, 11, 21, tzinfo=UTC)


@given(
    st.builds(
        RiskFeatures,
        cost_micros=st.integers(1, 10**10),
        remaining_micros=st.integers(0, 10**10),
        roi=st.decimals("0", "10", places=2),
        hurdle=st.just(Decimal("1.5")),
        agent_decisions=st.integers(0, 100),
        agent_rejections=st.integers(0, 100),
        largest_before_micros=st.integers(0, 10**10),
        recent_decisions=st.integers(0, 100),
    )
)
def test_the_words_about_a_risk_add_up_to_its_score(features: RiskFeatures) -> None:
    policy = CfoPolicy()
    left = {("total", kind, "now"): 1 for kind in "DWM"}
    told = risk_in_words(decision_details(features, policy, left, 0, None)["risk"])
    assert [part["feature"] for part in told] == ["pressure", "margin", "history", "novelty", "timing"]
    total = sum(Decimal(part["points"]) for part in told)
    assert abs(min(total, Decimal(1)) - risk_score(features, policy.weights)) <= Decimal("0.0004")


def test_risk_that_was_not_kept_is_not_told() -> None:
    assert risk_in_words(None) == risk_in_words({}) == []


def test_costs_are_in_the_order_of_the_pipeline_with_what_only_one_side_knows() -> None:
    def line(step: str, **more: Any) -> CostLine:
        return CostLine(step=step, item="vCPU", quantity="1", unit="second", amount_micros=2_000, **more)

    lines = [line("music"), line("judge"), line("voice", complete=False), line("voice", drawn_micros=5_000)]
    steps = steps_of(lines, {"voice": "0.001", "render": "0.2"})
    assert [step["step"] for step in steps] == ["voice", "render", "judge", "music"]
    voice, render, judge, _ = steps
    assert (voice["estimated"], voice["actual"], voice["drawn"], voice["complete"]) == (
        "0.001",
        "0.004",
        "0.005",
        False,
    )
    assert (render["estimated"], render["actual"], render["lines"]) == ("0.20", None, [])
    assert (judge["estimated"], judge["actual"]) == (None, "0.002")


def test_the_costs_fit_a_terminal_and_say_what_is_booked() -> None:
    line = CostLine(
        step="voice", item="characters of speech", quantity="1200", unit="character", amount_micros=9_000,
        drawn_micros=20_000, call_id="voice/acme/scene-1-take-2", complete=False,
    )  # fmt: skip
    report = {
        "content_id": "c" * 36, "run_id": "r" * 36, "title": "Why\x1b[2J", "request_id": "q" * 36, "decision": "approved",
        "state": "SETTLED", "reserved": "0.09", "settled": "0.009", "refunded": "0.001", "overrun": "0.50",
        "estimated": "0.01", "actual": "0.009", "difference_percent": "-10.0", "steps": steps_of([line], {"voice": "0.01"}),
    }  # fmt: skip
    text = costs_text(report).plain
    assert max(len(row.replace("  not ended", "")) for row in text.splitlines()) <= 80
    assert "\x1b" not in text
    for part in ("voice/acme/scene-1-t", "0.02", "-10.0 % of the estimate", "0.09 USD at most", "SETTLED at 0.009 USD"):
        assert part in text
    assert "Refunded since: 0.001 USD" in text
    assert "Billed above what was reserved: 0.50 USD" in text
    assert "was not asked" in costs_text({**report, "request_id": None}).plain
