"""The alarms of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE, REQUIRED_WORKERS
from cdk_airflow_ecs.monitoring.alarm import Alarm, Metric
from cdk_airflow_ecs.monitoring.monitored import MonitoredCluster, MonitoredService
from cdk_airflow_ecs.monitoring.store_alarms import broker_alarms, database_alarms
from cdk_airflow_ecs.tokens import is_token

_DAY: Final = 86_400
# ACM renews 60 days before a certificate expires (AWS Certificate Manager user guide, "Managed renewal").
_EXPIRES_DAYS: Final = 30


def plan_alarms(cluster: MonitoredCluster) -> tuple[Alarm, ...]:
    """Return the alarms of *cluster*."""
    return (
        *_web(cluster),
        *(alarm for service in cluster.services for alarm in _service(cluster, service)),
        *(alarm for service in cluster.services for alarm in _queue_metric(cluster, service)),
        _failed_starts(cluster),
        *broker_alarms(cluster),
        *database_alarms(cluster),
        *_gate(cluster),
        *_certificate(cluster),
    )


def _web(cluster: MonitoredCluster) -> Iterator[Alarm]:
    """Alarms of the load balancer. They exist after its service, or the first deploy would start them."""
    balancer = {"LoadBalancer": cluster.load_balancer}
    targets = {"TargetGroup": cluster.target_group, **balancer}
    healthy, unhealthy = (
        Metric(namespace="AWS/ApplicationELB", name=name, dimensions=targets, statistic="Maximum")
        for name in ("HealthyHostCount", "UnHealthyHostCount")
    )
    errors = tuple(
        Metric(namespace="AWS/ApplicationELB", name=name, dimensions=where, statistic="Sum", period_seconds=300)
        for name, where in (("HTTPCode_Target_5XX_Count", targets), ("HTTPCode_ELB_5XX_Count", balancer))
    )
    yield Alarm(
        kind="ApiDown",
        path="ApiDown",
        meaning="The load balancer has no healthy API server: UI and API do not work",
        metrics=(healthy,),
        threshold=1,
        comparison="<",
        periods=5,
        # Without registered targets there is no data.
        missing="breaching",
        after=cluster.web,
    )
    yield Alarm(
        kind="UnhealthyTargets",
        path="UnhealthyTargets",
        meaning="An API server fails its health checks, and ECS does not replace it successfully",
        metrics=(unhealthy,),
        threshold=1,
        periods=10,
        after=cluster.web,
    )
    yield Alarm(
        kind="ApiErrors",
        path="ApiErrors",
        meaning="UI and API return errors (5xx)",
        metrics=errors,
        # Metrics without errors have no data, which SUM ignores.
        expression="SUM(METRICS())",
        threshold=10,
        periods=2,
        after=cluster.web,
    )


def _service(cluster: MonitoredCluster, service: MonitoredService) -> Iterator[Alarm]:
    """The alarm about missing tasks. Only Container Insights have the number of tasks.

    Without them, ECS publishes no metrics for a service without running tasks (Amazon ECS developer guide, "Amazon ECS
    CloudWatch metrics").
    """
    dimensions = {"ClusterName": cluster.ecs_cluster, "ServiceName": service.service}
    path = f"{service.path}/TooFewTasks"
    if cluster.container_insights:
        desired, running = (
            Metric(namespace="ECS/ContainerInsights", name=f"{which}TaskCount", dimensions=dimensions)
            for which in ("Desired", "Running")
        )
        yield Alarm(
            kind="TooFewTasks",
            path=path,
            meaning=f"{service.component} has fewer running tasks than desired",
            metrics=(desired, running),
            expression="m1 - FILL(m2, 0)",
            threshold=1,
            periods=10,
            missing="missing",
        )
    elif service.minimum:
        yield Alarm(
            kind="TooFewTasks",
            path=path,
            meaning=f"{service.component} has no running task",
            metrics=(Metric(namespace="AWS/ECS", name="CPUUtilization", dimensions=dimensions),),
            threshold=0,
            comparison="<",
            periods=10,
            missing="breaching",
        )


def _queue_metric(cluster: MonitoredCluster, service: MonitoredService) -> Iterator[Alarm]:
    """The alarm about a missing queue metric. ECS does not restart a container that ends within its first minute."""
    if service.pool is not None:
        dimensions = {"Cluster": cluster.ecs_cluster, "Pool": service.pool}
        yield Alarm(
            kind="QueueMetricMissing",
            path=f"{service.path}/QueueMetricMissing",
            meaning=f"{service.component} does not scale, because its number of queued tasks is not published",
            metrics=(
                Metric(namespace=NAMESPACE, name=REQUIRED_WORKERS, dimensions=dimensions, statistic="SampleCount"),
            ),
            threshold=1,
            comparison="<",
            periods=15,
            missing="breaching",
        )


def _failed_starts(cluster: MonitoredCluster) -> Alarm:
    return Alarm(
        kind="FailedStarts",
        path="FailedStarts/Alarm",
        meaning="ECS cannot start tasks",
        metrics=(
            Metric(
                namespace="AWS/Events",
                name="Invocations",
                dimensions={"RuleName": cluster.failed_starts},
                statistic="Sum",
                period_seconds=900,
            ),
        ),
        threshold=3,
        periods=1,
    )


def _gate(cluster: MonitoredCluster) -> Iterator[Alarm]:
    for kind, meaning, namespace, name, dimensions, statistic in (
        (
            "MigrationFailed",
            "The migration of the database failed, and so did the deploy",
            NAMESPACE,
            cluster.failed_migrations,
            {},
            "Sum",
        ),
        (
            "GateErrors",
            "The function that runs the migration failed",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": cluster.gate_function},
            "Sum",
        ),
        (
            "LostGateCalls",
            "Lambda could not continue the function that runs the migration",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": cluster.lost_calls},
            "Maximum",
        ),
    ):
        metric = Metric(namespace=namespace, name=name, dimensions=dimensions, statistic=statistic, period_seconds=300)
        yield Alarm(kind=kind, path=kind, meaning=meaning, metrics=(metric,), threshold=1, periods=1)


def _certificate(cluster: MonitoredCluster) -> Iterator[Alarm]:
    """The alarm about the certificate. Only ACM has this metric, not IAM."""
    arn = cluster.certificate
    if arn is None or (not is_token(arn) and ":acm:" not in arn):
        return
    expiry = Metric(
        namespace="AWS/CertificateManager",
        name="DaysToExpiry",
        dimensions={"CertificateArn": arn},
        statistic="Minimum",
        period_seconds=_DAY,
    )
    yield Alarm(
        kind="CertificateExpiry",
        path="CertificateExpiry",
        meaning="The certificate expires soon, and ACM has not renewed it",
        metrics=(expiry,),
        threshold=_EXPIRES_DAYS,
        comparison="<",
        periods=1,
        missing="missing",
    )
