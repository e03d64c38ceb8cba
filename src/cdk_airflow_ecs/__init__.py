"""Production-grade Apache Airflow on Amazon ECS as one AWS CDK construct."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cdk_airflow_ecs.airflow import AirflowVersion
    from cdk_airflow_ecs.brokers.redis import RedisBroker
    from cdk_airflow_ecs.brokers.sqs import SqsBroker
    from cdk_airflow_ecs.capacity.base import Capacity, ProviderShare
    from cdk_airflow_ecs.capacity.cpu_scaling import CpuScaling
    from cdk_airflow_ecs.capacity.ec2 import Ec2Capacity
    from cdk_airflow_ecs.capacity.fargate import Fargate
    from cdk_airflow_ecs.capacity.managed_instances import ManagedInstances
    from cdk_airflow_ecs.capacity.pools import WorkerPool
    from cdk_airflow_ecs.capacity.queue_scaling import QueueScaling
    from cdk_airflow_ecs.capacity.scaling import ExternalScaling, Scaling
    from cdk_airflow_ecs.capacity.scaling_schedule import ScalingSchedule
    from cdk_airflow_ecs.capacity.service import Service
    from cdk_airflow_ecs.cluster import AirflowCluster
    from cdk_airflow_ecs.commands.database_cleanup import DatabaseCleanup
    from cdk_airflow_ecs.commands.handle import AirflowTaskHandle
    from cdk_airflow_ecs.dags.image import ImageDags
    from cdk_airflow_ecs.dags.s3 import S3Dags
    from cdk_airflow_ecs.databases.aurora import AuroraDatabase
    from cdk_airflow_ecs.databases.existing_postgres import ExistingDatabase
    from cdk_airflow_ecs.databases.postgres_container import ContainerDatabase
    from cdk_airflow_ecs.databases.rds import RdsDatabase
    from cdk_airflow_ecs.ecs_task import EcsTaskHandle
    from cdk_airflow_ecs.executors.base import Executor, ExecutorBindContext, ExecutorContext, ExecutorPlan, Workers
    from cdk_airflow_ecs.executors.celery import CeleryExecutor
    from cdk_airflow_ecs.executors.ecs import EcsExecutor
    from cdk_airflow_ecs.executors.local import LocalExecutor
    from cdk_airflow_ecs.executors.several import SeveralExecutors
    from cdk_airflow_ecs.images.airflow_image import AirflowImage
    from cdk_airflow_ecs.logs.awslogs import AwsLogs
    from cdk_airflow_ecs.logs.cloudwatch import CloudWatchLogs
    from cdk_airflow_ecs.logs.firelens import FireLens
    from cdk_airflow_ecs.logs.local import LocalLogs
    from cdk_airflow_ecs.logs.s3 import S3Logs
    from cdk_airflow_ecs.monitoring.monitoring import Monitoring
    from cdk_airflow_ecs.plan import Permission
    from cdk_airflow_ecs.process import HealthCheck
    from cdk_airflow_ecs.web.web import Web

# Imported lazily, so that the `airflow-ecs` command does not load CDK and start Node.js.
_MODULES = {
    "AirflowCluster": "cluster",
    "AirflowImage": "images.airflow_image",
    "AirflowTaskHandle": "commands.handle",
    "AirflowVersion": "airflow",
    "AuroraDatabase": "databases.aurora",
    "AwsLogs": "logs.awslogs",
    "Capacity": "capacity.base",
    "CeleryExecutor": "executors.celery",
    "CloudWatchLogs": "logs.cloudwatch",
    "ContainerDatabase": "databases.postgres_container",
    "CpuScaling": "capacity.cpu_scaling",
    "DatabaseCleanup": "commands.database_cleanup",
    "Ec2Capacity": "capacity.ec2",
    "EcsExecutor": "executors.ecs",
    "EcsTaskHandle": "ecs_task",
    "Executor": "executors.base",
    "ExecutorBindContext": "executors.base",
    "ExecutorContext": "executors.base",
    "ExecutorPlan": "executors.base",
    "ExistingDatabase": "databases.existing_postgres",
    "ExternalScaling": "capacity.scaling",
    "Fargate": "capacity.fargate",
    "FireLens": "logs.firelens",
    "HealthCheck": "process",
    "ImageDags": "dags.image",
    "LocalExecutor": "executors.local",
    "LocalLogs": "logs.local",
    "ManagedInstances": "capacity.managed_instances",
    "Monitoring": "monitoring.monitoring",
    "Permission": "plan",
    "ProviderShare": "capacity.base",
    "QueueScaling": "capacity.queue_scaling",
    "RdsDatabase": "databases.rds",
    "RedisBroker": "brokers.redis",
    "S3Dags": "dags.s3",
    "S3Logs": "logs.s3",
    "Scaling": "capacity.scaling",
    "ScalingSchedule": "capacity.scaling_schedule",
    "Service": "capacity.service",
    "SeveralExecutors": "executors.several",
    "SqsBroker": "brokers.sqs",
    "Web": "web.web",
    "WorkerPool": "capacity.pools",
    "Workers": "executors.base",
}

__all__ = [
    "AirflowCluster",
    "AirflowImage",
    "AirflowTaskHandle",
    "AirflowVersion",
    "AuroraDatabase",
    "AwsLogs",
    "Capacity",
    "CeleryExecutor",
    "CloudWatchLogs",
    "ContainerDatabase",
    "CpuScaling",
    "DatabaseCleanup",
    "Ec2Capacity",
    "EcsExecutor",
    "EcsTaskHandle",
    "Executor",
    "ExecutorBindContext",
    "ExecutorContext",
    "ExecutorPlan",
    "ExistingDatabase",
    "ExternalScaling",
    "Fargate",
    "FireLens",
    "HealthCheck",
    "ImageDags",
    "LocalExecutor",
    "LocalLogs",
    "ManagedInstances",
    "Monitoring",
    "Permission",
    "ProviderShare",
    "QueueScaling",
    "RdsDatabase",
    "RedisBroker",
    "S3Dags",
    "S3Logs",
    "Scaling",
    "ScalingSchedule",
    "Service",
    "SeveralExecutors",
    "SqsBroker",
    "Web",
    "WorkerPool",
    "Workers",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
