"""A deployment that cannot be is refused before anything is made, with the setting, what came and what was expected."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.config import read_config
from infra.errors import ConfigError
from infra.regions import GPU_REGIONS, REGIONS

ROOT = Path(__file__).resolve().parents[2]
KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
pytestmark = pytest.mark.xdist_group("infra")


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"profile": "cheap"}, ["profile", "'cheap'", "'frugal' or 'production'"]),
        ({"name": "My Studio"}, ["name", "'My Studio'"]),
        ({"region": "mars-north-1"}, ["region", "mars-north-1", "eu-central-1"]),
        ({"gpu": True, "region": "eu-south-1"}, ["gpu", "eu-south-1", "no g6 or g5", "gpu=false"]),
        ({"zones": "eu-west-1a,eu-west-1b", "region": "us-east-1"}, ["zones", "eu-west-1a", "us-east-1"]),
        ({"zones": "us-east-1a"}, ["zones", "two or three"]),
        (
            {"models": {"writer": "openai:gpt-5"}},
            ["secrets", "openai", "chimera/OPENAI_API_KEY", "secrets.openai=create"],
        ),
        ({"platforms": "youtube"}, ["secrets", "youtube", "chimera/YOUTUBE_CREDENTIALS"]),
        ({"platforms": "myspace"}, ["platforms", "myspace", "youtube"]),
        ({"secrets": "openai=create"}, ["secrets", "openai", "nothing here uses"]),
        ({"secrets": "openai"}, ["secrets", "PROVIDER=create"]),
        ({"models": {"writer": "gpt"}}, ["models.writer", "'gpt'", "PROVIDER:MODEL"]),
        ({"models": "{"}, ["models"]),
        ({"daily_budget_usd": "9000"}, ["budgets", "9000"]),
        ({"domain": "studio.example.com"}, ["domain", "hosted_zone_id"]),
        ({"alarm_email": "nobody"}, ["alarm_email", "'nobody'"]),
        ({"account": "12"}, ["account", "'12'"]),
        ({"former_cfo_keys": "my-old-key"}, ["former_cfo_keys", "my-old-key", "ARNs of KMS keys"]),
        ({"content_key": KEY}, ["content_key and content_certificates", "both or none"]),
        ({"content_key": KEY, "content_certificates": "/none.pem"}, ["content_certificates", "/none.pem"]),
        ({"content_key": "alias/mine"}, ["content_key", "'alias/mine'"]),
        ({"render_image": "latest"}, ["render_image", "'latest'"]),
        ({"chimera": {"colour": "red"}}, ["colour", "no such setting", "profile"]),
        ({"chimera": "frugal"}, ["chimera", "'frugal'", "object"]),
    ],
)
def test_a_wrong_value_names_itself(context: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(context)
    for words in said:
        assert words in str(refused.value)


def test_several_wrong_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"profile.*region"):
        read_config({"profile": "cheap", "region": "mars-north-1"})


def test_a_flag_on_the_command_line_wins_over_the_file() -> None:
    config = read_config({"chimera": {"name": "a1", "profile": "frugal"}, "profile": "production"})
    assert (config.name, config.profile) == ("a1", "production")


def test_groups_can_be_set_one_entry_at_a_time() -> None:
    config = read_config({"models.writer": "openai:gpt-5", "secrets.openai": "existing"})
    assert config.models.writer == "openai:gpt-5"
    assert config.secret_name("openai") == "chimera/OPENAI_API_KEY"


def test_zones_are_given_so_that_no_account_is_asked() -> None:
    assert read_config({"region": "eu-north-1"}).zones == ("eu-north-1a", "eu-north-1b")


def test_every_region_with_gpus_is_a_region() -> None:
    assert GPU_REGIONS < REGIONS


def test_the_same_name_twice_is_refused() -> None:
    from aws_cdk import App, Stack

    from infra.deployment import build

    app = App()
    Stack(app, "twice-stateful")  # what an earlier deployment of that name left in the app
    with pytest.raises(ConfigError, match=r"name: got 'twice' twice; expected another name"):
        build(app, read_config({"name": "twice", "layers": "stub"}))


def test_the_command_says_what_is_wrong_and_writes_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/synth.py"), "-c", "profile=cheap"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "profile: got 'cheap'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_file_that_is_shipped_is_a_deployment() -> None:
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    assert read_config(context).profile == "frugal"
