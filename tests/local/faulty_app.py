"""A CDK app whose cluster the environment variables TEST_BROKER, TEST_AIRFLOW and TEST_CONFIG (JSON) configure."""

import json
import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, RedisBroker, SqsBroker, WorkerPool

BROKERS = {"redis": RedisBroker, "sqs": SqsBroker}

app = App()
AirflowCluster(
    Stack(app, "Test"),
    "Airflow",
    version=AirflowVersion.of(os.environ["TEST_AIRFLOW"]),
    executor=CeleryExecutor(broker=BROKERS[os.environ["TEST_BROKER"]](), pools=[WorkerPool("default", count=2)]),
    config=json.loads(os.environ.get("TEST_CONFIG", "{}")),
)
app.synth()
