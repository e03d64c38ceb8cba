"""The methods that add to a cluster."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cdk_airflow_ecs import validation
from cdk_airflow_ecs.capacity.pools import WorkerPool
from cdk_airflow_ecs.commands.airflow_task import DATABASE, WITH_DAGS, AirflowTask
from cdk_airflow_ecs.commands.handle import AirflowTaskHandle
from cdk_airflow_ecs.ecs_task import EcsTask, EcsTaskHandle
from cdk_airflow_ecs.executors.celery import CeleryExecutor

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_secretsmanager as secretsmanager

    from cdk_airflow_ecs.capacity.base import Capacity
    from cdk_airflow_ecs.cluster_arguments import ClusterArguments
    from cdk_airflow_ecs.plan import Architecture
    from cdk_airflow_ecs.render_context import RenderContext, RenderedComponent


class ClusterAdditions:
    """The methods of ``AirflowCluster`` that add worker pools and tasks."""

    _arguments: ClusterArguments
    _rendered: dict[str, RenderedComponent]

    @abstractmethod
    def _grow(self, arguments: ClusterArguments) -> RenderContext:
        """Extend the cluster to *arguments*."""

    def add_worker_pool(self, pool: WorkerPool) -> None:
        """Add a pool of Celery workers, as if it were in ``CeleryExecutor(pools=[…])``.

        Args:
            pool: name, queues and size of the pool.

        Raises:
            ValueError: if the executor does not support pools, or a pool has this name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> cluster.add_worker_pool(WorkerPool("heavy", cpu=4096, memory_mib=16384, spot=True))
            >>> cluster.plan.component("Pools/heavy").spot
            True
        """
        validation.instance("add_worker_pool(pool)", pool, WorkerPool, 'WorkerPool("heavy")')
        executor = self._arguments.executor or CeleryExecutor()
        self._grow(replace(self._arguments, executor=executor.with_pool(pool)))

    def add_ecs_task(
        self,
        name: str,
        *,
        image: ecs.ContainerImage | str | None = None,
        credentials: secretsmanager.ISecret | None = None,
        entrypoint: Sequence[str] = (),
        command: Sequence[str] = (),
        cpu: int = 1024,
        memory_mib: int = 2048,
        ephemeral_storage_gib: int | None = None,
        spot: bool = False,
        capacity: Capacity | None = None,
        architecture: Architecture | None = None,
        environment: Mapping[str, str | ecs.Secret] | None = None,
        task_role: iam.IRole | None = None,
    ) -> EcsTaskHandle:
        """Define an ECS task that DAGs start with ``EcsRunTaskOperator``.

        The Airflow variable ``ecs_<name>`` contains the operator's arguments::

            EcsRunTaskOperator(
                task_id="load",
                overrides={"containerOverrides": [{"name": "etl", "command": ["python", "load.py"]}]},
                **Variable.get("ecs_etl", deserialize_json=True),
            )

        Args:
            name: name of the task and its container; hyphens become underscores in the variable.
            image: a ``ecs.ContainerImage``, or an image's name in a registry. The default is the cluster's image.
            credentials: secret with username and password for the registry of an image given by name.
            entrypoint: the entry point. The default is that of the image.
            command: the command, which a DAG can override. The default is that of the image.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk, 21 to 200 GiB. The default is Fargate's 20 GiB.
            spot: use Fargate Spot: up to 70 % cheaper, but AWS may stop the task with two minutes' notice.
            capacity: other machines than Fargate, such as ``Ec2Capacity(provider="gpu-machines", gpu=1)``. They must be
                in the ECS cluster of these tasks.
            architecture: "x86_64" or "arm64". The default is that of the cluster's image.
            environment: environment variables; values are text or ``ecs.Secret``. Those of Airflow's containers are not
                added.
            task_role: the task role. The default is a new role; use the returned handle to grant permissions.

        Returns:
            A handle for grants and connections.

        Raises:
            ValueError: for an invalid argument, or a duplicate name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> from aws_cdk import aws_ecs as ecs
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> etl = cluster.add_ecs_task("etl", image=ecs.ContainerImage.from_registry("python:3.13"), cpu=4096,
            ...     memory_mib=16384)
            >>> etl.variable
            'ecs_etl'
        """
        task = EcsTask(
            name=name,
            image=image,
            credentials=credentials,
            entrypoint=entrypoint,
            command=command,
            cpu=cpu,
            memory_mib=memory_mib,
            ephemeral_storage_gib=ephemeral_storage_gib,
            spot=spot,
            capacity=capacity,
            architecture=architecture,
            environment={} if environment is None else environment,
            task_role=task_role,
        )
        self._grow(replace(self._arguments, ecs_tasks=(*self._arguments.ecs_tasks, task)))
        return EcsTaskHandle(self._rendered[task.component], task.variable)

    def add_airflow_task(
        self,
        name: str,
        *,
        command: Sequence[str],
        schedule: str | None = None,
        time_zone: str = "Etc/UTC",
        load_dags: bool = True,
        cpu: int = 1024,
        memory_mib: int = 2048,
        ephemeral_storage_gib: int | None = None,
        environment: Mapping[str, str | ecs.Secret] | None = None,
    ) -> AirflowTaskHandle:
        """Define an ECS task that runs one Airflow command with the cluster's image, options and database login.

        A person or pipeline starts it with :attr:`AirflowTaskHandle.run_command`, or a schedule does. Unlike the tasks
        of a DAG, it can change the database in every release of Airflow.

        Args:
            name: name of the task.
            command: the command, such as ``["airflow", "dags", "reserialize"]``. ``aws ecs run-task`` can override it.
            schedule: EventBridge Scheduler expression, such as "cron(0 3 * * ? *)" or "rate(7 days)". With
                ``maintenance=True``, the schedule is disabled.
            time_zone: IANA time zone of the schedule, such as "Europe/Berlin".
            load_dags: whether the command needs DAG files. If so, it may run code of DAG authors, and grants to the
                cluster include it.
            cpu: CPU units; 1024 is one vCPU.
            memory_mib: memory in MiB.
            ephemeral_storage_gib: disk, 21 to 200 GiB. The default is Fargate's 20 GiB.
            environment: environment variables of this task; values are text or ``ecs.Secret``.

        Returns:
            A handle with the task definition, its role, and the command that starts it.

        Raises:
            ValueError: for an invalid argument, or a duplicate name.

        Examples:
            >>> from aws_cdk import App, Stack
            >>> cluster = AirflowCluster(Stack(App(), "Data"), "Airflow", version=AirflowVersion.V3_3)
            >>> task = cluster.add_airflow_task("reserialize", command=["airflow", "dags", "reserialize"])
            >>> task.run_command.startswith("aws ecs run-task ")
            True
        """
        validation.flag("add_airflow_task load_dags", load_dags)
        task = AirflowTask(
            name=name,
            command=command,
            schedule=schedule,
            time_zone=time_zone,
            cpu=cpu,
            memory_mib=memory_mib,
            ephemeral_storage_gib=ephemeral_storage_gib,
            environment={} if environment is None else environment,
            needs=WITH_DAGS if load_dags else DATABASE,
        )
        context = self._grow(replace(self._arguments, airflow_tasks=(*self._arguments.airflow_tasks, task)))
        return AirflowTaskHandle(self._rendered[task.component], context)
