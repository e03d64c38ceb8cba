"""The contract of whatever exists once in a cluster: database, broker, DAG source, log store, web front."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from constructs import Construct

    from cdk_airflow_ecs.advice import Advice
    from cdk_airflow_ecs.bind_context import BindContext
    from cdk_airflow_ecs.binding import Binding
    from cdk_airflow_ecs.network import Network
    from cdk_airflow_ecs.plan import Component


class ClusterResource(ABC):
    """Something that exists once in a cluster, and that components refer to by a name.

    The cluster calls every method below for each of its resources: the database, the broker, the DAG source, the log
    store, the web front, and the parts of each. Only :meth:`bind` makes constructs.
    """

    @abstractmethod
    def bind(self, scope: Construct, context: BindContext) -> Binding:
        """Create it under *scope*, or look it up, and say how to reach it.

        Called once. A resource that can grow with the cluster, as queues do with worker pools, is called again and
        then finds what it has made.
        """

    def check(self, network: Network | None) -> None:  # noqa: B027 - optional by design
        """Refuse a network that it cannot stand in, or be reached from, before anything is made.

        Args:
            network: where the cluster will be in the user's VPC; None for a VPC of the cluster's own.

        Raises:
            ValueError: saying which argument gives it another place.
        """

    def component(self) -> Component | None:
        """Return what runs it, if it is a container of the cluster's own. Pure."""
        return None

    def parts(self) -> Mapping[str, ClusterResource]:
        """Return what must exist beside it, by names below its own: ``{"Database/Files": EfsFiles(…)}``. Pure."""
        return {}

    def advice(self) -> Sequence[Advice]:
        """Return what the user should know about it. Pure."""
        return ()
