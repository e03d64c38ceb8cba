"""A CDK app with one cluster, configured by environment variables; its DAGs read TEST_LEDGER and TEST_FAR."""

import os

from aws_cdk import App, Stack
from aws_cdk.aws_ecs import ContainerImage

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    EcsExecutor,
    LocalExecutor,
    QueueScaling,
    RedisBroker,
    SeveralExecutors,
    SqsBroker,
    WorkerPool,
)

SCALING = QueueScaling(max_count=3, scale_in_after_minutes=1) if "TEST_SCALING" in os.environ else None
POOLS = [WorkerPool("default", concurrency=4 if SCALING else None, scaling=SCALING)]
EXECUTORS = {
    "celery": lambda: CeleryExecutor(pools=POOLS),
    "sqs": lambda: CeleryExecutor(pools=POOLS, broker=SqsBroker()),
    "containers": lambda: CeleryExecutor(broker=RedisBroker.container()),
    "ecs": EcsExecutor,
    "local": LocalExecutor,
    "mixed": lambda: SeveralExecutors([CeleryExecutor(), EcsExecutor()]),
}

app = App()
name = os.environ["TEST_EXECUTOR"]
cluster = AirflowCluster(
    Stack(app, "Test"),
    "Airflow",
    version=AirflowVersion.of(os.environ["TEST_AIRFLOW"]),
    executor=EXECUTORS[name](),
    database=ContainerDatabase() if name == "containers" else None,
    environment={key: os.environ[key] for key in ("TEST_LEDGER", "TEST_FAR") if key in os.environ},
)
if "TEST_LEDGER" in os.environ and SCALING is None:
    cluster.add_ecs_task("etl", image=ContainerImage.from_registry("registry.example.org/etl:1"), command=["4711"])
app.synth()
