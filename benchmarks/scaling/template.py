"""The scaling of a worker pool, as its synthesized template configures it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, QueueScaling, WorkerPool
from cdk_airflow_ecs.local.scaling.alarms import Alarm
from cdk_airflow_ecs.local.scaling.metrics import Metric
from cdk_airflow_ecs.local.scaling.policies import Step, StepPolicy
from cdk_airflow_ecs.local.scaling.queries import Query

MAX_COUNT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """The metric, alarm, policy, limits and protection of a pool with QueueScaling.

    Args:
        settings: the pool's settings of the container queue-metric.
        metric: names defined by that container's program.
        protection: names defined by the program that protects a worker.
        parallelism: most queued and running tasks of a scheduler.
        grace: seconds that a stopped worker has for its tasks.
    """

    settings: Mapping[str, Any]
    metric: Mapping[str, Any]
    protection: Mapping[str, Any]
    alarm: Alarm
    policy: StepPolicy
    least: int
    most: int
    parallelism: int
    grace: float

    @property
    def slots(self) -> int:
        """The tasks that a worker runs at the same time."""
        return int(self.settings["slots"])

    @property
    def minutes(self) -> int:
        """The pool's scale_in_after_minutes."""
        return int(self.settings["minutes"])

    def after(self, minutes: int) -> QueuePolicy:
        """Return the policy with another scale_in_after_minutes."""
        return replace(self, settings={**self.settings, "minutes": minutes})


def build() -> dict[str, Any]:
    """Return the template of a cluster whose pool "default" has QueueScaling with default values, up to 20 workers."""
    stack = Stack(App(), "Scaled")
    pool = WorkerPool("default", scaling=QueueScaling(max_count=MAX_COUNT))
    AirflowCluster(stack, "Airflow", version=AirflowVersion.V3_3, executor=CeleryExecutor(pools=[pool]))
    return Template.from_stack(stack).to_json()


def read(template: Mapping[str, Any], pool: str = "default") -> QueuePolicy:
    """Return the scaling of a pool; raises a LookupError if the template does not scale it by its queue."""
    resources = template["Resources"]
    metric = _container(resources, "queue-metric")
    document = json.loads(_text(_variables(metric)["QUEUE_METRIC"]))
    if pool not in document["pools"]:
        raise LookupError(f"the pools with QueueScaling are {', '.join(document['pools'])}, not {pool}")
    alarm = next(
        each["Properties"]
        for each in resources.values()
        if each["Type"] == "AWS::CloudWatch::Alarm"
        and each["Properties"].get("MetricName") == document["metrics"][0]
        and {"Name": "Pool", "Value": pool} in each["Properties"]["Dimensions"]
    )
    policy = resources[alarm["AlarmActions"][0]["Ref"]]["Properties"]
    target = resources[policy["ScalingTargetId"]["Ref"]]["Properties"]
    (service,) = (part["Fn::GetAtt"][0] for part in target["ResourceId"]["Fn::Join"][1] if "Fn::GetAtt" in part)
    task = resources[service]["Properties"]["TaskDefinition"]["Ref"]
    worker = _container({task: resources[task]}, "worker")
    return QueuePolicy(
        settings=document["pools"][pool],
        metric=_names(metric["Command"][-1]),
        protection=_names(next(word for word in worker["EntryPoint"] if "task-protection" in word)),
        alarm=_alarm(alarm),
        policy=_policy(policy["StepScalingPolicyConfiguration"]),
        least=target["MinCapacity"],
        most=target["MaxCapacity"],
        parallelism=int(_variables(_container(resources, "scheduler"))["AIRFLOW__CORE__PARALLELISM"]),
        grace=worker["StopTimeout"],
    )


def _alarm(properties: Mapping[str, Any]) -> Alarm:
    metric = Metric(properties["Namespace"], properties["MetricName"])
    query = Query(id="m1", metric=metric, statistic=properties["Statistic"], period=properties["Period"])
    return Alarm(
        name=properties["MetricName"],
        queries=(query,),
        comparison=properties["ComparisonOperator"],
        threshold=properties["Threshold"],
        periods=properties["EvaluationPeriods"],
        to_alarm=properties.get("DatapointsToAlarm", properties["EvaluationPeriods"]),
        missing=properties["TreatMissingData"],
    )


def _policy(configuration: Mapping[str, Any]) -> StepPolicy:
    return StepPolicy(
        adjustment_type=configuration["AdjustmentType"],
        steps=tuple(
            Step(
                adjustment=step["ScalingAdjustment"],
                lower=step.get("MetricIntervalLowerBound"),
                upper=step.get("MetricIntervalUpperBound"),
            )
            for step in configuration["StepAdjustments"]
        ),
        cooldown=configuration["Cooldown"],
        aggregation=configuration["MetricAggregationType"],
    )


def _names(program: str) -> dict[str, Any]:
    """Return what a program of the template defines, without running its main function."""
    names: dict[str, Any] = {"__name__": "read"}
    exec(compile(program, "template", "exec"), names)
    return names


def _containers(resources: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in resources.values():
        if each["Type"] == "AWS::ECS::TaskDefinition":
            yield from each["Properties"]["ContainerDefinitions"]


def _container(resources: Mapping[str, Any], name: str) -> dict[str, Any]:
    for each in _containers(resources):
        if each["Name"] == name:
            return each
    raise LookupError(f"the template has no container {name}")


def _variables(container: Mapping[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def _text(value: Any) -> str:
    """Return a text whose references are replaced by their logical ids."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else part["Ref"] for part in value["Fn::Join"][1])
