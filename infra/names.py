"""Physical names, made from the deployment's name: known before the things exist, so that policies can name them exactly."""

from __future__ import annotations

import tomllib
from pathlib import Path

from aws_cdk import Aws
from constructs import Construct

from infra.config import Config
from infra.provider import arn_of

ROOT = Path(__file__).resolve().parents[1]
MEDIA, SEALS, CONSOLE, LOGS = "media", "seals", "console", "logs"


def bucket_name(config: Config, purpose: str) -> str:
    """With account and region, because bucket names are the whole world's."""
    return f"{config.name}-{purpose}-{Aws.ACCOUNT_ID}-{config.region}"


def bucket_arn(config: Config, purpose: str, keys: str = "") -> str:
    """The bucket's ARN, or of keys in it."""
    return f"arn:{Aws.PARTITION}:s3:::{bucket_name(config, purpose)}" + (f"/{keys}" if keys else "")


def table_name(config: Config) -> str:
    """The hot table."""
    return f"{config.name}-hot"


def function_name(config: Config, function: str) -> str:
    """The Lambda of a function."""
    return f"{config.name}-{function}"


def function_arn(scope: Construct, config: Config, function: str) -> str:
    """The Lambda's ARN, without a version."""
    return arn_of(scope, "lambda", f"function:{function_name(config, function)}")


def machine_arn(scope: Construct, config: Config, machine: str) -> str:
    """A state machine's ARN."""
    return arn_of(scope, "states", f"stateMachine:{config.machine_name(machine)}")


def executions_arn(scope: Construct, config: Config, machine: str) -> str:
    """Every execution of a machine; their names are run, task and publication ids."""
    return arn_of(scope, "states", f"execution:{config.machine_name(machine)}:*")


def log_group_name(config: Config, part: str) -> str:
    """Where a part logs."""
    return f"/chimera/{config.name}/{part}"


def version() -> str:
    """The project's version: the tag that an image of this checkout is pushed under."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
