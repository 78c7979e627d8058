"""Keys on disk, and the token that a spender checks before anything is spent."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.domain.approval import MAX_TOKEN_BYTES, ApprovalToken, make_token, verify_approval
from chimera.domain.ledger import ENTRY_PREFIX, GENESIS, Entry, body_fields, row_hash, signing_message
from chimera.errors import ChimeraError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REQUEST, AGENT, TENANT = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


@pytest.fixture
def keys(tmp_path: Path) -> tuple[KeyFileSigner, KeyFolderVerifier]:
    return KeyFileSigner(tmp_path), KeyFolderVerifier(tmp_path)


def approval(signer: KeyFileSigner, **changes: Any) -> Entry:
    entry = Entry(
        tenant_id=TENANT,
        seq=2,
        tx_id="00000000-0000-7000-8000-000000000004",
        entry_type="DECISION",
        request_id=REQUEST,
        agent_id=AGENT,
        request_type="compute",
        amount_micros=60_000,
        currency="USD",
        projected_roi=Decimal("2.000000"),
        risk_score=Decimal("0.2000"),
        decision="approved",
        code="",
        reason="within budget, ROI and risk limits",
        justification="a video",
        cfo_agent_id="00000000-0000-7000-8000-000000000005",
        made_by="cfo",
        override_of=None,
        settles=None,
        periods={"D": "2026-11-21", "W": "2026-W47", "M": "2026-11"},
        control_epoch=1,
        expires_at=NOW + timedelta(days=1),
        details={},
        req_sha256=bytes(32),
        prev_hash=GENESIS,
        key_id=signer.key_id,
        created_at=NOW,
    )
    entry = replace(entry, **changes)
    body = rfc8785.dumps(body_fields(entry))
    return replace(entry, body=body, row_hash=row_hash(entry.prev_hash, body))


def token_of(signer: KeyFileSigner, **changes: Any) -> ApprovalToken:
    entry = approval(signer, **changes)
    return make_token(json.loads(entry.body), signer.key_id, signer.sign(signing_message(entry)))


def test_a_good_token_gives_its_claims(keys: tuple[KeyFileSigner, KeyFolderVerifier]) -> None:
    signer, verifier = keys
    travelled = json.loads(token_of(signer).model_dump_json())
    claims = verify_approval(
        travelled,
        verifier,
        now=NOW,
        agent_id=AGENT,
        amount_micros=60_000,
        request_id=REQUEST,
        tenant_id=TENANT,
    )
    assert (claims.request_id, claims.amount_micros, claims.category) == (REQUEST, 60_000, "compute")
    assert len(json.dumps(travelled)) <= MAX_TOKEN_BYTES


def test_every_altered_claim_is_refused(keys: tuple[KeyFileSigner, KeyFolderVerifier]) -> None:
    signer, verifier = keys
    good = token_of(signer).model_dump()
    for name, value in good["claims"].items():
        for other in (f"{value}1" if isinstance(value, str) else 999, None, [], 1.5):
            bad = copy.deepcopy(good)
            bad["claims"][name] = other
            _refused(bad, verifier)
        missing = copy.deepcopy(good)
        del missing["claims"][name]
        _refused(missing, verifier)
    _refused({**good, "claims": {**good["claims"], "extra": 1}}, verifier)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: None,
        lambda t: {},
        lambda t: "token",
        lambda t: {**t, "sig": ""},
        lambda t: {**t, "sig": t["sig"][:-2] + "AA"},
        lambda t: {**t, "sig": "*" * 86},
        lambda t: {**t, "sig": "A" * 86},
        lambda t: {**t, "sig": "é" * 86},
        lambda t: {**t, "sig": "A" * 5000},
        lambda t: {**t, "kid": "../../etc/passwd"},
        lambda t: {**t, "kid": "A" * 43},
        lambda t: {**t, "claims": []},
        lambda t: {**t, "claims": {"a": float("nan")}},
        lambda t: {**t, "claims": {**t["claims"], "reason": "x" * 5000}},
        lambda t: {**t, "more": 1},
    ],
)
def test_a_spoilt_token_is_refused(
    keys: tuple[KeyFileSigner, KeyFolderVerifier], spoil: Callable[[dict[str, Any]], Any]
) -> None:
    signer, verifier = keys
    _refused(spoil(token_of(signer).model_dump()), verifier)


def test_a_token_for_somebody_or_something_else_is_refused(
    keys: tuple[KeyFileSigner, KeyFolderVerifier],
) -> None:
    signer, verifier = keys
    token = token_of(signer)
    for wrong in (
        {"agent_id": TENANT},
        {"request_id": AGENT},
        {"tenant_id": AGENT},
        {"amount_micros": 60_001},
        {"now": NOW + timedelta(days=1)},
        {"now": NOW - timedelta(minutes=1)},
    ):
        _refused(token, verifier, **wrong)  # type: ignore[arg-type]


def test_only_approvals_open_a_purse(keys: tuple[KeyFileSigner, KeyFolderVerifier]) -> None:
    signer, verifier = keys
    rejected = approval(signer, decision="rejected", code="ROI_TOO_LOW", key_id="", expires_at=None)
    claims = {**json.loads(rejected.body), "kid": signer.key_id, "alg": "ES256"}
    assert signing_message(rejected).startswith(ENTRY_PREFIX)
    _refused(make_token(claims, signer.key_id, signer.sign(signing_message(rejected))), verifier)
    _refused(token_of(signer, currency="EUR"), verifier)


def test_another_cfos_key_is_refused(keys: tuple[KeyFileSigner, KeyFolderVerifier], tmp_path: Path) -> None:
    _, verifier = keys
    _refused(token_of(KeyFileSigner(tmp_path / "other")), verifier)


def test_the_key_is_private_made_once_and_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: KeyFileSigner(tmp_path / "keys").key_id, range(8)))
    assert len(ids) == 1
    assert (tmp_path / "keys" / "cfo-signing.pem").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "keys").glob(".*"))
    assert KeyFileSigner(tmp_path / "keys").key_id in ids


def test_a_key_open_to_others_is_not_used(tmp_path: Path) -> None:
    KeyFileSigner(tmp_path)
    (tmp_path / "cfo-signing.pem").chmod(0o644)
    with pytest.raises(ChimeraError) as caught:
        KeyFileSigner(tmp_path)
    assert caught.value.code == "FORBIDDEN"


def test_a_public_key_under_anothers_name_is_not_trusted(tmp_path: Path) -> None:
    mine, stranger = KeyFileSigner(tmp_path / "a"), KeyFileSigner(tmp_path / "b")
    forged = (tmp_path / "b" / "public" / f"{stranger.key_id}.pem").read_bytes()
    (tmp_path / "a" / "public" / f"{mine.key_id}.pem").write_bytes(forged)
    assert not KeyFolderVerifier(tmp_path / "a").verify(mine.key_id, b"x", stranger.sign(b"x"))


def test_signatures_are_raw_and_length_checked(keys: tuple[KeyFileSigner, KeyFolderVerifier]) -> None:
    signer, verifier = keys
    signature = signer.sign(b"message")
    assert len(signature) == 64
    assert verifier.verify(signer.key_id, b"message", signature)
    assert not verifier.verify(signer.key_id, b"Message", signature)
    assert not verifier.verify(signer.key_id, b"message", signature[:-1])
    assert not verifier.verify(signer.key_id, b"message", bytes(64))


def _refused(token: Any, verifier: KeyFolderVerifier, **changes: Any) -> None:
    wanted: dict[str, Any] = {
        "now": NOW,
        "agent_id": AGENT,
        "amount_micros": 60_000,
        "request_id": REQUEST,
        **changes,
    }
    with pytest.raises(ChimeraError) as caught:
        verify_approval(token, verifier, **wanted)
    assert caught.value.code == "INVALID_SIGNATURE"
