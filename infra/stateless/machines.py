"""The state machines, from the very files that the laptop runs; every placeholder gets its value here."""

from __future__ import annotations

import re
from pathlib import Path

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards, wildcards
from infra.catalogue import ROOT
from infra.config import Config
from infra.errors import ConfigError
from infra.names import executions_arn, machine_arn
from infra.policies import Grounds, tracing_statement, vended_logs_statement
from infra.provider import arn_of
from infra.stateless.batch import Jobs
from infra.stateless.functions import Functions, retention

PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
MACHINE_SUFFIX = "_machine"
SYNC_RULES = {
    "batch": "rule/StepFunctionsGetEventsForBatchJobsRule",
    "states": "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule",
}
"""Rules by which Step Functions hears that a job or a child has ended; it makes them itself, under these names."""


def machine_files() -> dict[str, Path]:
    """`statemachines/NAME.asl.json`, by name."""
    return {path.name.removesuffix(".asl.json"): path for path in sorted((ROOT / "statemachines").glob("*.asl.json"))}


class Machines(Construct):
    """`by_name`: machine -> Step Functions state machine (Standard), logged without its data, traced."""

    def __init__(
        self, scope: Construct, id: str, *, config: Config, grounds: Grounds, functions: Functions, jobs: Jobs
    ) -> None:
        super().__init__(scope, id)
        self._config, self._grounds, self._functions, self._jobs = config, grounds, functions, jobs
        files = machine_files()
        self.by_name = {name: self._machine(name, path, frozenset(files)) for name, path in files.items()}

    def values(self, machines: frozenset[str]) -> dict[str, str]:
        """Every value that a placeholder can have: functions, machines, queues and job definitions."""
        functions = {name: function.function_arn for name, function in self._functions.live.items()}
        children = {f"{name}{MACHINE_SUFFIX}": machine_arn(self, self._config, name) for name in machines}
        return {**functions, **children, **self._jobs.substitutions}

    def _machine(self, name: str, path: Path, machines: frozenset[str]) -> sfn.StateMachine:
        text = path.read_text(encoding="utf-8")
        used = sorted(set(PLACEHOLDER.findall(text)))
        values = self.values(machines)
        if missing := [placeholder for placeholder in used if placeholder not in values]:
            raise ConfigError(
                f"statemachines/{path.name}: ${{{missing[0]}}} has no value; "
                "expected a folder of functions/, NAME_machine, or a job's queue or definition"
            )
        scope = Construct(self, name)
        group = logs.LogGroup(
            scope,
            "logs",
            log_group_name=f"/aws/vendedlogs/states/{self._config.machine_name(name)}",
            retention=retention(self._config),
            encryption_key=self._grounds.keys.data,
            removal_policy=RemovalPolicy.DESTROY,
        )
        return sfn.StateMachine(
            scope,
            "machine",
            state_machine_name=self._config.machine_name(name),
            definition_body=sfn.DefinitionBody.from_file(str(path)),
            definition_substitutions={placeholder: values[placeholder] for placeholder in used},
            role=self._role(scope, name, used, values, text),
            # events and errors, not the data: that is in the execution's history, for those who may read it
            logs=sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
        )

    def _role(self, scope: Construct, name: str, used: list[str], values: dict[str, str], text: str) -> iam.IRole:
        config = self._config
        invoked = [values[used_name] for used_name in used if used_name in self._functions.live]
        statements = [tracing_statement(), vended_logs_statement()]
        if invoked:
            statements.append(iam.PolicyStatement(sid="Invoke", actions=["lambda:InvokeFunction"], resources=invoked))
        children = [used_name.removesuffix(MACHINE_SUFFIX) for used_name in used if used_name.endswith(MACHINE_SUFFIX)]
        if children:
            arns = [machine_arn(self, config, child) for child in children]
            statements.append(iam.PolicyStatement(sid="StartChild", actions=["states:StartExecution"], resources=arns))
        if "startExecution.sync" in text:
            statements += [
                iam.PolicyStatement(
                    sid="FollowChild",
                    actions=["states:DescribeExecution", "states:StopExecution"],
                    resources=[executions_arn(self, config, child) for child in children],
                ),
                self._events("states"),
            ]
        if "submitJob.sync" in text:
            # every revision of our own definitions
            jobs = [value for key, value in values.items() if key in used and key.endswith("_job_queue")]
            jobs += [
                arn_of(self, "batch", f"job-definition/{config.name}-{key.removesuffix('_job_definition')}:*")
                for key in used
                if key.endswith("_job_definition")
            ]
            statements += [
                iam.PolicyStatement(sid="SubmitJob", actions=["batch:SubmitJob"], resources=jobs),
                iam.PolicyStatement(
                    sid="EndJob", actions=["batch:TerminateJob"], resources=[arn_of(self, "batch", "job/*")]
                ),
                iam.PolicyStatement(sid="FollowJob", actions=["batch:DescribeJobs"], resources=["*"]),
                self._events("batch"),
            ]
        role = iam.Role(
            scope,
            "role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"{config.name}: the state machine {name}",
            inline_policies={"own": iam.PolicyDocument(statements=statements)},
        )
        acknowledge_wildcards(
            role,
            f"{name}: executions, jobs and revisions are named at run time; the rest is in infra/policies.py with reasons",
            *wildcards(statements),
        )
        return role.without_policy_updates()

    def _events(self, service: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid=f"Hear{service.capitalize()}",
            actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            resources=[arn_of(self, "events", SYNC_RULES[service])],
        )
