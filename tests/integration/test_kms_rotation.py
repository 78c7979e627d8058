"""The CFO's and the seals' keys in KMS: a deployment lays a newer key ready, the ledger passes from the old to the new."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chimera.adapters.local.seals import FolderSealAnchor
from chimera.adapters.postgres.tenancy import agent_id
from chimera.bootstrap import App
from chimera.settings import Settings


@pytest.fixture
def kms() -> Iterator[Any]:
    with mock_aws():
        make: Any = boto3.client
        yield make("kms", region_name="eu-west-1")


def new_key(client: Any) -> str:
    return str(client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"])


def app_of(database_urls: Any, tenant: str, kms: Any, tmp_path: Any, cfo: list[str], seal: list[str]) -> App:
    settings = Settings().model_copy(
        update={
            "world": "aws",
            "home": tmp_path,
            "tenant_id": tenant,
            "database_url": database_urls.app,
            "cfo_key_arns": " ".join(cfo),
            "seal_key_arns": " ".join(seal),
        }
    )
    app = App(settings)
    app.__dict__["aws"] = lambda service: kms
    app.__dict__["seal_anchor"] = lambda t: FolderSealAnchor(tmp_path / "seals", t)
    return app


def ask(app: App, tenant: str) -> dict[str, Any]:
    return app.cfo(tenant).approve(
        {
            "request_id": str(uuid.uuid4()),
            "agent_id": agent_id(tenant, "artist"),
            "request_type": "compute",
            "request_cost": "1.00",
            "projected_roi": "3",
            "justification": "a video",
            "currency": "USD",
        }
    )


def test_a_newer_key_takes_over_and_everything_still_verifies(
    database_urls: Any, new_tenant: Any, kms: Any, tmp_path: Any
) -> None:
    tenant = new_tenant()
    cfo_old, cfo_new, seal_old, seal_new = (new_key(kms) for _ in range(4))
    first = app_of(database_urls, tenant, kms, tmp_path, [cfo_old], [seal_old])
    before = ask(first, tenant)
    assert before["approved"]
    assert first.sealer(tenant).seal_due(force=True)
    first.close()

    deployed = app_of(database_urls, tenant, kms, tmp_path, [cfo_new, cfo_old], [seal_new, seal_old])
    rotated = deployed.keys(tenant).follow("cfo")
    assert rotated is not None
    sealing = deployed.keys(tenant, sweeps=False).follow("seal")  # as the function that has the seals' key alone
    assert sealing is not None
    assert deployed.keys(tenant).follow("cfo") is None
    assert deployed.keys(tenant, sweeps=False).follow("seal") is None
    deployed.cfo(tenant).sweep()
    after = ask(deployed, tenant)
    assert after["approved"]
    assert after["token"]["kid"] == rotated.new != before["token"]["kid"] == rotated.old
    deployed.cfo(tenant).dispatch(before["token"], "work-1")  # an approval of the old key is still good
    assert deployed.sealer(tenant).seal_due(force=True)
    report = deployed.ledger(tenant).verify(deployed.verifier)
    assert report.problems == []
    assert report.verified
    deployed.close()
