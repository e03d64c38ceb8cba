"""Findings of cdk-nag that this library accepts, each where it arises and with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

_CDK: Final = tuple(int(part) for part in version("aws-cdk-lib").split(".")[:2])
# Older releases refuse ids with a further "::" in them; then cdk-nag shows these findings.
WILDCARDS_SINCE: Final = (2, 269)


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept *rule* of the AwsSolutions pack on *construct* and what is below it; without cdk-nag this does nothing.

    Args:
        construct: where the finding arises.
        rule: the rule's name, such as "AwsSolutions-RDS11".
        reason: why it is accepted.
    """
    if "::" not in rule or _CDK >= WILDCARDS_SINCE:
        Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], reason: str) -> None:
    """Accept each of *resources*, which end in a wildcard, in the policies of *construct*; others stay findings.

    Args:
        construct: the role or what it belongs to.
        resources: ARNs as they stand in the policy.
        reason: why no list of ARNs exists.
    """
    if _CDK < WILDCARDS_SINCE:
        return
    if texts := list(resources):
        found = [f"AwsSolutions-IAM5[Resource::{_flat(text)}]" for text in Stack.of(construct).resolve(texts)]
        Validations.of(construct).acknowledge(
            *(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason) for rule in found)
        )


def _flat(node: object) -> str:
    """Write a CloudFormation value as cdk-nag prints it: ``<Bucket.Arn>/*``."""
    if isinstance(node, str):
        return node.replace("${", "<").replace("}", ">")
    if isinstance(node, dict) and len(node) == 1:
        ((function, argument),) = node.items()
        if function == "Ref":
            return f"<{argument}>"
        if function == "Fn::GetAtt":
            return f"<{'.'.join(argument)}>"
        if function == "Fn::Sub":
            return _flat(argument)
        if function == "Fn::Join":
            return str(argument[0]).join(_flat(part) for part in argument[1])
    return json.dumps(node)
