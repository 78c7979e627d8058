"""What every step of a production carries: ids and the folder, never payloads."""

from __future__ import annotations

from pydantic import Field

from chimera.domain.models import Model


class Scope(Model):
    """Names one piece of content; all its files are under `prefix`."""

    tenant_id: str
    run_id: str
    task_id: str
    content_id: str
    attempt: int = Field(default=0, ge=0, le=3)

    @property
    def prefix(self) -> str:
        """The content's folder in the media store."""
        return content_prefix(self.tenant_id, self.content_id)

    def key(self, kind: str, name: str) -> str:
        """A file's key: `tenants/{tenant}/content/{content_id}/{kind}/{name}`."""
        return f"{self.prefix}/{kind}/{name}"


def content_prefix(tenant_id: str, content_id: str) -> str:
    """The folder of one piece of content."""
    return f"tenants/{tenant_id}/content/{content_id}"
