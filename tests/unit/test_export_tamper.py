"""The stand-alone verifier: nine ways to forge an export, each found at random places; clean ones never complained about."""

from __future__ import annotations

import ast
import base64
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chimera.usecases.ledger_export import row_line, seal_line
from tests.fakes.ledger_bundle import (
    ATTACKS,
    ROOT,
    Book,
    Bundle,
    beside,
    check,
    forge,
    forged_rows,
    make_bundle,
    truncate_tail,
    verifier,
    write,
)

PLACES = 10


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"), seed=1)


def test_a_clean_export_verifies(bundle: Bundle) -> None:
    kinds = {row.entry_type for row in bundle.book.rows}
    assert kinds == {
        *("DECISION", "SETTLE", "RELEASE", "EXPIRE", "LIMIT_CHANGE", "REFUND"),
        *("OVERRUN", "UNFREEZE", "REFUSAL", "KEY"),
    }
    code, found = check(bundle.path, *bundle.pins)
    assert (code, found["problems"]) == (0, [])
    count = len(bundle.book.rows)
    assert (found["rows"], found["seals"]) == (count, len(bundle.book.made))
    assert found["signatures"] == count + len(bundle.book.made)
    assert found["notes"] == [f"sealed: rows 1-{count} of {count}; the 0 newest are not signed yet"]


@pytest.mark.parametrize("seed", range(2, 7))
def test_no_clean_export_is_complained_about(tmp_path: Path, seed: int) -> None:
    made = make_bundle(tmp_path, seed=seed, rows=60)
    assert check(made.path, *made.pins)[0] == 0
    assert check(made.path)[0] == 0
    assert check(made.path, *made.pins, "--every", "7", "--complete")[0] == 0


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_forgeries_are_found(bundle: Bundle, attack: str) -> None:
    missed = []
    for seed in range(PLACES):
        place, path = forge(bundle, attack, seed)
        code, found = check(path, *bundle.pins)
        if code != 1 or not found["problems"]:
            missed.append((seed, place, code))
    assert not missed


def test_every_column_of_every_kind_of_row_is_bound_to_what_was_signed(bundle: Bundle, tmp_path: Path) -> None:
    first = {row.entry_type: row.seq for row in reversed(bundle.book.rows)}
    missed = []
    for seq in sorted(first.values()):
        for name, old in bundle.lines[seq]["columns"].items():
            changed = (
                old + 1 if isinstance(old, int) else {**old, "x": "1"} if isinstance(old, dict) else f"{old or ''}1"
            )
            if name in ("created_at", "expires_at"):
                changed = "2030-01-01T00:00:00.000000Z"
            line = {**bundle.lines[seq], "columns": {**bundle.lines[seq]["columns"], name: changed}}
            write(tmp_path / "x.jsonl", [*bundle.lines[:seq], line, *bundle.lines[seq + 1 :]])
            _, found = check(tmp_path / "x.jsonl", "--every", "1000")
            if not any(p.startswith(f"row {seq}: its columns") for p in found["problems"]) and name != "seq":
                missed.append((bundle.lines[seq]["columns"]["entry_type"], name, found["problems"]))
    assert not missed


def test_a_history_rewritten_with_the_cfos_own_key_is_found_by_the_seals(bundle: Bundle, tmp_path: Path) -> None:
    book = bundle.book
    at = next(row.seq for row in book.rows if row.seq > bundle.rotated_at and row.seq > book.made[1].last_seq)
    rows = forged_rows(bundle, at, book.cfo, book.seal_key.key_id)
    head = {**bundle.lines[0], "head": {"seq": len(rows), "hash": rows[-1].row_hash.hex()}}
    write(tmp_path / "x.jsonl", [head, *map(row_line, rows), *bundle.lines[len(rows) + 1 :]])
    code, found = check(tmp_path / "x.jsonl", *bundle.pins)
    assert code == 1
    assert all(problem.endswith("are not those that were sealed") for problem in found["problems"])


@pytest.mark.parametrize("attack", ["edit_body", "edit_column", "delete_row", "insert_row", "reorder_rows"])
def test_sampled_signatures_still_find_what_the_chain_shows(bundle: Bundle, attack: str) -> None:
    for seed in range(3):
        _, path = forge(bundle, attack, seed)
        assert check(path, *bundle.pins, "--every", "1000")[0] == 1


def test_a_rewritten_history_fits_itself_and_only_pins_or_anchors_show_it(bundle: Bundle) -> None:
    _, path = forge(bundle, "rewrite_history", 4)
    keys, seals = bundle.pins[:2], bundle.pins[2:]
    assert check(path, *keys)[0] == 1
    assert check(path, *seals)[0] == 1


def test_a_cut_off_tail_is_found_by_the_anchored_seals_alone(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    lines = truncate_tail(bundle, len(bundle.book.rows) - 5, random.Random(1))
    write(path, lines)
    assert check(path)[0] == 0  # it fits itself, as it would have at that time
    code, found = check(path, *bundle.pins)
    assert code == 1
    assert found["problems"][-1].endswith("rows were cut off")


def test_a_backdated_cut_is_told_and_refused_where_the_newest_state_is_asked_for(
    bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "old.jsonl"
    cut = bundle.book.made[-2].last_seq
    lines = truncate_tail(bundle, cut, random.Random(1))
    lines[0]["exported_at"] = json.loads(bundle.book.made[-2].body)["at"]
    write(path, lines)
    code, found = check(path, *bundle.pins)
    assert (code, found["notes"][0]) == (0, f"seal {bundle.book.made[-1].number} was made after the export")
    assert check(path, *bundle.pins, "--complete")[0] == 1


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("counter", "spent_micros", 1),
        ("counter", "reserved_micros", 1),
        ("counter", "target_limit_micros", 1),
        ("limit", "limit_micros", 1),
        ("reservation", "amount_micros", 1),
        ("reservation", "request_id", "x"),
    ],
)
def test_what_stands_beside_the_rows_must_be_what_they_say(
    bundle: Bundle, tmp_path: Path, kind: str, name: str, value: Any
) -> None:
    lines = json.loads(json.dumps(bundle.lines))
    line = next(line for line in lines if line["type"] == kind)
    line[name] = line[name] + value
    write(tmp_path / "x.jsonl", lines)
    assert check(tmp_path / "x.jsonl", *bundle.pins)[0] == 1
    kept = [line for line in json.loads(json.dumps(bundle.lines)) if line["type"] != kind]
    write(tmp_path / "x.jsonl", kept)
    assert check(tmp_path / "x.jsonl", *bundle.pins)[0] == 1


def test_an_invented_freeze_is_found(bundle: Bundle, tmp_path: Path) -> None:
    lines = [*bundle.lines[:-1], {"type": "freeze", "scope": "total"}, {"type": "end"}]
    write(tmp_path / "x.jsonl", lines)
    assert check(tmp_path / "x.jsonl")[0] == 1


Break = Callable[[Book], None]


def _second_decision(book: Book) -> None:
    first = next(r for r in book.rows if r.is_approval)
    names = "request_id agent_id request_type amount_micros projected_roi risk_score decision periods justification"
    fields = {name: getattr(first, name) for name in f"{names} req_sha256 expires_at control_epoch details".split()}
    book.add("DECISION", **fields)


def _second_resolution(book: Book) -> None:
    first = next(r for r in book.rows if r.entry_type == "SETTLE")
    names = "request_id agent_id request_type settles periods req_sha256"
    book.add("RELEASE", amount_micros=0, **{name: getattr(first, name) for name in names.split()})


def _too_much_back(book: Book) -> None:
    first = next(r for r in book.rows if r.entry_type == "SETTLE")
    names = "request_id agent_id request_type settles periods req_sha256"
    amount = first.amount_micros + 1
    book.add("REFUND", amount_micros=amount, **{name: getattr(first, name) for name in names.split()})


def _unannounced_key(book: Book) -> None:
    book.cfo = book.seal_key


def _seal_by_the_cfo(book: Book) -> None:
    book.seal_key = book.cfo


def _key_comes_back(book: Book) -> None:
    first = book.cfo.key_id
    book.rotate("cfo")
    book.key_row("cfo", first, book.cfo.key_id)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (_second_decision, "a second decision on request"),
        (_second_resolution, "which has no such open approval before it"),
        (_too_much_back, "were left of what was settled"),
        (_unannounced_key, "which is not the CFO's of then"),
        (_seal_by_the_cfo, "not signed by the seal key of then"),
        (_key_comes_back, "does not replace the cfo key in force"),
    ],
)
def test_rows_that_are_chained_and_signed_but_break_a_rule(tmp_path: Path, fault: Break, says: str) -> None:
    made = make_bundle(tmp_path, seed=8, rows=60)
    book = made.book
    fault(book)
    book.grow(3)
    book.seal()
    lines = [json.loads(json.dumps(line)) for line in _export(book)]
    write(made.path, lines)
    code, found = check(made.path, *made.pins)
    assert code == 1
    assert any(says in problem for problem in found["problems"]), found["problems"]


def _export(book: Book) -> list[dict[str, Any]]:
    head = {
        "type": "header",
        "format": "chimera.ledger.export",
        "version": 1,
        "tenant_id": book.tenant_id,
        "exported_at": book.rows[-1].created_at.isoformat(),
        "head": {"seq": len(book.rows), "hash": book.rows[-1].row_hash.hex()},
        "keys": [],
    }
    return [head, *map(row_line, book.rows), *map(seal_line, book.made), *beside(book.rows), {"type": "end"}]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"not json\n", b"[]\n", b'{"type": "row"}\n', b'{"type": "header", "format": "x", "version": 1}\n'],
)
def test_what_is_no_export_is_exit_code_2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    assert check(path)[0] == 2
    assert check(tmp_path / "absent.jsonl")[0] == 2


def test_a_file_that_was_cut_short_is_found(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    text = bundle.path.read_bytes()
    path.write_bytes(text[: text.rindex(b"\n", 0, -1) + 1])
    assert "the file is not whole: its last line does not fit the lines before it" in check(path)[1]["problems"]


def test_a_body_that_is_no_json_is_a_problem_not_a_crash(bundle: Bundle, tmp_path: Path) -> None:
    lines = json.loads(json.dumps(bundle.lines))
    lines[5]["body"] = base64.b64encode(b"{").decode()
    write(tmp_path / "x.jsonl", lines)
    code, found = check(tmp_path / "x.jsonl")
    assert (code, found["problems"][0].startswith("row 5 cannot be read")) == (1, True)


def test_the_verifier_is_short_and_needs_nothing_of_chimera() -> None:
    source = (ROOT / "tools/verify_export.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    tops = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    tops |= {str(n.module).split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert tops - set(sys.stdlib_module_names) == {"cryptography"}
    assert len(source.splitlines()) < 300
    assert verifier().__doc__
