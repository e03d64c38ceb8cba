"""Acknowledgment of cdk-nag findings, with reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Final

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

from cdk_airflow_ecs.tokens import is_token

_CDK: Final = tuple(int(part) for part in version("aws-cdk-lib").split(".")[:2])
# The first CDK release that accepts ids with a second "::". With older releases, cdk-nag shows these findings.
WILDCARDS_SINCE: Final = (2, 269)


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge *rule*, such as "AwsSolutions-RDS11", on *construct* and its children."""
    acknowledge_all(construct, {rule: reason})


def acknowledge_all(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge several rules on *construct* in one call; *reasons* has a reason for each rule."""
    known = {rule: reason for rule, reason in reasons.items() if "::" not in rule or _CDK >= WILDCARDS_SINCE}
    if known:
        Validations.of(construct).acknowledge(
            *(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason) for rule, reason in known.items())
        )


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], reason: str) -> None:
    """Acknowledge *resources*, wildcard ARNs, in the policies of *construct*; *reason* is why they are necessary."""
    wildcards = Wildcards()
    wildcards.add(construct, resources, reason)
    wildcards.acknowledge()


class Wildcards:
    """A collection of wildcards in policies, acknowledged together because resolving ARNs is a slow call to CDK."""

    def __init__(self) -> None:
        self._found: list[tuple[IConstruct, str, str]] = []

    def add(self, construct: IConstruct, resources: Iterable[str], reason: str) -> None:
        """Collect wildcards, with the arguments of :func:`acknowledge_wildcards`."""
        self._found += [(construct, text, reason) for text in resources]

    def acknowledge(self) -> None:
        """Acknowledge the collected wildcards. All constructs must be in one stack."""
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
    """Return a CloudFormation value in cdk-nag's format: ``<Bucket.Arn>/*``."""
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
