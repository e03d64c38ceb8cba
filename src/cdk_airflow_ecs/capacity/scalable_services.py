"""ECS services whose desired count leaves the template when a scaler is attached."""

from __future__ import annotations

from typing import cast

from aws_cdk import Annotations
from aws_cdk import aws_ecs as ecs


class ScalableFargateService(ecs.FargateService):
    """A service on Fargate or managed instances."""

    def auto_scale_task_count(self, *, max_capacity: float, min_capacity: float | None = None) -> ecs.ScalableTaskCount:
        """Create a scaler, and omit the desired count."""
        _omit_count(self)
        return super().auto_scale_task_count(max_capacity=max_capacity, min_capacity=min_capacity)


class ScalableEc2Service(ecs.Ec2Service):
    """A service on EC2 instances."""

    def auto_scale_task_count(self, *, max_capacity: float, min_capacity: float | None = None) -> ecs.ScalableTaskCount:
        """Create a scaler, and omit the desired count."""
        _omit_count(self)
        return super().auto_scale_task_count(max_capacity=max_capacity, min_capacity=min_capacity)


def _omit_count(service: ecs.BaseService) -> None:
    """Omit the desired count, which each deployment would restore. Zero stays, because it means maintenance."""
    resource = cast("ecs.CfnService", service.node.default_child)
    count = resource.desired_count
    if not count:
        return
    resource.desired_count = None
    if count != 1:
        Annotations.of(service).add_warning_v2(
            "cdk-airflow-ecs:scaled-count",
            "count= has no effect on a service with auto_scale_task_count(…). Omit it, and pass min_capacity=",
        )
