"""Alarms, dashboard and connections as data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from monitored import CLUSTER, DEAD, QUEUE, RDS

from cdk_airflow_ecs import (
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    EcsExecutor,
    ExternalScaling,
    LocalExecutor,
    Monitoring,
    QueueScaling,
    Service,
    WorkerPool,
)
from cdk_airflow_ecs.binding import MetricSource
from cdk_airflow_ecs.databases.max_connections import connections_of_class
from cdk_airflow_ecs.monitoring.alarms import plan_alarms
from cdk_airflow_ecs.monitoring.connections import most_connections
from cdk_airflow_ecs.monitoring.dashboard import dashboard_body
from cdk_airflow_ecs.testing import plan_of


def kinds(**changes):
    """Return the paths of the alarms of a changed cluster."""
    return {alarm.path for alarm in plan_alarms(replace(CLUSTER, **changes))}


def one(kind, **changes):
    """Return the only alarm of *kind*."""
    (alarm,) = [alarm for alarm in plan_alarms(replace(CLUSTER, **changes)) if alarm.kind == kind]
    return alarm


def test_every_alarm_has_its_own_path():
    """Two alarms never have one path, and each reads at least one metric."""
    alarms = plan_alarms(replace(CLUSTER, broker=[*CLUSTER.broker, QUEUE, DEAD]))
    assert len({alarm.path for alarm in alarms}) == len(alarms)
    assert all(alarm.metrics for alarm in alarms)


def test_an_alarm_of_several_metrics_has_an_expression():
    """Exactly the alarms with several metrics have metric math."""
    assert all((len(alarm.metrics) > 1) is bool(alarm.expression) for alarm in plan_alarms(CLUSTER))


def test_no_alarm_is_about_more_than_a_day():
    """CloudWatch accepts a day of periods."""
    alarms = plan_alarms(replace(CLUSTER, broker=[QUEUE], queued_timeout_seconds=10**7))
    assert max(alarm.minutes for alarm in alarms) == 1440


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"certificate": None}, {"CertificateExpiry"}),
        ({"certificate": "arn:aws:iam::123456789012:server-certificate/old"}, {"CertificateExpiry"}),
        ({"broker": []}, {"BrokerMemory", "BrokerEvictions"}),
        ({"database": []}, {"DatabaseCpu", "DatabaseConnections", "DatabaseStorage"}),
        ({"database": [replace(RDS, limits={"CPUUtilization": 100})]}, {"DatabaseStorage"}),
        (
            {"database": [replace(RDS, limits={"CPUUtilization": 100})], "connections": None},
            {"DatabaseConnections", "DatabaseStorage"},
        ),
        ({"database": [MetricSource("Acme/Mainframe", {})]}, {"DatabaseCpu", "DatabaseConnections", "DatabaseStorage"}),
        ({"container_insights": False}, {"Pools/default/TooFewTasks", "Pools/other/TooFewTasks"}),
    ],
)
def test_no_alarm_without_its_metric(changes, lost):
    """An alarm whose metric or limit is missing does not exist; the others do."""
    assert kinds() - kinds(**changes) == lost


def test_alarms_of_sqs():
    """Each queue has two alarms, the dead-letter queue one."""
    found = kinds(broker=[QUEUE, replace(QUEUE, label="heavy"), DEAD]) - kinds(broker=[])
    assert found == {
        *("Queues/default/Backlog", "Queues/default/OldestMessage"),
        *("Queues/heavy/Backlog", "Queues/heavy/OldestMessage"),
        "DeadLetters",
    }


def test_thresholds_follow_the_configuration():
    """Thresholds are shares of the limits."""
    sqs = {"broker": [QUEUE, DEAD], "queued_timeout_seconds": 3600}
    assert one("DatabaseConnections").threshold == 160
    assert one("DatabaseConnections", database=[replace(RDS, limits={})]).threshold == 90
    assert one("DatabaseStorage").threshold == 5 * 2**30
    assert one("DatabaseCpu").threshold == 90
    assert one("OldestMessage", **sqs).threshold == 11 * 3600
    assert one("QueueBacklog", **sqs).minutes == 60


def test_a_service_without_tasks():
    """Container Insights compares running and desired tasks; without it, a service must report its CPU."""
    counted = next(alarm for alarm in plan_alarms(CLUSTER) if alarm.kind == "TooFewTasks")
    assert [metric.name for metric in counted.metrics] == ["DesiredTaskCount", "RunningTaskCount"]
    silent = one("TooFewTasks", container_insights=False)
    assert (silent.metrics[0].name, silent.missing, silent.threshold) == ("CPUUtilization", "breaching", 0)
    assert silent.comparison == "<"


def test_the_layout_of_the_dashboard():
    """Widgets are inside the grid and do not overlap."""
    body = dashboard_body(replace(CLUSTER, broker=[*CLUSTER.broker, QUEUE, DEAD]), ["arn:1"])
    cells = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))


def test_rows_of_the_dashboard():
    """A cluster without broker has no such row, and a graph has at least one line."""
    titles = lambda body: [w["properties"].get("markdown", "") for w in body["widgets"] if w["type"] == "text"]  # noqa: E731
    body = dashboard_body(CLUSTER, ["arn:1"])
    assert titles(body)[1:] == ["## Is it up?", "## Are tasks moving?", "## Database", "## Broker", "## Components"]
    assert all(w["properties"]["metrics"] for w in body["widgets"] if w["type"] == "metric")
    assert "## Broker" not in titles(dashboard_body(replace(CLUSTER, broker=[]), []))


def test_the_graph_of_connections_shows_both_limits():
    """The engineer sees how near the database is to its limit."""
    body = dashboard_body(CLUSTER, [])
    (graph,) = [w["properties"] for w in body["widgets"] if w["properties"].get("title") == "Connections"][:1]
    assert [each["value"] for each in graph["annotations"]["horizontal"]] == [200, 90]


V2, V3 = {"version": AirflowVersion.V2_11}, {"version": AirflowVersion.V3_3}
POOL = CeleryExecutor(pools=[WorkerPool("default", concurrency=6, count=2)])


@pytest.mark.parametrize(
    ("arguments", "connections"),
    [
        # API server 2 containers with two pools each, three other components.
        (V3, 2 * 30 + 3 * 15),
        ({**V3, "services": {"ApiServer": Service(count=2)}}, 4 * 30 + 3 * 15),
        ({**V3, "config": {"database": {"sql_alchemy_pool_size": "10", "sql_alchemy_max_overflow": "0"}}}, 4 * 10 + 30),
        ({**V3, "config": {"database": {"sql_alchemy_max_overflow": "-1"}}}, None),
        ({**V3, "services": {"Scheduler": Service(scaling=ExternalScaling())}}, None),
        (
            {**V3, "executor": CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())])},
            2 * 30 + 3 * 15 + 1,
        ),
        ({**V2, "executor": POOL}, 4 * 15 + 2 * 6 * 2),
        ({**V2, "executor": LocalExecutor(parallelism=10)}, 4 * 15 + 2 * 10),
        ({**V2, "executor": EcsExecutor(), "config": {"core": {"parallelism": "8"}}}, 4 * 15 + 2 * 8),
    ],
)
def test_most_connections(arguments, connections):
    """The pools of all processes, and the tasks of Airflow 2."""
    assert most_connections(plan_of(**arguments).components, major=arguments["version"].major) == connections


@pytest.mark.parametrize(
    ("instance_class", "low", "high"),
    [
        # Documented or measured values; alarms start at 80 % of the estimate.
        ("db.t4g.small", 170, 198),
        ("db.t4g.medium", 360, 413),
        ("db.m7g.large", 700, 901),
        ("db.r6gd.16xlarge", 5000, 5000),
    ],
)
def test_connections_of_a_class(instance_class, low, high):
    """The estimate is not above the real limit, and at least 80 % of it."""
    assert low <= connections_of_class(instance_class) <= high


@pytest.mark.parametrize("instance_class", ["db.x2g.large", "db.m7g.micro", "db.r6g.medium", "db.serverless"])
def test_connections_of_an_unknown_class(instance_class):
    """Other classes have no estimate."""
    assert connections_of_class(instance_class) is None


def test_connections_of_aurora():
    """The estimates are not above the documented limits, and at least 80 % of them."""
    for capacity, documented in ((1, 189), (4, 823), (8, 1669), (64, 2000)):
        limit = AuroraDatabase(max_capacity=capacity)._limits()["DatabaseConnections"]
        assert documented * 0.8 <= limit <= documented


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Monitoring(alarm_topic="arn:aws:sns:eu-west-1:123456789012:x"), "sns.ITopic"),
        (lambda: Monitoring(dashboard=None), "True or False"),
        (lambda: plan_of(monitoring=True), "Monitoring"),
    ],
)
def test_wrong_arguments(make, message):
    """Errors name what is accepted."""
    with pytest.raises(ValueError, match=message):
        make()
