"""Nine attacks at ten places each, by a superuser who repairs everything a forger can: all are found, and nothing else is."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.keys import KeyFileSigner
from chimera.adapters.postgres.ledger_verify import SAMPLE, SealSource, verify_ledger
from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.bootstrap import App
from chimera.settings import Settings
from tests.fakes.ledger_forger import ATTACKS, Conn, Copy, Forger, fill, open_super

TENANT = "7a11e700-0000-4000-8000-000000000001"
PLACES = 10


@dataclass
class Scene:
    """A clean, sealed ledger, what is needed to forge it, and the way back."""

    app: App
    c: Conn
    copy: Copy
    rows: int
    old_key: KeyFileSigner


@pytest.fixture(scope="module")
def scene(new_database: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    urls, home = new_database(), tmp_path_factory.mktemp("forged")
    settings = Settings().model_copy(update={"home": home, "database_url": urls.app, "tenant_id": TENANT})
    with psycopg.connect(urls.app) as connection:
        seed_tenant(connection, TENANT, settings)
    old_key = KeyFileSigner(settings.keys_path, "retired")
    with contextlib.closing(App(settings)) as app, open_super(urls.super) as c:
        fill(app, 30, seed=3)
        report = app.verify_ledger(TENANT, full=True)
        assert report.verified, report.problems
        assert report.seals >= 5
        assert report.sealed_through == report.entries
        yield Scene(app, c, Copy(c, TENANT), report.entries, old_key)


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_every_attack_at_every_place_is_found(scene: Scene, attack: str) -> None:
    chance = random.Random(f"{attack} 1")
    places = chance.sample(range(4, scene.rows - 1), PLACES)
    missed = []
    for place in places:
        try:
            ATTACKS[attack](Forger(scene.c, TENANT, chance, scene.old_key), place)
            if scene.app.verify_ledger(TENANT).verified:
                missed.append(place)
        finally:
            scene.copy.restore()
    assert missed == []
    clean = scene.app.verify_ledger(TENANT)
    assert clean.problems == []  # the way back leads to where it began, and a clean ledger raises no alarm


def test_only_the_anchored_seals_tell_that_a_repaired_tail_is_gone(scene: Scene) -> None:
    try:
        Forger(scene.c, TENANT, random.Random(1), scene.old_key).truncate(scene.rows - 12)
        without = verify_ledger(scene.app.db, TENANT, scene.app.verifier, full=True)
        found = scene.app.verify_ledger(TENANT)
    finally:
        scene.copy.restore()
    assert without.problems == []
    assert without.skipped == ["seals: none were given to compare with"]
    assert any("the ledger ends at row" in text for text in found.problems)


def test_since_begins_behind_a_seal_and_says_what_it_did_not_read(scene: Scene) -> None:
    whole = scene.app.verify_ledger(TENANT)
    report = scene.app.verify_ledger(TENANT, since=scene.rows - 5)
    assert report.problems == []
    assert 1 < report.first_seq <= scene.rows - 5
    assert report.entries == scene.rows - report.first_seq + 1
    assert report.head == whole.head
    assert any(text.startswith(f"rows 1-{report.first_seq - 1}:") for text in report.skipped)
    try:
        forger = Forger(scene.c, TENANT, random.Random(1), scene.old_key)
        forger.rewrite_amount(scene.rows - 3)
        after = scene.app.verify_ledger(TENANT, since=scene.rows - 5)
        scene.copy.restore()
        forger.rewrite_amount(3)  # every later hash is another one then: also those behind the seal
        before = scene.app.verify_ledger(TENANT, since=scene.rows - 5)
    finally:
        scene.copy.restore()
    assert not after.verified
    assert not before.verified
    assert scene.app.verify_ledger(TENANT, since=1).first_seq == 1  # no seal before it: everything


def test_two_processes_find_what_one_finds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chimera.adapters.postgres.ledger_verify.CHUNK", 10)
    told: list[tuple[int, int]] = []
    clean = scene.app.verify_ledger(TENANT, processes=2, progress=lambda done, total: told.append((done, total)))
    assert clean.problems == []
    assert told[-1] == (scene.rows, scene.rows)
    assert len(told) == -(-scene.rows // 10)
    try:
        Forger(scene.c, TENANT, random.Random(1), scene.old_key).edit(15)
        one = scene.app.verify_ledger(TENANT, processes=1)
        two = scene.app.verify_ledger(TENANT, processes=2)
    finally:
        scene.copy.restore()
    assert one.problems == two.problems != []


def test_a_row_that_cannot_even_be_read_is_a_problem(scene: Scene) -> None:
    try:
        scene.c.execute(
            "UPDATE ledger SET created_at = '12000-01-01', details = '[]' WHERE tenant_id = %s AND seq = 9", (TENANT,)
        )
        report = scene.app.verify_ledger(TENANT)
    finally:
        scene.copy.restore()
    assert any("row 9: cannot be read" in text for text in report.problems)


def test_an_anchored_seal_that_was_lost_or_changed_is_a_problem(scene: Scene) -> None:
    source = scene.app.seal_source(TENANT)
    seals = list(source.anchored)
    assert verify_ledger(scene.app.db, TENANT, scene.app.verifier, seals=source).problems == []
    for anchored in (seals[:-1], seals[:2] + seals[3:], []):
        forged = SealSource(anchored, source.recorded)
        assert not verify_ledger(scene.app.db, TENANT, scene.app.verifier, seals=forged).verified
    first = next(path for path in sorted(Path(scene.app.settings.seals_path).rglob("*.json")))
    kept = first.read_bytes()
    mode = first.stat().st_mode
    try:
        first.chmod(0o644)
        first.write_bytes(b"{}")
        assert not scene.app.verify_ledger(TENANT).verified
    finally:
        first.write_bytes(kept)
        first.chmod(mode)


def test_sealed_signatures_are_sampled_by_default_and_all_are_verified_in_full(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SAMPLE >= 1000
    monkeypatch.setattr("chimera.adapters.postgres.ledger_verify.SAMPLE", 3)
    quick, full = scene.app.verify_ledger(TENANT), scene.app.verify_ledger(TENANT, full=True)
    still_open = scene.c.execute(
        "SELECT count(*) AS n FROM reservation WHERE tenant_id = %s AND state = 'SIGNED'", (TENANT,)
    ).fetchone()
    assert still_open
    assert quick.signatures <= 3 + still_open["n"] + 1  # the first row names no key, so it is always verified
    assert any("say --full" in text for text in quick.skipped)
    assert (full.signatures, full.skipped) == (scene.rows - full.unsigned, [])
