"""The common tutorial for Airflow 2.8.1 on AWS Copilot, with PostgreSQL and Redis in containers, as there."""

from aws_cdk import Annotations, App, RemovalPolicy, Stack

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    LocalLogs,
    RedisBroker,
    Service,
    Web,
    WorkerPool,
)

app = App()
stack = Stack(app, "AirflowDev")
size = {"cpu": 512, "memory_mib": 1024, "count": 1, "ephemeral_storage_gib": 50}
AirflowCluster(
    stack,
    "Airflow",
    version=AirflowVersion.of("2.8.1"),
    database=ContainerDatabase(image="public.ecr.aws/docker/library/postgres:14"),
    executor=CeleryExecutor(
        broker=RedisBroker.container(image="public.ecr.aws/docker/library/redis:6.2"),
        pools=[WorkerPool("default", **size)],
    ),
    api_server=Service(**size),
    scheduler=Service(**size),
    web=Web(base_url="http://localhost:8080"),
    logs=LocalLogs(),
    # The webserver's default of four processes used 607 MB in a measurement (2.11): too close to 1024.
    config={"logging": {"logging_level": "DEBUG"}, "webserver": {"workers": 2}},
    environment={"STAGE": "dev"},
    enable_exec=True,
    removal_policy=RemovalPolicy.DESTROY,
)
for store in ("database", "broker"):
    Annotations.of(stack).acknowledge_warning(f"cdk-airflow-ecs:container-{store}", "This is for development.")
app.synth()
