"""Both profiles, synthesised once for each session; the tests read templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.config import read_config
from infra.node import use_our_node

use_our_node()  # before any test module imports aws_cdk

FRUGAL = {
    "name": "thrifty",
    "profile": "frugal",
    "region": "us-east-1",
    "layers": "stub",
    "alarm_email": "ops@example.com",
}
PRODUCTION: dict[str, Any] = {
    "name": "studio",
    "profile": "production",
    "region": "eu-central-1",
    "gpu": "true",
    "layers": "stub",
    "scans": "true",
    "cfo_key_generation": "2",
    "former_cfo_keys": "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    "alarm_email": "ops@example.com",
    "content_key": "arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-3333-4444-555555555555",
    "domain": "studio.example.com",
    "hosted_zone_id": "Z0123456789ABC",
    "hosted_zone_name": "example.com",
    "models": {"writer": "openai:gpt-5", "judge": "anthropic:claude", "voice": "elevenlabs:v3"},
    "platforms": "youtube,mastodon",
    "secrets": "openai=create,anthropic=create,elevenlabs=create,youtube=existing,mastodon=create,youtube_insights=create",
}
Template = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """A deployment's templates: resources by logical id."""

    name: str
    stateful: Template
    stateless: Template
    edge: Template | None

    def templates(self) -> list[Template]:
        return [t for t in (self.stateful, self.stateless, self.edge) if t]

    def every(self, kind: str) -> list[tuple[str, Template]]:
        """Every resource of a type, in all stacks, with its logical id."""
        return [(id, r) for t in self.templates() for id, r in t["Resources"].items() if r["Type"] == kind]

    def properties(self, kind: str) -> list[Template]:
        return [resource.get("Properties", {}) for _, resource in self.every(kind)]

    def function(self, name: str) -> Template:
        """The Lambda of a function."""
        return next(
            p for p in self.properties("AWS::Lambda::Function") if p.get("FunctionName") == f"{self.name}-{name}"
        )

    def role_of(self, name: str) -> Template:
        """The role of a function's Lambda."""
        id = self.function(name)["Role"]["Fn::GetAtt"][0]
        role: Template = self.stateless["Resources"][id]["Properties"]
        return role

    def statements_of(self, name: str) -> list[Template]:
        return [s for policy in self.role_of(name)["Policies"] for s in policy["PolicyDocument"]["Statement"]]

    def actions_of(self, name: str) -> set[str]:
        return {a for s in self.statements_of(name) for a in listed(s["Action"])}

    def resources_of(self, name: str, action: str) -> list[Any]:
        return [r for s in self.statements_of(name) if action in listed(s["Action"]) for r in listed(s["Resource"])]


@dataclass(frozen=True)
class Synthesised:
    """The app, its stacks, its folder, and both profiles."""

    app: Any
    deployments: Any
    folder: Path
    frugal: Profile
    production: Profile


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def flat(value: Any) -> str:
    """An ARN as text: references as `<Name>`."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        return str(value["Fn::Join"][0]).join(flat(part) for part in value["Fn::Join"][1])
    if "Fn::Select" in value:
        return f"<select {flat(value['Fn::Select'][1])}>"
    return f"<{json.dumps(value, sort_keys=True)}>"


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synthesised]:
    from aws_cdk import App

    from infra.deployment import build

    folder = tmp_path_factory.mktemp("cdk.out")
    certificates = tmp_path_factory.mktemp("content") / "content.pem"
    certificates.write_text(2 * "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n", encoding="ascii")
    app = App(outdir=str(folder), context={"@aws-cdk/core:target-partitions": ["aws"]})
    deployments = {
        str(context["name"]): build(app, read_config(context))
        for context in (FRUGAL, {**PRODUCTION, "content_certificates": str(certificates)})
    }
    app.synth()

    def read(name: str) -> Template | None:
        path = folder / f"{name}.template.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def profile(name: str) -> Profile:
        stateful, stateless = read(f"{name}-stateful"), read(f"{name}-stateless")
        assert stateful and stateless
        return Profile(name, stateful, stateless, read(f"{name}-edge"))

    yield Synthesised(app, deployments, folder, profile("thrifty"), profile("studio"))


@pytest.fixture(params=["frugal", "production"])
def profile(request: pytest.FixtureRequest, synthesised: Synthesised) -> Profile:
    found: Profile = getattr(synthesised, request.param)
    return found


@pytest.fixture
def frugal(synthesised: Synthesised) -> Profile:
    return synthesised.frugal


@pytest.fixture
def production(synthesised: Synthesised) -> Profile:
    return synthesised.production
