"""Findings of cdk-nag that this library accepts, each where it arises and with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

from cdk_airflow_ecs.tokens import is_token

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
    acknowledge_all(construct, {rule: reason})


def acknowledge_all(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept several rules on *construct* in one call: *reasons* by rule."""
    known = {rule: reason for rule, reason in reasons.items() if "::" not in rule or _CDK >= WILDCARDS_SINCE}
    if known:
        Validations.of(construct).acknowledge(
            *(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason) for rule, reason in known.items())
        )


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], reason: str) -> None:
    """Accept each of *resources*, which end in a wildcard, in the policies of *construct*; others stay findings.

    Args:
        construct: the role or what it belongs to.
        resources: ARNs as they stand in the policy.
        reason: why no list of ARNs exists.
    """
    acknowledge_each([(construct, list(resources))], reason)


def acknowledge_each(findings: Sequence[tuple[IConstruct, Sequence[str]]], reason: str) -> None:
    """Accept wildcards of several constructs of one stack, which is asked once what the ARNs look like.

    Args:
        findings: constructs, and the ARNs in their policies that end in a wildcard.
        reason: why no list of ARNs exists.
    """
    found = [(construct, texts) for construct, texts in findings if texts]
    if not found or _CDK < WILDCARDS_SINCE:
        return
    resolved = [texts for _, texts in found]
    if any(is_token(text) for texts in resolved for text in texts):
        resolved = Stack.of(found[0][0]).resolve(resolved)
    for (construct, _), texts in zip(found, resolved, strict=True):
        acknowledge_all(construct, {f"AwsSolutions-IAM5[Resource::{_flat(text)}]": reason for text in texts})


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
