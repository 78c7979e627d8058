"""What the stacks are made of, construct by construct, in both profiles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.catalogue import BY_NAME, deployed, folders
from infra.stateless.queues import INPUT
from infra.stateless.schedules import PERIODIC
from tests.infra.conftest import Profile, flat, listed

pytestmark = pytest.mark.xdist_group("infra")


def only(profile: Profile, kind: str) -> Any:
    (found,) = profile.properties(kind)
    return found


# --- stateful


def test_frugal_has_an_express_database_and_nothing_in_a_vpc(frugal: Profile) -> None:
    asked = only(frugal, "Custom::ExpressDatabase")
    assert (asked["MinCapacity"], asked["MaxCapacity"], asked["PauseSeconds"]) == ("0", "16", "300")
    assert frugal.properties("AWS::RDS::DBCluster") == frugal.properties("AWS::RDS::DBProxy") == []
    assert not any("VpcConfig" in p for p in frugal.properties("AWS::Lambda::Function"))


def test_production_has_two_zones_a_proxy_and_no_password(production: Profile) -> None:
    cluster = only(production, "AWS::RDS::DBCluster")
    assert cluster["EngineVersion"].startswith("16.")
    assert cluster["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0.5, "MaxCapacity": 16}
    assert cluster["DeletionProtection"] is cluster["StorageEncrypted"] is True
    assert cluster["BackupRetentionPeriod"] == 14
    assert cluster["MasterUserAuthenticationType"] == "iam-db-auth"
    assert "MasterUserPassword" not in cluster
    assert len(production.properties("AWS::RDS::DBInstance")) == 2
    proxy = only(production, "AWS::RDS::DBProxy")
    assert (proxy["RequireTLS"], proxy["DefaultAuthScheme"]) == (True, "IAM_AUTH")
    assert production.properties("Custom::ExpressDatabase") == []


def test_who_remembers_is_in_production_s_vpc_and_who_thinks_is_not(production: Profile) -> None:
    for function in deployed():
        in_vpc = "VpcConfig" in production.function(function.name)
        assert in_vpc == (function.does == "remembers"), function.name


def test_there_is_no_nat_gateway(profile: Profile) -> None:
    assert profile.properties("AWS::EC2::NatGateway") == []
    assert {p["VpcEndpointType"] for p in profile.properties("AWS::EC2::VPCEndpoint")} == {"Gateway"}


def test_nobody_gets_in_from_outside(profile: Profile) -> None:
    for group in profile.properties("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group, group["GroupDescription"]
    for rule in profile.properties("AWS::EC2::SecurityGroupIngress"):
        assert "SourceSecurityGroupId" in rule
        assert "CidrIp" not in rule


def test_the_table_is_paid_by_request_and_forgets(profile: Profile) -> None:
    table = only(profile, "AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert [k["AttributeName"] for k in table["KeySchema"]] == ["pk", "sk"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_buckets_are_private_versioned_and_speak_tls(profile: Profile) -> None:
    buckets = profile.every("AWS::S3::Bucket")
    assert len(buckets) == 4
    for id, bucket in buckets:
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, id
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["DeletionPolicy"] == "Retain"
    denied = [
        s
        for p in profile.properties("AWS::S3::BucketPolicy")
        for s in p["PolicyDocument"]["Statement"]
        if s["Effect"] == "Deny" and s["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
    ]
    assert len(denied) == 4


def test_a_seal_cannot_be_deleted_before_its_time(profile: Profile) -> None:
    (seals,) = [p for p in profile.properties("AWS::S3::Bucket") if "-seals-" in flat(p["BucketName"])]
    assert seals["ObjectLockEnabled"] is True
    assert seals["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": 365, "Mode": "COMPLIANCE"}


def test_media_age_by_kind(profile: Profile) -> None:
    (media,) = [p for p in profile.properties("AWS::S3::Bucket") if "-media-" in flat(p["BucketName"])]
    rules = {rule["Id"]: rule for rule in media["LifecycleConfiguration"]["Rules"]}
    assert rules["temporary-parts"]["ExpirationInDays"] == 7
    assert rules["raw-to-cold"]["Transitions"][0]["TransitionInDays"] == 90
    assert all(not rule.get("ExpirationInDays") for id, rule in rules.items() if id != "temporary-parts")


def test_the_media_bucket_takes_posted_forms_from_the_console_alone(profile: Profile) -> None:
    (media,) = [p for p in profile.properties("AWS::S3::Bucket") if "-media-" in flat(p["BucketName"])]
    (rule,) = media["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedMethods"] == ["POST"]
    (origin,) = rule["AllowedOrigins"]
    assert origin.startswith("https://") and origin != "https://*"


def test_keys_are_of_the_right_kind(profile: Profile) -> None:
    specs = sorted(p["KeySpec"] for p in profile.properties("AWS::KMS::Key") if p.get("KeyUsage") == "SIGN_VERIFY")
    assert specs == ["ECC_NIST_P256", "ECC_NIST_P256", "RSA_2048"]
    data = [p for p in profile.properties("AWS::KMS::Key") if p.get("KeyUsage") != "SIGN_VERIFY"]
    assert len(data) == (1 if profile.name == "studio" else 0)
    assert all(key["EnableKeyRotation"] for key in data)


def test_people_are_invited_and_have_a_second_factor(profile: Profile) -> None:
    pool = only(profile, "AWS::Cognito::UserPool")
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["MfaConfiguration"] == "ON"
    assert pool["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V2_0"
    groups = {p["GroupName"] for p in profile.properties("AWS::Cognito::UserPoolGroup")}
    assert groups == {"viewer", "reviewer", "operator", "admin"}
    client = only(profile, "AWS::Cognito::UserPoolClient")
    units = client["TokenValidityUnits"]
    assert (client["AccessTokenValidity"], units["AccessToken"]) == (60, "minutes")
    assert (client["RefreshTokenValidity"], units["RefreshToken"]) == (10080, "minutes")
    assert "custom:tenant" not in client["WriteAttributes"]


def test_secrets_are_made_empty_or_found(production: Profile) -> None:
    made = {p["Name"] for p in production.properties("AWS::SecretsManager::Secret")}
    assert made == {
        "studio/OPENAI_API_KEY", "studio/ANTHROPIC_API_KEY", "studio/ELEVENLABS_API_KEY", "studio/MASTODON_CREDENTIALS",
        "studio/YOUTUBE_INSIGHTS_TOKEN",
    }  # fmt: skip
    guard = only(production, "Custom::DeploymentGuard")
    assert guard["Secrets"] == {"youtube": "studio/YOUTUBE_CREDENTIALS"}
    assert not any("SecretString" in p for p in production.properties("AWS::SecretsManager::Secret"))


def test_the_name_is_taken_before_anything_is_made(profile: Profile) -> None:
    guard = only(profile, "Custom::DeploymentGuard")
    assert (guard["Name"], guard["Stack"]) == (profile.name, f"{profile.name}-stateful")
    (guard_id,) = [id for id, _ in profile.every("Custom::DeploymentGuard")]
    for kind in ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool"):
        for id, resource in profile.every(kind):
            if id in profile.stateful["Resources"]:
                assert guard_id in listed(resource.get("DependsOn", [])), id


def test_data_is_kept_when_the_stack_is_deleted(profile: Profile) -> None:
    for kind in ("AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::ECR::Repository"):
        for id, resource in profile.every(kind):
            assert resource["DeletionPolicy"] == "Retain", id


# --- stateless


def test_one_lambda_for_each_folder(profile: Profile) -> None:
    prefix = f"{profile.name}-"
    made = {
        p["FunctionName"].removeprefix(prefix)
        for p in profile.properties("AWS::Lambda::Function")
        if "FunctionName" in p
    }
    assert {BY_NAME[name].source for name in made} == folders()
    assert made == {function.name for function in deployed()}


def test_functions_are_arm_python_traced_and_logged(profile: Profile) -> None:
    for function in deployed():
        made = profile.function(function.name)
        if function.image:
            assert made["PackageType"] == "Image"
            assert made["Architectures"] == ["x86_64"]
            assert made["ImageConfig"]["Command"] == [f"functions.{function.source}.handler.handler"]
            assert "/render" in flat(made["Code"]["ImageUri"])
        else:
            assert made["Architectures"] == ["arm64"]
            assert made["Runtime"] == "python3.13"
            assert made["Handler"] == f"functions.{function.source}.handler.handler"
        assert made["TracingConfig"] == {"Mode": "Active"}
        assert "LogGroup" in made["LoggingConfig"]
        assert made["Environment"]["Variables"]["CHIMERA_WORLD"] == "aws"


def test_snap_start_where_somebody_waits_and_it_pays(frugal: Profile, production: Profile) -> None:
    def snapped(profile: Profile) -> set[str]:
        return {f.name for f in deployed() if "SnapStart" in profile.function(f.name)}

    assert snapped(frugal) == set()
    assert snapped(production) == {"api", "approve"}


def test_layers_are_what_a_function_needs(frugal: Profile) -> None:
    def layers(name: str) -> list[str]:
        return [flat(layer) for layer in frugal.function(name)["Layers"]]

    assert any("layerschimera" in layer for layer in layers("judge"))
    assert not any("layersdb" in layer for layer in layers("judge"))
    assert any("layersdb" in layer for layer in layers("approve"))


def test_machines_are_the_files_of_the_laptop(profile: Profile) -> None:
    machines = [p for p in profile.properties("AWS::StepFunctions::StateMachine") if "StateMachineName" in p]
    names = {p["StateMachineName"] for p in machines}
    assert names == {
        f"{profile.name}-{m}" for m in ("supervisor", "research", "creation", "distribution", "analytics", "ingest")
    }
    for machine in machines:
        assert "DefinitionS3Location" in machine
        assert machine["TracingConfiguration"] == {"Enabled": True}
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


def test_jobs_run_on_spot_first_and_come_back_after_a_reclaim(profile: Profile) -> None:
    (queue,) = [p for p in profile.properties("AWS::Batch::JobQueue") if p["JobQueueName"].endswith("-render")]
    places = {id: p["Properties"] for id, p in profile.every("AWS::Batch::ComputeEnvironment")}
    order = sorted(queue["ComputeEnvironmentOrder"], key=lambda entry: entry["Order"])
    types = [
        next(p for id, p in places.items() if id in flat(entry["ComputeEnvironment"]))["ComputeResources"]["Type"]
        for entry in order
    ]
    assert types == ["FARGATE_SPOT", "FARGATE"]
    for job in profile.properties("AWS::Batch::JobDefinition"):
        rules = job["RetryStrategy"]["EvaluateOnExit"]
        retried = {r.get("OnStatusReason") or r.get("OnExitCode") for r in rules if r["Action"] == "RETRY"}
        assert retried == {"Host EC2*", "Your Spot Task was interrupted*", "143"}
        assert rules[-1] == {"Action": "EXIT", "OnExitCode": "*"}
        assert job["ContainerProperties"]["ReadonlyRootFilesystem"] is True


def test_gpus_cost_nothing_when_nobody_uses_them(frugal: Profile, production: Profile) -> None:
    def hosts(profile: Profile) -> list[Any]:
        every = [p["ComputeResources"] for p in profile.properties("AWS::Batch::ComputeEnvironment")]
        return [resources for resources in every if "InstanceTypes" in resources]

    assert hosts(frugal) == []
    (host,) = hosts(production)
    assert (host["MinvCpus"], host["Type"], host["InstanceTypes"]) == (0, "SPOT", ["g6.xlarge", "g5.xlarge"])
    (template,) = production.properties("AWS::EC2::LaunchTemplate")
    assert template["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"


def test_every_route_but_three_needs_a_token(profile: Profile) -> None:
    routes = {p["RouteKey"]: p["AuthorizationType"] for p in profile.properties("AWS::ApiGatewayV2::Route")}
    assert {key for key, kind in routes.items() if kind == "NONE"} == {"GET /health", "GET /openapi.json", "GET /docs"}
    assert {kind for key, kind in routes.items() if "/v1" in key} == {"JWT"}
    authorizer = only(profile, "AWS::ApiGatewayV2::Authorizer")
    assert flat(authorizer["JwtConfiguration"]["Issuer"]).startswith("https://cognito-idp.")


def test_money_is_answered_by_the_cfo_s_function(profile: Profile) -> None:
    integrations = {
        id: flat(r["Properties"]["IntegrationUri"]) for id, r in profile.every("AWS::ApiGatewayV2::Integration")
    }
    for route in profile.properties("AWS::ApiGatewayV2::Route"):
        (id,) = [id for id in integrations if id in flat(route["Target"])]
        is_money = any(path in route["RouteKey"] for path in ("/v1/approvals", "/v1/budgets", "/v1/ledger"))
        assert ("functionsapimoney" in integrations[id]) == is_money, route["RouteKey"]


def test_the_access_log_shows_nobody_s_query(profile: Profile) -> None:
    stage = only(profile, "AWS::ApiGatewayV2::Stage")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 50
    written = json.loads(stage["AccessLogSettings"]["Format"])
    assert not any("path" in v.lower() or "sourceip" in v.lower() for v in written.values())


def test_queues_keep_what_cannot_be_started(profile: Profile) -> None:
    queues = profile.properties("AWS::SQS::Queue")
    for priority in ("high", "normal", "low"):
        (queue,) = [p for p in queues if p["QueueName"] == f"{profile.name}-{priority}.fifo"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 3
        assert f"queues{priority}dead" in flat(queue["RedrivePolicy"]["deadLetterTargetArn"])
        (pipe,) = [p for p in profile.properties("AWS::Pipes::Pipe") if p["Name"] == f"{profile.name}-{priority}"]
        assert pipe["SourceParameters"]["SqsQueueParameters"]["BatchSize"] == 1
        assert pipe["TargetParameters"]["InputTemplate"] == INPUT


def test_a_message_from_a_pipe_is_the_supervisor_s_input() -> None:
    """Pipes hand a batch on, as a list, also one of one; JSONata's paths look into it."""
    import jsonata

    message = {"tenant_id": "t", "run_id": "m", "options": {"sources": ["hackernews"]}}
    text = INPUT.replace("<$.body.tenant_id>", "t").replace("<$.messageId>", "m")
    text = text.replace("<$.body.options>", json.dumps(message["options"]))
    assert json.loads(text) == message
    machine = json.loads((_machines() / "supervisor.asl.json").read_text(encoding="utf-8"))
    payload = machine["States"]["begin_run"]["Arguments"]["Payload"]
    for field in ("tenant_id", "run_id", "options"):
        expression = jsonata.Jsonata(
            payload[field].removeprefix("{%").removesuffix("%}").replace("$states.input", "input")
        )
        assert expression.evaluate({"input": [message]}) == message[field]


def test_frugal_lets_the_database_sleep(frugal: Profile, production: Profile) -> None:
    def rates(profile: Profile) -> dict[str, str]:
        return {
            p["Name"].removeprefix(f"{profile.name}-"): p["ScheduleExpression"]
            for p in profile.properties("AWS::Scheduler::Schedule")
        }

    names = {p.function for p in PERIODIC if p.function in BY_NAME and BY_NAME[p.function].source in folders()}
    assert set(rates(frugal)) == set(rates(production)) == names | {"scan"}
    assert {rate for name, rate in rates(frugal).items() if name != "scan"} == {"rate(12 hours)"}
    assert {rates(production)[name] for name in ("recover", "seal")} == {"rate(1 minute)"}
    (rule,) = frugal.properties("AWS::Events::Rule")
    assert rule["EventPattern"]["source"] == ["aws.states"]
    assert len(rule["Targets"]) == len([n for n in ("recover", "seal", "project_budgets") if n in names])


def test_nothing_spends_by_itself_until_scans_are_switched_on(frugal: Profile, production: Profile) -> None:
    def state(profile: Profile) -> str:
        (scan,) = [p for p in profile.properties("AWS::Scheduler::Schedule") if p["Name"].endswith("-scan")]
        return str(scan["State"])

    assert (state(frugal), state(production)) == ("DISABLED", "ENABLED")


def test_the_schema_is_brought_up_before_anybody_calls(profile: Profile) -> None:
    (schema,) = [id for id, _ in profile.every("Custom::Schema")]
    for kind in ("AWS::ApiGatewayV2::Route", "AWS::Pipes::Pipe", "AWS::Scheduler::Schedule"):
        for id, resource in profile.every(kind):
            assert schema in listed(resource["DependsOn"]), id


def test_the_console_is_behind_cloudfront_alone(profile: Profile) -> None:
    distribution = only(profile, "AWS::CloudFront::Distribution")["DistributionConfig"]
    assert distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    assert {b["PathPattern"] for b in distribution["CacheBehaviors"]} == {"/v1/*", "/health", "/openapi.json", "/docs"}
    assert only(profile, "AWS::CloudFront::OriginAccessControl")
    assert ("WebACLId" in distribution) == (profile.name == "studio")


def test_production_s_firewall_is_where_cloudfront_looks(production: Profile, frugal: Profile) -> None:
    acl = only(production, "AWS::WAFv2::WebACL")
    assert acl["Scope"] == "CLOUDFRONT"
    assert {rule["Name"] for rule in acl["Rules"]} >= {"rate", "AWSManagedRulesCommonRuleSet"}
    assert frugal.edge is None


def test_a_person_who_decides_gets_the_address(profile: Profile) -> None:
    for name in ("prepare_review", "prepare_approval"):
        assert "CHIMERA_PUBLIC_BASE_URL" in profile.function(name)["Environment"]["Variables"]


def _machines() -> Any:
    from infra.catalogue import ROOT

    return ROOT / "statemachines"
