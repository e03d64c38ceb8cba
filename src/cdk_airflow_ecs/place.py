"""Checks of account and region of the user's resources against the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import IResource
    from aws_cdk import aws_certificatemanager as acm
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_sns as sns
    from constructs import Construct

    from cdk_airflow_ecs.plan import ClusterPlan


def check_place(
    scope: Construct,
    plan: ClusterPlan,
    *,
    vpc: ec2.IVpc | None,
    certificate: acm.ICertificate | None,
    alarm_topic: sns.ITopic | None,
) -> None:
    """Raise ``ValueError`` for a certificate or topic of another region, or a VPC of another account.

    Places that are known only at deploy time are not checked.
    """
    here = Stack.of(scope)
    if alarm_topic is not None:
        region = _region_of(alarm_topic.topic_arn, alarm_topic)
        if _differ(region, here.region):
            raise IncompatibleArgumentsError(
                f"Monitoring alarm_topic must be in {here.region}, the region of the stack and its alarms, got a topic"
                f" in {region}. Create one in {here.region}"
            )
    if certificate is not None:
        region = _region_of(certificate.certificate_arn, certificate)
        if _differ(region, here.region):
            raise IncompatibleArgumentsError(
                f"Web certificate must be in {here.region}, the region of the stack and the load balancer, got one in"
                f" {region}. Request one in {here.region}"
            )
    if vpc is not None and any(component.dns_name for component in plan.components):
        owner = vpc.env.account
        if _differ(owner, here.account):
            # Participants of a shared VPC cannot create its private DNS zones (Amazon VPC user guide, "Share your VPC
            # subnets with other accounts"; aws/copilot-cli#3140).
            raise IncompatibleArgumentsError(
                f"vpc= must belong to {here.account}, the account of the stack, got a VPC of {owner}. Airflow 3 needs a"
                " private DNS zone for its execution API, which only the owner of a VPC can create."
                f" Deploy into the account {owner}, or pass a VPC of {here.account}"
            )


def _region_of(arn: str, resource: IResource) -> str:
    parts = arn.split(":")
    # The ARN is arn:partition:acm:region:account:certificate/id.
    return parts[3] if not is_token(arn) and len(parts) > 3 else str(resource.env.region)


def _differ(there: str, here: str) -> bool:
    return not is_token(there) and not is_token(here) and there != here
