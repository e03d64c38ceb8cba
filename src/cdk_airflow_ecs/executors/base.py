"""The contract of an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
    """Facts about the cluster for :meth:`Executor.plan`.

    Args:
        version: the Airflow release.
        default_queue: ``[operators] default_queue``, the queue of tasks without ``queue=``.
        scheduler_memory_mib: the scheduler's memory in MiB if tasks run in it.
    """

    version: AirflowVersion
    default_queue: Value = "default"
    scheduler_memory_mib: int = SCHEDULER_WITH_TASKS_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A service of an executor, or tasks that the executor starts.

    Args:
        process: the process; "executor" among its needs adds the executor's configuration.
        path: path in the construct tree: ``Pools/<name>`` for a service, ``Tasks/<name>`` for tasks.
        service: size and count, all set. Tasks that the executor starts have no count.
        config: Airflow options of this service only.
        permissions: permissions of its task role.
        image: the default is the cluster's.
        architecture: the default is the image's.
        capacity: machines on which it runs. The default is Fargate.
        queues: the queues whose tasks it runs, for QueueScaling.
        slots: the number of concurrent tasks per ECS task, for QueueScaling.
        executor_names: its values of the column ``task_instance.executor``, for QueueScaling; None is that of tasks
            that name no executor.
    """

    process: Process
    path: str
    service: Service
    config: Mapping[Option, Value] = field(default_factory=dict)
    permissions: tuple[Permission, ...] = ()
    image: AirflowImage | None = None
    architecture: Architecture | None = None
    capacity: Capacity = field(default_factory=Fargate)
    queues: Sequence[str] = ()
    slots: int | None = None
    executor_names: Sequence[str | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPlan:
    """The processes, options and resources that an executor adds to a cluster.

    Args:
        class_path: value of ``[core] executor``.
        alias: its name in DAGs with :class:`SeveralExecutors`. The default is its class name.
        config: options that scheduler and workers must share: with different result backends, for example, scheduling
            stalls while all health checks pass.
        defaults: options of the same containers that the user can override.
        environment: variables of the same containers.
        loader_config: options of the processes that load the executor: the scheduler, and the web component, which
            requests the logs of running tasks from it.
        workers: services that run tasks.
        tasks: tasks that the executor starts, each with a task definition of one container. A :class:`Ref` uses the
            path: ``Ref("Tasks/executor", "task_definition_arn")``, "family_arn" (any revision), "task_role_arn",
            "execution_role_arn", "security_group_id". ECS deletes their disks, so logs must be remote.
        stores: cluster resources that the executor needs, by name in refs, such as ``{"Broker": RedisBroker()}``.
        edges: connections in addition to those of every cluster.
        permissions: permissions of the scheduler's task role.
        tasks_in_scheduler: whether tasks run in the scheduler.
        requirements: further Python packages for every image, as pip requirements.
        image_files: Python modules for every image, text by file name.
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
    """Constructs for :meth:`Executor.bind`, in mappings by component name, such as "Scheduler".

    Args:
        cluster: the ECS cluster.
        task_roles: task roles.
        execution_roles: execution roles, which pull images and read secrets.
        connections: security groups, for ``connections["Scheduler"].connections.allow_to(…)``.
    """

    cluster: ecs.ICluster
    task_roles: Mapping[str, iam.IRole]
    execution_roles: Mapping[str, iam.IRole]
    connections: Mapping[str, ec2.IConnectable]


class Executor(OptionOwner, ABC):
    """Runs Airflow tasks. Subclass it to use an executor that this library does not include.

    Examples:
        >>> class LambdaExecutor(Executor):
        ...     def plan(self, context: ExecutorContext) -> ExecutorPlan:
        ...         provider = "airflow.providers.amazon.aws.executors"
        ...         return ExecutorPlan(class_path=f"{provider}.aws_lambda.AwsLambdaExecutor")
    """

    @abstractmethod
    def plan(self, context: ExecutorContext) -> ExecutorPlan:
        """Return what this executor adds to the cluster. Pure: equal inputs give equal plans."""

    def with_pool(self, pool: WorkerPool) -> Executor:
        """Return this executor with another worker pool.

        Raises:
            ValueError: if it does not support pools.
        """
        raise IncompatibleArgumentsError(
            f"{type(self).__name__} does not support worker pools, so {pool.name!r} cannot be added. Use"
            " executor=CeleryExecutor(), or include it in SeveralExecutors([…])"
        )

    def complete_options(self, options: Mapping[Option, Value]) -> Mapping[Option, Value]:
        """Return options that depend on the user's options, for the processes that load this executor. Pure.

        Args:
            options: all options of such a process, including the user's. The returned options replace them.
        """
        del options
        return {}

    def bind(self, context: ExecutorBindContext) -> None:
        """Create this executor's grants and connections, once all components are rendered."""
