"""A cluster with SQS and a configurable number of worker pools, without an image build."""

import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowImage, AirflowVersion, CeleryExecutor, SqsBroker, WorkerPool

app = App()
pools = [WorkerPool("default"), WorkerPool("heavy", queues=["heavy.gpu"])]
AirflowCluster(
    Stack(app, "Sqs"),
    "Airflow",
    version=AirflowVersion.V3_3,
    image=AirflowImage.registry("ghcr.io/acme/airflow:3.3.2-sqs"),
    executor=CeleryExecutor(broker=SqsBroker(), pools=pools[: int(os.environ["TEST_POOLS"])]),
)
app.synth()
