"""The stateless stack: everything in it can be deleted and made again without losing a thing."""

from __future__ import annotations

from aws_cdk import Environment, Stack, Tags
from constructs import Construct

from infra.config import Config
from infra.policies import Grounds
from infra.stateful.stack import StatefulStack
from infra.stateless.batch import Jobs
from infra.stateless.functions import Functions
from infra.stateless.layers import Layers
from infra.stateless.machines import Machines
from infra.stateless.queues import Queues
from infra.stateless.schedules import Schedules


class StatelessStack(Stack):
    """Functions, machines, jobs, queues, schedules, API, console, dashboard, alarms."""

    def __init__(
        self, scope: Construct, id: str, *, config: Config, env: Environment, stateful: StatefulStack
    ) -> None:
        super().__init__(
            scope, id, env=env, description=f"Chimera {config.name} ({config.profile}): compute, workflows, API, watch"
        )
        grounds = Grounds(self, config, stateful.keys, stateful.database, stateful.secrets.arns)
        data = stateful.keys.data
        self.layers = Layers(self, "layers", config=config)
        self.functions = Functions(
            self, "functions", config=config, grounds=grounds, network=stateful.network, layers=self.layers
        )
        self.jobs = Jobs(self, "jobs", config=config, grounds=grounds, network=stateful.network)
        self.machines = Machines(
            self, "machines", config=config, grounds=grounds, functions=self.functions, jobs=self.jobs
        )
        self.queues = Queues(
            self, "queues", config=config, supervisor=self.machines.by_name["supervisor"], key=data
        )
        self.schedules = Schedules(
            self, "schedules", config=config, functions=self.functions, queues=self.queues, key=data
        )
        Tags.of(self).add("chimera-deployment", config.name)
