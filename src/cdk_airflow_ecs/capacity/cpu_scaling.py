"""Scaling of the API server by CPU and requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.limited_scaling import LimitedScaling
from cdk_airflow_ecs.capacity.scaling_limits import check_limits
from cdk_airflow_ecs.capacity.scaling_schedule import ScalingSchedule
from cdk_airflow_ecs.durations import seconds

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService

# Seconds. A new task receives requests after two health checks of the load balancer, 30 s apart (web/listeners.py), and
# CPU metrics have a period of 60 s (Amazon ECS developer guide, "Amazon ECS service utilization metrics").
_SCALE_OUT_COOLDOWN: Final = 60
# Seconds; the default for ECS services (Application Auto Scaling API Reference,
# TargetTrackingScalingPolicyConfiguration).
_SCALE_IN_COOLDOWN: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuScaling(LimitedScaling):
    """Run as many API servers (webservers in Airflow 2) as keep their average CPU utilization at a target.

    Target tracking policies of Application Auto Scaling set the number. With *requests_per_target* there are two
    policies: either can add tasks, and both must agree to remove one.

    Args:
        min_count: minimum number of tasks, at least 1: tasks of Airflow 3 fail without an API server.
        max_count: maximum number of tasks.
        target_percent: average CPU utilization of the tasks, 1 to 99 percent.
        requests_per_target: requests per minute and task that the load balancer should forward. The default is no such
            policy. Requests to the execution API are not counted, because they do not use the load balancer.
        schedules: other limits at certain times, such as working hours.

    Raises:
        ValueError: if a number is out of range, or *min_count* exceeds *max_count*; on creation of the cluster, if the
            service is not ``api_server``.

    Examples:
        >>> CpuScaling(min_count=2).max_count
        4
    """

    min_count: int = 1
    max_count: int = 4
    target_percent: int = 60
    requests_per_target: int | None = None
    schedules: Sequence[ScalingSchedule] = ()

    def __post_init__(self) -> None:
        validation.integer("CpuScaling target_percent", self.target_percent, 1, 99, tokens=True)
        if self.requests_per_target is not None:
            validation.integer("CpuScaling requests_per_target", self.requests_per_target, 1, tokens=True)
        schedules = check_limits("CpuScaling", self.min_count, self.max_count, self.schedules, least=1, tokens=True)
        for schedule in schedules:
            if 0 in (schedule.min_count, schedule.max_count):
                raise ValueError(
                    f"CpuScaling schedules: {schedule.name!r} must have min_count and max_count of at least 1, because"
                    " Airflow cannot run tasks without an API server, and CPU scaling cannot leave zero. To stop a"
                    " cluster, deploy maintenance=True"
                )
        object.__setattr__(self, "schedules", schedules)

    def _scale(
        self, service: ObservedService, cluster: ObservedCluster, min_count: int, max_count: int
    ) -> ecs.ScalableTaskCount:
        """Create scalable target and policies."""
        tasks = service.resource.auto_scale_task_count(min_capacity=min_count, max_capacity=max_count)
        tasks.scale_on_cpu_utilization(
            "ByCpu",
            target_utilization_percent=self.target_percent,
            scale_out_cooldown=seconds(_SCALE_OUT_COOLDOWN),
            scale_in_cooldown=seconds(_SCALE_IN_COOLDOWN),
        )
        if self.requests_per_target is not None:
            tasks.scale_on_request_count(
                "ByRequests",
                requests_per_target=self.requests_per_target,
                target_group=cluster.target_group,
                scale_out_cooldown=seconds(_SCALE_OUT_COOLDOWN),
                scale_in_cooldown=seconds(_SCALE_IN_COOLDOWN),
            )
        return tasks
