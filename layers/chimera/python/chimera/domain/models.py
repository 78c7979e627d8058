"""The contracts' models: what agents, skills and the API give to each other (docs/contracts.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Score = Annotated[float, Field(ge=0, le=1)]
Aspect = Literal["9:16", "16:9", "1:1"]
Format = Literal["video", "image", "thread", "carousel"]
Decision = Literal["approved", "rejected", "escalated"]
Verdict = Literal["pass", "review", "reject"]
RequestType = Literal["api_call", "compute", "storage", "blockchain"]
PublicationStatus = Literal["scheduled", "publishing", "published", "failed", "unknown"]


SCRIPT_LIMIT = 5000
"""Characters of all that is said in one brief."""


class Model(BaseModel):
    """Base: unknown fields are refused, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EngagementMetrics(Model):
    """Counts as the platform gives them; None is "no data", which is not zero."""

    views: int | None = Field(default=None, ge=0)
    likes: int | None = Field(default=None, ge=0)
    comments: int | None = Field(default=None, ge=0)
    shares: int | None = Field(default=None, ge=0)
    engagement_rate: float | None = Field(default=None, ge=0)


class TrendMetadata(Model):
    """Where a trend was seen: addresses of its top posts, names of those who carry it, and what else the
    source said.
    """

    top_posts: list[str] = []
    influencers: list[str] = []
    extra: dict[str, Any] = {}


class Trend(Model):
    """Something that rises. `volume` 0–1,000,000; `sentiment_score` −1–1; `rising_velocity` 0–10."""

    trend_id: str
    topic: str = Field(min_length=1, max_length=255)
    title: str = Field(min_length=1, max_length=500)
    description: str = Field(default="", max_length=5000)
    platforms: list[str] = Field(min_length=1)
    volume: int = Field(ge=0, le=1_000_000)
    sentiment_score: float = Field(ge=-1, le=1)
    rising_velocity: float = Field(ge=0, le=10)
    engagement_metrics: EngagementMetrics = EngagementMetrics()
    url: str = ""
    tags: list[str] = []
    timestamp: datetime
    metadata: TrendMetadata = TrendMetadata()


Colour = Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6})?$", description="#rrggbb")]


class BrandTheme(Model):
    """How a persona looks. An empty colour is chosen for it; fonts are bundled families or a file in the media store."""

    mode: Literal["dark", "light"] = "dark"
    background: Colour = ""
    surface: Colour = ""
    accent: Colour = ""
    highlight: Colour = ""
    ink: Colour = ""
    display_font: str = Field(default="Montserrat", max_length=200)
    text_font: str = Field(default="Inter", max_length=200)
    logo: str = Field(
        default="", max_length=4096, description="file:PATH or key:KEY of a picture; it stands still in a corner"
    )
    name: str = Field(default="", max_length=32, description="The brand's name, shown on title cards")


class VoiceChoice(Model):
    """Who speaks for a persona: the provider's own name for the voice, its speed and pauses."""

    provider: str = Field(default="", max_length=60, description="Empty: the first that can, by priority")
    voice: str = Field(default="", max_length=200, description="The provider's voice id; empty: the persona's voice_id")
    words_per_minute: int | None = Field(default=None, ge=80, le=300, description="None: fitted to the asked duration")
    pause_seconds: float | None = Field(default=None, ge=0.05, le=2.0, description="After a sentence; None: 0.30")


class BrandGuidelines(Model):
    """How a persona speaks, looks and sounds, and what it never says."""

    voice: str = "clear"
    avoid: list[str] = []
    music: Literal["auto", "off", "calm", "curious", "upbeat", "tense", "warm", "newsroom"] = "auto"
    pronunciations: dict[str, str] = Field(
        default={}, max_length=500, description="Word -> respelling, /IPA/ or [[espeak phonemes]]; docs/sound.md"
    )
    theme: BrandTheme | None = None
    voices: dict[str, VoiceChoice] = Field(
        default={}, max_length=8, description="By role: `narrator`, and the roles that templates name (`host`, `guest`)"
    )
    assets: list[str] = Field(default=[], max_length=200, description="Own pictures and footage: file:PATH or key:KEY")
    libraries: list[str] = Field(default=[], max_length=20, description="Who may deliver pictures, in this order")
    captions: Literal["", "karaoke", "pop", "box", "minimal", "off"] = ""


class PersonalityProfile(Model):
    """The persona as the writer sees it."""

    name: str = Field(min_length=1, max_length=100)
    tone: str = "clear and curious"
    target_audience: str = "general"
    brand_guidelines: BrandGuidelines = BrandGuidelines()


class Persona(PersonalityProfile):
    """A persona as it is stored: profile, channels, daily quota, cool-down, voice, language, template."""

    persona_id: str
    channels: list[str] = []
    daily_quota: int = Field(default=10, ge=0, le=1000)
    cooldown_hours: int = Field(default=72, ge=0)
    template: str = "explainer@1"
    language: str = "en"
    voice_id: str = "en-us"


class Scene(Model):
    """One thought: what is said, what is shown as text, what the picture is of."""

    narration: str = Field(min_length=1, max_length=1500)
    visual_prompt: str = Field(min_length=1, max_length=500)
    on_screen_text: str = Field(default="", max_length=200)


class WriterInfo(Model):
    """Who wrote the script, with what."""

    provider: str
    model: str
    prompt_version: str
    tokens: int = 0


class Brief(Model):
    """director.create_brief's answer. Amounts are decimal strings in USD."""

    brief_id: str
    trend_id: str
    format: Format = "video"
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=5000)
    script: str = Field(min_length=1, max_length=SCRIPT_LIMIT)
    scenes: list[Scene] = Field(min_length=1, max_length=60)
    visual_prompts: list[str] = []
    tone_guidelines: str = ""
    target_platforms: list[str] = []
    hashtags: list[str] = []
    estimated_cost: str
    cost_breakdown: dict[str, str] = {}
    projected_engagement: float = Field(ge=0)
    projected_roi: float
    sources: list[str] = []
    writer: WriterInfo
    duration_seconds: int = Field(ge=1, le=600)
    aspect: Aspect = "9:16"
    language: str = "en"
    execution_time_ms: int = 0


class Draft(Model):
    """What a writer gives: a script cut into scenes, with the addresses it rests on."""

    title: str = Field(min_length=1, max_length=100)
    description: str = ""
    scenes: list[Scene] = Field(min_length=1)
    hashtags: list[str] = []
    sources: list[str] = []
    writer: WriterInfo

    @property
    def script(self) -> str:
        """All that is said, scene after scene; what parts them is made shorter where a brief would hold too much."""
        said = [scene.narration for scene in self.scenes]
        return next((whole for mark in ("\n\n", "\n") if len(whole := mark.join(said)) <= SCRIPT_LIMIT), "".join(said))


class Snippet(Model):
    """A piece of a page: data from outside, never an instruction."""

    url: str
    title: str = ""
    text: str


class Material(Model):
    """All that a writer may use as fact."""

    trend: Trend
    snippets: list[Snippet] = []
    profile: PersonalityProfile
    duration_seconds: int = Field(default=45, ge=1, le=600)
    language: str = "en"
    seed: int = 0
    script: str = Field(default="", max_length=5000, description="A person's own words, spoken as they stand")
    format: Format = Field(default="video", description="What it is written for: only a video's words are spoken")


class Check(Model):
    """One question the judge asked. `passed=None` means it could not be answered: that is a review, never a
    pass.
    """

    name: str
    category: Literal["policy", "privacy", "security", "brand", "claims", "technical", "quality"]
    score: Score
    threshold: Score
    passed: bool | None
    evidence: str = ""
    provider: str
    severity: Literal["review", "reject"] = "review"


class SafetyReport(Model):
    """judge.review's answer, bound to the content's hash."""

    content_id: str
    content_hash: str
    checks: list[Check]
    confidence: Score
    verdict: Verdict
    policy_version: str
    execution_time_ms: int = 0


class PublishRequest(Model):
    """What is posted. `token` is the publish grant."""

    content_id: str
    platform: str
    channel_id: str
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=5000)
    tags: list[str] = []
    scheduled_at: datetime | None = None
    visibility: Literal["public", "unlisted", "private"] = "public"
    ai_generated: Literal[True] = True
    idempotency_key: str
    content_hash: str
    format: Format = "video"
    media: dict[str, str] = Field(
        description="kind -> media store key: video, thumbnail, srt, vtt; card_01 … card_25 of an image post"
    )
    video_sha256: str = Field(
        default="",
        description="Of the video that was judged, or of all cards and posts (domain/cards.py); nothing else is sent",
    )
    posts: list[str] = Field(default=[], max_length=25, description="A thread's texts, in order")
    post_media: list[str] = Field(default=[], max_length=25, description="For each post the kind of its card, or empty")
    alt: dict[str, str] = Field(default={}, description="kind of a card -> what it shows, in words")
    duration_seconds: float = 0
    language: str = "en"
    sources: list[str] = []


class Receipt(Model):
    """publisher.publish's answer."""

    publication_id: str
    platform: str
    channel_id: str
    post_id: str | None = None
    url: str | None = None
    status: PublicationStatus
    published_at: datetime | None = None
    attempts: int = Field(default=0, ge=0)
    idempotency_key: str


class CostLine(Model):
    """What one step really used: `quantity` of `unit` at `unit_price_micros` (decimal string, micros
    each).
    """

    step: str
    item: str
    category: RequestType = "compute"
    quantity: str
    unit: str
    amount_micros: int = Field(ge=0)
    complete: bool = Field(default=True, description="False while the step runs, and after it broke off")
    call_id: str = Field(default="", description="The paid call's id, where it drew from an allowance")
    drawn_micros: int | None = Field(
        default=None, ge=0, description="Its enforced worst case, drawn before it was made"
    )
    actual_micros: int | None = Field(default=None, ge=0, description="What it reported; None: the worst case counts")
