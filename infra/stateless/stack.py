"""The stateless stack: everything in it can be deleted and made again without losing a thing."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Tags
from constructs import Construct

from infra.config import Config
from infra.edge import EdgeStack
from infra.policies import Grounds
from infra.stateful.stack import StatefulStack
from infra.stateless.alarms import Alarms
from infra.stateless.api import Api
from infra.stateless.batch import Jobs
from infra.stateless.console import Console
from infra.stateless.dashboard import Dashboard
from infra.stateless.functions import Functions
from infra.stateless.layers import Layers
from infra.stateless.machines import Machines
from infra.stateless.migrations import Migrations
from infra.stateless.queues import Queues
from infra.stateless.schedules import Schedules

ASKS_PEOPLE = ("prepare_review", "prepare_approval")
"""Functions that write an address for a person; `api` cannot have it, because the address is behind the API."""


class StatelessStack(Stack):
    """Functions, machines, jobs, queues, schedules, API, console, dashboard, alarms."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        config: Config,
        env: Environment,
        stateful: StatefulStack,
        edge: EdgeStack | None,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description=f"Chimera {config.name} ({config.profile}): compute, workflows, API, watch",
            cross_region_references=True if edge else None,
        )
        self.grounds = grounds = Grounds(self, config, stateful.keys, stateful.database, stateful.secrets.arns)
        data = stateful.keys.data
        self.layers = Layers(self, "layers", config=config)
        self.functions = Functions(
            self, "functions", config=config, grounds=grounds, network=stateful.network, layers=self.layers
        )
        self.jobs = Jobs(self, "jobs", config=config, grounds=grounds, network=stateful.network)
        self.machines = Machines(
            self, "machines", config=config, grounds=grounds, functions=self.functions, jobs=self.jobs
        )
        self.queues = Queues(self, "queues", config=config, supervisor=self.machines.by_name["supervisor"], key=data)
        self.schedules = Schedules(
            self, "schedules", config=config, functions=self.functions, queues=self.queues, key=data
        )
        self.migrations = Migrations(self, "migrations", migrate=self.functions.live["migrate"])
        self.api = Api(
            self, "api", config=config, grounds=grounds, functions=self.functions, identity=stateful.identity
        )
        self.console = Console(
            self,
            "console",
            config=config,
            api=self.api,
            web_acl_arn=edge.web_acl_arn if edge else None,
            certificate=edge.certificate if edge else None,
        )
        # the link where a person decides, in the waiting state's input
        for name in ASKS_PEOPLE:
            self.functions.give(name, "CHIMERA_PUBLIC_BASE_URL", self.console.address(config))
        Dashboard(
            self,
            "dashboard",
            config=config,
            machines=self.machines,
            queues=self.queues,
            schedules=self.schedules,
        )
        self.alarms = Alarms(
            self,
            "alarms",
            config=config,
            api=self.api,
            functions=self.functions,
            machines=self.machines,
            queues=self.queues,
            schedules=self.schedules,
        )
        # nothing is called before the schema fits the code
        for waits in (self.api, self.schedules, self.queues):
            waits.node.add_dependency(self.migrations)
        self._outputs(config, stateful)
        Tags.of(self).add("chimera-deployment", config.name)

    def _outputs(self, config: Config, stateful: StatefulStack) -> None:
        for name, value, what in (
            ("ConsoleUrl", self.console.address(config), "Where people go"),
            ("ApiUrl", f"https://{self.api.domain}", "The API by itself"),
            ("ConsoleBucket", self.console.bucket.bucket_name, "Takes the built console"),
            ("DistributionId", self.console.distribution.distribution_id, "To invalidate after an upload"),
            ("UserPoolId", stateful.identity.pool.user_pool_id, "To invite people"),
            ("UserPoolClientId", stateful.identity.client.user_pool_client_id, "For the console and the smoke run"),
        ):
            CfnOutput(self, name, value=value, description=what)
