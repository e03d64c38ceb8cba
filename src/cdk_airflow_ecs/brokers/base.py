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
    """What a broker asks of its clients, the scheduler and the workers.

    Args:
        port: the TCP port that they reach it on; None for a broker behind an AWS API.
        config: Airflow options; the broker and the result backend come from here, for both sides.
        environment: variables that those options read.
        permissions: what the scheduler's task role may do.
        consumers: what the task role of workers may do, by the queue that they serve.
        requirements: Python packages that the image must hold beyond Airflow's own, as pip names them.
        image_files: Python modules that the image must hold, text by file name.
    """

    port: int | None
    config: Mapping[Option, Value]
    environment: Mapping[str, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    consumers: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    image_files: Mapping[str, str] = field(default_factory=dict)


class Broker(ClusterResource):
    """Carries commands from the scheduler to Celery workers."""

    @abstractmethod
    def plan(self, version: AirflowVersion, queues: Sequence[str]) -> BrokerPlan:
        """Say what the broker's clients are given. Pure.

        Args:
            version: the Airflow release.
            queues: the Celery queues that workers serve, each once.
        """

    def store(self, queues: Sequence[str]) -> ClusterResource:
        """What must exist for *queues*. Most brokers keep any queue, and are that themselves."""
        del queues
        return self
