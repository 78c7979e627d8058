"""Puts the stacks of a deployment together; `app.py`, the tests and the cost table all come through here."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import App, Environment, Validations
from cdk_nag import AwsSolutionsChecks

from infra.config import Config
from infra.edge import EdgeStack
from infra.errors import ConfigError
from infra.stateful.stack import StatefulStack
from infra.stateless.stack import StatelessStack


@dataclass(frozen=True)
class Deployment:
    """The stacks of one deployment, in the order in which they are deployed."""

    config: Config
    stateful: StatefulStack
    stateless: StatelessStack
    edge: EdgeStack | None


def build(app: App, config: Config) -> Deployment:
    """The stacks of `config` in `app`. `ConfigError` if the app has a deployment of that name already."""
    stateful_name = f"{config.name}-stateful"
    if app.node.try_find_child(stateful_name) is not None:
        raise ConfigError(
            f"name: got {config.name!r} twice; expected another name for the second deployment, "
            "because stacks, queues and machines carry it"
        )
    env = Environment(account=config.account, region=config.region)
    stateful = StatefulStack(app, stateful_name, config=config, env=env)
    edge = EdgeStack(app, f"{config.name}-edge", config=config) if config.production or config.domain else None
    stateless = StatelessStack(app, f"{config.name}-stateless", config=config, env=env, stateful=stateful, edge=edge)
    return Deployment(config, stateful, stateless, edge)


def check(app: App) -> None:
    """Let cdk-nag's AwsSolutions look at everything at synth; a finding ends it."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
