"""What a new or updated deployment needs of its database before anything runs: roles, schema, the tenant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_ID = "chimera-schema"


class Change(BaseModel):
    """A CloudFormation custom resource's event, as CDK's provider framework hands it on."""

    model_config = ConfigDict(extra="ignore")

    RequestType: Literal["Create", "Update", "Delete"]
    ResourceProperties: dict[str, Any] = Field(default_factory=dict)


class Schema(Protocol):
    """The database's owner."""

    def prepare(self) -> str:
        """Roles, extension, migrations, tenant: whatever is missing. Gives the revision. Safe to run again."""
        ...


def migrate(event: Change, schema: Callable[[], Schema]) -> dict[str, Any]:
    """Bring the database up; deleting the stack deletes no data."""
    if event.RequestType == "Delete":
        return {"PhysicalResourceId": SCHEMA_ID, "Data": {"Revision": ""}}
    return {"PhysicalResourceId": SCHEMA_ID, "Data": {"Revision": schema().prepare()}}
