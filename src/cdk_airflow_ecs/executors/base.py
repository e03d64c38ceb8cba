"""The contract of an executor: one method that returns data, and one that a few executors need for grants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs.airflow import AirflowVersion
from cdk_airflow_ecs.capacity.base import Capacity
from cdk_airflow_ecs.capacity.fargate import Fargate
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.cluster_resource import ClusterResource
from cdk_airflow_ecs.incompatible_arguments import IncompatibleArgumentsError
from cdk_airflow_ecs.option_owner import OptionOwner
from cdk_airflow_ecs.plan import Architecture, Edge, Option, Permission, Value
from cdk_airflow_ecs.process import Process

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_iam as iam

    from cdk_airflow_ecs.capacity.pools import WorkerPool
    from cdk_airflow_ecs.images.airflow_image import AirflowImage

SCHEDULER_WITH_TASKS_MIB: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorContext:
    """What an executor may know when it plans.

    Args:
        version: the Airflow release that will run.
        default_queue: the queue of tasks that name none, ``[operators] default_queue``.
        scheduler_memory_mib: the scheduler's memory in MiB if tasks run inside it.
    """

    version: AirflowVersion
    default_queue: Value = "default"
    scheduler_memory_mib: int = SCHEDULER_WITH_TASKS_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A service of the executor's own, beside the components that every cluster has; or tasks that it starts itself.

    Args:
        process: what runs, and what it needs; the need "executor" gives it the executor's configuration.
        path: its place in the construct tree, ``Pools/<name>`` for a service, ``Tasks/<name>`` for tasks.
        service: its size and number, complete. Tasks that the executor starts have no number.
        config: Airflow options of this service alone.
        permissions: what its own task role may do.
        image: its image, if it is not the cluster's.
        architecture: its processor, if it is not that of its image.
        capacity: the machines that it runs on. The default is Fargate.
    """

    process: Process
    path: str
    service: Service
    config: Mapping[Option, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    image: AirflowImage | None = None
    architecture: Architecture | None = None
    capacity: Capacity = field(default_factory=Fargate)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPlan:
    """What an executor adds to a cluster.

    Args:
        class_path: what ``[core] executor`` says in every container.
        alias: what DAGs call it among :class:`SeveralExecutors`; the default is the name of its class.
        config: options for the scheduler and the executor's own workers, from one value: a result backend that
            differs between the two stalls scheduling while every health check is green.
        defaults: options for the same containers that the executor prefers and the user may change.
        environment: variables for the same containers.
        loader_config: options of the processes that load the executor itself: the scheduler, and the web component,
            which asks it for the log of a running task.
        workers: services that run tasks.
        tasks: tasks that the executor starts itself, each a task definition of one container without a service. Refs
            name one by its component: ``Ref("Tasks/executor", "task_definition_arn")``, "family_arn" (any revision),
            "task_role_arn", "execution_role_arn", "security_group_id". Their disk is gone with them, so logs must
            be remote.
        stores: what must exist for it, by the name that refs use, such as ``{"Broker": RedisBroker()}``.
        edges: connections it needs beyond those that components always have.
        permissions: what the scheduler's task role may do.
        tasks_in_scheduler: whether tasks run inside the scheduler.
        requirements: Python packages that every image must hold beyond Airflow's own, as pip names them.
        image_files: Python modules that every image must hold, text by file name.
    """

    class_path: str
    alias: str | None = None
    config: Mapping[Option, Value] = field(default_factory=dict)
    defaults: Mapping[Option, Value] = field(default_factory=dict)
    environment: Mapping[str, Value] = field(default_factory=dict)
    loader_config: Mapping[Option, Value] = field(default_factory=dict)
    workers: tuple[Workers, ...] = ()
    tasks: tuple[Workers, ...] = ()
    stores: Mapping[str, ClusterResource] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    permissions: tuple[Permission, ...] = ()
    tasks_in_scheduler: bool = False
    requirements: tuple[str, ...] = ()
    image_files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorBindContext:
    """What exists when an executor binds. Each mapping has every component by its name, such as "Scheduler".

    Args:
        cluster: the ECS cluster.
        task_roles: what the containers of a component may do on AWS.
        execution_roles: the roles that pull images and read secrets as tasks start.
        connections: the security groups, for ``connections["Scheduler"].connections.allow_to(…)``.
    """

    cluster: ecs.ICluster
    task_roles: Mapping[str, iam.IRole]
    execution_roles: Mapping[str, iam.IRole]
    connections: Mapping[str, ec2.IConnectable]


class Executor(OptionOwner, ABC):
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

    def with_pool(self, pool: WorkerPool) -> Executor:
        """Give this executor one more pool of workers.

        Raises:
            ValueError: if it has no pools.
        """
        raise IncompatibleArgumentsError(
            f"{type(self).__name__} has no worker pools, so {pool.name!r} cannot be added to it; use"
            " executor=CeleryExecutor(), alone or among SeveralExecutors([…])"
        )

    def bind(self, context: ExecutorBindContext) -> None:
        """Make the grants and connections that only this executor needs. Called once, after everything is rendered.

        Args:
            context: the roles and security groups of the components, and the ECS cluster.
        """
