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
    """What the processes that parse or run DAGs are given. No other process gets any of it.

    Args:
        config: Airflow options.
        environment: variables.
        permissions: what their task roles may do.
        prefix: what stands before each command, such as a script that fetches files first.
        edges: connections to make, with "*" as the source that stands for each such component.
    """

    config: Mapping[Option, Value]
    environment: Mapping[str, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    prefix: tuple[str | Ref, ...] = ()
    edges: tuple[Edge, ...] = ()


class DagSource(ClusterResource):
    """Brings DAG files to the processes that parse or run them, and to no other."""

    @abstractmethod
    def plan(self, version: AirflowVersion) -> DagPlan:
        """Say what those processes are given. Pure."""

    @property
    def image_folder(self) -> str | None:
        """The folder of the image that holds the DAGs; None if they come from elsewhere."""
        return None
