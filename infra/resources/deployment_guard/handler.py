"""Holds a deployment's name: refuses a second deployment of the same name, and names secrets that are missing.

The owner of a name is kept in a parameter `/chimera/NAME/deployment`; the stack's other resources wait for this one.
"""

from __future__ import annotations

import json
from typing import Any


def on_event(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take the name and check the secrets (Create, Update), or give it back (Delete)."""
    properties = event["ResourceProperties"]
    name = str(properties["Name"])
    mine = {"owner": properties["Owner"], "profile": properties["Profile"], "stack": properties["Stack"]}
    if event["RequestType"] == "Delete":
        _give_back(name, mine)
        return {}
    _take(name, mine)
    missing = _missing(dict(properties.get("Secrets", {})))
    if missing:
        setting, secret = missing[0]
        if event["RequestType"] == "Create":
            _give_back(name, mine)
        raise ValueError(
            f"secrets.{setting}=existing: there is no secret {secret} in this account and region; create it with "
            f"`aws secretsmanager create-secret --name {secret} --secret-string ...` or say secrets.{setting}=create"
        )
    return {"PhysicalResourceId": f"/chimera/{name}/deployment"}


def _take(name: str, mine: dict[str, Any]) -> None:
    ssm = _client("ssm")
    key = f"/chimera/{name}/deployment"
    try:
        ssm.put_parameter(Name=key, Value=json.dumps(mine, sort_keys=True), Type="String", Overwrite=False)
        return
    except ssm.exceptions.ParameterAlreadyExists:
        theirs = json.loads(ssm.get_parameter(Name=key)["Parameter"]["Value"])
    if theirs["owner"] != mine["owner"] or theirs["stack"] != mine["stack"]:
        raise ValueError(
            f"the name {name!r} belongs to a deployment of {theirs['owner']!r} ({theirs['profile']}, stack "
            f"{theirs['stack']}) in this account and region; deploy with another name (-c name=...), or as its owner"
        )
    if theirs["profile"] != mine["profile"]:
        raise ValueError(
            f"the deployment {name!r} is {theirs['profile']}; it cannot become {mine['profile']} in place, because its "
            "database would be replaced. Deploy under a new name and move the data (docs/aws/operate.md)"
        )


def _give_back(name: str, mine: dict[str, Any]) -> None:
    ssm = _client("ssm")
    key = f"/chimera/{name}/deployment"
    try:
        theirs = json.loads(ssm.get_parameter(Name=key)["Parameter"]["Value"])
        if theirs == mine:
            ssm.delete_parameter(Name=key)
    except ssm.exceptions.ParameterNotFound:
        return


def _missing(secrets: dict[str, str]) -> list[tuple[str, str]]:
    client = _client("secretsmanager")
    missing = []
    for setting, secret in sorted(secrets.items()):
        try:
            client.describe_secret(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            missing.append((setting, secret))
    return missing


def _client(service: str) -> Any:
    import boto3

    make: Any = boto3.client
    return make(service)
