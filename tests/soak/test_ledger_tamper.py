"""The nine attacks on a larger ledger, each at a hundred places (`--money-tamper-places`): all found, no false alarm."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.keys import KeyFileSigner
from chimera.adapters.postgres.tenancy import seed_tenant
from chimera.bootstrap import App
from chimera.settings import Settings
from chimera_local.postgres import EmbeddedPostgres
from tests.fakes.ledger_forger import ATTACKS, Copy, Forger, fill, open_super

REQUESTS = 120


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[App, Copy, Forger, int]]:
    with tempfile.TemporaryDirectory(prefix="ch-tamper-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        with EmbeddedPostgres(home) as postgres:
            settings = Settings().model_copy(update={"home": home, "database_url": postgres.app_url})
            tenant = settings.tenant_id
            with psycopg.connect(postgres.app_url) as connection:
                seed_tenant(connection, tenant, settings)
            old_key = KeyFileSigner(settings.keys_path, "retired")
            superuser = postgres.app_url.replace("chimera_app@", "postgres@", 1)
            with contextlib.closing(App(settings)) as app, open_super(superuser) as c:
                fill(app, REQUESTS, seed=9)
                clean = app.verify_ledger(tenant, full=True)
                assert clean.problems == []
                yield app, Copy(c, tenant), Forger(c, tenant, random.Random(1), old_key), clean.entries


@pytest.mark.parametrize("attack", list(ATTACKS))
@pytest.mark.timeout(1800)
def test_every_attack_at_every_place_is_found(
    scene: tuple[App, Copy, Forger, int],
    attack: str,
    size: Callable[[str], int],
    evidence: Callable[[dict[str, Any]], None],
) -> None:
    app, copy, forger, rows = scene
    tenant, missed = app.settings.tenant_id, []
    for place in random.Random(attack).sample(range(4, rows - 1), size("tamper-places")):
        try:
            ATTACKS[attack](forger, place)
            if app.verify_ledger(tenant).verified:
                missed.append(place)
        finally:
            copy.restore()
    clean = app.verify_ledger(tenant, full=True)
    evidence({"attack": attack, "places": size("tamper-places"), "missed": missed, "false_alarms": clean.problems})
    assert missed == []
    assert clean.problems == []
