"""How an execution begins, on Postgres as in memory: its name, its ids, its first frame."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from chimera_local.asl.definition import Machine
from chimera_local.asl.errors import (
    MAX_PAYLOAD_BYTES,
    InvalidExecutionInput,
    InvalidName,
    StatesError,
    exceeds_limit,
)
from chimera_local.asl.frame import Frame, iso
from chimera_local.asl.model import JSON

_BAD_NAME = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Account:
    """The account and region that ARNs carry, and the role that `$states.context` shows."""

    region: str = "us-east-1"
    id: str = "000000000000"
    role_arn: str = "arn:aws:iam::000000000000:role/chimera-local"

    def arn(self, kind: str, identifier: str) -> str:
        """The ARN of an execution (`MACHINE:NAME`) or a state machine (`MACHINE`)."""
        return f"arn:aws:states:{self.region}:{self.id}:{kind}:{identifier}"


def execution_id(machine: str, name: str) -> str:
    """`MACHINE:NAME`. Raises InvalidName if the name breaks AWS's rule."""
    if not 1 <= len(name) <= 80 or _BAD_NAME.search(name):
        raise InvalidName(name)
    return f"{machine}:{name}"


def plain_id(id_or_arn: str) -> str:
    """`arn:aws:states:…:execution:MACHINE:NAME` or `MACHINE:NAME` -> `MACHINE:NAME`."""
    parts = id_or_arn.split(":", 6)
    return parts[6] if id_or_arn.startswith("arn:") and len(parts) == 7 else id_or_arn


def checked_input(value: JSON) -> JSON:
    """The value as JSON. Raises InvalidExecutionInput if it is none or is over 256 KiB."""
    try:
        copy = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidExecutionInput(f"not JSON: {error}") from error
    if exceeds_limit(copy):
        raise InvalidExecutionInput(f"larger than {MAX_PAYLOAD_BYTES} bytes of JSON")
    return copy


def nested_input(value: JSON) -> JSON:
    """The input of a nested execution: an object as it is, a string as the JSON text it holds, nothing as {}.

    Raises StatesError as StartExecution answers it.
    """
    if value is None:
        return {}
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise StatesError(
            "StepFunctions.InvalidExecutionInputException",
            f"Invalid State Machine Execution Input: '{error}'",
        ) from error


def already_exists(arn: str) -> StatesError:
    """What a nested StartExecution answers when the name is taken."""
    return StatesError(
        "StepFunctions.ExecutionAlreadyExistsException",
        f"Execution Already Exists: '{arn}' (Service: AWSStepFunctions; Status Code: 400; "
        "Error Code: ExecutionAlreadyExists)",
    )


def no_machine(machine: str) -> StatesError:
    """What a nested StartExecution answers when there is no such machine."""
    return StatesError(
        "StepFunctions.StateMachineDoesNotExistException",
        f"State Machine Does Not Exist: '{machine}' (Service: AWSStepFunctions; Status Code: 400; "
        "Error Code: StateMachineDoesNotExist)",
    )


def first_frame(
    machine: Machine,
    name: str,
    value: JSON,
    *,
    account: Account,
    started_at: float,
    parent_scope: str | None = None,
) -> Frame:
    """The frame in which a new execution starts."""
    identifier = execution_id(machine.name, name)
    return Frame(
        scope=identifier,
        execution=identifier,
        kind="root",
        machine=machine.name,
        sha256=machine.sha256,
        path=[],
        context={
            "Execution": {
                "Id": account.arn("execution", identifier),
                "Name": name,
                "RoleArn": account.role_arn,
                "StartTime": iso(started_at),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": account.arn("stateMachine", machine.name), "Name": machine.name},
        },
        input=value,
        parent=parent_scope,
    )
