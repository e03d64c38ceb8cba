"""Alarms and dashboard in templates."""

from __future__ import annotations

import json

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from cdk_airflow_ecs import (
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    ContainerDatabase,
    LocalExecutor,
    Monitoring,
    QueueScaling,
    RedisBroker,
    SqsBroker,
    WorkerPool,
)
from synthesis import add_cluster, references, resources, synthesize, template_of

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"
SQS = CeleryExecutor(broker=SqsBroker())


def alarms(template):
    """Return the properties of the alarms by logical id."""
    return {key: each["Properties"] for key, each in resources(template, "AWS::CloudWatch::Alarm").items()}


def kinds(template):
    """Return the rows of the runbook that the alarms name."""
    return {each["AlarmDescription"].rpartition(" ")[2] for each in alarms(template).values()}


def imported(stack):
    """Return monitoring with an imported topic."""
    return Monitoring(alarm_topic=sns.Topic.from_topic_arn(stack, "Alerts", TOPIC))


def test_nothing_without_monitoring():
    """By default there is neither alarm nor dashboard nor rule."""
    found = resources(template_of(), "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule")
    assert found == {}


def test_every_alarm_reports_start_and_end():
    """Each alarm notifies the topic twice, and never about missing data."""
    for alarm in alarms(template_of(monitoring=imported)).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
        assert "InsufficientDataActions" not in alarm
        assert alarm["ActionsEnabled"] is True


def test_maintenance_is_quiet():
    """During maintenance no alarm sends messages."""
    found = alarms(template_of(monitoring=imported, maintenance=True))
    assert {alarm["ActionsEnabled"] for alarm in found.values()} == {False}


def test_without_a_topic():
    """Alarms exist without actions."""
    assert {len(alarm["AlarmActions"]) for alarm in alarms(template_of(monitoring=Monitoring())).values()} == {0}


def test_alarms_without_a_dashboard():
    """The dashboard can be omitted."""
    template = template_of(monitoring=Monitoring(dashboard=False))
    assert alarms(template)
    assert resources(template, "AWS::CloudWatch::Dashboard") == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"executor": SQS},
        {"executor": LocalExecutor(), "version": AirflowVersion.V2_11},
        {"database": AuroraDatabase()},
        {"database": ContainerDatabase(), "executor": CeleryExecutor(broker=RedisBroker.container())},
        {"executor": CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())])},
        {"container_insights": False},
    ],
)
def test_the_dashboard_of_each_cluster(arguments):
    """The body is JSON with all alarms, and its metrics are those of existing resources."""
    template = template_of(**arguments, monitoring=Monitoring())
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard").values()
    body = dashboard["Properties"]["DashboardBody"]
    assert references(body) - {"AWS::Region"} <= template["Resources"].keys()
    text = "".join(part if isinstance(part, str) else "TOKEN" for part in body["Fn::Join"][1])
    widgets = json.loads(text)["widgets"]
    own = [key for key in alarms(template) if "RequiredWorkers" not in key]
    (list_of_alarms,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert len(list_of_alarms) == len(own)


def test_an_added_pool_has_an_alarm():
    """The alarm of an added pool and its lines on the dashboard are those of a pool from the start."""
    pools = [WorkerPool("default"), WorkerPool("heavy")]

    def later(app):
        cluster = add_cluster(Stack(app, "Data"), monitoring=Monitoring())
        cluster.add_worker_pool(pools[1])

    grown = synthesize(later).templates["Data"]
    at_once = template_of(executor=CeleryExecutor(pools=pools), monitoring=Monitoring())
    assert alarms(grown) == alarms(at_once)
    assert any("Poolsheavy" in key for key in alarms(grown))
    kind = "AWS::CloudWatch::Dashboard"
    assert resources(grown, kind) == resources(at_once, kind)


def test_an_added_pool_changes_the_number_of_connections():
    """On Airflow 2, workers use the database, so the alarm's description changes."""

    def build(app):
        cluster = add_cluster(Stack(app, "Data"), monitoring=Monitoring(), version=AirflowVersion.V2_11)
        cluster.add_worker_pool(WorkerPool("heavy", concurrency=10))

    grown = alarms(synthesize(build).templates["Data"])
    before = alarms(template_of(monitoring=Monitoring(), version=AirflowVersion.V2_11))
    (key,) = (key for key in before if "DatabaseConnections" in key)
    assert "at most 68 open" in before[key]["AlarmDescription"]
    assert "at most 88 open" in grown[key]["AlarmDescription"]


def test_alarms_of_the_load_balancer_wait_for_the_service():
    """Before the first API server runs, ApiDown would start."""
    template = template_of(monitoring=Monitoring())
    for key, resource in resources(template, "AWS::CloudWatch::Alarm").items():
        if any(name in key for name in ("ApiDown", "ApiErrors", "UnhealthyTargets")):
            assert any("ApiServerService" in name for name in resource["DependsOn"])


def test_events_do_not_reveal_tokens():
    """Only time, group and reason of an event are stored, not the command, which contains the task's token."""
    (rule,) = resources(template_of(monitoring=Monitoring()), "AWS::Events::Rule").values()
    (target,) = rule["Properties"]["Targets"]
    assert set(target["InputTransformer"]["InputPathsMap"].values()) == {
        "$.time",
        "$.detail.group",
        "$.detail.stoppedReason",
    }
    template = target["InputTransformer"]["InputTemplate"]
    for name in target["InputTransformer"]["InputPathsMap"]:
        template = template.replace(f"<{name}>", '"x"')
    assert json.loads(template) == {"time": "x", "group": "x", "reason": "x"}


def test_only_the_rule_may_write_reasons():
    """The queue admits EventBridge only for this rule."""
    template = template_of(monitoring=Monitoring())
    (rule,) = resources(template, "AWS::Events::Rule")
    (policy,) = (
        each["Properties"]["PolicyDocument"]["Statement"]
        for key, each in resources(template, "AWS::SQS::QueuePolicy").items()
        if "Reasons" in key
    )
    (allowed,) = (each for each in policy if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert references(allowed["Condition"]) == {rule}


def topic_of(**arguments):
    """Return the policies of a topic of the app and of its key."""

    def build(app):
        stack = Stack(app, "Data")
        key = kms.Key(stack, "TopicKey") if arguments.pop("key", False) else None
        topic = sns.Topic(stack, "Topic", master_key=key, **arguments)
        add_cluster(stack, monitoring=Monitoring(alarm_topic=topic))

    template = synthesize(build).templates["Data"]
    keys = [
        each["Properties"]["KeyPolicy"]
        for key, each in resources(template, "AWS::KMS::Key").items()
        if key.startswith("TopicKey")
    ]
    policies = [each["Properties"]["PolicyDocument"] for each in resources(template, "AWS::SNS::TopicPolicy").values()]
    return policies, keys


def test_a_topic_without_a_policy_keeps_the_default():
    """A policy would replace SNS's default, which other publishers may need."""
    assert topic_of() == ([], [])


def test_a_topic_with_a_policy_admits_alarms():
    """Alarms of the account may publish to a topic that has a policy."""
    ((policy,), _) = topic_of(enforce_ssl=True)
    (allowed,) = (each for each in policy["Statement"] if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_cloudwatch_may_use_the_key_of_the_topic():
    """CloudWatch may encrypt messages with the topic's key."""
    (_, (policy,)) = topic_of(key=True)
    (allowed,) = (each for each in policy["Statement"] if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"})
    assert allowed["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_metrics_of_the_methods():
    """Each method returns a metric of the cluster's own resource."""
    stack = Stack(App(), "Data")
    cluster = add_cluster(stack, executor=CeleryExecutor(pools=[WorkerPool("default", scaling=QueueScaling())]))
    names = {
        cluster.metric_database_connections().metric_name,
        cluster.metric_database_cpu().metric_name,
        cluster.metric_database_free_storage().metric_name,
        cluster.metric_broker_memory().metric_name,
        cluster.metric_healthy_hosts().metric_name,
        cluster.metric_unhealthy_hosts().metric_name,
        cluster.metric_api_errors().metric_name,
        cluster.metric_tasks().metric_name,
    }
    assert names == {
        *("DatabaseConnections", "CPUUtilization", "FreeStorageSpace", "DatabaseMemoryUsagePercentage"),
        *("HealthyHostCount", "UnHealthyHostCount", "HTTPCode_Target_5XX_Count", "QueuedOrRunningTasks"),
    }
    depth = add_cluster(Stack(App(), "Queues"), executor=SQS).metric_queue_depth(statistic="Average")
    assert (depth.metric_name, depth.statistic) == ("ApproximateNumberOfMessagesVisible", "Average")


@pytest.mark.parametrize(
    ("arguments", "call", "message"),
    [
        ({}, lambda cluster: cluster.metric_queue_depth(), "SqsBroker"),
        ({"executor": SQS}, lambda cluster: cluster.metric_queue_depth("other"), "default"),
        ({"executor": SQS}, lambda cluster: cluster.metric_broker_memory(), "RedisBroker"),
        ({}, lambda cluster: cluster.metric_broker_memory(node=2), "node"),
        ({}, lambda cluster: cluster.metric_tasks(), "QueueScaling"),
        ({"database": AuroraDatabase()}, lambda cluster: cluster.metric_database_free_storage(), "RdsDatabase"),
        ({"database": ContainerDatabase()}, lambda cluster: cluster.metric_database_cpu(), "RdsDatabase"),
    ],
)
def test_a_metric_that_does_not_exist(arguments, call, message):
    """The error names what is needed."""
    cluster = add_cluster(Stack(App(), "Data"), **arguments)
    with pytest.raises(ValueError, match=message):
        call(cluster)
