"""The arguments of a cluster as a dataclass. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_ecs as ecs

    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.commands.airflow_task import AirflowTask
    from cdk_airflow_ecs.commands.database_cleanup import DatabaseCleanup
    from cdk_airflow_ecs.dags.base import DagSource
    from cdk_airflow_ecs.databases.base import Database
    from cdk_airflow_ecs.ecs_task import EcsTask
    from cdk_airflow_ecs.executors.base import Executor
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.base import LogStore
    from cdk_airflow_ecs.logs.router import LogRouter
    from cdk_airflow_ecs.monitoring.monitoring import Monitoring
    from cdk_airflow_ecs.web.web import Web


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterArguments:
    """Unchecked arguments of ``AirflowCluster``, which documents them.

    Args:
        services: services by component, such as ``{"Scheduler": Service(cpu=2048, memory_mib=4096)}``.
        ecs_tasks: the tasks that ``add_ecs_task`` defined.
        airflow_tasks: the tasks that ``add_airflow_task`` defined.
    """

    version: AirflowVersion | None = None
    executor: Executor | None = None
    database: Database | None = None
    dags: DagSource | None = None
    image: AirflowImage | None = None
    logs: LogStore | None = None
    log_router: LogRouter | None = None
    web: Web | None = None
    config: Mapping[str, Mapping[str, object]] | None = None
    environment: Mapping[str, str | ecs.Secret] | None = None
    services: Mapping[str, Service | None] | None = None
    ecs_tasks: tuple[EcsTask, ...] = ()
    airflow_tasks: tuple[AirflowTask, ...] = ()
    maintenance_tasks: Sequence[DatabaseCleanup] = ()
    snapshot_before_migration: bool | None = None
    enable_exec: bool | None = None
    container_insights: bool = True
    maintenance: bool = False
    monitoring: Monitoring | None = None
