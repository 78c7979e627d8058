"""Every setting, read once; no other module reads the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL_TENANT = "00000000-0000-7000-8000-000000000001"


class Settings(BaseSettings):
    """Settings from `CHIMERA_*` variables and `.env`; unknown variables are ignored, wrong values name themselves."""

    model_config = SettingsConfigDict(
        env_prefix="CHIMERA_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(default=Path(".chimera"), description="Where the laptop keeps everything; never in git")
    world: Literal["local", "aws"] = Field(
        default="local", description="Where it runs: this machine, or an AWS account"
    )
    tenant_id: str = Field(default=LOCAL_TENANT, description="Whose data the command line works on (a UUID)")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Of the functions' logs in `logs/`"
    )

    # set by the laptop world for its functions; on AWS by the stack
    database_url: str = Field(default="", description="Application role (row-level security applies)")
    database_owner_url: str = Field(default="", description="Owner role, only for migrations")
    workflows_endpoint: str = Field(default="", description="Step Functions endpoint on this machine")
    workflows_secret: str = Field(default="", repr=False, description="What that endpoint is asked with")
    public_base_url: str = Field(default="http://127.0.0.1:8787", description="Where `up` serves API and feed")

    # set by the stack for functions and containers on AWS; unused on a laptop
    region: str = Field(
        default="us-east-1",
        validation_alias=AliasChoices("CHIMERA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        description="AWS region",
    )
    aws_endpoint: str = Field(default="", description="Stands in for AWS's own endpoints, in tests")
    database_iam: bool = Field(default=False, description="Log in to the database with IAM tokens, not a password")
    media_bucket: str = Field(default="", description="S3 bucket of the media")
    seal_bucket: str = Field(default="", description="S3 bucket (Object Lock) of the ledger's seals")
    seal_retain_days: int = Field(default=3650, ge=1, le=36_500, description="How long a seal cannot be deleted")
    workflows_prefix: str = Field(default="", description="ARN of a state machine up to its short name")
    cfo_key_arns: str = Field(default="", description="KMS keys of the CFO, today's first, separated by spaces")
    seal_key_arns: str = Field(default="", description="KMS keys of the seals, today's first, separated by spaces")
    grant_key_arn: str = Field(default="", description="KMS key (RSA_2048) that signs publish grants")
    metrics_namespace: str = Field(
        default="", description="CloudWatch namespace of the metrics; none are written without"
    )
    secrets_prefix: str = Field(default="chimera/", description="Secrets Manager names begin with this")
    dynamo_table: str = Field(default="chimera", description="DynamoDB table of allowances and switches (AWS only)")
    price_list: str = Field(
        default="", description="Prices that differ from the built-in list, as JSON; see docs/allowances.md"
    )

    content_key_arn: str = Field(
        default="",
        description="KMS key (ECC_NIST_P256) that signs provenance manifests; none are signed without (AWS only)",
    )
    content_certificates: str = Field(
        default="", description="That key's certificate and its root's, PEM; `chimera provenance --certify` makes them"
    )

    # media
    content_mining: Literal["allowed", "notAllowed"] = Field(
        default="notAllowed", description="What the manifest lets others do: train models on the video, mine it"
    )
    timestamp_url: str = Field(
        default="", description="RFC 3161 service that stamps manifests; empty: the time is this machine's"
    )
    video_encoder: Literal["auto", "x264", "nvenc"] = Field(
        default="auto", description="`auto`: NVENC where a trial encode works, else x264"
    )
    transcriber: str = Field(default="", description="Who transcribes, by name; empty: the best one that is set up")
    whisper_model: str = Field(
        default="",
        description="faster-whisper's weights: a folder, or a key prefix in the media store as `media:PREFIX`",
    )

    # voices that cost money; see docs/voices.md
    paid_voices: bool = Field(
        default=False, description="Voices with a key may speak, and be paid, without a persona naming them"
    )
    voice_model: str = Field(
        default="",
        description="Who speaks with which model, as PROVIDER:MODEL, such as `openai:tts-1`; empty: each one's own default",
    )
    elevenlabs_url: str = Field(default="https://api.elevenlabs.io", description="Base address of ElevenLabs")
    openai_url: str = Field(default="https://api.openai.com", description="Base address of OpenAI")
    polly_url: str = Field(default="", description="Stands in for Amazon Polly's own endpoint, in tests")

    # pictures; see docs/pictures.md
    paid_pictures: bool = Field(
        default=False, description="Generators with a key may make pictures, and be paid, without a persona naming them"
    )
    picture_providers: str = Field(
        default="", description="Generators whose keys the pictures function may read, separated by spaces (AWS only)"
    )
    picture_model: str = Field(default="gpt-image-1", description="OpenAI's model for pictures")
    picture_quality: Literal["low", "medium", "high"] = Field(default="medium", description="Of pictures by OpenAI")
    footage_model: str = Field(default="gen4.5", description="Runway's model for footage")
    runway_url: str = Field(default="https://api.dev.runwayml.com", description="Base address of Runway")
    pexels_url: str = Field(default="https://api.pexels.com", description="Base address of Pexels")
    pixabay_url: str = Field(default="https://pixabay.com", description="Base address of Pixabay")
    unsplash_url: str = Field(default="https://api.unsplash.com", description="Base address of Unsplash")
    openverse_url: str = Field(default="https://api.openverse.org", description="Base address of Openverse")
    commons_url: str = Field(default="https://commons.wikimedia.org", description="Base address of Wikimedia Commons")

    # limits in USD: a UTC day, an ISO week, a calendar month; in total and for each category
    daily_budget_limit: Decimal = Field(
        default=Decimal(1000),
        gt=0,
        validation_alias=AliasChoices("CHIMERA_DAILY_BUDGET_LIMIT", "DAILY_BUDGET_LIMIT"),
        description="USD for a UTC day",
    )
    weekly_budget_limit: Decimal = Field(
        default=Decimal(5000),
        gt=0,
        validation_alias=AliasChoices("CHIMERA_WEEKLY_BUDGET_LIMIT", "WEEKLY_BUDGET_LIMIT"),
        description="USD for an ISO week (from Monday, UTC)",
    )
    monthly_budget_limit: Decimal = Field(
        default=Decimal(20000),
        gt=0,
        validation_alias=AliasChoices("CHIMERA_MONTHLY_BUDGET_LIMIT", "MONTHLY_BUDGET_LIMIT"),
        description="USD for a calendar month (UTC)",
    )
    min_roi_hurdle_rate: Decimal = Field(
        default=Decimal("1.5"),
        validation_alias=AliasChoices("CHIMERA_MIN_ROI_HURDLE_RATE", "MIN_ROI_HURDLE_RATE"),
        description="Least projected return; below it a request is refused",
    )
    max_transaction: Decimal = Field(default=Decimal(10_000), gt=0, description="USD; more in one request is refused")
    risk_threshold: Decimal = Field(default=Decimal("0.7"), ge=0, le=1, description="Above it a person decides")
    risk_weights: str = Field(
        default="", description="Such as 'pressure=0.35 timing=0.2'; the rest keep their defaults"
    )
    approval_ttl_seconds: int = Field(default=86_400, ge=60, description="How long an approval may be used")
    reconcile_after_seconds: int = Field(
        default=21_600, ge=60, description="How long a dispatched approval waits before recovery settles it"
    )

    # sources: the base addresses are settings so that tests and mirrors can stand in
    http_timeout_seconds: float = Field(default=8.0, gt=0, le=60, description="For a source's or page's whole answer")
    http_contact: str = Field(default="https://github.com/chimera-studio/chimera", description="In the User-Agent")
    hackernews_url: str = Field(
        default="https://hn.algolia.com", description="Base address of Hacker News search (Algolia)"
    )
    wikimedia_url: str = Field(default="https://wikimedia.org", description="Base address of Wikimedia pageviews")
    google_trends_url: str = Field(default="https://trends.google.com", description="Base address of Google Trends")
    rss_feeds: str = Field(default="", description="Feed addresses, separated by spaces")
    allow_private_addresses: bool = Field(
        default=False, description="Let pages and downloads come from private addresses (tests)"
    )

    @property
    def home_path(self) -> Path:
        """`home`, absolute."""
        return self.home.expanduser().resolve()

    @property
    def media_path(self) -> Path:
        """The laptop's stand-in for the media bucket."""
        return self.home_path / "media"

    @property
    def channel_path(self) -> Path:
        """The local channel's folder: posts and feed."""
        return self.home_path / "channel"

    @property
    def keys_path(self) -> Path:
        """Key files (0600): CFO signing key, seal key, token issuer's key."""
        return self.home_path / "keys"

    @property
    def seals_path(self) -> Path:
        """Anchored seals of the ledger, write-once; outside the database on purpose."""
        return self.home_path / "seals"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings; read once."""
    return Settings()


def child_environment(settings: Settings, **extra: str) -> dict[str, str]:
    """The environment for a process of ours: PATH, locale and `CHIMERA_*` only, so no stray secret reaches it."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k in {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONWARNINGS"}
        or k.startswith("CHIMERA_")
    }
    own = {
        "CHIMERA_HOME": str(settings.home_path),
        "CHIMERA_DATABASE_URL": settings.database_url,
        "CHIMERA_WORKFLOWS_ENDPOINT": settings.workflows_endpoint,
        "CHIMERA_WORKFLOWS_SECRET": settings.workflows_secret,
        "CHIMERA_PUBLIC_BASE_URL": settings.public_base_url,
    }
    return {**kept, **own, **extra}


def adopt_environment(values: Mapping[str, str]) -> None:
    """Take on an environment as one's own: a worker forked from a warm process becomes its function's by this."""
    os.environ.clear()
    os.environ.update(values)
    get_settings.cache_clear()


def keys_present(names: Iterable[str]) -> set[str]:
    """Which of these variables are set, in the environment or in `.env`; their values stay here."""
    from dotenv import dotenv_values

    found = {**dotenv_values(".env"), **os.environ}
    return {name for name in names if found.get(name)}


def secret(name: str) -> str | None:
    """A vendor's key by its variable's name, from the environment or `.env`; only the vault asks."""
    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(".env").get(name) or None
