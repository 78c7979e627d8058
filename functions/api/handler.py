"""The HTTP API: API Gateway events (payload 2.0) in, HTTP answers out. `app_factory` is a seam for tests."""

from __future__ import annotations

from typing import Any

from chimera.bootstrap import App
from chimera.metrics import flush

from . import service

app_factory: type[App] = App


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer one request; the database connection is given back at its end."""
    app = app_factory()
    try:
        return service.respond(event, context, app)
    finally:
        app.close()
        flush(app.settings.metrics_namespace)
