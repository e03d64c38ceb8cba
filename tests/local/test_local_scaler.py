"""A template's alarm, policy and scheduled actions change the desired count of its service."""

from __future__ import annotations

import copy
import json
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

pytest.importorskip("moto", reason="needs the environment of the extra [local]: make environments")

from moto.applicationautoscaling.models import FakeApplicationAutoscalingPolicy
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.cloudwatch.models import CloudWatchBackend
from moto.logs.models import LogStream

from cdk_airflow_ecs import CpuScaling, Service
from cdk_airflow_ecs.local.aws import app, autoscaling, metrics
from cdk_airflow_ecs.local.aws.account import Account, Stack
from cdk_airflow_ecs.local.aws.engine import Deployment
from cdk_airflow_ecs.local.scaling.scaler import Scaler
from synthesis import resources, template_of

PATCHED = (
    (LogStream, "put_log_events"),
    (CloudWatchBackend, "get_metric_data"),
    (ApplicationAutoScalingResponse, "describe_scaling_activities"),
    (FakeApplicationAutoscalingPolicy, "_generate_ecs_alarms"),
)
RESOURCE = {"Fn::Join": ["/", ["service", {"Ref": "Cluster"}, {"Fn::GetAtt": ["Service", "Name"]}]]}
DIMENSIONS = [{"Name": "Cluster", "Value": {"Ref": "Cluster"}}, {"Name": "Pool", "Value": "default"}]
TEMPLATE = {
    "Resources": {
        "Cluster": {"Type": "AWS::ECS::Cluster"},
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "pool"}},
        "Task": {
            "Type": "AWS::ECS::TaskDefinition",
            "Properties": {"ContainerDefinitions": [{"Name": "worker", "Image": "it", "Memory": 512}]},
        },
        "Service": {
            "Type": "AWS::ECS::Service",
            "Properties": {"Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Task"}, "LaunchType": "FARGATE"},
        },
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "MinCapacity": 0,
                "MaxCapacity": 3,
                "ResourceId": RESOURCE,
                "ScalableDimension": "ecs:service:DesiredCount",
                "ServiceNamespace": "ecs",
                "ScheduledActions": [
                    {
                        "ScheduledActionName": "night",
                        "Schedule": "cron(0 20 ? * * *)",
                        "Timezone": "Europe/Berlin",
                        "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 2},
                    }
                ],
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "queue",
                "PolicyType": "StepScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ExactCapacity",
                    "Cooldown": 60,
                    "MetricAggregationType": "Maximum",
                    "StepAdjustments": [
                        *(
                            {"MetricIntervalLowerBound": n, "MetricIntervalUpperBound": n + 1, "ScalingAdjustment": n}
                            for n in range(3)
                        ),
                        {"MetricIntervalLowerBound": 3, "ScalingAdjustment": 3},
                    ],
                },
            },
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "cdk-airflow-ecs",
                "MetricName": "RequiredWorkers",
                "Dimensions": DIMENSIONS,
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "TreatMissingData": "ignore",
                "AlarmActions": [{"Ref": "Policy"}],
            },
        },
    }
}


class Cloud:
    """The template deployed to a local AWS API; *clock* is the scaler's time in seconds since 1970."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.messages: list[tuple[str, str]] = []
        self.stack = Stack(account, f"stack-{len(account.stacks)}")
        account.stacks.append(self.stack)
        Deployment(self.stack).create(TEMPLATE, {})
        assert self.stack.status == "CREATE_COMPLETE", self.stack.reason
        self.clock = time.time() // 60 * 60 + 60
        self.scaler = Scaler(account=account, say=lambda *words: self.messages.append(words), now=lambda: self.clock)
        self.cluster = self.stack.resources["Cluster"].physical_id
        self.client("logs").create_log_stream(logGroupName="pool", logStreamName="worker")

    def client(self, service: str):
        """Return a boto3 client of the local API."""
        return self.account.client(service)

    def publish(self, required: int) -> None:
        """Write a log line in the embedded metric format at the scaler's time."""
        directive = {
            "Namespace": "cdk-airflow-ecs",
            "Dimensions": [["Pool", "Cluster"]],
            "Metrics": [{"Name": "RequiredWorkers", "Unit": "Count"}],
        }
        about = {"Timestamp": int(self.clock * 1000), "CloudWatchMetrics": [directive]}
        line = json.dumps({"_aws": about, "Cluster": self.cluster, "Pool": "default", "RequiredWorkers": required})
        event = {"timestamp": int(time.time() * 1000), "message": line}
        self.client("logs").put_log_events(logGroupName="pool", logStreamName="worker", logEvents=[event])

    def wait(self, seconds: float) -> None:
        """Advance the scaler's clock in steps of five seconds."""
        end = self.clock + seconds
        while self.clock < end:
            self.clock += 5
            self.scaler.step()

    def minute(self, required: int | None) -> int:
        """Publish a value, or none, at the start of a minute, and return the desired count after the minute."""
        if required is not None:
            self.publish(required)
        self.wait(60)
        return self.desired

    @property
    def record(self):
        """Moto's record of the ECS service."""
        return self.scaler._service(next(iter(self.scaler._targets)))

    @property
    def service(self) -> dict:
        """The ECS service as DescribeServices returns it."""
        name = self.stack.resources["Service"].physical_id
        return self.client("ecs").describe_services(cluster=self.cluster, services=[name])["services"][0]

    @property
    def desired(self) -> int:
        """The desired count of the ECS service."""
        return self.service["desiredCount"]

    @property
    def state(self) -> str:
        """The state of the alarm."""
        name = self.stack.resources["Alarm"].physical_id
        return self.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    def target(self, **changes) -> None:
        """Change the service's scalable target."""
        given = self.stack.resources["Target"].properties
        names = ("ResourceId", "ScalableDimension", "ServiceNamespace")
        self.client("application-autoscaling").register_scalable_target(**{n: given[n] for n in names}, **changes)


@pytest.fixture(scope="module")
def account():
    """Serve a local AWS API that evaluates alarms."""
    kept = [(kind, name, getattr(kind, name, None)) for kind, name in PATCHED]
    for patch in (
        metrics.extract_metrics,
        metrics.answer_queries,
        autoscaling.describe_activities,
        autoscaling.track_targets,
    ):
        patch()
    account = Account()
    api = app.Api(app.Application(account), handler=app.Quiet)
    api.start()
    yield account
    api.stop()
    for kind, name, value in kept:
        if value is None:
            delattr(kind, name)
        else:
            setattr(kind, name, value)


@pytest.fixture
def cloud(account):
    """Deploy the template, and delete it afterwards."""
    made = Cloud(account)
    made.record.running_count = 1  # as the ECS agent would set it
    made.record.deployments[0]["rolloutState"] = "COMPLETED"
    yield made
    Deployment(made.stack).delete()
    assert made.stack.status == "DELETE_COMPLETE", made.stack.reason


def test_a_worker_pool_scales_out_and_to_zero(cloud):
    """The desired count follows the metric from one to the maximum and to zero, one minute later."""
    assert cloud.state == "OK"  # set by moto before the first evaluation
    found = [cloud.minute(required) for required in (0, 0, 2, 9, 0, 0, 0, 0)]
    assert found[-1] == 0
    assert found == [1, 0, 0, 2, 3, 0, 0, 0]
    assert cloud.state == "ALARM"
    assert [text for _, text in cloud.messages] == [
        "1 → 0 tasks: RequiredWorkers is 0",
        "0 → 2 tasks: RequiredWorkers is 2",
        "2 → 3 tasks: RequiredWorkers is 9",
        "3 → 0 tasks: RequiredWorkers is 0",
    ]
    activities = cloud.client("application-autoscaling").describe_scaling_activities(ServiceNamespace="ecs")
    assert [each["Description"][-2] for each in activities["ScalingActivities"]] == ["0", "3", "2", "0"]


def test_the_desired_count_stays_without_metric_data(cloud):
    """Without metric data the desired count stays; new data changes it again."""
    assert cloud.minute(3) == 1
    assert [cloud.minute(None) for _ in range(5)] == [3] * 5
    cloud.minute(1)
    assert cloud.minute(None) == 1


def test_get_metric_data_returns_the_metric_of_a_log_line(cloud):
    """GetMetricData finds the metric with its dimensions in any order, and computes metric math expressions."""
    cloud.publish(4)
    start = datetime.fromtimestamp(cloud.clock - 90, timezone.utc)
    dimensions = [{"Name": "Cluster", "Value": cloud.cluster}, {"Name": "Pool", "Value": "default"}]
    metric = {"Namespace": "cdk-airflow-ecs", "MetricName": "RequiredWorkers", "Dimensions": dimensions}
    answer = cloud.client("cloudwatch").get_metric_data(
        StartTime=start,
        EndTime=start + timedelta(minutes=5),
        MetricDataQueries=[
            {"Id": "m1", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}},
            {"Id": "e1", "Expression": "m1 * 10"},
        ],
    )
    (result,) = answer["MetricDataResults"]
    assert (result["Id"], result["Values"]) == ("e1", [40.0])
    assert result["Timestamps"][0].timestamp() == cloud.clock // 60 * 60


def test_scheduled_actions_change_the_scaling_limits(cloud):
    """At the scheduled time in its time zone, an action sets minimum and maximum, which later alarms respect."""
    cloud.minute(0)
    cloud.minute(0)
    assert cloud.desired == 0
    berlin = datetime.fromtimestamp(cloud.clock, timezone.utc)
    summer = datetime(berlin.year + 1, 7, 1, 17, 59, 58, tzinfo=timezone.utc)
    cloud.scaler._checked = dict.fromkeys(cloud.scaler._checked, summer.timestamp())
    cloud.clock = summer.timestamp()
    cloud.wait(5)
    assert cloud.desired == 2
    assert ("night", "2 to 2 tasks") in cloud.messages
    assert [cloud.minute(required) for required in (0, 0, 3, 3)] == [2] * 4


def test_changed_scaling_limits_apply_at_once(cloud):
    """A minimum above the desired count, or a maximum below it, changes the desired count at once."""
    cloud.wait(5)
    cloud.target(MinCapacity=2)
    cloud.wait(5)
    assert cloud.desired == 2
    cloud.target(MinCapacity=0, MaxCapacity=1)
    cloud.wait(5)
    assert cloud.desired == 1


def test_suspended_scaling_changes_nothing(cloud):
    """Suspended scale-in and scale-out do nothing until they are resumed."""
    cloud.target(SuspendedState={"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True})
    assert [cloud.minute(required) for required in (3, 3, 0, 0)] == [1] * 4
    cloud.target(SuspendedState={"DynamicScalingInSuspended": False})
    assert cloud.minute(0) == 0


def test_a_deployment_blocks_only_scale_in(cloud):
    """While a deployment is in progress, tasks are added but not removed."""
    deployment = cloud.record.deployments[0]
    deployment["rolloutState"] = "IN_PROGRESS"
    assert [cloud.minute(required) for required in (0, 0, 3, 3, 0, 0, 0)] == [1, 1, 1, 3, 3, 3, 3]
    deployment["rolloutState"] = "COMPLETED"
    assert cloud.minute(0) == 0


def test_set_alarm_state_runs_the_scaling_policy_of_the_alarm(cloud):
    """SetAlarmState runs the alarm's scaling policy with the last values; the next evaluation corrects the state."""
    cloud.target(SuspendedState={"DynamicScalingOutSuspended": True})
    cloud.minute(3)
    cloud.minute(3)
    assert cloud.desired == 1
    cloud.target(SuspendedState={"DynamicScalingOutSuspended": False})
    name = cloud.stack.resources["Alarm"].physical_id
    for state in ("OK", "ALARM"):
        cloud.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
        cloud.wait(5)
    assert cloud.desired == 3


def test_a_changed_alarm_state_notifies_sns_topics(cloud):
    """An SNS topic receives one message for each change of the alarm state; an unsupported action is reported once."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic, queue = sns.create_topic(Name="alarms")["TopicArn"], sqs.create_queue(QueueName="alarms")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=cloud.account.arn("sqs", "alarms"))
    actions = [topic, cloud.account.arn("lambda", "function:repair")]
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="many",
        Namespace="cdk-airflow-ecs",
        MetricName="RequiredWorkers",
        Dimensions=[{"Name": "Cluster", "Value": cloud.cluster}, {"Name": "Pool", "Value": "default"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=actions,
        OKActions=actions,
    )
    for required in (0, 9, 9, 0, 0):
        cloud.minute(required)
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    messages = [json.loads(json.loads(each["Body"])["Message"]) for each in found]
    assert [(each["OldStateValue"], each["NewStateValue"]) for each in messages] == [
        ("INSUFFICIENT_DATA", "OK"),
        ("OK", "ALARM"),
        ("ALARM", "OK"),
    ]
    assert [text for subject, text in cloud.messages if subject == "many"] == [
        f"the action {actions[1]} is not called locally"
    ]
    cloud.client("cloudwatch").delete_alarms(AlarmNames=["many"])


def test_a_target_tracking_policy_keeps_the_metric_at_the_target(cloud):
    """A target tracking policy creates two alarms with its target and metric, and keeps the metric at the target."""
    given = cloud.stack.resources["Target"].properties
    custom = {
        "MetricName": "Load",
        "Namespace": "Acme",
        "Statistic": "Average",
        "Dimensions": [{"Name": "Pool", "Value": "default"}],
    }
    made = cloud.client("application-autoscaling").put_scaling_policy(
        **{name: given[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")},
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 50, "CustomizedMetricSpecification": custom},
    )
    assert len(made["Alarms"]) == 2
    for _ in range(5):
        moment = datetime.fromtimestamp(cloud.clock, timezone.utc)
        datum = {"MetricName": "Load", "Value": 90, "Dimensions": custom["Dimensions"], "Timestamp": moment}
        cloud.client("cloudwatch").put_metric_data(Namespace="Acme", MetricData=[datum])
        cloud.wait(60)
    assert cloud.desired == 2


BALANCER, GROUP = "app/web/1a2b", "targetgroup/web/3c4d"
WEB = {
    "CPUUtilization": ("AWS/ECS", "Percent"),
    "RequestCountPerTarget": ("AWS/ApplicationELB", "None"),
}


def minutes(cloud, number, **values):
    """Publish these values of the web service each minute, and return the last desired count."""
    _, cluster, service = next(iter(cloud.scaler._targets)).split("/")
    pairs = {
        "CPUUtilization": {"ClusterName": cluster, "ServiceName": service},
        "RequestCountPerTarget": {"LoadBalancer": BALANCER, "TargetGroup": GROUP},
    }
    for _ in range(number):
        for name, value in values.items():
            space, unit = WEB[name]
            dimensions = [{"Name": key, "Value": text} for key, text in pairs[name].items()]
            moment = datetime.fromtimestamp(cloud.clock, timezone.utc)
            datum = {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions, "Timestamp": moment}
            cloud.client("cloudwatch").put_metric_data(Namespace=space, MetricData=[datum])
        cloud.wait(60)
        cloud.record.running_count = cloud.desired  # the agent would set it
    return cloud.desired


def test_cpu_scaling_follows_cpu_utilization_and_requests(cloud):
    """The policies of CpuScaling's template add tasks by either metric, and remove them only if both are low."""
    template = template_of(api_server=Service(scaling=CpuScaling(max_count=3, requests_per_target=600)))
    given = cloud.stack.resources["Target"].properties
    for name, each in resources(template, "AWS::ApplicationAutoScaling::ScalingPolicy").items():
        configuration = copy.deepcopy(each["Properties"]["TargetTrackingScalingPolicyConfiguration"])
        if "ResourceLabel" in configuration["PredefinedMetricSpecification"]:
            configuration["PredefinedMetricSpecification"]["ResourceLabel"] = f"{BALANCER}/{GROUP}"
        cloud.client("application-autoscaling").put_scaling_policy(
            **{name: given[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace")},
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )
    cloud.target(MinCapacity=1)
    assert minutes(cloud, 5, CPUUtilization=50, RequestCountPerTarget=500) == 1
    assert minutes(cloud, 4, CPUUtilization=90, RequestCountPerTarget=100) == 2
    assert minutes(cloud, 4, CPUUtilization=30, RequestCountPerTarget=850) == 3
    assert minutes(cloud, 18, CPUUtilization=10, RequestCountPerTarget=580) == 3
    assert minutes(cloud, 18, CPUUtilization=10) == 3
    assert minutes(cloud, 30, CPUUtilization=10, RequestCountPerTarget=20) == 1


def test_unsupported_alarms_are_reported_once(cloud):
    """An alarm that cannot be evaluated is reported once and does not stop the others."""
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="band",
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1,
        Metrics=[{"Id": "e1", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": True}],
    )
    cloud.minute(3)
    assert cloud.minute(3) == 3
    assert [subject for subject, text in cloud.messages if "not evaluated" in text] == ["band"]
    cloud.client("cloudwatch").delete_alarms(AlarmNames=["band"])


def test_scaling_continues_after_an_error(cloud, monkeypatch):
    """If one step of the scaler fails, the error is logged, and the next step scales again."""
    passes = []

    def step():
        passes.append(1)
        if len(passes) == 1:
            raise KeyError("x")
        cloud.scaler.stop()

    monkeypatch.setattr("cdk_airflow_ecs.local.scaling.scaler._PACE", 0.01)
    scaler = SimpleNamespace(step=step, _over=cloud.scaler._over)
    Scaler._follow(scaler)
    assert len(passes) == 2
