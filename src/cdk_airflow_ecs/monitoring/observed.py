"""The description of a finished cluster."""

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
        name: component name, such as "Scheduler" or "Pools/default".
        resource: the service construct, with metrics and scaling.
        containers: container names in the plan.
        keeps_data: whether it is a database or broker in a container, which never runs two tasks at once.
        enable_exec: whether ``aws ecs execute-command`` can open a shell.
    """

    name: str
    resource: ecs.BaseService
    containers: tuple[str, ...]
    keeps_data: bool
    enable_exec: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCluster:
    """A finished cluster.

    Args:
        ecs_cluster: name of the ECS cluster, a dimension of every ECS metric.
        services: ECS services by component name.
        web: name of the component behind the load balancer.
        load_balancer: the load balancer.
        target_group: its target group.
        internal: whether the load balancer is internal.
        resources: bindings by name in refs; ``resources["Database"].metrics`` has the database's metrics.
        log_group: log group of containers.
    """

    ecs_cluster: str
    services: Mapping[str, ObservedService]
    web: str
    load_balancer: elb.ApplicationLoadBalancer
    target_group: elb.ApplicationTargetGroup
    internal: bool
    resources: Mapping[str, Binding]
    log_group: logs.ILogGroup
