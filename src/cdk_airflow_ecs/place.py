"""The account and the region of the stack, against those of what is given from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack

from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_certificatemanager as acm
    from aws_cdk import aws_ec2 as ec2
    from constructs import Construct

    from cdk_airflow_ecs.plan import ClusterPlan


def check_place(
    scope: Construct, plan: ClusterPlan, *, vpc: ec2.IVpc | None, certificate: acm.ICertificate | None
) -> None:
    """Refuse a certificate of another region and a VPC of another account, as far as both are known before a deploy.

    Raises:
        ValueError: naming both places and what to do.
    """
    here = Stack.of(scope)
    if certificate is not None:
        region = _region_of(certificate)
        if _differ(region, here.region):
            raise IncompatibleArgumentsError(
                f"Web certificate is of {region}, and the stack is in {here.region}: a load balancer takes certificates"
                f" of its own region. Request one in {here.region}"
            )
    if vpc is not None and any(component.dns_name for component in plan.components):
        owner = vpc.env.account
        if _differ(owner, here.account):
            # Amazon VPC user guide, "Share your VPC subnets with other accounts"; aws/copilot-cli#3140.
            raise IncompatibleArgumentsError(
                f"vpc= belongs to the account {owner}, and the stack to {here.account}: tasks of Airflow 3 find the"
                " execution API by a private DNS name, and AWS accepts private zones from the owner of a VPC only."
                f" Deploy into the account {owner}, or pass a VPC of {here.account}"
            )


def _region_of(certificate: acm.ICertificate) -> str:
    arn = str(certificate.certificate_arn)
    parts = arn.split(":")
    # arn:partition:acm:region:account:certificate/id; an ARN that is one token is asked for its stack's region.
    return parts[3] if not is_token(arn) and len(parts) > 3 else str(certificate.env.region)


def _differ(there: str, here: str) -> bool:
    return not is_token(there) and not is_token(here) and there != here
