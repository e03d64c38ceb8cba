"""The contract of a scaling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdk_airflow_ecs.monitoring.observed import ObservedCluster, ObservedService


class Scaling(ABC):
    """Controls the number of a service's tasks after a deploy; the template then has no desired count.

    A scaling is pure data; :meth:`attach` creates the scaler.
    """

    @property
    def protects_tasks(self) -> bool:
        """Whether ECS must not stop workers that run Airflow tasks when it scales in or deploys.

        Only worker pools of :class:`CeleryExecutor` support it.
        """
        return False

    @property
    def pauses(self) -> bool:
        """Whether :meth:`pause` sets the service to zero tasks. The template then has no desired count.

        With a desired count of zero, CloudFormation would wait for zero tasks before it pauses the scaler, which could
        start tasks meanwhile.
        """
        return False

    @abstractmethod
    def attach(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """Create the scaler of *service*. Called once per service with this scaling, after everything else exists.

        Args:
            service: the service, whose construct has ``auto_scale_task_count``.
            cluster: the cluster, with its load balancer, log group and metrics.
        """

    def pause(self, service: ObservedService, cluster: ObservedCluster) -> None:  # noqa: B027
        """Create what must exist during maintenance, instead of :meth:`attach`. The default is nothing.

        A deleted scaler could start tasks before CloudFormation deletes it, which it does last.

        Args:
            service: the service, which has no tasks.
            cluster: the cluster.
        """


@dataclass(frozen=True, slots=True)
class ExternalScaling(Scaling):
    """A scaler that you create, such as ``cluster.service("Pools/default").auto_scale_task_count(…)``.

    ECS starts one task when it creates the service. Later deploys do not change the number.

    Examples:
        >>> from cdk_airflow_ecs import WorkerPool
        >>> WorkerPool("default", scaling=ExternalScaling()).scaling
        ExternalScaling()
    """

    def attach(self, service: ObservedService, cluster: ObservedCluster) -> None:
        """Do nothing: the user creates the scaler."""
