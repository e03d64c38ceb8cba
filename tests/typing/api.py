"""User code with every public argument, for type checks only."""

from __future__ import annotations

from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowImage,
    AirflowVersion,
    AuroraDatabase,
    CeleryExecutor,
    CloudWatchLogs,
    ContainerDatabase,
    EcsExecutor,
    EcsTaskHandle,
    ExistingDatabase,
    HealthCheck,
    ImageDags,
    LocalExecutor,
    LocalLogs,
    Monitoring,
    RdsDatabase,
    RedisBroker,
    S3Dags,
    S3Logs,
    Service,
    SeveralExecutors,
    SqsBroker,
    Web,
    WorkerPool,
)


def everything(stack: Stack, secret: secretsmanager.ISecret, vpc: ec2.IVpc, db: rds.IDatabaseInstance) -> None:
    """Create a cluster with every argument."""
    cluster = AirflowCluster(
        stack,
        "Airflow",
        version=AirflowVersion.of("2.8.1"),
        executor=CeleryExecutor(
            broker=RedisBroker.existing("redis.example.com", auth_token=secret),
            pools=[WorkerPool("default", count=2), WorkerPool("heavy", queues=["heavy"], cpu=4096, memory_mib=16384)],
        ),
        database=ExistingDatabase(db, secret=secret),
        dags=ImageDags(),
        image=AirflowImage.registry("ghcr.io/acme/airflow:3.3.2-1", architecture="arm64"),
        logs=S3Logs(expire_days=30),
        web=Web(allow_from=["10.0.0.0/8", ec2.Peer.any_ipv4()]),
        config={"core": {"parallelism": 64}, "smtp": {"smtp_password": ecs.Secret.from_secrets_manager(secret)}},
        environment={"STAGE": "dev"},
        scheduler=Service(cpu=512, memory_mib=1024, health_check=HealthCheck(command=("true",))),
        vpc=vpc,
        removal_policy=RemovalPolicy.DESTROY,
    )
    CeleryExecutor(broker=RedisBroker.container(image="redis:7.2", cpu=512, memory_mib=1024))
    ContainerDatabase(image="postgres:17", cpu=512, memory_mib=1024)
    CeleryExecutor(broker=SqsBroker(message_retention_days=14, max_receive_count=2))
    bucket = s3.Bucket(stack, "Bucket")
    bucket.grant_read(cluster)
    cluster.connections.allow_to_default_port(db)
    name: str = cluster.plan.components[0].name
    url: str = cluster.url
    service: ecs.BaseService = cluster.service(name)
    del url, service


def growth(
    cluster: AirflowCluster, role: iam.IRole, secret: ecs.Secret, bucket: s3.IBucket, db: rds.IDatabaseInstance
) -> EcsTaskHandle:
    """Use every method that adds to a cluster."""
    image = AirflowImage.registry("ghcr.io/acme/airflow:1")
    cluster.add_worker_pool(WorkerPool("cheap", spot=True, architecture="arm64", image=image))
    cluster.add_ecs_task("small")
    etl = cluster.add_ecs_task(
        "etl",
        image=ecs.ContainerImage.from_registry("python:3.13"),
        entrypoint=["python"],
        command=("etl.py",),
        cpu=4096,
        memory_mib=16384,
        ephemeral_storage_gib=100,
        spot=True,
        architecture="x86_64",
        environment={"STAGE": "dev", "TOKEN": secret},
        task_role=role,
    )
    bucket.grant_read(etl)
    etl.connections.allow_to_default_port(db)
    variable: str = etl.variable
    task_role: iam.IRole = etl.task_role
    definition: ecs.TaskDefinition = etl.task_definition
    execution_role: iam.IRole = cluster.execution_roles["Tasks/etl"]
    del variable, task_role, definition, execution_role
    return etl


def monitoring(stack: Stack, topic: sns.ITopic) -> list[cloudwatch.Metric]:
    """Create alarms, and return metrics with every argument."""
    cluster = AirflowCluster(stack, "Watched", monitoring=Monitoring(alarm_topic=topic, dashboard=False))
    return [
        cluster.metric_queue_depth("default", statistic="Average", period=Duration.minutes(5)),
        cluster.metric_tasks("default", period=Duration.minutes(5)),
        cluster.metric_broker_memory(node=2),
        cluster.metric_database_connections(),
        cluster.metric_database_cpu(),
        cluster.metric_database_free_storage(),
        cluster.metric_healthy_hosts(),
        cluster.metric_unhealthy_hosts(),
        cluster.metric_api_errors(),
    ]


def nothing() -> AirflowCluster:
    """Create a cluster without arguments."""
    return AirflowCluster(Stack(App(), "Stack"), "Airflow")


def executors(secret: secretsmanager.ISecret) -> SeveralExecutors:
    """Create executors with every argument."""
    token = ecs.Secret.from_secrets_manager(secret)
    one = EcsExecutor(
        cpu=4096,
        memory_mib=16384,
        ephemeral_storage_gib=100,
        spot=True,
        environment={"STAGE": "dev", "TOKEN": token},
        max_run_task_attempts=3,
        alias="heavy",
    )
    return SeveralExecutors([CeleryExecutor(), one, LocalExecutor(parallelism=4)])


def others() -> tuple[object, ...]:
    """Use the arguments that are not used above."""
    CloudWatchLogs(retention_days=None)
    AuroraDatabase(min_capacity=1, max_capacity=2.5, readers=2, io_optimized=True, engine_version="16.11")
    return (EcsExecutor(), LocalLogs(), RdsDatabase(multi_az=False), S3Dags(refresh_seconds=60))
