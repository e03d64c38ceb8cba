"""Findings of cdk-nag that this library accepts, each where it arises and with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
    wildcards = Wildcards()
    wildcards.add(construct, resources, reason)
    wildcards.acknowledge()


class Wildcards:
    """Wildcards in policies, collected so that CDK is asked once what all the ARNs look like."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: list[tuple[IConstruct, str, str]] = []

    def add(self, construct: IConstruct, resources: Iterable[str], reason: str) -> None:
        """Collect *resources*, as :func:`acknowledge_wildcards` takes them."""
        self._found += [(construct, text, reason) for text in resources]

    def acknowledge(self) -> None:
        """Accept what was collected. All constructs are in one stack."""
        if not self._found or _CDK < WILDCARDS_SINCE:
            return
        texts = [text for _, text, _ in self._found]
        if any(is_token(text) for text in texts):
            texts = Stack.of(self._found[0][0]).resolve(texts)
        reasons: dict[int, tuple[IConstruct, dict[str, str]]] = {}
        for (construct, _, reason), text in zip(self._found, texts, strict=True):
            _, known = reasons.setdefault(id(construct), (construct, {}))
            known[f"AwsSolutions-IAM5[Resource::{_flat(text)}]"] = reason
        for construct, known in reasons.values():
            acknowledge_all(construct, known)


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
