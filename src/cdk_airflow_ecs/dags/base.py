"""The contract of a DAG source."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Edge, Option, Permission, Ref, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class DagPlan:
    """Settings of the processes that parse or run DAGs.

    Args:
        config: Airflow options.
        environment: variables.
        permissions: permissions of the processes' task roles.
        prefix: words that precede the command of each process, such as a script that fetches files.
        edges: connections; the source "*" means every component with such a process.
    """

    config: Mapping[Option, Value]
    environment: Mapping[str, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    prefix: tuple[str | Ref, ...] = ()
    edges: tuple[Edge, ...] = ()


class DagSource(ClusterResource):
    """Delivers DAG files to the processes that parse or run them."""

    @abstractmethod
    def plan(self, version: AirflowVersion) -> DagPlan:
        """Return the settings of the processes that parse or run DAGs. Pure."""

    @property
    def image_folder(self) -> str | None:
        """The folder of the image that contains the DAGs, if any."""
        return None
