"""A ledger of every kind of row with seals and a rotated key, exported by the product's own code; and nine ways to forge it."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import rfc8785

from chimera.adapters.local.keys import KeyFiles, KeyFileSigner
from chimera.adapters.local.seals import FolderSealAnchor
from chimera.domain.cfo import ApprovalRequest, periods_of
from chimera.domain.ledger import GENESIS, Chain, Entry, body_fields, row_hash, signing_message, timestamp
from chimera.domain.ledger_fold import LedgerFold
from chimera.domain.seals import Seal, new_seal
from chimera.domain.seals import signing_message as seal_message
from chimera.usecases.ledger_export import ExportSnapshot, export_bundle, row_line, seal_line

Line = dict[str, Any]
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SCOPES = ("total", "api_call", "compute", "storage")
ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=1)
def verifier() -> ModuleType:
    """tools/verify_export.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_export", ROOT / "tools/verify_export.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(export: Path, *arguments: str) -> tuple[int, Line]:
    """Exit code and JSON of the stand-alone verifier."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = verifier().main([str(export), *arguments, "--json"])
    return code, json.loads(out.getvalue()) if out.getvalue() else {}


class Book:
    """A tenant's ledger in memory, written row by row as the engine writes it; `ExportRows` for an export."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.keys = KeyFiles(folder / "keys")
        self.tenant_id = self._uuid()
        self.anchor = FolderSealAnchor(folder / "seals", self.tenant_id)
        self.folder = folder
        self.rows: list[Entry] = []
        self.made: list[Seal] = []
        self.cfo = self.keys.signer("cfo")
        self.seal_key = self.keys.signer("seal")
        self.chain = Chain(self.tenant_id, 0, GENESIS, START, "", self._uuid)
        self.agent = self._uuid()
        self._open: list[Entry] = []
        self._settled: list[Entry] = []
        self._limit_rows()
        self.key_row("cfo", self.cfo.key_id, None)
        self.key_row("seal", self.seal_key.key_id, None)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    # --- rows

    def add(self, entry_type: str, **fields: Any) -> Entry:
        """One more row, signed by the CFO's key in use."""
        self.chain.at += timedelta(seconds=self.random.random() * 3)
        details = fields.setdefault("details", {})
        fields.setdefault("req_sha256", sha256(rfc8785.dumps(details)).digest())
        entry = self.chain.add(entry_type, **{"request_id": self._uuid(), "made_by": "cfo", **fields})
        self.rows.append(sign(entry, self.cfo))
        return self.rows[-1]

    def _limit_rows(self) -> None:
        changes = [
            {"scope": scope, "kind": kind, "before": None, "after": "1000000000"} for scope in SCOPES for kind in "DWM"
        ]
        self.add(
            "LIMIT_CHANGE", amount_micros=0, periods=periods_of(START), details={"changes": changes}, made_by="settings"
        )

    def key_row(self, purpose: str, kid: str, replaces: str | None) -> None:
        """A KEY row; the first one of the CFO is for its own key to sign."""
        if purpose == "cfo" and replaces is None:
            self.chain.key_id = kid
        self.add("KEY", amount_micros=0, details={"purpose": purpose, "kid": kid, "replaces": replaces})

    def rotate(self, purpose: str) -> None:
        """A new key, announced by a row that the old one signs."""
        new = self.keys.prepare(purpose)
        self.key_row(purpose, new.key_id, self.cfo.key_id if purpose == "cfo" else self.seal_key.key_id)
        self.keys.switch(purpose)
        if purpose == "cfo":
            self.cfo, self.chain.key_id = self.keys.signer("cfo"), new.key_id
        else:
            self.seal_key = self.keys.signer("seal")

    def decide(self, decision: str = "approved") -> None:
        """A DECISION, sometimes by a person."""
        dice = self.random
        request = ApprovalRequest(
            request_id=self._uuid(),
            agent_id=self.agent,
            request_type=dice.choice(["api_call", "compute", "storage", "blockchain"]),
            request_cost=Decimal(dice.randint(1, 9_000_000)) / 1_000_000,
            projected_roi=Decimal(dice.randint(-10, 50)) / 10,
            justification=dice.choice(["a video", "ein Film über Käse 🧀", 'quotes " and \\ and \n', ""]),
        )
        details: Line = {"hurdle": "1.5", "note": "ümläut €"}
        digest, override = request.sha256(), None
        if dice.random() < 0.2:
            override = self.add_escalated(request)
            answer = {"of": request.request_id, "by": "alice", "approve": "true", "note": "fine"}
            request = request.model_copy(update={"request_id": self._uuid()})
            digest = request.sha256(override_of=answer["of"], by="alice", approve="True", note="fine")
            details["override"] = answer
        entry = self._decision(request, decision, details, digest, override)
        if decision == "approved":
            self._open.append(entry)

    def add_escalated(self, request: ApprovalRequest) -> str:
        """The escalated decision that a person then decides."""
        return self._decision(request, "escalated", {}, request.sha256(), None).tx_id

    def _decision(
        self, request: ApprovalRequest, decision: str, details: Line, digest: bytes, override: str | None
    ) -> Entry:
        expires = (self.chain.at + timedelta(days=1)).replace(microsecond=0) if decision == "approved" else None
        return self.add(
            "DECISION",
            request_id=request.request_id,
            agent_id=self.agent,
            request_type=request.request_type,
            amount_micros=request.amount_micros,
            projected_roi=request.projected_roi,
            risk_score=Decimal("0.1250"),
            decision=decision,
            code="" if decision == "approved" else "ROI_TOO_LOW",
            reason="as the rules say",
            justification=request.justification,
            cfo_agent_id=self.agent,
            override_of=override,
            periods=periods_of(self.chain.at),
            control_epoch=1,
            expires_at=expires,
            details=details,
            req_sha256=digest,
        )

    def resolve(self, entry_type: str) -> None:
        """SETTLE, RELEASE or EXPIRE of an open approval, if there is one."""
        if not self._open:
            return self.decide()
        approval = self._open.pop(self.random.randrange(len(self._open)))
        amount = self.random.randint(1, approval.amount_micros) if entry_type == "SETTLE" else 0
        over = entry_type == "SETTLE" and self.random.random() < 0.1
        entry = self._about(approval, entry_type, approval.amount_micros if over else amount, {})
        if entry_type == "SETTLE":
            self._settled.append(entry)
        if over:
            scope = "total" if approval.request_type == "blockchain" else str(approval.request_type)
            details = {
                "freeze": [scope],
                "measured_micros": str(approval.amount_micros + 5),
                "reserved_micros": str(approval.amount_micros),
            }
            self._about(approval, "OVERRUN", 5, details)
            self.add("UNFREEZE", amount_micros=0, details={"scopes": [scope], "why": "seen"}, made_by="alice")
        return None

    def _about(self, approval: Entry, entry_type: str, amount: int, details: Line) -> Entry:
        return self.add(
            entry_type,
            request_id=approval.request_id,
            agent_id=approval.agent_id,
            request_type=approval.request_type,
            amount_micros=amount,
            settles=approval.settles or approval.tx_id,
            cfo_agent_id=approval.cfo_agent_id,
            periods=approval.periods,
            req_sha256=approval.req_sha256,
            details=details,
        )

    def refund(self) -> None:
        """Half of a settlement comes back, if there is one."""
        whole = [entry for entry in self._settled if entry.amount_micros > 1]
        if not whole:
            return self.resolve("SETTLE")
        paid = self.random.choice(whole)
        self._settled.remove(paid)
        self._about(paid, "REFUND", paid.amount_micros // 2, {"key": "vendor-1"})
        return None

    def grow(self, count: int) -> None:
        """At least this many rows more, of every kind; sealed every 20 to 40 rows."""
        last = len(self.rows) + count
        while len(self.rows) < last:
            kind = self.random.choice(
                ["decide", "decide", "decide", "reject", "settle", "settle", "end", "refund", "rest"]
            )
            if kind in ("decide", "reject"):
                self.decide("approved" if kind == "decide" else "rejected")
            elif kind == "settle":
                self.resolve("SETTLE")
            elif kind == "end":
                self.resolve(self.random.choice(["RELEASE", "EXPIRE"]))
            elif kind == "refund":
                self.refund()
            else:
                details = {"subject": "someone", "received_sha256": "00" * 32, "shown": "{\u2028}"}
                self.add("REFUSAL", amount_micros=0, code="VALIDATION_FAILED", reason="not a request", details=details)
            if len(self.rows) - (self.made[-1].last_seq if self.made else 0) >= self.random.randint(20, 40):
                self.seal()

    def seal(self) -> None:
        """Seal what is not sealed yet, and anchor it."""
        if self.made and self.made[-1].last_seq == len(self.rows):
            return
        self.made.append(seal_rows(self.tenant_id, self.rows, self.made, self.seal_key, self.chain.at))
        self.anchor.keep(self.made[-1])

    # --- ExportRows

    def snapshot(self) -> ExportSnapshot:
        """Head and counters."""
        return ExportSnapshot(
            at=self.chain.at + timedelta(seconds=1),
            head_seq=len(self.rows),
            head_hash=self.rows[-1].row_hash,
            lines=beside(self.rows),
        )

    def entries(self, after: int, upto: int, limit: int) -> Sequence[Entry]:
        """Rows."""
        return self.rows[after : min(upto, after + limit)]

    def seals(self, upto: int) -> Iterator[Seal]:
        """Seals."""
        return (seal for seal in self.made if seal.last_seq <= upto)

    def purposes(self) -> Mapping[str, str]:
        """Every key."""
        return {row.details["kid"]: row.details["purpose"] for row in self.rows if row.entry_type == "KEY"}


def sign(entry: Entry, signer: KeyFileSigner) -> Entry:
    """The row with a signature."""
    return replace(entry, signature=signer.sign(signing_message(entry)), signed_by=signer.key_id)


def seal_rows(
    tenant: str,
    rows: Sequence[Entry],
    before: Sequence[Seal],
    signer: KeyFileSigner,
    at: datetime,
    last: int | None = None,
) -> Seal:
    """The next seal, of all rows after the one before (or up to `last`)."""
    first = before[-1].last_seq + 1 if before else 1
    hashes = [row.row_hash for row in rows[first - 1 : last or len(rows)]]
    seal = new_seal(tenant, before[-1] if before else None, first, hashes, at)
    return seal.signed(signer.key_id, signer.sign(seal_message(seal)))


def beside(rows: Sequence[Entry]) -> list[Line]:
    """What stands beside these rows: counters, limits, open reservations, freezes."""
    fold = LedgerFold()
    for row in rows:
        fold.apply(row)
    lines: list[Line] = []
    for key in sorted({*fold.reserved, *fold.spent}):
        limit = fold.limits[key[0], key[1]][0]
        used = {"reserved_micros": fold.reserved.get(key, 0), "spent_micros": fold.spent.get(key, 0)}
        names = {"type": "counter", "scope": key[0], "kind": key[1], "period_id": key[2]}
        lines.append({**names, "target_limit_micros": limit, "limit_micros": limit, **used})
    for (scope, kind), (limit, _) in sorted(fold.limits.items()):
        lines.append({"type": "limit", "scope": scope, "kind": kind, "limit_micros": limit})
    for approval in fold.open.values():
        about = {"request_id": approval.request_id, "decision_tx": approval.tx_id, "state": "SIGNED"}
        lines.append({"type": "reservation", **about, "amount_micros": approval.amount_micros})
    return [*lines, *({"type": "freeze", "scope": scope} for scope in sorted(fold.frozen))]


@dataclass
class Bundle:
    """An export on disk with what an auditor holds against it."""

    book: Book
    path: Path
    retired: KeyFileSigner
    """The CFO key that was replaced: an attacker has it."""
    lines: list[Line] = field(default_factory=list)

    @property
    def pins(self) -> list[str]:
        """The verifier's arguments that name pinned keys and anchored seals."""
        seals = self.book.folder / "seals" / self.book.tenant_id
        return ["--keys", str(self.book.folder / "keys" / "public"), "--seals", str(seals)]

    @property
    def rotated_at(self) -> int:
        """The row that announced the second CFO key."""
        return [row.seq for row in self.book.rows if row.entry_type == "KEY" and row.details["purpose"] == "cfo"][1]


def make_bundle(folder: Path, *, seed: int, rows: int = 120) -> Bundle:
    """A ledger with both keys rotated once, all of it sealed, exported."""
    book = Book(folder, seed)
    old = KeyFileSigner(folder / "keys", "cfo-signing")
    book.grow(rows // 3)
    book.seal()
    book.rotate("seal")
    book.grow(rows // 6)
    book.rotate("cfo")
    book.grow(rows // 2)
    book.seal()
    path = folder / "ledger.jsonl"
    export_bundle(path, book, book.keys)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return Bundle(book, path, old, lines)


def write(path: Path, lines: Sequence[Line]) -> None:
    """Lines as an export, with the last line repaired: an attacker can do that."""
    digest = sha256()
    with path.open("wb") as file:
        for line in lines[:-1]:
            data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            digest.update(data)
            file.write(data)
        file.write(json.dumps({"type": "end", "lines": len(lines) - 1, "sha256": digest.hexdigest()}).encode() + b"\n")


# --- nine attacks: each gives the lines of a forged export; `at` is a row's index in `bundle.book.rows`

Attack = Callable[[Bundle, int, random.Random], list[Line]]


def _rows(bundle: Bundle) -> tuple[list[Line], list[Line], list[Line]]:
    """A copy of header, rows and the rest."""
    lines: list[Line] = json.loads(json.dumps(bundle.lines))
    count = lines[0]["rows"]
    return lines[:1], lines[1 : count + 1], lines[count + 1 :]


def edit_body(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """The signed bytes say something else; the columns and, half of the time, the row's hash are made to fit."""
    head, rows, rest = _rows(bundle)
    line = rows[at]
    body = json.loads(base64.b64decode(line["body"]))
    name = dice.choice(["amount_micros", "reason", "made_by", "at"])
    if name == "amount_micros":
        line["columns"]["amount_micros"] = int(body[name]) + dice.randint(1, 10**6)
        body[name] = str(line["columns"]["amount_micros"])
    elif name == "at":
        body[name] = line["columns"]["created_at"] = timestamp(START + timedelta(seconds=dice.randint(1, 10**6)))
    else:
        body[name] = line["columns"][name] = f"{body.get(name, '')}{dice.choice('abc')}"
    raw = rfc8785.dumps(body)
    line["body"] = base64.b64encode(raw).decode()
    if dice.random() < 0.5:
        line["hash"] = row_hash(bytes.fromhex(line["prev"]), raw).hex()
    return head + rows + rest


def edit_column(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """One column of the row has another value; the signed bytes stay."""
    head, rows, rest = _rows(bundle)
    col = rows[at]["columns"]
    name = dice.choice(sorted(col))
    old = col[name]
    if isinstance(old, int):
        col[name] = old + dice.randint(1, 1000)
    elif isinstance(old, dict):
        col[name] = {**old, "added": "x"}
    elif name in ("expires_at", "created_at"):
        col[name] = timestamp(START + timedelta(days=dice.randint(2, 900), microseconds=7))
    else:
        col[name] = "1" if old is None else f"{old}1"
    return head + rows + rest


def delete_row(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """A row in the middle is gone; half of the time the row behind it is linked to the one before."""
    head, rows, rest = _rows(bundle)
    del rows[at]
    if at < len(rows) and dice.random() < 0.5:
        _relink(rows[at], rows[at - 1]["hash"] if at else "00" * 32)
    if at == len(rows):  # the last one: the header is made to fit
        head[0]["head"] = {"seq": len(rows), "hash": rows[-1]["hash"]}
    head[0]["rows"] = len(rows)
    return head + rows + rest


def _relink(line: Line, prev: str) -> None:
    body = json.loads(base64.b64decode(line["body"]))
    body["prev"] = line["prev"] = prev
    raw = rfc8785.dumps(body)
    line["body"], line["hash"] = base64.b64encode(raw).decode(), row_hash(bytes.fromhex(prev), raw).hex()


def insert_row(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """A row is copied to another place, linked to its new neighbour half of the time."""
    head, rows, rest = _rows(bundle)
    copied = json.loads(json.dumps(dice.choice(rows)))
    if dice.random() < 0.5:
        _relink(copied, rows[at - 1]["hash"] if at else "00" * 32)
    rows.insert(at, copied)
    head[0]["rows"] = len(rows)
    return head + rows + rest


def reorder_rows(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """Two rows change places."""
    head, rows, rest = _rows(bundle)
    other = dice.choice([n for n in range(len(rows)) if n != at])
    rows[at], rows[other] = rows[other], rows[at]
    return head + rows + rest


def truncate_tail(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """All rows from here on are gone; header, seals, counters and open reservations are made to fit perfectly."""
    head, rows, _ = _rows(bundle)
    kept = bundle.book.rows[: max(at, 3)]
    seals = [seal_line(seal) for seal in bundle.book.made if seal.last_seq <= len(kept)]
    head[0] |= {"rows": len(kept), "seals": len(seals), "head": {"seq": len(kept), "hash": kept[-1].row_hash.hex()}}
    return [*head, *rows[: len(kept)], *seals, *beside(kept), {"type": "end"}]


def rewrite_history(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """Every row from here on is written anew, signed by a key of the attacker's that the header and KEY rows name; seals,
    counters and head are made to fit: the file fits itself."""
    with_folder = bundle.book.folder / "attacker"
    thief, sealer = KeyFileSigner(with_folder, "cfo-signing"), KeyFileSigner(with_folder, "seal-signing")
    rows = forged_rows(bundle, max(at, 1), thief, sealer.key_id)
    seals: list[Seal] = []
    for seal in bundle.book.made:
        old = seal.last_seq < at
        seals.append(seal if old else seal_rows(bundle.book.tenant_id, rows, seals, sealer, seal.at, seal.last_seq))
    head, _, _ = _rows(bundle)
    files = KeyFiles(with_folder)
    for signer, purpose in ((thief, "cfo"), (sealer, "seal")):
        head[0]["keys"].append({"kid": signer.key_id, "purpose": purpose, "pem": files.public_pem(signer.key_id)})
    head[0]["head"] = {"seq": len(rows), "hash": rows[-1].row_hash.hex()}
    return [*head, *map(row_line, rows), *map(seal_line, seals), *beside(rows), {"type": "end"}]


def forged_rows(bundle: Bundle, at: int, thief: KeyFileSigner, seal_kid: str) -> list[Entry]:
    """The rows with all from index `at` on written anew and signed by the thief's key."""
    rows = list(bundle.book.rows[:at])
    for row in bundle.book.rows[at:]:
        prev = rows[-1].row_hash
        details = row.details
        if row.entry_type == "KEY":
            kid = thief.key_id if details["purpose"] == "cfo" else seal_kid
            details = {**details, "kid": kid}
        forged = replace(row, prev_hash=prev, key_id=thief.key_id, details=details, made_by="mallory")
        body = rfc8785.dumps(body_fields(forged))
        rows.append(sign(replace(forged, body=body, row_hash=row_hash(prev, body)), thief))
    return rows


def swap_signatures(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """Two rows have each other's signature."""
    head, rows, rest = _rows(bundle)
    other = dice.choice([n for n in range(len(rows)) if n != at])
    for name in ("sig", "signed_by"):
        rows[at][name], rows[other][name] = rows[other][name], rows[at][name]
    return head + rows + rest


def downgrade_key(bundle: Bundle, at: int, dice: random.Random) -> list[Line]:
    """The replaced CFO key signs a row of after its time; half of the time row and all after it are written for it."""
    later = [n for n in range(len(bundle.book.rows)) if n >= bundle.rotated_at]
    place = at if at in later else dice.choice(later)
    head, rows, rest = _rows(bundle)
    if dice.random() < 0.5:
        entry = sign(bundle.book.rows[place], bundle.retired)
        rows[place] = row_line(entry)
        return head + rows + rest
    forged = forged_rows(bundle, place, bundle.retired, bundle.book.seal_key.key_id)
    head[0]["head"] = {"seq": len(forged), "hash": forged[-1].row_hash.hex()}
    return [*head, *map(row_line, forged), *rest]


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        edit_body,
        edit_column,
        delete_row,
        insert_row,
        reorder_rows,
        truncate_tail,
        rewrite_history,
        swap_signatures,
        downgrade_key,
    )
}


def forge(bundle: Bundle, attack: str, seed: int) -> tuple[int, Path]:
    """A forged export: the attack at a place that the seed picks; gives the place's row number and the file."""
    dice = random.Random(f"{attack} {seed}")
    at = dice.randrange(len(bundle.book.rows))
    path = bundle.path.with_name(f"forged-{attack}.jsonl")
    write(path, ATTACKS[attack](bundle, at, dice))
    return at + 1, path
