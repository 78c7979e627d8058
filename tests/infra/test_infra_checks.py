"""Other people's checks pass, each exception with its reason; placeholders, metrics and runbooks fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra import metrics
from infra.catalogue import ROOT
from infra.config import read_config
from tests.infra.conftest import FRUGAL, Profile, Synthesised, flat

pytestmark = pytest.mark.xdist_group("infra")

CFN_LINT_IGNORED = {
    "W3005": "CDK writes a dependency that a reference implies already",
    "W3010": "zones are given, so that synth asks no account",
    "W3037": "rds:EnableInternetAccessGateway is newer than the list of actions",
    "W3045": "CloudFront's and S3's log delivery want the bucket's ACL",
    "W6001": "CDK's cross-region values are outputs of imports",
    "W8003": "the rule that refuses stubbed layers is always false on purpose",
}
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def test_cdk_nag_has_nothing_to_say(synthesised: Synthesised) -> None:
    from cdk_nag import AwsSolutionsChecks

    report = AwsSolutionsChecks(synthesised.app).validate_scope(synthesised.app)
    found = [f"{v.rule_name}: {r.construct_path}" for v in report.violations for r in v.violating_resources]
    assert found == []


def test_cdk_nag_would_say_something() -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_s3 as s3
    from cdk_nag import AwsSolutionsChecks

    app = App()
    s3.Bucket(Stack(app, "open"), "bucket")
    report = AwsSolutionsChecks(app).validate_scope(app)
    assert "AwsSolutions-S10" in {v.rule_name for v in report.violations}


def test_a_reason_that_says_nothing_is_refused(synthesised: Synthesised) -> None:
    from infra.acknowledge import acknowledge

    with pytest.raises(ValueError, match="says too little"):
        acknowledge(synthesised.app, "because", "AwsSolutions-S1")


@pytest.mark.timeout(600)
def test_cfn_lint_has_nothing_to_say(synthesised: Synthesised) -> None:
    from cfnlint.api import lint

    for path in sorted(synthesised.folder.glob("*.template.json")):
        region = "eu-central-1" if path.name.startswith(("studio-stateful", "studio-stateless")) else "us-east-1"
        given = {"regions": [region], "ignore_checks": list(CFN_LINT_IGNORED)}
        found = lint(path.read_text(encoding="utf-8"), config=given)
        assert [f"{path.name}: {m.rule.id} {m.message[:200]}" for m in found] == []


def test_cfn_lint_would_say_something() -> None:
    from cfnlint.api import lint

    wrong = {"Resources": {"queue": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": "soon"}}}}
    assert [m.rule.id for m in lint(json.dumps(wrong))] == ["E3012"]


def test_every_placeholder_has_its_value(profile: Profile) -> None:
    machines = {
        p["StateMachineName"]: p
        for p in profile.properties("AWS::StepFunctions::StateMachine")
        if "StateMachineName" in p  # CDK's provider framework waits with a machine that has no name
    }
    for file in sorted((ROOT / "statemachines").glob("*.asl.json")):
        name = file.name.removesuffix(".asl.json")
        used = set(PLACEHOLDER.findall(file.read_text(encoding="utf-8")))
        given = machines[f"{profile.name}-{name}"]["DefinitionSubstitutions"]
        assert set(given) == used
        for placeholder, value in given.items():
            assert flat(value).startswith(("arn:", "<")), placeholder
            if placeholder.endswith("_machine"):
                assert flat(value).endswith(f":stateMachine:{profile.name}-{placeholder.removesuffix('_machine')}")


def test_the_definition_is_the_file_itself(synthesised: Synthesised) -> None:
    staged = [path.read_bytes() for path in synthesised.folder.glob("asset.*.json")]
    for file in sorted((ROOT / "statemachines").glob("*.asl.json")):
        assert file.read_bytes() in staged, file.name


def test_a_placeholder_without_a_value_is_refused(
    synthesised: Synthesised, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from aws_cdk import Stack

    from infra.errors import ConfigError
    from infra.stateless import machines

    wrong = tmp_path / "wrong.asl.json"
    wrong.write_text('{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "${nobody}"}}}', encoding="utf-8")
    monkeypatch.setattr(machines, "machine_files", lambda: {"wrong": wrong})
    made = synthesised.deployments["thrifty"].stateless
    with pytest.raises(ConfigError, match=r"\$\{nobody\} has no value"):
        machines.Machines(
            Stack(synthesised.app, "wrong"),
            "machines",
            config=read_config(FRUGAL),
            grounds=made.grounds,
            functions=made.functions,
            jobs=made.jobs,
        )


def test_every_alarm_has_a_page_that_says_what_to_do(profile: Profile) -> None:
    alarms = profile.properties("AWS::CloudWatch::Alarm")
    assert len(alarms) == 10
    for alarm in alarms:
        name = alarm["AlarmName"].removeprefix(f"{profile.name}-")
        page = ROOT / "docs/runbooks" / f"{name}.md"
        assert f"docs/runbooks/{name}.md" in alarm["AlarmDescription"]
        assert page.is_file(), page
        assert alarm["AlarmActions"]


def test_no_runbook_is_without_its_alarm(profile: Profile) -> None:
    names = {p["AlarmName"].removeprefix(f"{profile.name}-") for p in profile.properties("AWS::CloudWatch::Alarm")}
    pages = {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} - {"README"}
    assert pages == names


@pytest.mark.parametrize("question", [
    "queue depth", "Stage durations", "Spent against limits", "approval latency", "verdicts", "Posts", "Reviews that wait",
])  # fmt: skip
def test_the_dashboard_answers_an_operator(profile: Profile, question: str) -> None:
    (dashboard,) = profile.properties("AWS::CloudWatch::Dashboard")
    assert question in flat(dashboard["DashboardBody"])


def test_the_dashboard_reads_the_metrics_that_are_written(profile: Profile) -> None:
    (dashboard,) = profile.properties("AWS::CloudWatch::Dashboard")
    body = flat(dashboard["DashboardBody"])
    for measured in metrics.ALL:
        assert f'"{measured.name}"' in body, measured.name
    assert f'"Chimera/{profile.name}"' in body


def test_metrics_are_named_as_the_program_names_them() -> None:
    from chimera.metrics import METRICS

    assert {m.name: (m.dimensions, m.unit) for m in metrics.ALL} == METRICS


def test_a_wrong_dimension_is_noticed() -> None:
    from infra.stateless.dashboard import counted

    with pytest.raises(ValueError, match="got \\['colour'\\], expected \\['verdict'\\]"):
        counted(read_config(FRUGAL), metrics.JUDGE_VERDICTS, "Sum", colour="red")


def test_stubbed_layers_are_never_deployed(profile: Profile) -> None:
    (rule,) = profile.stateless["Rules"].values() if len(profile.stateless["Rules"]) == 1 else [
        r for id, r in profile.stateless["Rules"].items() if "layers" in id
    ]  # fmt: skip
    assert rule["Assertions"][0]["Assert"] == {"Fn::Equals": ["stub", "built"]}
    assert "make layers" in rule["Assertions"][0]["AssertDescription"]


def test_synth_asked_no_account(synthesised: Synthesised) -> None:
    manifest = json.loads((synthesised.folder / "manifest.json").read_text(encoding="utf-8"))
    assert "missing" not in manifest
    assert all("unknown-account" in a["environment"] for a in manifest["artifacts"].values() if "environment" in a)
