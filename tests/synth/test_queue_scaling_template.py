"""QueueScaling in the template: scalable target, policy, alarm, schedules, and changes of a deployed stack."""

from __future__ import annotations

import json

import pytest
from aws_cdk import CfnParameter, Stack

from cdk_airflow_ecs import CeleryExecutor, QueueScaling, ScalingSchedule, WorkerPool
from judges.updates import SCHEMAS, contested, refused, replaced
from synthesis import add_cluster, resources, synthesize, template_of

pytestmark = pytest.mark.xdist_group("synth")

TARGET, POLICY = (f"AWS::ApplicationAutoScaling::{kind}" for kind in ("ScalableTarget", "ScalingPolicy"))
ALARM, SERVICE = "AWS::CloudWatch::Alarm", "AWS::ECS::Service"
OFFICE = [
    ScalingSchedule("morning", when="cron(0 7 ? * MON-FRI *)", min_count=1, time_zone="Europe/Berlin"),
    ScalingSchedule("evening", when="cron(0 19 ? * MON-FRI *)", min_count=0, max_count=3),
]


def with_pool(scaling=None, **arguments):
    """Return the template of a cluster whose only worker pool has this scaling, or two workers without scaling."""
    pool = WorkerPool("default", scaling=scaling, count=None if scaling else 2)
    return template_of(executor=CeleryExecutor(pools=[pool]), **arguments)


def only(template, kind):
    """Return the properties of the only resource of a type."""
    (found,) = resources(template, kind).values()
    return found["Properties"]


def pool_service(template):
    """Return logical id and properties of the pool's service."""
    ((key, service),) = (item for item in resources(template, SERVICE).items() if item[0].startswith("AirflowPools"))
    return key, service["Properties"]


def test_a_pool_may_protect_only_tasks_with_its_own_tag():
    """The ECS tasks of a pool have the tag that its role's permission requires; other tasks have none."""
    pools = [WorkerPool("default", scaling=QueueScaling()), WorkerPool("heavy", scaling=QueueScaling())]
    template = template_of(executor=CeleryExecutor(pools=[*pools, WorkerPool("fixed", queues=["fixed"])]))
    definitions = resources(template, "AWS::ECS::TaskDefinition")
    tags = {}
    for key, service in resources(template, SERVICE).items():
        found = definitions[service["Properties"]["TaskDefinition"]["Ref"]]["Properties"].get("Tags", [])
        tags |= {tag["Value"]: key for tag in found if tag["Key"] == "airflow-component"}
        assert service["Properties"]["PropagateTags"] == ("TASK_DEFINITION" if found else "SERVICE")
    assert set(tags) == {"Pools/default", "Pools/heavy"}
    permitted = {}
    for policy in resources(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "ecs:UpdateTaskProtection" in statement["Action"]:
                assert "ecs:GetTaskProtection" in statement["Action"]
                (role,) = policy["Properties"]["Roles"]
                permitted[statement["Condition"]["StringEquals"]["aws:ResourceTag/airflow-component"]] = role["Ref"]
    assert permitted.keys() == tags.keys()
    for pool, role in permitted.items():
        definition = definitions[resources(template, SERVICE)[tags[pool]]["Properties"]["TaskDefinition"]["Ref"]]
        assert definition["Properties"]["TaskRoleArn"] == {"Fn::GetAtt": [role, "Arn"]}


def test_one_alarm_sets_the_desired_count_to_the_required_workers():
    """The alarm on the metric RequiredWorkers runs a policy that sets this desired count, within the limits."""
    template = with_pool(QueueScaling(min_count=1, max_count=3))
    key, service = pool_service(template)
    assert "DesiredCount" not in service
    target = only(template, TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    assert key in json.dumps(target["ResourceId"])
    configuration = only(template, POLICY)["StepScalingPolicyConfiguration"]
    steps = [tuple(step.values()) for step in configuration.pop("StepAdjustments")]
    assert configuration == {"AdjustmentType": "ExactCapacity", "Cooldown": 60, "MetricAggregationType": "Maximum"}
    # Of each step: lower bound, upper bound, number of workers.
    assert steps == [(0, 2, 1), (2, 3, 2), (3, 3)]
    alarm = only(template, ALARM)
    (action,) = alarm["AlarmActions"]
    assert action["Ref"] in resources(template, POLICY)
    assert "Not a fault" in alarm["AlarmDescription"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 0)
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["Statistic"]) == (60, 1, "Maximum")
    assert alarm["TreatMissingData"] == "missing"
    assert "OKActions" not in alarm
    assert "InsufficientDataActions" not in alarm


def test_the_alarm_reads_the_metric_that_the_scheduler_publishes():
    """Namespace, metric and dimensions of the alarm are those in the settings of the scheduler's container."""
    template = with_pool(QueueScaling())
    alarm = only(template, ALARM)
    (metric,) = (
        container
        for task in resources(template, "AWS::ECS::TaskDefinition").values()
        for container in task["Properties"]["ContainerDefinitions"]
        if container["Name"] == "queue-metric"
    )
    assert metric["Essential"] is False
    assert metric["RestartPolicy"] == {"Enabled": True, "RestartAttemptPeriod": 60}
    (settings,) = (each["Value"] for each in metric["Environment"] if each["Name"] == "QUEUE_METRIC")
    (cluster,) = resources(template, "AWS::ECS::Cluster")
    text = json.loads("".join(part if isinstance(part, str) else part["Ref"] for part in settings["Fn::Join"][1]))
    assert text["cluster"] == cluster
    assert alarm["Namespace"] == text["namespace"]
    assert alarm["MetricName"] == text["metrics"][0]
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert dimensions == {"Cluster": {"Ref": cluster}, "Pool": next(iter(text["pools"]))}


def test_scaling_schedules_become_scheduled_actions():
    """Each scheduled action has the minimum, maximum and time zone of its ScalingSchedule."""
    template = with_pool(QueueScaling(max_count=5, schedules=OFFICE))
    assert only(template, TARGET)["ScheduledActions"] == [
        {
            "ScalableTargetAction": {"MinCapacity": 1},
            "Schedule": "cron(0 7 ? * MON-FRI *)",
            "ScheduledActionName": "morning",
            "Timezone": "Europe/Berlin",
        },
        {
            "ScalableTargetAction": {"MaxCapacity": 3, "MinCapacity": 0},
            "Schedule": "cron(0 19 ? * MON-FRI *)",
            "ScheduledActionName": "evening",
            "Timezone": "Etc/UTC",
        },
    ]


def test_during_maintenance_no_alarm_starts_a_worker():
    """During maintenance, the scalable target has the limits zero and no scheduled actions, and sets the count."""
    scaling = QueueScaling(min_count=2, max_count=5, schedules=OFFICE)
    before, after = with_pool(scaling), with_pool(scaling, maintenance=True)
    assert "DesiredCount" not in pool_service(after)[1]
    target = only(after, TARGET)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 0)
    assert "ScheduledActions" not in target
    for kind in (TARGET, POLICY, ALARM):
        assert resources(before, kind).keys() == resources(after, kind).keys()
    assert contested(before, after) == []


def test_queue_scaling_adds_no_permissions_to_the_scheduler():
    """The scheduler's task role and execution role are the same with and without QueueScaling."""
    before, after = with_pool(), with_pool(QueueScaling())

    def roles(template):
        return {
            name: each
            for name, each in resources(template, "AWS::IAM::Role", "AWS::IAM::Policy").items()
            if "Scheduler" in name
        }

    assert roles(before)
    assert roles(before) == roles(after)


def test_concurrency_of_a_scaled_worker_pool_may_be_a_parameter():
    """A concurrency known only at deploy time reaches the container that publishes the metric."""

    def build(app):
        stack = Stack(app, "Data")
        number = CfnParameter(stack, "Number", type="Number").value_as_number
        pool = WorkerPool("default", concurrency=number, scaling=QueueScaling())
        add_cluster(stack, executor=lambda _: CeleryExecutor(pools=[pool]))

    template = synthesize(build).templates["Data"]
    assert "e+289" not in json.dumps(template)
    (task,) = (
        each
        for each in resources(template, "AWS::ECS::TaskDefinition").values()
        if len(each["Properties"]["ContainerDefinitions"]) == 2 and "queue-metric" in json.dumps(each)
    )
    assert '\\"slots\\": \\"", {"Ref": "Number"}, "\\"' in json.dumps(task)


CHANGES = {
    "on": (with_pool, lambda: with_pool(QueueScaling())),
    "off": (lambda: with_pool(QueueScaling()), with_pool),
    "off, after the limits": (lambda: with_pool(QueueScaling(min_count=2, max_count=2)), with_pool),
    "other limits": (lambda: with_pool(QueueScaling()), lambda: with_pool(QueueScaling(max_count=40))),
}


@pytest.mark.skipif(SCHEMAS is None, reason="needs the environment of cfn-lint: make environments")
@pytest.mark.parametrize("change", CHANGES)
def test_switching_queue_scaling_on_or_off_replaces_no_service(change):
    """Only task definitions are replaced, by new revisions."""
    before, after = (make() for make in CHANGES[change])
    assert {after["Resources"][name]["Type"] for name in replaced(before, after)} <= {
        "AWS::ECS::TaskDefinition",
    }
    assert refused(before, after) == []
    assert bool(contested(before, after)) == (change == "off")
