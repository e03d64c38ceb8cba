"""The parts of a cluster that alarms and dashboard are about, as data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cdk_airflow_ecs.binding import MetricSource


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoredService:
    """One ECS service.

    Args:
        component: component name, such as "Pools/default".
        path: path of the component in the construct tree.
        service: name of the ECS service.
        minimum: the least number of tasks that it should have; None if unknown.
        pool: name of the worker pool, if it has QueueScaling, which publishes its tasks.
    """

    component: str
    path: str
    service: str
    minimum: int | None
    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoredCluster:
    """Names and limits of a cluster's parts. Names may be tokens.

    Args:
        region: the region.
        ecs_cluster: name of the ECS cluster.
        services: the ECS services.
        web: name of the component behind the load balancer.
        load_balancer: the load balancer's dimension value.
        target_group: the target group's dimension value.
        certificate: ARN of the certificate in ACM, if any.
        database: metrics of the database.
        connections: the most connections that Airflow opens to the database; None if unknown.
        broker: metrics of the Celery broker.
        container_insights: whether Container Insights is on.
        queued_timeout_seconds: time after which Airflow fails queued tasks.
        gate_function: name of the gate's function.
        gate_logs: log group of the gate's function.
        lost_calls: name of the queue of calls that Lambda could not deliver to the function.
        failed_migrations: name of the metric of failed migrations.
        failed_starts: name of the event rule of tasks that could not start.
        log_group: log group of containers.
    """

    region: str
    ecs_cluster: str
    services: tuple[MonitoredService, ...]
    web: str
    load_balancer: str
    target_group: str
    certificate: str | None
    database: Sequence[MetricSource]
    connections: int | None
    broker: Sequence[MetricSource]
    container_insights: bool
    queued_timeout_seconds: int
    gate_function: str
    gate_logs: str
    lost_calls: str
    failed_migrations: str
    failed_starts: str
    log_group: str
