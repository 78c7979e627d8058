"""The API as a client sees it: events in, answers out, over the real database; only the workflow engine is a fake."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from chimera.adapters.postgres.tenancy import agent_id, persona_id
from chimera.bootstrap import App
from chimera.domain.models import EngagementMetrics, PublishRequest, Trend
from chimera.errors import ChimeraError
from chimera.settings import Settings
from chimera.usecases.scope import Scope
from functions.api import handler as api_handler

CONTENT_HASH = "a" * 64


@dataclass
class FakeWorkflows:
    """The engine: keeps what was started, gives the histories it was told."""

    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    away: bool = False

    def start(self, machine: str, name: str, input: dict[str, Any]) -> str:
        self._there()
        execution = f"{machine}:{name}"
        if self.started.setdefault(execution, input) != input:
            raise ChimeraError("CONFLICT", "the name is in use with another input", {})
        return execution

    def describe(self, execution_id: str) -> dict[str, Any]:
        self._there()
        raise ChimeraError("NOT_FOUND", "no execution", {"execution_id": execution_id})

    def history(self, execution_id: str) -> list[dict[str, Any]]:
        self._there()
        if execution_id not in self.histories:
            raise ChimeraError("NOT_FOUND", "no execution", {"execution_id": execution_id})
        return self.histories[execution_id]

    def send_task_success(self, token: str, output: dict[str, Any]) -> None:
        self._there()
        self.told.append((token, output))

    def _there(self) -> None:
        if self.away:
            raise ChimeraError("AGENT_OFFLINE", "the workflow engine does not answer", {"reason": "secret-path"})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    headers: dict[str, str]
    raw: dict[str, Any]

    @property
    def code(self) -> str:
        """The code of an error, whose body must be the contract's, whole."""
        assert self.body["success"] is False
        error = self.body["error"]
        assert set(error) == {"code", "message", "details", "timestamp", "request_id", "retryable"}
        assert error["timestamp"].endswith("Z")
        assert error["request_id"]
        return str(error["code"])


class Client:
    """Asks as the gateway does."""

    def __init__(self, tenant: str, workflows: FakeWorkflows, app: App) -> None:
        self.tenant = tenant
        self.workflows = workflows
        self.app = app

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "operator",
        tenant: str | None = None,
        headers: dict[str, str] | None = None,
        claims: dict[str, Any] | None = None,
        encoded: bool = False,
        **query: Any,
    ) -> Answer:
        if claims is None and role is not None:
            claims = {"sub": "ada", "role": role, "tenant": tenant or self.tenant}
        context: dict[str, Any] = {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "requestId": "request-1",
        }
        if claims is not None:
            context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": urlencode(query),
            "headers": {"content-type": "application/json", **(headers or {})},
            "queryStringParameters": {k: str(v) for k, v in query.items()} or None,
            "requestContext": context,
            "body": text,
            "isBase64Encoded": encoded,
        }
        raw = api_handler.handler(event, None)
        json.dumps(raw, allow_nan=False)
        is_json = raw["headers"]["Content-Type"].startswith("application/json")
        return Answer(raw["statusCode"], json.loads(raw["body"]) if is_json else raw["body"], raw["headers"], raw)

    # --- what is there before a test asks

    def person_made_trend(self, title: str = "Solar roofs", velocity: float = 4.0) -> str:
        """A stored trend."""
        trend = Trend(
            trend_id=str(uuid.uuid4()),
            topic=title.lower(),
            title=title,
            platforms=["sample"],
            volume=10,
            sentiment_score=0.1,
            rising_velocity=velocity,
            engagement_metrics=EngagementMetrics(views=5),
            url="https://example.org/trend",
            timestamp=datetime.now(UTC),
        )
        self.app.trends(self.tenant).upsert_scan([trend], datetime.now(UTC))
        return trend.trend_id

    def run(self) -> str:
        """A run that has begun."""
        run_id = str(uuid.uuid4())
        self.app.runs(self.tenant).begin(run_id, f"supervisor:{run_id}", {"topic": "x"})
        return run_id

    def content(self, run_id: str | None = None, *, made: bool = True) -> dict[str, Any]:
        """A piece of content in review, with a video in the media store and a report."""
        run_id = run_id or self.run()
        task_id = str(uuid.uuid4())
        with self.app.db.transaction(self.tenant) as tx:
            tx.execute(
                "INSERT INTO tasks (id, run_id, type, persona_id, trend_id) VALUES (%s, %s, 'generate_video', %s, %s)",
                (task_id, run_id, persona_id(self.tenant), self.person_made_trend()),
            )
        content = self.app.content(self.tenant)
        row = content.open(task_id, run_id)
        if not made:
            return row
        row = content.advance(
            str(row["id"]),
            ("draft",),
            stage="review",
            title="Solar roofs",
            script="Roofs make power.",
            content_hash=CONTENT_HASH,
            estimated_cost_micros=60_000,
        )
        scope = Scope(tenant_id=self.tenant, run_id=run_id, task_id=task_id, content_id=str(row["id"]))
        files = {}
        for name in ("video.mp4", "thumbnail.jpg", "captions.srt", "captions.vtt"):
            key = scope.key("video", name)
            self.app.media.put_bytes(key, b"bytes")
            kind = name.split(".")[1] if name.startswith("captions") else name.split(".")[0]
            files[kind] = {"key": key}
        facts = {"duration_seconds": 45.0, "width": 1080, "height": 1920, "fps": 30, "size_bytes": 5}
        self.app.made(scope).write("reports", "render.json", {"files": files, "sha256": "b" * 64, **facts})
        content.save_report(
            {
                "content_id": str(row["id"]),
                "content_hash": CONTENT_HASH,
                "checks": [
                    {
                        "name": "claims",
                        "category": "claims",
                        "score": 0.5,
                        "threshold": 0.8,
                        "passed": None,
                        "evidence": "no source",
                        "provider": "builtin",
                        "severity": "review",
                    }
                ],
                "confidence": 0.5,
                "verdict": "review",
                "policy_version": "1",
            }
        )
        return row

    def review(self, *, token: str = "token-1") -> dict[str, Any]:
        """A question about a piece of content; a run waits with the token."""
        row = self.content()
        return self.app.reviews(self.tenant).request(
            "content", str(row["id"]), CONTENT_HASH, "an unsourced claim", token
        )

    def publication(self) -> dict[str, Any]:
        """A planned publication."""
        row = self.content()
        request = PublishRequest(
            content_id=str(row["id"]),
            platform="local",
            channel_id="local",
            title="Solar roofs",
            idempotency_key=str(uuid.uuid4()),
            content_hash=CONTENT_HASH,
            media={"video": "k"},
        )
        return self.app.publications(self.tenant).plan(request)

    def spend(self, **changes: Any) -> dict[str, Any]:
        """A request to the CFO that is approved as it stands."""
        return {
            "request_id": str(uuid.uuid4()),
            "agent_id": agent_id(self.tenant, "artist"),
            "request_type": "compute",
            "request_cost": "0.06",
            "projected_roi": "2.5",
            "justification": "a video",
            "currency": "USD",
            **changes,
        }

    def escalated(self) -> dict[str, Any]:
        """A request whose risk is for a person: nearly all that is left, at the hurdle."""
        return self.spend(request_cost="999", projected_roi="1.5")


@pytest.fixture
def settings(database_urls: Any, tmp_path: Path, tenant: str) -> Settings:
    """Settings of the API function."""
    values = {
        "home": tmp_path / "home",
        "database_url": database_urls.app,
        "tenant_id": tenant,
        "risk_threshold": Decimal("0.5"),
    }
    return Settings().model_copy(update=values)


@pytest.fixture
def api(settings: Settings, tenant: str, db: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    """A client of a fresh tenant."""
    (tmp_path / "home" / "keys").mkdir(parents=True, mode=0o700)
    workflows = FakeWorkflows()
    factory: Callable[[], App] = lambda: App(settings, workflows=workflows)  # noqa: E731
    monkeypatch.setattr(api_handler, "app_factory", factory)
    return Client(tenant, workflows, App(settings, workflows=workflows, db=db))
