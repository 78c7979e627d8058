"""What a deployment is asked to be: typed and checked, so that a wrong value names itself before anything is made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from infra.errors import ConfigError
from infra.regions import GPU_REGIONS, REGIONS

MODEL_PROVIDERS = ("anthropic", "elevenlabs", "openai", "polly", "runway")
POLLY = "polly"
PLATFORMS = ("bluesky", "instagram", "mastodon", "threads", "tiktok", "x", "youtube")
SOURCES = ("reddit", "youtube_data")
LIBRARIES = ("pexels", "pixabay", "unsplash")
INSIGHTS = "_insights"
"""After a platform's name: the secret that may read counts and nothing else."""
OFFLINE = "offline"
"""The provider that needs no key: the offline writer, rules as the judge."""


class Models(BaseModel):
    """Who writes, judges, speaks and paints: `offline`, or `PROVIDER:MODEL`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    writer: str = OFFLINE
    judge: str = OFFLINE
    voice: str = OFFLINE
    canvas: str = OFFLINE

    @field_validator("*")
    @classmethod
    def _known(cls, value: str) -> str:
        provider = value.split(":", 1)[0]
        if provider != OFFLINE and (provider not in MODEL_PROVIDERS or ":" not in value):
            raise ValueError(f"'offline' or PROVIDER:MODEL with a provider of {', '.join(MODEL_PROVIDERS)}")
        return value

    def providers(self) -> set[str]:
        """Every provider that needs a key; Polly is asked with the function's own role."""
        return {value.split(":", 1)[0] for value in self.model_dump().values()} - {OFFLINE, POLLY}


class Config(BaseModel):
    """The context of one deployment. Lists may be written `a,b`; groups as JSON or, in `secrets`, `a=b,c=d`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["frugal", "production"] = "frugal"
    name: str = Field(default="chimera", pattern=r"^[a-z][a-z0-9-]{1,19}$", description="Prefix of all names")
    owner: str = Field(
        default="unnamed",
        pattern=r"^[\w.@+-]{1,64}$",
        description="Who deploys it; a deployment of the same name with another owner is refused",
    )
    account: str | None = Field(default=None, pattern=r"^\d{12}$", description="12 digits; none: the caller's")
    region: str = "us-east-1"
    zones: tuple[str, ...] = Field(default=(), description="Availability zones; none: the region's a and b")
    gpu: bool = Field(default=False, description="A queue of g6 and g5 machines, none running when idle")
    tenant: str = Field(
        default="00000000-0000-7000-8000-000000000001",
        pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        description="Whose scheduled scans run",
    )
    domain: str | None = Field(default=None, pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", description="Of the console")
    hosted_zone_id: str | None = Field(default=None, pattern=r"^Z[A-Z0-9]{4,31}$")
    hosted_zone_name: str | None = Field(default=None, pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    alarm_email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    aws_budget_usd: Decimal = Field(default=Decimal(25), gt=0, description="The AWS bill's monthly warning mark")
    daily_budget_usd: Decimal = Field(default=Decimal(1000), gt=0)
    weekly_budget_usd: Decimal = Field(default=Decimal(5000), gt=0)
    monthly_budget_usd: Decimal = Field(default=Decimal(20000), gt=0)
    models: Models = Models()
    platforms: tuple[str, ...] = ()
    sources: tuple[str, ...] = Field(default=(), description="Trend sources that need a key")
    libraries: tuple[str, ...] = Field(default=(), description="Picture libraries that need a key")
    secrets: Mapping[str, Literal["create", "existing"]] = Field(
        default={}, description="Provider, platform or source -> whether the stack makes its secret or finds it"
    )
    cfo_key_generation: int = Field(default=1, ge=1, le=99, description="One more makes a new key; the old one stays")
    seal_key_generation: int = Field(default=1, ge=1, le=99)
    former_cfo_keys: tuple[str, ...] = Field(default=(), description="ARNs of keys whose signatures are still believed")
    former_seal_keys: tuple[str, ...] = ()
    content_key: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]{36}$",
        description="KMS key that signs provenance manifests; without one every video waits for a person",
    )
    content_certificates: Path | None = Field(
        default=None, description="PEM file: that key's certificate and its root's (`chimera provenance --certify`)"
    )
    scans: bool = Field(default=False, description="Start scheduled scans, which spend money by themselves")
    scan_schedule: str = Field(default="cron(0 6 * * ? *)", pattern=r"^(rate|cron)\(.+\)$")
    render_image: str | None = Field(
        default=None, pattern=r"^sha256:[0-9a-f]{64}$", description="Digest of the render image; none: the version tag"
    )
    transcribe_image: str | None = Field(default=None, pattern=r"^sha256:[0-9a-f]{64}$")
    fargate_vcpus: int = Field(default=16, ge=4, le=256, description="Most vCPUs that render at the same time")
    layers: Literal["built", "stub"] = Field(
        default="built", description="`stub` synthesises without `make layers`; its template refuses to be deployed"
    )
    seal_days: int = Field(default=365, ge=1, le=3650, description="How long a seal cannot be deleted by anybody")
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 30

    @field_validator("zones", "platforms", "sources", "libraries", "former_cfo_keys", "former_seal_keys", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("models", mode="before")
    @classmethod
    def _json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("secrets", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.split("=", 1) for part in value.split(",") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("PROVIDER=create,PROVIDER=existing")
        return {name.strip(): secret.strip() for name, secret in pairs}

    @field_validator("region")
    @classmethod
    def _region(cls, value: str) -> str:
        if value not in REGIONS:
            raise ValueError(f"one of {', '.join(sorted(REGIONS))}")
        return value

    @field_validator("former_cfo_keys", "former_seal_keys")
    @classmethod
    def _key_arns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for arn in value:
            if not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]{36}", arn):
                raise ValueError(f"ARNs of KMS keys; not {arn!r}")
        return value

    @field_validator("platforms", "sources", "libraries")
    @classmethod
    def _named(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        known = {"platforms": PLATFORMS, "sources": SOURCES, "libraries": LIBRARIES}[info.field_name]
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"names of {', '.join(known)}; not {', '.join(unknown)}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Config:
        zones = self.zones or (f"{self.region}a", f"{self.region}b")
        if len(zones) < 2 or len(set(zones)) != len(zones):
            raise ValueError(f"zones: got {', '.join(zones)}; expected two or three different ones")
        for zone in zones:
            if not re.fullmatch(re.escape(self.region) + "[a-f]", zone):
                raise ValueError(f"zones: got {zone!r}; expected zones of {self.region}, such as {self.region}a")
        object.__setattr__(self, "zones", zones)
        if self.gpu and self.region not in GPU_REGIONS:
            raise ValueError(
                f"gpu: got true in region {self.region!r}, which has no g6 or g5 machines; "
                f"expected gpu=false or one of {', '.join(sorted(GPU_REGIONS))}"
            )
        if (self.content_key is None) != (self.content_certificates is None):
            raise ValueError("content_key and content_certificates: got one of them, expected both or none")
        if self.content_certificates:
            try:
                text = self.content_certificates.read_text(encoding="ascii")
            except (OSError, ValueError) as error:
                raise ValueError(
                    f"content_certificates: {self.content_certificates} cannot be read as PEM text"
                ) from error
            if text.count("-----BEGIN CERTIFICATE-----") < 2:
                raise ValueError(
                    f"content_certificates: {self.content_certificates} holds fewer than two certificates, "
                    "expected the key's and its root's"
                )
        if self.domain and not (self.hosted_zone_id and self.hosted_zone_name):
            raise ValueError(
                f"domain: got {self.domain!r} without hosted_zone_id and hosted_zone_name; "
                "expected both, so that its certificate can be validated"
            )
        if not self.daily_budget_usd <= self.weekly_budget_usd <= self.monthly_budget_usd:
            raise ValueError(
                f"budgets: got daily {self.daily_budget_usd}, weekly {self.weekly_budget_usd}, "
                f"monthly {self.monthly_budget_usd}; expected each no less than the one before"
            )
        usable = self.needed_secrets() | {f"{platform}{INSIGHTS}" for platform in self.platforms}
        if unused := sorted(set(self.secrets) - usable):
            raise ValueError(
                f"secrets: got one for {', '.join(unused)}, which nothing here uses; "
                f"expected only {', '.join(sorted(usable)) or 'none'}"
            )
        if missing := sorted(self.needed_secrets() - set(self.secrets)):
            raise ValueError(
                f"secrets: none for {', '.join(missing)}; expected secrets.{missing[0]}=existing (a secret "
                f"{self.secret_name(missing[0])} in Secrets Manager) or secrets.{missing[0]}=create"
            )
        return self

    def needed_secrets(self) -> set[str]:
        """Every provider, platform, source and library that is switched on and needs a key."""
        return self.models.providers() | set(self.platforms) | set(self.sources) | set(self.libraries)

    @property
    def production(self) -> bool:
        """Whether availability comes before cost."""
        return self.profile == "production"

    def secret_name(self, provider: str) -> str:
        """The secret's name: `NAME/` and the variable that holds the same key on a laptop."""
        kind = "CREDENTIALS" if provider in PLATFORMS else "TOKEN" if provider.endswith(INSIGHTS) else "API_KEY"
        return f"{self.secrets_prefix}{provider.upper()}_{kind}"

    @property
    def secrets_prefix(self) -> str:
        """What all of a deployment's secrets begin with."""
        return f"{self.name}/"

    def former_keys(self, purpose: str) -> tuple[str, ...]:
        """Keys of a purpose that sign nothing any more, whose signatures are still verified."""
        return {"cfo": self.former_cfo_keys, "seal": self.former_seal_keys}.get(purpose, ())

    def machine_name(self, machine: str) -> str:
        """The state machine's physical name; known before it exists, so that functions may name it."""
        return f"{self.name}-{machine}"


FIELDS = frozenset(Config.model_fields)


def read_config(context: Mapping[str, Any]) -> Config:
    """The config of a CDK context: the object `chimera`, then any field given by itself (`-c name=…`).

    `secrets.openai=create` and `models.writer=…` set one entry. `ConfigError` names every wrong value.
    """
    base = context.get("chimera") or {}
    if not isinstance(base, Mapping):
        raise ConfigError(f"chimera: got {base!r}; expected an object of settings in cdk.json")
    values: dict[str, Any] = dict(base)
    for key, value in context.items():
        if key in FIELDS and value is not None:
            values[key] = value
    for key, value in context.items():
        group, _, entry = key.partition(".")
        if entry and group in ("secrets", "models"):
            values[group] = {**dict(values.get(group) or {}), entry: value}
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(problem) for problem in error.errors())) from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"models: got text that is no JSON ({error.msg}); expected an object") from None


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    expected = re.sub(r"^Value error, ", "", str(problem["msg"]))
    if not where:
        return expected
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no such setting; expected one of {', '.join(sorted(FIELDS))}"
    if expected[1:2].islower():  # an ordinary word, not a name in capitals
        expected = expected[0].lower() + expected[1:]
    return f"{where}: got {problem['input']!r}; expected {expected}"
