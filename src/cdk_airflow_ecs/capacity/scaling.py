"""The contract of a scaling: what decides the number of a service's tasks after a deploy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService


class Scaling(ABC):
    """Decides the number of a service's tasks after a deploy. The template then has no number of its own.

    A scaling is pure data in the plan; :meth:`attach` makes what scales, after everything else exists.
    """

    @abstractmethod
    def attach(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """Make what scales *service*. Called once for each service that has this scaling.

        Args:
            service: the service; its construct offers ``auto_scale_task_count``.
            cluster: the finished cluster, with its load balancer, log group and the metrics of its stores.
        """


@dataclass(frozen=True, slots=True)
class ExternalScaling(Scaling):
    """A scaler that you attach yourself, such as ``cluster.service("Pools/default").auto_scale_task_count(…)``.

    ECS starts one task when the service is created. Later deploys leave the number as they find it.

    Examples:
        >>> from cdk_airflow_ecs import WorkerPool
        >>> WorkerPool("default", scaling=ExternalScaling()).scaling
        ExternalScaling()
    """

    def attach(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """Make nothing: the scaler is the user's."""
