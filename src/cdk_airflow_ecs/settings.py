"""The checked arguments of a cluster with defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cdk_airflow_ecs import options
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.executors.base import SCHEDULER_WITH_TASKS_MIB, Executor, ExecutorContext, ExecutorPlan
from cdk_airflow_ecs.plan import Option, Value

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs
    from aws_cdk import aws_sns as sns

    from cdk_airflow_ecs.advice import Advice
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.cluster_resource import ClusterResource
    from cdk_airflow_ecs.commands.airflow_task import AirflowTask
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.databases.base import Database
    from cdk_airflow_ecs.ecs_task import EcsTask
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.monitoring.monitoring import Monitoring
    from cdk_airflow_ecs.web.web import Web

_DEFAULT_QUEUE: Final = ("operators", "default_queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The checked arguments of a cluster with defaults.

    Args:
        config: the user's Airflow options, by argument.
    """

    version: AirflowVersion
    image: AirflowImage
    executor: Executor
    database: Database
    dags: DagSource
    logs: LogStore
    log_router: LogRouter
    web: Web
    config: tuple[tuple[str, Mapping[Option, Value]], ...]
    environment: Mapping[str, Value]
    services: Mapping[str, Service]
    ecs_tasks: tuple[EcsTask, ...]
    airflow_tasks: tuple[AirflowTask, ...]
    enable_exec: bool | None
    container_insights: bool
    maintenance: bool
    snapshot_before_migration: bool
    monitoring: Monitoring | None
    given_secrets: Mapping[str, ecs.Secret] = field(compare=False)
    advice: tuple[Advice, ...]

    @property
    def alarm_topic(self) -> sns.ITopic | None:
        """The topic of alarms, if any."""
        return None if self.monitoring is None else self.monitoring.alarm_topic

    @property
    def default_queue(self) -> Value:
        """The default queue of Airflow."""
        line = self.version.line
        items = [item for _, given in (*self.config, ("image=", self.image.source.options)) for item in given.items()]
        return next((value for name, value in items if options.read_as(name, line) == _DEFAULT_QUEUE), "default")

    def executor_plan(self) -> ExecutorPlan:
        """Return the executor's plan."""
        memory = self.services.get("Scheduler", Service()).memory_mib
        context = ExecutorContext(
            version=self.version,
            default_queue=self.default_queue,
            scheduler_memory_mib=SCHEDULER_WITH_TASKS_MIB if memory is None else memory,
        )
        return self.executor.plan(context)

    def resources(self) -> dict[str, ClusterResource]:
        """Return the cluster resources by their names in refs. Parts of a resource follow it."""
        own: dict[str, ClusterResource] = {
            "Database": self.database,
            "Dags": self.dags,
            "Logs": self.logs,
            "Web": self.web,
            **self.executor_plan().stores,
        }
        return own | {name: part for resource in own.values() for name, part in resource.parts().items()}

    def may_hold_secrets(self) -> list[object]:
        """Return the user's secrets, and objects that may contain others."""
        sources = [image.source for image in self.images().values()]
        logins = [task.credentials for task in self.ecs_tasks if task.credentials is not None]
        return [
            *logins,
            *self.given_secrets.values(),
            self.log_router,
            self.executor,
            *self.resources().values(),
            *sources,
        ]

    def images(self) -> dict[str, AirflowImage]:
        """Return the images that run Airflow, by their names in components.

        Raises:
            ValueError: if DAGs are in images, and one image has none.
        """
        executor = self.executor_plan()
        own = {workers.process.component: workers.image for workers in (*executor.workers, *executor.tasks)}
        images = {"airflow": self.image, **own}
        folder = self.dags.image_folder
        return {name: image.with_dags(folder) for name, image in images.items() if image is not None}
