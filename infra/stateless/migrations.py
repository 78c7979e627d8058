"""Brings the database up to the deployed code before anything else of the stack is called.

Contract of `functions/migrate` (CDK's provider framework calls it): an event with `RequestType` Create, Update or Delete
and `ResourceProperties.Migrations` (the hash of the SQL files); it answers `{"PhysicalResourceId", "Data": {"Revision"}}`
and raises to fail the deployment. It logs in as `CHIMERA_DATABASE_OWNER_URL` by IAM and makes roles, schema and tenant.
"""

from __future__ import annotations

import hashlib

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.catalogue import ROOT
from infra.provider import OwnResource

MIGRATIONS = ROOT / "layers/chimera/python/chimera/migrations"


def fingerprint() -> str:
    """Changes when a migration is added, which is when the resource is updated."""
    digest = hashlib.sha256()
    for path in sorted((MIGRATIONS / "sql").glob("*.sql")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Migrations(Construct):
    """A custom resource that everything which speaks to the database waits for."""

    def __init__(self, scope: Construct, id: str, *, migrate: lambda_.IFunction) -> None:
        super().__init__(scope, id)
        self.resource = OwnResource(
            self,
            "schema",
            resource_type="Schema",
            on_event=migrate,
            properties={"Migrations": fingerprint()},
        )
