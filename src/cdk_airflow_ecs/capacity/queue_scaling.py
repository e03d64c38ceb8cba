"""Scaling of worker pools by the tasks on their queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.limited_scaling import LimitedScaling
from cdk_airflow_ecs.capacity.scaling_limits import check_limits
from cdk_airflow_ecs.capacity.scaling_schedule import ScalingSchedule
from cdk_airflow_ecs.capacity.scaling_steps import capacities
from cdk_airflow_ecs.durations import seconds

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService

NAMESPACE: Final = "cdk-airflow-ecs"
REQUIRED_WORKERS: Final = "RequiredWorkers"
TASKS: Final = "QueuedOrRunningTasks"
_DAY_MINUTES: Final = 1_440


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueScaling(LimitedScaling):
    """Run as many workers as the queued and running tasks on a pool's queues need, and none if there are none.

    A container in the scheduler's ECS tasks counts these tasks every 30 s, and publishes the required workers as the
    CloudWatch metric RequiredWorkers. One step scaling policy of Application Auto Scaling sets this number. Without
    the metric, the number does not change.

    Args:
        min_count: minimum number of workers; with 0, the first task of an idle pool waits for a worker to start.
        max_count: maximum number of workers. If the range has more than 20 numbers, large ones are rounded up.
        scale_in_after_minutes: how long fewer workers must suffice before the number decreases, 1 to 1,440.
        schedules: other limits at certain times, such as nights.

    Raises:
        ValueError: if a number is out of range, or *min_count* exceeds *max_count*; on creation of the cluster, if the
            service is not a worker pool, or ``log_router`` does not write to CloudWatch Logs.

    Examples:
        >>> QueueScaling(min_count=0, max_count=20).scale_in_after_minutes
        5
    """

    min_count: int = 0
    max_count: int = 10
    scale_in_after_minutes: int = 5
    schedules: Sequence[ScalingSchedule] = ()

    def __post_init__(self) -> None:
        validation.integer("QueueScaling scale_in_after_minutes", self.scale_in_after_minutes, 1, _DAY_MINUTES)
        schedules = check_limits("QueueScaling", self.min_count, self.max_count, self.schedules)
        object.__setattr__(self, "schedules", schedules)

    @property
    def protects_tasks(self) -> bool:
        """See :attr:`Scaling.protects_tasks`."""
        return True

    @property
    def capacities(self) -> tuple[int, ...]:
        """The numbers of workers that the policy can set, within the limits of all schedules."""
        lows = [self.min_count, *(each.min_count for each in self.schedules if each.min_count is not None)]
        highs = [self.max_count, *(each.max_count for each in self.schedules if each.max_count is not None)]
        return capacities(min(lows + highs), max(lows + highs))

    def _scale(
        self, service: ObservedService, cluster: ObservedCluster, min_count: int, max_count: int
    ) -> ecs.ScalableTaskCount:
        """Create scalable target, policy and alarm."""
        # Slow to load, and needed only here.
        from aws_cdk import aws_applicationautoscaling as appscaling  # noqa: PLC0415
        from aws_cdk import aws_cloudwatch as cloudwatch  # noqa: PLC0415
        from aws_cdk import aws_cloudwatch_actions as actions  # noqa: PLC0415

        pool = pool_name(service.name)
        tasks = service.resource.auto_scale_task_count(min_capacity=min_count, max_capacity=max_count)
        action = appscaling.StepScalingAction(
            tasks,
            "ByQueue",
            # CDK keeps it private, and its own method would create two alarms.
            scaling_target=cast("appscaling.ScalableTarget", tasks.node.find_child("Target")),
            adjustment_type=appscaling.AdjustmentType.EXACT_CAPACITY,
            metric_aggregation_type=appscaling.MetricAggregationType.MAXIMUM,
            cooldown=seconds(60),
        )
        # Bounds are relative to the alarm's threshold, 0. The policy rounds up to the next capacity.
        numbers = self.capacities
        bounds = [0, *(number + 1 for number in numbers[:-1]), None]
        for number, (lower, upper) in zip(numbers, pairwise(bounds), strict=True):
            action.add_adjustment(adjustment=number, lower_bound=lower, upper_bound=upper)
        alarm = cloudwatch.Alarm(
            tasks,
            REQUIRED_WORKERS,
            alarm_description=(
                f"Not a fault: sets the number of workers of the pool {pool}. It is in state ALARM whenever the"
                " scheduler publishes the metric"
            ),
            metric=cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name=REQUIRED_WORKERS,
                dimensions_map={"Cluster": cluster.ecs_cluster, "Pool": pool},
                # Each scheduler publishes the same number.
                statistic="Maximum",
                period=seconds(60),
            ),
            threshold=0,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.MISSING,
        )
        alarm.add_alarm_action(actions.ApplicationScalingAction(action))
        return tasks


def pool_name(component: str) -> str:
    """Return the name of a worker pool, the dimension Pool, by its component."""
    return component.rpartition("/")[2]
