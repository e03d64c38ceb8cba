"""The alarms of database and broker. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cdk_airflow_ecs.binding import MetricSource
from cdk_airflow_ecs.monitoring.alarm import Alarm, Metric
from cdk_airflow_ecs.monitoring.monitored import MonitoredCluster

# Shares of a limit at which alarms start.
_CPU, _CONNECTIONS, _MEMORY = 0.9, 0.8, 0.75
# RDS grows a disk when less than a tenth is free (Amazon RDS user guide, "Managing capacity automatically").
_FREE: Final = 0.05
# Of SQS's visibility timeout, after which another worker starts the command again.
_AGE: Final = 11 / 12
_STEP: Final = 300
_LONGEST_SECONDS: Final = 86_400


def database_alarms(cluster: MonitoredCluster) -> Iterator[Alarm]:
    """Yield the alarms of the database, about the metrics whose limits are known."""
    for source in cluster.database:
        if "CPUUtilization" in source.limits:
            yield Alarm(
                kind="DatabaseCpu",
                path="DatabaseCpu",
                meaning="The database is busy",
                metrics=(Metric.of(source, "CPUUtilization", period_seconds=_STEP),),
                threshold=source.limits["CPUUtilization"] * _CPU,
                periods=3,
            )
        limit = source.limits.get("DatabaseConnections")
        if source.namespace == "AWS/RDS" and (limit or cluster.connections):
            yield Alarm(
                kind="DatabaseConnections",
                path="DatabaseConnections",
                meaning=_connections(limit, cluster.connections),
                metrics=(Metric.of(source, "DatabaseConnections", "Maximum", _STEP),),
                threshold=int(limit * _CONNECTIONS) if limit else (cluster.connections or 0),
                periods=3,
            )
        if "FreeStorageSpace" in source.limits:
            yield Alarm(
                kind="DatabaseStorage",
                path="DatabaseStorage",
                meaning="The database's disk is nearly full, and RDS has not grown it",
                metrics=(Metric.of(source, "FreeStorageSpace", "Minimum", _STEP),),
                threshold=int(source.limits["FreeStorageSpace"] * _FREE),
                comparison="<",
                periods=3,
            )


def broker_alarms(cluster: MonitoredCluster) -> Iterator[Alarm]:
    """Yield the alarms of the Celery broker, about the metrics whose limits are known."""
    nodes = [source for source in cluster.broker if "DatabaseMemoryUsagePercentage" in source.limits]
    largest = "MAX(METRICS())" if len(nodes) > 1 else ""
    if nodes:
        yield Alarm(
            kind="BrokerMemory",
            path="BrokerMemory",
            meaning="The broker's memory is nearly full; a full broker accepts no tasks",
            metrics=tuple(Metric.of(node, "DatabaseMemoryUsagePercentage", "Maximum", _STEP) for node in nodes),
            expression=largest,
            threshold=nodes[0].limits["DatabaseMemoryUsagePercentage"] * _MEMORY,
            periods=3,
        )
        yield Alarm(
            kind="BrokerEvictions",
            path="BrokerEvictions",
            meaning="The broker deletes queued commands, although its policy is noeviction",
            metrics=tuple(Metric.of(node, "Evictions", "Sum", _STEP) for node in nodes),
            expression=largest,
            threshold=nodes[0].limits["Evictions"] + 1,
            periods=1,
        )
    for source in cluster.broker:
        if "ApproximateAgeOfOldestMessage" in source.limits:
            yield from _queue(cluster, source)
        if "ApproximateNumberOfMessagesVisible" in source.limits:
            yield Alarm(
                kind="DeadLetters",
                path="DeadLetters",
                meaning="The dead-letter queue has commands that no worker could finish",
                metrics=(Metric.of(source, "ApproximateNumberOfMessagesVisible", "Maximum", _STEP),),
                threshold=source.limits["ApproximateNumberOfMessagesVisible"] + 1,
                periods=1,
            )


def _queue(cluster: MonitoredCluster, queue: MetricSource) -> Iterator[Alarm]:
    waiting = min(cluster.queued_timeout_seconds, _LONGEST_SECONDS)
    yield Alarm(
        kind="QueueBacklog",
        path=f"Queues/{queue.label}/Backlog",
        meaning=f"Commands wait in the queue {queue.label} without a break; Airflow gives up on queued tasks",
        metrics=(Metric.of(queue, "ApproximateNumberOfMessagesVisible", "Minimum", _STEP),),
        threshold=1,
        periods=max(1, waiting // _STEP),
    )
    yield Alarm(
        kind="OldestMessage",
        path=f"Queues/{queue.label}/OldestMessage",
        meaning=f"A task of the queue {queue.label} nears 12 hours, at which SQS gives it to another worker",
        metrics=(Metric.of(queue, "ApproximateAgeOfOldestMessage", "Maximum", _STEP),),
        threshold=int(queue.limits["ApproximateAgeOfOldestMessage"] * _AGE),
        periods=1,
    )


def _connections(limit: float | None, most: int | None) -> str:
    accepted = f"; it accepts about {limit:.0f}" if limit else ""
    opened = f"; Airflow keeps at most {most} open" if most else ""
    return f"The database has many connections{accepted}{opened}"
