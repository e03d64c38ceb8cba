"""Listeners and target group of the load balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aws_cdk import aws_elasticloadbalancingv2 as elb

from cdk_airflow_ecs.durations import seconds
from cdk_airflow_ecs.ports import WEB_PORT

if TYPE_CHECKING:
    from aws_cdk import aws_certificatemanager as acm
    from aws_cdk import aws_ecs as ecs
    from constructs import Construct

# The listener attribute for the header Strict-Transport-Security:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/header-modification.html
_STRICT_TRANSPORT_SECURITY: Final = "routing.http.response.strict_transport_security.header_value"
# The header has no includeSubDomains, because hosts below this name can belong to others and use HTTP.
_A_YEAR: Final = "max-age=31536000"


def listen(
    scope: Construct,
    balancer: elb.ApplicationLoadBalancer,
    service: ecs.BaseService,
    *,
    certificate: acm.ICertificate | None,
    health_path: str,
    internet_facing: bool,
) -> elb.ApplicationTargetGroup:
    """Forward requests to *service*, except for its execution API, which returns 404. Return the target group.

    With *certificate*, port 443 serves HTTPS and 80 redirects to it; without it, 80 serves HTTP.
    """
    # Not listener.add_targets, which would add a dependency that cfn-lint reports as redundant. Internal and
    # internet-facing load balancers have different target groups, because a change of internet_facing replaces the load
    # balancer, and a target group cannot belong to both (cloudformation-coverage-roadmap#780).
    group = elb.ApplicationTargetGroup(
        scope,
        "PublicTargets" if internet_facing else "Targets",
        vpc=balancer.vpc,
        port=WEB_PORT,
        protocol=elb.ApplicationProtocol.HTTP,
        target_type=elb.TargetType.IP,
        targets=[service],
        deregistration_delay=seconds(60),
        health_check=elb.HealthCheck(
            path=health_path,
            interval=seconds(30),
            timeout=seconds(10),
            healthy_threshold_count=2,
            unhealthy_threshold_count=5,
        ),
    )
    listener = _listener(balancer, certificate)
    listener.add_action("Forward", action=elb.ListenerAction.forward([group]))
    # This rule is defense in depth: behind the load balancer, the web component serves no execution API anyway.
    elb.ApplicationListenerRule(
        scope,
        "NoExecutionApi",
        listener=listener,
        priority=1,
        conditions=[elb.ListenerCondition.path_patterns(["/execution", "/execution/*"])],
        action=elb.ListenerAction.fixed_response(404, content_type="text/plain", message_body="Not found"),
    )
    return group


def _listener(balancer: elb.ApplicationLoadBalancer, certificate: acm.ICertificate | None) -> elb.ApplicationListener:
    if certificate is None:
        return balancer.add_listener("Http", port=80, protocol=elb.ApplicationProtocol.HTTP, open=False)
    balancer.add_listener(
        "Redirect",
        port=80,
        protocol=elb.ApplicationProtocol.HTTP,
        open=False,
        default_action=elb.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True),
    )
    listener = balancer.add_listener(
        "Https",
        port=443,
        protocol=elb.ApplicationProtocol.HTTPS,
        certificates=[certificate],
        ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
        open=False,
    )
    listener.set_attribute(_STRICT_TRANSPORT_SECURITY, _A_YEAR)
    return listener
