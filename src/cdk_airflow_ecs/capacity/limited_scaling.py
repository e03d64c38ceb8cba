"""Scalings with a minimum and a maximum number of tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cdk_airflow_ecs.capacity.scaling import Scaling
from cdk_airflow_ecs.capacity.scaling_limits import add_schedules
from cdk_airflow_ecs.capacity.scaling_schedule import ScalingSchedule

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService


class LimitedScaling(Scaling):
    """A scaling whose scalable target has limits, which schedules change and maintenance sets to zero."""

    min_count: int
    max_count: int
    schedules: Sequence[ScalingSchedule]

    @property
    def pauses(self) -> bool:
        """See :attr:`Scaling.pauses`."""
        return True

    def attach(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """See :meth:`Scaling.attach`."""
        add_schedules(self._scale(service, cluster, self.min_count, self.max_count), self.schedules)

    def pause(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """See :meth:`Scaling.pause`.

        Application Auto Scaling changes the number of tasks to one within the new limits at once (API Reference,
        RegisterScalableTarget).
        """
        self._scale(service, cluster, 0, 0)

    @abstractmethod
    def _scale(
        self, service: ObservedService, cluster: ObservedCluster, min_count: int, max_count: int
    ) -> ecs.ScalableTaskCount:
        """Create the scalable target with these limits, and its policies."""
