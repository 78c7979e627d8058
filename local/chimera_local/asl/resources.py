"""Which task resources the dialect knows, and how AWS names their parts in history events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from chimera_local.asl.errors import InvalidDefinition, UnsupportedDefinition

Kind = Literal["function", "job", "execution"]
Pattern = Literal["direct", "response", "sync", "sync2", "token"]

_LAMBDA = re.compile(r"^arn:aws[\w-]*:lambda:[^:]*:[^:]*:function:(?P<name>[^:]+)(:[^:]+)?$")
_SERVICE = re.compile(r"^arn:aws[\w-]*:states:[^:]*:[^:]*:(?P<service>[\w-]+):(?P<action>.+)$")

_SERVICES: dict[str, tuple[Kind, Pattern, tuple[str, ...]]] = {
    "lambda:invoke": ("function", "response", ("FunctionName",)),
    "lambda:invoke.waitForTaskToken": ("function", "token", ("FunctionName",)),
    "batch:submitJob.sync": ("job", "sync", ("JobDefinition", "JobName", "JobQueue")),
    "states:startExecution": ("execution", "response", ("StateMachineArn",)),
    "states:startExecution.sync": ("execution", "sync", ("StateMachineArn",)),
    "states:startExecution.sync:2": ("execution", "sync2", ("StateMachineArn",)),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A task's Resource, taken apart: what to call, in which integration pattern, and its names in events."""

    arn: str
    kind: Kind
    pattern: Pattern
    required: tuple[str, ...]
    service: str
    action: str

    @property
    def event_prefix(self) -> str:
        """`LambdaFunction` for a bare function ARN, `Task` for every service integration."""
        return "LambdaFunction" if self.pattern == "direct" else "Task"

    @property
    def limit_name(self) -> str:
        """How AWS names this task in the text of States.DataLimitExceeded."""
        return self.arn if self.pattern == "direct" else self.service


def parse_resource(arn: str, state: str) -> Resource:
    """Take a Resource apart. Raises UnsupportedDefinition (not in the dialect) or InvalidDefinition."""
    function = _LAMBDA.match(arn)
    if function:
        return Resource(arn, "function", "direct", (), "lambda", function["name"])
    service = _SERVICE.match(arn)
    if service is None:
        raise InvalidDefinition(state, f"the resource provided {arn} is not recognized")
    key = f"{service['service']}:{service['action']}"
    if key not in _SERVICES:
        raise UnsupportedDefinition(
            state,
            f"resource {arn} is not supported; supported are a function's ARN and {', '.join(_SERVICES)}",
        )
    kind, pattern, required = _SERVICES[key]
    return Resource(arn, kind, pattern, required, service["service"], service["action"])


def last_part(name_or_arn: str) -> str:
    """`arn:aws:lambda:…:function:NAME` or `…:NAME:$LATEST` or plain `NAME` -> `NAME`."""
    function = _LAMBDA.match(name_or_arn)
    if function:
        return function["name"]
    return name_or_arn.rsplit(":", 1)[-1]
