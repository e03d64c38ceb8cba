"""The data about the whole cluster that planning each component needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdk_airflow_ecs.airflow import web_component
from cdk_airflow_ecs.dags.base import DagPlan
from cdk_airflow_ecs.executors.base import ExecutorPlan
from cdk_airflow_ecs.option_owner import OptionOwner
from cdk_airflow_ecs.plan import Option, Value
from cdk_airflow_ecs.relied_upon import option_owners, relied_upon
from cdk_airflow_ecs.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """The settings of a cluster, and the plans of its executor and DAG source.

    Args:
        web: the name of the component behind the load balancer.
        owners: the parts that check options.
        relied_upon: the result of :func:`~cdk_airflow_ecs.relied_upon.relied_upon`.
    """

    settings: Settings
    executor: ExecutorPlan
    dags: DagPlan
    web: str
    owners: Sequence[OptionOwner]
    relied_upon: Sequence[tuple[str, Mapping[Option, Value]]]

    @classmethod
    def of(cls, settings: Settings) -> PlanContext:
        """Return the context of *settings*, with plans of executor and DAG source."""
        owners = option_owners(settings)
        return cls(
            settings=settings,
            executor=settings.executor_plan(),
            dags=settings.dags.plan(settings.version),
            web=web_component(settings.version),
            owners=owners,
            relied_upon=relied_upon(settings, owners),
        )

    @property
    def is_3(self) -> bool:
        """Whether the cluster runs Airflow 3, which has an execution API."""
        return self.settings.version.major >= 3
