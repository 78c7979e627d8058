"""One Lambda for each function of the catalogue: its own folder, its own role, its own log group."""

from __future__ import annotations

from collections.abc import Callable

from aws_cdk import Duration, IgnoreMode, RemovalPolicy, Size, Tags
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_wildcards, wildcards
from infra.catalogue import ROOT, Function, Purpose, database_user, deployed
from infra.config import OFFLINE, Config
from infra.metrics import namespace
from infra.names import MEDIA, SEALS, bucket_name, function_name, log_group_name, machine_arn, table_name, version
from infra.policies import Grounds, key_arns, statements_of
from infra.provider import OLD_RUNTIME
from infra.stateful.keys import signer_tag
from infra.stateful.network import Network
from infra.stateless.layers import Layers

KEY_VARIABLES: dict[Purpose, str] = {
    "cfo": "CHIMERA_CFO_KEY_ARNS",
    "seal": "CHIMERA_SEAL_KEY_ARNS",
    "grant": "CHIMERA_GRANT_KEY_ARN",
}

LAMBDA_DISK = 512
"""MiB of /tmp that every Lambda has."""


class Functions(Construct):
    """`by_name[name]` is the Lambda; `live[name]` what is called: an alias where SnapStart pays, else the same."""

    def __init__(
        self, scope: Construct, id: str, *, config: Config, grounds: Grounds, network: Network, layers: Layers
    ) -> None:
        super().__init__(scope, id)
        self._config, self._grounds, self._network, self._layers = config, grounds, network, layers
        self.by_name: dict[str, lambda_.Function] = {}
        self.live: dict[str, lambda_.IFunction] = {}
        self.roles: dict[str, iam.Role] = {}
        for entry in deployed():
            made = self._function(entry)
            self.by_name[entry.name] = made
            self.live[entry.name] = self._alias(entry, made)

    def give(self, name: str, variable: str, value: str) -> None:
        """One more variable for a function, if it is deployed."""
        if name in self.by_name:
            self.by_name[name].add_environment(variable, value)

    def each(self, names: tuple[str, ...], use: Callable[[lambda_.IFunction], None]) -> None:
        """Do something with every one of these that is deployed."""
        for name in names:
            if name in self.live:
                use(self.live[name])

    def _function(self, entry: Function) -> lambda_.Function:
        config = self._config
        scope = Construct(self, entry.name)
        group = logs.LogGroup(
            scope,
            "logs",
            log_group_name=log_group_name(config, entry.name),
            retention=retention(config),
            encryption_key=self._grounds.keys.data,
            removal_policy=RemovalPolicy.DESTROY,
        )
        if entry.image:
            return self._from_image(scope, entry, group)
        in_vpc = config.production and entry.does == "remembers"
        made = lambda_.Function(
            scope,
            "function",
            function_name=function_name(config, entry.name),
            description=f"{entry.does.capitalize()}, as the {entry.agent}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=code_of(entry.source),
            handler=f"functions.{entry.source}.handler.handler",
            timeout=Duration.seconds(entry.seconds),
            memory_size=entry.memory,
            role=self._role(scope, entry),
            layers=self._layers.of(entry.layer_names),
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            environment=self._environment(entry),
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if self._snaps(entry) else None,
            vpc=self._network.vpc if in_vpc else None,
            vpc_subnets=self._network.functions_subnets() if in_vpc else None,
            security_groups=[self._network.functions_group] if in_vpc and self._network.functions_group else None,
            ipv6_allowed_for_dual_stack=True if in_vpc else None,
        )
        acknowledge(made, "every function of the deployment runs on the Python that the layers' locks are for",
                    OLD_RUNTIME)  # fmt: skip
        return made

    def _from_image(self, scope: Construct, entry: Function, group: logs.LogGroup) -> lambda_.Function:
        """The render image as a Lambda: on x86-64, as the image that Fargate runs; only /tmp may be written."""
        config = self._config
        repository = ecr.Repository.from_repository_name(scope, "repository", f"{config.name}/render")
        return lambda_.DockerImageFunction(
            scope,
            "function",
            function_name=function_name(config, entry.name),
            description=f"{entry.does.capitalize()}, as the {entry.agent}",
            architecture=lambda_.Architecture.X86_64,
            code=lambda_.DockerImageCode.from_ecr(
                repository,
                tag_or_digest=config.render_image or version(),
                entrypoint=["/app/lambda_entry"],
                cmd=[f"functions.{entry.source}.handler.handler"],
            ),
            timeout=Duration.seconds(entry.seconds),
            memory_size=entry.memory,
            ephemeral_storage_size=Size.mebibytes(entry.disk) if entry.disk > LAMBDA_DISK else None,
            role=self._role(scope, entry),
            log_group=group,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            environment=self._environment(entry),
        )

    def _role(self, scope: Construct, entry: Function) -> iam.IRole:
        statements = statements_of(entry, self._grounds)
        role = iam.Role(
            scope,
            "role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"{self._config.name} {entry.name}: {entry.does}, as the {entry.agent}",
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )
        for purpose in entry.signs:
            Tags.of(role).add(signer_tag(purpose), self._config.name)
        acknowledge_wildcards(
            role,
            f"{entry.name}: keys of any tenant and content but of its own kinds only, its own log streams, "
            "and actions that AWS offers for no narrower resource (infra/policies.py names each)",
            *wildcards(statements),
        )
        self.roles[entry.name] = role
        return role.without_policy_updates()

    def _snaps(self, entry: Function) -> bool:
        """SnapStart keeps a paid snapshot of every version: worth it where somebody waits and requests are many."""
        return self._config.production and entry.snap_start

    def _alias(self, entry: Function, made: lambda_.Function) -> lambda_.IFunction:
        if not self._snaps(entry):
            return made
        return lambda_.Alias(made, "live", alias_name="live", version=made.current_version)

    def _environment(self, entry: Function) -> dict[str, str]:
        config, grounds = self._config, self._grounds
        values = {
            "CHIMERA_WORLD": "aws",
            "CHIMERA_TENANT_ID": config.tenant,
            "CHIMERA_METRICS_NAMESPACE": namespace(config.name),
            "CHIMERA_DAILY_BUDGET_LIMIT": str(config.daily_budget_usd),
            "CHIMERA_WEEKLY_BUDGET_LIMIT": str(config.weekly_budget_usd),
            "CHIMERA_MONTHLY_BUDGET_LIMIT": str(config.monthly_budget_usd),
        }
        if entry.reads or entry.writes:
            values["CHIMERA_MEDIA_BUCKET"] = bucket_name(config, MEDIA)
        if entry.hot_reads or entry.hot_writes:
            values["CHIMERA_DYNAMO_TABLE"] = table_name(config)
        if entry.does == "remembers":
            database = grounds.database
            owner = entry.agent == "owner"
            url = database.url(database.owner_login if owner else database.login, database_user(entry.agent))
            values["CHIMERA_DATABASE_OWNER_URL" if owner else "CHIMERA_DATABASE_URL"] = url
            values["CHIMERA_DATABASE_IAM"] = "true"
        for purpose in sorted({*entry.verifies, *entry.signs}):
            values[KEY_VARIABLES[purpose]] = " ".join(key_arns(grounds, purpose))
        if entry.anchors:
            values["CHIMERA_SEAL_BUCKET"] = bucket_name(config, SEALS)
            values["CHIMERA_SEAL_RETAIN_DAYS"] = str(config.seal_days)
        if entry.starts or entry.watches or entry.answers:
            # a name instead of a reference: machines name functions, so functions cannot refer to machines
            values["CHIMERA_WORKFLOWS_PREFIX"] = machine_arn(self, config, "")
        if entry.asks:
            values["CHIMERA_MODELS"] = config.models.model_dump_json()
            values["CHIMERA_SECRETS_PREFIX"] = config.secrets_prefix
        if entry.name in {"voice", "write_brief"} and config.models.voice != OFFLINE:
            values["CHIMERA_VOICE_MODEL"] = config.models.voice
        if entry.name in {"pictures", "write_brief"} and config.models.canvas != OFFLINE:
            values["CHIMERA_PICTURE_PROVIDERS"] = config.models.canvas.split(":", 1)[0]
        if config.production and entry.does == "remembers":
            values["AWS_USE_DUALSTACK_ENDPOINT"] = "true"  # the only way out of its subnets is IPv6
        return values


def code_of(folder: str) -> lambda_.AssetCode:
    """The package `functions` with this one folder: a change in one function changes one asset."""
    return lambda_.Code.from_asset(
        str(ROOT),
        ignore_mode=IgnoreMode.GIT,
        exclude=[
            "/*",
            "!/functions",
            "/functions/*",
            "!/functions/__init__.py",
            f"!/functions/{folder}",
            "__pycache__",
            "*.pyc",
        ],
    )


def retention(config: Config) -> logs.RetentionDays:
    """How long logs are kept."""
    return {
        1: logs.RetentionDays.ONE_DAY,
        3: logs.RetentionDays.THREE_DAYS,
        5: logs.RetentionDays.FIVE_DAYS,
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        60: logs.RetentionDays.TWO_MONTHS,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
    }[config.log_days]
