"""Money for tests and benchmarks that load it or kill under it: a tenant others can reach, a cluster of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from chimera.adapters.local.clock import SystemClock
from chimera.adapters.local.keys import KeyFileSigner, KeyFolderVerifier
from chimera.adapters.postgres.database import Database
from chimera.adapters.postgres.ledger import PostgresLedger
from chimera.adapters.postgres.tenancy import agent_id, seed_tenant
from chimera.bootstrap import App
from chimera.domain.cfo import CfoPolicy, RiskWeights
from chimera.domain.ids import stable_id
from chimera.domain.ledger import VerifyReport
from chimera.settings import Settings
from chimera.usecases.cfo import Cfo
from chimera.usecases.recovery import RecoveryReport
from chimera_local.postgres import EmbeddedPostgres

NO_RISK = CfoPolicy(weights=RiskWeights(*[Decimal(0)] * 5))
"""The rules without the risk score: only size, ROI and budget decide, so that approvals can be counted beforehand."""


@dataclass(frozen=True)
class Site:
    """One tenant's money, as a worker in another process reaches it. `keys` is the folder `keys` of a home."""

    url: str
    keys: Path
    tenant: str
    policy: CfoPolicy = field(default_factory=CfoPolicy)

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Cfo, PostgresLedger]]:
        """A CFO and its ledger with a connection of their own."""
        with contextlib.closing(Database(self.url)) as database:
            ledger = PostgresLedger(database, self.tenant)
            yield Cfo(ledger, KeyFileSigner(self.keys), self.verifier(), SystemClock(), self.policy), ledger

    def verifier(self) -> KeyFolderVerifier:
        """Checks the CFO's signatures."""
        return KeyFolderVerifier(self.keys)

    def verify(self) -> VerifyReport:
        """`ledger verify`, with a connection of its own."""
        with self.open() as (_, ledger):
            return ledger.verify(self.verifier())

    def recover(self, *, full: bool = False) -> RecoveryReport:
        """The recovery job, wired as the product wires it: signs, expires, reconciles, recomputes the books, seals."""
        values = {"home": self.keys.parent, "database_url": self.url, "tenant_id": self.tenant}
        app = App(Settings().model_copy(update=values))
        with contextlib.closing(app.db):
            return app.recovery(self.tenant).run(full=full)

    def request(self, name: str, **changes: Any) -> dict[str, Any]:
        """A request whose id follows from its name, so that whoever resumes the work asks with the same id."""
        return {
            "request_id": stable_id(self.tenant, "load", name),
            "agent_id": agent_id(self.tenant, "artist"),
            "request_type": "compute",
            "request_cost": "1.25",
            "projected_roi": "2.0",
            "justification": "a video",
            "currency": "USD",
            **changes,
        }

    def with_policy(self, policy: CfoPolicy) -> Site:
        """The same tenant under other rules."""
        return replace(self, policy=policy)


def new_site(url: str, keys: Path, limit_usd: Decimal | str, policy: CfoPolicy = NO_RISK) -> Site:
    """A fresh tenant with one limit for every category and period.

    The same for day, week and month: a run that passes midnight still has what the week has left.
    """
    KeyFileSigner(keys)
    tenant = str(uuid.uuid4())
    names = ("daily_budget_limit", "weekly_budget_limit", "monthly_budget_limit")
    values: Mapping[str, Any] = {"home": keys, "tenant_id": tenant, **dict.fromkeys(names, Decimal(limit_usd))}
    with psycopg.connect(url) as connection:
        seed_tenant(connection, tenant, Settings().model_copy(update=values))
    return Site(url=url, keys=keys, tenant=tenant, policy=policy)


class Cluster:
    """A PostgreSQL of its own, as durable as the product's, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "home")
        self.postgres.start()

    @property
    def url(self) -> str:
        """The application's role."""
        return self.postgres.app_url

    def site(self, limit_usd: Decimal | str, policy: CfoPolicy = NO_RISK) -> Site:
        """A fresh tenant in it."""
        return new_site(self.url, self.folder / "keys", limit_usd, policy)

    def kill(self) -> None:
        """SIGKILL of the postmaster; comes back when it is gone."""
        pid = self.postgres.pid
        if pid is None:
            raise RuntimeError("the server does not run")
        os.kill(pid, signal.SIGKILL)
        while self.postgres.pid == pid:
            time.sleep(0.005)

    def start(self) -> float:
        """Start it again after a kill; the seconds that took, replaying its log included."""
        begun = time.monotonic()
        self.postgres.stop()  # lets go of what was killed
        self.postgres.start()
        return time.monotonic() - begun


@contextlib.contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A cluster in a folder of its own, deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ch-money-", dir="/tmp"))  # short enough for a socket
    folder.chmod(0o755)  # the server runs as a user of its own when we are root
    try:
        cluster = Cluster(folder)
        try:
            yield cluster
        finally:
            cluster.postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
