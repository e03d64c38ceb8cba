"""The contract of an executor: one method that returns data, and one that a few executors need for grants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdk_airflow_ecs.airflow import AirflowVersion, Process
from cdk_airflow_ecs.binding import Store
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.plan import Edge, Option, Permission, Value

if TYPE_CHECKING:
    from cdk_airflow_ecs.cluster import AirflowCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorContext:
    """What an executor may know when it plans.

    Args:
        version: the Airflow release that will run.
    """

    version: AirflowVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A service of the executor's own, beside the components that every cluster has.

    Args:
        process: what runs, and what it needs; the need "executor" gives it the executor's configuration.
        path: its place in the construct tree, ``Pools/<name>``.
        service: its size and number, complete.
        config: Airflow options of this service alone.
    """

    process: Process
    path: str
    service: Service
    config: Mapping[Option, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPlan:
    """What an executor adds to a cluster.

    Args:
        class_path: what ``[core] executor`` says in every container.
        config: options for the scheduler and the executor's own workers, from one value: a result backend that
            differs between the two stalls scheduling while every health check is green.
        environment: variables for the same containers.
        workers: services that run tasks.
        stores: what must exist for it, by the name that refs use, such as ``{"Broker": RedisBroker()}``.
        edges: connections it needs beyond those that components always have.
        permissions: what the scheduler's task role may do.
        tasks_in_scheduler: whether tasks run inside the scheduler.
    """

    class_path: str
    config: Mapping[Option, Value] = field(default_factory=dict)
    environment: Mapping[str, Value] = field(default_factory=dict)
    workers: tuple[Workers, ...] = ()
    stores: Mapping[str, Store] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    permissions: tuple[Permission, ...] = ()
    tasks_in_scheduler: bool = False


class Executor(ABC):
    """Runs Airflow tasks. Subclass it in your own code to bring an executor that this library does not know.

    Examples:
        >>> class LambdaExecutor(Executor):
        ...     def plan(self, context: ExecutorContext) -> ExecutorPlan:
        ...         provider = "airflow.providers.amazon.aws.executors"
        ...         return ExecutorPlan(class_path=f"{provider}.aws_lambda.AwsLambdaExecutor")
    """

    @abstractmethod
    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Say what this executor adds. Pure: no constructs, and equal inputs give equal plans."""

    def bind(self, cluster: AirflowCluster) -> None:  # noqa: B027 - optional by design
        """Make grants that only this executor knows of. Called once, after everything is rendered."""
