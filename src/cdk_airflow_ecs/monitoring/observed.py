"""A finished cluster as its observers see it: outputs, scaling, alarms, dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_elasticloadbalancingv2 as elb
    from aws_cdk import aws_logs as logs

    from cdk_airflow_ecs.binding import Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedService:
    """One ECS service.

    Args:
        name: the name of its component, such as "Scheduler" or "Pools/default".
        resource: the service, whose metrics and scaling CDK offers.
        containers: the names of its containers in the plan.
        keeps_data: whether it is a store in a container, which never has two tasks at once.
        enable_exec: whether ``aws ecs execute-command`` may open a shell in it.
    """

    name: str
    resource: ecs.BaseService
    containers: tuple[str, ...]
    keeps_data: bool
    enable_exec: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCluster:
    """What was bound and rendered.

    Args:
        ecs_cluster: the name of the ECS cluster, a dimension of every ECS metric.
        services: the ECS services by the names of their components.
        web: the name of the component that answers the load balancer.
        load_balancer: the load balancer.
        target_group: the tasks that it sends requests to.
        internal: whether the load balancer has no public address.
        resources: what exists once, by the name that refs use. ``resources["Database"].metrics`` names the metrics of
            the database.
        log_group: the log group of containers.
    """

    ecs_cluster: str
    services: Mapping[str, ObservedService]
    web: str
    load_balancer: elb.ApplicationLoadBalancer
    target_group: elb.ApplicationTargetGroup
    internal: bool
    resources: Mapping[str, Binding]
    log_group: logs.ILogGroup
