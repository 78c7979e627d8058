"""Checks an exported ledger without Chimera: needs Python, `cryptography`, the export and the public keys.

    python tools/verify_export.py ledger.jsonl --keys pinned-keys/ --seals anchored-seals/

Without --keys and --seals those inside the export are used: that shows that the file fits itself, not who made it.
Exit code 0: everything fits; 1: it does not; 2: the files cannot be read. The format is in docs/ledger.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections import Counter, defaultdict
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

APPROVAL, ENTRY, SEAL = (f"chimera.{what}.v1\n".encode() for what in ("cfo.approval", "cfo.entry", "ledger.seal"))
# field of the signed body -> column that must say the same; a column that the body does not name must be empty
_SAME = "tenant_id seq tx_id request_id currency made_by req_sha256 agent_id periods reason settles decision code"
SAME = {name: name for name in f"{_SAME} control_epoch override_of risk_score key_id".split()}
SAME |= {"entry": "entry_type", "category": "request_type", "cfo": "cfo_agent_id", "kid": "key_id"}
APART = {"amount_micros", "created_at", "details", "expires_at", "justification", "projected_roi", "cfo_agent_id"}
BESIDE = {"reservation": "request_id decision_tx amount_micros", "limit": "scope kind limit_micros", "freeze": "scope"}
Object = dict[str, Any]


def canonical(value: Any) -> bytes:
    """RFC 8785 of what is hashed here: texts, whole numbers, lists, and objects with ASCII names."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def read_key(pem: bytes) -> tuple[str, ec.EllipticCurvePublicKey]:
    """A P-256 public key under its RFC 7638 thumbprint; ValueError for anything else."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("expected an EC P-256 public key")
    n = key.public_numbers()
    x, y = (base64.urlsafe_b64encode(v.to_bytes(32, "big")).rstrip(b"=").decode() for v in (n.x, n.y))
    digest = sha256(canonical({"crv": "P-256", "kty": "EC", "x": x, "y": y})).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), key


def read_seal(body: bytes, kid: str, sig: str) -> Object:
    """A seal: what it says, its exact bytes, its signature."""
    return {"says": json.loads(body), "raw": body, "kid": kid, "sig": base64.urlsafe_b64decode(sig + "==")}


def root(level: list[bytes]) -> str:
    """RFC 6962, 2.1, over one or more leaf hashes: pairs from the left, an odd one goes up as it is."""
    while len(level) > 1:
        pairs = [sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(level) & ~1 :]
    return level[0].hex()


def wrong_columns(body: Object, col: Object, cfo: str | None) -> set[str]:
    """Columns that are not what the signed body says, or that it does not know; `cfo` decided what the row is about."""
    named = {name: column for name, column in SAME.items() if name in body}
    wrong = {column for name, column in named.items() if col[column] != body[name]}
    wrong |= {name for name in set(col) - set(named.values()) - APART if col[name] not in (None, "", {})}
    expires = int(datetime.fromisoformat(col["expires_at"]).timestamp()) if col["expires_at"] else None
    amount, details = str(col["amount_micros"]), sha256(canonical(col["details"])).hexdigest()
    apart = {"amount_micros": amount, "at": col["created_at"], "details_sha256": details, "exp": expires}
    wrong |= {name for name, value in apart.items() if value != body.get(name)}
    if col["entry_type"] != "DECISION":
        expected = {"justification": "", "projected_roi": None, "cfo_agent_id": cfo if col["settles"] else None}
        return wrong | {name for name, value in expected.items() if col[name] != value}
    names = ("request_id", "agent_id", "request_type", "projected_roi", "justification", "currency")
    asked = {name: col[name] for name in names} | {"amount_micros": amount}
    if over := col["details"].get("override"):
        asked |= {"override_of": over["of"], "by": over["by"], "approve": over["approve"].title(), "note": over["note"]}
    lost = asked | ({"projected_roi": "-0.000000"} if asked["projected_roi"] == "0.000000" else {})  # the sign of zero
    fits = col["req_sha256"] in (sha256(canonical(asked)).hexdigest(), sha256(canonical(lost)).hexdigest())
    return wrong if fits else wrong | {"justification or projected_roi"}


class Ledger:
    """What the lines of an export say so far, and what does not fit."""

    def __init__(self, keys: dict[str, ec.EllipticCurvePublicKey], every: int) -> None:
        self.keys, self.every, self.checked, self.unsigned = keys, every, 0, 0
        self.cfo: str | None = None
        self.problems, self.notes = list[str](), list[str]()
        self.problem = self.problems.append
        self.header, self.hashes = Object(), list[bytes]()
        self.in_force: dict[str, str] = {}  # purpose -> key
        self.began: dict[str, tuple[str, int]] = {}  # key -> (purpose, row)
        self.late: list[tuple[int, str]] = []  # rows signed by another key than they name
        self.decided, self.frozen = set[str](), set[str]()
        self.open, self.seals = dict[str, Object](), dict[int, Object]()  # approvals by request, seals by number
        self.settled: dict[str, tuple[int, str]] = {}  # approval -> (what may come back, its day)
        self.reserved, self.spent = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        self.limits: dict[tuple[str, ...], tuple[int, str]] = {}
        self.beside: dict[str, list[Object]] = defaultdict(list)

    def signed(self, kid: str, message: bytes, sig: bytes) -> bool:
        """Whether this known key signed these bytes (ES256, raw r then s)."""
        self.checked += 1
        der = utils.encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
        try:
            self.keys[kid].verify(der, message, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, KeyError):
            return False
        return True

    def read(self, file: BinaryIO, pinned: bool) -> None:
        """Every line of the export; the last one holds the hash of all before it."""
        digest, whole = sha256(), False
        for number, text in enumerate(file):
            line = json.loads(text)
            if number == 0:
                if (line["type"], line["format"], line["version"]) != ("header", "chimera.ledger.export", 1):
                    raise ValueError("not a ledger export of version 1")
                self.header = line
                self.keys |= {} if pinned else dict(read_key(key["pem"].encode()) for key in line["keys"])
            elif line["type"] == "row":
                try:
                    self.row(line)
                except (ValueError, LookupError, TypeError, AttributeError) as error:
                    self.problem(f"row {number} cannot be read: {type(error).__name__} {error}"[:200])
            elif line["type"] == "seal":
                seal = read_seal(base64.b64decode(line["body"]), line["kid"], line["sig"])
                self.seals[seal["says"]["number"]] = seal
            else:
                self.beside[line["type"]].append(line)
            whole = line["type"] == "end" and (line["lines"], line["sha256"]) == (number, digest.hexdigest())
            digest.update(text)
        if not whole:
            self.problem("the file is not whole: its last line does not fit the lines before it")

    def row(self, line: Object) -> None:
        """One row: its place in the chain, its columns, its key and signature, what it does to the money."""
        col, raw, seq = line["columns"], base64.b64decode(line["body"], validate=True), len(self.hashes) + 1
        body, where, prev = json.loads(raw), f"row {seq}", self.hashes[-1].hex() if self.hashes else "00" * 32
        if (body["seq"], col["seq"], body["tenant_id"]) != (seq, seq, self.header["tenant_id"]):
            self.problem(f"{where}: row {body['seq']} stands there; rows are missing, added, moved or a stranger's")
        self.hashes.append(sha256(b"\0" + bytes.fromhex(line["prev"]) + raw).digest())
        if (line["prev"], body["prev"], line["hash"]) != (prev, prev, self.hashes[-1].hex()):
            self.problem(f"{where}: does not follow the row before it, or its hash is not that of its body")
        if wrong := wrong_columns(body, col, self.cfo):
            self.problem(f"{where}: its columns are not what its body says ({', '.join(sorted(wrong))})")
        self.cfo = body.get("cfo", self.cfo)
        self.key_and_signature(line, col, raw, where)
        self.money(col | {"scopes": body.get("scopes", []), "signed": line["sig"] is not None}, where)

    def key_and_signature(self, line: Object, col: Object, raw: bytes, where: str) -> None:
        """Signed over exactly these bytes by the key in force; a KEY row begins a key, and none comes back."""
        seq, approval, named, by = len(self.hashes), col["decision"] == "approved", col["key_id"], line["signed_by"]
        current = self.in_force.get("cfo", "")
        if col["entry_type"] == "KEY":
            purpose, kid, replaces = (col["details"][name] for name in ("purpose", "kid", "replaces"))
            if replaces != self.in_force.get(purpose) or kid in self.began:
                self.problem(f"{where}: key {kid} does not replace the {purpose} key in force")
            self.began[kid], self.in_force[purpose] = (purpose, seq), kid
        if named and current and named != current:
            self.problem(f"{where}: names key {named}, in force is {current}")
        if line["sig"] is None:
            self.unsigned += 1
            return
        if by not in self.keys or self.began.get(by, ("cfo", 0))[0] != "cfo" or (approval and by != named):
            self.problem(f"{where}: signed by key {by}, which is not the CFO's of then")
        elif by != (named or current or by):
            self.late.append((seq, by))
        message = (APPROVAL if approval else ENTRY) + raw
        if seq % self.every == 0 and not self.signed(by, message, base64.b64decode(line["sig"])):
            self.problem(f"{where}: its signature is not that of key {by} over these bytes")
        self.unsigned = 0  # a signed body names the hash of the row before, so it covers all rows before it

    def money(self, col: Object, where: str) -> None:
        """What the row does to counters, limits and freezes; one decision and one resolution of a request."""
        entry, request, amount, details = col["entry_type"], col["request_id"], col["amount_micros"], col["details"]
        if entry == "DECISION":
            if request in self.decided:
                self.problem(f"{where}: a second decision on request {request}")
            self.decided.add(request)
            if col["decision"] == "approved":
                self.open[request] = col
                self.move(self.reserved, col, amount)
        elif entry in ("SETTLE", "RELEASE", "EXPIRE"):
            was = self.open.pop(request, None)
            if was is None or (was["tx_id"], was["periods"]) != (col["settles"], col["periods"]):
                self.problem(f"{where}: {entry} of {request}, which has no such open approval before it")
                return
            if amount > (was["amount_micros"] if entry == "SETTLE" and was["signed"] else 0):
                self.problem(f"{where}: {entry} of {amount} micros, approved {was['amount_micros']}, or never signed")
            self.move(self.reserved, was, -was["amount_micros"])
            self.move(self.spent, was, amount)
            self.settled[was["tx_id"]] = (amount, was["periods"]["D"])
        elif entry == "REFUND":
            left, day = self.settled.get(col["settles"], (0, ""))
            if not 0 < amount <= left or col["periods"]["D"] != day:
                self.problem(f"{where}: REFUND of {amount} micros, {left} were left of what was settled on {day}")
            self.settled[col["settles"]] = (left - amount, day)
            self.move(self.spent, col, -amount)
        elif entry in ("FREEZE", "OVERRUN"):
            self.frozen |= set(details["scopes" if entry == "FREEZE" else "freeze"])
        elif entry == "UNFREEZE":
            self.frozen -= set(details["scopes"])
        elif entry == "LIMIT_CHANGE":
            for c in details["changes"]:
                self.limits[c["scope"], c["kind"]] = (int(c["after"]), col["periods"][c["kind"]])
        elif entry not in ("REFUSAL", "KEY"):
            self.problem(f"{where}: {entry!r} is not a type of row")

    def move(self, counters: Counter[tuple[str, ...]], approval: Object, micros: int) -> None:
        """Add to the counters that an approval counts in."""
        for scope in approval["scopes"]:
            for kind, period in approval["periods"].items():
                counters[scope, kind, period] += micros

    def check_seals(self, anchored: dict[int, Object], complete: bool) -> None:
        """Each follows the one before, is signed by the seal key of its time, and its root is that of its rows."""
        for number in range(1, max(anchored, default=0) + 1):
            if number not in anchored or self.seals.get(number, anchored[number]) != anchored[number]:
                self.problem(f"seal {number} is missing in the anchor, or another one there than in the export")
        begins = [(seq, kid) for kid, (purpose, seq) in self.began.items() if purpose == "seal"]
        follows, end = (1, "00" * 32, 1, self.header["tenant_id"]), 0
        for number, seal in sorted((self.seals | anchored).items()):
            says, kid, where = seal["says"], seal["kid"], f"seal {number}"
            first, last = says["first_seq"], says["last_seq"]
            if (number, says["prev"], first, says["tenant_id"]) != follows or not 0 <= last - first < 1000:
                self.problem(f"{where}: does not follow the seal before it")
            follows = (number + 1, sha256(seal["raw"]).hexdigest(), last + 1, says["tenant_id"])
            keys = [k for seq, k in begins if seq < first][-1:] + [k for seq, k in begins if seq >= first]
            known = kid in (keys or [kid]) and self.began.get(kid, ("seal", 0))[0] == "seal"
            if not known or not self.signed(kid, SEAL + seal["raw"], seal["sig"]):
                self.problem(f"{where}: not signed by the seal key of then ({kid})")
            if last > len(self.hashes) and not complete and says["at"] > self.header["exported_at"]:
                self.notes.append(f"{where} was made after the export")
            elif last > len(self.hashes):
                self.problem(f"{where} ends at row {last}, the export at row {len(self.hashes)}: rows were cut off")
            elif (root(self.hashes[first - 1 : last]), self.hashes[last - 1].hex()) != (says["root"], says["head"]):
                self.problem(f"{where}: rows {first}-{last} are not those that were sealed")
            else:
                end = last
        self.notes.append(f"sealed: rows 1-{end} of {len(self.hashes)}; the {self.unsigned} newest are not signed yet")

    def finish(self) -> None:
        """What can be said only after the last row: head, late signatures, counters, open approvals, limits."""
        head, end = self.header["head"], len(self.hashes)
        if (head["seq"], head["hash"]) != (end, self.hashes[-1].hex() if end else "00" * 32):
            self.problem(f"the head was row {head['seq']}, the rows end at {end} or with another hash")
        for seq, kid in self.late:
            if self.began.get(kid, ("", 0))[1] <= seq:
                self.problem(f"row {seq}: signed by key {kid}, which neither it names nor a later row announces")
        told = {(c["scope"], c["kind"], c["period_id"]): c for c in self.beside["counter"]}
        for key in sorted({*told, *self.reserved, *self.spent}):
            c = told.get(key, {"reserved_micros": 0, "spent_micros": 0})
            has, says = (c["reserved_micros"], c["spent_micros"]), (self.reserved[key], self.spent[key])
            limit, since = self.limits.get(key[:2], (0, ""))
            if has != says or (key in told and key[2] >= since and c["target_limit_micros"] != limit):
                self.problem(f"counter {key}: reserved and spent {has}, the rows say {says} and the limit {limit}")
        opened = {(name, a["tx_id"], a["amount_micros"]) for name, a in self.open.items()}
        limits = {(*key, micros) for key, (micros, _) in self.limits.items()}
        for kind, rows in {"reservation": opened, "limit": limits, "freeze": {(s,) for s in self.frozen}}.items():
            if {tuple(line[name] for name in BESIDE[kind].split()) for line in self.beside[kind]} != rows:
                self.problem(f"the {kind} lines are not what the rows say")


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Check an exported Chimera ledger without Chimera.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--keys", type=Path, help="folder of pinned public keys (*.pem)")
    parser.add_argument("--seals", type=Path, help="folder of anchored seals (*.json)")
    parser.add_argument("--every", type=int, default=1, help="check the signature of every Nth row only")
    parser.add_argument("--complete", action="store_true", help="an anchored seal newer than the export is a problem")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(arguments)
    try:
        pinned = sorted(given.keys.glob("*.pem")) if given.keys else []
        led = Ledger(dict(read_key(path.read_bytes()) for path in pinned), max(1, given.every))
        with given.export.open("rb") as file:
            led.read(file, pinned=given.keys is not None)
        kept = [json.loads(path.read_bytes()) for path in sorted(given.seals.glob("*.json"))] if given.seals else []
        anchored = [read_seal(k["body"].encode(), k["kid"], k["sig"]) for k in kept]
        led.check_seals({seal["says"]["number"]: seal for seal in anchored}, given.complete)
        led.finish()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.stderr.write(f"cannot be checked: {type(error).__name__}: {error}\n")
        return 2
    led.notes += [] if given.keys and given.seals else ["keys or seals are the export's own: who made it is not shown"]
    lines = [f"{len(led.hashes)} rows, {len(led.seals)} seals, {'NOT VERIFIED' if led.problems else 'verified'}"]
    found: Object = {"verified": not led.problems, "rows": len(led.hashes), "seals": len(led.seals)}
    found |= {"signatures": led.checked, "problems": led.problems[:500], "notes": led.notes}
    sys.stdout.write((json.dumps(found) if given.json else "\n".join([*lines, *led.problems[:500], *led.notes])) + "\n")
    return 1 if led.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
