"""The contract of a Celery broker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.plan import Option, Permission, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlan:
    """Settings of a broker's clients: the scheduler and the workers.

    Args:
        port: the broker's TCP port; None for a broker behind an AWS API.
        config: Airflow options, including the broker and the result backend.
        environment: variables that the options read.
        permissions: permissions of the scheduler's task role.
        consumers: permissions of the workers' task role, by queue.
        requirements: further Python packages for the image.
        image_files: Python modules for the image, text by file name.
    """

    port: int | None
    config: Mapping[Option, Value]
    environment: Mapping[str, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    consumers: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    image_files: Mapping[str, str] = field(default_factory=dict)


class Broker(ClusterResource):
    """Transports commands from the scheduler to Celery workers."""

    @abstractmethod
    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """Return the settings of the broker's clients for *queues*, whose names are distinct. Pure."""

    def store(self, queues: Sequence[str]) -> ClusterResource:
        """Return the cluster resource that stores *queues*; by default the broker itself."""
        del queues
        return self
