"""Each function's policy by hand: exact actions on exact resources, from its entry in the catalogue and nothing else.

Where AWS itself offers no narrower resource than `*`, the action is in `ANY_RESOURCE` with the reason; a test walks the
templates and refuses any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.catalogue import HOT_KEYS, Function, Hot, Kind, Vendor, database_user
from infra.config import POLLY, Config
from infra.names import MEDIA, SEALS, bucket_arn, executions_arn, log_group_name, machine_arn, table_name
from infra.provider import arn_of
from infra.stateful.database import Database
from infra.stateful.keys import Keys

ANY_RESOURCE: Mapping[str, str] = {
    "xray:PutTraceSegments": "X-Ray has no resources for traces",
    "xray:PutTelemetryRecords": "X-Ray has no resources for telemetry",
    "xray:GetSamplingRules": "X-Ray has no resources for sampling reads",
    "xray:GetSamplingTargets": "X-Ray has no resources for sampling reads",
    "ecr:GetAuthorizationToken": "a registry login names no repository; pulling itself is granted for one repository",
    "batch:DescribeJobs": "Batch has no resources for reading jobs",
    "logs:CreateLogDelivery": "deliveries of vended logs are made per account",
    "logs:GetLogDelivery": "deliveries of vended logs are made per account",
    "logs:UpdateLogDelivery": "deliveries of vended logs are made per account",
    "logs:DeleteLogDelivery": "deliveries of vended logs are made per account",
    "logs:ListLogDeliveries": "deliveries of vended logs are made per account",
    "logs:PutResourcePolicy": "deliveries of vended logs are made per account",
    "logs:DescribeResourcePolicies": "deliveries of vended logs are made per account",
    "logs:DescribeLogGroups": "deliveries of vended logs are made per account",
    "ec2:CreateNetworkInterface": "Lambda checks it for a function in a VPC, on resources that do not exist yet",
    "ec2:DescribeNetworkInterfaces": "EC2 has no resources for Describe",
    "ec2:DescribeSubnets": "EC2 has no resources for Describe",
    "ec2:DeleteNetworkInterface": "Lambda checks it for a function in a VPC, on interfaces that it made itself",
    "ec2:AssignPrivateIpAddresses": "Lambda checks it for a function in a VPC, on interfaces that it made itself",
    "ec2:UnassignPrivateIpAddresses": "Lambda checks it for a function in a VPC, on interfaces that it made itself",
}
"""Actions that may stand with the resource `*`, and why."""

TRACING = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
IN_A_VPC = [
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
]  # fmt: skip
CONTENT_KEYS = "tenants/*/content/*"
SCAN_KEYS = "tenants/*/runs/*/scan/*"
UPLOAD_KEYS = "tenants/*/uploads/*"
TEMPLATE_KEYS = "tenants/*/templates/*"
SHOWN_KEYS = "tenants/*/personas/*/pictures/*"
HEALTH_KEYS = "health/*"


@dataclass(frozen=True)
class Grounds:
    """What policies are made of: names that the stacks know, and the keys and logins of the stateful one."""

    scope: Construct
    config: Config
    keys: Keys
    database: Database
    secret_arns: Mapping[str, str]


def statements_of(function: Function, grounds: Grounds) -> list[iam.PolicyStatement]:
    """All that a function may do."""
    scope, config = grounds.scope, grounds.config
    own_logs = arn_of(scope, "logs", f"log-group:{log_group_name(config, function.name)}:*")
    found = [
        _allow("Log", ["logs:CreateLogStream", "logs:PutLogEvents"], [own_logs]),
        _allow("Trace", TRACING, ["*"]),
        *media_statements(config, function.reads, function.writes),
        *hot_statements(grounds, function.hot_reads, function.hot_writes),
        *_key_statements(function, grounds),
        *_machine_statements(function, grounds),
    ]
    if function.does == "remembers":
        found.append(_allow("LogIn", ["rds-db:connect"], [_login(function, grounds)]))
        if config.production:
            found.append(_allow("VpcInterface", IN_A_VPC, ["*"]))
    found += _anchor_statements(function, config)
    secrets = [grounds.secret_arns[name] for name in providers_of(function, config)]
    if secrets:
        found.append(_allow("ProviderKeys", ["secretsmanager:GetSecretValue"], secrets))
    if "voices" in function.asks and config.models.voice.startswith(f"{POLLY}:"):
        found.append(_allow("Speak", ["polly:SynthesizeSpeech"], ["*"]))  # it has no resource but lexicons
    return found + data_key_statements(grounds)


def providers_of(function: Function, config: Config) -> tuple[str, ...]:
    """Whose secrets a function may read, by its groups and what is switched on."""
    models = config.models

    def provider(value: str) -> set[str]:
        return {value.split(":", 1)[0]} & set(config.secrets)

    groups: dict[Vendor, set[str]] = {
        "writers": provider(models.writer),
        "judges": provider(models.judge),
        "voices": provider(models.voice),
        "canvases": provider(models.canvas),
        "libraries": set(config.libraries),
        "sources": set(config.sources),
        "platforms": set(config.platforms),
        # reading counts takes tokens of their own, so that the analyst never holds one that can post
        "insights": {f"{platform}_insights" for platform in config.platforms} & set(config.secrets),
    }
    return tuple(sorted(set().union(*(groups[group] for group in function.asks)))) if function.asks else ()


def media_statements(config: Config, reads: tuple[Kind, ...], writes: tuple[Kind, ...]) -> list[iam.PolicyStatement]:
    """Read and write these kinds of files of any tenant; listing is needed to tell «not there» from «not allowed»."""
    found = []
    if reads:
        found.append(_allow("ReadMedia", ["s3:GetObject"], [_keys(config, kind) for kind in reads]))
    if writes:
        found.append(_allow("WriteMedia", ["s3:PutObject", "s3:PutObjectTagging"], [_keys(config, k) for k in writes]))
    if reads or writes:
        found.append(
            _allow(
                "ListMedia",
                ["s3:ListBucket"],
                [bucket_arn(config, MEDIA)],
                # «if exists»: looking for one key has no prefix, and would be told «forbidden» instead of «not there»
                {"StringLikeIfExists": {"s3:prefix": ["tenants/*"]}},
            )
        )
    return found


def hot_statements(grounds: Grounds, reads: tuple[Hot, ...], writes: tuple[Hot, ...]) -> list[iam.PolicyStatement]:
    """Read and write these families of items of the hot table, of any tenant."""
    table = arn_of(grounds.scope, "dynamodb", f"table/{table_name(grounds.config)}")
    found = []
    for sid, actions, families in (
        # a transaction needs the right to each of its parts, looking at a condition included
        ("ReadHot", ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:ConditionCheckItem"], reads),
        ("WriteHot", ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], writes),
    ):
        if families:
            keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [HOT_KEYS[family] for family in families]}}
            found.append(_allow(sid, actions, [table], keys))
    return found


def data_key_statements(grounds: Grounds) -> list[iam.PolicyStatement]:
    """In production: use the data key, but only through the services that hold our data."""
    key = grounds.keys.data
    if key is None:
        return []
    region = grounds.config.region
    services = [f"{service}.{region}.amazonaws.com" for service in ("s3", "dynamodb", "secretsmanager")]
    return [
        _allow(
            "DataKey",
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [key.key_arn],
            {"StringEquals": {"kms:ViaService": services}},
        )
    ]


def key_arns(grounds: Grounds, purpose: str) -> list[str]:
    """The key of a purpose, and the former ones behind it."""
    return [grounds.keys.purpose(purpose).key_arn, *grounds.config.former_keys(purpose)]


def tracing_statement() -> iam.PolicyStatement:
    """X-Ray for a state machine."""
    actions = [*TRACING, "xray:GetSamplingRules", "xray:GetSamplingTargets"]
    return _allow("Trace", actions, ["*"])


def vended_logs_statement() -> iam.PolicyStatement:
    """What Step Functions checks before it logs to CloudWatch."""
    return _allow("VendedLogs", [a for a in ANY_RESOURCE if a.startswith("logs:")], ["*"])


def _keys(config: Config, kind: Kind) -> str:
    elsewhere = {
        "scan": SCAN_KEYS,
        "uploads": UPLOAD_KEYS,
        "templates": TEMPLATE_KEYS,
        "shown": SHOWN_KEYS,
        "health": HEALTH_KEYS,
    }
    return bucket_arn(config, MEDIA, elsewhere.get(kind, f"{CONTENT_KEYS}/{kind}/*"))


def _anchor_statements(function: Function, config: Config) -> list[iam.PolicyStatement]:
    if not function.anchors:
        return []
    keys = bucket_arn(config, SEALS, "seals/*")
    found = [
        _allow("ReadAnchors", ["s3:GetObjectVersion"], [keys]),
        _allow("ListAnchors", ["s3:ListBucketVersions"], [bucket_arn(config, SEALS)]),
    ]
    if function.anchors == "writes":
        found.append(_allow("Anchor", ["s3:PutObject", "s3:PutObjectRetention"], [keys]))
    return found


def _key_statements(function: Function, grounds: Grounds) -> list[iam.PolicyStatement]:
    found = []
    if function.signs:
        # a former key signs until the ledger has passed to the newest one, and announces it
        arns = [arn for purpose in function.signs for arn in key_arns(grounds, purpose)]
        found.append(_allow("Sign", ["kms:Sign"], arns))
    if public := sorted({*function.verifies, *function.signs}):
        arns = [arn for purpose in public for arn in key_arns(grounds, purpose)]
        found.append(_allow("Verify", ["kms:GetPublicKey"], arns))
    return found


def _machine_statements(function: Function, grounds: Grounds) -> list[iam.PolicyStatement]:
    scope, config = grounds.scope, grounds.config
    found = []
    if function.starts:
        arns = [machine_arn(scope, config, machine) for machine in function.starts]
        found.append(_allow("Start", ["states:StartExecution"], arns))
    if function.watches:
        arns = [executions_arn(scope, config, machine) for machine in function.watches]
        actions = ["states:DescribeExecution", "states:GetExecutionHistory", "states:StopExecution"]
        found.append(_allow("Follow", actions, arns))
    if function.answers:
        arns = [machine_arn(scope, config, machine) for machine in function.answers]
        found.append(_allow("Answer", ["states:SendTaskSuccess", "states:SendTaskFailure"], arns))
    return found


def _login(function: Function, grounds: Grounds) -> str:
    database = grounds.database
    login = database.owner_login if function.agent == "owner" else database.login
    return login.arn(grounds.scope, database_user(function.agent))


def _allow(
    sid: str, actions: list[str], resources: list[str], conditions: Mapping[str, object] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=actions, resources=resources, conditions=conditions)
