"""The contract of a Celery broker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.binding import Store
from cdk_airflow_ecs.plan import Option, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlan:
    """What a broker asks of its clients, the scheduler and the workers.

    Args:
        port: the TCP port that they reach it on; None for a broker behind an AWS API.
        config: Airflow options; the broker and the result backend come from here, for both sides.
        environment: variables that those options read.
    """

    port: int | None
    config: Mapping[Option, Value]
    environment: Mapping[str, Value] = field(default_factory=dict)


class Broker(Store):
    """Carries commands from the scheduler to Celery workers."""

    @abstractmethod
    def plan(self, version: AirflowVersion) -> BrokerPlan:
        """Say what the broker's clients are given. Pure."""
