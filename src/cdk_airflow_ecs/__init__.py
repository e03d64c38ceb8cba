"""Production-grade Apache Airflow on Amazon ECS as one AWS CDK construct."""

from cdk_airflow_ecs.airflow import AirflowVersion, HealthCheck
from cdk_airflow_ecs.brokers.redis import RedisBroker
from cdk_airflow_ecs.brokers.sqs import SqsBroker
from cdk_airflow_ecs.capacity.pools import WorkerPool
from cdk_airflow_ecs.capacity.service import Service
from cdk_airflow_ecs.cluster import AirflowCluster
from cdk_airflow_ecs.dags.image import ImageDags
from cdk_airflow_ecs.dags.s3 import S3Dags
from cdk_airflow_ecs.databases.aurora import AuroraDatabase
from cdk_airflow_ecs.databases.container import ContainerDatabase
from cdk_airflow_ecs.databases.existing import ExistingDatabase
from cdk_airflow_ecs.databases.rds import RdsDatabase
from cdk_airflow_ecs.ecs_task import EcsTaskHandle
from cdk_airflow_ecs.executors.base import Executor, ExecutorContext, ExecutorPlan, Workers
from cdk_airflow_ecs.executors.celery import CeleryExecutor
from cdk_airflow_ecs.executors.ecs import EcsExecutor
from cdk_airflow_ecs.executors.local import LocalExecutor
from cdk_airflow_ecs.executors.several import SeveralExecutors
from cdk_airflow_ecs.images.registry import AirflowImage
from cdk_airflow_ecs.logs.cloudwatch import CloudWatchLogs
from cdk_airflow_ecs.logs.local import LocalLogs
from cdk_airflow_ecs.logs.router import AwsLogs, FireLens
from cdk_airflow_ecs.logs.s3 import S3Logs
from cdk_airflow_ecs.plan import Permission
from cdk_airflow_ecs.web import Web

__all__ = [
    "AirflowCluster",
    "AirflowImage",
    "AirflowVersion",
    "AuroraDatabase",
    "AwsLogs",
    "CeleryExecutor",
    "CloudWatchLogs",
    "ContainerDatabase",
    "EcsExecutor",
    "EcsTaskHandle",
    "Executor",
    "ExecutorContext",
    "ExecutorPlan",
    "ExistingDatabase",
    "FireLens",
    "HealthCheck",
    "ImageDags",
    "LocalExecutor",
    "LocalLogs",
    "Permission",
    "RdsDatabase",
    "RedisBroker",
    "S3Dags",
    "S3Logs",
    "Service",
    "SeveralExecutors",
    "SqsBroker",
    "Web",
    "WorkerPool",
    "Workers",
]
