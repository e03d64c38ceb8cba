"""Findings of cdk-nag that this library accepts, each where it arises and with its reason."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept *rule* of the AwsSolutions pack on *construct* and what is below it; without cdk-nag this does nothing.

    Args:
        construct: where the finding arises.
        rule: the rule's name, with the finding in brackets where the rule has several:
            ``AwsSolutions-IAM5[Resource::*]``.
        reason: why it is accepted.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason=reason))
