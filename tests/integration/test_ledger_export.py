"""An export of a real ledger is checked by the stand-alone verifier; keys are rotated and their rows hold."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chimera.adapters.local.keys import KeyFiles, KeyFileSigner
from chimera.adapters.postgres.tenancy import agent_id
from chimera.bootstrap import App
from chimera.domain.models import CostLine
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.keys import KeyStore
from chimera.usecases.ledger_export import Exported, export_bundle
from tests.fakes.ledger_bundle import ROOT, check


@dataclass
class Home:
    """A laptop's home: an App of one tenant with its own keys and seals; `app()` is a new process."""

    settings: Settings
    tenant: str
    apps: list[App]

    def app(self) -> App:
        self.apps.append(App(self.settings))
        return self.apps[-1]

    def ask(self, cost: str = "10", roi: str = "2.0") -> dict[str, Any]:
        return (
            self.app()
            .cfo(self.tenant)
            .approve(
                {
                    "request_id": str(uuid.uuid4()),
                    "agent_id": agent_id(self.tenant, "artist"),
                    "request_type": "compute",
                    "request_cost": cost,
                    "projected_roi": roi,
                    "justification": "a video “über” 🧀",
                }
            )
        )

    def fill(self) -> None:
        """Rows of every kind that use cases write."""
        cfo = self.app().cfo(self.tenant)
        first, second = self.ask(), self.ask("3.5")
        cfo.dispatch(first["token"], "run")
        used = CostLine(step="render", item="vCPU", quantity="1", unit="vCPU second", amount_micros=4_000_000)
        cfo.settle(first["request_id"], [used])
        cfo.release(second["request_id"], "not needed")
        self.ask()
        self.ask(roi="-0")
        ledger = self.app().ledger(self.tenant)
        ledger.refund(first["request_id"], 1_000_000, key="credit-1", by="vendor", reason="half of it did not work")
        ledger.freeze(["storage"], "looks odd", "alice")
        ledger.set_limit("total", "D", 500_000_000, by="alice")
        ledger.refuse("someone", "VALIDATION_FAILED", "not a request", b'{"request_cost": NaN}')
        cfo.sweep()

    def export(self, path: Path) -> Exported:
        app = self.app()
        return export_bundle(path, app.ledger_export(self.tenant), app.key_files)

    @property
    def pins(self) -> list[str]:
        return [
            *("--keys", str(self.settings.keys_path / "public")),
            *("--seals", str(self.settings.seals_path / self.tenant)),
        ]

    def verified(self, path: Path) -> dict[str, Any]:
        self.export(path)
        code, found = check(path, *self.pins, "--complete")
        assert (code, found["problems"]) == (0, [])
        return found


@pytest.fixture
def home(new_tenant: Callable[..., str], database_urls: Any, tmp_path: Path) -> Iterator[Home]:
    tenant = new_tenant()
    values = {"home": tmp_path / "home", "database_url": database_urls.app, "tenant_id": tenant}
    made = Home(Settings().model_copy(update=values), tenant, [])
    yield made
    for app in made.apps:
        app.close()


def test_a_real_ledger_is_exported_and_verified(home: Home, tmp_path: Path) -> None:
    home.fill()
    home.app().sealer(home.tenant).seal_due(force=True)
    home.fill()
    home.app().cfo(home.tenant).sweep()
    path = tmp_path / "ledger.jsonl"
    found = home.verified(path)
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").split("\n")[:-1]]
    kinds = {line["columns"]["entry_type"] for line in lines if line["type"] == "row"}
    assert {"DECISION", "SETTLE", "RELEASE", "REFUND", "FREEZE", "LIMIT_CHANGE", "REFUSAL", "KEY"} <= kinds
    assert {line["type"] for line in lines} == {
        *("header", "row", "seal", "counter", "limit", "reservation", "freeze", "end")
    }
    assert (found["seals"], found["rows"]) == (1, lines[0]["rows"])
    assert {key["purpose"] for key in lines[0]["keys"]} == {"cfo", "seal"}


def test_the_verifier_runs_by_itself_in_an_empty_folder(home: Home, tmp_path: Path) -> None:
    home.fill()
    home.app().sealer(home.tenant).seal_due(force=True)
    home.export(tmp_path / "ledger.jsonl")
    script = tmp_path / "verify_export.py"
    script.write_bytes((ROOT / "tools/verify_export.py").read_bytes())
    arguments = [sys.executable, "-I", str(script), "ledger.jsonl", *home.pins]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith("1 seals, verified")


def test_a_row_changed_behind_the_ledgers_back_is_found_in_the_export(
    home: Home, tmp_path: Path, database_urls: Any
) -> None:
    home.fill()
    home.app().sealer(home.tenant).seal_due(force=True)
    with psycopg.connect(database_urls.super) as c:
        c.execute("SET session_replication_role = replica")
        c.execute("UPDATE ledger SET amount_micros = 1 WHERE tenant_id = %s AND seq = 3", (home.tenant,))
    home.export(tmp_path / "x.jsonl")
    code, found = check(tmp_path / "x.jsonl", *home.pins)
    assert code == 1
    assert found["problems"][0].startswith("row 3: its columns are not what its body says (amount_micros")


def test_an_export_appears_whole_or_not_at_all(home: Home, tmp_path: Path) -> None:
    home.fill()
    path = tmp_path / "x.jsonl"
    path.write_text("the old one")
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    app = home.app()
    with pytest.raises(KeyboardInterrupt):
        export_bundle(path, app.ledger_export(home.tenant), app.key_files, stop)
    assert path.read_text() == "the old one"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
    assert seen[0][0] == seen[0][1] > 8
    with pytest.raises(ChimeraError) as error:
        export_bundle(tmp_path / "no" / "folder", app.ledger_export(home.tenant), app.key_files)
    assert error.value.code == "VALIDATION_FAILED"


def test_an_empty_ledger_has_an_export_too(home: Home, tmp_path: Path) -> None:
    stranger = Home(home.settings, str(uuid.uuid4()), home.apps)
    (home.settings.keys_path / "public").mkdir(parents=True)
    assert stranger.verified(tmp_path / "x.jsonl")["rows"] == 0


@pytest.mark.parametrize("purpose", ["cfo", "seal"])
def test_a_rotation_hands_over_from_key_to_key(home: Home, tmp_path: Path, purpose: str) -> None:
    home.fill()
    old = KeyFiles(home.settings.keys_path).signer(purpose).key_id
    done = home.app().keys(home.tenant).rotate(purpose, "alice")
    assert (done.old, done.old != done.new) == (old, True)
    ledger = home.app().ledger(home.tenant)
    row = next(e for e in ledger.entries(limit=50).entries if e.seq == done.seq)
    cfo_before = old if purpose == "cfo" else KeyFiles(home.settings.keys_path).signer("cfo").key_id
    assert (row.entry_type, row.key_id, row.signed_by) == ("KEY", cfo_before, cfo_before)
    assert row.details == {"purpose": purpose, "kid": done.new, "replaces": old}
    files = KeyFiles(home.settings.keys_path)
    assert files.signer(purpose).key_id == done.new
    kept = home.settings.keys_path / f"{files.NAMES[purpose]}.{old}.retired.pem"
    assert kept.stat().st_mode & 0o777 == 0o400
    home.fill()
    home.app().sealer(home.tenant).seal_due(force=True)
    home.verified(tmp_path / "x.jsonl")
    again = home.app().keys(home.tenant).rotate(purpose, "alice")
    assert again.old == done.new
    home.verified(tmp_path / "x.jsonl")


class StoppedError(Exception):
    """The process ends here."""


class Stopping:
    """Key files whose Nth call ends the process."""

    def __init__(self, store: KeyStore, calls: int) -> None:
        self._store = store
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise StoppedError
        return getattr(self._store, name)


@pytest.mark.parametrize("purpose", ["cfo", "seal"])
def test_a_rotation_that_is_cut_short_anywhere_is_finished_by_asking_again(
    home: Home, tmp_path: Path, purpose: str
) -> None:
    home.fill()
    first = KeyFiles(home.settings.keys_path).signer(purpose).key_id
    last = first
    for calls in range(12):
        app = home.app()
        app.__dict__["key_files"] = Stopping(KeyFiles(home.settings.keys_path), calls)
        before = KeyFiles(home.settings.keys_path).signer(purpose).key_id
        try:
            app.keys(home.tenant).rotate(purpose, "alice")
        except StoppedError:
            assert KeyFiles(home.settings.keys_path).signer(purpose).key_id == before
            home.app().keys(home.tenant).rotate(purpose, "alice")
        last = KeyFiles(home.settings.keys_path).signer(purpose).key_id
        assert last != before
    home.ask()
    home.app().sealer(home.tenant).seal_due(force=True)
    found = home.verified(tmp_path / "x.jsonl")
    assert found["seals"] > 0


def test_a_process_with_the_old_key_is_refused(home: Home) -> None:
    home.fill()
    stale = home.app()
    assert stale.signer.key_id
    for purpose in ("cfo", "seal"):
        home.app().keys(home.tenant).rotate(purpose, "alice")
    with pytest.raises(ChimeraError) as error:
        stale.cfo(home.tenant).approve(
            {
                "request_id": str(uuid.uuid4()),
                "agent_id": agent_id(home.tenant, "artist"),
                "request_type": "compute",
                "request_cost": "1",
                "projected_roi": "2",
            }
        )
    assert error.value.code == "CONFLICT"
    assert home.ask()["decision"] == "approved"


def test_an_old_key_file_that_is_put_back_seals_nothing(home: Home) -> None:
    home.fill()
    keys = home.settings.keys_path
    home.app().sealer(home.tenant).seal_due(force=True)
    old = (keys / "seal-signing.pem").read_bytes()
    home.app().keys(home.tenant).rotate("seal", "alice")
    (keys / "seal-signing.pem").unlink()
    (keys / "seal-signing.pem").write_bytes(old)
    (keys / "seal-signing.pem").chmod(0o600)
    home.ask()
    with pytest.raises(ChimeraError, match="bring that key's file back"):
        home.app().sealer(home.tenant).seal_due(force=True)


def test_only_known_purposes_are_rotated(home: Home) -> None:
    with pytest.raises(ChimeraError, match="expected one of cfo, seal"):
        home.app().keys(home.tenant).rotate("../x", "alice")


def test_a_switch_without_a_prepared_key_is_nothing(tmp_path: Path) -> None:
    signer = KeyFileSigner(tmp_path, "cfo-signing")
    KeyFiles(tmp_path).switch("cfo")
    assert KeyFiles(tmp_path).signer("cfo").key_id == signer.key_id
