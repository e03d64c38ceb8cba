"""Application Auto Scaling patches for moto, which only stores policies and scheduled actions."""

import json
import uuid
from datetime import datetime, timezone

from moto.applicationautoscaling.models import (
    ApplicationAutoscalingBackend,
    FakeApplicationAutoscalingPolicy,
    FakeScheduledAction,
)
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

from cdk_airflow_ecs.local.scaling.policies import Step, StepPolicy, TargetTrackingPolicy
from cdk_airflow_ecs.local.scaling.schedules import Schedule


def describe_activities() -> None:
    """Patch moto to support `DescribeScalingActivities`."""

    def describe_scaling_activities(self: ApplicationAutoScalingResponse) -> str:
        p = json.loads(self.body)
        names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        wanted = {name: p[name] for name in names if p.get(name)}
        found = activities(self.applicationautoscaling_backend)
        matching = [each for each in found if all(each[name] == value for name, value in wanted.items())]
        return json.dumps({"ScalingActivities": matching[::-1][: p.get("MaxResults", 50)]})

    ApplicationAutoScalingResponse.describe_scaling_activities = describe_scaling_activities


def activities(backend: ApplicationAutoscalingBackend) -> list[dict]:
    """Return all scaling activities, the oldest first."""
    return backend.__dict__.setdefault("activities", [])


def activity(resource: str, desired: int, cause: str, now: float) -> dict:
    """Return the description of a successful scaling activity of an ECS service."""
    return {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": "ecs",
        "ResourceId": resource,
        "ScalableDimension": "ecs:service:DesiredCount",
        "Description": f"Setting desired count to {desired}.",
        "Cause": cause,
        "StartTime": now,
        "EndTime": now,
        "StatusCode": "Successful",
        "StatusMessage": f"Successfully set desired count to {desired}. Change successfully fulfilled by ecs.",
    }


def track_targets() -> None:
    """Patch moto to create the two alarms of a target tracking policy with the policy's target and metric."""
    create = FakeApplicationAutoscalingPolicy._generate_ecs_alarms

    def alarms(self: FakeApplicationAutoscalingPolicy) -> list:
        created = create(self)
        target, custom = (
            float(self._policy_body["TargetValue"]),
            self._policy_body.get("CustomizedMetricSpecification", {}),
        )
        predefined = self._policy_body.get("PredefinedMetricSpecification", {})
        for alarm in created:
            # AWS lowers the scale-in alarm's threshold by a tenth, so that small changes of the metric do not scale.
            alarm.threshold = target * (0.9 if "AlarmLow" in alarm.name else 1)
            if custom.get("MetricName"):
                alarm.namespace, alarm.metric_name = custom["Namespace"], custom["MetricName"]
                alarm.statistic, alarm.unit = custom["Statistic"], custom.get("Unit")
                alarm.dimensions = [type(alarm.dimensions[0])(d["Name"], d["Value"]) for d in custom["Dimensions"]]
            elif predefined.get("PredefinedMetricType") == "ALBRequestCountPerTarget":
                balancer, group = predefined["ResourceLabel"].split("/targetgroup/")
                named = {"LoadBalancer": balancer, "TargetGroup": f"targetgroup/{group}"}
                alarm.namespace, alarm.metric_name = "AWS/ApplicationELB", "RequestCountPerTarget"
                alarm.statistic, alarm.unit = "Sum", None
                alarm.dimensions = [type(alarm.dimensions[0])(*item) for item in named.items()]
        return created

    FakeApplicationAutoscalingPolicy._generate_ecs_alarms = alarms


def policy(record: FakeApplicationAutoscalingPolicy) -> StepPolicy | TargetTrackingPolicy:
    """Convert moto's record of a scaling policy."""
    body = record._policy_body
    if record.policy_type == "TargetTrackingScaling":
        return TargetTrackingPolicy(
            target=float(body["TargetValue"]),
            out_cooldown=float(body.get("ScaleOutCooldown", 300)),
            in_cooldown=float(body.get("ScaleInCooldown", 300)),
            scales_in=not body.get("DisableScaleIn"),
        )
    return StepPolicy(
        adjustment_type=body["AdjustmentType"],
        steps=tuple(
            Step(
                adjustment=int(step["ScalingAdjustment"]),
                lower=step.get("MetricIntervalLowerBound"),
                upper=step.get("MetricIntervalUpperBound"),
            )
            for step in body["StepAdjustments"]
        ),
        cooldown=float(body.get("Cooldown", 300)),
        aggregation=body.get("MetricAggregationType") or "Average",
        magnitude=int(body.get("MinAdjustmentMagnitude") or 0),
    )


def schedule(record: FakeScheduledAction) -> Schedule:
    """Convert the schedule of moto's record of a scheduled action."""
    return Schedule.parse(
        record.schedule,
        zone=record.timezone,
        created=datetime.fromtimestamp(record.creation_time, timezone.utc),
        start=_moment(record.start_time),
        end=_moment(record.end_time),
    )


def _moment(given) -> datetime | None:
    return datetime.fromtimestamp(float(given), timezone.utc) if given else None
