"""What the API takes and gives, as models: the OpenAPI document is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from chimera.domain.models import Model, Verdict
from chimera.domain.options import RunOptions

T = TypeVar("T")
Money = Annotated[str, Field(description="USD, a decimal string", examples=["0.06"])]
Note = Annotated[str, Field(default="", max_length=2000, description="Kept with the decision")]
RunStatus = Literal["running", "published", "waiting_review", "waiting_approval", "rejected", "failed", "stopped"]
Stage = Literal["draft", "generating", "review", "ready", "published", "failed"]
ReviewStatus = Literal["pending", "approved", "rejected", "expired"]
PublicationStatus = Literal["scheduled", "publishing", "published", "failed", "unknown"]
Health = Literal["healthy", "degraded", "unhealthy"]


# --- requests: unknown fields are refused


class ScanRequest(Model):
    """What to scan for; no source means every keyless one."""

    sources: list[str] = Field(default=[], max_length=20)
    keywords: list[str] = Field(default=[], max_length=20)
    timeframe: str = Field(default="24h", max_length=20, description="24h, 7d or an ISO 8601 duration")
    min_velocity: float = Field(default=0, ge=0, le=10)
    max_results: int = Field(default=20, ge=1, le=50)


class ReviewDecision(Model):
    """A decision about the version that was seen: its hash as `GET /v1/reviews/{id}` gave it."""

    content_hash: str = Field(min_length=1, max_length=200)
    note: Note = ""


class OperationRequest(Model):
    """Why the switch is used."""

    reason: str = Field(default="", max_length=500)


# --- answers


class View(BaseModel):
    """Base of the answers: fields of a row that are not named here are left out."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)


class PageOf(View, Generic[T]):
    """Some items, newest first; `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None = None


class ErrorInfo(View):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any] = {}
    timestamp: datetime
    request_id: str
    retryable: bool


class ErrorBody(View):
    """Every error of this API."""

    success: Literal[False] = False
    error: ErrorInfo


class Components(View):
    """State of each part; agents that are not offline, by role."""

    database: Health
    budget_store: Health
    ledger: Health
    media_store: Health
    workflows: Health
    mcp_layer: Literal["healthy", "degraded", "unhealthy", "not_installed"]
    agents: dict[str, int]


class HealthReport(View):
    """`unhealthy` without a database, `degraded` when another part is away or the budgets do not fit the ledger."""

    status: Health
    components: Components
    timestamp: datetime


class Started(View):
    """An execution that was started, or is running already under this key."""

    run_id: str
    execution_id: str
    status: str


class TrendView(View):
    """A trend; see the contract's Trend."""

    trend_id: str
    topic: str
    title: str
    description: str
    platforms: list[str]
    volume: int
    sentiment_score: float
    rising_velocity: float
    engagement_metrics: dict[str, Any]
    url: str
    tags: list[str]
    timestamp: datetime
    metadata: dict[str, Any]


class RunView(View):
    """A run in a list."""

    run_id: str
    status: RunStatus
    options: RunOptions | dict[str, Any]
    error: dict[str, Any] | None = None
    review_id: str | None = None
    created_at: datetime
    updated_at: datetime


class RunReport(BaseModel):
    """All that came of a run: the object that `chimera run --json` prints."""

    model_config = ConfigDict(extra="allow")

    run_id: str
    status: RunStatus
    error: dict[str, Any] | None = None
    trend: dict[str, Any] | None = None
    brief_id: str | None = None
    content_id: str | None = None
    video: dict[str, Any] | None = None
    captions: dict[str, Any] | None = None
    thumbnail: str | None = None
    script: str | None = None
    sources: list[Any] = []
    approvals: list[dict[str, Any]] = []
    cost: dict[str, Any]
    judge: dict[str, Any] | None = None
    publications: list[dict[str, Any]] = []
    ledger: dict[str, Any]
    stages: list[dict[str, Any]] = []
    used: dict[str, Any] = {}
    elapsed_seconds: float


class TimelineEvent(View):
    """One event of an execution; payloads stay inside."""

    at: datetime
    execution_id: str
    event_id: int
    type: str
    state: str | None = None
    stage: str | None = None
    error: str | None = None
    cause: str | None = None


class Timeline(View):
    """Events of all executions, oldest first."""

    executions: list[str]
    events: list[TimelineEvent]


class ContentView(View):
    """A piece of content."""

    content_id: str
    run_id: str | None
    task_id: str
    trend_id: str
    persona_id: str
    brief_id: str | None
    stage: Stage
    format: str | None
    title: str
    content_hash: str | None
    estimated_cost: Money
    production_cost: Money
    error: dict[str, Any] | None
    state_version: int
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None


class ReviewLinks(View):
    """Addresses that a person can open, for a short time."""

    video: str | None = None
    thumbnail: str | None = None
    srt: str | None = None
    vtt: str | None = None
    images: list[str] = Field(default=[], description="The cards of an image post, in order")


class CheckView(View):
    """One question of the judge; `passed` null means unanswered."""

    name: str
    category: str
    score: float
    threshold: float
    passed: bool | None
    evidence: str = ""
    provider: str = ""


class ReportView(View):
    """The judge's report about one version."""

    verdict: Verdict
    confidence: float
    policy_version: str
    content_hash: str
    checks: list[CheckView]


class PublicationView(View):
    """The receipt of a publication, and what went wrong."""

    publication_id: str
    content_id: str
    platform: str
    channel_id: str
    title: str
    post_id: str | None
    url: str | None
    status: PublicationStatus
    attempts: int
    idempotency_key: str
    error: dict[str, Any] | None
    scheduled_at: datetime | None
    published_at: datetime | None
    created_at: datetime


class ContentDetail(ContentView):
    """A piece of content with its script, report, links and posts."""

    script: str | None
    brief: dict[str, Any]
    video: dict[str, Any] | None
    links: ReviewLinks
    report: ReportView | None
    publications: list[PublicationView]


class ReviewView(View):
    """A question to a person, about one version (`subject_hash`)."""

    review_id: str
    kind: Literal["content", "spend"]
    content_id: str | None
    request_id: str | None
    subject_hash: str
    reason: str
    status: ReviewStatus
    decided_by: str | None
    decided_at: datetime | None
    note: str
    in_advance: bool
    delivered_at: datetime | None
    created_at: datetime


class ReviewDetail(ReviewView):
    """A review with what there is to look at."""

    title: str | None = None
    script: str | None = None
    links: ReviewLinks = ReviewLinks()
    report: ReportView | None = None


class PersonaView(View):
    """A persona."""

    persona_id: str
    name: str
    tone: str
    target_audience: str
    brand_guidelines: dict[str, Any]
    channels: list[str]
    daily_quota: int
    cooldown_hours: int
    template: str
    language: str
    voice_id: str


class Personas(View):
    """All personas, by name."""

    items: list[PersonaView]


class SwitchView(View):
    """The control switch; `publishing` and `spending` say what it allows."""

    state: Literal["RUN", "PAUSE_PUBLISH", "PAUSE_SPEND", "STOP"]
    publishing: bool
    spending: bool
    changed_by: str
    reason: str
    epoch: int = Field(description="Approvals of an older epoch cannot be used")
    changed_at: datetime | None


class SwitchChange(View):
    """A use of the switch."""

    at: datetime
    by: str
    before: str | None
    after: str | None
    epoch: int | None
    reason: str


class SwitchLog(View):
    """Uses of the switch, newest first."""

    items: list[SwitchChange]
