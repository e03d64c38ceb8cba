"""docs/guides/operate/alarms.md has exactly the alarms of clusters, with their thresholds and prices."""

from __future__ import annotations

import re

import pytest
from aws_cdk import aws_certificatemanager as acm
from costs import ALARM, DASHBOARD, alarm_metrics
from pages import page, table

from cdk_airflow_ecs import (
    AuroraDatabase,
    CeleryExecutor,
    Monitoring,
    QueueScaling,
    RdsDatabase,
    SqsBroker,
    Web,
    WorkerPool,
)
from cdk_airflow_ecs.databases.max_connections import connections_of_class
from synthesis import resources, template_of

pytestmark = pytest.mark.xdist_group("examples")

PAGE = page("guides/operate/alarms.md")
RUNBOOK = {row[0].strip("`"): row for row in table(PAGE, "## Runbook")[1:]}
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1-2-3"
# Together they have every alarm.
CLUSTERS = (
    {"web": lambda stack: Web(certificate=acm.Certificate.from_certificate_arn(stack, "Certificate", CERTIFICATE))},
    {"executor": CeleryExecutor(broker=SqsBroker())},
    {"database": AuroraDatabase()},
    {"container_insights": False},
    {"executor": CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())])},
)


def alarms(**arguments):
    """Return the alarms of a cluster by the row of the runbook that their description names."""
    found = resources(template_of(**arguments, monitoring=Monitoring()), "AWS::CloudWatch::Alarm").values()
    described = [(each["Properties"]["AlarmDescription"], each["Properties"]) for each in found]
    # The alarm of QueueScaling has no row: it only sets the number of workers.
    return [(text.rpartition(" ")[2], alarm) for text, alarm in described if "Runbook: " in text]


def every_alarm():
    """Return the alarms of all clusters."""
    return [alarm for arguments in CLUSTERS for alarm in alarms(**arguments)]


def test_no_alarm_without_a_row_and_no_row_without_an_alarm():
    """The runbook has exactly the alarms that clusters create."""
    assert set(RUNBOOK) == {kind for kind, _ in every_alarm()}


def test_each_row_is_complete():
    """Each row has meaning, condition, command, cause and fix."""
    assert all(len(row) == 6 and all(row) for row in RUNBOOK.values())
    assert all(re.search("`(aws|SELECT) .+`", row[3]) for row in RUNBOOK.values())


def test_each_row_has_the_time_of_its_alarm():
    """The third column states after how many minutes the alarm starts."""
    for kind, alarm in every_alarm():
        period = alarm.get("Period") or alarm["Metrics"][0]["MetricStat"]["Period"]
        assert f"{alarm['EvaluationPeriods'] * period // 60} min" in RUNBOOK[kind][2], kind
        assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]


THRESHOLDS = {
    "ApiErrors": (10, "10 errors"),
    "UnhealthyTargets": (1, "1 unhealthy"),
    "FailedStarts": (3, "3 failures"),
    "OldestMessage": (11 * 3600, "11 hours"),
    "DeadLetters": (1, "1 message"),
    "DatabaseCpu": (90, "90 %"),
    "DatabaseStorage": (RdsDatabase().allocated_storage_gib * 2**30 * 0.05, "5 %"),
    "BrokerMemory": (75, "75 %"),
    "BrokerEvictions": (1, "1 eviction"),
    "MigrationFailed": (1, "1 failure"),
    "GateErrors": (1, "1 error"),
    "LostGateCalls": (1, "1 message"),
    "CertificateExpiry": (30, "30 days"),
}


def test_each_row_has_the_threshold_of_its_alarm():
    """The numbers of the third column are those of the alarms."""
    found = dict(every_alarm())
    for kind, (threshold, words) in THRESHOLDS.items():
        assert int(found[kind]["Threshold"]) == int(threshold), kind
        assert words in RUNBOOK[kind][2], kind
    limit = connections_of_class(RdsDatabase().instance_class)
    assert dict(alarms())["DatabaseConnections"]["Threshold"] == int(limit * 0.8)
    assert "80 %" in RUNBOOK["DatabaseConnections"][2]
    assert f"about {round(limit, -1)} for `db.t4g.small`" in " ".join(PAGE.split())


def test_costs():
    """The page computes the costs of a cluster without other arguments."""
    found = [alarm for _, alarm in alarms()]
    read = sum(map(alarm_metrics, found))
    assert table(PAGE, "## What it costs")[1:] == [
        [f"{read} metrics of {len(found)} alarms", f"{read * ALARM:.2f}"],
        ["Dashboard", f"{DASHBOARD:.2f}"],
    ]
