"""An app with one cluster: TEST_EXECUTOR, TEST_AIRFLOW."""

import os

from aws_cdk import App, Stack

from cdk_airflow_ecs import AirflowCluster, AirflowVersion, CeleryExecutor, EcsExecutor, LocalExecutor, SeveralExecutors

EXECUTORS = {
    "celery": CeleryExecutor,
    "ecs": EcsExecutor,
    "local": LocalExecutor,
    "mixed": lambda: SeveralExecutors([CeleryExecutor(), EcsExecutor()]),
}

app = App()
AirflowCluster(
    Stack(app, "Test"),
    "Airflow",
    version=AirflowVersion.of(os.environ["TEST_AIRFLOW"]),
    executor=EXECUTORS[os.environ["TEST_EXECUTOR"]](),
)
app.synth()
