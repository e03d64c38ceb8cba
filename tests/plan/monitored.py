"""A cluster as alarms and dashboard see it."""

from __future__ import annotations

from cdk_airflow_ecs.binding import MetricSource
from cdk_airflow_ecs.monitoring.monitored import MonitoredCluster, MonitoredService

NODE = {"DatabaseMemoryUsagePercentage": 100, "Evictions": 0}
RDS = MetricSource(
    "AWS/RDS",
    {"DBInstanceIdentifier": "db"},
    limits={"CPUUtilization": 100, "FreeStorageSpace": 100 * 2**30, "DatabaseConnections": 200},
)
QUEUE = MetricSource("AWS/SQS", {"QueueName": "q"}, limits={"ApproximateAgeOfOldestMessage": 43200}, label="default")
DEAD = MetricSource("AWS/SQS", {"QueueName": "d"}, limits={"ApproximateNumberOfMessagesVisible": 0}, label="dead")
CLUSTER = MonitoredCluster(
    region="eu-central-1",
    ecs_cluster="airflow",
    services=(
        MonitoredService(component="Scheduler", path="Components/Scheduler", service="scheduler", minimum=1),
        MonitoredService(component="Pools/default", path="Pools/default", service="workers", minimum=0, pool="default"),
        MonitoredService(component="Pools/other", path="Pools/other", service="others", minimum=None),
    ),
    web="ApiServer",
    load_balancer="app/airflow/1",
    target_group="targetgroup/airflow/1",
    certificate="arn:aws:acm:eu-central-1:123456789012:certificate/1",
    database=[RDS],
    connections=90,
    broker=[
        MetricSource("AWS/ElastiCache", {"CacheClusterId": f"cache-{number}"}, limits=NODE, label=number)
        for number in ("001", "002")
    ],
    container_insights=True,
    queued_timeout_seconds=1800,
    gate_function="gate",
    gate_logs="gate-logs",
    lost_calls="lost",
    failed_migrations="FailedMigrations-airflow",
    failed_starts="rule",
    log_group="logs",
)
