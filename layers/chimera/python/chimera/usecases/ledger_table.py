"""Ledger rows as people and their programs read them: one flat object a row, one CSV line a row, a request's whole story."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from chimera.domain.cfo import RiskFeatures, RiskWeights, risk_score
from chimera.domain.ids import stable_id
from chimera.domain.ledger import RESOLUTIONS, Entry, Reservation, signing_message, timestamp
from chimera.domain.money import usd
from chimera.ports import Verifier
from chimera.usecases.budgets import iso

COLUMNS = (
    "seq",
    "created_at",
    "entry_type",
    "request_id",
    "agent_id",
    "request_type",
    "decision",
    "code",
    "amount",
    "currency",
    "reason",
    "justification",
    "projected_roi",
    "risk_score",
    "made_by",
    "day",
    "week",
    "month",
    "expires_at",
    "tx_id",
    "settles",
    "override_of",
    "details",
    "key_id",
    "signed_by",
    "signature",
    "prev_hash",
    "row_hash",
)
"""Of the CSV; later versions add columns at the end only."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a formula in a spreadsheet; full-width forms count too."""


def row_of(entry: Entry) -> dict[str, Any]:
    """The row as plain JSON: amounts and ratios as decimal strings, times ISO 8601, hashes and signature in hex."""
    return {
        "seq": entry.seq,
        "tx_id": entry.tx_id,
        "entry_type": entry.entry_type,
        "request_id": entry.request_id,
        "agent_id": entry.agent_id,
        "request_type": entry.request_type,
        "amount": usd(entry.amount_micros),
        "currency": entry.currency,
        "projected_roi": None if entry.projected_roi is None else f"{entry.projected_roi.normalize():f}",
        "risk_score": None if entry.risk_score is None else f"{entry.risk_score:f}",
        "decision": entry.decision,
        "code": entry.code,
        "reason": entry.reason,
        "justification": entry.justification,
        "made_by": entry.made_by,
        "settles": entry.settles,
        "override_of": entry.override_of,
        "periods": entry.periods,
        "expires_at": timestamp(entry.expires_at) if entry.expires_at else None,
        "details": entry.details,
        "key_id": entry.key_id,
        "signed_by": entry.signed_by,
        "signature": entry.signature.hex() if entry.signature else None,
        "prev_hash": entry.prev_hash.hex(),
        "row_hash": entry.row_hash.hex(),
        "created_at": timestamp(entry.created_at),
    }


def csv_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """A header and a line for each row, as RFC 4180 has it (CRLF, quotes doubled); made one by one.

    Text that a spreadsheet would take for a formula gets an apostrophe in front: it came from outside.
    """
    yield _csv_line(COLUMNS)
    for entry in entries:
        row = row_of(entry)
        periods: dict[str, str] = row.pop("periods")
        row |= {"day": periods.get("D"), "week": periods.get("W"), "month": periods.get("M")}
        row["details"] = json.dumps(row["details"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        yield _csv_line([_cell(row[name]) for name in COLUMNS])


def json_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """A JSON array with a row on each line, made one by one."""
    lead = "["
    for entry in entries:
        yield f"{lead}\n{json.dumps(row_of(entry), ensure_ascii=False)}"
        lead = ","
    yield "[]\n" if lead == "[" else "\n]\n"


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def refund_key(key: str | None, micros: int, reason: str) -> str:
    """The name of a refund: as given, else made of its amount and reason, so that a repeat books nothing twice."""
    return key or stable_id("refund", str(micros), reason)


# --- the story of a request


def story(
    entries: Sequence[Entry],
    reservation: Reservation | None,
    verifier: Verifier,
    sealed_at: Callable[[int], Any],
) -> dict[str, Any]:
    """All that happened to a request: its rows with the state of signature and seal, what was spent and given back.

    `entries`: its rows and those of a person's decision about it, oldest first, at least one. `signature_state` is
    `valid`, `INVALID` or `unsigned`.
    """
    first = next((e for e in entries if e.entry_type == "DECISION"), entries[0])  # it may have been refused before
    settled = sum(e.amount_micros for e in entries if e.entry_type == "SETTLE")
    refunded = sum(e.amount_micros for e in entries if e.entry_type == "REFUND")
    overrun = sum(e.amount_micros for e in entries if e.entry_type == "OVERRUN")
    return {
        "request_id": first.request_id,
        "agent_id": first.agent_id,
        "request_type": first.request_type,
        "amount": usd(first.amount_micros),
        "justification": first.justification,
        "state": _state(entries, reservation),
        "spent": usd(settled - refunded),
        "refunded": usd(refunded),
        "overrun": usd(overrun),
        "spender": reservation.spender if reservation else None,
        "dispatched_at": iso(reservation.dispatched_at) if reservation and reservation.dispatched_at else None,
        "expires_at": iso(reservation.expires_at) if reservation else None,
        "rows": [
            {
                **row_of(entry),
                "signature_state": signature_state(entry, verifier),
                "sealed_at": iso(at) if (at := sealed_at(entry.seq)) else None,
                "risk": risk_in_words(entry.details.get("risk")),
            }
            for entry in entries
        ],
    }


def signature_state(entry: Entry, verifier: Verifier) -> str:
    """`valid`, `INVALID` (not by this key over these bytes) or `unsigned`."""
    if entry.signature is None or entry.signed_by is None:
        return "unsigned"
    return "valid" if verifier.verify(entry.signed_by, signing_message(entry), entry.signature) else "INVALID"


def _state(entries: Sequence[Entry], reservation: Reservation | None) -> str:
    if reservation is not None:
        return reservation.state
    decisions = [e for e in entries if e.entry_type == "DECISION"]
    if not decisions:
        return entries[-1].entry_type
    closed = [e.entry_type for e in entries if e.entry_type in RESOLUTIONS]
    return closed[-1] if closed else str(decisions[-1].decision).upper()


def risk_in_words(risk: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Each feature of the risk score with its value (0–1), weight, share of the score, and what it was seen in.

    From what the decision kept; the values come from the score's own function, one feature at a time.
    """
    if not risk or not {"features", "weights"} <= risk.keys():
        return []
    kept: Mapping[str, str] = risk["features"]
    counts = {name: int(kept[name]) for name in kept if name not in ("roi", "hurdle")}
    features = RiskFeatures(**counts, roi=Decimal(kept["roi"]), hurdle=Decimal(kept["hurdle"]))
    largest = features.largest_before_micros
    words = {
        "pressure": f"{usd(features.cost_micros)} asked for, {usd(max(0, features.remaining_micros))} left of the"
        " tightest budget",
        "margin": f"projected return {features.roi.normalize():f}, hurdle {features.hurdle.normalize():f}",
        "history": f"{features.agent_rejections} of the agent's last {features.agent_decisions} requests were rejected",
        "novelty": f"the largest it was approved for before: {usd(largest) if largest else 'nothing'}",
        "timing": f"{features.recent_decisions} of its requests in the 10 minutes before",
    }
    found = []
    for name, why in words.items():
        weight = Decimal(str(risk["weights"][name]))
        alone = RiskWeights(**{other: Decimal(int(other == name)) for other in words})
        value = risk_score(features, alone)
        points = (value * weight).quantize(Decimal("0.0001"))
        found.append({"feature": name, "value": str(value), "weight": str(weight), "points": str(points), "why": why})
    return found
