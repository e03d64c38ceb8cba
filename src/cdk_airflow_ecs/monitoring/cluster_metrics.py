"""The ``metric_*`` methods of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.binding import MetricSource
from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE, TASKS, QueueScaling, pool_name

if TYPE_CHECKING:
    from aws_cdk import aws_cloudwatch as cloudwatch

    from cdk_airflow_ecs.monitoring.observed import ObservedCluster
    from cdk_airflow_ecs.plan import ClusterPlan


class ClusterMetrics:
    """CloudWatch metrics of a cluster, for your own alarms and dashboards.

    Each method accepts ``statistic=``, such as "Maximum", and ``period=``; the default is one minute.

    Raises:
        ValueError: if the cluster has no such metric, because of its database or broker.
    """

    _observed: ObservedCluster | None
    _plan: ClusterPlan

    def metric_queue_depth(
        self, queue: str = "default", *, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The number of commands that wait in *queue*, with ``SqsBroker()``."""
        queues = [each for each in self._sources("Broker", "AWS/SQS") if "ApproximateAgeOfOldestMessage" in each.limits]
        source = next((each for each in queues if each.label == queue), None)
        if source is None:
            known = ", ".join(each.label for each in queues)
            raise ValueError(
                f"metric_queue_depth: queue must be one of {known}, got {validation.shown(queue)}"
                if queues
                else "metric_queue_depth requires SqsBroker(), because ElastiCache has no metric of a queue's length"
            )
        return _metric(source, "ApproximateNumberOfMessagesVisible", statistic, period)

    def metric_tasks(
        self, pool: str = "default", *, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The number of queued and running tasks of a worker pool with ``QueueScaling(…)``."""
        components = [each for each in self._plan.components if isinstance(each.scaling, QueueScaling)]
        known = [pool_name(each.name) for each in components]
        if pool not in known:
            raise ValueError(
                f"metric_tasks: pool must be a worker pool with QueueScaling ({', '.join(known) or 'there is none'}),"
                f" got {validation.shown(pool)}"
            )
        source = MetricSource(NAMESPACE, {"Cluster": self._cluster.ecs_cluster, "Pool": pool})
        return _metric(source, TASKS, statistic, period)

    def metric_database_connections(
        self, *, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The number of open connections to the database, with ``RdsDatabase()`` or ``AuroraDatabase()``."""
        return _metric(self._source("metric_database_connections"), "DatabaseConnections", statistic, period)

    def metric_database_cpu(self, *, statistic: str = "Average", period: Duration | None = None) -> cloudwatch.Metric:
        """The CPU utilization of the database in percent, with ``RdsDatabase()`` or ``AuroraDatabase()``."""
        return _metric(self._source("metric_database_cpu"), "CPUUtilization", statistic, period)

    def metric_database_free_storage(
        self, *, statistic: str = "Minimum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The free disk space of the database in bytes, with ``RdsDatabase()``."""
        source = self._source("metric_database_free_storage")
        if "FreeStorageSpace" not in source.limits:
            raise ValueError("metric_database_free_storage requires RdsDatabase(): Aurora has no disk of a fixed size")
        return _metric(source, "FreeStorageSpace", statistic, period)

    def metric_broker_memory(
        self, *, node: int = 1, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The memory utilization of a node of ``RedisBroker()`` in percent; nodes are numbered from 1."""
        nodes = self._sources("Broker", "AWS/ElastiCache")
        if not nodes:
            raise ValueError("metric_broker_memory requires RedisBroker()")
        validation.integer("metric_broker_memory node", node, 1, len(nodes))
        return _metric(nodes[node - 1], "DatabaseMemoryUsagePercentage", statistic, period)

    def metric_healthy_hosts(self, *, statistic: str = "Minimum", period: Duration | None = None) -> cloudwatch.Metric:
        """The number of API servers that pass the load balancer's health check."""
        return self._target("HealthyHostCount", statistic, period)

    def metric_unhealthy_hosts(
        self, *, statistic: str = "Maximum", period: Duration | None = None
    ) -> cloudwatch.Metric:
        """The number of API servers that fail the load balancer's health check."""
        return self._target("UnHealthyHostCount", statistic, period)

    def metric_api_errors(self, *, statistic: str = "Sum", period: Duration | None = None) -> cloudwatch.Metric:
        """The number of server errors (5xx) that API servers return through the load balancer."""
        return self._target("HTTPCode_Target_5XX_Count", statistic, period)

    def _target(self, name: str, statistic: str, period: Duration | None) -> cloudwatch.Metric:
        group, balancer = self._cluster.target_group, self._cluster.load_balancer
        dimensions = {
            "TargetGroup": group.target_group_full_name,
            "LoadBalancer": balancer.load_balancer_full_name,
        }
        from aws_cdk import aws_cloudwatch as cloudwatch  # noqa: PLC0415 (slow to load, needed only here)

        return cloudwatch.Metric(
            namespace="AWS/ApplicationELB",
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=period or Duration.minutes(1),
        )

    def _source(self, method: str) -> MetricSource:
        found = self._sources("Database", "AWS/RDS")
        if not found:
            raise ValueError(f"{method} requires RdsDatabase() or AuroraDatabase()")
        return found[0]

    def _sources(self, resource: str, namespace: str) -> list[MetricSource]:
        bindings = self._cluster.resources
        metrics = bindings[resource].metrics if resource in bindings else ()
        return [source for source in metrics if source.namespace == namespace]

    @property
    def _cluster(self) -> ObservedCluster:
        if self._observed is None:
            raise RuntimeError("the cluster is not finished")
        return self._observed


def _metric(source: MetricSource, name: str, statistic: str, period: Duration | None) -> cloudwatch.Metric:
    from aws_cdk import aws_cloudwatch as cloudwatch  # noqa: PLC0415

    return cloudwatch.Metric(
        namespace=source.namespace,
        metric_name=name,
        dimensions_map=dict(source.dimensions),
        statistic=statistic,
        period=period or Duration.minutes(1),
    )
