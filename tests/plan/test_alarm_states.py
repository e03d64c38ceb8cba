"""The states of alarms for given metrics, by the local runner's evaluation of CloudWatch alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from monitored import CLUSTER, DEAD, QUEUE

from cdk_airflow_ecs.local.scaling.alarms import Alarm as Evaluated
from cdk_airflow_ecs.local.scaling.alarms import evaluate
from cdk_airflow_ecs.local.scaling.metrics import Metric, Sample
from cdk_airflow_ecs.local.scaling.queries import Query
from cdk_airflow_ecs.monitoring.alarms import plan_alarms
from cdk_airflow_ecs.monitoring.resources import OPERATORS

NOW = 1_000 * 86_400
WITH_SQS = replace(CLUSTER, broker=[*CLUSTER.broker, QUEUE, DEAD])
WITHOUT_INSIGHTS = replace(CLUSTER, container_insights=False)


def state(kind, data, cluster=WITH_SQS):
    """Return the state of the first alarm of *kind*; *data* has values per minute by metric, the last one newest.

    With two metrics of one name, such as two nodes, "Name/0" and "Name/1" are theirs.
    """
    alarm = next(alarm for alarm in plan_alarms(cluster) if alarm.kind == kind)
    metrics = [Metric(each.namespace, each.name, frozenset(each.dimensions.items())) for each in alarm.metrics]
    names = [metric.name for metric in metrics]
    keys = [f"{name}/{place}" if names.count(name) > 1 else name for place, name in enumerate(names)]
    assert data.keys() <= set(keys)
    given = dict(zip(metrics, (data.get(key, ()) for key in keys), strict=True))

    def samples(metric, _):
        values = given[metric]
        return [
            Sample.of(NOW - 60 * (len(values) - place), value)
            for place, value in enumerate(values)
            if value is not None
        ]

    queries = [
        Query(id=f"m{number}", metric=metric, statistic=each.statistic, period=each.period_seconds, is_returned=False)
        for number, (metric, each) in enumerate(zip(metrics, alarm.metrics, strict=True), 1)
    ]
    result = Query(id="value", expression=alarm.expression or "m1", period=queries[0].period)
    evaluated = Evaluated(
        name=kind,
        queries=(*queries, result),
        comparison=OPERATORS[alarm.comparison],
        threshold=alarm.threshold,
        periods=alarm.periods,
        to_alarm=alarm.periods,
        missing=alarm.missing,
    )
    return evaluate(evaluated, evaluated.values(samples, NOW), "OK").state


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("ApiDown", {}, "ALARM"),
        ("ApiDown", {"HealthyHostCount": [1] * 20 + [0] * 4}, "OK"),
        ("ApiDown", {"HealthyHostCount": [1] * 20 + [0] * 5}, "ALARM"),
        ("UnhealthyTargets", {"UnHealthyHostCount": [0] * 20 + [1] * 9}, "OK"),
        ("UnhealthyTargets", {"UnHealthyHostCount": [0] * 20 + [1] * 10}, "ALARM"),
        ("ApiErrors", {}, "OK"),
        ("ApiErrors", {"HTTPCode_ELB_5XX_Count": [2] * 10}, "ALARM"),
        ("ApiErrors", {"HTTPCode_Target_5XX_Count": [1] * 10, "HTTPCode_ELB_5XX_Count": [1] * 10}, "ALARM"),
        ("ApiErrors", {"HTTPCode_Target_5XX_Count": [100] + [None] * 5}, "OK"),
        ("TooFewTasks", {}, "INSUFFICIENT_DATA"),
        ("TooFewTasks", {"DesiredTaskCount": [2] * 20, "RunningTaskCount": [2] * 20}, "OK"),
        ("TooFewTasks", {"DesiredTaskCount": [2] * 20, "RunningTaskCount": [2] * 11 + [1] * 9}, "OK"),
        ("TooFewTasks", {"DesiredTaskCount": [2] * 20, "RunningTaskCount": [2] * 10 + [1] * 10}, "ALARM"),
        ("TooFewTasks", {"DesiredTaskCount": [2] * 20}, "ALARM"),
        ("TooFewTasks", {"DesiredTaskCount": [0] * 20, "RunningTaskCount": [0] * 20}, "OK"),
        ("QueueMetricMissing", {"RequiredWorkers": [0] * 20}, "OK"),
        ("QueueMetricMissing", {"RequiredWorkers": [0] * 20 + [None] * 13}, "OK"),
        ("QueueMetricMissing", {"RequiredWorkers": [0] * 20 + [None] * 18}, "ALARM"),
        ("FailedStarts", {"Invocations": [2]}, "OK"),
        ("FailedStarts", {"Invocations": [1, 0, 0, 1, 1]}, "ALARM"),
        ("QueueBacklog", {}, "OK"),
        ("QueueBacklog", {"ApproximateNumberOfMessagesVisible": [9] * 60}, "ALARM"),
        ("QueueBacklog", {"ApproximateNumberOfMessagesVisible": [9] * 40 + [0] + [9] * 19}, "OK"),
        ("OldestMessage", {"ApproximateAgeOfOldestMessage": [10 * 3600] * 9}, "OK"),
        ("OldestMessage", {"ApproximateAgeOfOldestMessage": [11 * 3600] * 5}, "ALARM"),
        ("DeadLetters", {"ApproximateNumberOfMessagesVisible": [0] * 9}, "OK"),
        ("DeadLetters", {"ApproximateNumberOfMessagesVisible": [0] * 9 + [1]}, "ALARM"),
        ("DatabaseCpu", {"CPUUtilization": [100] * 14 + [0] * 5}, "OK"),
        ("DatabaseCpu", {"CPUUtilization": [95] * 15}, "ALARM"),
        ("DatabaseConnections", {"DatabaseConnections": [159] * 20}, "OK"),
        ("DatabaseConnections", {"DatabaseConnections": [160] * 20}, "ALARM"),
        ("DatabaseStorage", {"FreeStorageSpace": [5 * 2**30] * 20}, "OK"),
        ("DatabaseStorage", {"FreeStorageSpace": [5 * 2**30 - 1] * 20}, "ALARM"),
        (
            "BrokerMemory",
            {"DatabaseMemoryUsagePercentage/0": [10] * 20, "DatabaseMemoryUsagePercentage/1": [9] * 20},
            "OK",
        ),
        ("BrokerMemory", {"DatabaseMemoryUsagePercentage/1": [80] * 20}, "ALARM"),
        ("BrokerEvictions", {"Evictions/0": [0] * 5, "Evictions/1": [0, 0, 3, 0, 0]}, "ALARM"),
        ("MigrationFailed", {}, "OK"),
        ("MigrationFailed", {"FailedMigrations-airflow": [1]}, "ALARM"),
        ("GateErrors", {"Errors": [0] * 5}, "OK"),
        ("GateErrors", {"Errors": [1]}, "ALARM"),
        ("LostGateCalls", {"ApproximateNumberOfMessagesVisible": [1]}, "ALARM"),
        ("CertificateExpiry", {}, "INSUFFICIENT_DATA"),
        ("CertificateExpiry", {"DaysToExpiry": [30] * 720}, "OK"),
        ("CertificateExpiry", {"DaysToExpiry": [29] * 720}, "ALARM"),
    ],
)
def test_state(kind, data, expected):
    """The alarm is in the expected state for the newest metrics."""
    assert state(kind, data) == expected


def test_a_service_without_container_insights():
    """A service that reports its CPU runs; one without data for ten minutes does not."""
    assert state("TooFewTasks", {"CPUUtilization": [0.1] * 20}, WITHOUT_INSIGHTS) == "OK"
    assert state("TooFewTasks", {"CPUUtilization": [0.1] * 20 + [None] * 13}, WITHOUT_INSIGHTS) == "ALARM"
