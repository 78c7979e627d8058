"""GET /v1/ledger/{id}/proof: checkable from the answer alone; not there before the row is sealed."""

from __future__ import annotations

import json
import uuid
from hashlib import sha256
from typing import Any

from chimera.domain.merkle import verify_inclusion


def test_a_sealed_row_has_a_proof_by_number_and_by_id(api: Any) -> None:
    early = api("GET", "/v1/ledger/1/proof", role="viewer")
    assert (early.status, early.code) == (404, "NOT_FOUND")
    assert "row 1 is not sealed yet; it is due by 20" in early.body["error"]["message"]
    api.app.sealer(api.tenant).seal_due(force=True)
    answer = api("GET", "/v1/ledger/1/proof", role="viewer")
    assert answer.status == 200
    row, seal = answer.body["row"], answer.body["seal"]
    leaf = sha256(b"\0" + bytes.fromhex(row["prev_hash"]) + row["body"].encode()).digest()
    path = [bytes.fromhex(step) for step in answer.body["path"]]
    root = bytes.fromhex(json.loads(seal["body"])["root"])
    assert verify_inclusion(leaf, answer.body["leaf_index"], answer.body["tree_size"], path, root)
    signature = bytes.fromhex(seal["signature"])
    message = b"chimera.ledger.seal.v1\n" + seal["body"].encode()
    assert api.app.verifier.verify(seal["signed_by"], message, signature)
    assert api("GET", f"/v1/ledger/{row['tx_id']}/proof").body == answer.body


def test_unknown_rows_strangers_and_the_nameless_get_none(api: Any) -> None:
    api.app.sealer(api.tenant).seal_due(force=True)
    for entry in ("999", "x", str(uuid.uuid4()), "-1"):
        assert api("GET", f"/v1/ledger/{entry}/proof").code == "NOT_FOUND"
    assert api("GET", "/v1/ledger/1/proof", tenant=str(uuid.uuid4())).code == "NOT_FOUND"
    assert api("GET", "/v1/ledger/1/proof", role=None).code == "UNAUTHENTICATED"
