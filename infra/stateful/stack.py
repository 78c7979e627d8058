"""The stateful stack: deleting it deletes no data; everything that holds any is kept or leaves a snapshot."""

from __future__ import annotations

from aws_cdk import Environment, Stack, Tags
from constructs import Construct

from infra.config import Config
from infra.stateful.buckets import Buckets
from infra.stateful.database import Database
from infra.stateful.guard import DeploymentGuard
from infra.stateful.identity import Identity
from infra.stateful.images import Images
from infra.stateful.keys import Keys, allow_logs
from infra.stateful.network import Network
from infra.stateful.secrets import Secrets
from infra.stateful.table import HotTable


class StatefulStack(Stack):
    """Network, database, table, buckets, keys, identity, secrets, image repositories."""

    def __init__(self, scope: Construct, id: str, *, config: Config, env: Environment) -> None:
        super().__init__(
            scope,
            id,
            env=env,
            description=f"Chimera {config.name} ({config.profile}): data and network",
            termination_protection=config.production,
        )
        guard = DeploymentGuard(self, "guard", config=config)
        self.keys = Keys(self, "keys", config=config)
        data = self.keys.data
        if data:
            allow_logs(data, self)
        self.network = Network(self, "network", config=config, key=data)
        self.database = Database(self, "database", config=config, network=self.network, key=data)
        self.table = HotTable(self, "hot", config=config, key=data)
        self.buckets = Buckets(self, "buckets", config=config, key=data)
        self.identity = Identity(self, "identity", config=config)
        self.secrets = Secrets(self, "secrets", config=config, key=data)
        self.images = Images(self, "images", config=config)
        for made in (self.keys, self.network, self.database, self.table, self.buckets, self.identity, self.images):
            made.node.add_dependency(guard)
        Tags.of(self).add("chimera-deployment", config.name, exclude_resource_types=["AWS::RDS::DBProxyTargetGroup"])
