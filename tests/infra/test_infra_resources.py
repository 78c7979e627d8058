"""The stacks' own functions: the express database over RDS's wire, the guard of names, the claims of a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from moto import mock_aws

from infra.resources.deployment_guard import handler as guard
from infra.resources.express_database import handler as express
from infra.resources.token_claims import handler as claims

pytestmark = pytest.mark.xdist_group("infra")

CLUSTER = """<DBCluster><DBClusterIdentifier>thrifty-database</DBClusterIdentifier><Status>{status}</Status>
<Endpoint>thrifty-database.cluster-x.us-east-1.rds.amazonaws.com</Endpoint><Port>5432</Port>
<EngineVersion>17.9</EngineVersion><DbClusterResourceId>cluster-ABC</DbClusterResourceId>
<DBClusterArn>arn:aws:rds:us-east-1:123456789012:cluster:thrifty-database</DBClusterArn>
<BackupRetentionPeriod>{backup}</BackupRetentionPeriod><CopyTagsToSnapshot>true</CopyTagsToSnapshot>
<ServerlessV2ScalingConfiguration><MinCapacity>0</MinCapacity><MaxCapacity>{most}</MaxCapacity>
<SecondsUntilAutoPause>300</SecondsUntilAutoPause></ServerlessV2ScalingConfiguration>
<DBClusterMembers><DBClusterMember><DBInstanceIdentifier>thrifty-database-instance-1</DBInstanceIdentifier>
</DBClusterMember></DBClusterMembers>
<TagList><Tag><Key>chimera-owned</Key><Value>{owned}</Value></Tag></TagList></DBCluster>"""
GONE = """<ErrorResponse><Error><Type>Sender</Type><Code>DBClusterNotFoundFault</Code><Message>gone</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


class Rds:
    """Answers RDS's query API as documented; keeps what was asked. `cluster` is None or the cluster's fields."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.cluster: dict[str, str] | None = None
        rds = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                call = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
                rds.asked.append(call)
                status, body = rds.answer(call["Action"])
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, action: str) -> tuple[int, str]:
        if action == "DescribeDBClusters":
            if self.cluster is None:
                return 404, GONE
            inner = f"<DBClusters>{CLUSTER.format(**self.cluster)}</DBClusters>"
            return 200, f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
        if action == "CreateDBCluster":
            self.cluster = {"status": "creating", "backup": "1", "most": "16", "owned": "express"}
        if action == "ModifyDBCluster":
            self.cluster = {"status": "available", "backup": "7", "most": "16", "owned": "express"}
        if action == "DeleteDBCluster":
            self.cluster = None
        return 200, f"<{action}Response><{action}Result/></{action}Response>"

    def calls(self, action: str) -> list[dict[str, str]]:
        return [call for call in self.asked if call["Action"] == action]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rds]:
    fake = Rds()
    for name, value in {
        "AWS_ENDPOINT_URL_RDS": f"http://127.0.0.1:{fake.server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.close()


def event(kind: str, **more: Any) -> dict[str, Any]:
    properties = {"Cluster": "thrifty-database", "MinCapacity": "0", "MaxCapacity": "16", "PauseSeconds": "300",
                  "BackupDays": "7", "Tags": {"chimera-owned": "express"}}  # fmt: skip
    return {"RequestType": kind, "PhysicalResourceId": "thrifty-database", "ResourceProperties": properties, **more}


def test_create_asks_for_express_configuration_and_nothing_it_refuses(rds: Rds) -> None:
    assert express.on_event(event("Create"), None) == {"PhysicalResourceId": "thrifty-database"}
    (call,) = rds.calls("CreateDBCluster")
    assert call["WithExpressConfiguration"] == "true"
    assert call["Engine"] == "aurora-postgresql"
    assert call["Tags.Tag.1.Key"] == "chimera-owned"
    assert not {"DatabaseName", "EngineVersion", "MasterUsername", "DBSubnetGroupName", "EngineMode"} & set(call)


def test_it_waits_then_sets_what_differs_then_gives_the_address(rds: Rds) -> None:
    express.on_event(event("Create"), None)
    assert express.is_complete(event("Create"), None) == {"IsComplete": False}
    assert rds.cluster
    rds.cluster["status"] = "available"
    assert express.is_complete(event("Create"), None) == {"IsComplete": False}
    (change,) = rds.calls("ModifyDBCluster")
    assert (change["BackupRetentionPeriod"], "ServerlessV2ScalingConfiguration.MinCapacity" in change) == ("7", False)
    done = express.is_complete(event("Create"), None)
    assert done["IsComplete"] is True
    assert done["Data"]["ResourceId"] == "cluster-ABC"
    assert done["Data"]["Endpoint"].startswith("thrifty-database.cluster-x")


def test_a_capacity_that_differs_is_changed(rds: Rds) -> None:
    rds.cluster = {"status": "available", "backup": "7", "most": "4", "owned": "express"}
    assert express.is_complete(event("Update"), None) == {"IsComplete": False}
    (change,) = rds.calls("ModifyDBCluster")
    assert change["ServerlessV2ScalingConfiguration.MaxCapacity"] == "16.0"
    assert change["ServerlessV2ScalingConfiguration.SecondsUntilAutoPause"] == "300"


def test_somebody_else_s_cluster_is_never_taken_over(rds: Rds) -> None:
    rds.cluster = {"status": "available", "backup": "7", "most": "16", "owned": "nobody"}
    with pytest.raises(ValueError, match="already that this stack does not own"):
        express.on_event(event("Create"), None)
    assert rds.calls("CreateDBCluster") == []


def test_a_new_name_would_lose_the_data_and_is_refused(rds: Rds) -> None:
    renamed = event("Update", PhysicalResourceId="old-database")
    with pytest.raises(ValueError, match=r"renamed from 'old-database' to 'thrifty-database'"):
        express.on_event(renamed, None)


def test_deleting_takes_a_last_snapshot(rds: Rds) -> None:
    rds.cluster = {"status": "available", "backup": "7", "most": "16", "owned": "express"}
    express.on_event(event("Delete"), None)
    assert [c["DBInstanceIdentifier"] for c in rds.calls("DeleteDBInstance")] == ["thrifty-database-instance-1"]
    (call,) = rds.calls("DeleteDBCluster")
    assert call["SkipFinalSnapshot"] == "false"
    assert call["FinalDBSnapshotIdentifier"].startswith("thrifty-database-final-")
    assert express.is_complete(event("Delete"), None) == {"IsComplete": True}


def test_deleting_again_or_what_is_not_ours_does_nothing(rds: Rds) -> None:
    express.on_event(event("Delete"), None)
    rds.cluster = {"status": "available", "backup": "7", "most": "16", "owned": "nobody"}
    express.on_event(event("Delete"), None)
    assert rds.calls("DeleteDBCluster") == rds.calls("DeleteDBInstance") == []
    assert express.is_complete(event("Delete"), None) == {"IsComplete": True}


def test_a_cluster_that_failed_ends_the_deployment(rds: Rds) -> None:
    rds.cluster = {"status": "failed", "backup": "7", "most": "16", "owned": "express"}
    with pytest.raises(ValueError, match="is 'failed'"):
        express.is_complete(event("Create"), None)


# --- the guard


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield


def taking(kind: str = "Create", **more: Any) -> dict[str, Any]:
    mine = {"Name": "studio", "Owner": "ada", "Profile": "frugal", "Stack": "studio-stateful", "Secrets": {}}
    return {"RequestType": kind, "ResourceProperties": {**mine, **more}}


def test_a_name_can_be_taken_kept_and_given_back(aws: None) -> None:
    assert guard.on_event(taking(), None) == {"PhysicalResourceId": "/chimera/studio/deployment"}
    guard.on_event(taking("Update"), None)
    guard.on_event(taking("Delete"), None)
    guard.on_event(taking(Owner="grace"), None)


def test_a_second_deployment_of_the_same_name_is_refused(aws: None) -> None:
    guard.on_event(taking(), None)
    with pytest.raises(ValueError, match=r"the name 'studio' belongs to a deployment of 'ada'.*another name"):
        guard.on_event(taking(Owner="grace"), None)


def test_another_profile_in_place_is_refused(aws: None) -> None:
    guard.on_event(taking(), None)
    with pytest.raises(ValueError, match="cannot become production in place"):
        guard.on_event(taking("Update", Profile="production"), None)


def test_whoever_was_refused_takes_nothing_away_when_it_is_rolled_back(aws: None) -> None:
    guard.on_event(taking(), None)
    guard.on_event(taking("Delete", Owner="grace"), None)
    value = boto3.client("ssm").get_parameter(Name="/chimera/studio/deployment")["Parameter"]["Value"]
    assert json.loads(value)["owner"] == "ada"


def test_a_missing_secret_is_named_and_the_name_is_free_again(aws: None) -> None:
    boto3.client("secretsmanager").create_secret(Name="studio/OPENAI_API_KEY", SecretString="x")
    given = {"openai": "studio/OPENAI_API_KEY", "youtube": "studio/YOUTUBE_CREDENTIALS"}
    with pytest.raises(ValueError, match=r"secrets\.youtube=existing: there is no secret studio/YOUTUBE_CREDENTIALS"):
        guard.on_event(taking(Secrets=given), None)
    guard.on_event(taking(Owner="grace", Secrets={"openai": "studio/OPENAI_API_KEY"}), None)


# --- the token


def test_a_token_carries_tenant_and_known_roles() -> None:
    asked: dict[str, Any] = {
        "request": {
            "userAttributes": {"custom:tenant": "t-1"},
            "groupConfiguration": {"groupsToOverride": ["reviewer", "friends"]},
        },
        "response": {},
    }
    answer = claims.handler(asked, None)["response"]["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
    assert answer == {"claimsToAddOrOverride": {"tenant": "t-1", "roles": ["reviewer"]}}


def test_somebody_without_a_tenant_gets_no_claims() -> None:
    asked: dict[str, Any] = {"request": {"userAttributes": {}, "groupConfiguration": {}}, "response": {}}
    assert claims.handler(asked, None)["response"] == {}
