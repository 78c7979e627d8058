"""Acknowledges a finding of cdk-nag beside the construct it is about, with the reason in the metadata."""

from __future__ import annotations

from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

SHORTEST_REASON = 20


def acknowledge(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accept these rules (such as `AwsSolutions-S1`) for `construct` and all below it.

    The reason must say why it is right here: fewer than 20 characters are refused.
    """
    if len(reason) < SHORTEST_REASON:
        raise ValueError(f"the reason {reason!r} says too little; expected why {', '.join(rules)} is accepted here")
    Validations.of(construct).acknowledge(*[Acknowledgment(id=rule, reason=reason) for rule in rules])


def acknowledge_wildcards(construct: IConstruct, reason: str, *arns: str) -> None:
    """Accept a policy's resources that hold a `*`, each by its very text: another wildcard is still a finding."""
    stack = Stack.of(construct)
    findings = [f"AwsSolutions-IAM5[Resource::{_flat(stack.resolve(arn))}]" for arn in arns]
    acknowledge(construct, reason, *findings)


def acknowledge_managed_policy(construct: IConstruct, reason: str, name: str) -> None:
    """Accept an AWS managed policy that a framework attaches."""
    acknowledge(construct, reason, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]")


def wildcards(statements: list[iam.PolicyStatement]) -> list[str]:
    """Every resource of the statements that holds a `*`, for `acknowledge_wildcards`."""
    return [resource for statement in statements for resource in statement.resources if "*" in resource]


def logical_id(resource: Construct) -> str:
    """The template's name of a construct's resource."""
    child: Any = resource.node.default_child
    return str(Stack.of(resource).resolve(child.logical_id))


def _flat(value: Any) -> str:
    """A resolved value as cdk-nag writes it: references as `<Name>`, attributes as `<Name.Attribute>`."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        delimiter, items = value["Fn::Join"]
        return str(delimiter).join(_flat(item) for item in items)
    if "Fn::GetAtt" in value:
        return "<{}.{}>".format(*value["Fn::GetAtt"])
    if "Ref" in value:
        return f"<{value['Ref']}>"
    raise ValueError(f"got {value!r} in an ARN; expected text, Ref, Fn::GetAtt or Fn::Join")
