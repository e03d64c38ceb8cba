"""A development cluster; an environment variable selects containers or AWS services as database and broker."""

import os

from aws_cdk import App, RemovalPolicy, Stack

from cdk_airflow_ecs import (
    AirflowCluster,
    AirflowVersion,
    CeleryExecutor,
    ContainerDatabase,
    RdsDatabase,
    RedisBroker,
)

in_containers = bool(os.environ.get("TEST_CONTAINERS"))
app = App()
AirflowCluster(
    Stack(app, "Containers"),
    "Airflow",
    version=AirflowVersion.V3_3,
    database=ContainerDatabase() if in_containers else RdsDatabase(),
    executor=CeleryExecutor(broker=RedisBroker.container() if in_containers else RedisBroker()),
    removal_policy=RemovalPolicy.DESTROY,
)
app.synth()
