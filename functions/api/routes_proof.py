"""`/v1/ledger/{id}/proof`: that a row is in the sealed ledger, checkable without asking us again."""

from __future__ import annotations

from pydantic import BaseModel, Field

from functions.api.call import current, new_router

router = new_router()
Hex = str


class ProvenRow(BaseModel):
    """The row: SHA-256 of 0x00, `prev_hash` and `body` is `row_hash`, the leaf."""

    seq: int
    tx_id: str
    prev_hash: Hex
    body: str = Field(description="The exact text that is hashed and signed (RFC 8785)")
    row_hash: Hex
    signature: Hex | None = Field(description="ES256, r and s, over the prefix of its kind and the body")
    signed_by: str | None = Field(description="The key's id: RFC 7638 thumbprint")


class ProvingSeal(BaseModel):
    """The seal: signed by the seal key over `chimera.ledger.seal.v1`, a line feed and `body`."""

    number: int
    body: str = Field(description="The exact text that is signed (RFC 8785): first and last row, root, head, time")
    root: Hex
    signature: Hex
    signed_by: str


class Proof(BaseModel):
    """An RFC 6962 inclusion proof; hashes in hexadecimal."""

    row: ProvenRow
    leaf_index: int = Field(description="From 0")
    tree_size: int
    path: list[Hex] = Field(description="Sibling hashes from the leaf up")
    seal: ProvingSeal


@router.get("/v1/ledger/<entry_id>/proof", tags=["ledger"], summary="Proof that a row is in the ledger")
def get_proof(entry_id: str) -> Proof:
    """By sequence number or transaction id. `NOT_FOUND` for a row that is not sealed yet, with when it will be."""
    call = current(router)
    return Proof.model_validate(call.app.sealer(call.tenant).proof(entry_id).as_json())
