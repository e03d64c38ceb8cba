"""The load balancer, its security group and access logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aws_cdk import aws_elasticloadbalancingv2 as elb

from cdk_airflow_ecs.durations import seconds
from cdk_airflow_ecs.nag import acknowledge
from cdk_airflow_ecs.tokens import is_token

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_wafv2 as wafv2
    from constructs import Construct

    from cdk_airflow_ecs.bind_context import BindContext

_LOG_PREFIX: Final = "load-balancer"


def load_balancer(
    scope: Construct, context: BindContext, *, internet_facing: bool, clients: Sequence[str] | None
) -> elb.ApplicationLoadBalancer:
    """Create the load balancer. *clients* are CIDR blocks or ids of peers; None means the VPC's blocks."""
    network = context.network
    group = network.security_group(scope, "SecurityGroup", "Load balancer of Airflow")
    balancer = elb.ApplicationLoadBalancer(
        scope,
        "LoadBalancer",
        vpc=network.vpc,
        vpc_subnets=network.web_subnets,
        internet_facing=internet_facing,
        security_group=group,
        drop_invalid_header_fields=True,
        # The timeout is shorter than uvicorn's 120 s, because reuse of a connection that uvicorn closed would return
        # 502.
        idle_timeout=seconds(60),
    )
    _log_access(balancer, context)
    _acknowledge_clients(group, clients)
    return balancer


def filter_requests(scope: Construct, balancer: elb.ApplicationLoadBalancer, web_acl: str | wafv2.CfnWebACL) -> None:
    """Associate a web ACL of AWS WAF with the load balancer."""
    arn = web_acl if isinstance(web_acl, str) else web_acl.attr_arn
    # Imported here because CDK modules load slowly, and few clusters have a web ACL.
    from aws_cdk import aws_wafv2 as wafv2  # noqa: PLC0415

    wafv2.CfnWebACLAssociation(scope, "WebAcl", resource_arn=balancer.load_balancer_arn, web_acl_arn=arn)


def _acknowledge_clients(group: ec2.SecurityGroup, clients: Sequence[str] | None) -> None:
    if {"0.0.0.0/0", "::/0"} & {*(clients or ())}:
        acknowledge(group, "AwsSolutions-EC23", "The user chose open access: allow_from contains the whole internet")
    elif clients is None or any(map(is_token, clients)):
        acknowledge(group, "AwsSolutions-EC23", "Clients are a reference, such as the VPC's address, not a known block")


def _log_access(balancer: elb.ApplicationLoadBalancer, context: BindContext) -> None:
    """Enable access logs without CDK's method, which requires a known region."""
    logs = context.access_logs
    account = context.stack.account
    logs.admit("logdelivery.elasticloadbalancing.amazonaws.com", f"{_LOG_PREFIX}/AWSLogs/{account}/*")
    balancer.set_attribute("access_logs.s3.enabled", "true")
    balancer.set_attribute("access_logs.s3.bucket", logs.name)
    balancer.set_attribute("access_logs.s3.prefix", _LOG_PREFIX)
    balancer.node.add_dependency(logs.policy, *logs.emptying)
