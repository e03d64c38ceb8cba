"""The dashboard of a cluster, as the JSON of CloudWatch. Pure.

Format: Amazon CloudWatch API Reference, "Dashboard body structure and syntax".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

from cdk_airflow_ecs.binding import MetricSource
from cdk_airflow_ecs.capacity.queue_scaling import NAMESPACE, TASKS
from cdk_airflow_ecs.monitoring.alarm import Metric
from cdk_airflow_ecs.monitoring.monitored import MonitoredCluster

Widget: TypeAlias = dict[str, Any]
# A line of a graph: the metric and its label.
Line: TypeAlias = tuple[Metric, str]

_COLUMNS: Final = 24
_HEIGHT: Final = 6
_TITLE_HEIGHT: Final = 1
_ALARMS_PER_LINE: Final = 6


def dashboard_body(cluster: MonitoredCluster, alarm_arns: Sequence[str]) -> dict[str, object]:
    """Return the body of the dashboard: one row per question of an engineer on call."""
    rows = [
        ("Is it up?", [_alarms(alarm_arns)]),
        ("", _up(cluster)),
        ("Are tasks moving?", _moving(cluster)),
        ("Database", _database(cluster)),
        ("Broker", _broker(cluster)),
        ("Components", _components(cluster)),
    ]
    widgets = [_text(_links(cluster), height=3)]
    top = 3
    for title, row in rows:
        if not row:
            continue
        if title:
            widgets.append({**_text(f"## {title}", height=_TITLE_HEIGHT), "y": top})
            top += _TITLE_HEIGHT
        height = row[0].get("height", _HEIGHT)
        edges = [_COLUMNS * number // len(row) for number in range(len(row) + 1)]
        widgets += [
            {**widget, "x": left, "y": top, "width": right - left, "height": height}
            for widget, (left, right) in zip(row, pairwise(edges), strict=True)
        ]
        top += height
    return {"start": "-PT3H", "periodOverride": "inherit", "widgets": widgets}


def _alarms(arns: Sequence[str]) -> Widget:
    height = 2 + -(-len(arns) // _ALARMS_PER_LINE)
    return {"type": "alarm", "height": height, "properties": {"title": "Alarms", "alarms": list(arns)}}


def _up(cluster: MonitoredCluster) -> list[Widget]:
    balancer = MetricSource("AWS/ApplicationELB", {"LoadBalancer": cluster.load_balancer})
    targets = MetricSource("AWS/ApplicationELB", {"TargetGroup": cluster.target_group, **balancer.dimensions})
    return [
        _graph(
            cluster,
            "API servers",
            [
                (Metric.of(targets, "HealthyHostCount", "Maximum"), "healthy"),
                (Metric.of(targets, "UnHealthyHostCount", "Maximum"), "unhealthy"),
            ],
        ),
        _graph(
            cluster,
            "Requests and errors each minute",
            [
                (Metric.of(targets, "RequestCount", "Sum"), "requests"),
                (Metric.of(targets, "HTTPCode_Target_5XX_Count", "Sum"), "errors of Airflow (5xx)"),
                (Metric.of(balancer, "HTTPCode_ELB_5XX_Count", "Sum"), "errors of the load balancer (5xx)"),
            ],
            right={"requests"},
        ),
        _graph(
            cluster,
            "Response time in seconds",
            [(Metric.of(targets, "TargetResponseTime", stat), stat) for stat in ("p50", "p99")],
        ),
    ]


def _moving(cluster: MonitoredCluster) -> list[Widget]:
    workers = [service for service in cluster.services if service.component.startswith("Pools/")]
    queues = [source for source in cluster.broker if "ApproximateAgeOfOldestMessage" in source.limits]
    scaled = [service.pool for service in cluster.services if service.pool is not None]
    row = []
    if scaled:
        pools = [(MetricSource(NAMESPACE, {"Cluster": cluster.ecs_cluster, "Pool": pool}), pool) for pool in scaled]
        counts = [(Metric.of(source, TASKS, "Maximum"), pool) for source, pool in pools]
        row.append(_graph(cluster, "Queued and running tasks", counts))
    for title, metric in (("Commands that wait", "Visible"), ("Commands that run", "NotVisible")):
        if queues:
            row.append(_graph(cluster, title, _lines(queues, f"ApproximateNumberOfMessages{metric}")))
    if workers:
        row.append(
            _graph(
                cluster,
                "CPU of workers in percent",
                [(Metric.of(_ecs(cluster, each.service), "CPUUtilization"), each.component) for each in workers],
            )
        )
    starts = MetricSource("AWS/Events", {"RuleName": cluster.failed_starts})
    row.append(
        _graph(
            cluster,
            "Tasks that ECS could not start, in 5 minutes",
            [(Metric.of(starts, "Invocations", "Sum", 300), "tasks")],
        )
    )
    return row


def _database(cluster: MonitoredCluster) -> list[Widget]:
    return [
        widget
        for source in cluster.database
        if source.namespace == "AWS/RDS"
        for widget in (
            _graph(cluster, "CPU in percent", [(Metric.of(source, "CPUUtilization"), "CPU")], {"limit": 100}),
            _graph(
                cluster,
                "Connections",
                [(Metric.of(source, "DatabaseConnections", "Maximum"), "open")],
                {"accepted": source.limits.get("DatabaseConnections"), "Airflow's most": cluster.connections},
            ),
            _graph(
                cluster,
                "Free memory and disk in bytes",
                [
                    (Metric.of(source, metric, "Minimum"), label)
                    for metric, label in (("FreeableMemory", "memory"), ("FreeStorageSpace", "disk"))
                    if label == "memory" or metric in source.limits
                ],
                right={"disk"},
            ),
            _graph(
                cluster,
                "Latency in seconds",
                [(Metric.of(source, f"{way}Latency"), way.lower()) for way in ("Read", "Write")],
            ),
        )
    ]


def _broker(cluster: MonitoredCluster) -> list[Widget]:
    nodes = [source for source in cluster.broker if source.namespace == "AWS/ElastiCache"]
    queues = [source for source in cluster.broker if "ApproximateAgeOfOldestMessage" in source.limits]
    dead = [source for source in cluster.broker if "ApproximateNumberOfMessagesVisible" in source.limits]
    graphs = {
        "Memory in percent": _lines(nodes, "DatabaseMemoryUsagePercentage"),
        "CPU in percent": _lines(nodes, "EngineCPUUtilization"),
        "Connections": _lines(nodes, "CurrConnections"),
        "Age of the oldest command in seconds": _lines(queues, "ApproximateAgeOfOldestMessage"),
        "Dead letters": _lines(dead, "ApproximateNumberOfMessagesVisible"),
    }
    return [_graph(cluster, title, lines) for title, lines in graphs.items() if lines]


def _components(cluster: MonitoredCluster) -> list[Widget]:
    def lines(metric: str, *, namespace: str = "AWS/ECS") -> list[Line]:
        return [
            (Metric.of(_ecs(cluster, service.service, namespace), metric, "Maximum"), service.component)
            for service in cluster.services
        ]

    row = [
        _graph(cluster, "CPU of the busiest task in percent", lines("CPUUtilization")),
        _graph(cluster, "Memory of the largest task in percent", lines("MemoryUtilization")),
    ]
    if cluster.container_insights:
        running = lines("RunningTaskCount", namespace="ECS/ContainerInsights")
        row.insert(0, _graph(cluster, "Running tasks", running))
    return row


def _lines(sources: Iterable[MetricSource], metric: str) -> list[Line]:
    return [(Metric.of(source, metric, "Maximum"), source.label) for source in sources]


def _ecs(cluster: MonitoredCluster, service: str, namespace: str = "AWS/ECS") -> MetricSource:
    return MetricSource(namespace, {"ClusterName": cluster.ecs_cluster, "ServiceName": service})


def _graph(
    cluster: MonitoredCluster,
    title: str,
    lines: Iterable[Line],
    marks: Mapping[str, float | None] | None = None,
    *,
    right: Collection[str] = (),
) -> Widget:
    """Return a graph of *lines* from zero, with *marks* as horizontal lines. Labels in *right* use the right axis."""
    known = [{"label": label, "value": value} for label, value in (marks or {}).items() if value is not None]
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": cluster.region,
            "view": "timeSeries",
            "metrics": [
                [
                    metric.namespace,
                    metric.name,
                    *(part for pair in metric.dimensions.items() for part in pair),
                    {
                        "label": f"{label} (right axis)" if label in right else label,
                        "stat": metric.statistic,
                        "period": metric.period_seconds,
                        **({"yAxis": "right"} if label in right else {}),
                    },
                ]
                for metric, label in lines
            ],
            "yAxis": {"left": {"min": 0}, "right": {"min": 0}},
            **({"annotations": {"horizontal": known}} if known else {}),
        },
    }


def _text(markdown: str, *, height: int) -> Widget:
    return {
        "type": "text",
        "x": 0,
        "y": 0,
        "width": _COLUMNS,
        "height": height,
        "properties": {"markdown": markdown},
    }


def _links(cluster: MonitoredCluster) -> str:
    """Return links to services and logs in the console of the standard partition."""
    console, region = f"https://{cluster.region}.console.aws.amazon.com", cluster.region

    def log(name: str) -> str:
        return f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{name}"

    links = {
        "Services and their events": f"{console}/ecs/v2/clusters/{cluster.ecs_cluster}/services?region={region}",
        "Logs of containers": log(cluster.log_group),
        "Logs of the migration's function": log(cluster.gate_logs),
    }
    for source in cluster.database:
        for dimension, kind in (("DBInstanceIdentifier", "instance"), ("DBClusterIdentifier", "cluster")):
            if name := source.dimensions.get(dimension):
                links["Logs of the database"] = log(f"$252Faws$252Frds$252F{kind}$252F{name}$252Fpostgresql")
    shown = " · ".join(f"[{title}]({link})" for title, link in links.items())
    return f"# Airflow\n{shown}\n\nThe runbook is docs/guides/operate/alarms.md of cdk-airflow-ecs."
